"""Which file RECIPE means, and what to do instead when it means none. The content of a file tells its kind, not its
name alone: a recipe may have any name."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click

from jessyfile.errors import ProjectError
from jessyfile.text.printable import printable

_HEAD = 4096
_RECIPE = re.compile(r"\ufeff?(?:\s*#[^\n]*\n)*\s*JESSY\s", re.ASCII)
_MODELFILE = re.compile(r"(?:\s*#[^\n]*\n)*\s*FROM\s", re.IGNORECASE | re.ASCII)
_ROWS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_MODELS = (".gguf", ".safetensors", ".bin", ".npz")
_CONFIGURATIONS = (".yaml", ".yml", ".toml")


def require_recipe(path: Path) -> None:
    """Make sure that a path names a file that can be a recipe. Raises ProjectError with what to type instead."""
    if os.path.isdir(path):
        raise ProjectError(f"`{path}` is a folder, not a recipe", hint=_offer(recipes_in(path)))
    if not os.path.exists(path):
        raise ProjectError(f"there is no recipe `{path}`", hint=_meant(path))
    if os.path.isfile(path):
        _require_kind(path)


def missing_recipe(context: click.Context, what: str = "RECIPE") -> click.UsageError:
    """Return the usage error of a command that was given no recipe: it names the ones that are here."""
    return click.UsageError(f"{what} is missing: {_offer(recipes_in(Path()))}", context)


def recipes_in(folder: Path) -> list[Path]:
    """Return the recipes of a folder, or of `recipes/` in it when it has none itself."""
    for place in (folder, folder / "recipes"):
        try:
            found = sorted(path for path in place.glob("*.jessy") if path.is_file() and path.stem[0] != ".")
        except OSError:
            continue
        if found:
            return found
    return []


def next_step() -> str:
    """Return the command to go on with in the current folder."""
    found = recipes_in(Path())
    return f"jessy plan {_quoted(found[0])}" if found else "jessy init"


def nothing_yet() -> str:
    """Return what a command says that has nothing to show before the first apply, or while it is under way."""
    from jessyfile.planning.mutex import holder
    from jessyfile.project import find_root

    working = holder(find_root(Path.cwd() / "recipe"))
    following = f"at work: {working}" if working is not None else f"next: {next_step()}"
    return printable(f"nothing was applied here yet; {following}")


def _require_kind(path: Path) -> None:
    """Refuse a file that is plainly something else. What cannot be read is left to the one who reads it."""
    try:
        with open(path, "rb") as handle:
            text = handle.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return
    if _RECIPE.match(text):
        return
    kind, instead = _other_kind(path, text)
    if kind:
        raise ProjectError(f"`{path}` is {kind}, not a recipe", hint=instead)


def _other_kind(path: Path, text: str) -> tuple[str, str]:
    if not text.strip("\ufeff \t\r\n"):
        return "an empty file", "`jessy init` writes a recipe to begin with"
    suffix, quoted, first = path.suffix.lower(), _quoted(path), text.lstrip("\ufeff \t\r\n")[:1]
    if suffix in _MODELS or text.startswith("GGUF"):
        return "a model's file", f"a recipe names it: `FROM {path if path.is_absolute() else f'./{path}'}`"
    if suffix in _ROWS or first == "[" or (first == "{" and suffix != ".json"):
        return "a file of rows", f"`jessy data lint {quoted}` checks rows; a recipe takes them in with DATASET"
    if first == "{":
        return "JSON", f"a saved plan is run with `jessy apply {quoted}`, a configuration read with `jessy import`"
    if suffix in _CONFIGURATIONS:
        return "another tool's configuration", f"`jessy import {quoted}` makes a recipe of it"
    if "modelfile" in path.name.lower() or (suffix != ".jessy" and _MODELFILE.match(text)):
        return "a Modelfile", f"`jessy import {quoted}` makes a recipe of it"
    if suffix and suffix != ".jessy":
        return f"a {suffix} file without `JESSY 1` at its top", _offer(_recipes_around(path))
    return "", ""


def _meant(path: Path) -> str:
    """Return what to type instead of a recipe that is not there."""
    from jessyfile.language.model_names import is_name

    if near := _near(path):
        return f"did you mean `{near}`?"
    if ":" in str(path) and is_name(str(path)):
        return f"a model's name stands in a recipe, after FROM; `jessy init --base {_quoted(path)}` writes one"
    return _offer(_recipes_around(path))


def _near(path: Path) -> Path | None:
    """Return the recipe whose name is nearest to the one given, in its folder or around here."""
    from jessyfile.language.suggest import similar

    names: dict[str, Path] = {}
    for recipe in _recipes_around(path):
        names.setdefault(recipe.name, recipe)
        names.setdefault(recipe.stem, recipe)
    found = similar(path.name, names) or similar(path.stem, names)
    return names[found] if found else None


def _recipes_around(path: Path) -> list[Path]:
    return list(dict.fromkeys([*recipes_in(path.parent), *recipes_in(Path())]))


def _offer(recipes: list[Path]) -> str:
    """Say which command goes on from here: with the only recipe there is, with one of several, or with a new one."""
    if not recipes:
        return "there is no recipe here; `jessy init` writes one"
    if len(recipes) == 1:
        return f"there is one here: `{_command(recipes[0])}`"
    names = ", ".join(f"`{path}`" for path in recipes[:8]) + (", …" if len(recipes) > 8 else "")
    return f"there are {names}; as in `{_command(recipes[0])}`"


def _command(recipe: Path) -> str:
    """Return the command under way with another recipe."""
    context = click.get_current_context(silent=True)
    if context is None:
        return f"jessy check {_quoted(recipe)}"
    arguments = [p.name or "" for p in context.command.params if isinstance(p, click.Argument)]
    words = [_quoted(recipe) if name in ("recipe", "files", "a", "what") else name.upper() for name in arguments]
    return " ".join([context.command_path, *words])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
