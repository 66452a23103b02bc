"""A warning is silent where a comment on its own line names its code; nothing else ever is."""

from __future__ import annotations

from pathlib import Path

import pytest

from jessyfile.language import load_recipe, load_text

HOUSE = Path(__file__).parents[2]
START = "JESSY 1\nNAME x\nFROM gemma3:270m\nDATASET {\n  CATEGORY a 40 {\n    TOPIC b 40\n  }\n}\nEVAL {\n  MUST no_loops > 95%\n}\n"


def codes(text: str, folder: Path) -> list[str]:
    return [d.code for d in load_text(START + text, folder / "x.jessy", root=folder).diagnostics]


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("", ["J201"]),
        ("  # fifty was asked for", ["J201"]),
        ("  # J201", []),
        ("  # fifty was asked for, so J201 is known", []),
        ("  # J202", ["J201"]),
        ("  # J2010", ["J201"]),
        ("\n  # J201", ["J201"]),
    ],
)
def test_the_comment_stands_on_the_line_and_names_the_code(tmp_path, comment, left):
    assert codes(f"TRAIN {{\n  warmup_steps 500{comment}\n}}\n", tmp_path) == left


def test_a_text_is_no_comment(tmp_path):
    assert codes('TRAIN { warmup_steps 500 }\nSYSTEM "# J201"\n', tmp_path) == ["J201"]


def test_a_mistake_cannot_be_accepted(tmp_path):
    assert codes("LORA {\n  rnak 8  # J001\n}\n", tmp_path) == ["J001"]


def test_what_turns_a_line_around_cannot_be_accepted(tmp_path):
    assert codes('SYSTEM "\u202eabc"  # J211\n', tmp_path) == ["J211"]


@pytest.mark.parametrize("path", sorted((HOUSE / "recipes").glob("*.jessy")), ids=lambda path: path.stem)
def test_a_shipped_recipe_checks_without_a_word(path):
    """The flagship's first plan began with a warning about its own warm-up."""
    assert load_recipe(path).diagnostics == ()


def test_yes_is_another_word_for_packing_by_length(tmp_path):
    """`pack` was yes or no; recipes that say yes mean what they meant."""
    found = [
        load_text(START + f"TRAIN {{ pack {word} }}\n", tmp_path / "x.jessy", root=tmp_path).recipe.train.pack
        for word in ("yes", "length", "no", "rows")
    ]
    assert found == ["length", "length", "no", "rows"]


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("MUST turkish.form > 50%", {"turkish"}),
        ("MUST turkish_accuracy > 50%\n  MAY context_awareness > 10%\n  MUST no_loops > 50%", {"turkish", "multi_turn"}),
        ("MUST no_loops > 50%", {"turkish", "technical", "philosophical", "iteration_control", "personality", "multi_turn",
                                 "emotional", "crisis", "edge"}),
        ("SUITE edge\n  MUST no_loops > 50%", {"edge"}),
    ],
)  # fmt: skip
def test_without_a_suite_what_the_criteria_name_is_answered(tmp_path, written, answered):
    """A support model in English was asked 430 cases of a Turkish companion, of both models, without a word."""
    text = START.partition("EVAL")[0] + f"EVAL {{\n  {written}\n}}\n"
    recipe = load_text(text, tmp_path / "x.jessy", root=tmp_path).recipe
    assert {suite.name for suite in recipe.evaluation.suites} == answered
