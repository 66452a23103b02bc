"""Rows as other tools write and read them: ShareGPT, messages, prompt and completion, and our own; as JSON lines or
Parquet.

ShareGPT names its speakers `from` and its text `value`; jessy writes `human` and `jessy` and keeps the rest of a row
under `metadata`, so that reading back what was written gives the same row. Messages are for mlx-lm and TRL and keep it
there too; completions say nothing of levels unless the marker is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.marker import render
from jessyfile.dataset.parquet import read_parquet, write_parquet
from jessyfile.dataset.places import MARKERS
from jessyfile.dataset.rows import Row, from_json, schema_faults, to_json
from jessyfile.errors import DatasetError
from jessyfile.text.json_lines import Fault, Line, check_text, read_jsonl, write_jsonl
from jessyfile.text.printable import json_text
from jessyfile.text.row_forms import pair_of

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample

SPEAKERS = {"user": "human", "assistant": "jessy", "system": "system"}
ROLES = {
    "human": "user",
    "user": "user",
    "jessy": "assistant",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
}
SHAPE = ("type", "required", "additionalProperties")  # what a row must be to be one; `faults` says the rest
_ABOUT = ("category", "topic", "language", "tags", "source", "paraphrases")
_KEPT = ("complexity", "iterations", *_ABOUT)
SECONDS_AN_ITERATION = 2  # the pace at which every level stays within its time: 2-4 s, 6-10 s, 12-18 s


def to_sharegpt(example: TrainingExample) -> dict[str, Any]:
    """Return `{"conversations": [{"from", "value"}...]}`, each answer with its `metadata`; what the whole row is
    stands beside it, so that it can be read back."""
    turns = [_said(turn.role, turn.content, turn.complexity, turn.iterations) for turn in example.turns]
    turns.append(_said("user", example.query, None, None))
    row = to_json(example)
    if example.response is not None:
        turns.append(_said("assistant", example.response, example.level, example.iterations_needed))
    kept = _KEPT if example.is_marker else _ABOUT
    return {"conversations": turns, "metadata": {key: row[key] for key in kept if key in row}}


def _said(role: str, value: str, level: str | None, iterations: int | None) -> dict[str, Any]:
    said: dict[str, Any] = {"from": SPEAKERS[role], "value": value}
    if level is None or iterations is None:
        return said
    time = f"{SECONDS_AN_ITERATION * iterations}s"
    return said | {"metadata": {"complexity": level, "iterations_used": iterations, "response_time": time}}


def from_sharegpt(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that `to_sharegpt` was given, as the schema has it. Raises ValueError with one sentence."""
    turns = value.get("conversations")
    if not isinstance(turns, list):
        raise ValueError("has no list of `conversations`")  # noqa: TRY004 (a fault of the row)
    said = [turn for turn in map(_heard, turns) if turn["role"] != "system"]
    row = _about(value)
    if said and said[-1]["role"] == "assistant":
        answer = said.pop()
        row |= {("response" if key == "content" else key): answer[key] for key in answer if key != "role"}
    if not said or said[-1]["role"] != "user":
        raise ValueError("does not end with a question and its answer")
    row["query"] = said.pop()["content"]
    return row | ({"turns": said} if said else {})


def _heard(turn: object) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise ValueError("holds a turn that is no object")  # noqa: TRY004 (a fault of the row)
    role = ROLES.get(str(turn.get("from", "")))
    if role is None or not isinstance(turn.get("value"), str):
        raise ValueError(f"holds a turn from `{str(turn.get('from'))[:40]}`, not one of {', '.join(ROLES)}")
    heard: dict[str, Any] = {"role": role, "content": turn["value"]}
    metadata = turn.get("metadata")
    if role != "assistant" or not isinstance(metadata, Mapping):
        return heard
    names = {"complexity": "complexity", "iterations": "iterations", "iterations_used": "iterations"}
    return heard | {names[key]: metadata[key] for key in names if key in metadata}


