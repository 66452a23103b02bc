"""The loop: stopped and resumed it gives the same bytes, it recovers or says why not, and it does what the recipe says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_fakes import LORA, StopAfter, trainer

from jessyfile.errors import ConvergenceError, InsufficientMemoryError, Interrupted, TrainingError
from jessyfile.training import adapter, checkpoint, schedule
from jessyfile.training.decoder import Decoder


def written(made: object, folder: Path) -> bytes:
    adapter.write(folder, made.best, made.lora, [])
    return (folder / adapter.ADAPTER_FILE).read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    made = trainer(tmp_path / "whole", lora=replace(LORA, dropout=0.1))
    made.run()
    return written(made, tmp_path)


@pytest.mark.parametrize("stop_at", [1, 2, 4, 7])
def test_stopped_anywhere_and_resumed_the_adapter_is_byte_for_byte_the_same(
    tmp_path: Path, whole: bytes, stop_at: int
) -> None:
    """Dropout is on: what it drops follows from seed and place, so there is no random state to lose."""
    lora = replace(LORA, dropout=0.1)
    first = replace(trainer(tmp_path / "whole", lora=lora, stop=StopAfter(stop_at)), work=tmp_path / "again")
    with pytest.raises(Interrupted):
        first.run()
    assert first.cursor.update == stop_at
    second = replace(trainer(tmp_path / "whole", lora=lora), work=tmp_path / "again")
    second.run()
    assert written(second, tmp_path) == whole


def test_killed_between_checkpoints_it_goes_on_from_the_last_one(tmp_path: Path, whole: bytes) -> None:
    lora = replace(LORA, dropout=0.1)
    first = replace(trainer(tmp_path / "whole", lora=lora, stop=StopAfter(5)), work=tmp_path / "again")
    with pytest.raises(Interrupted):
        first.run()
    newest = sorted((tmp_path / "again").glob("checkpoint-*"))[-1]
    shutil.rmtree(newest)  # as if the process had died before it was written
    second = replace(trainer(tmp_path / "whole", lora=lora), work=tmp_path / "again")
    second.run()
    assert written(second, tmp_path) == whole


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, whole: bytes) -> None:
    lora = replace(LORA, dropout=0.1)
    first = replace(trainer(tmp_path / "whole", lora=lora, stop=StopAfter(7)), work=tmp_path / "again")
    with pytest.raises(Interrupted):
        first.run()
    victim = sorted((tmp_path / "again").glob("checkpoint-*"))[-1] / "optimizer.safetensors"
    victim.write_bytes(victim.read_bytes()[:-3])
    second = replace(trainer(tmp_path / "whole", lora=lora), work=tmp_path / "again")
    second.run()
    assert written(second, tmp_path) == whole


def test_the_loss_falls(tmp_path: Path) -> None:
    made = trainer(tmp_path, epochs=6)
    curve = [entry["loss"] for entry in made.run().curve]
    assert np.mean(curve[-4:]) < np.mean(curve[:4]) - 0.3


def test_accumulation_weighs_tokens_not_batches(tmp_path: Path) -> None:
    """Two batches of four, accumulated, make the update of one batch of eight although their tokens differ in number."""
    big = trainer(tmp_path, batch_size=8, epochs=1, count=8)
    small = trainer(tmp_path, batch_size=4, grad_accumulation=2, epochs=1, count=8)
    big._prepare()
    small._prepare()
    group = [list(range(8))], [list(range(4)), list(range(4, 8))]
    results = [made._gradients(part) for made, part in zip((big, small), group, strict=True)]
    assert results[0].tokens == results[1].tokens
    for key, array in results[0].gradients.items():
        np.testing.assert_allclose(np.array(array), np.array(results[1].gradients[key]), rtol=1e-3, atol=1e-4)


def test_splitting_for_memory_leaves_the_mathematics_alone(tmp_path: Path) -> None:
    one, two = trainer(tmp_path / "a"), trainer(tmp_path / "b", splits=2)
    one.run(), two.run()
    for left, right in zip(one.cursor.curve, two.cursor.curve, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-3)


def test_validation_does_not_disturb_the_training_order(tmp_path: Path) -> None:
    often, rarely = trainer(tmp_path / "a", validate_every=1), trainer(tmp_path / "b", validate_every=0)
    often.run(), rarely.run()
    assert [e["loss"] for e in often.cursor.curve] == [e["loss"] for e in rarely.cursor.curve]
    assert len(often.cursor.validations) > len(rarely.cursor.validations)


def test_the_best_adapter_is_kept_when_the_recipe_says_so(tmp_path: Path) -> None:
    made = trainer(tmp_path, keep="best", epochs=8, learning_rate=0.05, validate_every=1)
    cursor = made.run()
    assert cursor.best_loss == min(entry["loss"] for entry in cursor.validations)
    best_at = next(e["update"] for e in cursor.validations if e["loss"] == cursor.best_loss)
    assert cursor.best_update == best_at
    made.model.load_weights(list(made.best.items()), strict=False)
    assert made.validation_loss() == pytest.approx(cursor.best_loss, rel=1e-5)


def test_early_stop_stops(tmp_path: Path) -> None:
    made = trainer(tmp_path, epochs=60, learning_rate=0.05, validate_every=1, early_stop=3)
    assert made.run().update < 60 * 4


def test_a_broken_loss_goes_back_halves_the_rate_and_then_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tmp_path, checkpoint_every=2)
    real = type(made)._gradients

    def broken(self: object, group: list[list[int]]) -> object:
        sums = real(self, group)
        return replace(sums, loss=float("nan")) if self.cursor.update == 5 else sums

    monkeypatch.setattr(type(made), "_gradients", broken)
    with pytest.raises(ConvergenceError, match="update 6"):
        made.run()
    assert made.cursor.retries == 2
    assert made.cursor.rate_factor == 0.25
    assert made.cursor.update == 5
    assert len(made.cursor.rungs) == 2


def test_a_validation_loss_that_is_no_number_goes_back_and_then_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stored as the best loss, and the finished training ended as a bug in jessy when its facts were written."""
    made = trainer(tmp_path, checkpoint_every=2)
    real = type(made).validation_loss
    monkeypatch.setattr(
        type(made), "validation_loss", lambda self: float("nan") if self.cursor.update > 4 else real(self)
    )
    with pytest.raises(ConvergenceError):
        made.run()
    assert made.cursor.retries == 2
    kept, _ = checkpoint.latest(made.work)
    assert kept.update == 6
    assert kept.best_loss is not None
    monkeypatch.setattr(type(made), "validation_loss", real)
    again = trainer(tmp_path, checkpoint_every=2)
    assert again.run().update == 8


