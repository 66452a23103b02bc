"""Every wrong recipe under `wrong/` says exactly what is wrong with it, and nothing that is not.

A first line `# --arg …`, `# --set …` or `# --variant …` says how the recipe is run. The files are the tests: add one, run
`pytest --snapshot-update`, read what it says.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from jessyfile.language import load_recipe, render_diagnostics
from jessyfile.language.codes import CODES
from jessyfile.text.fit import cells

WRONG = Path(__file__).parent / "wrong"
RECIPES = sorted(WRONG.glob("*.jessy"))

# codes whose input is made by a test of its own: too large, too many
ELSEWHERE = {"J007", "J043"}


def loaded(path: Path):
    args, sets, variant = {}, {}, None
    first = path.read_bytes().split(b"\n", 1)[0].decode()
    words = shlex.split(first[1:]) if first.startswith("# --") else []
    for option, value in zip(words[::2], words[1::2], strict=True):
        name, _, given = value.partition("=")
        if option == "--variant":
            variant = value
        else:
            {"--arg": args, "--set": sets}[option][name] = given
    return load_recipe(path, root=WRONG, args=args, sets=sets, variant=variant)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_wrong_recipe_says_what_is_wrong(path, snapshot):
    found = loaded(path)
    assert render_diagnostics(found.diagnostics, color=False) == snapshot
    errors = [d for d in found.diagnostics if d.severity == "error"]
    assert (found.recipe is None) == bool(errors)


@pytest.mark.parametrize("path", [p for p in RECIPES if re.match(r"j\d{3}_", p.stem)], ids=lambda path: path.stem)
def test_one_mistake_makes_reports_of_its_code_alone(path):
    """No report is invented: what follows from a mistake is not reported again."""
    codes = {d.code for d in loaded(path).diagnostics}
    assert codes == {path.stem[:4].upper()}


def test_every_code_has_a_wrong_recipe():
    shown = {path.stem[:4].upper() for path in RECIPES}
    assert set(CODES) - shown == ELSEWHERE


def test_every_code_in_the_source_is_explained():
    source = "".join(
        p.read_text("utf-8")
        for p in (Path(__file__).parents[2] / "jessyfile" / "language").glob("*.py")
        if p.name != "codes.py"
    )
    assert set(re.findall(r'"(J\d{3})"', source)) == set(CODES)


def test_ten_mistakes_make_ten_errors():
    found = loaded(WRONG / "ten_mistakes.jessy")
    assert len([d for d in found.diagnostics if d.severity == "error"]) == 10
    assert len({d.line for d in found.diagnostics}) == 10


def test_there_are_at_least_eighty():
    assert len(RECIPES) >= 80


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_of_a_diagnostic_is_wider_than_the_terminal(columns, monkeypatch):
    """The terminal broke them in the middle of a word, and the carets pointed at another line's letters."""
    monkeypatch.setattr("jessyfile.language.render.terminal_width", lambda **_: columns)
    for path in RECIPES:
        for one in loaded(path).diagnostics:
            lines = render_diagnostics([one], color=False).split("\n")
            wide = [line for line in lines if cells(line) > columns and "-->" not in line]
            assert [line for line in wide if "`" not in line and "jessy " not in line] == [], path.stem
            plain = one.place and one.place.text.isascii() and one.place.text.isprintable()  # a letter is a column
            if plain and one.place.end_line == one.place.line and one.place.end_column > one.place.column:
                source = next(at for at, line in enumerate(lines) if line.lstrip().startswith(f"{one.place.line} | "))
                left, carets = lines[source + 1].index("^"), lines[source + 1].count("^")
                marked = one.place.text[one.place.column - 1 : one.place.end_column - 1]
                assert lines[source][left : left + carets].rstrip("…") in marked, path.stem
