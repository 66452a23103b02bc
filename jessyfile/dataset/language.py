"""Check that an answer is in the language that its row declares. In doubt a row stays, because a filter that drops
good Turkish does more harm than one that misses a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jessyfile.dataset.filters import Dropped, Tally
from jessyfile.text.answer_language import (
    NAMES,
    confidences,
    everyday_share,
    is_long,
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


def keep_declared(rows: Sequence[Row], tally: Tally) -> list[Row]:
    """Return the rows whose answer is in the declared language; the others are counted under `language`."""
    refused = dict(language_faults(rows))
    for index, reason in refused.items():
        tally.add(Dropped(rows[index], "language", reason))
    return [row for index, row in enumerate(rows) if index not in refused]


def language_faults(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return (index, reason) of every row whose answer is not in the language that it declares."""
    refused = _refusals([(row.example.language, prose(row.example.response or "")) for row in rows])
    return [(index, reason) for index, reason in enumerate(refused) if reason is not None]


def wording_faults(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return (index, reason) of every paraphrase of four words or more that is not in the language that its row declares."""
    said = ((index, text) for index, row in enumerate(rows) for text in row.example.paraphrases)
    told = [(index, text) for index, text in said if len(text.split()) >= _TELLING]
    refused = _refusals([(rows[index].example.language, prose(text)) for index, text in told])
    found = zip(told, refused, strict=True)
    return [(index, f"the wording `{text[:60]}` {reason}") for (index, text), reason in found if reason is not None]


def _refusals(told: Sequence[tuple[str, str]]) -> list[str | None]:
    """Return why each text is not in the language declared before it; None where it is, or in doubt."""
    long = [index for index, (_, text) in enumerate(told) if is_long(text)]
    judged = dict(zip(long, confidences([told[index][1] for index in long]), strict=True))
    return [_refusal(declared, text, judged.get(index)) for index, (declared, text) in enumerate(told)]


def _refusal(declared: str, text: str, confidence: Mapping[str, float] | None) -> str | None:
    taken = languages(declared)
    if confidence is None:
        return _by_words(declared, text)
    likely = max(confidence, key=lambda name: confidence[name])
    if likely in taken or sum(confidence[name] for name in taken) >= _UNLIKELY:
        return None
    native = all(letter.isascii() or letter in _NATIVE for letter in text if letter.isalpha())
    if native and likely not in ("tr", "en") and max(everyday_share(text, name) for name in taken) >= _WORDY:
        return None
    return f"reads like {NAMES[likely]}, declared `{declared}`"


def _by_words(declared: str, text: str) -> str | None:
    turkish, english = looks_turkish(text), everyday_share(text, "en")
    if declared == "tr" and english >= 0.5 and not turkish:
        return "reads like English, declared `tr`"
    if declared == "en" and turkish and not english:
        return "reads like Turkish, declared `en`"
    return None
