"""The verdict in the terminal says what was claimed, what was measured and what follows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evaluation_fakes import make_recipe
from report_fakes import CRITERIA, make_verdict

from jessyfile.report import summary_lines

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


def test_a_passing_and_a_failing_verdict(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    passing = make_verdict(make_recipe(tmp_path, CRITERIA))
    failing = make_verdict(make_recipe(tmp_path, CRITERIA), "Yarın bir nöbet listesi yapın.")
    assert "\n".join([*summary_lines(passing.facts()), "", *summary_lines(failing.facts())]) == snapshot


def test_a_recipe_without_criteria_has_nothing_to_say(tmp_path: Path) -> None:
    assert summary_lines(make_verdict(make_recipe(tmp_path)).facts()) == []
