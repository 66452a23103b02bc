"""An engine that shows its model the rows and passages nearest to what is asked: the one way by which jessy asks a model of RETRIEVE."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.refinement import question_place
from jessyfile.engines.engine import Reply, Retrieved, ServedModel, Shown
from jessyfile.engines.passages import ServedNotes, quote_of, shown
from jessyfile.errors import ContextFullError, DamagedError, EngineError, StorageError
from jessyfile.language.recipe import Message
from jessyfile.retrieval.examples import Examples, Neighbour, conversation
from jessyfile.retrieval.index_step import index_digest
from jessyfile.retrieval.levels import Vote, Voting, of_its_level
from jessyfile.retrieval.passage_index import NearPassage, PassageIndex, passages_digest
from jessyfile.retrieval.quoting import asked_of, leans_on
from jessyfile.retrieval.standing import asks_of_other_numbers, stands_alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from jessyfile.engines.engine import Engine, GenerationSettings, OnPiece, TokenLogprob
    from jessyfile.results.served import Retrieval, ServedPassages


@dataclass(slots=True)
class Retriever:
    """An engine, and the examples that stand before every conversation: `count` of them, the nearest last; behind those, passages of
    the user's notes.

    A question that opens a conversation and is nearer than `answer` to an example gets that example's answer as it stands
    (None: never); a later one where it is the example's own question and needs nothing that was said (`retrieval.standing`). One that
    is nearer to an example than to every passage is asked without passages. Where the rows around it give a question another level than
    the nearest has, the nearest of that level answers.
    """

    engine: Engine
    examples: Examples
    voting: Voting
    count: int
    answer: float | None
    notes: ServedNotes | None = None
    _model: ServedModel | None = field(default=None, init=False)

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
        self._model = model
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
        """Answer a conversation behind the examples and passages nearest to its last question, or by a quote of a passage. A question that
        is asked again behind its draft (`dataset.refinement`) stands behind the same ones, and the model answers.

        The farthest examples, then passages, are left out where the context window has no room for them. Raises ContextFullError when
        the conversation alone does not fit, EngineError where a quote is asked of an engine that cannot choose one.
        """
        started, place = time.perf_counter(), question_place(messages)
        question = messages[place].content
        near = self.examples.neighbours(question, max(self.count, self.voting.count))
        found, vote = near[: self.count], self.voting.vote(self.examples, question)
        asked_last, free = place == len(messages) - 1, not self._held(settings)
        row = self._standing(messages, near, vote) if free and asked_last else None
        if row is not None:
            spent = time.perf_counter() - started
            return Reply(row.example.said, 0, 0, spent, spent, "stop", Retrieved(_shown([row]), True, vote))
        passages = self.notes.held.nearest(question, self.notes.top) if self.notes is not None else []
        if found and found[0].score > (passages[0].score if passages else 0):
            passages = []  # it is talk, and not asked of the notes
        elif free and self.notes is not None and self.notes.quote is not None and asked_last:
            return self._quoted(self.notes, passages, question, vote)
        return self._behind(found, passages, messages, vote, lambda asked: self.engine.chat(asked, settings, on_piece))

    def _held(self, settings: GenerationSettings | None) -> bool:
        """Return whether the answer is to keep to a schema, which words that were written beforehand don't: the model answers then."""
        used = settings or (self._model.settings if self._model is not None else None)
        return used is not None and bool(used.schema)

    def _standing(self, messages: Sequence[Message], near: list[Neighbour], vote: Vote | None) -> Neighbour | None:
        """Return that one of the nearest examples whose answer is given as it stands; None where the model is asked."""
        fit = [one for one in near if not asks_of_other_numbers(messages[-1].content, one.example)]
        if self.answer is None or not fit or fit[0].score <= self.answer or not stands_alone(messages, fit[0].example):
            return None
        return of_its_level(fit, vote, self.voting.levels, self.answer)

    def read(self, messages: Sequence[Message], settings: GenerationSettings) -> None:
        """Let the model read a question behind its rows and say one word: an engine that keeps what it read goes on from there, where a
        row's own answer is written anew several times."""
        found, notes = self.examples.neighbours(messages[-1].content, self.count), list[NearPassage]()
        short = replace(settings, max_tokens=1)
        self._behind(found, notes, messages, None, lambda asked: self.engine.chat(asked, short, None))

    def category(self, question: str) -> Vote | None:
        """Return the category of a question by the rows nearest to it, where their categories are kept."""
        return self.voting.category(self.examples, question)

    def _quoted(self, notes: ServedNotes, found: Sequence[NearPassage], question: str, vote: Vote | None) -> Reply:
        if self._model is None:
            raise EngineError("no model is loaded")
        started = time.perf_counter()
        quote = quote_of(self.engine, self._model, notes, found, question)
        spent = time.perf_counter() - started
        told = Retrieved((), False, vote, quote.passages, quote.leans_on, quoted=True)
        return Reply(quote.text, 0, 0, spent, spent, "stop", told)

    def _behind(
        self,
        rows: list[Neighbour],
        passages: list[NearPassage],
        messages: Sequence[Message],
        vote: Vote | None,
        ask: Callable[[list[Message]], Reply],
    ) -> Reply:
        """Return the answer behind as many rows and passages as there is room for."""
        place = question_place(messages)
        while True:
            behind = Message("user", asked_of([one.passage for one in passages], messages[place].content))
            try:
                reply = ask(conversation(reversed(rows), [*messages[:place], behind, *messages[place + 1 :]]))
            except ContextFullError as error:
                if (not rows and not passages) or self._in_vain(error, rows, passages):
                    raise
                rows, passages = (rows[:-1], passages) if rows else (rows, passages[:-1])
            else:
                lean = leans_on(reply.text, [one.passage for one in passages])
                told = Retrieved(_shown(rows), False, vote, shown(passages), lean.id if lean else None)
                return replace(reply, retrieved=told)

    def _in_vain(self, error: ContextFullError, rows: Sequence[Neighbour], passages: Sequence[NearPassage]) -> bool:
        """Return whether there is no room even without all of them."""
        texts = [text for row in rows for text in (row.example.question, row.example.said)]
        held = [f"{one.passage.title} {one.passage.text}" for one in passages]
        return self._model is not None and error.outgrows(self._model.settings.num_ctx, [*texts, *held])


