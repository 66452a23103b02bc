"""The line before one model: who waits, who is answered, and by which loaded model. It knows no protocol and no event loop.

A `Shift` is one loaded model with as many threads as it answers at once. When another model is promoted, a new shift begins at the same
desk, and the old one ends after what it has begun: nobody in the line notices.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from jessyfile.errors import ContextFullError, JessyError
from jessyfile.serve.faults import RefusedError
from jessyfile.thinking.thought import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.language.recipe import Message
    from jessyfile.serve.question import ServedQuestion
    from jessyfile.serve.served import ServedFacts
    from jessyfile.thinking.thought import Event, OnEvent, Thought, Wishes

_LOG = logging.getLogger("jessy.serve")
_BETWEEN_DRAFTS = "\n\n"
_FIRST_GUESS = 5.0  # seconds of an answer, as long as none was given
_LONGEST_RETRY = 60


class Heard(NamedTuple):
    """What there is of an answer so far: the drafts, and of the answer itself what is sure to stay."""

    thoughts: str = ""
    text: str = ""


@dataclass(slots=True)
class QueuedQuestion:
    """One question on its way. `news` is called by the thread that answers whenever there is more to read, at the end too; it must not block.

    `seconds` is the longest time of its answer, counted from its turn. `thought` or `error` is set at the end. `cut` ends the answer at its
    next piece.
    """

    question: ServedQuestion
    news: Callable[[], None]
    seconds: float
    heard: Heard = field(default_factory=Heard)
    thought: Thought | None = None
    error: BaseException | None = None
    cut: bool = False
    over: bool = False
    forgotten: int = 0
    facts: ServedFacts | None = None
    admitted: float = field(default_factory=time.perf_counter)
    began: float | None = None
    first: float | None = None
    _drafts: dict[int, str] = field(default_factory=dict)

    @property
    def queued_seconds(self) -> float:
        """How long it waited, or waits."""
        return (self.began or time.perf_counter()) - self.admitted

    def event(self, event: Event) -> bool:
        """Take what the thinker shows; return True to cut."""
        if isinstance(event, Piece):
            self._piece(event)
        return self.cut or (self.began is not None and time.perf_counter() - self.began > self.seconds)

    def shown(self) -> Heard:
        """Return what there is of the answer; at the end the answer itself, whichever draft it is."""
        thought = self.thought
        return self.heard if thought is None else self.heard._replace(text=thought.text)

    def _piece(self, piece: Piece) -> None:
        if self.first is None:
            self.first = time.perf_counter()
        if piece.final:
            self.heard = self.heard._replace(text=piece.text)
        else:
            self._drafts[piece.number] = piece.text
            self.heard = self.heard._replace(thoughts=_BETWEEN_DRAFTS.join(self._drafts.values()))
        self.news()

    def end(self, thought: Thought | None, error: BaseException | None) -> None:
        """Close the job with what came of it."""
        self.thought, self.error, self.over = thought, error, True
        self.news()


class Speaker(Protocol):
    """What answers at a desk: a loaded model. `parallel` threads may ask it at once."""

    @property
    def parallel(self) -> int:
        """How many answers it gives at once."""

    @property
    def facts(self) -> ServedFacts:
        """What the model is."""

    def answer(self, messages: Sequence[Message], wishes: Wishes, on_event: OnEvent) -> Thought:
        """Answer a conversation; `on_event` is shown the answer as it comes, and cuts it by returning True."""

    def unload(self) -> None:
        """Give the memory back."""


class Shift:
    """One loaded model at a desk. Its threads answer until the shift is told to end; the last of them gives the memory back."""

    def __init__(self, desk: Desk, speaker: Speaker) -> None:
        self.desk, self.speaker, self.ended = desk, speaker, False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(max(1, speaker.parallel))]
        self._at_work = len(self._threads)

    def begin(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for the threads of an ended shift; return whether all are done."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (job := self.desk.next_job(self)) is not None:
            self._answer(job)
        if self.desk.leaves_last(self):
            self.speaker.unload()

    def left(self) -> bool:
        """Count one thread as gone; return whether it was the last. Called with the desk's lock held."""
        self._at_work -= 1
        return self._at_work == 0

    def _answer(self, job: QueuedQuestion) -> None:
        job.began, job.facts = time.perf_counter(), self.speaker.facts
        thought: Thought | None = None
        error: BaseException | None = None
        try:
            thought = self._asked(job)
        except Exception as failed:  # noqa: BLE001 (told to the one who asked; the thread goes on)
            error = failed
            if not isinstance(failed, JessyError):
                _LOG.exception("a bug in jessy while it answered")
        self.desk.done(job)
        job.end(thought, error)

    def _asked(self, job: QueuedQuestion) -> Thought:
        """Ask; the oldest turns are left out while the conversation does not fit, as `jessy chat` does it."""
        turns = list(job.question.messages)
        opening = turns[:1] if turns[0].role == "system" else []
        turns = turns[len(opening) :]
        while True:
            try:
                return self.speaker.answer([*opening, *turns], job.question.wishes, job.event)
            except ContextFullError:
                if len(turns) == 1 or job.heard != Heard():
                    raise
                dropped = next((at for at in range(1, len(turns)) if turns[at].role == "user"), len(turns) - 1)
                turns, job.forgotten = turns[dropped:], job.forgotten + dropped


