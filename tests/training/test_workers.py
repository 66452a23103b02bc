"""Side by side: the same sums as one after the other, the same bits every time, and a process that ends cleanly."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_fakes import LORA, encoded, trainer
from training_fakes import rows as made_rows

from jessyfile.errors import InsufficientMemoryError
from jessyfile.training import cpu_parts, decoder, tape
from jessyfile.training import trainer as loop
from jessyfile.training.decoder import Decoder
from jessyfile.training.encoded import pack
from jessyfile.training.gradient import passes
from jessyfile.training.workers import Workers, shares, workers


def sums(made: loop.Trainer, count: int, seed: int = 7) -> object:
    with workers(made.model, count) as side_by_side:
        return passes(side_by_side, 1).gradient(made.rows, [list(range(10)), [10, 11, 12]], lambda part: seed + part)


def stir(made: loop.Trainer) -> None:
    """Give the adapter an effect: it starts as zero."""
    projection = made.model.layers[0].mlp.down_proj
    projection.lora_b = projection.lora_b + 0.5


@pytest.mark.parametrize("count", [2, 3, 5])
def test_side_by_side_the_sums_are_those_of_one_worker(tmp_path: Path, count: int) -> None:
    made = trainer(tmp_path)
    one, many = sums(made, 1), sums(made, count)
    assert one.tokens == many.tokens
    assert one.loss == pytest.approx(many.loss, rel=1e-5)
    for key, array in one.gradients.items():
        np.testing.assert_allclose(np.array(array), np.array(many.gradients[key]), rtol=1e-3, atol=1e-4)


def test_with_dropout_the_bits_are_the_same_every_time(tmp_path: Path) -> None:
    """A thread's random state is its own and seeded for each part, so it matters to nobody which thread is ahead."""
    made = trainer(tmp_path, lora=replace(LORA, dropout=0.3))
    stir(made)
    first = sums(made, 3)
    for _ in range(3):
        again = sums(made, 3)
        assert first.loss == again.loss
        assert all(np.array_equal(first.gradients[key], again.gradients[key]) for key in first.gradients)
    assert first.loss != sums(made, 3, seed=8).loss


@pytest.mark.parametrize("splits", [1, 5])
def test_what_is_dropped_follows_from_the_row_alone(tmp_path: Path, splits: int) -> None:
    """It followed from the part that a row was computed in: another number of processors, or less memory, was another training."""
    made = trainer(tmp_path, lora=replace(LORA, dropout=0.3))
    stir(made)
    one = passes(Workers([made.model]), 1).gradient(made.rows, [list(range(9))], lambda _: 7)
    with workers(made.model, 3) as side_by_side:
        many = passes(side_by_side, splits).gradient(made.rows, [list(range(8, -1, -1))], lambda _: 7)
    assert one.loss == pytest.approx(many.loss, rel=1e-6)
    for key, array in one.gradients.items():
        np.testing.assert_allclose(np.array(many.gradients[key]), np.array(array), rtol=1e-3, atol=1e-5, err_msg=key)


