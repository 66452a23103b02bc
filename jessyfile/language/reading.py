"""Tokens -> one value, checked by its schema: variables filled in, units converted, paths and files kept inside the
project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jessyfile.language.fit import surely_fits
from jessyfile.language.metric_table import metric_unit
from jessyfile.language.model_names import is_name, is_path, what_was_meant
from jessyfile.language.parse import CONTROL
from jessyfile.language.project_files import Project, Refused
from jessyfile.language.recipe import MODELS
from jessyfile.language.schema_messages import explain_error
from jessyfile.language.syntax import MAX_BYTES, Token
from jessyfile.language.table import Schema, unit_of
from jessyfile.language.values import READERS, InvalidValue, Json, choice, null_word, short, wrong_kind
from jessyfile.language.variables import Value

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.layer import FileContext

_PATHS = ("path", "folder", "model")
GLOB = frozenset("*?[")
_BRING_MODEL = "copy the model into the project, or name it as `hf:org/name` or as the local Ollama store does"


def read_value(context: FileContext, schema: Schema, tokens: list[Token], metric: str | None) -> Json:
    """Return one value of a statement as JSON.

    Args:
        context: the file, its folder and the names in scope.
        schema: the setting's schema.
        tokens: one token, or two for a text that is read from a file.
        metric: the criterion's metric, which decides the unit; None elsewhere.

    Raises:
        Unreadable: a name in the value is not known.
        InvalidValue: the setting cannot take the value.
        Refused: a path leads out of the project or to nothing.
    """
    value = _file_text(context, tokens[1]) if len(tokens) == 2 else context.scope.read(tokens[0])
    found = convert_value(value, schema, context.project, context.folder, metric)
    judge(schema, found)
    return found


def convert_value(value: Value, schema: Schema, project: Project, folder: Path, metric: str | None) -> Json:
    """Return a word or text as the JSON value that its setting takes.

    Args:
        value: the word or text with its place.
        schema: the setting's schema.
        project: the project that every path must stay inside.
        folder: the folder that relative paths start from.
        metric: the criterion's metric, which decides the unit; None elsewhere.

    Raises:
        InvalidValue: the setting cannot take the value.
        Refused: a path leads out of the project or to nothing.
    """
    unit = unit_of(schema)
    if value.kind == "NAME" and value.text == null_word(schema):
        return None
    if unit in _PATHS:
        return _path(value, unit, project, folder)
    if unit == "pattern":
        return _pattern(value, project, folder)
    if unit == "criterion":
        if value.kind == "NAME" and value.text in MODELS:
            return value.text
        unit = metric_unit(metric or "")
    return choice(value, schema) if unit == "choice" else READERS[unit](value)


def judge(schema: Schema, value: Json) -> None:
    """Check a value against its schema. Raises InvalidValue."""
    if surely_fits(schema, value):
        return
    from jsonschema.validators import Draft202012Validator

    error = next(Draft202012Validator(schema).iter_errors(value), None)
    if error is not None:
        raise InvalidValue(*explain_error(error))


def _path(value: Value, unit: str, project: Project, folder: Path) -> str:
    """Return a path as counted from the root; `./` stands before a model's, to tell it from a name."""
    if unit == "model" and not _names_path(value, folder):
        return _model_name(value)
    if value.kind not in ("STRING", "PATH") and unit != "model":
        raise wrong_kind(value, unit, f'put it into quotes: `"{value.text}"`')
    try:
        relative = project.relative(project.existing(value.text, folder, is_folder=unit == "folder"))
    except Refused as refused:
        if unit == "model" and refused.code == "J041":
            refused.help = _BRING_MODEL
        raise
    return f"./{relative}" if unit == "model" else relative


def _pattern(value: Value, project: Project, folder: Path) -> str:
    """Return a pattern of files as counted from the root; that files match it is known when they are looked for."""
    if value.kind not in ("STRING", "PATH"):
        raise wrong_kind(value, "pattern", f'put it into quotes: `"{value.text}"`')
    parts = value.text.rstrip("/").split("/")
    fixed = next((at for at, part in enumerate(parts) if GLOB & set(part)), len(parts))
    base = project.relative(project.locate("/".join(parts[:fixed]) or ("/" if fixed else "."), folder))
    if ".." in parts[fixed:]:
        raise InvalidValue(
            "J041", "goes up behind a `*`", "goes up", "write where the files lie, as in `notes/**/*.md`"
        )
    return "/".join([part for part in (base, *parts[fixed:]) if part not in ("", ".")]) or "."


def _names_path(value: Value, folder: Path) -> bool:
    marked = value.kind == "PATH" or is_path(value.text)
    return marked or (not is_name(value.text) and os.path.exists(folder / value.text))


def _model_name(value: Value) -> str:
    if value.kind not in ("NAME", "WORD", "REF", "STRING", "URL"):
        raise wrong_kind(value, "model")
    if not is_name(value.text):
        raise InvalidValue("J021", f"cannot be `{short(value.text)}`", "no model's name", what_was_meant(value.text))
    return value.text


def _file_text(context: FileContext, token: Token) -> Value:
    """Return what `FILE "path"` holds, without its last line end."""
    written = context.scope.read(token)
    if written.kind not in ("STRING", "PATH"):
        raise wrong_kind(written, "path")
    path = context.project.existing(written.text, context.folder)
    data = context.project.read(path, written.text, MAX_BYTES)
    context.read_files.append(path)
    return Value("TEXT", _plain_text(data, written.text), token.span)


def _plain_text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Refused("J006", f"`{name}` is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    control = CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        mark = f"U+{ord(control.group()):04X}"
        raise Refused("J006", f"`{name}` holds the control character {mark} on line {line}", "delete it")
    return text
