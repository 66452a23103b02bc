"""What a row trains, token by token, as the step `encode` left it: the runs of tokens that count alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jessyfile.models.tokenizer import Tokenizer
    from jessyfile.training.batches import LossWeights
    from jessyfile.training.encoded import Encoded

Part = Literal["prefix", "given", "trained", "level", "end"]


@dataclass(frozen=True, slots=True)
class MaskedToken:
    """One token: its id, what it is for the training, and how much it counts in the loss (0: not trained)."""

    id: int
    part: Part
    weight: float


@dataclass(frozen=True, slots=True)
class MaskedRun:
    """Tokens in a row that are alike, and their text."""

    part: Part
    weight: float
    tokens: int
    text: str


def masked_tokens(rows: Encoded, row: int, counted: LossWeights) -> list[MaskedToken]:
    """Return a row's tokens, those of the shared prefix first."""
    tokens, trained = rows.row(row)
    start = int(rows.offsets[row])
    found = [MaskedToken(int(token), "prefix", 0.0) for token in rows.prefix]
    for place, token in enumerate(tokens):
        learned = bool(trained[place]) and place + len(rows.prefix) > 0  # nothing predicts a row's very first token
        found.append(_token(int(token), learned, bool(rows.level[start + place]), int(rows.end[0]), counted))
    return found


def _token(token: int, learned: bool, level: bool, end: int, counted: LossWeights) -> MaskedToken:
    if not learned:
        return MaskedToken(token, "given", 0.0)
    if level:
        return MaskedToken(token, "level", counted.level)
    return MaskedToken(token, "end", counted.end) if token == end else MaskedToken(token, "trained", 1.0)


def masked_runs(tokens: list[MaskedToken], tokenizer: Tokenizer) -> Iterator[MaskedRun]:
    """Yield the runs of tokens that count alike, with their text."""
    for (part, weight), run in groupby(tokens, key=lambda token: (token.part, token.weight)):
        ids = [token.id for token in run]
        yield MaskedRun(part, weight, len(ids), tokenizer.decode(ids))
