"""What goes into which batch: nothing is lost, nothing is padded in vain, the order follows from the seed."""

from dataclasses import replace

import numpy as np
import pytest
from training_fakes import TRAIN, encoded, rows

from jessyfile.training.batches import LossWeights, build, epoch_batches
from jessyfile.training.encoded import EncodedRow, common_prefix, pack

STEP = 16


@pytest.mark.parametrize("packed", ["no", "length", "rows"])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 61])
def test_every_row_comes_once_an_epoch(count: int, packed: str) -> None:
    """mlx-lm left the rows after the last full batch untrained: 8 of 10 in 50 passes."""
    train = replace(TRAIN, pack=packed)
    for epoch in range(3):
        batches = epoch_batches(encoded(count), train, 1, epoch)
        assert sorted(i for batch in batches for i in batch) == list(range(count))
        assert max(map(len, batches)) <= train.batch_size


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    rows_, train = encoded(40), TRAIN
    assert epoch_batches(rows_, train, 1, 3) == epoch_batches(rows_, train, 1, 3)
    assert epoch_batches(rows_, train, 1, 3) != epoch_batches(rows_, train, 1, 4)
    assert epoch_batches(rows_, train, 1, 3) != epoch_batches(rows_, replace(train, seed=7), 1, 3)


@pytest.mark.parametrize("epoch", range(5))
def test_every_batch_holds_a_persona_row(epoch: int) -> None:
    rows_ = encoded(48)
    for batch in epoch_batches(rows_, TRAIN, 1, epoch):
        assert any(rows_.persona[i] for i in batch)


def test_too_few_persona_rows_are_shared_out_and_never_repeated() -> None:
    made = [replace(row, persona=i == 0) for i, row in enumerate(rows(16))]
    packed = pack(made, common_prefix(made))
    batches = epoch_batches(packed, TRAIN, 1, 0)
    assert sorted(i for batch in batches for i in batch) == list(range(16))
    assert sum(any(packed.persona[i] for i in batch) for batch in batches) == 1


def test_packing_pads_less() -> None:
    rows_ = encoded(64)
    padded = {
        packed: sum(
            build(rows_, batch, STEP).inputs.size for batch in epoch_batches(rows_, replace(TRAIN, pack=packed), 0, 0)
        )
        for packed in ("length", "no")
    }
    assert padded["length"] < padded["no"]


def test_a_batch_predicts_each_trained_token_from_the_one_before_it() -> None:
    rows_ = encoded(6)
    batch = build(rows_, [4, 1], STEP)
    flat = batch.inputs.reshape(-1)
    expected = []
    for r, number in enumerate((4, 1)):
        tokens, trained = rows_.row(number)
        before = np.concatenate([rows_.prefix[-1:], tokens[:-1]])
        np.testing.assert_array_equal(batch.inputs[r, : len(before)], before)
        expected += [(int(before[i]), int(tokens[i])) for i in np.flatnonzero(trained)]
    assert [(int(flat[w]), int(t)) for w, t in zip(batch.where, batch.targets, strict=True)] == expected
    assert batch.inputs.shape[1] % STEP == 0


def test_rows_without_anything_in_common_still_train() -> None:
    made = [EncodedRow((i + 1, 9, 8), (False, True, True), "any", "tr", False) for i in range(2)]
    packed = pack(made, common_prefix(made))
    assert len(packed.prefix) == 0
    assert list(build(packed, [0], STEP).targets) == [9, 8]


def test_the_shared_prefix_is_never_trained() -> None:
    made = [EncodedRow((1, 2, 3, i), (False, True, True, True), "any", "tr", False) for i in range(3)]
    assert common_prefix(made) == (1,)


def test_the_token_that_ends_an_answer_weighs_what_the_recipe_says() -> None:
    made = rows(3)
    packed = pack(made, common_prefix(made), end=made[1].tokens[-1])
    batch = build(packed, [0, 1, 2], STEP, LossWeights(end=4))
    assert set(batch.weights[batch.targets == made[1].tokens[-1]]) == {4}
    assert set(batch.weights[batch.targets != made[1].tokens[-1]]) == {1}
    assert batch.mass == batch.weights.sum()
    assert set(build(packed, [0, 1, 2], STEP).weights) == {1}


def test_the_token_that_names_the_level_weighs_what_the_recipe_says() -> None:
    made = [
        EncodedRow(
            (1, 7, 8, 9, 5), (False, False, True, True, True), "any", "tr", False, (False, False, True, False, False)
        ),
        EncodedRow((1, 6, 8, 5), (False, False, True, True), "any", "tr", False),
    ]
    batch = build(pack(made, common_prefix(made), end=5), [0, 1], STEP, LossWeights(4, 8))
    assert list(zip(batch.targets.tolist(), batch.weights.tolist(), strict=True)) == [
        (8, 8),
        (9, 1),
        (5, 4),
        (8, 1),
        (5, 4),
    ]
