"""How Ollama's interface writes an answer: one object, or lines of JSON whose last one is `done`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from jessyfile.serve.facts_told import told
from jessyfile.serve.told import OllamaChatAnswer, OllamaError, OllamaGenerateAnswer, OllamaMessage

if TYPE_CHECKING:
    from jessyfile.serve.desk import QueuedQuestion
    from jessyfile.serve.faults import RefusedError

Answer = OllamaChatAnswer | OllamaGenerateAnswer
_NANOSECONDS = 1_000_000_000


def now() -> str:
    """Return the time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def line(value: msgspec.Struct) -> bytes:
    """Return one line of a stream."""
    return msgspec.json.encode(value) + b"\n"


class OllamaForm:
    """What /api/chat and /api/generate write alike; `chat` tells which of the two it is."""

    media_type: str = "application/x-ndjson"

    def __init__(self, model: str, *, chat: bool) -> None:
        self.model, self._chat = model, chat

    def begin(self) -> bytes:
        """Nothing comes before the first word."""
        return b""

    def piece(self, thought: str, text: str) -> bytes:
        """Return the next words."""
        return line(self._answer(thought, text))

    def end(self, job: QueuedQuestion) -> bytes:
        """Return the last line: why the answer ended and what it took."""
        return line(self._ended(job, self._answer("", "")))

    def failed(self, fault: RefusedError) -> bytes:
        """Say that the answer broke off; clients raise an error then."""
        return line(OllamaError(error=fault.message))

    def whole(self, job: QueuedQuestion) -> Answer:
        """Return the answer as one object."""
        if job.thought is None:  # pragma: no cover (a job without an error has a thought)
            raise ValueError("the job is not over")
        thoughts = "" if job.question.hidden else job.heard.thoughts
        return self._ended(job, self._answer(thoughts, job.thought.text))

    def said(self, text: str, reason: str = "stop") -> Answer:
        """Return what was said without a model."""
        answer = self._answer("", text)
        answer.done, answer.done_reason = True, reason
        answer.total_duration = answer.load_duration = answer.prompt_eval_duration = answer.eval_duration = 0
        answer.prompt_eval_count = answer.eval_count = 0
        return answer

    def _answer(self, thought: str, text: str) -> Answer:
        if self._chat:
            message = OllamaMessage(content=text, thinking=thought or UNSET)
            return OllamaChatAnswer(model=self.model, created_at=now(), message=message)
        return OllamaGenerateAnswer(model=self.model, created_at=now(), response=text, thinking=thought or UNSET)

    def _ended(self, job: QueuedQuestion, answer: Answer) -> Answer:
        thought = job.thought
        if thought is None:  # pragma: no cover (a job without an error has a thought)
            return answer
        first = thought.first_token_seconds or 0.0
        cut = thought.ended == "cut" or thought.reply.stopped == "length"
        answer.done, answer.done_reason = True, "length" if cut else "stop"
        answer.total_duration = _nano(thought.seconds + job.queued_seconds)
        answer.load_duration = 0
        answer.prompt_eval_count, answer.prompt_eval_duration = thought.prompt_tokens, _nano(first)
        answer.eval_count = thought.tokens + thought.reasoning_tokens
        answer.eval_duration = _nano(max(0.0, thought.seconds - first))
        answer.jessy = told(job, thought)
        return answer


def _nano(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)
