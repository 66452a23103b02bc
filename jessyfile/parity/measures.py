"""How far a stage's answers lie from those of the trained model, and how much of the training's change is left in them.

At a place, the base's, the trained model's and a stage's log-probabilities of the tokens that the stage names (its 512 most
probable) are each centred, that is, their mean is taken off; b, t and s are these vectors over all places together.

survival  the projection of what the stage changes on what training changed: ⟨s - b, t - b⟩ / ⟨t - b, t - b⟩. 1: all of the
          tune is there. 0: nothing, the stage says what the base says. Above 1: it is overdone, as by an adapter merged twice
          or with too large a scale. Its interval resamples whole passages (bootstrap, 95 %).
noise     what the stage changes besides, orthogonal to the tune: |s - b - survival · (t - b)| / |t - b|. An exact copy has
          0; with 1, chance moves the answers as much as the training did.
gain      the share of what training took off the loss of the held-out answers' tokens: (loss b - loss s) / (loss b - loss t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.parity.passages import Passage
    from jessyfile.parity.readings import Answers, Named, Whole

_NEAR_TIE = 0.05
_SEEN = math.log(1e-3)  # a difference counts as the largest for tokens that are at least so probable
_LEAST_GAIN = 0.01  # nats: of a training that gained less, no share is told
_RESAMPLED = 1000


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a stage's answers lie from the trained model's: the share of places where both say the same token (or the
    trained model sees a near tie), the mean Kullback-Leibler divergence in nats, and the largest difference of a
    log-probability of a token that the trained model holds for possible.
    """

    positions: int
    agreement: float
    divergence: float
    largest: float


@dataclass(frozen=True, slots=True)
class Survival:
    """How much of the tune is left: see the module's text. `gain` is None where training gained nothing held out."""

    share: float
    low: float
    high: float
    noise: float
    gain: float | None


def distance(trained: Whole, answers: Answers) -> Distance:
    """Compare a stage's answers with the trained model's readings at the same places."""
    found = [_compared(row, named) for _, row, named in _places(trained, answers)]
    agrees, divergences, largest = zip(*found, strict=True)
    return Distance(len(found), sum(agrees) / len(found), sum(divergences) / len(found), max(largest))


def survival(base: Whole, trained: Whole, answers: Answers, passages: Sequence[Passage]) -> Survival:
    """Return how much of what training changed is in a stage's answers.

    Args:
        base: what the base says of the whole vocabulary.
        trained: what the trained model says.
        answers: what the stage says.
        passages: what all were asked.

    Returns:
        The share with its interval, the noise and the gain.
    """
    import numpy as np

    sums = np.zeros((len(passages), 3))
    for number, row, named in _places(trained, answers):
        before = base[number][row.place][named.tokens].astype(np.float64)
        change = _centred(row.values[named.tokens] - before)
        kept = _centred(named.logprobs - before)
        sums[number] += (kept @ change, change @ change, kept @ kept)
    dot, tune, whole = sums.sum(axis=0)
    if not tune:
        return Survival(1.0, 1.0, 1.0, math.sqrt(whole), None)
    share = dot / tune
    low, high = _interval(sums)
    noise = math.sqrt(max(0.0, whole / tune - share**2))
    return Survival(float(share), low, high, noise, _gain(base, trained, answers, passages))


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    values: NDArray[np.float32]


def _places(trained: Whole, answers: Answers) -> list[tuple[int, _Row, Named]]:
    return [
        (number, _Row(place, rows[place]), named)
        for number, (rows, passage) in enumerate(zip(trained, answers, strict=True))
        for place, named in enumerate(passage)
        if len(named.tokens)
    ]


def _compared(row: _Row, named: Named) -> tuple[bool, float, float]:
    import numpy as np

    expected, found = int(row.values.argmax()), int(named.tokens[0])
    agrees = expected == found or float(row.values[expected] - row.values[found]) < _NEAR_TIE
    mine = row.values[named.tokens].astype(np.float64)
    seen = mine > _SEEN
    largest = float(np.abs(mine - named.logprobs)[seen].max()) if seen.any() else 0.0
    return agrees, _divergence(mine, named.logprobs), largest


def _divergence(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return KL(mine ‖ theirs) over the named candidates and the rest taken as one."""
    import numpy as np

    total = float(np.exp(mine) @ (mine - theirs))
    rests = [max(1e-9, 1.0 - float(np.exp(side).sum())) for side in (mine, theirs)]
    return max(0.0, total + rests[0] * (math.log(rests[0]) - math.log(rests[1])))


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = values - values.mean()
    return centred


def _interval(sums: NDArray[np.float64]) -> tuple[float, float]:
    import numpy as np

    rng = np.random.default_rng(0)
    drawn = sums[rng.integers(0, len(sums), (_RESAMPLED, len(sums)))].sum(axis=1)
    shares = drawn[:, 0] / np.maximum(drawn[:, 1], 1e-30)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def _gain(base: Whole, trained: Whole, answers: Answers, passages: Sequence[Passage]) -> float | None:
    """A token that a stage does not name is less probable than every one that it names; nobody's loss counts beyond that."""
    import numpy as np

    losses = np.zeros(3)
    for number, row, named in _places(trained, answers):
        target = passages[number].targets[row.place]
        at = (named.tokens == target).nonzero()[0]
        floor = float(named.logprobs[-1])
        said = (
            float(base[number][row.place][target]),
            float(row.values[target]),
            float(named.logprobs[at[0]]) if len(at) else floor,
        )
        losses -= np.maximum(said, floor)
    before, after, stage = losses / sum(len(passage.places) for passage in passages)
    return float((before - stage) / (before - after)) if before - after >= _LEAST_GAIN else None
