"""Conversations from any file of rows that jessy reads, as they stand there: no filter, no marker, no recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.formats import learned_answers, read_items, spoken
from jessyfile.dataset.formatted import FormattedRow
from jessyfile.dataset.marker import control_token
from jessyfile.errors import DatasetError, StateError
from jessyfile.language.recipe import Message
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import Fault, raise_faults

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample

_TRAIN, _HELD_OUT = ("train.jsonl", "train.parquet"), ("valid.jsonl", "valid.parquet")


def read_splits(path: Path) -> tuple[list[FormattedRow], list[FormattedRow]]:
    """Return the rows to train on and those held out: a file's are all trained, a folder holds `train` and perhaps `valid`.

    Raises DatasetError with every fault and its line, or when there is nothing to train.
    """
    if not path.is_dir():
        return read_conversations(path), []
    train, held_out = _first_of(path, _TRAIN), _first_of(path, _HELD_OUT)
    if train is None:
        raise DatasetError(f"`{path}` has no train.jsonl", hint="name a file of rows, or a folder as mlx-lm reads it")
    return read_conversations(train), [] if held_out is None else read_conversations(held_out)


def read_held_out(folder: Path) -> list[FormattedRow]:
    """Return the rows of a folder that are not trained: those of `test`, else of `valid`. Raises DatasetError."""
    found = _first_of(folder, ("test.jsonl", "test.parquet", *_HELD_OUT))
    if found is None:
        raise DatasetError(f"`{folder}` has no test.jsonl and no valid.jsonl", hint="name a file of rows")
    return read_conversations(found)


def _first_of(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_conversations(path: Path) -> list[FormattedRow]:
    """Return every row of a file: messages, ShareGPT, prompts and completions, or jessy's own form.

    Raises DatasetError with every fault and its line, or when there is no row.
    """
    rows: list[FormattedRow] = []
    faults: list[Fault] = []
    for item in read_items(path, path.name):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        try:
            rows.append(_read(item.value, f"{path.name}:{item.number}"))
        except (ValueError, StateError) as error:
            faults.append(Fault(path.name, item.number, str(error)))
    raise_faults(faults, f"{path.name} is malformed")
    if not rows:
        raise DatasetError(f"{path.name} holds no rows", hint="write one JSON object a line")
    return rows


def _read(value: Mapping[str, object], place: str) -> FormattedRow:
    """Return one row of a file; one that `jessy data` wrote says itself whether it teaches the marker alone."""
    if "kind" not in value or "levels" not in value:
        return replace(_row(spoken(value), _about(value), place), learned=learned_answers(value))
    row = read_as(FormattedRow, value, "the row")
    return replace(row, levels=(None,) * len(row.levels))


def conversations(examples: Iterable[TrainingExample]) -> list[FormattedRow]:
    """Return rows that are held in code. Raises DatasetError for one without an answer, or when there is none."""
    from jessyfile.dataset.training_data import checked

    rows = []
    for number, example in enumerate(checked(examples), start=1):
        if example.is_marker:
            raise DatasetError(
                f"row {number} teaches the marker alone and has no answer to train",
                hint="leave it out, or train with a recipe, which knows the marker",
            )
        about = {"category": example.category.value, "language": example.language.value, "tags": example.tags}
        try:
            rows.append(_row(example.to_mlx_format()["messages"], about, f"row:{number}"))
        except ValueError as error:
            raise DatasetError(f"row {number} {error}", hint="only a chat template writes control tokens") from None
    if not rows:
        raise DatasetError("there are no rows", hint="`TrainingDataGenerator` makes some")
    return rows


def _about(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a row says of itself: beside its turns in jessy's own form, under `metadata` in the others."""
    metadata = value.get("metadata")
    return metadata if isinstance(metadata, Mapping) else value


def _row(messages: Iterable[Mapping[str, str]], about: Mapping[str, object], place: str) -> FormattedRow:
    turns = tuple(Message(turn["role"], turn["content"]) for turn in messages)  # type: ignore[arg-type]
    token = next(filter(None, (control_token(turn.content) for turn in turns)), None)
    if token is not None:
        raise ValueError(f"holds the control token `{token}`, which would be trained as one; take it out of the text")
    tags = about.get("tags")
    return FormattedRow(
        messages=turns,
        kind="chat",
        category=str(about.get("category", "rows")),
        topic="",
        level=None,
        iterations=None,
        language=str(about.get("language", "mixed")),
        tags=tuple(map(str, tags)) if isinstance(tags, list | tuple) else (),
        id=place,
        levels=(None,) * sum(turn.role == "assistant" for turn in turns),
    )
