"""Check one answer. A reader can verify every kind of check by eye."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jessyfile.evaluation.words import holds
from jessyfile.text.patterns import found

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Check

_OWN_VIEW = (
    "bence", "bana kalırsa", "bana göre", "bana sorarsan", "kanımca", "benim için", "benim fikrim", "benim gözümde",
    "benim görüşüm", "ben olsam", "düşünüyorum", "inanıyorum", "sanıyorum", "sanırım", "tercih ederim", "tercihim",
    "inanmıyorum", "sanmıyorum", "düşünmüyorum", "katılıyorum", "katılmıyorum", "savunuyorum", "savunmam", "yanayım",
    "inandırıcı gelmiyor", "bana adil gelmiyor", "benim ölçüm",
    "i think", "i believe", "i'd", "i’d", "i would", "i feel", "i find", "i prefer", "i suspect", "i doubt",
    "in my view", "in my opinion", "my view", "my opinion", "if you ask me", "to me",
)  # fmt: skip
_WOULD = r"\b\w{2,}(?:[aeıiuü]r|m[ae]z)d[ıiuü]m\b"  # söylerdim, yapmazdım: what she would do; yardım is none
_ANALYSIS = (
    "felsefi", "felsefe", "ontoloj", "epistemoloj", "metafizik", "varoluş", "fenomenoloj", "derin bir soru",
    "derin bir konu", "analiz edelim", "analiz etmek gerek", "değerlendirmek gerek", "bu bağlamda", "öte yandan",
    "philosoph", "ontolog", "epistemolog", "metaphysic", "existential", "phenomenolog", "a deep question",
    "let's analyze", "let us analyze", "on the one hand", "on the other hand",
)  # fmt: skip
_LAYOUT = re.compile(r"^\s*(?:[-*•]\s+\S|\d{1,2}[.)]\s+\S|#{1,6}\s|\*\*[^*\n]+\*\*:?\s*$)", re.MULTILINE)


def passes(check: Check, answer: str) -> bool:
    """Return whether an answer, without its marker, passes a check."""
    return _CHECKS[check.kind](check, answer)


def complaint(check: Check, answer: str) -> str:
    """Return in words what a failed check found, or missed, in an answer."""
    if check.kind == "length":
        size = len(answer.strip())
        return (
            f"{size} characters, at most {check.most}"
            if size > check.least
            else f"{size} characters, at least {check.least}"
        )
    if check.kind in ("any_of", "all_of", "none_of"):
        held = [word for word in check.words if holds(answer, word)]
        missing = [word for word in check.words if word not in held]
        return f"says {', '.join(held)}" if check.kind == "none_of" else f"does not say {', '.join(missing)}"
    plain = {"first_person": "no view of its own", "no_analysis": "analyses, or makes a list"}
    verb = "matches" if check.kind == "not_regex" else "does not match"
    return plain.get(check.kind) or f"{verb} {check.pattern}"


def rule_holds(rule: str, answer: str) -> bool:
    """Return whether an answer holds a PERSONALITY rule: a word, or a regular expression between slashes."""
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return found(rule[1:-1], answer)
    return holds(answer, rule)


def _any_of(check: Check, answer: str) -> bool:
    return any(holds(answer, word) for word in check.words)


def _all_of(check: Check, answer: str) -> bool:
    return all(holds(answer, word) for word in check.words)


def _length(check: Check, answer: str) -> bool:
    size = len(answer.strip())
    return check.least <= size and (check.most is None or size <= check.most)


def _first_person(_: Check, answer: str) -> bool:
    return found(_WOULD, answer) or any(holds(answer, words) for words in _OWN_VIEW)


def _no_analysis(_: Check, answer: str) -> bool:
    return _LAYOUT.search(answer) is None and not any(holds(answer, words) for words in _ANALYSIS)


_CHECKS: Mapping[str, Callable[[Check, str], bool]] = {
    "any_of": _any_of,
    "all_of": _all_of,
    "none_of": lambda check, answer: not _any_of(check, answer),
    "regex": lambda check, answer: found(check.pattern, answer),
    "not_regex": lambda check, answer: not found(check.pattern, answer),
    "length": _length,
    "first_person": _first_person,
    "no_analysis": _no_analysis,
}