def test_a_loss_that_rises_far_above_its_best_is_noticed_and_not_before(tmp_path: Path) -> None:
    """Held against the plain definition, on a curve that falls and then climbs; also by a trainer that was resumed."""

    def plainly(losses: list[float]) -> bool:
        means = [sum(losses[i : i + 16]) / 16 for i in range(len(losses) - 15)]
        return len(means) > 16 and means[-1] > 2.5 * max(min(means), 1.0)

    losses = [3 - 0.05 * i for i in range(40)] + [1.0 + 0.4 * i for i in range(20)]
    made = trainer(tmp_path)
    made._prepare()
    for number, value in enumerate(losses):
        if number % 7 == 6:
            made._save()
            made = trainer(tmp_path)
            made._prepare()
        assert made._divergence.seen(made.cursor, value) == plainly(losses[: number + 1]), number
        entry = {"update": number + 1, "loss": value, "learning_rate": 0.1, "gradient_norm": 1.0}
        made.cursor.curve.append(entry)
        made.cursor.update = number + 1
    assert plainly(losses)


def test_a_long_training_looks_at_its_last_updates_only(tmp_path: Path) -> None:
    """Every update summed up the whole curve again: 31 ms of each at 40,000 updates."""
    made = trainer(tmp_path)
    made._prepare()
    for number in range(20_000):
        made.cursor.curve.append({"update": number + 1, "loss": 1.0, "learning_rate": 0.1, "gradient_norm": 1.0})
    made.cursor.update = 20_000
    looked = Counting(made.cursor.curve)
    made.cursor.curve = looked
    assert not made._divergence.seen(made.cursor, 1.0)
    assert looked.read <= 16


class Counting(list):
    """A list that counts the entries read from it."""

    read = 0

    def __getitem__(self, key: object) -> object:
        found = super().__getitem__(key)  # type: ignore[index]
        self.read += len(found) if isinstance(key, slice) else 1
        return found

    def __iter__(self) -> object:
        for entry in super().__iter__():
            self.read += 1
            yield entry


def test_a_checkpoint_gives_back_the_curve_to_the_last_bit(tmp_path: Path) -> None:
    made = trainer(tmp_path, stop=StopAfter(5))
    with pytest.raises(Interrupted):
        made.run()
    kept, _ = checkpoint.latest(made.work)
    assert kept == made.cursor
    assert '"curve":' not in (sorted(made.work.iterdir())[-1] / "cursor.json").read_text()


def test_too_little_memory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> object:
        raise RuntimeError("[malloc_or_wait] Unable to allocate 8000000 bytes.")

    monkeypatch.setattr(Decoder, "predicting", full)
    with pytest.raises(InsufficientMemoryError, match=r"\d rows at a time"):
        trainer(tmp_path).run()


def test_an_unknown_target_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="qq_proj") as caught:
        trainer(tmp_path, lora=replace(LORA, targets=("q_proj", "qq_proj")))
    assert "gate_proj" in (caught.value.hint or "")


def test_only_the_last_layers_are_adapted_when_asked(tmp_path: Path) -> None:
    made = trainer(tmp_path, lora=replace(LORA, layers=2))
    assert {key.split(".")[2] for key in adapter.parameters(made.model)} == {"4", "5"}


def test_checkpoints_are_bounded_and_whole(tmp_path: Path) -> None:
    made = trainer(tmp_path, epochs=5)
    made.run()
    kept = sorted((tmp_path / "work").iterdir())
    assert len(kept) == 2
    assert checkpoint.latest(tmp_path / "work") is not None
    assert "hashes" in json.loads((kept[-1] / "cursor.json").read_text())


def test_the_rate_warms_up_and_ends_near_zero() -> None:
    from training_fakes import TRAIN

    rates = [schedule.learning_rate(i, 100, replace(TRAIN, warmup_steps=10)) for i in range(100)]
    assert rates[0] < rates[5] < rates[9] <= TRAIN.learning_rate
    assert rates[9] == max(rates)
    assert rates[-1] < 0.01 * TRAIN.learning_rate


def test_the_reference_recipe_makes_34_updates() -> None:
    from training_fakes import TRAIN

    assert schedule.updates(360, replace(TRAIN, epochs=3, batch_size=8, grad_accumulation=4)) == 34
