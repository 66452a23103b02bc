"""The marker of preferences that name no level: the one that the adapter that `train` left finds likeliest after the question."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jessyfile import fsops
from jessyfile.dataset.filters import bands_of
from jessyfile.dataset.preferences import answered
from jessyfile.training import encoded
from jessyfile.training.encode import MaskProof
from jessyfile.training.ranks import here
from jessyfile.training.reference import logprobs

if TYPE_CHECKING:
    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.preferences import AnyPreference
    from jessyfile.planning.steps import StepContext
    from jessyfile.training.encode import Encoder

LEVELS_FILE = "levels.json"
Splits = Sequence[Sequence["AnyPreference"]]


def with_levels(context: StepContext, model: Any, encoder: Encoder, splits: Splits) -> Splits:
    """Return preferences that all name a level, as long as the recipe has a marker: without one before it no answer is served.

    Args:
        context: the step's; process 0 reads the levels and keeps them, and all others take what it wrote.
        model: the base with the adapter on it as `train` left it.
        encoder: what lays rows out.
        splits: the preferences.

    Raises:
        InsufficientMemoryError: they do not fit.
        Interrupted: a stop was asked for; nothing is kept.
    """
    bare = [row for split in splits for row in split if row.level is None]
    if not bare or encoder.marker is None:
        return splits
    path = context.work / LEVELS_FILE

    def read_once() -> None:
        if not path.is_file():
            fsops.write_text(path, json.dumps(_likeliest(context, model, encoder, bare)))

    here().by_first(read_once)
    named: list[tuple[str, int]] = json.loads(path.read_text("utf-8"))
    told = ", ".join(f"{level} {count}" for level, count in sorted(Counter(level for level, _ in named).items()))
    context.progress.note(f"{len(bare)} preferences name no level: the model's own stands before them ({told})")
    marker = iter(named)
    return [[row if row.level else _at(row, *next(marker)) for row in split] for split in splits]


def _likeliest(
    context: StepContext, model: Any, encoder: Encoder, rows: Sequence[AnyPreference]
) -> list[tuple[str, int]]:
    """Return the level and the iterations of each row whose marker is the likeliest of all that the recipe's bands allow."""
    bands = bands_of(context.recipe.complexity)
    markers = [(level, number) for level, (low, high) in bands.items() for number in range(low, high + 1)]
    asked = [_marker_row(_at(row, *marker), encoder) for row in rows for marker in markers]
    whole = replace(encoder, marker_line="learned").encode(asked, MaskProof())
    packed = encoded.pack(whole, encoded.common_prefix(whole), encoder.end)
    [found] = logprobs(context, model, [replace(packed, level=packed.level & False)])
    return [markers[int(values.argmax())] for values in found.reshape(len(rows), len(markers))]


def _at(row: AnyPreference, level: str, iterations: int) -> AnyPreference:
    return replace(row, level=level, iterations=iterations)


def _marker_row(row: AnyPreference, encoder: Encoder) -> FormattedRow:
    """Return a conversation whose marker's line alone is learned."""
    found = answered(row, "", encoder.marker)
    return replace(found, kind="marker", learned=(*[False] * (len(found.levels) - 1), True))
