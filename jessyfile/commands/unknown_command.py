"""What to say about a word that is not a command: the same command of another tool, or the nearest name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

import click

from jessyfile.language.suggest import similar

_TRAINING = ("apply", "make")
_CHECKING = ("check", "lint")
_COUNTING = ("status", "stats")
# what other tools call it -> what it is here, the first that the group has
_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "run": ("apply RECIPE`, and for a question `jessy chat NAME",),
    **dict.fromkeys(
        ("train", "finetune", "fine-tune", "tune", "fit", "build", "create", "generate", "resume"), _TRAINING
    ),
    **dict.fromkeys(("eval", "evaluate", "deploy", "push", "pull", "up", "start"), ("apply",)),
    **dict.fromkeys(("new", "scaffold", "setup"), ("init",)),
    **dict.fromkeys(("ask", "talk", "prompt", "serve"), ("chat",)),
    **dict.fromkeys(("list", "ls", "ps", "models", "info", "count"), _COUNTING),
    **dict.fromkeys(("validate", "verify", "lint", "check", "test"), _CHECKING),
    **dict.fromkeys(("preview", "dry-run", "dryrun"), ("plan",)),
    **dict.fromkeys(("log", "logs", "runs"), ("history",)),
    **dict.fromkeys(("undo", "revert", "downgrade"), ("rollback",)),
    **dict.fromkeys(("rm", "remove", "delete", "clean", "prune", "destroy"), ("gc",)),
    **dict.fromkeys(("convert", "migrate"), ("import",)),
    **dict.fromkeys(("save", "package", "fuse", "merge", "gguf", "quantize"), ("export",)),
    **dict.fromkeys(("inspect", "cat", "print", "head"), ("show",)),
    **dict.fromkeys(("format",), ("fmt",)),
    **dict.fromkeys(("dataset", "rows"), ("data",)),
    **dict.fromkeys(("env", "system"), ("doctor",)),
    **dict.fromkeys(("help", "version"), ("--{}",)),
}


def unknown_command(word: str, known: Iterable[str], context: click.Context) -> click.UsageError:
    """Return the usage error for a word that is no command's name."""
    said, called, names = f"there is no command `{word}`", context.command_path, list(known)
    if word.endswith(".jessy"):
        return click.UsageError(f"{said}: the command comes first, as in `{called} plan {shlex.quote(word)}`", context)
    elsewhere = (name.format(word) for name in _ELSEWHERE.get(word.lower(), ()) if name.split()[0] in (*names, "--{}"))
    if meant := next(elsewhere, None):
        return click.UsageError(f"{said}: in jessy that is `{called} {meant}`", context)
    if near := similar(word, names):
        return click.UsageError(f"{said}: did you mean `{called} {near}`?", context)
    return click.UsageError(f"{said}: `{called} --help` lists them", context)


def is_recipe(word: str) -> bool:
    """Return whether a word is plainly meant as a recipe and not as a command."""
    named_like_one = "/" in word or bool(os.path.splitext(word)[1])
    return named_like_one or os.path.exists(word) or os.path.exists(f"{word}.jessy")
