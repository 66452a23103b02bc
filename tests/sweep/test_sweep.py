"""A sweep is as many single applies: it shares what they share, gives what they give, and goes on where it was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hostile"))

from real_world import fresh

from jessyfile.cli import main
from jessyfile.errors import Exit, RecipeError
from jessyfile.export.registry import lookup
from jessyfile.planning.runs import all_runs
from jessyfile.planning.store import Store
from jessyfile.sweep.grid import Point, read_grid, tries

HOUSE = Path(__file__).resolve().parents[2]
RANKS, RATES = ("2", "4", "8"), ("1e-3", "1e-2")
OVER = ("--over", f"lora.rank={','.join(RANKS)}", "--over", f"train.learning_rate={','.join(RATES)}")
SWEEP = ("sweep", "tiny.jessy", "--set", "train.epochs=1", *OVER)
SHARED = {"base", "data.turkish", "dataset", "encode"}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    root = fresh(tmp_path / "swept")
    monkeypatch.chdir(root)
    return root


def ran(root: Path) -> list[str]:
    """Return the steps that ran to their end, over all runs."""
    return [event.step for run in all_runs(root) for event in run.events() if event.event == "step_ran"]


def adapter(root: Path, object_id: str) -> bytes:
    return (Store(root).place(object_id) / "adapters.safetensors").read_bytes()


def test_six_points_of_a_real_model_killed_resumed_and_equal_to_six_applies(tiny, tmp_path, monkeypatch, capsys):
    program = [sys.executable, "-u", "-m", "jessyfile.cli", *SWEEP]
    killed = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("try 4 of 6"):
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    killed.stdout.close()
    partial = json.loads(next((tiny / ".jessy" / "sweeps").glob("*/sweep.json")).read_text())
    assert len(partial["trials"]) == 3

    assert main([*SWEEP, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    steps = ran(tiny)
    assert [steps.count(step) for step in sorted(SHARED)] == [1, 1, 1, 1]
    assert steps.count("train") == 6
    assert told["outcome"]["winner"] is None
    assert lookup(tiny, "tiny", "candidate") is None
    assert lookup(tiny, "tiny-sweep", "candidate") is None
    page = Path(told["report"]).read_text("utf-8")
    assert page.count('<circle class="dot"') == 6
    assert "no winner" in page

    single = fresh(tmp_path / "single")
    monkeypatch.chdir(single)
    for trial in told["trials"]:
        sets = [word for part in trial["point"].split(", ") for word in ("--set", part)]
        words = ["apply", "tiny.jessy", "--set", "train.epochs=1", *sets, "--only", "train", "--json"]
        assert main(words) == 0
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (trained,) = (one["object"] for one in events if one["event"] == "ended" and one["step"] == "train")
        assert adapter(single, trained) == adapter(tiny, trial["adapter"])

    # more seeds keep what is trained, and measure the noise; the state of the recipe's own model is not touched
    monkeypatch.chdir(tiny)
    before = len(ran(tiny))
    more = ["--set", "lora.rank=2", "--set", "train.epochs=1", "--over", "train.learning_rate=1e-3,1e-2"]
    assert main(["sweep", "tiny.jessy", *more, "--seeds", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"]["floor"] > 0
    assert {trial["seed"] for trial in told["trials"]} == {42, 43}
    assert ran(tiny)[before:] == ["train", "train"]
    assert [path.name for path in (tiny / ".jessy" / "state").iterdir()] == ["tiny-sweep.json"]


def test_a_plan_of_a_sweep_says_what_runs_and_starts_nothing(tiny, capsys):
    assert main([*SWEEP, "--plan"]) == 0
    said = capsys.readouterr().out
    assert "tiny: 6 points, compared by validation_loss on the rows that `validation` holds out of training" in said
    assert "run once: base, data.turkish, dataset, encode" in said
    assert "train 6 times" in said
    assert not all_runs(tiny)


WRONG = {
    "no grid": (["--over", "lora.rank"], "--over takes ADDRESS=VALUE,VALUE"),
    "one point": (["--over", "lora.rank=8"], "compares two points or more"),
    "twice": (["--over", "lora.rank=8,8"], "a value twice"),
    "a seed": (["--over", "train.seed=1,2"], "--seeds asks for seeds"),
    "a name": (["--over", "name=a,b"], "changes nothing that is learned"),
    "a suite": (["--over", "lora.rank=2,4", "--by", "turkish.form"], "never decided by 'turkish.form'"),
    "no such address": (["--over", "lora.rnak=2,4"], "lora.rnak"),
    "a bad value": (["--over", "lora.rank=2,0"], "rank"),
    "other rows": (["--over", "train.max_length=64,128"], "validation losses are of other texts"),
    "other weights": (["--over", "train.end_weight=1,4"], "could not be compared"),
    "no difference": (["--over", "export.quantize=q8_0,q4_0"], "nothing that is measured reads what differs"),
    "all variants": (["--over", "lora.rank=2,4", "--variant", "all"], "name one VARIANT"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_sweep_is_refused_before_anything_runs(case, tiny, capsys):
    words, said = WRONG[case]
    assert main(["sweep", "tiny.jessy", *words]) in (Exit.FAILED, Exit.USAGE)
    assert said in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert not all_runs(tiny)


def test_a_grid_is_every_combination_and_seeds_come_last():
    points = read_grid(["lora.rank=8,16", "train.learning_rate=1e-4,2e-4"])
    assert [str(point) for point in points] == [
        f"lora.rank={rank}, train.learning_rate={rate}" for rank in (8, 16) for rate in ("1e-4", "2e-4")
    ]
    asked = tries(points[:2], 7, 2)
    assert [(one.point, one.seed) for one in asked] == [(points[0], 7), (points[1], 7), (points[0], 8), (points[1], 8)]
    assert asked[0].sets == {"lora.rank": "8", "train.learning_rate": "1e-4", "train.seed": "7"}
    assert str(Point({"lora.targets": "q_proj v_proj"})) == "lora.targets=q_proj v_proj"
    with pytest.raises(RecipeError, match="takes 200"):
        read_grid([f"lora.rank={','.join(map(str, range(1, 21)))}", f"lora.alpha={','.join(map(str, range(1, 21)))}"])
