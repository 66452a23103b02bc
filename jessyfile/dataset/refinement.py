"""How a question and its last draft are put to a model, so that it writes a better answer.

Training rows and the loop that serves compose them by `refinement_turns` alone, so that a model is asked as it was trained. The draft
stands as the model's own turn: everything before it is what the first answer was asked with, and is not read again where prompts are cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.language.recipe import Message

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample

DRAFTS = 3  # of one row, at most, in rows that are made
TABLE = "weak_drafts"  # the phrases that drafts are made of
_BETTER = {
    "tr": "Bu bir taslaktı. Aynı soruya daha iyi cevap ver.",
    "en": "That was a draft. Answer the same question better.",
}
_ELSE = "en"
_ADDED = 2  # the draft, and what asks for a better answer


def refinement_turns(messages: Sequence[Message], draft: str, language: str | None = None) -> list[Message]:
    """Return a conversation that asks for a better answer to its question than the last draft.

    Args:
        messages: the conversation, its question last; earlier drafts are not among them.
        draft: the answer as the model gave it, marker line and all, so that the tokens are those which it wrote.
        language: an ISO 639-1 code or `mixed`, in which to ask; None takes Turkish or English, whichever the question speaks for, else the
            draft.

    Returns:
        The conversation, the draft as the assistant's turn, and a user's turn.
    """
    asked = better(messages[-1].content, draft, language)
    return [*messages, Message("assistant", draft), Message("user", asked)]


def better(question: str, draft: str, language: str | None = None) -> str:
    """Return what asks for a better answer to a question than a draft: in Turkish where that is spoken, else in English."""
    from jessyfile.text.answer_language import MIXED, leaning

    spoken = language or leaning(question) or leaning(draft)
    return _BETTER["tr" if spoken in ("tr", MIXED) else _ELSE]


def question_place(messages: Sequence[Message]) -> int:
    """Return where the question of a conversation stands: last, or before the draft that `refinement_turns` put behind it."""
    last = len(messages) - 1
    refined = last >= _ADDED and messages[last].content in _BETTER.values() and messages[last - 1].role == "assistant"
    return last - _ADDED if refined else last


def is_refined(example: TrainingExample) -> bool:
    """Return whether a row is a question that is asked again behind a draft; its last answer alone is learned."""
    return len(example.turns) >= _ADDED and example.query in _BETTER.values()


def unrefined(example: TrainingExample) -> TrainingExample:
    """Return a row without the draft behind which its question is asked again; any other row as it is."""
    if not is_refined(example):
        return example
    *earlier, question, _ = example.turns
    return replace(example, turns=tuple(earlier), query=question.content)
