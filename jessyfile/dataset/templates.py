"""Templates of examples: what people say and what fits as an answer, with slots for words of the lexicon.

A file `templates/examples/<category>.<topic>.j2` holds intents. An intent has questions (`?`), beginnings of an
answer (`=`) and ways to go on (`+`); every beginning fits every question. `[of |ya |]` is a choice, `{{ dish.acc |
cap }}` a slot, a brace alone is a brace, as JSON has it. Slots are Jinja expressions, read by Jinja's parser and
nothing more than a name, a column and the filters `cap` and `low`: no template of a user runs code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jessyfile.dataset.labels import Language
from jessyfile.errors import DatasetError
from jessyfile.fsops import storage_error
from jessyfile.resources import resource
from jessyfile.text.answer_language import is_language
from jessyfile.text.lexicon import Item, Table, load_table, table_path
from jessyfile.text.lines import lines
from jessyfile.text.turkish import capitalized, nfc, uncapitalized

FOLDER = "templates/examples"
MAX_TEMPLATE = 1 << 20
MAX_INTENTS = 2000
FILTERS: Mapping[str, Callable[[str], str]] = {"cap": capitalized, "low": uncapitalized}
_PIECE = re.compile(
    r"\{\{(?P<slot>[^{}]*)\}\}|\[(?P<choice>[^\[\]{}]*)\]|(?P<text>[^\[\]{}]+|\{(?![{%#])|\}(?!\}))|(?P<bad>.)",
    re.DOTALL,
)
_PLAIN = re.compile(r"\{\{ *([a-z]\w*)(?:\.([a-z]\w*))?((?: *\| *(?:cap|low))*) *\}\}", re.ASCII)
_JINJAS_OWN = {"and", "else", "false", "if", "in", "is", "none", "not", "or", "true"}
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one column of a slot's item, with filters."""

    name: str
    column: str | None
    filters: tuple[str, ...]

    def fill(self, items: Mapping[str, Item]) -> str:
        """Return the item's word."""
        item = items[self.name]
        word = item[self.column] if self.column else next(iter(item.values()))
        for name in self.filters:
            word = FILTERS[name](word)
        return word


Piece = str | tuple[str, ...] | Slot  # text, a choice, a slot


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """One line of an intent, in pieces."""

    pieces: tuple[Piece, ...]
    number: int

    def choices(self) -> list[int]:
        """Return how many ways each choice of the line has."""
        return [len(piece) for piece in self.pieces if isinstance(piece, tuple)]

    def render(self, items: Mapping[str, Item], picks: Iterator[int]) -> str:
        """Return the line with its slots filled and each choice taken as `picks` says."""
        parts = []
        for piece in self.pieces:
            if isinstance(piece, str):
                parts.append(piece)
            elif isinstance(piece, Slot):
                parts.append(piece.fill(items))
            else:
                parts.append(piece[next(picks) % len(piece)])
        return " ".join("".join(parts).split())


@dataclass(slots=True)
class Intent:
    """One thing that people say. `slots` maps a slot's name to its table; `alone` are answers that take no
    continuation."""

    name: str
    slots: dict[str, Table]
    level: str
    iterations: int
    language: Language
    tags: tuple[str, ...]
    questions: list[TemplateLine] = field(default_factory=list)
    openings: list[TemplateLine] = field(default_factory=list)
    alone: list[TemplateLine] = field(default_factory=list)
    follows: list[TemplateLine] = field(default_factory=list)


def template_path(root: Path, category: str, topic: str) -> Path | None:
    """Return a topic's template file: the project's own, else the shipped one, else None."""
    for folder in (root / FOLDER, resource("templates", "examples")):
        path = folder / f"{category}.{topic}.j2"
        if path.is_file():
            return path
    return None


def template_files(root: Path, category: str, topic: str) -> tuple[Path, ...]:
    """Return a topic's template file and the word tables that it names."""
    path = template_path(root, category, topic)
    if path is None:
        return ()
    tables = {table for header in _headers(_read(path)) for table in _slots(header).values()}
    return (path, *(table_path(root, name) for name in sorted(tables)))


def load_intents(root: Path, category: str, topic: str) -> list[Intent]:
    """Read a topic's intents; none when it has no template. Raises DatasetError with file and line on a mistake."""
    path = template_path(root, category, topic)
    return [] if path is None else _Reader(path, root).read()


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_TEMPLATE:
            raise DatasetError(f"{path.name} is longer than 1 MiB")
        text = nfc(raw.decode("utf-8"))
    except OSError as error:
        raise storage_error(error, path, "read") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is not UTF-8") from error
    return _COMMENT.sub(lambda found: "\n" * found.group().count("\n"), text)


def _headers(text: str) -> list[dict[str, str]]:
    return [_header(line[2:]) for line in lines(text) if line.startswith("==")]


def _header(text: str) -> dict[str, str]:
    """Read `name | dish: dishes | iterations 2 | tags persona` into words by key; slots keep their colon."""
    name, *parts = (part.strip() for part in text.split("|"))
    found = {"name": name}
    for part in parts:
        if ":" in part:
            found["slots"] = part
        else:
            key, _, value = part.partition(" ")
            found[key] = value.strip()
    return found


