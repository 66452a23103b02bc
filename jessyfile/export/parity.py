"""Compare the exported model with the merged one: the same prompts must give the same next tokens.

At every compared position both are asked for the next token after the same text. They agree when the most probable
token is the same, or when the merged model sees the two as a near tie. (Greedy texts alone would call a flipped tie
of 0.003 logits a failure.) The distance is the mean Kullback-Leibler divergence over the candidates that the engine
names, and the largest difference of a log-probability.

The caller passes the engine in, because engines lie above this package. Not covered: how much of the fine-tune
survives the quantization, and sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jessyfile.errors import ExportError
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer
from jessyfile.results.facts import ParityFacts

if TYPE_CHECKING:
    import numpy as np

# highest mean KL in nats of a faithful file; measured on Gemma 3 270M: f16 5e-6, q8_0 1.5e-3
LIMITS: Mapping[str, float] = {
    "f32": 1e-3,
    "f16": 1e-3,
    "bf16": 1e-2,
    "q8_0": 0.1,
    "q5_1": 0.5,
    "q5_0": 0.5,
    "q4_1": 1.0,
    "q4_0": 1.0,
}
_OTHER = 1.0
_NEAR_TIE = 0.05
_LEAST_AGREEMENT = 0.8


class Candidate(Protocol):
    """A possible next token with its natural-log probability."""

    @property
    def token(self) -> int:
        """Return the token's id."""

    @property
    def logprob(self) -> float:
        """Return the natural logarithm of its probability."""


Ask = Callable[[str, int], Sequence[Candidate]]


@dataclass(frozen=True, slots=True)
class Position:
    """One comparison: the text so far, both choices, whether they agree, the divergence and the largest difference."""

    text: str
    expected: int
    found: int
    agrees: bool
    divergence: float
    largest: float


@dataclass(frozen=True, slots=True)
class Parity:
    """All comparisons of one model."""

    positions: tuple[Position, ...]

    @property
    def agreement(self) -> float:
        """Return the share of positions that agree."""
        return sum(position.agrees for position in self.positions) / len(self.positions)

    @property
    def divergence(self) -> float:
        """Return the mean divergence in nats."""
        return sum(position.divergence for position in self.positions) / len(self.positions)

    @property
    def largest(self) -> float:
        """Return the largest difference of a log-probability."""
        return max(position.largest for position in self.positions)

    def facts(self) -> ParityFacts:
        """Return the figures for a report."""
        return ParityFacts(
            positions=len(self.positions),
            agreement=round(self.agreement, 4),
            divergence=float(f"{self.divergence:.3g}"),
            largest=float(f"{self.largest:.3g}"),
        )

    def require(self, quantize: str) -> None:
        """Raise ExportError when the exported model is not the merged one, as far as its type explains."""
        limit = LIMITS.get(quantize, _OTHER)
        if self.divergence > limit or self.agreement < _LEAST_AGREEMENT:
            raise ExportError(
                f"the exported model differs from the trained one: {self.agreement:.0%} of next tokens agree, "
                f"divergence {self.divergence:.2g} (limit {limit:.2g})",
                hint="choose f16 or q8_0 for `quantize`; if it persists, the conversion of this base is wrong",
            )


def compare(folder: Path, ask: Ask, prompts: Sequence[str], steps: int = 4, top: int = 10) -> Parity:
    """Compare the next tokens of the merged model, run by MLX, with those of an engine.

    Args:
        folder: the merged model.
        ask: `ask(prompt, top)` returns the engine's `top` candidates after a text without BOS, the best first.
        prompts: rendered prompts.
        steps: how many positions are compared after each prompt.
        top: how many candidates are compared at each position.

    Returns:
        The agreement and distance over all positions.

    Raises:
        ExportError: there is no prompt.
    """
    from jessyfile.models.load import load_model

    if not prompts:
        raise ExportError("parity needs at least one prompt")
    model, _ = load_model(folder)
    tokenizer = load_tokenizer(folder)
    found = [position for prompt in prompts for position in _walk(model, tokenizer, ask, prompt, steps, top)]
    if not found:
        raise ExportError("the engine named no next token for any prompt")
    return Parity(tuple(found))


def _walk(
    model: Any,  # noqa: ANN401 (MLX ships no complete types)
    tokenizer: Tokenizer,
    ask: Ask,
    prompt: str,
    steps: int,
    top: int,
) -> Iterator[Position]:
    """Follow the merged model's greedy answer, as long as its text has the tokens it was made of.

    An engine names no candidates where the next token is half a character or ends the text: the walk ends there too.
    """
    ids, text = tokenizer.encode(prompt, bos=True), prompt
    reader = _Reader(model)
    for _ in range(steps):
        theirs = ask(text, top)
        if not theirs:
            return
        position, following = _compared(reader.logprobs(ids), theirs, text)
        yield position
        ids = [*ids, following]
        text += tokenizer.decode([following])
        if tokenizer.encode(text, bos=True) != ids:
            return


class _Reader:
    """Reads a text that grows, each token once. The vocabulary's logits are computed after the last token alone."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (an MLX model)
        from mlx_lm.models.cache import make_prompt_cache

        self._model, self._cache, self._read = model, make_prompt_cache(model), 0

    def logprobs(self, ids: Sequence[int]) -> np.ndarray[Any, Any]:
        """Return the natural-log probabilities of the token after `ids`, shape (vocabulary,), float64."""
        import mlx.core as mx
        import numpy as np

        *before, last = ids[self._read :]
        if before:
            self._model(mx.array([before]), cache=self._cache)
            mx.eval([layer.state for layer in self._cache])
        row = self._model(mx.array([[last]]), cache=self._cache)[0, -1]
        self._read = len(ids)
        logits = np.array(row.astype(mx.float32)).astype(np.float64)
        logits -= logits.max()
        result: np.ndarray[Any, Any] = logits - np.log(np.exp(logits).sum())
        return result


def _compared(ours: np.ndarray[Any, Any], theirs: Sequence[Candidate], text: str) -> tuple[Position, int]:
    expected, found = int(ours.argmax()), theirs[0].token
    agrees = expected == found or float(ours[expected] - ours[found]) < _NEAR_TIE
    pairs = [(float(ours[one.token]), one.logprob) for one in theirs]
    largest = max(abs(mine - other) for mine, other in pairs)
    return Position(text, expected, found, agrees, _divergence(pairs), largest), expected


def _divergence(pairs: Sequence[tuple[float, float]]) -> float:
    """Return KL(ours ‖ theirs) over the named candidates and the rest taken as one."""
    total = sum(math.exp(mine) * (mine - other) for mine, other in pairs)
    rests = [max(1e-9, 1.0 - sum(math.exp(one) for one in side)) for side in zip(*pairs, strict=True)]
    return max(0.0, total + rests[0] * (math.log(rests[0]) - math.log(rests[1])))
