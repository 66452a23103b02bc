"""The loop: a first draft, whose marker says how many iterations there are, and the further ones, within the level's seconds.

Nothing is kept between two answers, so one Thinker may serve several callers as long as its engine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from jessyfile.engines.adaptive import read_marker
from jessyfile.errors import ContextFullError
from jessyfile.thinking.clock import Clock, Share
from jessyfile.thinking.decide import Decided, decide, known_before
from jessyfile.thinking.thought import AnswerDraft, DraftBegan, DraftEnded, Piece, Thought, Wishes
from jessyfile.thinking.ways import Iterating, way_of

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, Reply, Retrieved
    from jessyfile.language.recipe import Complexity, Message
    from jessyfile.thinking.thought import DraftEnd, Ended, Event, OnEvent

_MARKER_ROOM = 100  # letters within which a marker line is over
_RESERVED = 4  # a part of the context window is kept for the answer: one in so many


@dataclass(frozen=True, slots=True)
class Thinker:
    """A loaded engine that thinks as often as its model's marker says. `settings` are the model's own; `speaker` and `digest` name it."""

    engine: Engine
    complexity: Complexity
    settings: GenerationSettings
    speaker: str
    digest: str = ""

    def answer(
        self, messages: Sequence[Message], wishes: Wishes | None = None, on_event: OnEvent | None = None
    ) -> Thought:
        """Think about the question at the end of a conversation.

        Args:
            messages: the conversation, a user's turn last.
            wishes: what this question asks for; None leaves everything to the marker.
            on_event: is shown drafts while they are written; ends the thinking by returning True.

        Returns:
            The answer and what it took.

        Raises:
            ContextFullError: the conversation leaves no room for an answer in the context window.
            EngineError: the engine fails, or a level is wished for that the model does not know.
        """
        return _Loop(self, tuple(messages), wishes or Wishes(), on_event).run()


@dataclass(slots=True)
class _Loop:
    """One question being thought about. `of` is the number of iterations, None until it is known."""

    thinker: Thinker
    question: tuple[Message, ...]
    wishes: Wishes
    on_event: OnEvent | None
    way: Iterating = field(init=False)
    settings: GenerationSettings = field(init=False)
    clock: Clock = field(init=False)
    of: int | None = field(init=False)
    drafts: list[AnswerDraft] = field(default_factory=list)
    cut: bool = False
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        wishes, usual = self.wishes, self.wishes.settings or self.thinker.settings
        longest = min(usual.max_tokens, wishes.max_tokens or usual.max_tokens)
        self.settings = replace(usual, max_tokens=longest, reserve=min(longest, usual.num_ctx // _RESERVED))
        self.way, self.clock = way_of(wishes.way), Clock(wishes.max_seconds)
        self.of = known_before(self.thinker.complexity, wishes)

    def run(self) -> Thought:
        """Return what came of it."""
        self.drafts.append(self._draft(1, list(self.question)))
        decided = self._decided(self.drafts[0].reply)
        self._take(decided)
        self.tell(DraftEnded(1, decided.iterations, self.drafts[0]))
        ended = self._go_on(decided.iterations)
        chosen = self.way.choose(self.drafts)
        self.tell(Piece(chosen + 1, self.drafts[chosen].text, final=True))
        return self._thought(decided, chosen, ended)

    def read(self, text: str) -> None:
        """Take the marker line of the first draft once it is over."""
        if "\n" in text.strip() or len(text) > _MARKER_ROOM:
            marked = read_marker(text, self.thinker.complexity)
            if marked.level is not None:
                self._take(decide(marked, None, self.thinker.complexity, self.wishes))

    def rounds_after(self, number: int) -> int:
        """Return how many times the engine is still asked after this iteration."""
        at_once = self.way.at_once(self.thinker.engine.parallel)
        last = number if number == 1 else number - (number - 2) % at_once + at_once - 1  # of the same round
        return -(-max(0, (self.of or 1) - last) // at_once)

    def tell(self, event: Event) -> None:
        """Show an event; remember when that cuts the thinking."""
        with self._lock:
            if self.on_event is not None and self.on_event(event):
                self.cut = True

    def _take(self, decided: Decided) -> None:
        self.of, self.clock.within = decided.iterations, decided.within

    def _decided(self, first: Reply) -> Decided:
        marked, complexity = read_marker(first.text, self.thinker.complexity), self.thinker.complexity
        decided = decide(marked, first.retrieved.vote if first.retrieved else None, complexity, self.wishes)
        if first.retrieved is not None and first.retrieved.quoted:
            return replace(
                decided, iterations=1
            )  # it is word for word what stands in the notes, and not to be written anew
        return decided

    def _go_on(self, of: int) -> Ended:
        """Ask for the further iterations; return why there are no more."""
        while (ended := self._over(of)) is None:
            number = len(self.drafts) + 1
            fewer = min(self.way.at_once(self.thinker.engine.parallel), of - len(self.drafts))
            try:
                made = self._round(range(number, number + fewer), self.way.turns(self.question, self.drafts))
            except ContextFullError:
                return "room"
            for draft in made:
                self.drafts.append(draft)
                self.tell(DraftEnded(len(self.drafts), of, draft))
        return ended

    def _over(self, of: int) -> Ended | None:
        last = self.drafts[-1]
        if self.cut:
            return "cut"
        if last.ended == "cut" or (of == 1 and last.ended == "short"):
            return "within"
        if len(self.drafts) >= of:
            return "full"
        if self.wishes.stop_early and self.way.agreed(self.drafts):
            return "agreed"
        # what can't have its first word in the time that is left is not begun
        waits = last.reply.first_token_seconds if len(self.drafts) > 1 else None
        return "within" if self.clock.left <= (waits or 0) else None

    def _round(self, numbers: range, turns: list[Message]) -> list[AnswerDraft]:
        if len(numbers) == 1:
            return [self._draft(numbers[0], turns)]
        with ThreadPoolExecutor(max_workers=len(numbers)) as pool:
            return list(pool.map(lambda number: self._draft(number, turns), numbers))

    def _draft(self, number: int, turns: list[Message]) -> AnswerDraft:
        self.tell(DraftBegan(number, self.of))
        writing = _Writing(self, number, Share(self.clock))
        reply = self.thinker.engine.chat(turns, self.way.settings(self.settings, number), writing.piece)
        return AnswerDraft(read_marker(reply.text, self.thinker.complexity).text, reply, writing.ended(reply))

    def _thought(self, decided: Decided, chosen: int, ended: Ended) -> Thought:
        first = self.drafts[0].reply
        marked = read_marker(first.text, self.thinker.complexity)
        return Thought(
            text=self.drafts[chosen].text,
            level=decided.level,
            iterations=sum(one.ended != "cut" for one in self.drafts),
            asked=decided.iterations,
            marked_level=marked.level,
            vote=first.retrieved.vote if first.retrieved else None,
            drafts=tuple(self.drafts),
            chosen=chosen,
            ended=ended,
            seconds=self.clock.spent,
            first_token_seconds=first.first_token_seconds,
            speaker=self.thinker.speaker,
            digest=self.thinker.digest,
            marker=self.thinker.complexity.marker,
        )


@dataclass(slots=True)
class _Writing:
    """One draft while it is written; it ends it when its time is over."""

    loop: _Loop
    number: int
    share: Share
    pieces: int = 0
    why: DraftEnd = "cut"

    def piece(self, text: str) -> bool:
        """Take the draft so far; return whether it ends here."""
        loop, self.pieces = self.loop, self.pieces + 1
        if self.number == 1:
            loop.read(text)
        shown = ""
        if "\n" in text.strip() or len(text) > _MARKER_ROOM or loop.thinker.complexity.marker is None:
            shown = read_marker(text, loop.thinker.complexity).text
            loop.tell(Piece(self.number, shown, final=loop.of == 1))
        if loop.cut or loop.clock.over():
            return True
        if self.share.used_up(shown, self.pieces, loop.rounds_after(self.number)):
            self.why = "short"
        return self.why == "short"

    def ended(self, reply: Reply) -> DraftEnd:
        """Return why it ended."""
        if reply.stopped == "cut":
            return self.why
        return "stands" if _is_written(reply.retrieved) else reply.stopped


def _is_written(told: Retrieved | None) -> bool:
    """Return whether no word of an answer is the model's: it is a row's or a quote."""
    return told is not None and (told.as_it_stands or told.quoted)
