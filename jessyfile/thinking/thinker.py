"""The loop: a first draft, whose marker says how many iterations there are, and the further ones, within the level's seconds.

Nothing is kept between two answers, so one Thinker may serve several callers as long as its engine does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from jessyfile.engines.adaptive import ends_in_marker, read_marker
from jessyfile.engines.engine import Reply
from jessyfile.engines.retriever import Retriever
from jessyfile.errors import ContextFullError, EngineError, Interrupted, JessyError
from jessyfile.thinking.clock import Clock, Share
from jessyfile.thinking.decide import Decided, decide, known_before
from jessyfile.thinking.route import Deadline, Routes, Voice, told
from jessyfile.thinking.thought import AnswerDraft, DraftBegan, DraftEnded, Piece, PromptRead, Thought, Wishes
from jessyfile.thinking.ways import Iterating, way_of

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.engines.engine import Engine, GenerationSettings, Retrieved, ServedModel
    from jessyfile.engines.promoted import Registered
    from jessyfile.language.recipe import Complexity, Message, Route
    from jessyfile.retrieval.levels import Vote
    from jessyfile.thinking.thought import DraftEnd, Ended, Event, OnEvent

_MARKER_ROOM = 100  # letters within which a marker line is over
_RESERVED = 4  # a part of the context window is kept for the answer: one in so many


@dataclass(frozen=True, slots=True)
class Thinker:
    """A loaded engine that thinks as often as its model's marker says. `settings` are the model's own; `speaker` and `digest` name it.
    `routes` say which questions other models think about; `deadline` is what the engine asks while it waits for a server.
    """

    engine: Engine
    complexity: Complexity
    settings: GenerationSettings
    speaker: str
    digest: str = ""
    routes: Routes | None = None
    deadline: Deadline = field(default_factory=Deadline)

    @property
    def voice(self) -> Voice:
        """The model itself, as one that can be asked."""
        return Voice(self.engine, self.settings, self.complexity, self.speaker, self.digest, deadline=self.deadline)

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

    def close(self) -> None:
        """Let the models go that ROUTE had loaded; its own engine is its caller's."""
        if self.routes is not None:
            self.routes.close()


def thinker_of(
    root: Path, found: Registered, engine: Engine, model: ServedModel, deadline: Deadline | None = None
) -> Thinker:
    """Return what thinks for a registered model.

    Args:
        root: the project's root folder.
        found: the registration, with its levels and its ROUTE.
        engine: what answers for it, loaded by the caller.
        model: what was loaded, with the settings that hold for every draft.
        deadline: what the engine asks while it waits for a server, where it asks anything.

    Returns:
        The thinker; whoever is done with it closes it.
    """
    routes = Routes(root, found.entry.routes, model.name, model) if found.entry.routes else None
    waits = deadline or Deadline()
    return Thinker(engine, found.complexity, model.settings, model.name, found.entry.digest, routes, waits)


