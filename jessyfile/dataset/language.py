"""Check that an answer is in the language that its row declares. In doubt a row stays, because a filter that drops
good Turkish does more harm than one that misses a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jessyfile.dataset.filters import Dropped, Tally
from jessyfile.text.answer_language import (
    ANY,
    Words,
    confidences,
    everyday_share,
    is_long,
    language_name,
    languages,
    looks_turkish,
    prose,
)
from jessyfile.text.turkish import TURKISH_LETTERS

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row

_UNLIKELY = 0.15
_WORDY = 0.12
_TELLING = 4  # `ok` and `yav he he` are typed in every language
_NATIVE = TURKISH_LETTERS | frozenset("âîûÂÎÛ")


def keep_declared(rows: Sequence[Row], tally: Tally, words: Words | None = None) -> list[Row]:
    """Return the rows whose answer is in the declared language; the others are counted under `language`."""
    refused = dict(language_faults(rows, words))
    for index, reason in refused.items():
        tally.add(Dropped(rows[index], "language", reason))
    return [row for index, row in enumerate(rows) if index not in refused]


def language_faults(rows: Sequence[Row], words: Words | None = None) -> list[tuple[int, str]]:
    """Return (index, reason) of every row whose answer is not in the language that it declares; `words` are those that
    a project lists beside jessy's."""
    texts = [prose(row.example.response or "") for row in rows]
    long = [index for index, text in enumerate(texts) if is_long(text)]
    declared = {name for row in rows for name in languages(row.example.language)}
    judged = dict(zip(long, confidences([texts[index] for index in long], declared), strict=True))
    reasons = (_refusal(row.example.language, texts[index], judged.get(index), words) for index, row in enumerate(rows))
    return [(index, reason) for index, reason in enumerate(reasons) if reason is not None]


def wording_faults(rows: Sequence[Row], words: Words | None = None) -> list[tuple[int, str]]:
    """Return (index, reason) of every paraphrase of four words or more that reads like the other language than its row declares.

    Everyday words alone decide: what is typed in a hurry, without Turkish letters, reads like many a language to a model of letters.
    """
    said = [(index, text) for index, row in enumerate(rows) for text in row.example.paraphrases]
    told = ((index, text, _by_words(rows[index].example.language, prose(text), words)) for index, text in said)
    return [
        (index, f"the wording `{text[:60]}` {reason}")
        for index, text, reason in told
        if reason and len(text.split()) >= _TELLING
    ]


def _refusal(declared: str, text: str, confidence: Mapping[str, float] | None, words: Words | None) -> str | None:
    taken = languages(declared)
    if declared == ANY:
        return None
    if confidence is None:
        return _by_words(declared, text, words)
    likely = max(confidence, key=lambda name: confidence[name])
    if likely in taken or sum(confidence.get(name, 0.0) for name in taken) >= _UNLIKELY:
        return None
    native = all(letter.isascii() or letter in _NATIVE for letter in text if letter.isalpha())
    if native and likely not in ("tr", "en") and max(everyday_share(text, name, words) for name in taken) >= _WORDY:
        return None
    return f"reads like {language_name(likely)}, declared `{declared}`"


def _by_words(declared: str, text: str, words: Words | None) -> str | None:
    turkish, english = looks_turkish(text), everyday_share(text, "en")
    if declared == "tr" and english >= 0.5 and not turkish:
        return "reads like English, declared `tr`"
    if declared == "en" and turkish and not english:
        return "reads like Turkish, declared `en`"
    return _by_own_list(declared, text, words) if words and declared in words else None


def _by_own_list(declared: str, text: str, words: Words) -> str | None:
    """Judge a short text by the lists that a project adds: half of its words are another language's, and none its own."""
    shares = {name: everyday_share(text, name, words) for name in words}
    likely = max(shares, key=lambda name: shares[name])
    known = shares[declared] or {declared, likely} <= {"tr", "en"} or (declared == "tr" and looks_turkish(text))
    return None if known or shares[likely] < 0.5 else f"reads like {language_name(likely)}, declared `{declared}`"
