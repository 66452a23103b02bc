"""Side by side: the same sums as one after the other, the same bits every time, and a process that ends cleanly."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_fakes import LORA, trainer

from jessyfile.training import trainer as loop
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


def test_the_workers_get_about_as_much_work(tmp_path: Path) -> None:
    """Rows were shared out by length in one order, and one processor waited for the other for a tenth of every update."""
    made = trainer(tmp_path, count=14)
    with workers(made.model, 2) as side_by_side:
        work = passes(side_by_side, 1)
        parts = work._parts(made.rows, list(range(14)))
    costs = [sum(work._cost(made.rows, row) for row in part) for part in parts]
    assert sorted(row for part in parts for row in part) == list(range(14))
    assert max(costs) < 1.05 * min(costs)
    assert work.head_cost > 0
