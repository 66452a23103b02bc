"""What one question may ask of the thinking, what came of it, and what is shown meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.marker import marked

if TYPE_CHECKING:
    from jessyfile.engines.engine import GenerationSettings, Reply
    from jessyfile.retrieval.levels import Vote

MOST = 99  # iterations that may be asked for, as in a recipe
Way = Literal["refine", "sample"]
DraftEnd = Literal["stop", "length", "short", "cut", "stands"]
Ended = Literal["full", "within", "agreed", "room", "cut"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one question asks for; where nothing is said the marker decides.

    `level` and `iterations` are taken instead of the marker's, `max_seconds` instead of the level's `within`. `stop_early` ends the loop
    when two drafts agree. `way` says whether each draft is made of the last one, or all independently and one is chosen.
    `max_tokens` bounds every draft; `settings` are the sampling, the model's own where they are None.
    """

    level: str | None = None
    iterations: int | None = None
    max_seconds: float | None = None
    stop_early: bool = False
    max_tokens: int | None = None
    settings: GenerationSettings | None = None
    way: Way = "refine"


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """What one iteration gave. `text` is without the marker line, `reply` what the engine gave.

    `ended` says why it ended: the model ended it, its tokens were used up, it was ended at the end of a sentence so that the iterations
    after it have their time (`short`), or it was cut in flight. `stands` is a row's own answer, which no model made. `speaker` is the model
    that was asked, by its file's `digest`.
    """

    text: str
    reply: Reply
    ended: DraftEnd
    speaker: str = ""
    digest: str = ""

    @property
    def tokens(self) -> int:
        """The tokens that were generated."""
        return self.reply.tokens

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.reply.seconds

    @property
    def prompt_tokens(self) -> int:
        """The tokens of what was asked."""
        return self.reply.prompt_tokens

    @property
    def cached_tokens(self) -> int:
        """How many of those an engine knew from an earlier iteration, and did not read again."""
        return self.reply.cached_tokens

    @property
    def finished(self) -> bool:
        """Whether it ends where something ends."""
        return self.ended in ("stop", "short", "stands")


@dataclass(frozen=True, slots=True)
class Thought:
    """An answer and what it took.

    `iterations` were spent of the `asked` that the marker or a wish said; the first is a row's own answer where one stands. `ended` says
    why there were no more: all were spent, the level's `within` was over, two drafts agreed, the context window had no room, or the caller
    cut it. `marked_level` is the level of the model's own marker, `vote` that of the nearest rows. `chosen` counts from 0. `speaker` is the
    model that answered, by its file's `digest`; `fallback` says why it is another than a ROUTE names, and `routed` that it is the one
    that it names.
    """

    text: str
    level: str | None
    iterations: int
    asked: int
    marked_level: str | None
    vote: Vote | None
    drafts: tuple[AnswerDraft, ...]
    chosen: int
    ended: Ended
    seconds: float
    first_token_seconds: float | None
    speaker: str
    digest: str
    marker: str | None
    fallback: str | None = None
    routed: bool = False

    @property
    def draft(self) -> AnswerDraft:
        """The draft that is the answer."""
        return self.drafts[self.chosen]

    @property
    def reply(self) -> Reply:
        """What the engine gave for the draft that is the answer: retrieved rows, why it stopped."""
        return self.draft.reply

    @property
    def said(self) -> str:
        """The answer as a turn of the conversation, its marker line before it, as the model learned to see such turns."""
        whole = self.reply.text.strip()
        if whole.endswith(self.text) and whole != self.text:
            return whole
        return self.text if self.level is None else marked(self.marker, self.level, self.asked, self.text)

    @property
    def stands(self) -> bool:
        """Whether the answer is a row's own, so that none of its words is the model's."""
        return self.draft.ended == "stands"

    @property
    def prompt_tokens(self) -> int:
        """The tokens of what was asked for the answer."""
        return self.draft.prompt_tokens

    @property
    def tokens(self) -> int:
        """The tokens of the answer."""
        return self.draft.tokens

    @property
    def reasoning_tokens(self) -> int:
        """The tokens of all drafts but the one that is the answer."""
        return sum(one.tokens for one in self.drafts) - self.tokens

    @property
    def cached_tokens(self) -> int:
        """The tokens of all prompts that were not read again."""
        return sum(one.cached_tokens for one in self.drafts)

    @property
    def shortened(self) -> int:
        """How many drafts were ended so that those after them had their time."""
        return sum(one.ended == "short" for one in self.drafts)


@dataclass(frozen=True, slots=True)
class DraftBegan:
    """An iteration begins; `of` is None until the first draft's marker is read."""

    number: int
    of: int | None


@dataclass(frozen=True, slots=True)
class PromptRead:
    """A part of the prompt was read; not a word is said yet."""

    number: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A draft so far, without its marker line. `final` says that it is the answer: what was shown so stays the beginning of
    `Thought.text`. An answer of one iteration is final from its first token, one of several when it is chosen."""

    number: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class DraftEnded:
    """An iteration is over."""

    number: int
    of: int
    draft: AnswerDraft


Event = DraftBegan | PromptRead | Piece | DraftEnded
OnEvent = Callable[[Event], bool | None]  # ends the thinking by returning True