def _shown(found: Sequence[Neighbour]) -> tuple[Shown, ...]:
    return tuple(Shown(one.example.id, one.score) for one in found)


def retrieving(engine: Engine, retrieval: Retrieval, marker: str = "") -> Retriever:
    """Return the engine with the registered examples and passages; quotes begin with the line `marker`. Raises DamagedError when they are
    gone or other than were registered.
    """
    notes = _notes(retrieval.passages, marker) if retrieval.passages is not None else None
    if not retrieval.examples:
        return Retriever(engine, Examples.build(()), Voting(()), 0, None, notes)
    folder = _whole(retrieval.folder, retrieval.digest, index_digest)
    return Retriever(engine, Examples.load(folder), Voting.load(folder), retrieval.examples, retrieval.answer, notes)


def _notes(served: ServedPassages, marker: str) -> ServedNotes:
    held = PassageIndex.load(_whole(served.folder, served.digest, passages_digest))
    return ServedNotes(held, served.top, served.quote, marker)


def _whole(written: str, digest: str, digest_of: Callable[[Path], str]) -> Path:
    """Return an index's folder. Raises DamagedError when it is gone or other than was registered."""
    folder, found = Path(written), ""
    with contextlib.suppress(StorageError):
        found = digest_of(folder)
    if found != digest:
        raise DamagedError(
            f"the index that the model retrieves from is gone or has other bytes than were written ({folder})",
            hint="run `jessy apply` again with the recipe that made it; it is made again",
        )
    return folder
