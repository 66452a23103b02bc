"""Short memory and a loss that does not fall: what is injected anywhere is survived or named, with the reason that is the true one."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import tiny_model
from training_fakes import LORA, TRAIN, encoded, said_aloud, trainer
from world import context, recipe

from jessyfile.errors import ConvergenceError, InsufficientMemoryError
from jessyfile.language.recipe import Personality
from jessyfile.results.facts import TrainFacts
from jessyfile.training import checkpoint, convergence, loss, train_steps
from jessyfile.training import encoded as rows_file
from jessyfile.training.decoder import Decoder
from jessyfile.training.gradient import Passes
from jessyfile.training.tape import Tape
from jessyfile.training.trainer import Trainer

METAL = RuntimeError("[metal::malloc] Attempting to allocate 9000000000 bytes: out of memory")
# where memory can end, by what is called there
PLACES = {
    "forward": (Decoder, "predicting"),
    "loss": (loss, "_bend"),
    "gradient": (Tape, "backward"),
    "optimizer": (Trainer, "_apply"),
    "validation": (Passes, "loss"),
    "checkpoint": (checkpoint, "save"),
}


def run(root: Path, train: Any = TRAIN, lora: Any = LORA) -> tuple[dict[str, np.ndarray], TrainFacts, list[str]]:
    """Train as the step does; return the adapter, the facts and what was said."""
    base, data = root / "model", root / "encode"
    if not base.exists():
        said_aloud(tiny_model(base))
        data.mkdir()
        for name, rows in (("train", encoded(12)), ("valid", encoded(4, seed=3))):
            rows_file.save(rows, data / f"{name}.safetensors")
    asked = recipe(root, train=train, lora=lora, personality=Personality(1, (), (), ()), precision="auto")
    made = context(root, asked, {"base": base, "encode": data}, step="train")
    facts = train_steps.run_train(made)
    return load_file(made.output / "adapters.safetensors"), facts, made.progress.notes


def failing(monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, calls: Callable[[int], bool]) -> None:
    """Let a function raise at those of its calls."""
    holder, name = PLACES[place]
    whole, count = getattr(holder, name), [0]

    def short(*given: Any, **named: Any) -> Any:
        count[0] += 1
        if calls(count[0]):
            raise error
        return whole(*given, **named)

    monkeypatch.setattr(holder, name, short)


@pytest.mark.parametrize("error", [MemoryError(), METAL], ids=["numpy", "metal"])
@pytest.mark.parametrize("place", PLACES)
def test_memory_that_ends_once_anywhere_costs_a_rung_and_nothing_else(
    place: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the optimizer's step or a checkpoint it ended the whole apply as a bug in jessy."""
    whole, _, _ = run(tmp_path / "whole")
    failing(monkeypatch, place, error, lambda call: call == 2)
    adapter, facts, said = run(tmp_path / "short")
    assert [rung.split(": ")[1][:17] for rung in facts.rungs] == ["2 rows at a time "]
    assert any("the result stays the same" in line for line in said)
    for key, value in whole.items():
        np.testing.assert_allclose(adapter[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_memory_that_never_suffices_ends_in_advice_and_leaves_the_last_checkpoint(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = 1 if place == "validation" else 4
    failing(monkeypatch, place, MemoryError(), lambda call: call > few)
    train = replace(TRAIN, on_memory="shrink_rank", checkpoint_every=1)
    with pytest.raises(InsufficientMemoryError, match="do not fit") as caught:
        run(tmp_path, train, replace(LORA, rank=8, alpha=16))
    assert caught.value.handle().splitlines()[0].startswith("make the batch smaller")
    monkeypatch.undo()
    for rank in (8,) if place == "checkpoint" else (8, 4):
        assert checkpoint.latest(tmp_path / ".jessy" / "work" / "train" / f"rank-{rank}") is not None
    adapter, facts, _ = run(tmp_path, train, replace(LORA, rank=8, alpha=16))
    assert (facts.rank, facts.updates) == (8, 6)
    assert adapter


def test_a_base_that_does_not_fit_is_no_matter_of_the_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jessyfile.models import load

    monkeypatch.setattr(load, "load_model", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(InsufficientMemoryError, match="the base does not fit") as caught:
        run(tmp_path, replace(TRAIN, on_memory="shrink_rank"))
    assert "precision q8" in caught.value.hint


def test_an_error_that_only_sounds_like_memory_is_not_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "optimizer", RuntimeError("shapes (3,4) and (5,4) do not match"), lambda call: call == 2)
    with pytest.raises(RuntimeError, match="do not match"):
        run(tmp_path)


def test_a_rate_that_explodes_is_named_and_not_the_rows(tmp_path: Path) -> None:
    made = trainer(tmp_path, learning_rate=1.0, warmup_steps=0, max_grad_norm=0, epochs=40, retries=1)
    poison(made, lambda made: made.cursor.update >= 3)
    with pytest.raises(ConvergenceError, match="also at 1/2 of the rate") as caught:
        made.run()
    assert "learning_rate 1 is too high" in caught.value.hint
    assert "try 0.1" in caught.value.hint
    assert checkpoint.latest(made.work)[0].update == 3


def poison(made: Trainer, when: Callable[[Trainer], bool]) -> None:
    """Let the adapter become infinite after an update, as an exploding one does."""
    real = Trainer._apply

    def apply(self: Trainer, *given: Any) -> None:
        real(self, *given)
        if when(self):
            bad = [(key, array * mx.inf) for key, array in train_steps.adapter.parameters(self.model).items()]
            self.model.load_weights(bad, strict=False)

    made.__class__ = type("Poisoned", (Trainer,), {"_apply": apply, "__slots__": ()})


@pytest.mark.parametrize("retries", [0, 2])
def test_a_broken_row_is_named_by_its_number_and_no_rate_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    """What one row holds has no finite state: every rate failed in turn, and the rate was blamed."""
    made = trainer(tmp_path, retries=retries, checkpoint_every=1)
    row, whole = 6, Decoder.embedded
    made.rows.tokens[int(made.rows.offsets[row])] = 99

    def embedded(self: Decoder, ids: np.ndarray) -> np.ndarray:
        found = np.array(whole(self, ids))
        found[ids == 99] = np.inf
        return found

    monkeypatch.setattr(Decoder, "embedded", embedded)
    with pytest.raises(ConvergenceError, match=r"row 7 of the 14 trained ones .* at any rate") as caught:
        made.run()
    assert "take the row out" in caught.value.hint
    assert made.cursor.retries == 0


def flat(tmp_path: Path, **changes: Any) -> ConvergenceError:
    made = trainer(tmp_path, epochs=12, warmup_steps=0, **changes)
    with pytest.raises(ConvergenceError, match="plateau") as caught:
        made.run()
    assert made.cursor.update < 12 * 4
    return caught.value


def test_a_rate_that_moves_nothing_is_a_plateau_by_its_name(tmp_path: Path) -> None:
    """A rate of 1e-9 trained to the end, was merged and evaluated, and the report showed a straight line."""
    error = flat(tmp_path, learning_rate=1e-9)
    assert "learning_rate 1e-09 is too low" in error.hint
    assert "learning rate" in error.handle()


def test_rows_with_nothing_in_common_are_told_from_a_low_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "_apply", lambda *_: None)  # no direction helps every row
    assert "data's quality" in flat(tmp_path, learning_rate=1e-2).hint


def test_a_model_that_says_the_rows_already_has_nothing_to_learn() -> None:
    curve = [{"update": n, "loss": 0.01, "learning_rate": 1e-3, "gradient_norm": 0.1} for n in range(1, 41)]
    cursor, train = checkpoint.Cursor(update=40, curve=curve), replace(TRAIN, epochs=4, warmup_steps=0)
    with pytest.raises(ConvergenceError) as caught:
        convergence.refuse_plateau(cursor, train, 80)
    assert "nothing is left to learn" in caught.value.hint


@pytest.mark.parametrize(
    ("updates", "fall", "warmup"), [(40, 0.003, 0), (31, 0, 0), (39, 0, 0), (40, 0, 25), (40, -0.01, 0)]
)
def test_a_slow_fall_a_short_training_and_a_warm_up_are_no_plateau(updates: int, fall: float, warmup: int) -> None:
    losses = [2.0 - 2.0 * fall * (n >= 20) for n in range(updates)]
    curve = [{"update": n, "loss": v, "learning_rate": 1e-9, "gradient_norm": 1.0} for n, v in enumerate(losses, 1)]
    cursor, train = checkpoint.Cursor(update=updates, curve=curve), replace(TRAIN, epochs=4, warmup_steps=warmup)
    convergence.refuse_plateau(cursor, train, 80)


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{models!r}, {here!r}]
import test_recovery as world
from dataclasses import replace
from tiny import tiny_model
from training_fakes import LORA, TRAIN
from jessyfile.training import encoded as rows_file
from jessyfile.training.encoded import EncodedRow, pack

root, room = Path(sys.argv[1]), int(sys.argv[2])
train = replace(TRAIN, epochs=1, batch_size=8, max_length=64, checkpoint_every=1)
if not (root / "model").exists():
    world.said_aloud(tiny_model(root / "model", intermediate_size=24576), 24576)
    rows = [EncodedRow(tuple(20 + (i * 7 + j) % 60 for j in range(39)), (False,) * 20 + (True,) * 19, "any", "tr", False)
            for i in range(8)]
    (root / "encode").mkdir()
    for name in ("train", "valid"):
        rows_file.save(pack(rows, ()), root / "encode" / (name + ".safetensors"))
if room:
    import jessyfile.models.accelerate as fast
    fast.prepare()
    import mlx.core, mlx_lm.utils, numpy, safetensors.numpy, msgspec, transformers
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + room, held + room))
try:
    adapter, facts, said = world.run(root, train)
