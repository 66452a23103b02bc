"""Filters: what a row must pass before it is used for training. Each function says why it drops a row.

A filter here looks at one row alone. Near duplicates, leaks into the suites and languages need more than one row or a
model of their own: `similarity`, `leaks`, `language`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile.dataset.example import Bands, TrainingExample, level_faults, shape_faults, texts_of
from jessyfile.dataset.marker import leak_pattern
from jessyfile.results.facts import DroppedRows
from jessyfile.text.turkish import tokens

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row
    from jessyfile.language.recipe import Complexity

MAX_EXAMPLES = 3
ALLOWABLE = (
    "personal",
    "length",
    "repetition",
)  # what `allow` may name: the others keep rows that cannot be trained or that give cases away
_LENGTHS = {"low": 400, "medium": 2000, "high": 3000}
_MAX_QUERY = 4000
_RUN = re.compile(r"([^\s\-=_.*#~/|+0-9])\1{9,}")

Check = Callable[[TrainingExample], str | None]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that a filter refused, and why."""

    row: Row
    filter: str
    reason: str


@dataclass(slots=True)
class Tally:
    """How many rows each filter dropped, with the first few as examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, dropped: Dropped) -> None:
        """Count one refused row."""
        self.counts[dropped.filter] += 1
        shown = self.examples.setdefault(dropped.filter, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(f"{dropped.row.place}: {dropped.reason}")

    def merge(self, other: Tally) -> None:
        """Take in another tally's counts and examples."""
        self.counts.update(other.counts)
        for name, shown in other.examples.items():
            self.examples[name] = [*self.examples.get(name, []), *shown][:MAX_EXAMPLES]

    def notes(self) -> Iterator[str]:
        """Yield what each filter dropped, with the first row as its example."""
        for name, examples in self.examples.items():
            way = f"; `allow {name}` in DATASET takes them" if name in ALLOWABLE else ""
            yield f"{self.counts[name]} dropped ({name}): {examples[0]}{way}"

    def facts(self) -> dict[str, DroppedRows]:
        """Return what each filter dropped, by its name."""
        return {name: DroppedRows(self.counts[name], tuple(self.examples[name])) for name in sorted(self.counts)}


def bands_of(complexity: Complexity) -> Bands:
    """Return the recipe's band of iterations for each level."""
    return {level.name: level.iterations for level in complexity.levels}


def row_checks(complexity: Complexity, allow: Collection[str] = ()) -> dict[str, Check]:
    """Return the filters that look at one row alone, in the order in which they are asked, without those that a recipe switches off."""
    bands = bands_of(complexity)
    levels = tuple(bands)
    checks: dict[str, Check] = {
        "schema": lambda example: _first(shape_faults(example)),
        "length": length,
        "level": lambda example: _first(level_faults(example, bands)),
        "marker": lambda example: leaked_marker(example, complexity.marker, levels),
        "repetition": repetition,
        "personal": personal_data,
    }
    return {name: check for name, check in checks.items() if name not in allow}


def apply_checks(rows: Iterable[Row], checks: dict[str, Check], tally: Tally) -> list[Row]:
    """Return the rows that pass every check; the others are counted under the first filter that refused them."""
    passed = []
    for row in rows:
        dropped = _first_refusal(row, checks)
        if dropped is None:
            passed.append(row)
        else:
            tally.add(dropped)
    return passed


def _first_refusal(row: Row, checks: dict[str, Check]) -> Dropped | None:
    for name, check in checks.items():
        reason = check(row.example)
        if reason is not None:
            return Dropped(row, name, reason)
    return None


def _first(faults: Sequence[str]) -> str | None:
    return faults[0] if faults else None


def level_of_length(characters: int) -> str:
    """Return the lowest level whose answers may be so long; the highest for one that no level takes."""
    return next(
        (level for level, most in _LENGTHS.items() if characters <= most),
        max(_LENGTHS, key=lambda level: _LENGTHS[level]),
    )


