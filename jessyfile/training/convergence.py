"""That a training does not converge, and why: a row that no rate can learn, a rate that is too high, a loss that stays where it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jessyfile.errors import ConvergenceError

if TYPE_CHECKING:
    from jessyfile.language.recipe import Train
    from jessyfile.training.checkpoint import Cursor

_ENOUGH = 32  # updates; fewer prove nothing
_FLAT = 0.002  # a plateau: the mean loss of an epoch is, to this share, that of the first
_LEARNED = 0.05  # nats a token; below it there is hardly anything left to learn
_LINES = "they are counted as the lines of `train.jsonl` in the result of the step `preferences`"
_COUNTED = {
    "row": "rows are counted as `jessy data show --mask` shows them",
    "pair": _LINES,
    "judged answer": _LINES,
}
_STILL = 1e-3  # AdamW moves no number by more than the sum of its rates: less than this is no movement
_SMOOTHED = 16  # updates whose mean loss is looked at: batches of short rows and of long ones differ by nature
_DIVERGED = 2.5  # that mean may not exceed this many times its best
_SMALL_LOSS = 1.0  # nats a token; below it a factor says nothing


@dataclass(slots=True)
class Divergence:
    """Whether the mean loss over the last updates is far above the best such mean; one batch alone proves nothing."""

    _lowest: float = math.inf

    def seen(self, cursor: Cursor, loss: float) -> bool:
        """Return whether the loss of the update after the cursor's says so."""
        losses = [*(entry["loss"] for entry in cursor.curve[1 - _SMOOTHED :]), loss]
        if len(losses) < _SMOOTHED:
            return False
        now = sum(losses) / _SMOOTHED
        self._lowest = min(self._lowest, now)
        return cursor.update >= 2 * _SMOOTHED - 1 and now > _DIVERGED * max(self._lowest, _SMALL_LOSS)

    def back_to(self, cursor: Cursor) -> None:
        """Know what the cursor's curve shows, and nothing else."""
        losses = [entry["loss"] for entry in cursor.curve]
        means = (sum(losses[i - _SMOOTHED : i]) / _SMOOTHED for i in range(_SMOOTHED, len(losses) + 1))
        self._lowest = min(means, default=math.inf)


What = Literal["row", "pair", "judged answer"]


def refuse_broken(rows: Sequence[int], is_finite: Callable[[int], bool], trained: int, what: What = "row") -> None:
    """Raise ConvergenceError when rows have no finite loss or gradient on a good adapter: no lower rate mends that.

    Args:
        rows: numbers of the rows, or of the pairs, of the update that failed.
        is_finite: whether one's loss and gradient are finite.
        trained: how many there are in all.
        what: what they are called.
    """
    broken = [row + 1 for row in rows if not is_finite(row)]
    if broken:
        named = ", ".join(map(str, broken[:5])) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise ConvergenceError(
            f"{what} {named} of the {trained} trained ones has no finite loss or gradient, at any rate",
            hint=f"take the {what} out: {_COUNTED[what]}; where every {what} is named, the base itself is damaged",
        )


def broken_start() -> ConvergenceError:
    """Return the error of held-out answers that have no finite loss before anything was trained."""
    return ConvergenceError(
        "the held-out answers have no finite loss before the first update",
        hint="the base is damaged, or one of the answers: with `validation 0` in PREFER none is held out, "
        "and the training names what is wrong",
    )


def rate_too_high(update: int, train: Train, factor: float) -> ConvergenceError:
    """Return the error of a training that diverges at every rate that was tried; every row for itself is finite."""
    return ConvergenceError(
        f"the loss is not finite or diverges at update {update}, also at 1/{round(1 / factor)} of the rate",
        hint=f"learning_rate {train.learning_rate:g} is too high for these rows: try {train.learning_rate / 10:g}",
    )


def refuse_plateau(cursor: Cursor, train: Train, total: int) -> None:
    """Raise ConvergenceError at the end of an epoch whose loss is that of the first one: the same rows, and nothing learned.

    Args:
        cursor: where training is.
        train: the recipe's TRAIN settings.
        total: the updates of the whole training.
    """
    span, done = total // train.epochs, cursor.update
    if done % max(span, 1) or done < max(2 * span, _ENOUGH) or done - span < train.warmup_steps:
        return
    losses = [entry["loss"] for entry in cursor.curve]
    first, last = sum(losses[:span]) / span, sum(losses[-span:]) / span
    if abs(last - first) > _FLAT * first:
        return
    raise ConvergenceError(
        f"the loss stays on a plateau: {first:.4f} in the first epoch, {last:.4f} {done // span - 1} later",
        hint=_why_flat(first, sum(entry["learning_rate"] for entry in cursor.curve), train),
    )


def _why_flat(loss: float, moved: float, train: Train) -> str:
    if loss < _LEARNED:
        return "nothing is left to learn: the model says these answers already; take other rows"
    if moved < _STILL:
        return f"learning_rate {train.learning_rate:g} is too low to move anything: try 2e-4"
    return (
        "the rows have nothing in common to learn: look at the data's quality with `jessy data lint`, then raise rank "
        "or name more targets in LORA"
    )
