"""Values -> words and texts of a Jessyfile, so that reading them gives the value back."""

from __future__ import annotations

import re

from jessyfile.language.write_value import quoted, spell_text

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def portable(text: str) -> tuple[str, list[str]]:
    """Return a text as a recipe can hold it, and in words what that changed."""
    changed = []
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if plain != text:
        changed.append("carriage returns became line ends")
    kept = _CONTROL.sub("", plain)
    if kept != plain:
        points = sorted({f"U+{ord(c):04X}" for c in _CONTROL.findall(plain)})
        changed.append(f"control characters were left out ({', '.join(points[:5])})")
    return kept, changed


def written(text: str) -> str:
    """Return a portable text in quotes: on one line, or as a block at the margin of a top-level instruction."""
    return quoted(text) if "\n" not in text else "\n".join(spell_text(text, "  "))


def number(value: float) -> str:
    """Return a finite number as a recipe spells it: `16`, `0.05`, `1e-5`."""
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return re.sub(r"e([+-]?)0+(?=\d)", r"e\1", repr(float(value))).replace("e+", "e")


def is_number(text: str) -> bool:
    """Return whether a word reads as a number in a recipe."""
    return _NUMBER.fullmatch(text) is not None


def model_name(text: str) -> str:
    """Return a text as a model's name: letters a to z, digits, `-` and `_`."""
    from jessyfile.language.suggest import plain

    name = re.sub(r"[^a-z0-9_]+", "-", plain(text)).strip("-_")[:60]
    return name or "model"


def one_line(text: str, length: int = 60) -> str:
    """Return a text for a comment or a message: one line, printable, not too long."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= length else shown[: length - 1] + "…"