def _about(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands beside a conversation about the row as a whole; nothing in a file of another tool."""
    metadata = value.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise ValueError("has a `metadata` that is no object")  # noqa: TRY004 (a fault of the row)
    return {key: metadata[key] for key in _KEPT if key in metadata}


def to_messages(example: TrainingExample, marker: str | None = None) -> dict[str, Any]:
    """Return `{"messages": [...]}` with what the row is beside it, so that it can be read back."""
    row = to_json(example)
    answers = (turn for turn in example.turns if turn.role == "assistant")
    levels = [{"complexity": turn.complexity, "iterations": turn.iterations} for turn in answers]
    about = (
        {key: row[key] for key in _KEPT if key in row}
        | {"levels": levels}
        | ({} if marker is None else {"marker": marker})
    )
    messages = example.to_mlx_format(marker)["messages"]
    for message, said in zip(messages, [*(turn.content for turn in example.turns), example.query], strict=False):
        if message["role"] == "user":
            message["content"] = said  # untrimmed: a file gives back what it was given, the chat template trims
    return {"messages": messages, "metadata": about}


def to_completion(example: TrainingExample, marker: str | None = None) -> dict[str, Any]:
    """Return `{"prompt", "completion"}`; earlier turns go into the prompt, one a line with their speaker."""
    *earlier, question, answer = example.to_mlx_format(marker)["messages"]
    lines = [f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in earlier]
    return {"prompt": "\n".join([*lines, question["content"]]), "completion": answer["content"]}


def conversation_messages(value: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the messages of a row in any form of another tool, without a system prompt.
    Raises ValueError with one sentence."""
    return _checked([turn for turn in _told(value) if turn["role"] != "system"])


def learned_answers(value: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return of each answer of a row in any form whether it is learned; nothing where all are.

    `"weight": 0`, `"train": false` and `"loss": false` beside an answer, or beside the whole row, say that it only stands
    there. Raises ValueError when no answer is left to learn, or an answer's weight is neither 0 nor 1.
    """
    own = [*value.get("turns", ()), {"role": "assistant"}]
    told = next((value[key] for key in ("messages", "conversations") if isinstance(value.get(key), list)), own)
    turns = (turn for turn in told if isinstance(turn, Mapping))
    learned = tuple(_is_learned(turn) for turn in turns if ROLES.get(_speaker(turn)) == "assistant")
    if (learned and not any(learned)) or _stands(value):
        raise ValueError("leaves no answer to learn: each is marked as not to be trained")
    return () if all(learned) else learned


def _speaker(turn: Mapping[str, Any]) -> str:
    return str(turn.get("role", turn.get("from")))


def _is_learned(turn: Mapping[str, Any]) -> bool:
    weight = turn.get("weight")
    if weight not in (None, 0, 1):
        raise ValueError(f"has an answer of weight {weight!r:.40}; an answer is learned (1) or not (0)")
    return not _stands(turn)


def _stands(marked: Mapping[str, Any]) -> bool:
    return marked.get("weight", 1) == 0 or marked.get("train") is False or marked.get("loss") is False


def spoken(value: Mapping[str, Any], *, whole: bool = True) -> list[dict[str, str]]:
    """Return the messages of a row in any form, jessy's own too, with the system prompt that opens it or stands beside it.

    One that need not be `whole` may begin with an answer or end with a question. Raises ValueError.
    """
    own = "query" in value and pair_of(value) in (None, ("query", "response"))
    turns = _own_turns(value) if own else _told(value)
    opening = turns[:1] if turns and turns[0]["role"] == "system" else _system_beside(value)
    rest = turns[1:] if turns and turns[0]["role"] == "system" else turns
    return [*opening, *(_checked(rest) if whole else _filled(rest))]


def _system_beside(value: Mapping[str, Any]) -> list[dict[str, str]]:
    system = value.get("system")
    return [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []


def _own_turns(value: Mapping[str, Any]) -> list[dict[str, str]]:
    earlier, response = value.get("turns", []), value.get("response")
    if not isinstance(response, str):
        raise ValueError("has no `response` to train")  # noqa: TRY004 (a fault of the row)
    last = {"role": "user", "content": value["query"]}, {"role": "assistant", "content": response}
    return [_message(turn) for turn in [*(earlier if isinstance(earlier, list) else [earlier]), *last]]


def _told(value: Mapping[str, Any]) -> list[dict[str, str]]:
    if isinstance(value.get("messages"), list):
        turns = [(turn.get("role"), turn.get("content")) for turn in map(_object, value["messages"])]
    elif isinstance(value.get("conversations"), list):
        turns = [(turn.get("from"), turn.get("value")) for turn in map(_object, value["conversations"])]
    else:
        turns = _pair(value)
    return [{"role": ROLES.get(str(role), str(role)), "content": message_text(content)} for role, content in turns]


def _pair(value: Mapping[str, Any]) -> list[tuple[object, object]]:
    """Return the turns of a question and its answer, each a text or, as TRL writes them, a list of messages."""
    names = pair_of(value)
    if names is None:
        raise ValueError("is in none of the forms messages, conversations, Alpaca, question and answer")
    asked, told = (value[name] for name in names)
    more = value.get("input")
    if names[0] == "instruction" and isinstance(more, str) and more.strip():
        asked = f"{asked}\n\n{more}"
    return [*_said_by("user", asked), *_said_by("assistant", told)]


def _said_by(role: str, said: object) -> list[tuple[object, object]]:
    """Return a side's turns: messages, a text, or a number or an object as its JSON."""
    if isinstance(said, list) and all(isinstance(turn, Mapping) and "role" in turn for turn in said):
        return [(turn.get("role"), turn.get("content")) for turn in said]
    return [(role, json_text(said) if isinstance(said, int | float | Mapping) else said)]


def _object(turn: object) -> Mapping[str, Any]:
    if not isinstance(turn, Mapping):
        raise ValueError("holds a turn that is no object")  # noqa: TRY004 (a fault of the row)
    return turn


def message_text(content: object) -> str:
    """Return a message's text, which may come in parts; what is no text (an image, a tool's call) cannot be trained."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    if not parts or len(texts) < len(parts):
        raise ValueError("holds a message that is not text alone")
    return "".join(texts)


def _checked(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    return _filled(_alternating(messages))


def _filled(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    empty = next((turn["role"] for turn in _of_two(messages) if not turn["content"].strip()), None)
    if empty is not None:
        raise ValueError(f"holds an empty turn of the {empty}")
    return [{"role": turn["role"], "content": turn["content"].strip()} for turn in messages]


def _of_two(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    other = next((turn["role"] for turn in messages if turn["role"] not in ("user", "assistant")), None)
    if other is not None:
        raise ValueError(f"holds a turn of `{other:.40}`, which is neither the user's nor the assistant's")
    return messages


def _alternating(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    expected = ["user", "assistant"] * (len(messages) // 2)
    if not messages or [turn["role"] for turn in _of_two(messages)] != expected:
        raise ValueError("its turns do not alternate from the user to the assistant")
    return messages


FORMATS: Mapping[str, Callable[[TrainingExample, str | None], dict[str, Any]]] = {
    "jessy": lambda example, _: to_json(example),
    "sharegpt": lambda example, _: to_sharegpt(example),
    "messages": to_messages,
    "completions": to_completion,
}


def save_rows(path: Path, examples: Iterable[TrainingExample], form: str = "jessy", marker: str | None = None) -> int:
    """Write training rows to a file.

    Args:
        path: the file; a name that ends in `.parquet` is written as Parquet, any other as JSON lines.
        examples: the rows.
        form: one of `FORMATS`.
        marker: the recipe's marker line, for forms that put it before the answer; None leaves it out.

    Returns:
        The number of rows written.

    Raises:
        DatasetError: the form is unknown, or a row's text cannot be encoded.
    """
    if form not in FORMATS:
        raise DatasetError(f"there is no format `{form[:40]}`", hint=f"formats: {', '.join(FORMATS)}")
    values = [FORMATS[form](example, marker) for example in examples]
    for number, value in enumerate(values, start=1):
        try:
            check_text(value)
        except ValueError as error:
            raise DatasetError(f"row {number} {error}", hint="correct the text, then save again") from error
    return write_parquet(path, values) if path.suffix == ".parquet" else write_jsonl(path, values)


def read_examples(
    path: Path,
    name: str | None = None,
    lacking: Mapping[str, object] | None = None,
    rules: Collection[str] | None = None,
) -> tuple[list[Row], list[Fault]]:
    """Read rows back from JSON lines or Parquet, their text as it was written.

    Args:
        path: The file, in our own form, ShareGPT, messages, or prompts and completions.
        name: What stands for the file in faults.
        lacking: Values, by the schema's names, for rows that do not say them.
        rules: The schema's keywords that are checked, such as `SHAPE`; None for all.

    Returns:
        The rows, and a Fault with its line or row number for each that cannot be read.
    """
    shown = name or str(path)
    rows: list[Row] = []
    faults: list[Fault] = []
    for item in read_items(path, shown):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        found = _example(item.value, lacking or {}, rules)
        if isinstance(found, list):
            faults += [Fault(shown, item.number, reason) for reason in found]
        else:
            rows.append(Row(found, f"{shown}:{item.number}"))
    return rows, faults


def read_items(path: Path, name: str) -> Iterable[Line | Fault]:
    """Return the rows of JSON lines or of Parquet as they are written; `name` stands for the file in faults."""
    return read_parquet(path) if path.suffix == ".parquet" else read_jsonl(path, name)


def _example(
    value: Mapping[str, Any], lacking: Mapping[str, object], rules: Collection[str] | None
) -> TrainingExample | list[str]:
    try:
        row = {**lacking, **_row(value)}
        if learned_answers(value):
            return ["has an answer that is not to be trained, which a row of jessy's cannot say; leave it out"]
    except (ValueError, KeyError, TypeError) as error:
        return [str(error)]
    if row.keys() != value.keys() and "category" in row:
        row = {"source": "import", "topic": row["category"], **row}
    level = {key: lacking[key] for key in ("complexity", "iterations") if key in lacking}
    if level and isinstance(row.get("turns"), list):
        row["turns"] = [{**level, **turn} if turn.get("role") == "assistant" else turn for turn in row["turns"]]
    return schema_faults(row, rules) or from_json(row, spell=str)


def _row(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if "conversations" in value:
        return from_sharegpt(value)
    if "messages" in value:
        return _from_messages(value)
    if "prompt" in value and "completion" in value:
        return {"query": value["prompt"], "response": value["completion"]}
    return value


def _from_messages(value: Mapping[str, Any]) -> dict[str, Any]:
    """Read `to_messages` back; without a marker line a marker-only row cannot be told from an empty answer and is
    refused."""
    said = [_message(turn) for turn in value["messages"]]
    *earlier, question, answer = _alternating([turn for turn in said if turn["role"] != "system"])
    row = _about(value)
    metadata = value.get("metadata", {})
    levels, marker = iter(metadata.get("levels", [])), metadata.get("marker")
    turns = [_unmarked(_levelled(turn, levels), marker) for turn in earlier]
    last = _unmarked({**row, **answer}, marker)
    row["query"] = question["content"]
    if last["content"] or row.get("category") != MARKERS:
        row["response"] = last["content"]
    return row | ({"turns": turns} if turns else {})


def _message(turn: object) -> dict[str, str]:
    said = _object(turn)
    return {"role": str(said.get("role")), "content": message_text(said.get("content"))}


def _levelled(turn: dict[str, str], levels: Any) -> dict[str, Any]:  # noqa: ANN401 (an iterator over JSON)
    if turn["role"] == "user":
        return dict(turn)
    return turn | next(levels, {})


def _unmarked(turn: dict[str, Any], marker: object) -> dict[str, Any]:
    """Return an answer without the marker line that `to_messages` wrote before it."""
    if turn["role"] == "user" or not isinstance(marker, str):
        return turn
    line = render(marker, str(turn.get("complexity")), int(turn.get("iterations", 0))) + "\n"
    return turn | {"content": turn["content"].removeprefix(line)}
