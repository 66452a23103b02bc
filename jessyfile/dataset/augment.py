"""Rewrite what the user types, never what JESSY answers: without Turkish letters, abbreviated as in chats, with one
typing error. Only text in Turkish or mixed text is changed. Code between fences or backquotes stays as it is."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

from jessyfile.resources import resource
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import ascii_folded, lower

CODE = re.compile(r"(`[^`]*`|https?://\S+)")
_WORD = re.compile(r"[^\W\d_]+")
_PROGRESSIVE = re.compile(r"(\w*[ıiuü]yo)r(um|sun|uz|lar|du|dun|dum|muş|sa)?\b")
_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "k": "jl",
    "l": "kş", "m": "nö", "n": "bm", "o": "ıp", "r": "et", "s": "ad", "t": "ry", "u": "yı",
    "v": "cb", "y": "tu", "z": "x",
}  # fmt: skip


def asciified(text: str) -> str:
    """Return the text as typed on a keyboard without Turkish letters."""
    return outside_code(text, ascii_folded)


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a text changed wherever it is neither code nor an address."""
    return "".join(part if CODE.fullmatch(part) or not part.strip() else change(part) for part in CODE.split(text))


@cache
def _short_forms() -> dict[str, str]:
    table = load_table(resource("data").parent, "short_forms")
    return {item["full"]: item["short"] for item in table.items}


def slangy(text: str) -> str:
    """Return the text as friends type it: `ne haber` becomes `nbr`, `yapıyorum` becomes `yapıyom`, all in lower
    case."""
    return outside_code(text, _shortened)


def _shortened(text: str) -> str:
    words = lower(text)
    for full, short in _short_forms().items():
        words = re.sub(rf"(?<!\w){re.escape(full)}(?!\w)", short, words)
    words = _PROGRESSIVE.sub(_progressive, words)
    return re.sub(r"[.,;]+(?=\s|$)", "", words)


def _progressive(found: re.Match[str]) -> str:
    """-yorum becomes -yom, -yorsun -yosun, -yor -yo."""
    ending = {"um": "m", "sun": "sun", "uz": "z"}.get(found.group(2) or "", found.group(2) or "")
    return found.group(1) + ending


def typo(text: str, rng: random.Random) -> str:
    """Return the text with one slip of the finger in one longer word: two letters swapped, one lost, doubled or
    missed."""
    words = [found for found in _WORD.finditer(text) if len(found.group()) >= 4 and not _in_code(text, found.start())]
    if not words:
        return text
    found = rng.choice(words)
    slipped = rng.choice((swap, lose, double, _miss))(found.group(), rng.randrange(1, len(found.group()) - 1))
    return text[: found.start()] + slipped + text[found.end() :]


def _in_code(text: str, position: int) -> bool:
    return any(code.start() <= position < code.end() for code in CODE.finditer(text))


def swap(word: str, at: int) -> str:
    """Return a word with the letter at a place and the next one swapped."""
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def lose(word: str, at: int) -> str:
    """Return a word without the letter at a place."""
    return word[:at] + word[at + 1 :]


def double(word: str, at: int) -> str:
    """Return a word with the letter at a place twice."""
    return word[: at + 1] + word[at:]


def _miss(word: str, at: int) -> str:
    keys = _NEIGHBOURS.get(word[at].lower(), "")
    return word[:at] + keys[0] + word[at + 1 :] if keys else double(word, at)
