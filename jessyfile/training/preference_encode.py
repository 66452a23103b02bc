"""From preferences to token ids: the last answer alone is compared, without its marker's line and its end of turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.dataset.preferences import JudgedAnswer, answered, conversation_key
from jessyfile.errors import TrainingError
from jessyfile.training import encoded
from jessyfile.training.encode import Encoder, MaskProof, encoder_of
from jessyfile.training.encoded import Encoded, EncodedRow
from jessyfile.training.preference_loss import ComparedAnswers

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.preferences import AnyPreference
    from jessyfile.language.recipe import Prefer, Recipe


@dataclass(frozen=True, slots=True)
class _Split:
    """Answers with their signs; of judged ones, the answers to other questions; and the pairs to one question among them."""

    rows: list[EncodedRow]
    signs: list[float]
    others: list[EncodedRow]
    pairs: list[tuple[int, int]]


def preference_encoder(recipe: Recipe, prefer: Prefer, base: Path) -> Encoder:
    """Return what lays preferences out: the marker's line is learned where wanted answers are, and apart from what is compared."""
    return encoder_of(recipe, base, prefer.max_length, "apart" if prefer.sft_weight else "given")


def encode_preferences(
    encoder: Encoder, prefer: Prefer, splits: Sequence[Sequence[AnyPreference]]
) -> list[ComparedAnswers]:
    """Return each split as token ids behind a prefix that all share, the reference not read yet.

    Raises TrainingError that names the place of an answer which `max_length` would cut.
    """
    found = [_split(encoder, rows) for rows in splits]
    prefix = encoded.common_prefix([row for one in found for row in (*one.rows, *one.others)])

    def packed(rows: Sequence[EncodedRow]) -> Encoded:
        return encoded.pack(rows, prefix, encoder.end)

    return [_compared(one, prefer, packed(one.rows), packed(one.others)) for one in found]


def _compared(split: _Split, prefer: Prefer, rows: Encoded, others: Encoded) -> ComparedAnswers:
    import numpy as np

    signs, weighed = np.array(split.signs, np.float64), prefer.method == "kto"
    weights = np.where(signs > 0, prefer.desirable_weight, prefer.undesirable_weight)
    return ComparedAnswers(
        rows=rows,
        signs=signs,
        weights=weights if weighed else np.ones(len(signs) // 2),
        unit=1 if weighed else 2,
        others=others if weighed else None,
        reference=np.zeros(len(rows)),
        others_reference=np.zeros(len(others)),
        pairs=np.array(split.pairs, np.int64).reshape(-1, 2),
    )


def _split(encoder: Encoder, preferences: Sequence[AnyPreference]) -> _Split:
    told = [(one, *answer) for one in preferences for answer in one.answers]
    rows = [encoded_answer(encoder, *one) for one in told]
    given = replace(encoder, marker_line="given")
    judged = [one for one in preferences if isinstance(one, JudgedAnswer)]
    others = [
        given.encode([_asked(one, other.completion, encoder.marker)], MaskProof())[0]
        for one, other in zip(judged, _of_other_questions(judged), strict=True)
    ]
    pairs = _judged_pairs(judged) if judged else [(at, at + 1) for at in range(0, len(rows), 2)]
    return _Split(rows, [1.0 if liked else -1.0 for _, _, liked in told], others, pairs)


def _judged_pairs(judged: Sequence[JudgedAnswer]) -> list[tuple[int, int]]:
    """Return the numbers of wanted answers, each with an unwanted one to the same question."""
    asked: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}
    for number, one in enumerate(judged):
        asked.setdefault(conversation_key(one), ([], []))[not one.label].append(number)
    return [pair for both in asked.values() for pair in zip(*both, strict=False)]


def encoded_answer(encoder: Encoder, row: AnyPreference, answer: str, good: bool) -> EncodedRow:
    """Return a conversation with one of its answers as token ids.

    Args:
        encoder: what lays preferences out.
        row: the preference.
        answer: the answer.
        good: whether it is wanted; before one that is not, the marker only stands there.

    Raises:
        TrainingError: the answer at this place would be cut.
    """
    proof = MaskProof()
    encoder = encoder if good else replace(encoder, marker_line="given")
    found = encoder.encode([_asked(row, answer, encoder.marker)], proof)
    if proof.cut:
        named = next(name for name in ("chosen", "rejected", "completion") if getattr(row, name, None) == answer)
        raise TrainingError(
            f"{row.place}: with `{named}` the conversation is longer than max_length, {encoder.max_length} tokens",
            hint="raise max_length in PREFER, or shorten the answer: what is cut off could not be judged",
        )
    return found[0]


def _asked(row: AnyPreference, answer: str, marker: str | None) -> FormattedRow:
    """Return a conversation of which the last answer alone is learned."""
    found = answered(row, answer, marker)
    return replace(found, learned=(*[False] * (len(found.levels) - 1), True))


def _of_other_questions(judged: Sequence[JudgedAnswer]) -> list[JudgedAnswer]:
    """Return for each judged answer the next one to another question; any other where there is none."""
    keys, count = [conversation_key(one) for one in judged], len(judged)
    after = [(number + 1) % count for number in range(count)]
    for step in reversed(range(2 * count)):  # twice around, so that the last ones know what the first ones found
        own, following = step % count, (step + 1) % count
        after[own] = following if keys[own] != keys[following] else after[following]
    return [judged[number] for number in after]