except world.InsufficientMemoryError as error:
    print("short", error.message, "|", error.handle().splitlines()[0])
else:
    import hashlib, numpy
    print("done", facts.updates, sum(float(numpy.abs(value).sum()) for key, value in adapter.items() if "lora_b" in key), *facts.rungs, sep="|")
"""


def limited(root: Path, room: int) -> str:
    here = Path(__file__).parent
    text = LIMITED.format(models=str(here.parent / "models"), here=str(here))
    done = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-c", text, str(root), str(room)],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(here.parents[1]), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.stress
@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not hold a process to RLIMIT_DATA")
def test_under_a_real_limit_the_ladder_descends_to_the_same_adapter_or_ends_in_advice(tmp_path: Path) -> None:
    whole = limited(tmp_path / "whole", 0).split("|")
    assert whole[0] == "done"
    ends = {}
    for megabytes in (220, 260, 300, 340, 380, 440, 520):
        ends[megabytes] = limited(tmp_path / f"{megabytes}", megabytes << 20)
    outcomes = {end.split("|")[0].split(" ")[0] for end in ends.values()}
    assert outcomes == {"short", "done"}, ends
    descended = [end.split("|") for end in ends.values() if end.startswith("done") and "rows at a time" in end]
    assert descended, ends
    for end in descended:
        assert float(end[2]) == pytest.approx(float(whole[2]), rel=1e-3)
