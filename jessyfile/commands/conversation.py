"""A conversation under way: its turns, the last answer, and what a person wishes for the next ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from jessyfile.errors import ContextFullError

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings
    from jessyfile.language.recipe import Message
    from jessyfile.thinking.thinker import Thinker
    from jessyfile.thinking.thought import OnEvent, Thought, Wishes

_LIVELY, _APART = (
    0.7,
    100,
)  # the least temperature at which a retry differs; how far its seed is from the iterations' before


@dataclass(slots=True)
class Conversation:
    """A conversation under way; earlier answers stand as the model wrote them, markers included. `wishes` hold for every question.

    `thought` is the last answer, None before the first one, and after a person put another in its place. `before` is the one that it
    was tried again for.
    """

    thinker: Thinker
    wishes: Wishes
    turns: list[Message] = field(default_factory=list)
    forgotten: int = 0
    thought: Thought | None = None
    before: Thought | None = None
    _tries: int = 0

    def ask(self, prompt: str, on_event: OnEvent | None = None) -> Thought:
        """Ask the next question and remember the answer. The oldest turns are dropped when the context window is
        full. Raises ContextFullError when the question alone does not fit."""
        from jessyfile.language.recipe import Message

        thought = self._answered([*self.turns, Message("user", prompt)], self.wishes, on_event)
        self.before, self._tries = None, 0
        return thought

    def retry(self, on_event: OnEvent | None = None) -> Thought:
        """Ask the last question again, with another seed and warm enough to differ; what answered as a row's own words is written by the
        model now."""
        before, self._tries = self.thought, self._tries + 1
        usual = self.wishes.settings or self.thinker.settings
        wishes = replace(self.wishes, settings=_other(usual, self._tries))
        with _own_words(self.thinker.engine):
            thought = self._answered(self.turns[:-1], wishes, on_event)
        self.before = before
        return thought

    def correct(self, text: str) -> None:
        """Let a person's answer stand in place of the last one."""
        from jessyfile.language.recipe import Message

        if self.thought is not None:
            self.turns[-1] = Message("assistant", _in_place_of(self.thought, text))
        self.thought = self.before = None

    def clear(self) -> None:
        """Forget everything that was said, not what was wished for."""
        self.turns, self.thought, self.before = [], None, None

    def _answered(self, turns: list[Message], wishes: Wishes, on_event: OnEvent | None) -> Thought:
        from jessyfile.language.recipe import Message

        self.forgotten = 0
        while True:
            try:
                thought = self.thinker.answer(turns, wishes, on_event)
            except ContextFullError as error:
                earlier = [turn.content for turn in turns[:-1]]
                if not earlier or error.outgrows(self.thinker.settings.num_ctx, earlier):
                    raise
                turns, self.forgotten = turns[2:], self.forgotten + 1
            else:
                self.turns = [*turns, Message("assistant", thought.said)]
                self.thought = thought
                return thought


def _in_place_of(thought: Thought, text: str) -> str:
    """Return another text as the turn of an answer, behind the same marker line."""
    said = thought.said
    return said.removesuffix(thought.text) + text if said.endswith(thought.text) else text


def refuse_prompt(prompt: str) -> str:
    """Return a question that can be asked. Raises click.UsageError that says what is wrong with it."""
    if not prompt.strip():
        raise click.UsageError("the question is empty")
    if "\0" in prompt:
        raise click.UsageError("the question holds a NUL character, which no text does")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise click.UsageError("the question is not in UTF-8")
    return prompt


def _other(usual: GenerationSettings, tries: int) -> GenerationSettings:
    return replace(usual, seed=usual.seed + _APART * tries, temperature=max(usual.temperature, _LIVELY))


@contextlib.contextmanager
def _own_words(engine: Engine) -> Iterator[None]:
    """Let the model itself answer during the block, not a row in its place."""
    from jessyfile.engines.retriever import Retriever

    if not isinstance(engine, Retriever):
        yield
        return
    above, engine.answer = engine.answer, None
    try:
        yield
    finally:
        engine.answer = above
