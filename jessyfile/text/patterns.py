"""Regular expressions from suites and PERSONALITY rules, which may be run over any answer, and words that would be found in each.

A pattern that takes exponential time on some text is refused: one where a repetition without a small bound contains
another, or repeats alternatives. Such a check cannot find every slow pattern. So each search also has a time limit,
and texts are cut to `MAX_TEXT` characters.
"""

from __future__ import annotations

import re
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EvaluationError
from jessyfile.text.turkish import lower, nfc

if TYPE_CHECKING:
    import regex

MAX_TEXT = 8000
BOTH = " + "  # joins ideas in a word that a check asks for
SECONDS = 1.0
_SMALL = 8
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def says_nothing(word: str) -> bool:
    """Return whether a word, or one of the ideas that it joins, is empty or a bare `*`: every text would hold it."""
    return any(part.strip() in ("", "*") for part in word.strip().split(BOTH))


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern in one sentence, None when it may be used."""
    import regex

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(pattern)
            re.compile(pattern)
            _compiled(pattern)
    except (re.error, regex.error, RecursionError, OverflowError, MemoryError, Warning) as error:
        return f"`{pattern[:80]}` is no regular expression: {error}"
    if _dangerous(tree, inside=False):
        return f"`{pattern[:80]}` could take exponential time: it repeats a repetition or alternatives"
    return None


def found(pattern: str, text: str) -> bool:
    """Return whether a pattern occurs in a text in lower case, by Turkish rules or by plain ones (`If` is both).

    Raises EvaluationError when a search takes longer than SECONDS.
    """
    compiled, short = _compiled(pattern), text[:MAX_TEXT]
    try:
        return any(
            compiled.search(form, timeout=SECONDS) is not None
            for form in dict.fromkeys((lower(short), nfc(short).lower()))
        )
    except TimeoutError as error:
        raise EvaluationError(
            f"the pattern `{pattern[:80]}` takes more than {SECONDS:g} s on one answer",
            hint="write it without a repetition inside a repetition, and without several `.*`",
        ) from error


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    import regex  # the same language as the standard library's, with a time limit

    return regex.compile(pattern, regex.VERSION0)


def _dangerous(tree: Any, *, inside: bool) -> bool:  # noqa: ANN401 (nodes of the standard library's parser)
    return any(_dangerous_node(operator, argument, inside) for operator, argument in tree)


def _dangerous_node(operator: Any, argument: Any, inside: bool) -> bool:  # noqa: ANN401 (likewise)
    if operator in _REPEATS:
        _, most, body = argument
        wide = int(most) > _SMALL
        return (wide and inside) or _dangerous(body, inside=inside or wide)
    if operator is codes.BRANCH:
        return inside or any(_dangerous(body, inside=inside) for body in argument[1])
    return any(_dangerous(body, inside=inside) for body in _bodies(argument))


def _bodies(argument: Any) -> list[Any]:  # noqa: ANN401 (likewise)
    parts = argument if isinstance(argument, tuple | list) else (argument,)
    return [part for part in parts if isinstance(part, parser.SubPattern)]
