"""One thing that a person said of one answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from jessyfile.dataset.rows import sentences
from jessyfile.errors import FeedbackError
from jessyfile.language.recipe import Message as Message
from jessyfile.resources import resource
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import MAX_LINE, check_text
from jessyfile.text.printable import json_text
from jessyfile.text.strict_json import RejectedError

Kind = Literal["up", "down", "edit", "regenerate"]
Source = Literal["chat", "page", "api", "import"]
_ROOM = 200  # bytes of a line that its id, time and version take


@dataclass(frozen=True, slots=True)
class Signal:
    """What a person said of an answer to a conversation, whose last turn is the user's.

    signal      a thumb `up` or `down`, an `edit`, or a `regenerate`
    messages    the conversation before the answer, with or without a system prompt
    answer      what the model said, without its marker
    model       its name, as the recipe's NAME says it
    chosen      the corrected answer of an edit, the answer that was kept of a regeneration; else None
    reason      why, in the person's words
    digest      the SHA-256 of the GGUF that answered, empty where nobody knows
    level       with `iterations` what the answer's marker named, None for no marker
    """

    signal: Kind
    messages: tuple[Message, ...]
    answer: str
    model: str
    chosen: str | None = None
    reason: str | None = None
    digest: str = ""
    level: str | None = None
    iterations: int | None = None
    source: Source = "api"

    @property
    def question(self) -> str:
        """The user's last turn."""
        return self.messages[-1].content

    def to_json(self) -> dict[str, Any]:
        """Return it as the schema has it; what is not known is left out."""
        said: dict[str, Any] = {
            "signal": self.signal,
            "model": self.model,
            "digest": self.digest or None,
            "messages": [{"role": one.role, "content": one.content} for one in self.messages],
            "answer": self.answer,
            "chosen": self.chosen,
            "reason": self.reason or None,
            "level": self.level,
            "iterations": self.iterations,
            "source": self.source,
        }
        return {name: value for name, value in said.items() if value is not None}

    def require_sound(self) -> None:
        """Raise FeedbackError with one sentence that says all that is wrong with it."""
        require_sound(self.to_json())


def read_signal(value: Mapping[str, Any]) -> Signal:
    """Return a JSON object as a signal, as `POST /jessy/feedback` gets it. Raises FeedbackError that says all that is wrong."""
    require_sound(value)
    return as_signal(value, "the feedback")


def as_signal(value: Mapping[str, Any], what: str) -> Signal:
    """Return a JSON object of the schema's shape as a signal. Raises StateError."""
    return read_as(Signal, value, what)


def require_sound(value: Mapping[str, Any]) -> None:
    """Raise FeedbackError with one sentence that says all that is wrong with a signal's JSON object."""
    faults = list(_faults(value))
    if faults:
        raise FeedbackError("this feedback cannot be kept: " + "; ".join(faults), hint="docs/feedback.md has its form")


def _faults(value: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield "it is not a JSON object"
        return
    try:
        check_text(dict(value))
        wrong = sentences(_validator().iter_errors(dict(value)))
    except RejectedError as error:
        yield f"it {error}"
        return
    except RecursionError:
        yield "it is nested too deeply"
        return
    yield from wrong
    if wrong:
        return
    roles = [one["role"] for one in value["messages"]]
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != [*["user", "assistant"] * (len(turns) // 2), "user"]:
        yield "`messages` do not alternate from the user to the assistant with the user's last: the answer comes apart"
    size = len(json_text(value).encode("utf-8"))
    if size > MAX_LINE - _ROOM:
        yield f"it takes {size} bytes, more than {MAX_LINE - _ROOM}"


@cache
def _validator() -> Any:  # noqa: ANN401 (jsonschema ships no types)
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(resource("grammar", "feedback.schema.json").read_text("utf-8")))