def test_every_model_follows_the_trained_one(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    with workers(made.model, 2) as side_by_side:
        before = passes(side_by_side, 1).loss(made.held_out, 4).loss
        stir(made)
        side_by_side.share()
        assert passes(side_by_side, 1).loss(made.held_out, 4).loss != pytest.approx(before, rel=1e-6)
        alone = passes(Workers([made.model]), 1).loss(made.held_out, 4).loss
        assert passes(side_by_side, 1).loss(made.held_out, 4).loss == pytest.approx(alone, rel=1e-5)


def test_an_error_in_a_thread_is_raised_and_the_threads_end(tmp_path: Path) -> None:
    made = trainer(tmp_path)

    def broken(_: object, share: int) -> int:
        if share == 1:
            raise ValueError("one went wrong")
        return share

    with workers(made.model, 2) as side_by_side, pytest.raises(ValueError, match="one went wrong"):
        side_by_side.map(broken, [0, 1])
    made.run()


def test_the_costliest_parts_are_dealt_first_and_all_are_dealt() -> None:
    assert shares([1, 9, 5, 4], 2) == [[0, 1], [2, 3]]
    assert shares([3.0], 2) == [[0], []]


def test_a_process_that_trained_side_by_side_ends_with_code_0(tmp_path: Path) -> None:
    """MLX aborted three processes in four whose threads ended with a stream alive."""
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from training_fakes import trainer
import jessyfile.training.trainer as loop
loop.cores = lambda: 3
trainer(Path({str(tmp_path)!r})).run()
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("size", "splits", "most"),
    [(14, 1, 1.05), (14, 4, 1.1), (60, 1, 1.05)],
    ids=["one turn", "cut for memory", "several turns"],
)
def test_the_workers_get_about_as_much_work(
    size: int, splits: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows were shared out by what the head costs each, which all compute together: one processor waited for the other for a tenth of
    an update. Long batches were cut into three parts for two processors, and one waited for the whole third.
    """
    monkeypatch.setattr(cpu_parts, "CPU_TOKENS", 300)
    rows, batch = encoded(size), list(range(size))
    groups = cpu_parts.cut(rows, batch, 2, 1, splits)
    tokens = [[len(part.own) + int(rows.lengths()[part.rows].sum()) for part in group] for group in groups]
    assert sorted(row for group in groups for part in group for row in part.rows) == batch
    assert all([place for part in group for place in part.own] == list(range(len(rows.prefix) - 1)) for group in groups)
    assert len(groups) == max(splits // 2, -(-int(rows.lengths().sum()) // 600))
    assert all(len(parts) == 2 and max(parts) < most * min(parts) for parts in tokens), tokens


def test_the_prefix_evens_out_what_the_rows_leave_uneven() -> None:
    """One part had all of it, so that eight rows of one length kept one processor waiting for a tenth of the layers' work."""
    rows, prefix = [row for row in made_rows(40, prefix=range(2, 30)) if len(row.tokens) == 28 + 12][:2], 27
    assert len(rows) == 2
    packed = pack(rows, tuple(range(2, 30)))
    ((first, second),) = cpu_parts.cut(packed, [0, 1], 2, 1, 1)
    assert (len(first.own), len(second.own)) == (14, prefix - 14)


def test_a_prefix_is_computed_once_for_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part computed it, which was a tenth of the layers' work where rows are short."""
    made, entered, real = trainer(tmp_path, count=13), list[int](), Decoder.embedded

    def counted(self: Decoder, ids: np.ndarray) -> np.ndarray:
        entered.append(len(ids))
        return real(self, ids)

    monkeypatch.setattr(Decoder, "embedded", counted)
    sums(made, 2)
    assert len(made.rows.prefix) > 1
    assert sum(entered) == int(made.rows.lengths()[:13].sum()) + 2 * (
        len(made.rows.prefix) - 1
    )  # in each of two batches


def test_layers_that_are_computed_again_share_the_prefix_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(tmp_path, lora=replace(LORA, dropout=0.3))
    stir(made)
    kept = sums(made, 3)
    monkeypatch.setattr(decoder, "KEPT_BYTES", 0)
    again = sums(made, 3)
    assert kept.loss == again.loss
    assert all(np.array_equal(kept.gradients[key], again.gradients[key]) for key in kept.gradients)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("way", ["forward", "back"])
def test_a_part_that_fails_ends_those_that_wait_for_it(
    tmp_path: Path, number: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either waits for the other's share of the prefix: the error is raised, nothing hangs, and the next update is whole."""
    made = trainer(tmp_path)
    whole = sums(made, 2)
    owner, name = (tape, "gated") if way == "forward" else (tape.Tape, "trained")
    real = getattr(owner, name)

    def broken(*given: Any) -> Any:
        if threading.current_thread().name.startswith(f"jessy-train-{number}"):
            raise MemoryError("no more")
        return real(*given)

    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(InsufficientMemoryError):
        sums(made, 2)
    monkeypatch.undo()
    assert sums(made, 2).loss == whole.loss
