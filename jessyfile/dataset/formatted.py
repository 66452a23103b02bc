"""A row as training reads it: what the step `dataset` writes a line of, and the step `encode` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from jessyfile.dataset.refinement import is_refined
from jessyfile.dataset.rows import Row
from jessyfile.language.recipe import Message
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import Line, read_jsonl, read_result, write_jsonl


@dataclass(frozen=True, slots=True)
class FormattedRow:
    """Messages with their marker lines in place, and what the row is.

    A `judgement` is asked without the system prompt, has no marker and says one word. `levels` has an entry for each answer: the level and
    the iterations that its marker names, None where it has no marker. `level` and `iterations` are those of the last. `learned` says of
    each answer whether it is learned or only stands there; it is empty when all are learned. `neighbours` are the rows whose question and
    answer stand before the conversation, in their order, each with its place among the nearest, 1 for the nearest. `paraphrases` are other
    wordings of the question: it is found by them, and trained with none.
    """

    messages: tuple[Message, ...]
    kind: Literal["chat", "marker", "judgement"]
    category: str
    topic: str
    level: str | None
    iterations: int | None
    language: str
    tags: tuple[str, ...]
    id: str
    levels: tuple[tuple[str, int] | None, ...]
    learned: tuple[bool, ...] = ()
    neighbours: tuple[tuple[str, int], ...] = ()
    paraphrases: tuple[str, ...] = ()

    def without_farthest(self) -> FormattedRow:
        """Return the row without the farthest of its neighbours."""
        drop = max(range(len(self.neighbours)), key=lambda index: self.neighbours[index][1])
        return replace(
            self,
            messages=(*self.messages[: 2 * drop], *self.messages[2 * drop + 2 :]),
            levels=(*self.levels[:drop], *self.levels[drop + 1 :]),
            learned=(*self.learned[:drop], *self.learned[drop + 1 :]),
            neighbours=(*self.neighbours[:drop], *self.neighbours[drop + 1 :]),
        )


_FIELDS = tuple(one.name for one in fields(FormattedRow))


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
        learned=(*(False for _ in named), True) if is_refined(example) else (),
        paraphrases=tuple(text.strip() for text in example.paraphrases),
    )


COMPOSED = ("questions", "neighbours", "dataset")  # the steps that leave rows to be trained, the last first


def rows_folder(inputs: Mapping[str, Path]) -> Path:
    """Return where a step finds the rows to train on: behind their neighbours, and with questions to documents, where the recipe says
    RETRIEVE."""
    return next(inputs[name] for name in COMPOSED if name in inputs)


def write_formatted(path: Path, rows: Iterable[FormattedRow]) -> int:
    """Write rows as JSON lines; return how many. Nothing is said of neighbours or paraphrases where a row has none."""
    return write_jsonl(path, map(_as_object, rows))


def _as_object(row: FormattedRow) -> dict[str, object]:
    # not `asdict`, which copies every text of every message
    value = {name: getattr(row, name) for name in _FIELDS}
    value["messages"] = [{"role": said.role, "content": said.content} for said in row.messages]
    return {name: told for name, told in value.items() if told or name not in ("neighbours", "paraphrases")}


def is_formatted(path: Path) -> bool:
    """Whether a file's first line is a row as training reads it."""
    first = next(iter(read_jsonl(path)), None) if path.suffix == ".jsonl" else None
    return isinstance(first, Line) and {"messages", "kind", "levels"} <= first.value.keys()


def read_formatted(path: Path) -> list[FormattedRow]:
    """Return the rows of a file. Raises StorageError or StateError for a damaged one."""
    return [read_as(FormattedRow, value, f"a row of `{path}`") for value in read_result(path)]
