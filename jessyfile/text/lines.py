"""Lines of a text as an editor counts them."""

from __future__ import annotations


def lines(text: str) -> list[str]:
    """Return the lines, which LF or CRLF end; `str.splitlines` also breaks at U+2028, U+0085 and form feeds."""
    found = text.replace("\r\n", "\n").split("\n")
    return found[:-1] if found[-1] == "" else found
