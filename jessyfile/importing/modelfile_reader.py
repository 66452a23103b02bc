"""Read a Modelfile by the rules of Ollama's own text parser (`parser.ParseFile`), traps included.

Its text has no escapes and no inline comments. A value ends with its line, but one that begins with a quote runs on
to the first line that ends with the same quotes. Words are case-insensitive, keys and roles are not; a second space
after PARAMETER or MESSAGE ends an empty key. What Go does not call printable (no-break spaces, joiners, soft hyphens)
vanishes without a message.

Not covered: letters newer than this Python's Unicode tables, which Ollama keeps and we drop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jessyfile.errors import ModelfileError
from jessyfile.language.source import SourceFile

WORDS = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")
_BLANK = " \t\r\n"
_NEWLINE = re.compile(r"[\r\n]")
_SKIP = re.compile(r"[ \t\r\n]*")
_LETTERS = re.compile(r"[A-Za-z]*")
_KEY = re.compile(r"[A-Za-z0-9_]*")
_SHOWN = 40
NO_COMMENTS = "Ollama has no inline comments: put it on a line of its own"
AFTER_QUOTES = re.compile(r'"[ \t]+#')


@dataclass(frozen=True, slots=True)
class Command:
    """One instruction as Ollama keeps it: FROM is `model`, a PARAMETER goes by its key, a MESSAGE is `role: text`.

    Two are equal when Ollama would keep the same. `line` and `last_line` count from 1; `word` is the instruction as
    written, in lower case; `vanished` holds the characters that were dropped; `quoted` says that it began with a quote.
    """

    name: str
    args: str
    line: int = field(default=0, compare=False)
    last_line: int = field(default=0, compare=False)
    word: str = field(default="", compare=False)
    vanished: str = field(default="", compare=False)
    quoted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that begins with `#`, without it."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says, in its order."""

    commands: tuple[Command, ...]
    comments: tuple[Comment, ...]


def decode_modelfile(data: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 when a byte order mark says so. Raises ModelfileError for other bytes."""
    encoding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(data[:2], "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ModelfileError(
            f"the Modelfile is no {encoding.removesuffix('-sig').upper()} (byte {error.start})", hint="save it as UTF-8"
        ) from error


def read_modelfile(text: str) -> list[Command]:
    """Return the instructions. Raises ModelfileError where Ollama would refuse the file."""
    return list(parse_modelfile(text).commands)


def parse_modelfile(text: str) -> Modelfile:
    """Return the instructions and the comments. Raises ModelfileError where Ollama would refuse the file."""
    found = list(_Reader(text).parts())
    commands = tuple(part for part in found if isinstance(part, Command))
    if not any(command.name == "model" for command in commands):
        raise ModelfileError("a Modelfile has no FROM", hint="add a line like `FROM gemma3:270m`")
    return Modelfile(commands, tuple(part for part in found if isinstance(part, Comment)))


class _Reader:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.source = SourceFile("Modelfile", text)
        self.at = 0

    def parts(self) -> Iterator[Command | Comment]:
        while True:
            self.at = _past(_SKIP, self.text, self.at)
            if self.at == len(self.text):
                return
            yield self._comment() if self.text[self.at] == "#" else self._command()

    def _line(self, at: int) -> int:
        return self.source.position(at)[0]

    def _comment(self) -> Comment:
        start = self.at
        self.at = self._line_end(start)
        return Comment(_kept(self.text[start + 1 : self.at]).strip(), self._line(start))

    def _line_end(self, start: int) -> int:
        found = _NEWLINE.search(self.text, start)
        return found.start() if found else len(self.text)

    def _command(self) -> Command:
        start = self.at
        word = self._word()
        name = {"from": "model", "parameter": "", "message": "message"}.get(word, word)
        role = ""
        if word == "parameter":
            name = self._name(_KEY, "PARAMETER", "a key and a value")
        elif word == "message":
            role = self._role()
        value, raw = self._value(word)
        args = f"{role}: {value}" if role else value
        last = self._line(max(start, self.at - 1))
        quoted = bool(_opening(_kept(_NEWLINE.split(raw, maxsplit=1)[0])))
        return Command(name, args, self._line(start), last, word, _dropped(raw), quoted)

    def _word(self) -> str:
        """Return the instruction in lower case; its first character may be anything, as with Ollama."""
        start = self.at
        end = _past(_LETTERS, self.text, start + 1)
        word = _kept(self.text[start:end]).lower()
        if word not in WORDS or self.text[end : end + 1] not in (" ", "\t"):
            shown = self.text[start : self._line_end(start)].strip()[:_SHOWN]
            self._fail(
                start,
                f"`{shown}` does not begin with an instruction and a space",
                "instructions are " + ", ".join(w.upper() for w in WORDS),
            )
        self.at = end + 1
        return word

    def _name(self, pattern: re.Pattern[str], word: str, what: str) -> str:
        start = self.at
        end = _past(pattern, self.text, start)
        if self.text[end : end + 1] not in (" ", "\t"):
            self._fail(start, f"{word} takes {what}", f"write `{word}`, one space, and {what}")
        self.at = end + 1
        return self.text[start:end]

    def _role(self) -> str:
        start = self.at
        role = self._name(_LETTERS, "MESSAGE", "a role and a text")
        if role not in ROLES:
            self._fail(
                start,
                f"MESSAGE has the role `{role[:_SHOWN]}`",
                "roles are system, user and assistant, after exactly one space",
            )
        return role

    def _value(self, word: str) -> tuple[str, str]:
        """Return the value as Ollama keeps it, and the text it was read from."""
        start, size = self.at, 0
        end = self._line_end(start)
        quotes = _opening(_kept(self.text[start:end]))
        while True:
            kept = _kept(self.text[self.at : end]).rstrip(_BLANK)
            size += len(kept if size else kept.lstrip(_BLANK))
            if not quotes or (size >= 2 * len(quotes) and kept.endswith(quotes)):
                break
            if end == len(self.text):
                first = self.text[start : self._line_end(start)]
                helps = NO_COMMENTS if AFTER_QUOTES.search(first) else f"end the text's last line with {quotes}"
                self._fail(start, f"{word.upper()} opens a text with {quotes} that is never closed", helps)
            self.at, end = end + 1, self._line_end(end + 1)
            size += 1
        self.at = end
        raw = self.text[start:end]
        value = _kept(raw).strip(_BLANK)
        return value[len(quotes) : len(value) - len(quotes)], raw

    def _fail(self, at: int, message: str, hint: str) -> None:
        raise ModelfileError(f"line {self._line(at)}: {message}", hint=hint)


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a stretch that may be empty ends."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _opening(line: str) -> str:
    value = line.lstrip(_BLANK)
    return '"""' if value.startswith('"""') else '"' if value.startswith('"') else ""


def _kept(raw: str) -> str:
    """Return what Ollama keeps of a value's text."""
    return raw if raw.isprintable() else "".join(c for c in raw if c.isprintable() or c in _BLANK)


def _dropped(raw: str) -> str:
    return "" if raw.isprintable() else "".join(c for c in raw if not c.isprintable() and c not in _BLANK)
