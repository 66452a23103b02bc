"""Text and JSON that may reach a terminal: nothing in it moves the cursor, changes colours or turns the writing round.

Hidden are control characters (C0, DEL, and C1 with its one-character CSI, U+009B), format and direction marks, line and
paragraph separators, and halves of surrogate pairs. The two joiners stay: emoji and Persian are written with them.
"""

from __future__ import annotations

import json
import re
import reprlib
import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
_SUSPECT = re.compile(r"[^\n\t -~]")
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_hidden(character: str) -> bool:
    """Return whether a terminal would obey a character, or show nothing where it stands; newline and tab count too."""
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def printable(text: object) -> str:
    """Return the text with hidden characters spelled as their numbers (`\\u009b`); newlines and tabs stay."""
    return _SUSPECT.sub(_spelled, str(text))


def brief(value: object) -> str:
    """Return a value as Python spells it, hidden characters escaped, the middle of a long one left out."""
    return _BRIEF.repr(value)


def json_text(value: object, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """Return a value as JSON with real letters, the hidden characters escaped; raises ValueError for NaN or infinity."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys, allow_nan=False)
    return _SUSPECT.sub(_escaped, text)


def whole(text: str) -> str:
    """Return the text with halves of surrogate pairs put together, and a half alone, which is no character, as U+FFFD."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _spelled(found: re.Match[str]) -> str:
    character = found.group()
    if not is_hidden(character):
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    return json.dumps(character)[1:-1] if is_hidden(character) else character
