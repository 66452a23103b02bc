"""On real models too every update is that of the plain second writing: vocabulary, weights and activations of real sizes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference_world import SETTINGS, SYSTEM, hold, world
from safetensors.numpy import load_file
from together import hosts, step

from jessyfile.models.from_gguf import convert_gguf
from jessyfile.training import adapter, trainer
from jessyfile.training.hosts import read_hosts
from jessyfile.training.launch import train_together
from jessyfile.training.train_steps import run_train

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from models import smollm2

pytestmark = [pytest.mark.real, pytest.mark.stress]


@pytest.mark.parametrize("system", [SYSTEM, None])
def test_every_update_of_a_gemma_is_the_reference_s(
    system: str | None, real_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(world(real_base, system), SETTINGS, tmp_path, monkeypatch, near=1e-4)


def test_every_update_of_a_smollm2_is_the_reference_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "base"
    base.mkdir()
    convert_gguf(smollm2(tmp_path), base)
    hold(world(base, SYSTEM), SETTINGS, tmp_path, monkeypatch, near=1e-4)


def test_two_processes_train_a_smollm2_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "base"
    base.mkdir()
    convert_gguf(smollm2(tmp_path), base)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(trainer, "cores", lambda: 2)
    one, two = (replace(step(tmp_path / name, 1), inputs={}) for name in ("one", "two"))
    inputs = {"base": base, "encode": tmp_path / "one" / "encode"}
    run_train(replace(one, inputs=inputs))
    train_together(replace(two, inputs=inputs), read_hosts(hosts(tmp_path)))
    found = [load_file(made.output / adapter.ADAPTER_FILE) for made in (one, two)]
    for key, array in found[0].items():
        np.testing.assert_allclose(found[1][key], array, rtol=1e-4, atol=1e-5, err_msg=key)
