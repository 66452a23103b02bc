"""Points side by side are the points one after the other: their bytes, their table, what is told; whoever is stopped, killed or fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hostile"))

from real_world import apply, fresh

from jessyfile.cli import main
from jessyfile.errors import Exit, Interrupted, StorageError, TrainingError
from jessyfile.language import load_recipe
from jessyfile.planning.mutex import project_lock
from jessyfile.planning.plan import Selection
from jessyfile.planning.run import Silent
from jessyfile.planning.runs import all_runs
from jessyfile.planning.store import Store
from jessyfile.sweep.crew import ProcessCrew, TrainingEnd, as_error, end, job_outcome, start_job, taken
from jessyfile.sweep.job import DONE, TOLD, TrainingJob, _trained
from jessyfile.sweep.run import Sweep, SweepCall, Unheard
from jessyfile.training.rank import Teller

HOUSE = Path(__file__).resolve().parents[2]
RATES = ("--set", "train.epochs=1", "--over", "train.learning_rate=1e-3,1e-2")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a project of which all is made that stands before a training."""
    root = fresh(tmp_path_factory.mktemp("prepared") / "swept")
    apply(root, Selection(only=("encode",)))
    return root


@pytest.fixture
def tiny(prepared, tmp_path, monkeypatch):
    root = Path(shutil.copytree(prepared, tmp_path / "swept"))
    monkeypatch.chdir(root)
    return root


def ran(root: Path) -> list[str]:
    return [event.step for run in all_runs(root) for event in run.events() if event.event == "step_ran"]


def table(root: Path) -> list[tuple[object, ...]]:
    """Return what was tried and reached, without what it took."""
    told = json.loads(next((root / ".jessy" / "sweeps").glob("*/sweep.json")).read_text())
    return [(one["point"], one["seed"], one["value"], one["adapter"]) for one in told["trials"]]


def sweep_of(*over: str) -> Sweep:
    def load(sets):
        loaded = load_recipe("tiny.jessy", sets={"train.epochs": "1", **sets})
        assert loaded.recipe is not None, loaded.diagnostics
        return loaded.recipe

    return Sweep(load, SweepCall(over))


class InOrder:
    """A crew that trains in this process, the last begun first; `room_for` at a time."""

    def __init__(self, folder: Path, room_for: int = 9) -> None:
        self.folder, self.room_for = folder, room_for
        self.begun, self.waiting, self.asked = [], [], False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.waiting.clear()

    def room(self) -> bool:
        return len(self.waiting) < self.room_for

    def begin(self, training) -> None:
        self.begun.append(training.fingerprint)
        self.waiting.append(training)

    def ended(self, seconds: float) -> list[TrainingEnd]:
        return [self.train(self.waiting.pop())]

    def ask_to_stop(self) -> None:
        self.asked = True

    def reached(self) -> dict[str, tuple[float, float]]:
        return {one.fingerprint: (2, 9) for one in self.waiting}

    def train(self, training) -> TrainingEnd:
        folder = self.folder / training.fingerprint
        folder.mkdir(parents=True)
        training.work.mkdir(parents=True, exist_ok=True)
        inputs = {name: str(place) for name, (_, place) in training.inputs.items()}
        where = (str(training.recipe), str(training.root), str(training.work))
        job = TrainingJob(training.step, training.document, *where, inputs)
        return taken(training.fingerprint, folder, _trained(job, folder, Teller(folder / TOLD, first=False), Silent()))


