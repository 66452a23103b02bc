"""EXTENDS, INCLUDE, VARIANT, DROP and --set: several texts -> one merged set of values.

Layers lie over each other: the parent's, the recipe's with its INCLUDE parts, the parent's and the recipe's
VARIANT of the chosen
name, and what --set gives. Values of unnamed blocks merge one by one; a named thing (a category, a level, a
criterion, a parameter)
and a list replace what lay below as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jessyfile.language import malformed
from jessyfile.language.bind import Binder
from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.layer import FileContext, Layer, merge
from jessyfile.language.parse import parse
from jessyfile.language.project_files import Project, Refused
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.suggest import help_for, listed
from jessyfile.language.syntax import MAX_BYTES, MAX_REPORTS, Statement, Token
from jessyfile.language.table import root
from jessyfile.language.variables import Scope, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_FILES = 10_000
_ACCEPTABLE = re.compile(r"\bJ2(?!11)[0-9]{2}\b")  # never J211: who reads the line cannot see what is accepted
EVERY_VARIANT = "all"  # what `--variant` takes for one after the other
_NAME = ("name",)
_OVERLAY_FORBIDDEN = ("JESSY", "EXTENDS", "INCLUDE", "ARG", "LET", "VARIANT")


class TooMany(Exception):
    """There are more mistakes than anyone reads."""


@dataclass
class _Recipe:
    """One recipe of an EXTENDS chain: its own layer and its variants."""

    layer: Layer = field(default_factory=Layer)
    variants: dict[str, tuple[Layer, Span]] = field(default_factory=dict)
    parent: _Recipe | None = None


class Composer:
    """Reads a recipe and everything that it names; mistakes go to `diagnostics`."""

    def __init__(self, project: Project, args: Mapping[str, str]) -> None:
        self.project = project
        self.args = args
        self.diagnostics: list[Diagnostic] = []
        self.read_files: list[Path] = []
        self.known_args: set[str] = set()
        self.accepted: set[tuple[str | None, int, str]] = set()
        self.variants: tuple[str, ...] = ()
        self.unbalanced = False
        self._count = 0

    def report(self, diagnostic: Diagnostic) -> None:
        """Keep one diagnostic; after the first hundreds the rest is not worth reading, nor the time."""
        self.diagnostics.append(diagnostic)
        if len(self.diagnostics) >= MAX_REPORTS:
            helps = "fix these first; the rest of the recipe was not checked"
            self.diagnostics.append(mistake("J007", f"a recipe may have {MAX_REPORTS} mistakes", helps=helps))
            raise TooMany

    def compose(self, entry: SourceFile, variant: str | None, sets: Mapping[str, str]) -> Layer:
        """Return the merged values of a recipe, its chosen variant and the outside settings."""
        try:
            return self._compose(entry, variant, sets)
        except TooMany:
            self.unbalanced = True
            return Layer()

    def _compose(self, entry: SourceFile, variant: str | None, sets: Mapping[str, str]) -> Layer:
        recipe = self.read_recipe(entry, [])
        self._outside_args(entry)
        self.variants = tuple(dict.fromkeys(name for one in _line(recipe) for name in one.variants))
        overlay = self._variant(recipe, variant, entry)
        merged = merge([*_chain(recipe), *overlay], self.report)
        if variant is not None:
            _name_after(merged, overlay, variant)
        if sets:
            from jessyfile.language.overrides import override

            override(merged, sets, self.project, self.report)
        return merged

    def _outside_args(self, entry: SourceFile) -> None:
        for name in self.args:
            if name not in self.known_args and not self.unbalanced:
                declare = f"declare it in `{entry.name}` with `ARG {name} = …`"
                helps = help_for(name, self.known_args, "name", declare)
                self.report(mistake("J035", f"`--arg {name}` names no ARG of this recipe", helps=helps))

    # files

    def read_recipe(self, file: SourceFile, above: list[Path]) -> _Recipe:
        """Read a recipe and those that it extends; `above` are the files that led here."""
        recipe = _Recipe()
        path = [*above, file.path] if file.path else above
        statements = self.read_file(file, recipe, path, is_part=False)
        self._version(file, statements)
        return recipe

    def read_file(self, file: SourceFile, recipe: _Recipe, path: list[Path], *, is_part: bool) -> tuple[Statement, ...]:
        """Read one file into a recipe's layer.

        Args:
            file: the file's text.
            recipe: the recipe whose layer takes the values.
            path: the files whose INHERIT or USE led here, to find circles.
            is_part: whether the file is a part, which has no base of its own.

        Returns:
            The file's statements; none when its braces do not balance.
        """
        parsed = parse(file)
        self.diagnostics.extend((*parsed.diagnostics, *malformed.directions(file)))
        for comment in parsed.comments:
            codes = _ACCEPTABLE.findall(file.text, comment.start, comment.end)
            self.accepted.update((file.name, comment.line, code) for code in codes)
        if file.path:
            self.read_files.append(file.path)
        if parsed.unbalanced:
            self.unbalanced = True
            return ()
        scope = Scope(parsed.statements, self.args, self.report)
        self.known_args.update(name for name, d in scope.declared.items() if d.word == "ARG")
        folder = file.path.parent if file.path else self.project.root
        context = FileContext(file, folder, scope, self.project, recipe.layer, self.report, self.read_files)
        _FileReader(self, context, recipe, path, is_part=is_part).read(parsed.statements)
        scope.report_unused()
        return parsed.statements

    def _version(self, file: SourceFile, statements: tuple[Statement, ...]) -> None:
        if self.unbalanced:
            return
        if not statements or statements[0].head.text != "JESSY":
            at = statements[0].head.span if statements else Span(file, 0, 0)
            if not any(s.head.text == "JESSY" for s in statements):
                self.report(
                    mistake(
                        "J018",
                        "a recipe begins with the version of its language",
                        at,
                        "before this",
                        helps="write `JESSY 1` as the first instruction",
                    )
                )

    def open(self, written: Token, context: FileContext, path: list[Path]) -> SourceFile | None:
        """Return the text of a file that EXTENDS or INCLUDE names; None when that was reported as a mistake."""
        try:
            value = context.scope.read(written)
            found = self.project.existing(value.text, context.folder)
            self._allowed(found, path)
            return read_source(self.project, found, value.text)
        except Unreadable:
            return None
        except Refused as refused:
            self.report(mistake(refused.code, refused.message, written.span, "named here", helps=refused.help))
            return None

    def _allowed(self, found: Path, path: list[Path]) -> None:
        if found in path:
            circle = " -> ".join(self.project.relative(p) for p in [*path[path.index(found) :], found])
            raise Refused("J042", f"`{self.project.relative(found)}` names itself again", f"break the circle {circle}")
        self._count += 1
        if self._count > MAX_FILES:
            raise Refused("J043", f"a recipe may name {MAX_FILES:,} files", "join some of the parts")
        if len(path) > 64:
            raise Refused("J043", "files name each other more than 64 levels deep", "name the parts from one file")

    # variants

    def _variant(self, recipe: _Recipe, chosen: str | None, entry: SourceFile) -> list[Layer]:
        if chosen is None:
            return []
        recipes = _line(recipe)
        found = [r.variants[chosen][0] for r in recipes if chosen in r.variants]
        if not found and not self.unbalanced:
            names = sorted({name for r in recipes for name in r.variants})
            helps = help_for(chosen, names, "name", f"it has {listed(names) or 'no VARIANT'}")
            if chosen == EVERY_VARIANT and names:
                helps = f"`plan`, `apply` and `check` take all of them; here name one of {listed(names)}"
            self.report(mistake("J045", f"`{entry.name}` has no VARIANT `{chosen}`", helps=helps))
        return found


def read_source(project: Project, path: Path, written: str) -> SourceFile:
    """Read one recipe file. Raises Refused when it cannot be read or is not UTF-8."""
    data = project.read(path, written, MAX_BYTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(
            "J006", f"`{written}` is not UTF-8: byte 0x{data[error.start]:02x} on line {line}", "save it as UTF-8"
        ) from error
    return SourceFile(project.relative(path), text, path)


def _name_after(merged: Layer, overlay: list[Layer], variant: str) -> None:
    """Give the model of a variant a name of its own, `NAME-variant`, unless the variant says one: each is promoted for itself."""
    written = merged.settings.get(_NAME)
    if written is not None and not any(_NAME in layer.settings for layer in overlay):
        merged.settings[_NAME] = replace(written, value=f"{written.value}-{variant}")


def _line(recipe: _Recipe) -> list[_Recipe]:
    """Return a recipe after its parents, the oldest first."""
    recipes = [recipe]
    while recipes[0].parent:
        recipes.insert(0, recipes[0].parent)
    return recipes


def _chain(recipe: _Recipe) -> list[Layer]:
    return [r.layer for r in _line(recipe)]


class _FileReader:
    """Reads one file's statements: the composing ones here, the others by the table."""

    def __init__(
        self, composer: Composer, context: FileContext, recipe: _Recipe, path: list[Path], *, is_part: bool
    ) -> None:
        self.composer = composer
        self.context = context
        self.recipe = recipe
        self.path = path
        self.is_part = is_part

    def read(self, statements: Iterable[Statement]) -> None:
        plain: list[Statement] = []
        for at, statement in enumerate(statements):
            word = statement.head.text
            if word == "JESSY":
                plain += self._jessy(statement, first=at == 0)
            elif word in ("EXTENDS", "INCLUDE"):
                self._other_file(statement, word)
            elif word == "VARIANT":
                self._variant(statement)
            elif word not in ("ARG", "LET"):
                plain.append(statement)
        Binder(self.context).block(root(), (), plain)

    def _report(self, code: str, message: str, at: Span, label: str, helps: str) -> None:
        self.composer.report(mistake(code, message, at, label, helps=helps))

    def _jessy(self, statement: Statement, *, first: bool) -> list[Statement]:
        if not first:
            self._report("J018", "`JESSY` is the first instruction", statement.span, "not first", "move it to the top")
        return [statement] if first and not self.is_part else []

    def _other_file(self, statement: Statement, word: str) -> None:
        if len(statement.args) != 1 or statement.block or statement.args[0].kind not in ("STRING", "PATH", "VAR"):
            if not any(token.broken for token in statement.args):
                self._report(
                    "J012",
                    f"`{word}` takes the path of one file",
                    statement.span,
                    "incomplete",
                    f'write it like `{word} "base.jessy"`',
                )
            return
        if word == "EXTENDS":
            self._extends(statement)
            return
        file = self.composer.open(statement.args[0], self.context, self.path)
        if file and file.path:
            self.composer.read_file(file, self.recipe, [*self.path, file.path], is_part=True)

    def _extends(self, statement: Statement) -> None:
        if self.is_part or self.recipe.parent:
            why = "an INCLUDE part cannot extend a recipe" if self.is_part else "a recipe extends one other"
            self._report("J046", why, statement.span, "not allowed here", "INCLUDE what both share instead")
            return
        file = self.composer.open(statement.args[0], self.context, self.path)
        if file:
            self.recipe.parent = self.composer.read_recipe(file, self.path)

    def _variant(self, statement: Statement) -> None:
        args = statement.args
        shaped = (
            statement.block
            and 1 <= len(args) <= 2
            and args[0].kind == "NAME"
            and (len(args) == 1 or args[1].kind in ("STRING", "TEXT"))
        )
        if not shaped:
            self._report(
                "J012",
                "`VARIANT` takes a name, a reason and a block",
                statement.span,
                "incomplete",
                'write it like `VARIANT small "for laptops" { … }`',
            )
            return
        name = args[0].text
        if name == EVERY_VARIANT:
            what = f"`--variant {EVERY_VARIANT}` takes every VARIANT, so none may be called that"
            self._report("J045", what, args[0].span, "not a name of its own", "give it another name")
            return
        if name in self.recipe.variants:
            second = (self.recipe.variants[name][1], "first here")
            self.composer.report(
                mistake(
                    "J011",
                    f"`VARIANT {name}` is written twice",
                    statement.span,
                    "again here",
                    second=second,
                    helps="keep one of the two",
                )
            )
            return
        layer = Layer()
        self.recipe.variants[name] = (layer, statement.span)
        for inner in statement.block.statements if statement.block else ():
            self._overlay(inner, layer)

    def _overlay(self, statement: Statement, layer: Layer) -> None:
        if statement.head.text in _OVERLAY_FORBIDDEN:
            self._report(
                "J046",
                f"`{statement.head.text}` cannot stand inside VARIANT",
                statement.head.span,
                "not allowed here",
                "move it out of the block",
            )
            return
        Binder(replace(self.context, layer=layer)).block(root(), (), [statement])
