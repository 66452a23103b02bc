"""What an apply brought about, for people: a self-contained HTML page and a summary for the terminal.

write_report(recipe, root, result) -> path of report.html
summary_lines(judge_facts) -> lines for a terminal
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.report.terminal import summary_lines

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult

__all__ = ["summary_lines", "write_report"]


def write_report(recipe: Recipe, root: Path, result: RunResult) -> Path:
    """Write `report.html` into the run's folder, or beside the runs when nothing ran, and return its path."""
    from jessyfile.fsops import write_text
    from jessyfile.project import runs_folder
    from jessyfile.report.page import render_page

    folder = result.run.folder if result.run is not None else runs_folder(root)
    path = folder / "report.html"
    write_text(path, render_page(recipe, result))
    return path