def test_points_in_processes_killed_and_resumed_are_those_of_one_process(tiny, prepared, tmp_path, monkeypatch, capsys):
    program = [sys.executable, "-u", "-m", "jessyfile.cli", "sweep", "tiny.jessy", *RATES, "--jobs", "2"]
    killed = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("try 2 of 2"):  # both are under way
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    killed.stdout.close()
    assert main(["sweep", "tiny.jessy", *RATES, "--jobs", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 trainings at a time, up to" in told
    assert "no winner" in told
    steps = ran(tiny)
    assert sorted(steps) == ["base", "data.turkish", "dataset", "encode", "train", "train"]
    assert not list((tiny / ".jessy" / "work").iterdir())
    assert not list((tiny / ".jessy").glob(".jobs*"))
    assert all(
        (run.folder / "metrics.jsonl").exists()
        for run in all_runs(tiny)
        if "train" in {e.step for e in run.events() if e.event == "step_ran"}
    )

    single = Path(shutil.copytree(prepared, tmp_path / "single"))
    monkeypatch.chdir(single)
    assert main(["sweep", "tiny.jessy", *RATES]) == 0
    assert table(single) == table(tiny)
    for *_, adapter in table(tiny):
        files = [Store(root).place(adapter) / "adapters.safetensors" for root in (single, tiny)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_table_does_not_tell_in_which_order_they_ended_and_nothing_is_trained_twice(tiny, tmp_path, monkeypatch):
    class Hears(Unheard):
        def reached(self, updates):
            heard.append(updates)

    heard, crew = [], InOrder(tmp_path / "crew")
    monkeypatch.setattr("jessyfile.sweep.beside._EVERY", 0)
    made = sweep_of("lora.rank=2,4")
    told = made.run(Hears(), crew=crew)
    assert heard == [{1: (2, 9)}, {}]
    assert [(one.point, one.seed) for one in told.trials] == [(str(one.point), one.seed) for one in made.tries]
    assert len(crew.begun) == 2
    again = InOrder(tmp_path / "again", room_for=1)
    assert sweep_of("lora.rank=2,4").run(Unheard(), crew=again).trials == told.trials
    assert not again.begun


def test_one_training_serves_all_who_wait_for_it(tiny, tmp_path):
    """Points that differ in what is learned of preferences alone share their first training."""
    words = ("masa", "kedi", "deniz", "kitap", "sokak", "çiçek")
    pairs = [
        {"messages": [{"role": "user", "content": f"{word} nerede?"}], "chosen": f"{word} burada, gel.", "rejected": "Bilmem."}
        for word in words
    ]  # fmt: skip
    (tiny / "pairs.jsonl").write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs))
    recipe, prefer = tiny / "tiny.jessy", 'PREFER dpo "pairs.jsonl" { validation 20%  epochs 1 }\nEXPORT gguf'
    recipe.write_text(recipe.read_text().replace("EXPORT gguf", prefer))
    from jessyfile.sweep.beside import SideBySide, walks_of

    made = sweep_of("prefer.beta=0.1,0.2")
    walks = walks_of(made.tries, made.recipe_of, "prefer")
    assert [walk.trainings for walk in walks] == [["train", "prefer"]] * 2
    ended, crew = [], InOrder(tmp_path / "crew")
    SideBySide(tiny, walks, crew, Unheard(), Silent(), lambda walk, result: ended.append(result), pytest.fail).go()
    assert len(crew.begun) == 3
    assert [ran(tiny).count(step) for step in ("train", "prefer")] == [1, 2]
    assert len({result.step("prefer").object for result in ended}) == 2


class Failing(InOrder):
    def __init__(self, folder: Path, error: Exception) -> None:
        super().__init__(folder)
        self.error = error

    def train(self, training) -> TrainingEnd:
        if len(self.begun) - len(self.waiting) == 1:
            return TrainingEnd(training.fingerprint, error=self.error)
        return super().train(training)


def test_a_point_that_cannot_be_trained_is_told_and_the_others_go_on(tiny, tmp_path, capsys):
    told = sweep_of("lora.rank=2,4").run(Unheard(), crew=Failing(tmp_path / "crew", TrainingError("no", hint="yes")))
    assert [(one.point, one.error, one.hint) for one in told.failed] == [("lora.rank=4", "no", "yes")]
    assert [one.point for one in told.trials] == ["lora.rank=2"]

    # and so in one process: a rate at which the loss is no number says nothing about the others
    wild = ("train.warmup_steps=0", "train.schedule=constant", "lora.alpha=4096", "train.max_grad_norm=1000000")
    words = ["sweep", "tiny.jessy", *(word for one in wild for word in ("--set", one))]
    assert main([*words, "--over", "train.learning_rate=1,1e-9"]) == Exit.FAILED
    said = capsys.readouterr()
    assert "try 1 failed: " in said.out
    assert "try 2: 7." in said.out
    assert "1 of 2 tries failed, the first train.learning_rate=1, seed 42" in said.err


def test_what_is_no_point_s_own_fault_ends_the_sweep(tiny, tmp_path):
    with pytest.raises(StorageError, match="full"):
        sweep_of("lora.rank=2,4").run(Unheard(), crew=Failing(tmp_path / "crew", StorageError("full")))
    with project_lock(tiny, "a test"):
        """The lock is free again."""


def test_a_stop_keeps_what_ends_meanwhile(tiny, tmp_path):
    class Stopped:
        def requested(self) -> bool:
            return bool(crew.begun)

    crew = InOrder(tmp_path / "crew")
    with pytest.raises(Interrupted):
        sweep_of("lora.rank=2,4").run(Unheard(), Stopped(), crew)
    assert crew.asked
    assert ran(tiny).count("train") == 2


def job(tmp_path: Path) -> TrainingJob:
    return TrainingJob("train", {}, "tiny.jessy", str(tmp_path), str(tmp_path / "work"), {})


def test_how_a_process_ended_is_told(tmp_path):
    (tmp_path / "work").mkdir()
    process = start_job(tmp_path / "one", job(tmp_path))
    end(process)
    assert "killed by signal 9" in str(job_outcome(tmp_path / "one", process.returncode))
    crew = ProcessCrew(1, tmp_path, _folder=tmp_path, _running={"one": process, "none": process})
    (tmp_path / "one" / TOLD).write_text('{"event": "update", "done": 3, "total": 9}\n{"event": "upd')
    assert crew.reached() == {"one": (3, 9)}
    process = start_job(tmp_path / "two", job(tmp_path))
    process.wait()
    assert "ended with code 1: KeyError" in str(job_outcome(tmp_path / "two", process.returncode))
    assert not (tmp_path / "two" / DONE).exists()
    found = as_error("ConvergenceError", "the loss is no number", "lower it")
    assert (type(found).__name__, found.message, found.hint) == (
        "ConvergenceError",
        "the loss is no number",
        "lower it",
    )
    assert type(as_error("Path", "odd", None)) is TrainingError
