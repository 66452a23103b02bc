"""Preferences learned by two processes are those that one learns: the reference is read once, and a pair is never in two places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from prefer_world import arrays_of, prefer_step
from together import hosts

from jessyfile.training.hosts import read_hosts
from jessyfile.training.launch import prefer_together
from jessyfile.training.prefer_step import run_prefer


@pytest.mark.stress
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_two_processes_learn_what_one_learns(method: str, tmp_path: Path) -> None:
    made = []
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pairs.jsonl").write_text("", "utf-8")
        made.append(prefer_step(tmp_path / name, method))
    alone, together = made
    facts = run_prefer(alone)
    found = prefer_together(together, read_hosts(hosts(tmp_path)))
    assert found.processes == 2
    assert (found.updates, found.best_update, found.compared) == (facts.updates, facts.best_update, facts.compared)
    assert found.held_out_after == facts.held_out_after
    assert found.margin == pytest.approx(facts.margin, abs=1e-3)
    for key, array in arrays_of(alone.output).items():
        np.testing.assert_allclose(arrays_of(together.output)[key], array, rtol=1e-3, atol=1e-4, err_msg=key)
