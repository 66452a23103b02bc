"""Rows as other tools write and read them: ShareGPT, messages, prompt and completion, and our own; as JSON lines or
Parquet.

ShareGPT names its speakers `from` and its text `value`; jessy writes `human` and `jessy` and keeps the rest of a row
under `metadata`, so that reading back what was written gives the same row. Messages and completions are for mlx-lm
and TRL and lose the level of earlier turns unless the marker is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.rows import Row, from_json, schema_faults, to_json
from jessyfile.errors import DatasetError
from jessyfile.fsops import atomic_file, storage_error
from jessyfile.text.json_lines import Fault, Line, read_jsonl, write_jsonl

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample

SPEAKERS = {"user": "human", "assistant": "jessy", "system": "system"}
_ROLES = {
    "human": "user",
    "user": "user",
    "jessy": "assistant",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_KEPT = ("complexity", "iterations", "category", "topic", "language", "tags", "source")
PARQUET_LIMIT = 1 << 30


def to_sharegpt(example: TrainingExample) -> dict[str, Any]:
    """Return `{"conversations": [{"from", "value"}...], "metadata": {...}}`; earlier answers carry their level as
    metadata."""
    turns = [_said(turn.role, turn.content, turn.complexity, turn.iterations) for turn in example.turns]
    turns.append(_said("user", example.query, None, None))
    if example.response is not None:
        turns.append(_said("assistant", example.response, None, None))
    row = to_json(example)
    return {"conversations": turns, "metadata": {key: row[key] for key in _KEPT}}


def _said(role: str, value: str, level: str | None, iterations: int | None) -> dict[str, Any]:
    said: dict[str, Any] = {"from": SPEAKERS[role], "value": value}
    return said if level is None else said | {"metadata": {"complexity": level, "iterations": iterations}}


def from_sharegpt(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that `to_sharegpt` was given, as the schema has it. Raises ValueError with one sentence."""
    turns, metadata = value.get("conversations"), value.get("metadata")
    if not isinstance(turns, list) or not isinstance(metadata, Mapping):
        raise ValueError("has no `conversations` with `metadata`")  # noqa: TRY004 (a fault of the row)
    said = [_heard(turn) for turn in turns if isinstance(turn, Mapping)]
    said = [turn for turn in said if turn["role"] != "system"]
    row: dict[str, Any] = {key: metadata[key] for key in _KEPT if key in metadata}
    if said and said[-1]["role"] == "assistant":
        row["response"] = said.pop()["content"]
    if not said or said[-1]["role"] != "user":
        raise ValueError("does not end with a question and its answer")
    row["query"] = said.pop()["content"]
    return row | ({"turns": said} if said else {})


def _heard(turn: Mapping[str, Any]) -> dict[str, Any]:
    role = _ROLES.get(str(turn.get("from", "")))
    if role is None or not isinstance(turn.get("value"), str):
        raise ValueError(f"holds a turn from `{str(turn.get('from'))[:40]}`, not one of {', '.join(_ROLES)}")
    heard: dict[str, Any] = {"role": role, "content": turn["value"]}
    metadata = turn.get("metadata")
    return (
        heard | {key: metadata[key] for key in ("complexity", "iterations")} if isinstance(metadata, Mapping) else heard
    )


def to_messages(example: TrainingExample, marker: str | None = None) -> dict[str, Any]:
    """Return `{"messages": [...]}` with what the row is beside it, so that it can be read back."""
    row = to_json(example)
    answers = (turn for turn in example.turns if turn.role == "assistant")
    levels = [{"complexity": turn.complexity, "iterations": turn.iterations} for turn in answers]
    return {**example.to_mlx_format(marker), "metadata": {key: row[key] for key in _KEPT} | {"levels": levels}}


def to_completion(example: TrainingExample, marker: str | None = None) -> dict[str, Any]:
    """Return `{"prompt", "completion"}`; earlier turns go into the prompt, one a line with their speaker."""
    *earlier, question, answer = example.to_mlx_format(marker)["messages"]
    lines = [f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in earlier]
    return {"prompt": "\n".join([*lines, question["content"]]), "completion": answer["content"]}


