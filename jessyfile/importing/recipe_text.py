"""A recipe being written. Each piece knows its source line, so that what the language refuses can be named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic
    from jessyfile.language.recipe import Recipe

Check = Callable[["Recipe"], Sequence["Diagnostic"]]
START = """COMPLEXITY {
  marker none  # the model that was described writes no marker; delete this block to teach it one
}"""
DATASET = """DATASET {
  CATEGORY technical 20 "Technical questions and answers" {
    language mixed
    level    medium
    TOPIC debugging    10
    TOPIC performance  10
  }
}"""
EVAL = """EVAL {
  SUITE technical { limit 20 }
  MUST no_loops > 95%
}"""


def no_mistakes(_: Recipe) -> Sequence[Diagnostic]:
    """Find nothing wrong with a recipe beyond what its language refuses."""
    return ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something that did not survive as it was: where it stands in the source, one sentence, and what to do."""

    file: str
    line: int
    message: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """The recipe's text, laid out, and what it could not carry over, by line."""

    text: str
    notes: tuple[Note, ...]


@dataclass
class Lines:
    """Some lines of the recipe; `origin` is the source line of one that may be left out, `what` its name in words."""

    text: str
    origin: int | None = None
    what: str = ""


@dataclass
class RecipeText:
    """The recipe so far. `source` is the name that notes print, `target` where the recipe will stand, `check` what else
    finds mistakes in it.
    """

    source: str
    target: Path
    check: Check = no_mistakes
    pieces: list[Lines] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def begin(self, name: str) -> None:
        """Write what every recipe begins with."""
        from jessyfile.importing.quote import one_line

        self.add(f"# Made from {one_line(Path(self.source).name)} by `jessy import`.\nJESSY 1\n\nNAME {name}")

    def add(self, text: str, origin: int | None = None, what: str = "") -> None:
        """Add lines; those with an origin are left out and noted when the language refuses them."""
        self.pieces.append(Lines(text, origin, what or text.split("\n", 1)[0]))

    def note(self, line: int, message: str, help_: str = "") -> None:
        """Say that something did not survive."""
        self.notes.append(Note(self.source, line, message, help_))

    def left_out(self, line: int, what: str, why: str, help_: str = "") -> None:
        """Note that something has no counterpart in a recipe.

        Args:
            line: its line in the source.
            what: its name in the source.
            why: the reason, as the end of a sentence.
            help_: what to do about it.
        """
        self.note(line, f"{what} was left out: {why}", help_)

    def text(self) -> str:
        """Return the recipe as it stands."""
        return "\n".join(piece.text for piece in self.pieces) + "\n"

    def finish(self) -> Imported:
        """Leave out what the language refuses, note it, and lay out the rest."""
        from jessyfile.language.format import format_text

        for _ in range(len(self.pieces)):
            if not self._drop_refused():
                break
        notes = tuple(sorted(self.notes, key=lambda note: note.line))
        return Imported(format_text(self.text(), name=self.target.name), notes)

    def _drop_refused(self) -> bool:
        """Leave out the pieces with mistakes; return whether there was one."""
        dropped = False
        for diagnostic in self._mistakes():
            piece = self._piece_at(diagnostic.line)
            help_ = diagnostic.helps[0] if diagnostic.helps else ""
            if piece is None or piece.origin is None:
                self.note(0, f"the recipe must be completed by hand: {diagnostic.message}", help_)
            elif piece.text:
                self.left_out(piece.origin, piece.what, diagnostic.message, help_)
                piece.text, dropped = "", True
        if dropped:
            self.notes = [n for n in self.notes if not n.message.startswith("the recipe must be completed by hand")]
        return dropped

    def _mistakes(self) -> list[Diagnostic]:
        from jessyfile.language.loading import load_text

        loaded = load_text(self.text(), self.target)
        found = loaded.diagnostics if loaded.recipe is None else self.check(loaded.recipe)
        return [d for d in found if d.severity == "error"]

    def _piece_at(self, line: int) -> Lines | None:
        end = 0
        for piece in self.pieces:
            end += piece.text.count("\n") + 1
            if line <= end:
                return piece
        return None
