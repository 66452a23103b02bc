"""A recipe is planned and applied in one call, as the commands do it."""

from __future__ import annotations

from pathlib import Path

import pytest

import jessyfile

RECIPE = 'JESSY 1\nNAME small\nFROM gemma3:270m\nDATASET {\n  CATEGORY turkish 12 "T" {\n    language tr\n  }\n}\n'


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / ".jessy").mkdir()
    path = tmp_path / "small.jessy"
    path.write_text(RECIPE, "utf-8")
    return path


def test_a_plan_takes_one_line_and_starts_nothing(recipe):
    before = sorted(recipe.parent.rglob("*"))
    plan = jessyfile.plan(str(recipe))
    assert plan.name == "small"
    assert [step.name for step in plan.steps if step.runs][:2] == ["base", "data.turkish"]
    assert sorted(recipe.parent.rglob("*")) == before
    assert [step.name for step in jessyfile.plan(recipe, only=["data"]).steps] == ["data.turkish"]


def test_an_apply_takes_one_line_and_a_second_one_has_nothing_to_do(recipe):
    result = jessyfile.apply(str(recipe), only=["data"])
    assert [(step.name, step.outcome) for step in result.steps] == [("data.turkish", "ran")]
    assert result.exit_code == 0
    assert list(recipe.parent.glob(".jessy/runs/*/report.html"))
    assert jessyfile.apply(recipe, only=["data"]).run is None
    read = jessyfile.load_recipe(recipe).recipe
    assert jessyfile.apply(read, only=["data"], replace=["data.turkish"]).step("data.turkish").outcome == "ran"
    assert not list(recipe.parent.glob("*.lock"))  # only a whole run is written down


def test_values_from_outside_arrive(recipe):
    result = jessyfile.apply(recipe, only=["data"], sets={"dataset.category.turkish.count": "5"})
    assert result.step("data.turkish").facts["rows"] == 5


def test_a_recipe_with_mistakes_is_a_recipe_error_with_its_diagnostics(recipe):
    recipe.write_text(RECIPE.replace("CATEGORY turkish 12", "CATEGORI turkish 12"), "utf-8")
    for call in (jessyfile.plan, jessyfile.apply):
        with pytest.raises(jessyfile.RecipeError, match=r"small\.jessy has \d mistakes?: ") as caught:
            call(recipe)
        assert "J001" in {diagnostic.code for diagnostic in caught.value.diagnostics}
        assert "jessy check" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "kind"),
    [("missing.jessy", jessyfile.RecipeError), (".", jessyfile.ProjectError), ("a\0b", jessyfile.ProjectError)],
)
def test_what_is_no_recipe_says_so(tmp_path, monkeypatch, path, kind):
    monkeypatch.chdir(tmp_path)
    for name in (path, Path(path)):
        with pytest.raises(kind):
            jessyfile.plan(name)


def test_reading_says_what_is_no_recipe_without_raising_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("", ".", "missing.jessy", "a" * 300):
        loaded = jessyfile.load_recipe(path, root=str(tmp_path))
        assert loaded.recipe is None
        assert loaded.diagnostics
    with pytest.raises(jessyfile.ProjectError):
        jessyfile.load_recipe("a\0b")


def test_a_recipe_that_is_read_takes_nothing_from_outside(recipe):
    read = jessyfile.load_recipe(recipe).recipe
    with pytest.raises(jessyfile.RecipeError, match="already read"):
        jessyfile.plan(read, sets={"lora.rank": "8"})
