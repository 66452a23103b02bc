"""An engine's model and the passages of the user's documents: which stand before a question, and which one says the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.engines.engine import ShownPassage
from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import chat_format
from jessyfile.retrieval.quoting import ABSENT, language_of, quoted, whether_said

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, ServedModel
    from jessyfile.retrieval.passage_index import NearPassage, PassageIndex

_LOOKED_AT = 500  # most probable tokens, among which a model that was trained on other answers still has its Yes and No


@dataclass(frozen=True, slots=True)
class ServedNotes:
    """Passages to be shown, `top` of them. Where one is likelier than `quote` to say the answer, it is quoted (None: the model answers
    in its own words), behind the line `marker` with which answers begin.
    """

    held: PassageIndex
    top: int
    quote: float | None = None
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """An answer in no model's words: that of the passage `leans_on`, or that none says it."""

    text: str
    passages: tuple[ShownPassage, ...]
    leans_on: str | None


def shown(found: Sequence[NearPassage]) -> tuple[ShownPassage, ...]:
    """Return what the facts of an answer say of passages."""
    return tuple(ShownPassage(one.passage.id, one.passage.title, one.passage.file, one.score) for one in found)


def quote_of(
    engine: Engine, model: ServedModel, notes: ServedNotes, found: Sequence[NearPassage], question: str
) -> Quote:
    """Return the quote of the passage that most likely says the answer, or that none says it.

    Args:
        engine: the engine, with the model loaded.
        model: how the model is asked.
        notes: where quotes begin.
        found: the passages nearest to the question.
        question: what is asked.

    Raises:
        EngineError: the engine does not say how probable a word is.
    """
    likely = [says(engine, model, whether_said(one.passage, question)) for one in found]
    told = tuple(replace(one, says=round(share, 4)) for one, share in zip(shown(found), likely, strict=True))
    best = max(range(len(found)), key=lambda place: likely[place], default=None)
    if best is None or notes.quote is None or likely[best] <= notes.quote:
        absent = ABSENT[language_of(question, [one.passage for one in found])]
        return Quote(f"{notes.marker}{absent}", told, None)
    passage = found[best].passage
    return Quote(f"{notes.marker}{quoted(passage, question)}", told, passage.id)


def says(engine: Engine, model: ServedModel, asked: str) -> float:
    """Return how likely a model says Yes rather than No to a question that is to be answered so."""
    prompt = chat_format(model.chat_format).render([Message("user", asked)], None)
    chances = {"yes": 0.0, "no": 0.0}
    for one in engine.next_logprobs(prompt, _LOOKED_AT):
        word = one.text.strip().casefold()
        if word in chances:
            chances[word] += math.exp(one.logprob)
    total = sum(chances.values())
    return chances["yes"] / total if total else 0.0
