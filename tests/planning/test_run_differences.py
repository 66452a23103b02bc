"""What changed between two runs is read from what they recorded, the verdict's numbers included."""

from __future__ import annotations

from pathlib import Path

import pytest

from jessyfile.errors import ProjectError
from jessyfile.language.recipe import Criterion
from jessyfile.planning.canonical import normal
from jessyfile.planning.compare import run_differences
from jessyfile.planning.formats import FORMATS
from jessyfile.planning.runs import RESULT, RecordedStep, Run, RunRecord, new_run
from jessyfile.results.facts import JudgeFacts
from jessyfile.results.outcome import Outcome


def ended(root: Path, share: float) -> Run:
    claim = Criterion("must", "turkish_accuracy", ">", 0.6, None)
    facts = JudgeFacts((Outcome(claim, "share", share, 40, share - 0.1, share + 0.05, share > 0.6),), {})
    step = RecordedStep("judge", "ran", f"{share}", normal(facts), 1.0, 0, {"eval.max_tokens": 48})
    run = new_run(root)
    run.write(RESULT, RunRecord("tiny", 9.0, None, 0, (step,), format=FORMATS["run"].newest))
    return run


def test_two_runs_show_what_their_verdicts_measured(tmp_path: Path) -> None:
    """`jessy diff 1 2` told every scalar of a step and not one number of the verdict."""
    lines = list(run_differences(ended(tmp_path, 0.5), ended(tmp_path, 0.9)))
    assert lines[0] == "  judge            1s -> 1s"
    assert "turkish_accuracy > 60%" in lines[1]
    assert "50% [40%, 55%] n=40" in lines[1]
    assert "90% [80%, 95%] n=40" in lines[1]
    assert len(lines) == 2


def test_a_run_that_is_damaged_and_tells_of_no_step_did_not_end(tmp_path: Path) -> None:
    run = ended(tmp_path, 0.5)
    (run.folder / RESULT).write_text('{"name": "tiny", "steps": [{}]}', encoding="utf-8")
    with pytest.raises(ProjectError, match="run 1 did not end"):
        list(run_differences(run, run))
