"""How far preferred answers lie ahead of the others, against a frozen reference: DPO (Rafailov et al. 2023), KTO (Ethayarajh et al. 2024).

An answer's log-ratio is its log-probability less the reference's, both summed over its tokens between the marker's line and the end
of turn. DPO's loss of a pair is -log σ(β (chosen log-ratio - rejected log-ratio)). KTO's of an answer is 1 - σ(β (log-ratio - z))
where it is desirable and 1 - σ(β (z - log-ratio)) where it is not; z is the mean log-ratio of answers to other questions, at least 0,
and has no gradient. To both a wanted answer adds its mean cross-entropy, marker's line and end of turn among its tokens, times α
(Pang et al. 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from jessyfile.results.quality import Estimate
from jessyfile.training.batches import COMPARED, LossWeights, Targets
from jessyfile.training.encoded import Encoded
from jessyfile.training.objective import Read, Weighed
from jessyfile.training.vectors import Array, Arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.language.recipe import Train
    from jessyfile.training.convergence import What
    from jessyfile.training.gradient import Runner, Totals
    from jessyfile.training.objective import Laid

Method = Literal["dpo", "kto"]


@dataclass(frozen=True, slots=True)
class ComparedAnswers:
    """Answers as token ids, what was said of them, and how probable the reference finds them.

    rows       the answers; with `unit` 2 a chosen one and the rejected one to the same question lie side by side
    signs      (rows,) 1 for an answer that is wanted, -1 for one that is not
    weights    (rows / unit,) how much each pair or each judged answer counts
    others     of each judged answer's question the answer to another, for z; None for pairs
    reference  (rows,) and `others_reference` log-probabilities in nats, float64
    pairs      (pairs, 2) rows of a wanted and an unwanted answer to one question, by which both are compared before and after
    """

    rows: Encoded
    signs: NDArray[np.float64]
    weights: NDArray[np.float64]
    unit: int
    others: Encoded | None
    reference: NDArray[np.float64]
    others_reference: NDArray[np.float64]
    pairs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows) // self.unit

    def share(self, logprobs: NDArray[np.float64]) -> Estimate | None:
        """Return in which share of the pairs the wanted answer is the likelier one, by these log-probabilities; None without pairs."""
        likelier = logprobs[self.pairs[:, 0]] > logprobs[self.pairs[:, 1]]
        return Estimate.of_share(int(likelier.sum()), len(likelier)) if len(likelier) else None

    def batches(self, size: int, seed: tuple[int, int]) -> list[list[int]]:
        """Return an epoch's batches of `size` units, in an order that follows from the seed; each is a list of row numbers."""
        import numpy as np

        order = np.random.default_rng(seed).permutation(len(self)).tolist()
        cut = [order[start : start + size] for start in range(0, len(order), size)]
        return [[one * self.unit + place for one in batch for place in range(self.unit)] for batch in cut]


