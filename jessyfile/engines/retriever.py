"""An engine that shows its model the rows nearest to what is asked: the one way by which jessy asks a model of RETRIEVE."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.engines.engine import Reply, Retrieved, ServedModel, Shown
from jessyfile.errors import ContextFullError, DamagedError, StorageError
from jessyfile.language.recipe import Message
from jessyfile.retrieval.examples import Examples, Neighbour, conversation
from jessyfile.retrieval.index_step import index_digest
from jessyfile.retrieval.levels import Voting

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, OnPiece, TokenLogprob
    from jessyfile.results.served import Retrieval


@dataclass(frozen=True)
class Retriever:
    """An engine, and the examples that stand before every conversation: `count` of them, the nearest last.

    A question that opens a conversation and is nearer than `answer` to an example gets that example's answer as it stands
    (None: never).
    """

    engine: Engine
    examples: Examples
    voting: Voting
    count: int
    answer: float | None

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine.name

    @property
    def parallel(self) -> int:
        """How many requests the engine serves at once."""
        return self.engine.parallel

    def load(self, model: ServedModel) -> float:
        """Make the model ready; return the seconds it took."""
        return self.engine.load(model)

    def unload(self) -> None:
        """Give the model's memory back."""
        self.engine.unload()

    def next_logprobs(self, prompt: str | Sequence[int], top: int) -> list[TokenLogprob]:
        """Return the engine's most probable next tokens after a prompt; nothing is put before it."""
        return self.engine.next_logprobs(prompt, top)

    def chat(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        on_piece: OnPiece | None = None,
    ) -> Reply:
        """Answer a conversation behind the examples nearest to its last question.

        The farthest are left out where the context window has no room for them. Raises ContextFullError when the
        conversation alone does not fit.
        """
        started, question = time.perf_counter(), messages[-1].content
        found = self.examples.neighbours(question, self.count)
        vote = self.voting.vote(self.examples, question)
        if self.answer is not None and len(messages) == 1 and found and found[0].score > self.answer:
            spent = time.perf_counter() - started
            told = Retrieved(_shown(found[:1]), True, vote)
            return Reply(found[0].example.said, 0, 0, spent, spent, "stop", told)
        while True:
            try:
                reply = self.engine.chat(conversation(reversed(found), messages), settings, on_piece)
            except ContextFullError:
                if not found:
                    raise
                found = found[:-1]
            else:
                return replace(reply, retrieved=Retrieved(_shown(found), False, vote))


def _shown(found: Sequence[Neighbour]) -> tuple[Shown, ...]:
    return tuple(Shown(one.example.id, one.score) for one in found)


def retrieving(engine: Engine, retrieval: Retrieval) -> Retriever:
    """Return the engine with the registered examples. Raises DamagedError when they are gone or other than were registered."""
    folder, found = Path(retrieval.folder), ""
    with contextlib.suppress(StorageError):
        found = index_digest(folder)
    if found != retrieval.digest:
        raise DamagedError(
            f"the index that the model retrieves from is gone or has other bytes than were written ({folder})",
            hint="run `jessy apply` again with the recipe that made it; it is made anew",
        )
    return Retriever(engine, Examples.load(folder), Voting.load(folder), retrieval.examples, retrieval.answer)
