"""Preferences: two answers to one conversation of which the first is the better one, or one answer that was judged."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize

from jessyfile.dataset.example import TrainingExample, Turn, turn_message
from jessyfile.dataset.filters import row_checks
from jessyfile.dataset.formatted import FormattedRow
from jessyfile.dataset.preference_forms import own_form
from jessyfile.dataset.rows import sentences
from jessyfile.language.recipe import Message
from jessyfile.resources import resource
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import Fault, Line, read_jsonl, read_result
from jessyfile.text.turkish import nfc

if TYPE_CHECKING:
    from jessyfile.language.recipe import Complexity

CATEGORY = "preferences"
# what Unicode has no sign for: its format characters, joiners, fillers, selectors of a variant and tags
_UNSEEN = re.compile(
    "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e"
    "\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\U000e0000-\\U000e0fff]"
)


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to one conversation, of which `chosen` is the better one.

    `messages` end with the user's; an earlier answer carries its level and iterations where the row says them. `level` and
    `iterations` are what the marker before both answers names, None for no marker. No text holds the marker itself.
    """

    messages: tuple[Turn, ...]
    chosen: str
    rejected: str
    level: str | None = None
    iterations: int | None = None
    source: str = "hand"
    place: str = ""

    @property
    def answers(self) -> tuple[tuple[str, bool], ...]:
        """Its answers, each with whether it is a good one."""
        return (self.chosen, True), (self.rejected, False)


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One answer to a conversation, and whether it is a good one (`label`); the rest is as in `Preference`."""

    messages: tuple[Turn, ...]
    completion: str
    label: bool
    level: str | None = None
    iterations: int | None = None
    source: str = "hand"
    place: str = ""

    @property
    def answers(self) -> tuple[tuple[str, bool], ...]:
        """The answer, with whether it is a good one."""
        return ((self.completion, self.label),)


AnyPreference = Preference | JudgedAnswer


@dataclass(frozen=True, slots=True)
class Told:
    """A preference as a file tells it, with the system prompt that its conversation begins with, if it has one."""

    row: AnyPreference
    system: str | None = None


def judged(row: AnyPreference) -> tuple[JudgedAnswer, ...]:
    """Return a preference as judged answers: a pair is a good and a bad one."""
    if isinstance(row, JudgedAnswer):
        return (row,)
    about = (row.level, row.iterations, row.source, row.place)
    return tuple(JudgedAnswer(row.messages, answer, good, *about) for answer, good in row.answers)


def answered(row: AnyPreference, answer: str, marker: str | None) -> FormattedRow:
    """Return a preference's conversation with one of its answers, as training reads rows.

    The marker's line stands before the answer, and before earlier ones, where the row says their level.
    """
    turns = (*row.messages, Turn("assistant", answer, row.level, row.iterations))
    answers = [turn for turn in turns if turn.role == "assistant"]
    return FormattedRow(
        messages=tuple(Message(**turn_message(turn, marker)) for turn in turns),  # type: ignore[arg-type]
        kind="chat",
        category=CATEGORY,
        topic="",
        level=row.level,
        iterations=row.iterations,
        language="mixed",
        tags=(),
        id=row.place,
        levels=tuple(
            (turn.complexity, turn.iterations) if turn.complexity and turn.iterations else None for turn in answers
        ),
    )


def comparable(text: str) -> str:
    """Return a text as answers are compared: letters that look alike made one, without characters that nobody sees, its white
    space single."""
    return " ".join(normalize("NFKC", _UNSEEN.sub("", text)).split())


def conversation_key(row: AnyPreference) -> tuple[str, ...]:
    """Return what two rows share that answer the same conversation."""
    return tuple(comparable(turn.content) for turn in row.messages)


def read_file(path: Path, name: str, complexity: Complexity, allow: Collection[str] = ()) -> Iterator[Told | Fault]:
    """Yield the preferences of a file, those of other tools' forms among them; what is wrong with a line is a Fault.

    Args:
        path: the file of JSON lines.
        name: what stands for the file in faults and places.
        complexity: the levels that rows may name, and the marker that no text may hold.
        allow: the filters that no text need pass.
    """
    for item in read_jsonl(path, name):
        if isinstance(item, Fault):
            yield item
            continue
        try:
            told = _read(item, name)
        except ValueError as error:
            yield Fault(name, item.number, str(error))
            continue
        faults = [told] if isinstance(told, str) else list(preference_faults(told.row, complexity, allow))
        yield from (Fault(name, item.number, fault) for fault in faults)
        if isinstance(told, Told) and not faults:
            yield told


def _read(item: Line, name: str) -> Told | str:
    """Return a line's preference, or what the schema says against it. Raises ValueError."""
    value = own_form(item.value)
    wrong = sentences(_validator("completion" in value or "label" in value).iter_errors(value))
    if wrong:
        return "; ".join(wrong)
    system, turns = _conversation(value["messages"])
    about = (value.get("level"), value.get("iterations"), value.get("source", "hand"), f"{name}:{item.number}")
    if "completion" in value:
        return Told(JudgedAnswer(turns, _text(value["completion"]), value["label"], *about), system)
    return Told(Preference(turns, _text(value["chosen"]), _text(value["rejected"]), *about), system)


