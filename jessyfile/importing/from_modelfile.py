"""A Modelfile -> the Jessyfile that equals it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from jessyfile.importing.modelfile_reader import (
    AFTER_QUOTES,
    Command,
    Comment,
    Modelfile,
    decode_modelfile,
    parse_modelfile,
)
from jessyfile.importing.quote import is_number, model_name, number, one_line, portable, written
from jessyfile.importing.recipe_text import DATASET, EVAL, START, Imported, RecipeText
from jessyfile.language.model_names import is_name
from jessyfile.language.suggest import help_for
from jessyfile.language.table import Schema, root, unit_of

_LAST_WINS = ("model", "system", "template", "adapter", "requires")
_ELSEWHERE = {
    "draft": "jessy has no draft models",
    "renderer": "jessy serves with TEMPLATE, not with a renderer built into Ollama",
    "parser": "jessy reads answers as they are, not with a parser built into Ollama",
}
_BLOB = re.compile(r"[/\\]blobs[/\\]sha256[-:][0-9a-f]{64}")
_SHOWN = re.compile(r"FROM\s+(\S+)\s*", re.IGNORECASE)
_ANY_SIGN = re.compile(r"[ \t]#")
_NO_SIGN = re.compile(r"(?!)")
_SIGNS = {"system": re.compile(r"[ \t]#[ \t]"), "template": _NO_SIGN, "license": _NO_SIGN, "message": _NO_SIGN}
_IGNORED = ("penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "mirostat",
            "mirostat_tau", "mirostat_eta")  # fmt: skip
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def import_modelfile(data: bytes, path: Path, draft: RecipeText, name: str | None = None) -> Imported:
    """Return the recipe that equals a Modelfile.

    Args:
        data: the Modelfile's bytes.
        path: its file, for messages and relative paths.
        draft: where the recipe is written.
        name: the model's name; made from the file's unless given.

    Returns:
        The recipe's text, and notes on what has no counterpart.

    Raises:
        ModelfileError: Ollama would refuse the file.
    """
    modelfile = parse_modelfile(decode_modelfile(data))
    return _ModelfileImport(modelfile, draft, path.parent, name or _name(path)).run()


def _name(path: Path) -> str:
    return model_name(path.parent.resolve().name if path.stem.lower() == "modelfile" else path.stem)


class _ModelfileImport:
    """One Modelfile on its way."""

    def __init__(self, modelfile: Modelfile, draft: RecipeText, folder: Path, name: str) -> None:
        self.modelfile = modelfile
        self.draft = draft
        self.folder = folder
        self.name = name
        self.keys = root().nodes["parameter"]
        self.last = {c.name: c.line for c in modelfile.commands if not self._repeats(c)}

    def run(self) -> Imported:
        self.draft.begin(self.name)
        before = "from"
        for part in self._in_order():
            word = "#" if isinstance(part, Comment) else part.word
            if word != before and before != "#":
                self.draft.add("")
            before = word
            if isinstance(part, Comment):
                self.draft.add(f"# {one_line(part.text, 500)}".rstrip())
            else:
                self._command(part)
        self.draft.add("\n# A Modelfile does not say what to learn: this is a start, with rows that come with jessy.")
        self.draft.add(f"{START}\n\n{DATASET}\n\n{EVAL}")
        return self.draft.finish()

    def _in_order(self) -> Iterator[Command | Comment]:
        parts: list[Command | Comment] = [*self.modelfile.commands, *self.modelfile.comments]
        yield from sorted(parts, key=lambda part: part.line)

    @staticmethod
    def _repeats(command: Command) -> bool:
        return command.name in ("message", "license") or (command.word == "parameter" and command.name == "stop")

    def _command(self, command: Command) -> None:
        self._vanished(command)
        self._inline_comment(command)
        later = 0 if self._repeats(command) else self.last[command.name]
        if later > command.line and (command.name in _LAST_WINS or command.word == "parameter"):
            self._left_out(command, self._title(command), f"line {later} says it again, and the last one holds")
        elif command.word == "parameter":
            self._parameter(command)
        elif command.name in _ELSEWHERE:
            self._left_out(command, command.name.upper(), _ELSEWHERE[command.name])
        else:
            self._writers()[command.name](command)

    def _writers(self) -> dict[str, Callable[[Command], None]]:
        return {
            "model": self._from, "adapter": self._adapter, "requires": self._requires, "message": self._message,
            "system": self._text, "template": self._text, "license": self._text,
        }  # fmt: skip

    def _left_out(self, command: Command, what: str, why: str, help_: str = "") -> None:
        self.draft.left_out(command.line, what, why, help_)

    def _note(self, command: Command, message: str, help_: str = "") -> None:
        self.draft.note(command.line, message, help_)

    @staticmethod
    def _title(command: Command) -> str:
        word = command.word.upper()
        return f"{word} {command.name}" if command.word == "parameter" else word

    def _vanished(self, command: Command) -> None:
        if command.vanished:
            points = ", ".join(sorted({f"U+{ord(c):04X}" for c in command.vanished})[:5])
            count = len(command.vanished)
            self._note(
                command,
                f"{self._title(command)} loses {count} character{'s' * (count > 1)} that Ollama drops ({points})",
            )

    def _inline_comment(self, command: Command) -> None:
        """Note a comment that Ollama takes for a part of the value; in a text anything may stand."""
        first = command.args.split("\n", 1)[0]
        if AFTER_QUOTES.search(first) if command.quoted else _SIGNS.get(command.name, _ANY_SIGN).search(first):
            title, value = self._title(command), one_line(first, 80)
            ends = f"the text runs on to line {command.last_line}" if command.quoted else f"{title} would be `{value}`"
            self._note(command, f"Ollama has no inline comments, so {ends}", "put the comment on a line of its own")

    # what a Modelfile says, by instruction

    def _text(self, command: Command) -> None:
        word = command.name.upper()
        self.draft.add(f"{word} {self._quoted(command, command.args)}", command.line, word)

    def _quoted(self, command: Command, text: str) -> str:
        kept, changed = portable(text)
        for change in changed:
            self._note(command, f"{self._title(command)}: {change}")
        return written(kept)

    def _message(self, command: Command) -> None:
        role, _, content = command.args.partition(": ")
        self.draft.add(f"MESSAGE {role} {self._quoted(command, content)}", command.line, f"MESSAGE {role}")

    def _from(self, command: Command) -> None:
        value = command.args
        if _BLOB.search(value) and (name := self._shown_name()):
            self._note(command, f"FROM is `{name}`, as the comment above says: a blob of the Ollama store has no name")
            value = name
        elif _is_path(value) or os.path.exists(self.folder / value):
            value = self._path(value)
        self.draft.add(f"FROM {_word(value)}")

    def _shown_name(self) -> str | None:
        """Return the name that `ollama show --modelfile` writes above the blob's path."""
        found = [match[1] for part in self.modelfile.comments if (match := _SHOWN.fullmatch(part.text.strip()))]
        return next((name for name in reversed(found) if is_name(name)), None)

    def _adapter(self, command: Command) -> None:
        self.draft.add(f"ADAPTER {written(self._path(command.args))}", command.line, "ADAPTER")

    def _path(self, written: str) -> str:
        """Return a path as counted from the recipe instead of from the Modelfile."""
        if os.path.isabs(written) or written.startswith("~"):
            return written
        return counted_from(self.folder / written, self.draft.target.parent)

    def _requires(self, command: Command) -> None:
        self.draft.add(f"REQUIRES {_word(command.args.removeprefix('v'))}", command.line, "REQUIRES")

    def _parameter(self, command: Command) -> None:
        known = self.keys.fixed_names or ()
        title = self._title(command)
        if command.name in known:
            value = self._value(command, self.keys.entry_of(command.name))
            if value is None:
                self._left_out(command, title, f"Ollama takes no `{one_line(command.args)}` there")
            else:
                self.draft.add(f"{title} {value}", command.line, title)
        elif command.name in _IGNORED:
            self._left_out(command, title, "Ollama ignores it too")
        elif not command.name:
            self._left_out(command, "PARAMETER", "a second space ends an empty key", "write one space after it")
        else:
            self._left_out(command, title, "jessy knows no such key", help_for(command.name, known, "one", ""))

    def _value(self, command: Command, schema: Schema) -> str | None:
        """Return a parameter's value as Ollama would convert it; None when it would refuse it."""
        unit, text = unit_of(schema), command.args
        if unit == "boolean":
            return "yes" if text in _TRUE else "no" if text in _FALSE else None
        if unit in ("integer", "number"):
            return _numeric(text, whole=unit == "integer")
        return self._quoted(command, text)


def counted_from(path: Path, folder: Path) -> str:
    """Return a path as a recipe in `folder` names it."""
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return relative if relative.startswith("..") else f"./{relative}"


def _numeric(text: str, *, whole: bool) -> str | None:
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or "_" in text:
        return None
    return text if is_number(text) else number(value)


def _is_path(value: str) -> bool:
    return value.startswith(("./", "../", "/", "~")) or value.lower().endswith(".gguf")


def _word(value: str) -> str:
    """Return a reference bare when it reads as one word, else in quotes."""
    from jessyfile.language.syntax import kind_of

    return value if kind_of(value) in ("NAME", "REF", "PATH", "NUMBER") and "${" not in value else written(value)