def length(example: TrainingExample) -> str | None:
    """Refuse an answer too long for its level (low 400, medium 2000, high 3000 characters), or an endless question."""
    limit = _LENGTHS.get(example.level, max(_LENGTHS.values()))
    if example.response is not None and len(example.response) > limit:
        return f"a {example.level} answer of {len(example.response)} characters, more than {limit}"
    if len(example.query) > _MAX_QUERY:
        return f"a question of {len(example.query)} characters, more than {_MAX_QUERY}"
    return None


def leaked_marker(example: TrainingExample, marker: str | None, levels: tuple[str, ...]) -> str | None:
    """Refuse text that holds a complexity marker or a chat template's control token."""
    pattern = leak_pattern(marker, levels)
    for text in texts_of(example):
        found = pattern.search(text)
        if found:
            return f"the {_named(example, text)} holds `{found.group()}`"
    return None


def _named(example: TrainingExample, text: str) -> str:
    return f"wording `{text[:40]}`" if text in example.paraphrases else "text"


def repetition(example: TrainingExample) -> str | None:
    """Refuse an answer that loops: a run of three words at least three times, a sentence twice, a letter ten times."""
    for text in texts_of(example):
        found = _RUN.search(text)
        if found:
            many = f"`{found.group()[0]}` stands {len(found.group())} times in a row"
            return f"in the {_named(example, text)} {many}" if text in example.paraphrases else f"the character {many}"
    return _loop(example.response or "")


def _loop(text: str) -> str | None:
    words = tokens(text)
    common = Counter(zip(words, words[1:], words[2:], strict=False)).most_common(1)
    if common and common[0][1] >= 3 and common[0][1] * 3 >= len(words) * 0.15:
        return f"`{' '.join(common[0][0])}` comes {common[0][1]} times"
    sentences = [part for part in map(" ".join, map(tokens, re.split(r"[.!?\n]+", text))) if len(part) >= 20]
    twice = [part for part, times in Counter(sentences).items() if times > 1]
    return f"the sentence `{twice[0][:40]}` comes twice" if twice else None


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![\w.])(?:\+90|0)[ ./-]?\(?5\d{2}\)?[ ./-]?\d{3}[ .-]?\d{2}[ .-]?\d{2}(?!\d)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[0-9A-Z]{4}){3,7}(?: ?[0-9A-Z]{1,3})?\b")
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?\d){10,18}(?![\d.])")
_EXAMPLE_MAIL = re.compile(r"@(?:example\.|[\w.-]*\.(?:invalid|test)$|localhost)")


def personal_data(example: TrainingExample) -> str | None:
    """Refuse e-mail addresses, Turkish mobile numbers, IBANs, and identity or card numbers whose check digits are
    right."""
    for text in texts_of(example):
        found = _personal(text)
        if found:
            return f"the {_named(example, text)} holds {found}"
    return None


def _personal(text: str) -> str | None:
    mail = _EMAIL.search(text)
    if mail and not _EXAMPLE_MAIL.search(mail.group()):
        return "an e-mail address"
    if _PHONE.search(text):
        return "a phone number"
    if any(_is_iban(found.group().replace(" ", "")) for found in _IBAN.finditer(text)):
        return "an IBAN"
    for found in _DIGITS.finditer(text):
        digits = [int(c) for c in found.group() if c.isdigit()]
        if _is_identity(digits):
            return "an identity number"
        if _is_card(digits):
            return "a card number"
    return None


def _is_iban(text: str) -> bool:
    """ISO 13616: moved and read as a number, the remainder by 97 is 1."""
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def _is_identity(digits: Sequence[int]) -> bool:
    """The two check digits of a Turkish identity number."""
    if len(digits) != 11 or digits[0] == 0:
        return False
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def _is_card(digits: Sequence[int]) -> bool:
    """Luhn's check digit, for 13 to 19 digits that are not all alike."""
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [d * 2 - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