@dataclass(frozen=True, slots=True)
class Preferred:
    """The loss over compared answers; `alpha` is what a wanted one's own cross-entropy weighs, in which its end of turn counts
    `end_weight` times, `ahead` is KTO's z."""

    method: Method
    beta: float
    alpha: float
    compared: ComparedAnswers
    ahead: Any = 0.0
    end_weight: float = 1.0

    @property
    def unit(self) -> int:
        """How many rows are judged together."""
        return self.compared.unit

    @property
    def counted(self) -> LossWeights:
        """What is compared of the tokens: the answer's own."""
        return COMPARED

    def for_rows(self, chosen: Sequence[int], read: Read) -> Preferred:
        """Return the loss of an update of these rows: with the z that its answers to other questions give."""
        others = self.compared.others
        if others is None or not chosen:
            return self
        before = float(self.compared.others_reference[list(chosen)].sum())
        ahead = (-read(others, chosen) - before) / len(chosen)
        return replace(self, ahead=(ahead + abs(ahead)) / 2)  # at least 0, of a number and of an array alike

    def mass(self, chosen: Sequence[int], weights: NDArray[np.float32]) -> float:
        """Return how many units there are."""
        del weights
        return len(chosen) / self.unit

    def weighed(self, chosen: Sequence[int], batch: Targets, losses: NDArray[np.float64]) -> Weighed:
        """Return loss and margins of whole units, and the weights whose cross-entropy has the loss's gradient."""
        import numpy as np

        reference, signs, weights = self._of(chosen)
        said = self._said(signs, batch)
        ratios = -np.bincount(batch.row, losses * batch.weights, len(chosen)) - reference
        margins = self.beta * (signs * (ratios - self.ahead)).reshape(-1, self.unit).sum(axis=1)
        pulled = np.repeat(weights * self._slopes(margins), self.unit) * self.beta * signs
        return Weighed(
            float(weights @ self._losses(np, margins) + losses @ said),
            self.mass(chosen, batch.weights),
            (pulled[batch.row] * batch.weights + said).astype(np.float32),
            float(margins.sum()),
            float((margins > 0).sum()),
        )

    def given(self, chosen: Sequence[int], laid: Laid, room: int) -> Arrays:
        """Return what the reference and the judges say of the rows: 0 of those that only fill the room."""
        import numpy as np

        reference, signs, counts = self._of(chosen)
        rows = room - len(chosen)

        def filled(values: NDArray[np.float64], room: int) -> NDArray[np.float32]:
            return np.pad(values, (0, room)).astype(np.float32)

        return {
            "row": np.maximum(laid.row, 0),
            "weights": laid.weights,
            "said": self._said(signs, laid).astype(np.float32),
            "reference": filled(reference, rows),
            "signs": filled(signs, rows),
            "counts": filled(counts, rows // self.unit),
            "ahead": self.ahead,
        }

    def value(self, given: Arrays, losses: Array) -> tuple[Array, Array]:
        """Return the loss of whole units, and what is told of it, computed by MLX."""
        import mlx.core as mx

        summed = mx.zeros(given["signs"].shape).at[given["row"]].add(losses * given["weights"])
        ahead = given["signs"] * (-summed - given["reference"] - given["ahead"])
        margins = self.beta * ahead.reshape(-1, self.unit).sum(axis=1)
        loss = mx.sum(given["counts"] * self._losses(mx, margins)) + mx.sum(losses * given["said"])
        return loss, mx.stack([loss, mx.sum(margins), mx.sum(margins > 0).astype(mx.float32)])

    def _said(self, signs: NDArray[np.float64], laid: Laid) -> NDArray[np.float64]:
        """Return how much each target's own cross-entropy weighs: those of a wanted answer α together, others nothing."""
        import numpy as np

        counts = np.where(laid.targets == self.compared.rows.end[0], self.end_weight, 1.0) * (laid.row >= 0)
        row = np.maximum(laid.row, 0)
        lengths = np.maximum(np.bincount(row, counts, len(signs)), 1e-9)
        found: NDArray[np.float64] = counts * np.where(signs > 0, self.alpha / lengths, 0.0)[row]
        return found

    def _of(self, chosen: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return reference and sign of each row, and the weight of each unit."""
        rows, held = list(chosen), self.compared
        return held.reference[rows], held.signs[rows], held.weights[[row // self.unit for row in rows[:: self.unit]]]

    def _losses(self, array: Any, margins: Any) -> Any:
        """Return each margin's loss: -log σ(m), or 1 - σ(m)."""
        if self.method == "dpo":
            return array.logaddexp(0.0, -margins)
        return array.exp(-array.logaddexp(0.0, margins))

    def _slopes(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how fast each loss falls with its margin: σ(-m), or σ(m) σ(-m)."""
        import numpy as np

        falling = np.exp(-np.logaddexp(0.0, margins))
        return falling if self.method == "dpo" else falling * np.exp(-np.logaddexp(0.0, -margins))


@dataclass(frozen=True, slots=True)
class PreferenceTask:
    """What is learned from compared answers, and what that is measured with."""

    trained: Preferred
    held_out: Preferred

    @property
    def what(self) -> What:
        """What a unit is called."""
        return "pair" if self.trained.unit > 1 else "judged answer"

    def plan(self, train: Train) -> list[list[list[int]]]:
        """Return every update's batches, as lists of row numbers."""
        epochs = (self.trained.compared.batches(train.batch_size, (train.seed, epoch)) for epoch in range(train.epochs))
        return [[batch] for batches in epochs for batch in batches]

    def others(self) -> list[Encoded]:
        """Return the answers to other questions that judged ones are held against; none for pairs."""
        return [one.compared.others for one in (self.trained, self.held_out) if one.compared.others is not None]

    def measured(self, passes: Runner, size: int) -> Totals:
        """Return the sums over all held-out answers, of which `size` units are computed at once at most."""
        rows = self.held_out.compared.rows
        return passes.loss(rows, size, self.held_out.for_rows(range(len(rows)), passes.read))
