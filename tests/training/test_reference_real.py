"""On real models too every update is that of the plain second writing: vocabulary, weights and activations of real sizes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from reference_world import SETTINGS, SYSTEM, hold, world

from jessyfile.models.from_gguf import convert_gguf

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
