"""A rename changes every place and no other, over all files that share the name, or is refused with the reason."""

import pytest

from jessyfile.editors.lsp.rename import Refusal, rename, renamed_at
from jessyfile.editors.lsp.workspace import MAX_RECIPES, Workspace
from jessyfile.language import load_recipe
from jessyfile.language.source import SourceFile

RECIPE = """JESSY 1
ARG base = gemma3:270m FROM ENV base
LET who = "Mia ${base}"
NAME tiny
FROM ${base}
SYSTEM \"\"\"
  ${who} and $${who} and who
  \"\"\"
DATASET {
  CATEGORY technical 20 { TOPIC debugging 20 }
}
EVAL { MUST no_loops > 95% }
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / ".jessy").mkdir()
    return Workspace()


def written(workspace, folder, name, text):
    path = (folder / name).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return workspace.source(path)


def renamed(workspace, file, part, new, shift=0):
    """The texts after a rename, by file name."""
    edits = rename(workspace, file, file.text.index(part) + shift, new)
    texts = {}
    for path, spans in edits.items():
        text = spans[0].file.text if spans else ""
        for span in sorted(spans, key=lambda s: -s.start):
            text = text[: span.start] + new + text[span.end :]
        texts[path.name] = text
    return texts


def test_a_let_changes_in_values_strings_and_texts_but_not_in_words_and_escapes(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE)
    [text] = renamed(workspace, file, "who =", "name").values()
    expected = RECIPE.replace("LET who", "LET name").replace("  ${who}", "  ${name}")
    assert text == expected
    (tmp_path / "a.jessy").write_text(text)
    assert load_recipe(tmp_path / "a.jessy").recipe.system == "Mia gemma3:270m and ${who} and who"


def test_the_environments_name_of_an_arg_stays(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE)
    [text] = renamed(workspace, file, "base =", "model").values()
    assert "ARG model = gemma3:270m FROM ENV base" in text
    assert text.count("${model}") == 2
    assert "${base}" not in text


def test_a_rename_may_begin_at_any_use(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE)
    assert renamed(workspace, file, "${who} and", "name", 3) == renamed(workspace, file, "who =", "name")


def test_an_arg_is_renamed_in_every_file_that_shares_its_value(workspace, tmp_path):
    """`--arg base=…` sets it in the recipe and in its parts: renamed in one alone, the parts would lose the value."""
    part = 'ARG base = x\nLICENSE "${base}"\n'
    file = written(workspace, tmp_path, "a.jessy", RECIPE + 'INCLUDE "parts/p.jessy"\n')
    written(workspace, tmp_path, "parts/p.jessy", part)
    written(workspace, tmp_path, "heir.jessy", 'JESSY 1\nEXTENDS "a.jessy"\nARG base = y\nFROM ${base}\n')
    written(workspace, tmp_path, "stranger.jessy", RECIPE)
    texts = renamed(workspace, file, "base =", "model")
    assert set(texts) == {"a.jessy", "p.jessy", "heir.jessy"}
    assert texts["p.jessy"] == part.replace("base", "model")
    other = workspace.source((tmp_path / "parts" / "p.jessy").resolve())
    assert renamed(workspace, other, "base", "model") == texts


def test_a_let_of_another_file_is_another_name(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE + 'INCLUDE "p.jessy"\n')
    written(workspace, tmp_path, "p.jessy", 'LET who = "x"\nLET base = "y"\nLICENSE "${who} ${base}"\n')
    assert set(renamed(workspace, file, "who =", "name")) == {"a.jessy"}
    assert set(renamed(workspace, file, "base =", "model")) == {"a.jessy"}


@pytest.mark.parametrize(
    ("text", "part", "new", "reason"),
    [
        (RECIPE, "NAME", "x", "only the names of ARG and LET"),
        (RECIPE, "and who\n", "x", "only the names of ARG and LET"),
        (RECIPE, "who =", "base", "`base` is taken in a.jessy, line 2"),
        (RECIPE, "who =", "9lives", "is no name"),
        (RECIPE, "who =", "", "is no name"),
        (RECIPE, "who =", "çay", "is no name"),
        (RECIPE, "who =", "a\n", "is no name"),
        (RECIPE.replace("LET who", "LET whom"), "who}", "x", "`who` is not declared in this file"),
        (RECIPE + 'SYSTEM "open\n', "who =", "x", "a.jessy has mistakes on line 13"),
        (RECIPE.replace("and who", "and ${free}"), "who =", "free", "`free` is used in a.jessy already"),
    ],
)
def test_what_is_not_safe_is_refused(workspace, tmp_path, text, part, new, reason):
    file = written(workspace, tmp_path, "a.jessy", text)
    with pytest.raises(Refusal) as refusal:
        rename(workspace, file, text.index(part), new)
    assert reason in str(refusal.value)


def test_a_name_taken_in_another_file_of_the_set_is_refused(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE + 'INCLUDE "p.jessy"\n')
    written(workspace, tmp_path, "p.jessy", 'ARG base = x\nLET model = "m"\nLICENSE "${base} ${model}"\n')
    with pytest.raises(Refusal, match=r"`model` is taken in p\.jessy, line 2"):
        rename(workspace, file, file.text.index("base ="), "model")


def test_a_broken_file_of_the_set_is_refused(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE + 'INCLUDE "p.jessy"\n')
    written(workspace, tmp_path, "p.jessy", 'ARG base = x\nLICENSE "${base}\n')
    with pytest.raises(Refusal, match=r"p\.jessy has mistakes"):
        rename(workspace, file, file.text.index("base ="), "model")


def test_a_project_too_large_to_search_is_refused(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE)
    for number in range(MAX_RECIPES):
        (tmp_path / f"r{number}.jessy").write_text("")
    with pytest.raises(Refusal, match="not all files"):
        rename(workspace, file, file.text.index("base ="), "model")
    assert rename(workspace, file, file.text.index("who ="), "model")


def test_an_unsaved_text_without_a_name_is_refused(workspace):
    with pytest.raises(Refusal, match="save it first"):
        rename(workspace, SourceFile("new", RECIPE), RECIPE.index("who ="), "x")


def test_the_place_of_a_rename_is_the_name_alone(workspace, tmp_path):
    file = written(workspace, tmp_path, "a.jessy", RECIPE)
    span = renamed_at(file, RECIPE.index("${who}")).span
    assert RECIPE[span.start : span.end] == "who"


def test_files_outside_the_project_are_never_touched(workspace, tmp_path):
    inside = tmp_path / "project"
    (inside / ".jessy").mkdir(parents=True)
    written(workspace, tmp_path, "out.jessy", 'ARG base = x\nLICENSE "${base}"\n')
    file = written(workspace, inside, "a.jessy", RECIPE + 'INCLUDE "../out.jessy"\n')
    assert set(renamed(workspace, file, "base =", "model")) == {"a.jessy"}