class Desk:
    """The line of one model, for several threads; `bound` questions may wait in it."""

    def __init__(self, name: str, bound: int) -> None:
        self.name, self.bound = name, bound
        self.shift: Shift | None = None
        self._line: deque[QueuedQuestion] = deque()
        self._running: list[QueuedQuestion] = []
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = _FIRST_GUESS

    @property
    def facts(self) -> ServedFacts | None:
        """What the model is that answers now; None before the first is loaded."""
        return self.shift.speaker.facts if self.shift is not None else None

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return len(self._line)

    @property
    def running(self) -> int:
        """How many are answered."""
        return len(self._running)

    def take(self, speaker: Speaker) -> Shift | None:
        """Let a loaded model answer from now on; return the shift that it relieves, which ends after what it has begun."""
        new = Shift(self, speaker)
        with self._changed:
            old, self.shift = self.shift, new
            if old is not None:
                old.ended = True
            self._changed.notify_all()
        new.begin()
        return old

    def admit(self, job: QueuedQuestion) -> None:
        """Put a question into the line. Raises RefusedError where the line is full or closed."""
        with self._changed:
            if self._closed:
                raise RefusedError(503, "the server is stopping", "stopping", retry=_LONGEST_RETRY, close=True)
            idle = 0 if self.shift is None else max(0, self.shift.speaker.parallel - len(self._running))
            if len(self._line) - idle >= self.bound:
                said = f"{len(self._line)} questions wait for `{self.name}`; ask again later"
                raise RefusedError(429, said, "queue_full", retry=self._retry())
            self._line.append(job)
            self._changed.notify()

    def leave(self, job: QueuedQuestion) -> None:
        """Take a question back whose client has left: out of the line, or cut at its next word."""
        with self._changed:
            job.cut = True
            self._line = deque(one for one in self._line if one is not job)

    def next_job(self, shift: Shift) -> QueuedQuestion | None:
        """Wait for the next question; None once the shift has ended."""
        with self._changed:
            while not self._line and not shift.ended:
                self._changed.wait()
            if shift.ended:
                self._changed.notify()  # it may have been woken for a question, which is another's to answer
                return None
            job = self._line.popleft()
            self._running.append(job)
            return job

    def done(self, job: QueuedQuestion) -> None:
        """Note that a question was answered, and how long it took."""
        with self._changed:
            self._running = [one for one in self._running if one is not job]
            if job.began is not None:
                self._seconds += 0.2 * (time.perf_counter() - job.began - self._seconds)

    def leaves_last(self, shift: Shift) -> bool:
        """Count one thread of a shift as gone; return whether it was the last."""
        with self._changed:
            return shift.left()

    def close(self) -> None:
        """Take no more questions."""
        with self._changed:
            self._closed = True

    def cut(self) -> None:
        """End every answer at its next word, and let nobody wait."""
        with self._changed:
            waiting, self._line = list(self._line), deque()
            for job in self._running:
                job.cut = True
        for job in waiting:
            job.end(None, RefusedError(503, "the server is stopping", "stopping", close=True))

    def end(self, seconds: float) -> bool:
        """Let the threads go and the memory be given back; return whether that was done in time."""
        self.close()
        with self._changed:
            shift = self.shift
            if shift is None:
                return True
            shift.ended = True
            self._changed.notify_all()
        return shift.join(seconds)

    def _retry(self) -> int:
        parallel = self.shift.speaker.parallel if self.shift is not None else 1
        return max(1, min(_LONGEST_RETRY, math.ceil(self._seconds * len(self._line) / parallel / 2)))
