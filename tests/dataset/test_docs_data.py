"""docs/data.md shows nothing that does not work: its Python runs, its template parses, its TEACHER block is a
recipe's."""

from __future__ import annotations

import re

import pytest

from jessyfile.dataset.filters import row_checks
from jessyfile.dataset.from_templates import composed
from jessyfile.dataset.settings import plain_recipe
from jessyfile.dataset.templates import load_intents


@pytest.fixture
def blocks(root):
    text = (root / "docs" / "data.md").read_text("utf-8")
    return re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)


def block(blocks, language, beginning):
    return next(text for kind, text in blocks if kind == language and text.startswith(beginning))


def test_the_python_runs(blocks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block(blocks, "python", "from jessyfile"), "docs/data.md", "exec"), {})  # noqa: S102 (our own page)
    assert "200 rows, 0 issues" in capsys.readouterr().out


def test_the_template_makes_rows(blocks, project):
    folder = project.root / "templates" / "examples"
    folder.mkdir(parents=True)
    (folder / "turkish.dishes.j2").write_text(block(blocks, "", "== dish_failed"), "utf-8")
    assert len(list(composed(load_intents(project.root, "turkish", "dishes"), "turkish", "dishes", 1))) > 20


def test_the_teacher_block_is_a_recipes(blocks, project):
    from jessyfile.language import load_recipe

    teacher = "".join(f"  {line}\n" for line in block(blocks, "", "TEACHER").splitlines())
    path = project.root / "x.jessy"
    path.write_text(f'JESSY 1\nNAME x\nFROM gemma3:270m\nDATASET {{\n{teacher}  CATEGORY turkish 5 "T"\n}}\n', "utf-8")
    loaded = load_recipe(path)
    assert [str(d) for d in loaded.diagnostics if d.severity == "error"] == []
    assert loaded.recipe.dataset.teacher.max_requests == 500


def test_every_filter_of_the_page_is_there(root):
    text = (root / "docs" / "data.md").read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert named == {*row_checks(plain_recipe(root).complexity), "language", "duplicate", "leak"}