@cache
def _validator(judged_answer: bool) -> Any:  # noqa: ANN401 (jsonschema ships no types)
    from jsonschema import Draft202012Validator

    schema = json.loads(resource("grammar", "preference.schema.json").read_text("utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{'judged' if judged_answer else 'pair'}", "$defs": schema["$defs"]})


def _text(text: str) -> str:
    return nfc(text).strip()


def _conversation(messages: list[Mapping[str, Any]]) -> tuple[str | None, tuple[Turn, ...]]:
    """Return the system prompt that opens a conversation, and its turns. Raises ValueError."""
    opening = messages[:1] if messages[0]["role"] == "system" else []
    turns = messages[len(opening) :]
    roles = [turn["role"] for turn in turns]
    if not roles or roles[-1] != "user":
        raise ValueError("its messages do not end with the user's: the answers come apart from them")
    if roles != [*["user", "assistant"] * (len(roles) // 2), "user"]:
        raise ValueError("its turns do not alternate from the user to the assistant")
    found = (Turn(turn["role"], _text(turn["content"]), turn.get("level"), turn.get("iterations")) for turn in turns)
    return opening[0]["content"] if opening else None, tuple(found)


def preference_faults(row: AnyPreference, complexity: Complexity, allow: Collection[str] = ()) -> Iterator[str]:
    """Yield what is wrong with a preference by itself: empty or equal texts, and what the filters refuse of any row."""
    if not all(turn.content for turn in row.messages):
        yield "holds an empty turn"
    names = ("chosen", "rejected") if isinstance(row, Preference) else ("completion",)
    told = [(name, *answer) for name, answer in zip(names, row.answers, strict=True)]
    empty = [name for name, answer, _ in told if not comparable(answer)]
    yield from (f"`{name}` is empty" for name in empty)
    if isinstance(row, Preference) and not empty and comparable(row.chosen) == comparable(row.rejected):
        yield "`chosen` and `rejected` say the same: none is preferred"
    checks = {name: check for name, check in row_checks(complexity, allow).items() if name != "schema"}
    asked = example_of(row, None, complexity)
    yield from (reason for check in checks.values() if (reason := check(asked)))
    for name, answer, good in told:
        alone = replace(asked, query="", turns=(), response=answer)
        # a bad answer may loop: that is a reason to reject it
        found = (check(alone) for kind, check in checks.items() if kind != "level" and (good or kind != "repetition"))
        yield from (f"`{name}`: {reason}" for reason in found if reason)


def example_of(row: AnyPreference, answer: str | None, complexity: Complexity) -> TrainingExample:
    """Return a preference with one answer as a row; where it names no level, as one of the highest, which is held to least."""
    highest = complexity.levels[-1]
    *earlier, asked = row.messages
    return TrainingExample(
        query=asked.content,
        response=answer,
        complexity=row.level or highest.name,
        iterations_needed=row.iterations or highest.iterations[0],
        category=CATEGORY,
        language="mixed",
        topic="pairs" if isinstance(row, Preference) else "good" if row.label else "bad",
        turns=earlier,
        source=row.source,
    )


def read_compared(path: Path, method: Literal["dpo", "kto"]) -> Sequence[AnyPreference]:
    """Return what the step `preferences` wrote: pairs for dpo, judged answers for kto. Raises StorageError or StateError for a
    damaged file."""
    kind: type[AnyPreference] = Preference if method == "dpo" else JudgedAnswer
    return [read_as(kind, value, f"a preference of `{path}`") for value in read_result(path)]


def preference_json(row: AnyPreference) -> dict[str, Any]:
    """Return a preference as a file that PREFER names has it."""
    value: dict[str, Any] = {"messages": [{"role": turn.role, "content": turn.content} for turn in row.messages]}
    if isinstance(row, Preference):
        value |= {"chosen": row.chosen, "rejected": row.rejected}
    else:
        value |= {"completion": row.completion, "label": row.label}
    if row.level is not None and row.iterations is not None:
        value |= {"level": row.level, "iterations": row.iterations}
    return value | {"source": row.source}
