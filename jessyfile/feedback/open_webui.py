"""What people said in Open WebUI: the file that its evaluations page exports (`GET /api/v1/evaluations/feedbacks/all/export`), one JSON
array of ratings, each with a snapshot of the chat that it was given in.

A rating of an answer that was edited in the page is an edit, with the first wording as the answer; any other is a thumb.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jessyfile.errors import FeedbackError
from jessyfile.feedback.signal import Message, Signal

_TAGS = (":latest", ":candidate", ":previous")
_THOUGHT = re.compile(r'<details type="reasoning".*?</details>\s*', re.DOTALL)  # how its page keeps a model's thoughts


@dataclass(frozen=True, slots=True)
class GivenSignal:
    """One rating as a signal, with an id that only depends on the rating's own, and the time when it was given."""

    id: str
    time: str
    signal: Signal


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A rating that is no signal: its number in the file, counted from 1, and why."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"rating {self.number} {self.why}"


def is_export(text: str) -> bool:
    """Whether a file's text may be Open WebUI's export: one JSON array."""
    return text.lstrip().startswith("[")


def read_export(text: str, name: str) -> list[GivenSignal | PassedOver]:
    """Return every rating of an export, as a signal or with the reason why it is none. Raises FeedbackError for another file."""
    try:
        ratings = json.loads(text)
    except (ValueError, RecursionError):
        ratings = None
    if not isinstance(ratings, list) or not all(isinstance(one, dict) for one in ratings):
        raise FeedbackError(
            f"`{name}` is no export of Open WebUI's feedback: that is one JSON array of objects",
            hint="Admin Panel, Evaluations, Feedbacks, Export",
        )
    return [_read(one, number) for number, one in enumerate(ratings, start=1)]


def _read(rating: Mapping[str, Any], number: int) -> GivenSignal | PassedOver:
    data, meta = _object(rating.get("data")), _object(rating.get("meta"))
    try:
        thumb = int(data.get("rating", 0))
    except (TypeError, ValueError):
        thumb = 0
    if thumb not in (1, -1):
        return PassedOver(number, "is neither a thumb up nor one down")
    messages = _history(rating)
    answer = messages.get(str(meta.get("message_id")), {})
    if answer.get("role") != "assistant":
        return PassedOver(number, "has no snapshot of the chat that holds the answer")
    before = list(_before(messages, answer))[::-1]
    said, first = _content(answer), _content(answer, "originalContent")
    edited = bool(first) and first != said
    why = ". ".join(str(part) for part in (data.get("reason"), data.get("comment")) if part)
    try:
        signal = Signal(
            signal="edit" if edited else "up" if thumb > 0 else "down",
            messages=tuple(before),
            answer=first if edited else said,
            chosen=said if edited else None,
            model=_bare(str(data.get("model_id") or answer.get("model") or "")),
            reason=why[:4000] or None,
            source="import",
        )
        signal.require_sound()
    except FeedbackError as error:
        return PassedOver(number, error.message)
    own = str(rating.get("id") or json.dumps(signal.to_json(), sort_keys=True))
    digest = hashlib.sha256(f"open-webui\0{own}".encode("utf-8", "replace")).hexdigest()
    return GivenSignal(f"f{digest[:16]}", _time(rating.get("created_at")), signal)


def _history(rating: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the chat's messages by their ids; none where there is no snapshot."""
    chat = _object(_object(rating.get("snapshot")).get("chat"))
    history = _object(_object(chat.get("chat") or chat).get("history"))
    return {key: value for key, value in _object(history.get("messages")).items() if isinstance(value, dict)}


def _before(messages: Mapping[str, Mapping[str, Any]], answer: Mapping[str, Any]) -> Iterator[Message]:
    """Yield the turns before an answer, the last first."""
    seen = set[str]()
    above = str(answer.get("parentId"))
    while above in messages and above not in seen:
        seen.add(above)
        turn = messages[above]
        yield Message(turn.get("role", "user"), _content(turn))
        above = str(turn.get("parentId"))


def _content(turn: Mapping[str, Any], name: str = "content") -> str:
    return _THOUGHT.sub("", str(turn.get(name) or "")).strip()


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _bare(model: str) -> str:
    return next((model.removesuffix(tag) for tag in _TAGS if model.endswith(tag)), model)


def _time(seconds: object) -> str:
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
