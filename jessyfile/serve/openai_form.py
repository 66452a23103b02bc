"""How OpenAI's interface writes an answer: one object, or events whose last is `[DONE]`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from msgspec import UNSET

from jessyfile.serve.facts_told import told
from jessyfile.serve.told import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Finish,
    JessyFacts,
    OpenAiError,
    OpenAiFault,
    OpenAiMessage,
    PromptDetails,
    TextChoice,
    TextCompletion,
    TokenDetails,
    Usage,
)  # fmt: skip

if TYPE_CHECKING:
    from jessyfile.serve.desk import QueuedQuestion
    from jessyfile.serve.faults import RefusedError
    from jessyfile.thinking.thought import Thought

_DONE = b"data: [DONE]\n\n"
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def error_body(fault: RefusedError) -> OpenAiError:
    """Return the body of an error of /v1."""
    kind = _TYPES.get(fault.status, "server_error" if fault.status >= 500 else "invalid_request_error")
    return OpenAiError(error=OpenAiFault(message=fault.message, type=kind, param=fault.param, code=fault.code))


def usage(thought: Thought) -> Usage:
    """Return what an answer took, its thoughts among it."""
    spent = thought.tokens + thought.reasoning_tokens
    return Usage(
        prompt_tokens=thought.prompt_tokens,
        completion_tokens=spent,
        total_tokens=thought.prompt_tokens + spent,
        completion_tokens_details=TokenDetails(reasoning_tokens=thought.reasoning_tokens),
        prompt_tokens_details=PromptDetails(cached_tokens=thought.cached_tokens),
    )


def finish(thought: Thought) -> Finish:
    """Return why an answer ended, in OpenAI's words: it was whole, or a limit of tokens or time cut it."""
    return "length" if thought.ended == "cut" or thought.reply.stopped == "length" else "stop"


def event(value: msgspec.Struct) -> bytes:
    """Return one event of a stream."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


class ChatForm:
    """A chat completion. The answer to a task has no job, and thus nothing of jessy's to tell."""

    media_type: str = "text/event-stream"

    def __init__(self, model: str, include_usage: bool) -> None:
        self.id, self.model, self.created = f"chatcmpl-{uuid4().hex}", model, int(time.time())
        self._usage = include_usage

    def begin(self) -> bytes:
        """Say whose turn it is."""
        return self._chunk(OpenAiMessage(role="assistant", content=""))

    def piece(self, thought: str, text: str) -> bytes:
        """Return the next words; a thought stands in both of the fields that clients read."""
        delta = OpenAiMessage(content=text or UNSET, reasoning_content=thought or UNSET, reasoning=thought or UNSET)
        return self._chunk(delta)

    def end(self, job: QueuedQuestion) -> bytes:
        """Say why the answer ended, what it took, and that this was all."""
        if job.thought is None:
            return _DONE
        thought, tells = job.thought, told(job, job.thought)
        last = self._chunk(OpenAiMessage(), finish(thought), tells)
        return last + (self._taken(usage(thought)) if self._usage else b"") + _DONE

    def failed(self, fault: RefusedError) -> bytes:
        """Say that the answer broke off; clients raise an error then."""
        return event(error_body(fault))

    def whole(self, job: QueuedQuestion) -> ChatCompletion:
        """Return the answer as one object."""
        thought = job.thought
        if thought is None:  # pragma: no cover (a job without an error has a thought)
            raise ValueError("the job is not over")
        thoughts = "" if job.question.hidden else job.heard.thoughts
        message = OpenAiMessage(
            role="assistant",
            content=thought.text,
            reasoning_content=thoughts or UNSET,
            reasoning=thoughts or UNSET,
        )
        return self._completion(message, finish(thought), usage(thought), told(job, thought))

    def said(self, text: str) -> ChatCompletion:
        """Return what was said without a model."""
        return self._completion(OpenAiMessage(role="assistant", content=text), "stop", _NOTHING)

    def said_in_events(self, text: str) -> bytes:
        """Return what was said without a model, as a stream."""
        last = self._chunk(OpenAiMessage(), "stop") + (self._taken(_NOTHING) if self._usage else b"")
        return self.begin() + self.piece("", text) + last + _DONE

    def _completion(
        self, message: OpenAiMessage, finished: Finish, took: Usage, tells: JessyFacts | msgspec.UnsetType = UNSET
    ) -> ChatCompletion:
        choice = Choice(message=message, finish_reason=finished)
        return ChatCompletion(
            id=self.id, created=self.created, model=self.model, choices=[choice], usage=took, jessy=tells
        )

    def _chunk(
        self, delta: OpenAiMessage, finished: Finish | None = None, tells: JessyFacts | msgspec.UnsetType = UNSET
    ) -> bytes:
        choice = ChunkChoice(delta=delta, finish_reason=finished)
        taken = None if self._usage else UNSET
        return event(
            ChatChunk(id=self.id, created=self.created, model=self.model, choices=[choice], usage=taken, jessy=tells)
        )

    def _taken(self, took: Usage) -> bytes:
        return event(ChatChunk(id=self.id, created=self.created, model=self.model, choices=[], usage=took))


_NOTHING = Usage(
    prompt_tokens=0,
    completion_tokens=0,
    total_tokens=0,
    completion_tokens_details=TokenDetails(reasoning_tokens=0),
    prompt_tokens_details=PromptDetails(cached_tokens=0),
)


class CompletionForm:
    """A completion of the older kind: text alone."""

    media_type: str = "text/event-stream"

    def __init__(self, model: str, include_usage: bool) -> None:
        self.id, self.model, self.created = f"cmpl-{uuid4().hex}", model, int(time.time())
        self._usage = include_usage

    def begin(self) -> bytes:
        """Nothing comes before the first word."""
        return b""

    def piece(self, thought: str, text: str) -> bytes:
        """Return the next words."""
        return event(self._text(TextChoice(text=text, reasoning_content=thought or UNSET)))

    def end(self, job: QueuedQuestion) -> bytes:
        """Say why the answer ended, what it took, and that this was all."""
        if job.thought is None:  # pragma: no cover (a job without an error has a thought)
            return _DONE
        last = self._text(TextChoice(text="", finish_reason=finish(job.thought)))
        last.jessy = told(job, job.thought)
        last.usage = usage(job.thought) if self._usage else UNSET
        return event(last) + _DONE

    def failed(self, fault: RefusedError) -> bytes:
        """Say that the answer broke off."""
        return event(error_body(fault))

    def whole(self, job: QueuedQuestion) -> TextCompletion:
        """Return the answer as one object."""
        thought = job.thought
        if thought is None:  # pragma: no cover (a job without an error has a thought)
            raise ValueError("the job is not over")
        thoughts = "" if job.question.hidden else job.heard.thoughts
        choice = TextChoice(text=thought.text, finish_reason=finish(thought), reasoning_content=thoughts or UNSET)
        answer = self._text(choice)
        answer.usage, answer.jessy = usage(thought), told(job, thought)
        return answer

    def _text(self, choice: TextChoice) -> TextCompletion:
        return TextCompletion(id=self.id, created=self.created, model=self.model, choices=[choice])
