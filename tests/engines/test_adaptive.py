"""The marker is read from the first line only, and only when it is well formed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.dataset.marker import marked
from jessyfile.engines.adaptive import read_marker
from jessyfile.language.recipe import Complexity, Level

LEVELS = (Level("low", (1, 2), 5.0), Level("medium", (3, 5), None), Level("high", (6, 9), None))
USUAL = Complexity(LEVELS, "[{level} {iterations}]")


@pytest.mark.parametrize(
    ("reply", "level", "iterations", "text"),
    [
        ("[low 1]\nSor kanka.", "low", 1, "Sor kanka."),
        ("\n [high 8] \r\nUzun bir mesele.", "high", 8, "Uzun bir mesele."),
        ("[medium 4]", "medium", 4, ""),
        ("Sor kanka. [low 1]", None, None, "Sor kanka. [low 1]"),
        ("[low 1] Sor kanka.", None, None, "[low 1] Sor kanka."),
        ("[lower 1]\nSor.", None, None, "[lower 1]\nSor."),
        ("[LOW 1]\nSor.", None, None, "[LOW 1]\nSor."),
        ("[low]\nSor.", None, None, "[low]\nSor."),
        ("[low ١]\nSor.", None, None, "[low ١]\nSor."),
        ("", None, None, ""),
    ],
)
def test_only_a_well_formed_first_line_is_a_marker(
    reply: str, level: str | None, iterations: int | None, text: str
) -> None:
    found = read_marker(reply, USUAL)
    assert (found.level, found.iterations, found.text) == (level, iterations, text)


def test_a_marker_of_the_recipes_own_is_read() -> None:
    """Signs of regular expressions in a marker stand for themselves."""
    own = Complexity((Level("kısa", (1, 1), None),), "({level}|{iterations})")
    assert read_marker("(kısa|1)\nTamam.", own).level == "kısa"
    assert read_marker("kısa\nTamam.", own).level is None


def test_a_recipe_without_a_marker_leaves_the_answer_alone() -> None:
    assert read_marker("[low 1]\nSor.", Complexity(LEVELS, None)).text == "[low 1]\nSor."


@given(st.sampled_from(LEVELS), st.integers(0, 999), st.text())
def test_what_training_writes_is_what_the_runtime_reads(level: Level, iterations: int, text: str) -> None:
    found = read_marker(marked(USUAL.marker, level.name, iterations, text), USUAL)
    assert (found.level, found.iterations) == (level.name, iterations)
    assert found.text == text.strip()