def conversation_messages(value: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the messages of a row in the messages, ShareGPT or prompt-and-completion form. Raises ValueError with
    one sentence."""
    if isinstance(value.get("messages"), list):
        turns = [
            (str(turn.get("role")), turn.get("content")) for turn in value["messages"] if isinstance(turn, Mapping)
        ]
    elif isinstance(value.get("conversations"), list):
        turns = [
            (str(turn.get("from")), turn.get("value")) for turn in value["conversations"] if isinstance(turn, Mapping)
        ]
    elif isinstance(value.get("prompt"), str) and isinstance(value.get("completion"), str):
        turns = [("user", value["prompt"]), ("assistant", value["completion"])]
    else:
        raise ValueError("is in none of the forms messages, conversations, prompt and completion")  # noqa: TRY004
    messages = [{"role": _ROLES.get(role, role), "content": text} for role, text in turns if isinstance(text, str)]
    return _checked([turn for turn in messages if turn["role"] != "system"])


def _checked(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    expected = ["user", "assistant"] * (len(messages) // 2)
    if not messages or [turn["role"] for turn in messages] != expected:
        raise ValueError("its turns do not alternate from the user to the assistant")
    if not all(turn["content"].strip() for turn in messages):
        raise ValueError("holds an empty turn")
    return [{"role": turn["role"], "content": turn["content"].strip()} for turn in messages]


FORMATS: Mapping[str, Callable[[TrainingExample, str | None], dict[str, Any]]] = {
    "jessy": lambda example, _: to_json(example),
    "sharegpt": lambda example, _: to_sharegpt(example),
    "messages": to_messages,
    "completions": to_completion,
}


def save_rows(path: Path, examples: Iterable[TrainingExample], form: str = "jessy", marker: str | None = None) -> int:
    """Write rows in one of `FORMATS`, as Parquet when the name ends so, else as JSON lines; return how many."""
    if form not in FORMATS:
        raise DatasetError(f"there is no format `{form[:40]}`", hint=f"formats: {', '.join(FORMATS)}")
    values = [FORMATS[form](example, marker) for example in examples]
    if path.suffix == ".parquet":
        return _write_parquet(path, values)
    return write_jsonl(path, values)


def read_examples(path: Path, name: str | None = None) -> tuple[list[Row], list[Fault]]:
    """Read rows back from our own form or ShareGPT, JSON lines or Parquet; what fails is a Fault with its line or
    row."""
    shown = name or str(path)
    items = _parquet_items(path) if path.suffix == ".parquet" else read_jsonl(path, shown)
    rows: list[Row] = []
    faults: list[Fault] = []
    for item in items:
        if isinstance(item, Fault):
            faults.append(item)
            continue
        found = _example(item.value)
        if isinstance(found, list):
            faults += [Fault(shown, item.number, reason) for reason in found]
        else:
            rows.append(Row(found, f"{shown}:{item.number}"))
    return rows, faults


def _example(value: Mapping[str, Any]) -> TrainingExample | list[str]:
    try:
        row = (
            from_sharegpt(value)
            if "conversations" in value
            else _from_messages(value)
            if "messages" in value
            else value
        )
    except (ValueError, KeyError, TypeError) as error:
        return [str(error)]
    faults = schema_faults(row)
    return faults or from_json(row)


def _from_messages(value: Mapping[str, Any]) -> dict[str, Any]:
    """Read `to_messages` without marker lines back; a marker-only row cannot be told from an empty answer and is
    refused."""
    messages, metadata = _checked([dict(turn) for turn in value["messages"]]), value.get("metadata")
    if not isinstance(metadata, Mapping):
        raise ValueError("has messages without `metadata`: the level of the answer is not known")  # noqa: TRY004 (a fault of the row)
    *earlier, question, answer = messages
    levels = iter(metadata.get("levels", []))
    turns = [_levelled(turn, levels) for turn in earlier]
    row = {key: metadata[key] for key in _KEPT if key in metadata}
    row |= {"query": question["content"], "response": answer["content"]}
    return row | ({"turns": turns} if turns else {})


def _levelled(turn: dict[str, str], levels: Any) -> dict[str, Any]:  # noqa: ANN401 (an iterator over JSON)
    if turn["role"] == "user":
        return dict(turn)
    return turn | next(levels, {})


def _pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module, an optional extra."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DatasetError("Parquet needs pyarrow", hint="install it with `pip install 'jessy[parquet]'`") from error


def _write_parquet(path: Path, values: Sequence[Mapping[str, Any]]) -> int:
    """Write one table; a nested value goes in as Arrow's own structure."""
    arrow, parquet = _pyarrow()
    # from_pylist takes the columns of the first row alone: every row is given every column
    columns = list(dict.fromkeys(key for value in values for key in value))
    table = arrow.Table.from_pylist([{column: value.get(column) for column in columns} for value in values])
    with atomic_file(path) as handle:
        parquet.write_table(table, handle, compression="zstd")
    return len(values)


def _parquet_items(path: Path) -> Iterable[Any]:
    arrow, parquet = _pyarrow()
    try:
        if path.stat().st_size > PARQUET_LIMIT:
            raise DatasetError(f"{path.name} is larger than 1 GiB")
        table = parquet.read_table(path)
    except OSError as error:
        raise storage_error(error, path, "read") from error
    except arrow.ArrowException as error:
        raise DatasetError(f"{path.name} is not Parquet: {str(error).splitlines()[0].lower()}") from error
    for number, value in enumerate(table.to_pylist(), start=1):
        yield Line(number, _without_nulls(value))


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Drop what Arrow filled in: a struct column has every field in every row."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