def _slots(header: Mapping[str, str]) -> dict[str, str]:
    pairs = (pair.partition(":") for pair in header.get("slots", "").split(",") if pair.strip())
    return {name.strip(): table.strip() for name, _, table in pairs}


class _Reader:
    """Reads one template file, line by line, keeping file and line for mistakes."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.tables: Callable[[str], Table] = cache(lambda name: load_table(root, name))
        self.intents: list[Intent] = []
        self.number = 0

    def read(self) -> list[Intent]:
        for number, line in enumerate(lines(_read(self.path)), start=1):
            self.number = number
            if line.strip():
                self._line(line.strip())
        for intent in self.intents:
            if not intent.questions or not (intent.openings or intent.alone):
                raise self._mistake(f"the intent `{intent.name}` needs at least one question and one answer")
        return self.intents

    def _line(self, line: str) -> None:
        kinds = {"== ": self._intent, "? ": self._question, "=. ": self._alone, "= ": self._opening, "+ ": self._follow}
        for start, take in kinds.items():
            if line.startswith(start):
                return take(line[len(start) :].strip())
        raise self._mistake("the line begins with none of `==`, `?`, `=`, `=.` and `+`")

    def _intent(self, text: str) -> None:
        header = _header(text)
        unknown = set(header) - {"name", "slots", "level", "iterations", "language", "tags"}
        if unknown:
            raise self._mistake(f"unknown word `{min(unknown)[:40]}` in the intent's line")
        if len(self.intents) >= MAX_INTENTS or any(intent.name == header["name"] for intent in self.intents):
            raise self._mistake(f"the intent `{header['name'][:40]}` is there already, or one too many")
        iterations = header.get("iterations", "1")
        if not iterations.isascii() or not iterations.isdigit():
            raise self._mistake("iterations takes a number")
        slots = {name: self.tables(table) for name, table in _slots(header).items()}
        tags = tuple(header.get("tags", "").split())
        level, language = header.get("level", "low"), header.get("language", "tr")
        if not is_language(language):
            raise self._mistake("the language is an ISO 639-1 code, mixed or any")
        self.intents.append(Intent(header["name"], slots, level, int(iterations[:2]), Language(language), tags))

    def _question(self, text: str) -> None:
        self._current().questions.append(self._pieces(text))

    def _opening(self, text: str) -> None:
        self._current().openings.append(self._pieces(text))

    def _alone(self, text: str) -> None:
        self._current().alone.append(self._pieces(text))

    def _follow(self, text: str) -> None:
        self._current().follows.append(self._pieces(text))

    def _current(self) -> Intent:
        if not self.intents:
            raise self._mistake("a line before the first `== intent`")
        return self.intents[-1]

    def _pieces(self, text: str) -> TemplateLine:
        return TemplateLine(tuple(self._piece(found) for found in _PIECE.finditer(text)), self.number)

    def _piece(self, found: re.Match[str]) -> Piece:
        if found["slot"] is not None:
            return self._slot(found.group())
        if found["choice"] is not None:
            return tuple(found["choice"].split("|"))
        if found["bad"] is not None:
            raise self._mistake(f"`{found['bad']}` stands alone; choices are `[a|b]`, slots `{{{{ name.column }}}}`")
        return found.group()

    def _slot(self, text: str) -> Slot:
        slot = _parse_slot(text)
        if slot is None:
            raise self._mistake(f"`{text[:60]}` is more than a slot, a column and the filters {', '.join(FILTERS)}")
        table = self._current().slots.get(slot.name)
        if table is None:
            raise self._mistake(f"the intent has no slot `{slot.name}`")
        if slot.column is not None and slot.column not in table.columns:
            raise self._mistake(
                f"the table `{table.name}` has no column `{slot.column}`; it has {', '.join(table.columns)}"
            )
        return slot

    def _mistake(self, message: str) -> DatasetError:
        return DatasetError(
            f"{self.path.name}:{self.number}: {message}", hint="docs/data.md explains the form of templates"
        )


def _parse_slot(text: str) -> Slot | None:
    """Read `{{ name.column | cap }}`; what is not plainly that is left to Jinja's parser, which takes long to import. None when it is
    anything else."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None and plain[1] not in _JINJAS_OWN:
        return Slot(plain[1], plain[2], tuple(re.findall(r"\w+", plain[3])))
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        body = Environment(autoescape=False).parse(text).body  # noqa: S701 (parsed, never rendered)
    except TemplateSyntaxError:
        return None
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        return None
    node: nodes.Node | None = body[0].nodes[0]
    filters: list[str] = []
    while isinstance(node, nodes.Filter) and node.name in FILTERS and not (node.args or node.kwargs):
        filters.append(node.name)
        node = node.node
    column = None
    if isinstance(node, nodes.Getattr):
        column, node = node.attr, node.node
    return Slot(node.name, column, tuple(reversed(filters))) if isinstance(node, nodes.Name) else None
