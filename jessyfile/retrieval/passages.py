"""Documents as passages: what stands under one heading, cut where it is long, each with the titles above it.

Markdown's headings begin a passage, outside of fenced code; a text without headings is cut where it is long. What a passage says is read
off in quotes: sentences, items of lists behind the line that leads them in, rows of tables with the names of their columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jessyfile.text.lines import lines

LONGEST = 800  # characters of a passage
_WRAPPED = 60  # a line of prose as long as that goes on in the next one
_HEADING = re.compile(r" {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(?=\S)")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_BREAK = re.compile(r"(?<=[.!?…])[\"”»)]*\s+(?=[^\W\d_a-zçğıöşü]|[\"“«(-])")


@dataclass(frozen=True, slots=True)
class DocumentPassage:
    """A part of a document: `file` as counted from the project's root, `title` every heading above it; `id` is the file with the last
    heading behind `#`."""

    id: str
    file: str
    title: str
    text: str

    @property
    def section(self) -> tuple[str, str]:
        """The file and the titles that it shares with the other parts of a long section."""
        return self.file, self.title


def passages(file: str, text: str) -> list[DocumentPassage]:
    """Return a document's passages in their order.

    Args:
        file: the document's name, which is its title where it has no heading.
        text: Markdown or plain text.

    Returns:
        The passages; ids that would be the same are numbered.
    """
    found: list[DocumentPassage] = []
    named: Counter[str] = Counter()
    for titles, said in _sections(text):
        title = " › ".join(titles) or file.rpartition("/")[2].rpartition(".")[0] or file
        for part in _cut(said):
            name = f"{file}#{title.rpartition(' › ')[2]}"
            named[name] += 1
            found.append(DocumentPassage(name if named[name] == 1 else f"{name}~{named[name]}", file, title, part))
    return found


def _sections(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield what stands under each heading, with the headings above it; a heading with nothing below is said by itself."""
    above: dict[int, str] = {}
    held: list[str] = []
    fence = ""
    for line in _without_front_matter(lines(text)):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        depth, title = (0, "") if fence else _heading(line, held)
        if not depth:
            held.append(line)
            continue
        yield from _section(above, held, depth)
        held = []
        above = {level: one for level, one in above.items() if level < depth} | {depth: title}
    yield from _section(above, held, 1)


def _without_front_matter(found: Sequence[str]) -> Sequence[str]:
    """Leave out the settings between two lines of `---` with which some programs begin a note."""
    if not found or found[0].rstrip() != "---":
        return found
    ends = (place for place, line in enumerate(found[1:], start=2) if line.rstrip() in ("---", "..."))
    return found[next(ends, 0) :]


def _heading(line: str, held: list[str]) -> tuple[int, str]:
    """Return how deep a heading a line makes, of itself or of the line before it, and the heading; 0 when it makes none."""
    found = _HEADING.match(line)
    if found:
        return (len(found[1]), found[2]) if found[2] else (0, "")
    underline = _UNDERLINE.match(line)
    alone = held and held[-1].strip() and (len(held) == 1 or not held[-2].strip())
    if underline and alone and not (_ITEM.match(held[-1]) or "|" in held[-1]):
        return (1 if underline[1][0] == "=" else 2), held.pop().strip()
    return 0, ""


def _section(above: dict[int, str], held: Sequence[str], depth: int) -> Iterator[tuple[list[str], str]]:
    """Yield a section that a heading of this depth ends."""
    said = "\n".join(held).strip("\n")
    if said.strip():
        yield list(above.values()), said
    elif above and depth <= max(above):
        yield list(above.values()), list(above.values())[-1]


def _cut(text: str) -> Iterator[str]:
    """Yield a section whole, or in parts of at most `LONGEST` characters: paragraphs together, long ones by sentences."""
    held = ""
    for piece in (piece for block in re.split(r"\n[^\S\n]*\n", text) for piece in _short(block.strip("\n").rstrip())):
        if held and len(held) + 2 + len(piece) > LONGEST:
            yield held
            held = ""
        held = f"{held}\n\n{piece}" if held else piece
    if held:
        yield held


def _short(block: str) -> Iterator[str]:
    """Yield a paragraph, or its lines and sentences where it is too long; one that is still too long is cut where it must be."""
    if len(block) <= LONGEST:
        yield from [block] if block.strip() else []
        return
    held = ""
    for sentence in (part for line in block.split("\n") for part in _BREAK.split(line)):
        for piece in (sentence[at : at + LONGEST].strip() for at in range(0, len(sentence), LONGEST)):
            if held and len(held) + 1 + len(piece) > LONGEST:
                yield held
                held = ""
            held = f"{held}\n{piece}".strip("\n")
    if held.strip():
        yield held


def quotes(text: str) -> list[str]:
    """Return what a passage says, one by one, so that each can be quoted alone."""
    found: list[str] = []
    for block in re.split(r"\n[^\S\n]*\n", text):
        rows = block.split("\n")
        lead = found[-1] if found and found[-1].endswith(":") else ""
        if _FENCE.match(rows[0]):
            found.append(block.strip())
        elif len(rows) > 2 and "|" in rows[0] and _RULE.match(rows[1]):
            found += _table(rows)
        else:
            found += _prose(rows, lead)
    return list(dict.fromkeys(one for one in found if one.strip()))


def _table(rows: Sequence[str]) -> list[str]:
    names, *said = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in (rows[0], *rows[2:])]
    pairs = ([(name, cell) for name, cell in zip(names, row, strict=False) if cell] for row in said)
    return [", ".join(f"{name}: {cell}" if name else cell for name, cell in row) for row in pairs]


def _prose(rows: Sequence[str], lead: str) -> list[str]:
    """Return the sentences of a paragraph and the items of a list, each item behind the line that leads it in."""
    found: list[list[str]] = []
    items: set[int] = set()
    for row in rows:
        item = _ITEM.match(row)
        if item:
            items.add(len(found))
            found.append([row[item.end() :].strip()])
        elif found and (len(found) - 1 in items or len(found[-1][-1]) >= _WRAPPED):
            found[-1].append(row.strip())
        else:
            found.append([row.strip()])
    said: list[str] = []
    for place, parts in enumerate(found):
        whole = " ".join(parts)
        if place in items:
            said.append(f"{lead} {whole}".strip())
            continue
        said += _BREAK.split(whole)
        lead = said[-1] if said[-1].endswith(":") else ""
    return said