@dataclass(slots=True)
class _Loop:
    """One question being thought about. `of` is the number of iterations, None until it is known; `voice` is who is asked, `route` the line
    by which the question goes to another model, `awaited` as long as that is only known."""

    thinker: Thinker
    question: tuple[Message, ...]
    wishes: Wishes
    on_event: OnEvent | None
    way: Iterating = field(init=False)
    voice: Voice = field(init=False)
    clock: Clock = field(init=False)
    of: int | None = field(init=False)
    route: Route | None = None
    awaited: bool = False
    fallback: str | None = None
    drafts: list[AnswerDraft] = field(default_factory=list)
    cut: bool = False
    _kind: Vote | None = None
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.way, self.clock = way_of(self.wishes.way), Clock(self.wishes.max_seconds)
        self.voice, self.of = self.thinker.voice, known_before(self.thinker.complexity, self.wishes)
        routes, engine = self.thinker.routes, self.thinker.engine
        if routes is not None and isinstance(engine, Retriever):
            self._kind = engine.category(self.question[-1].content)
        # without a marker to wait for, the question goes at once where its category or a wish sends it
        if routes is not None and (self.thinker.complexity.marker is None or (self.wishes.level and self.of)):
            self._go_elsewhere(routes.of(self.wishes.level, self._kind))

    def run(self) -> Thought:
        """Return what came of it."""
        first = self._draft(1, list(self.question))
        decided = self._decided(first.reply)
        marked = read_marker(first.reply.text, self.thinker.complexity).level
        self._take(decided)
        if self.awaited or (first.ended == "stands" and decided.iterations > 1):
            self._go_elsewhere(self._route_of(decided.level))
        if self.awaited:  # it was ended behind its marker: whoever is to answer begins anew
            self.awaited, vote = False, first.reply.retrieved
            first = self._draft(1, list(self.question))
            first = replace(first, reply=replace(first.reply, retrieved=first.reply.retrieved or vote))
        self.drafts.append(first)
        self.tell(DraftEnded(1, decided.iterations, first))
        ended = self._go_on(decided.iterations)
        chosen = self.way.choose(self.drafts)
        self.tell(Piece(chosen + 1, self.drafts[chosen].text, final=True))
        return self._thought(decided, marked, chosen, ended)

    def read(self, text: str) -> None:
        """Take the marker line of the first draft once it is over."""
        if self.voice.foreign or self.awaited or not ("\n" in text.strip() or len(text) > _MARKER_ROOM):
            return
        marked = read_marker(text, self.thinker.complexity)
        if marked.level is not None:
            decided = decide(marked, None, self.thinker.complexity, self.wishes)
            self.awaited = self.route is None and self._route_of(decided.level) is not None
            self._take(decided)

    def rounds_after(self, number: int) -> int:
        """Return how many times the engine is still asked after this iteration."""
        at_once = self.way.at_once(self.voice.engine.parallel)
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

    # other models

    def _route_of(self, level: str | None) -> Route | None:
        routes = self.thinker.routes
        return routes.of(level, self._kind) if routes is not None else None

    def _go_elsewhere(self, route: Route | None) -> None:
        """Let the model of a route speak from here on; where it cannot be had, say why."""
        if route is None or self.thinker.routes is None:
            return
        self.route = route
        try:
            self.voice = self.thinker.routes.voice(route)
        except JessyError as error:
            self.fallback = told(route, error)

    def _stand_in(self, error: JessyError) -> None:
        """Let the recipe's own model speak where the other one failed. Raises that failure when it is the own one's."""
        with self._lock:
            if self.voice.name == self.thinker.speaker or self.route is None or self.thinker.routes is None:
                raise error
            self.thinker.routes.lost(self.voice)
            self.voice, self.fallback = self.thinker.voice, told(self.route, error)

    # iterations

    def _go_on(self, of: int) -> Ended:
        """Ask for the further iterations; return why there are no more."""
        if of > 1 and self.drafts[0].ended == "stands" and isinstance(self.voice.engine, Retriever):
            with contextlib.suppress(EngineError):  # what fails here fails again where it is asked, and is told there
                self.voice.engine.read(self.question, self._settings(self.voice))
        while (ended := self._over(of)) is None:
            number = len(self.drafts) + 1
            fewer = min(self.way.at_once(self.voice.engine.parallel), of - len(self.drafts))
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
        while True:
            voice, writing = self.voice, _Writing(self, number, Share(self.clock))
            try:
                reply = self._asked(voice, number, turns, writing)
            except (ContextFullError, Interrupted):
                raise
            except JessyError as error:
                self._stand_in(error)
            else:
                unsaid = reply.stopped == "cut" and ends_in_marker(reply.text, voice.complexity)
                text = "" if unsaid else read_marker(reply.text, voice.complexity).text
                return AnswerDraft(text, reply, writing.ended(reply), voice.name, voice.digest)

    def _asked(self, voice: Voice, number: int, turns: list[Message], writing: _Writing) -> Reply:
        began = self.clock.spent
        voice.deadline.set(self.clock)
        try:
            shown = voice.heard(turns, self.thinker.complexity)
            return voice.engine.chat(shown, self.way.settings(self._settings(voice), number), writing.piece)
        except Interrupted:
            if not self.clock.over():
                raise
            return Reply(writing.text, 0, writing.pieces, self.clock.spent - began, None, "cut")
        finally:
            voice.deadline.set(None)

    def _settings(self, voice: Voice) -> GenerationSettings:
        usual = self.wishes.settings or voice.settings
        longest = min(usual.max_tokens, self.wishes.max_tokens or usual.max_tokens)
        return replace(usual, max_tokens=longest, reserve=min(longest, usual.num_ctx // _RESERVED))

    def _thought(self, decided: Decided, marked: str | None, chosen: int, ended: Ended) -> Thought:
        first, answer = self.drafts[0].reply, self.drafts[chosen]
        return Thought(
            text=answer.text,
            level=decided.level,
            iterations=sum(one.ended != "cut" for one in self.drafts),
            asked=decided.iterations,
            marked_level=marked,
            vote=first.retrieved.vote if first.retrieved else None,
            drafts=tuple(self.drafts),
            chosen=chosen,
            ended=ended,
            seconds=self.clock.spent,
            first_token_seconds=first.first_token_seconds,
            speaker=answer.speaker,
            digest=answer.digest,
            marker=self.thinker.complexity.marker,
            fallback=self.fallback,
            routed=answer.speaker != self.thinker.speaker,
        )


@dataclass(slots=True)
class _Writing:
    """One draft while it is written; it ends it when its time is over."""

    loop: _Loop
    number: int
    share: Share
    pieces: int = 0
    text: str = ""
    why: DraftEnd = "cut"

    def piece(self, text: str) -> bool:
        """Take the draft so far; return whether it ends here."""
        if not text:
            return self._reading()
        loop, self.pieces, self.text = self.loop, self.pieces + 1, text
        if self.number == 1:
            loop.read(text)
        if loop.awaited:
            return True
        shown, complexity = "", loop.voice.complexity
        if "\n" in text.strip() or len(text) > _MARKER_ROOM or complexity.marker is None:
            shown = read_marker(text, complexity).text
            loop.tell(Piece(self.number, shown, final=loop.of == 1))
        if loop.cut or loop.clock.over():
            return True
        if self.share.used_up(shown, self.pieces, loop.rounds_after(self.number)):
            self.why = "short"
        return self.why == "short"

    def _reading(self) -> bool:
        """Return whether a draft ends before its first word; the first never does for want of time, since there is no other answer."""
        self.loop.tell(PromptRead(self.number))
        return self.loop.cut or (self.number > 1 and self.loop.clock.over())

    def ended(self, reply: Reply) -> DraftEnd:
        """Return why it ended."""
        if reply.stopped == "cut":
            return self.why
        return "stands" if _is_written(reply.retrieved) else reply.stopped


def _is_written(told: Retrieved | None) -> bool:
    """Return whether no word of an answer is the model's: it is a row's or a quote."""
    return told is not None and (told.as_it_stands or told.quoted)
