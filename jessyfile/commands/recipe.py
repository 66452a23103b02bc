"""`jessy check`, `fmt`, `explain` and `schema`: work on a recipe's text alone. No code runs and no network is used."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import pairs, recipe_options, verdict
from jessyfile.commands.recipe_file import missing_recipe, require_recipe
from jessyfile.commands.say import say
from jessyfile.errors import ProjectError
from jessyfile.text.lines import lines as text_lines
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.language import Diagnostic
    from jessyfile.language.diagnostics import Severity
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.preflight import Finding


@click.command()
@recipe_options
@click.option("--strict", is_flag=True, help="Treat every warning as an error.")
@click.option(
    "--json",
    "form",
    is_flag=False,
    flag_value="lsp",
    type=click.Choice(["lsp", "sarif"]),
    help="Print JSON: the editors' form, or SARIF.",
)
def check(
    recipe: Path, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...], strict: bool, form: str | None
) -> int:
    """Find every mistake in a recipe."""
    from jessyfile.commands.variants import variant_names
    from jessyfile.language import load_recipe
    from jessyfile.language.diagnostics import as_errors, has_errors, in_order
    from jessyfile.language.inherit import EVERY_VARIANT
    from jessyfile.planning.command_line import Call
    from jessyfile.project import find_root

    require_recipe(recipe)
    chosen = variant_names(Call(str(recipe), arg, variant)) if variant == EVERY_VARIANT else (variant,)
    told: list[Diagnostic] = []
    known: list[Finding] = []
    for one in chosen:
        loaded = load_recipe(recipe, args=pairs(arg, "--arg"), variant=one, sets=pairs(set_, "--set"))
        own, root = (known_findings(loaded.recipe), find_root(recipe)) if loaded.recipe else ((), recipe.parent)
        told += [*loaded.diagnostics, *_mistakes(own, root)]
        known += [finding for finding in own if finding not in known]
    everything = in_order(told)
    found = as_errors(everything) if strict else everything
    if form:
        _print_json(found, form)
    else:
        _print_text(recipe, found, [one for one in known if one.severity == "note" and one.where])
    return 1 if has_errors(found) else 0


def known_mistakes(recipe: Recipe) -> list[Diagnostic]:
    """Return what the steps' preflights find in the recipe and the project's files alone."""
    from jessyfile.project import find_root

    return _mistakes(known_findings(recipe), find_root(recipe.path))


def known_findings(recipe: Recipe) -> Sequence[Finding]:
    """Return the same with what is only good to know."""
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.preflight import Outlook, preflight
    from jessyfile.project import find_root

    steps = compile_steps(recipe)
    outlook = Outlook(recipe, find_root(recipe.path), {step.name for step in steps}, reach="recipe")
    return preflight(steps, outlook)


def _mistakes(findings: Sequence[Finding], root: Path) -> list[Diagnostic]:
    return [_diagnostic(finding, root) for finding in findings if finding.severity != "note"]


def _diagnostic(finding: Finding, root: Path) -> Diagnostic:
    from jessyfile.language.diagnostics import Diagnostic, Place

    file, _, number = finding.where.rpartition(":")
    place = None
    if file:
        text = _line(root / file, int(number))
        start = len(text) - len(text.lstrip()) + 1
        place = Place(file, int(number), start, int(number), len(text.rstrip()) + 1, text)
    severity: Severity = "error" if finding.severity == "error" else "warning"
    return Diagnostic(severity, finding.code, finding.message, place, helps=(finding.help,) if finding.help else ())


def _line(path: Path, number: int) -> str:
    """Return a line of a file; nothing of a recipe that is not written yet."""
    try:
        return path.read_text("utf-8", "replace").split("\n")[number - 1]
    except (FileNotFoundError, IndexError):
        return ""


def _print_json(found: Sequence[Diagnostic], form: str) -> None:
    import json

    from jessyfile.editors.diagnostic_formats import as_lsp, as_sarif

    click.echo(json.dumps(as_sarif(found) if form == "sarif" else as_lsp(found), ensure_ascii=True, indent=2))


def _print_text(recipe: Path, found: Sequence[Diagnostic], notes: Sequence[Finding]) -> None:
    from jessyfile.language import render_diagnostics

    if found:
        click.echo(render_diagnostics(found) + "\n", err=True)
    for note in notes:
        say(str(note), err=True)
    say(verdict(recipe, found))


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 when a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def fmt(files: tuple[str, ...], only_check: bool, diff: bool) -> int:
    """Format recipes; comments stay. `-` reads standard input and prints the result."""
    if not files:
        raise missing_recipe(click.get_current_context(), "FILE")
    changed = [_format_one(name, only_check=only_check, diff=diff) for name in files]
    return 1 if any(changed) and only_check else 0


def _format_one(name: str, *, only_check: bool, diff: bool) -> bool:
    """Lay one file out; return whether it was not."""
    from jessyfile.language import format_text

    text = _read(name)
    if not _is_recipe(text, name):
        raise ProjectError(
            f"`{name}` is no recipe: it has no line `JESSY 1`", hint="a part that recipes include is named *.jessy"
        )
    laid_out = format_text(text, name=name)
    if diff:
        _print_diff(name, text, laid_out)
    elif name == "-" and not only_check:
        click.echo(laid_out, nl=False)
    elif text != laid_out and not only_check:
        from jessyfile.user_files import edit

        edit(Path(name), text.encode("utf-8"), laid_out.encode("utf-8"))
    if text != laid_out and only_check:
        click.echo(f"{printable(name)} is not formatted", err=True)
    return text != laid_out


def _is_recipe(text: str, name: str) -> bool:
    """Whether a text means to be a Jessyfile: other languages have words and braces too, and an indentation to lose."""
    return (
        name == "-"
        or name.endswith(".jessy")
        or re.search(r"^[ \t\ufeff]*JESSY[ \t]+\d", text, re.MULTILINE) is not None
    )


def _read(name: str) -> str:
    from jessyfile.language.syntax import MAX_BYTES

    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            from jessyfile.user_files import read_plain

            require_recipe(Path(name))
            data = read_plain(Path(name), MAX_BYTES + 1)
        return data.decode("utf-8")
    except FileNotFoundError as error:
        raise ProjectError(f"cannot read `{name}`: no such file or directory", hint="name a recipe file") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"`{name}` is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from error


def _print_diff(name: str, before: str, after: str) -> None:
    from difflib import unified_diff

    shown = printable(name)
    lines = unified_diff(text_lines(before), text_lines(after), shown, f"{shown} (formatted)", lineterm="")
    for line in lines:
        click.echo(printable(line))


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Explain a diagnostic's code."""
    from jessyfile.language.codes import explanation

    text = explanation(code.strip().upper())
    if text is None:
        from jessyfile.language.codes import known_codes
        from jessyfile.language.suggest import similar

        near = similar(code.upper(), known_codes())
        raise ProjectError(
            f"there is no code `{printable(code)}`",
            hint=f"did you mean `{near}`?" if near else "codes look like J010 or E300",
        )
    click.echo(text)


@click.command()
def schema() -> None:
    """Print the recipe's JSON Schema."""
    from jessyfile.resources import resource

    click.echo(resource("grammar", "recipe.schema.json").read_text("utf-8"), nl=False)
