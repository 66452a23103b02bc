"""An answer as it is read aloud: sentence by sentence while it is still written, without what is only for the eye."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# a sentence ends before white space; what closes a quotation or a bracket belongs to it
_END = re.compile(r"""[.!?…]+["'”’»)\]*_]*(?=\s)|[:;](?=\s*\n)""")
_SHORT = re.compile(
    r"(?:^|[\s(])(?:(?-i:[A-ZÇĞİÖŞÜ])|dr|prof|doç|av|sn|hz|bkz|örn|vb|vs|yy|no|tel|mr|mrs|ms|e\.g|i\.e|etc)\.$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:^|\s)\d{1,4}\.$")
_CLAUSE = re.compile(r"[,;:–—](?=\s)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_MARKER = re.compile(r"\A\s*\[(?:low|medium|high) \d+\]\s*")
_LONGEST = 240  # letters that are read in one breath
_SOUNDS = re.compile(r"\w")

_FOR_THE_EYE = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),  # a picture: its description
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),  # a link: its words
    (re.compile(r"https?://(?:www\.)?([^\s/)>\]]+)[^\s)>\]]*"), r"\1"),  # an address: where it leads
    (re.compile(r"</?[a-zA-Z][^<>]*>"), ""),
    (re.compile(r"^\s{0,3}#{1,6}\s+"), ""),
    (re.compile(r"^\s*(?:[-*+•]|>)\s+"), ""),
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$"), ""),
    (re.compile(r"^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*:?-*:?\s*$"), ""),  # the line below a table's head
    (re.compile(r"\*+|~~|`+|(?<!\w)_+|_+(?!\w)"), ""),
    (re.compile(r"\s*\|\s*"), ", "),
    # pictographs, with what joins and colours them
    (re.compile("[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3]"), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r"^[\s,]+|[\s,]+$"), ""),
)


def speakable(text: str) -> str:
    """Return a sentence without marks, links, tags and pictographs; empty where nothing is left to say."""
    for form, said in _FOR_THE_EYE:
        text = form.sub(said, text)
    return text if _SOUNDS.search(text) else ""


@dataclass(slots=True)
class Sentences:
    """Gives the sentences of a text that grows. Code blocks are left out, and a marker line before the first word."""

    _taken: int = 0
    _in_code: bool = False
    _begun: bool = False

    def feed(self, text: str) -> list[str]:
        """Take the text so far, which begins with what was taken before; return the sentences that are whole now."""
        return self._said(text, at_end=False)

    def finish(self, text: str) -> list[str]:
        """Take the whole text; return the sentences that are left."""
        return self._said(text, at_end=True)

    def _said(self, text: str, *, at_end: bool) -> list[str]:
        return [said for piece in self._pieces(text, at_end=at_end) if (said := speakable(piece))]

    def _pieces(self, text: str, *, at_end: bool) -> Iterator[str]:
        while True:
            if not self._begun:
                found = _MARKER.match(text)
                if found is None and not at_end and text.lstrip().startswith("[") and "]" not in text:
                    return  # it may become a marker
                self._taken, self._begun = found.end() if found else 0, True
            rest = text[self._taken :]
            length = self._length(rest, at_end=at_end)
            if not length:
                return
            self._taken += length
            piece = rest[:length]
            if _FENCE.match(piece):
                self._in_code = not self._in_code
            elif not self._in_code:
                yield piece

    def _length(self, rest: str, *, at_end: bool) -> int:
        """Return how many letters the next piece has: a sentence, a line, or, of what has no end, as much as a breath; 0 for none yet."""
        line = rest.find("\n") + 1
        whole = rest[:line] if line else rest
        if self._in_code or _FENCE.match(whole):
            return line or (len(rest) if at_end else 0)
        for found in _END.finditer(whole):
            if not _goes_on(whole, found):
                return self._breath(whole[: found.end()])
        if line or at_end:
            return self._breath(whole)
        return self._breath(whole) if len(whole) > _LONGEST else 0

    def _breath(self, piece: str) -> int:
        if len(piece) <= _LONGEST:
            return len(piece)
        clauses = [found.end() for found in _CLAUSE.finditer(piece, 0, _LONGEST)]
        spaces = piece.rfind(" ", 0, _LONGEST)
        return clauses[-1] if clauses else spaces + 1 if spaces > 0 else _LONGEST


def _goes_on(text: str, found: re.Match[str]) -> bool:
    """Whether a full stop ends no sentence: it stands behind a short form, behind the number of a list's item, or of what is counted."""
    if found[0] != ".":
        return False
    before, after = text[: found.end()], text[found.end() :].lstrip()
    if _NUMBER.search(before):
        return before.strip()[:-1].isdecimal() or after[:1].islower()
    return _SHORT.search(before) is not None


def sentences(text: str) -> list[str]:
    """Return the sentences of a whole text as they are read aloud."""
    return Sentences().finish(text)
