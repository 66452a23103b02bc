"""Loss and gradient of several parts on a CPU, one for each worker: the layers apart, the vocabulary together.

Every part's states meet at the head, which each worker computes for its own share of the vocabulary: so the output matrix, the
largest of a small model, is read once for all of them, and its products are as large as they can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from jessyfile.training.decoder import Decoder
from jessyfile.training.loss import CHUNK, HeadRows, Softmax, cross_entropy, streamed, target_logprobs
from jessyfile.training.prefix import PrefixAt, failing_together, ways
from jessyfile.training.tape import Tape, Traced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.batches import Packed
    from jessyfile.training.objective import Weighed
    from jessyfile.training.tape import Matrix
    from jessyfile.training.workers import Workers


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows for one worker; `weighed` makes of their targets' cross-entropies what they come to, which is not asked where only states
    are wanted; `seed` is what their dropout is drawn from, None where no gradient is wanted; `prefix` is the way to a prefix that they
    share with the others.
    """

    batch: Packed
    weighed: Callable[[Sequence[int], Packed, NDArray[np.float64]], Weighed] | None = None
    seed: int | None = None
    prefix: PrefixAt | None = None


@dataclass(slots=True)
class CpuPass:
    """The workers with the output matrix, shape (vocabulary, hidden), and what bends the logits, None for nothing."""

    workers: Workers
    head: HeadRows
    cap: float | None
    _decoders: dict[int, Decoder] = field(default_factory=dict)

    def sums(self, parts: Sequence[Portion]) -> tuple[list[Weighed], dict[str, Matrix]]:
        """Return what each of no more parts than there are workers comes to, and the summed gradients by path, where they are wanted.

        Each has the whole prefix, or some of its tokens.
        """
        import mlx.core as mx
        import numpy as np

        for model in self.workers.models:  # an array that is not computed yet belongs to this thread
            mx.eval(model.trainable_parameters())
        parts = self._seated(parts)
        begun = self.workers.map(self._begin, parts)
        states = [last.value for _, last in begun]
        chosen, wanted = np.concatenate(states), parts[0].seed is not None
        rows = self.head[np.concatenate([part.batch.targets for part in parts])]
        whole = self._softmax(chosen, wanted=wanted)
        ends = np.cumsum([len(one) for one in states])[:-1]
        with np.errstate(all="ignore"):  # as MLX; the trainer refuses what is not finite, and says why
            losses, gradient = cross_entropy(chosen, rows, whole, self.cap)
            told = zip(parts, np.split(losses, ends), strict=True)
            found = [part.weighed(part.batch.numbers, part.batch, own) for part, own in told if part.weighed]
            if not wanted:
                return found, {}
            gradient *= np.concatenate([one.weights for one in found])[:, None]
        work = list(zip(begun, np.split(gradient, ends), [part.prefix for part in parts], strict=True))
        return found, self._added(self.workers.map(_finish, work))

    def below(self, parts: Sequence[Portion]) -> list[Matrix]:
        """Return what enters the lowest adapted layer of each part, for no more parts than there are workers."""

        def work(model: Any, part: Portion) -> Matrix:
            with failing_together(part.prefix):
                return self._decoder(model).below(part.batch, part.prefix)

        return self.workers.map(work, self._seated(parts))

    def _seated(self, parts: Sequence[Portion]) -> Sequence[Portion]:
        """Return the parts with the ways to the prefix where each has some of its tokens."""
        if all(len(part.batch.rows.own) == part.batch.rows.shared for part in parts):
            return parts
        found = ways(len(self.workers.models[0].layers), len(parts))
        return [replace(part, prefix=way) for part, way in zip(parts, found, strict=True)]

    def _decoder(self, model: Any) -> Decoder:
        return self._decoders.setdefault(id(model), Decoder(model))

    def _added(self, found: Sequence[dict[str, Matrix]]) -> dict[str, Matrix]:
        """Return the sums of the parts' gradients, each worker having added some of the paths."""

        def added(_: Any, paths: Sequence[str]) -> dict[str, Matrix]:
            return {path: reduce(add, (one[path] for one in found)) for path in paths}

        paths = list(found[0])
        shares = self.workers.map(added, [paths[i :: self.workers.count] for i in range(self.workers.count)])
        return {path: shares[i % self.workers.count][path] for i, path in enumerate(paths)}

    def logprobs(self, batches: Sequence[Packed]) -> list[Matrix]:
        """Return the log-probability of every target in nats, for no more batches than there are workers."""
        import numpy as np

        states = [last.value for _, last in self.workers.map(self._begin, [Portion(batch) for batch in batches])]
        chosen = np.concatenate(states)
        whole = self._softmax(chosen, wanted=False)
        rows = self.head[np.concatenate([batch.targets for batch in batches])]
        found = target_logprobs(chosen, rows, whole, self.cap)
        return np.split(found, np.cumsum([len(one) for one in states])[:-1])

    def _begin(self, model: Any, part: Portion) -> tuple[Tape, Traced]:
        tape = Tape(recording=part.seed is not None)
        with failing_together(part.prefix):
            return tape, self._decoder(model).predicting(tape, part.batch, part.seed, part.prefix)

    def _softmax(self, chosen: Matrix, *, wanted: bool) -> Softmax:
        import numpy as np

        size = -(-len(self.head) // (self.workers.count * CHUNK)) * CHUNK
        shares = [range(start, min(start + size, len(self.head))) for start in range(0, len(self.head), size)]
        work = partial(streamed, chosen, self.head, cap=self.cap, pulling=wanted)
        found = self.workers.map(lambda _, tokens: work(tokens), shares)
        with np.errstate(all="ignore"):
            return reduce(add, found)


def _finish(model: Any, work: tuple[tuple[Tape, Traced], Matrix, PrefixAt | None]) -> dict[str, Matrix]:
    del model
    (tape, last), gradient, prefix = work
    last.gradient = gradient
    with failing_together(prefix):
        tape.backward()
    return tape.gradients
