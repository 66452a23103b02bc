"""How passages are shown to a model, how one is asked whether a passage says the answer, and how it is quoted.

Training, chat and evaluation use these alone, so that a model is asked as it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from jessyfile.retrieval.index import Index
from jessyfile.retrieval.passages import DocumentPassage, quotes
from jessyfile.text.answer_language import leaning, looks_turkish

YES, NO = "Yes", "No"
ABSENT = {"tr": "Notlarımda bu yok.", "en": "That isn't in my notes."}
_SHOWN = {
    "tr": "Notlarım:\n\n{notes}\n\nYalnız bu notlara göre cevap ver; notlarda yoksa yok de.\n\n{question}",
    "en": "My notes:\n\n{notes}\n\nAnswer by these notes alone; if they do not say it, say so.\n\n{question}",
}
_QUOTED = {"tr": "«{title}» notunda şöyle yazıyor: {said}", "en": "My note «{title}» says: {said}"}
_SAYS = (
    "Note «{title}»:\n{text}\n\nQuestion: {question}\n\nDoes the note say the answer to the question? Answer Yes or No."
)
_LONGEST_QUOTE = 240
_LEANS = 0.2


def language_of(question: str, shown: Sequence[DocumentPassage]) -> str:
    """Return `tr` or `en`, the language of a question; where its words do not tell, that of the nearest passage."""
    return leaning(question) or ("tr" if shown and looks_turkish(shown[0].text) else "en")


def asked_of(shown: Sequence[DocumentPassage], question: str) -> str:
    """Return a question behind the passages to answer it from, nearest first; the nearest stands last, next to the question."""
    if not shown:
        return question
    notes = "\n\n".join(f"[{one.title}]\n{one.text}" for one in reversed(shown))
    return _SHOWN[language_of(question, shown)].format(notes=notes, question=question)


def whether_said(passage: DocumentPassage, question: str) -> str:
    """Return what a model is asked to learn whether a passage says the answer: it says Yes or No."""
    return _SAYS.format(title=passage.title, text=passage.text, question=question)


def quoted(passage: DocumentPassage, question: str) -> str:
    """Return the answer in a passage's own words: what it says nearest to the question with what stands beside it, and its title."""
    said = " ".join(_nearest(quotes(passage.text), question)) or passage.text
    return _QUOTED[language_of(question, (passage,))].format(title=passage.title, said=said)


def _nearest(said: Sequence[str], question: str) -> Sequence[str]:
    """Return the sentence nearest to a question; those behind it, then before it, are taken in while all stay short."""
    if not said:
        return ()
    first = last = int(Index.build(said).scores(question).argmax())
    while last + 1 < len(said) and sum(map(len, said[first : last + 2])) <= _LONGEST_QUOTE:
        last += 1
    while first and sum(map(len, said[first - 1 : last + 1])) <= _LONGEST_QUOTE:
        first -= 1
    return said[first : last + 1]


def leans_on(answer: str, shown: Sequence[DocumentPassage]) -> DocumentPassage | None:
    """Return the passage of which a sentence is nearest to an answer; None when none is near."""
    said = [(quote, one) for one in shown for quote in quotes(one.text)]
    if not said:
        return None
    scores = Index.build([quote for quote, _ in said]).scores(answer)
    place = int(scores.argmax())
    return said[place][1] if scores[place] > _LEANS else None
