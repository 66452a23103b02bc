"""What is kept of a request while it is answered, for the access log and the metrics: numbers and names, and words only where asked."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import msgspec

from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from starlette.requests import Request

    from jessyfile.serve.desk import QueuedQuestion
    from jessyfile.serve.faults import RefusedError
    from jessyfile.serve.metrics import ServeMetrics

_OTHER = "other"


class AccessEntry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of the access log. `seconds` is the whole request; words stand in it only with `--log-words`."""

    time: str
    id: str
    method: str
    route: str
    status: int
    seconds: float
    client: str = ""
    code: str = ""
    model: str = ""
    level: str = ""
    iterations: int = 0
    ended: str = ""
    queued_seconds: float = 0.0
    prompt_tokens: int = 0
    tokens: int = 0
    left: bool = False
    task: bool = False
    question: str = ""
    answer: str = ""


@dataclass(slots=True)
class Notes:
    """What is known of one request so far."""

    id: str
    method: str
    route: str = _OTHER
    status: int = 0
    fault: RefusedError | None = None
    left: bool = False
    task: bool = False
    job: QueuedQuestion | None = None
    began: float = field(default_factory=time.perf_counter)

    def take(self, job: QueuedQuestion) -> None:
        """Note the question that the request asked."""
        self.job = job

    @staticmethod
    def of(request: Request) -> Notes:
        """Return the notes of a request."""
        found = request.scope["jessy.notes"]
        if not isinstance(found, Notes):  # pragma: no cover (the outermost layer puts them there)
            raise TypeError("the request has no notes")
        return found


def count(notes: Notes, metrics: ServeMetrics) -> None:
    """Count a request that is over."""
    seconds = time.perf_counter() - notes.began
    metrics.count("jessy_requests_total", route=notes.route, method=notes.method, status=str(notes.status))
    metrics.observe("jessy_request_seconds", seconds, route=notes.route)
    if notes.fault is not None and notes.job is None:
        metrics.count("jessy_refused_total", reason=notes.fault.code)
    if notes.task:
        metrics.count("jessy_tasks_total")
    if notes.left:
        metrics.count("jessy_abandoned_total")
    if notes.job is not None:
        _count_answer(notes.job, metrics)


def _count_answer(job: QueuedQuestion, metrics: ServeMetrics) -> None:
    if job.began is not None:
        metrics.observe("jessy_queue_seconds", job.queued_seconds)
    if job.first is not None and job.began is not None:
        metrics.observe("jessy_first_token_seconds", job.first - job.began)
    thought, facts = job.thought, job.facts
    if thought is None or facts is None:
        return
    metrics.count("jessy_answers_total", model=facts.called, level=thought.level or "none", ended=thought.ended)
    for kind, tokens in (
        ("prompt", thought.prompt_tokens),
        ("answer", thought.tokens),
        ("thought", thought.reasoning_tokens),
    ):
        metrics.count("jessy_tokens_total", tokens, model=facts.called, kind=kind)


def log(notes: Notes, client: str, stream: TextIO, *, words: bool) -> None:
    """Write a request that is over as one line of JSON.

    Args:
        notes: what is known of it.
        client: the address it came from.
        stream: where the line goes.
        words: whether it also says what was asked and answered.
    """
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    entry = AccessEntry(
        time=stamp,
        id=notes.id,
        method=notes.method,
        route=notes.route,
        status=notes.status,
        seconds=round(time.perf_counter() - notes.began, 4),
        client=client,
        code=notes.fault.code if notes.fault is not None else "",
        left=notes.left,
        task=notes.task,
    )
    if notes.job is not None:
        _answer(entry, notes.job, words=words)
    with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more, and the answer was given
        stream.write(json_text(msgspec.to_builtins(entry)) + "\n")
        stream.flush()


def _answer(entry: AccessEntry, job: QueuedQuestion, *, words: bool) -> None:
    thought = job.thought
    entry.model = job.facts.called if job.facts is not None else ""
    entry.queued_seconds = round(job.queued_seconds, 4)
    if thought is not None:
        entry.level, entry.iterations, entry.ended = thought.level or "", thought.iterations, thought.ended
        entry.prompt_tokens, entry.tokens = thought.prompt_tokens, thought.tokens + thought.reasoning_tokens
    if words:
        entry.question = job.question.messages[-1].content
        entry.answer = thought.text if thought is not None else job.heard.text
