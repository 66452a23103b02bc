"""A row as training reads it: what the step `dataset` writes a line of, and the step `encode` reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from jessyfile.dataset.rows import Row
from jessyfile.language.recipe import Message
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_result, write_jsonl


@dataclass(frozen=True, slots=True)
class FormattedRow:
    """Messages with their marker lines in place, and what the row is.

    `levels` has an entry for each answer: the level and the iterations that its marker names, None where it has no
    marker. `level` and `iterations` are those of the last. `learned` says of each answer whether it is learned or only
    stands there; it is empty when all are learned.
    """

    messages: tuple[Message, ...]
    kind: Literal["chat", "marker"]
    category: str
    topic: str
    level: str | None
    iterations: int | None
    language: str
    tags: tuple[str, ...]
    id: str
    levels: tuple[tuple[str, int] | None, ...]
    learned: tuple[bool, ...] = ()


def formatted(row: Row, marker: str | None) -> FormattedRow:
    """Return a row as training reads it."""
    example = row.example
    earlier = [(turn.complexity, turn.iterations) for turn in example.turns if turn.role == "assistant"]
    named = [(level, count) if level and count else None for level, count in earlier]
    messages = example.to_mlx_format(marker)["messages"]
    return FormattedRow(
        messages=tuple(Message(**message) for message in messages),  # type: ignore[arg-type]
        kind="marker" if example.is_marker else "chat",
        category=example.category.value,
        topic=example.topic,
        level=example.level,
        iterations=example.iterations_needed,
        language=example.language.value,
        tags=example.tags,
        id=row.id,
        levels=(*named, (example.level, example.iterations_needed)),
    )


def write_formatted(path: Path, rows: Iterable[FormattedRow]) -> int:
    """Write rows as JSON lines; return how many."""
    return write_jsonl(path, map(asdict, rows))


def read_formatted(path: Path) -> list[FormattedRow]:
    """Return the rows of a file. Raises StorageError or StateError for a damaged one."""
    return [read_as(FormattedRow, value, f"a row of `{path}`") for value in read_result(path)]
