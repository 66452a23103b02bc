"""One answer for everything: what is said word for word to several different questions answers none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jessyfile.evaluation.clauses import sentences, without_echo
from jessyfile.text.turkish import folded_normal

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case

_CASES, _SHARE = 4, 0.5


def stock_answers(cases: Sequence[Case], texts: Mapping[str, str]) -> frozenset[str]:
    """Return the cases whose answer consists at least by half of sentences that as many as four different ones got.

    Args:
        cases: the cases of one run.
        texts: what was said, by the case's id.

    Returns:
        The ids of those cases.
    """
    said = {case.id: _sentences(case, texts[case.id]) for case in cases if case.id in texts}
    heard = dict[str, set[str]]()
    for case in cases:
        for sentence in said.get(case.id, ()):
            heard.setdefault(sentence, set()).add(_question(case.prompt))
    often = {sentence for sentence, prompts in heard.items() if len(prompts) >= _CASES}
    return frozenset(name for name, parts in said.items() if parts and _words(parts, often) >= _SHARE * _words(parts))


def _sentences(case: Case, text: str) -> list[str]:
    return [normal for part in sentences(without_echo(text, case.prompt)) if (normal := folded_normal(part))]


def _question(prompt: str) -> str:
    """Return a question without its numbers: the same one about 7 and about 38 may get the same answer."""
    return " ".join(word for word in folded_normal(prompt).split() if not word.isdigit())


def _words(parts: Sequence[str], among: set[str] | None = None) -> int:
    return sum(len(part.split()) for part in parts if among is None or part in among)
