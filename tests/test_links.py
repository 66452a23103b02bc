"""Every page of the project leads where it says, and the README knows every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jessyfile.cli import COMMANDS

HOUSE = Path(__file__).parents[1]
PAGES = [*sorted(HOUSE.glob("*.md")), *sorted((HOUSE / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def _text(page: Path) -> str:
    return _FENCED.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_every_relative_link_resolves(page: Path) -> None:
    """CONTRIBUTING linked to a page that was not written yet, and only a reader who followed the link found out."""
    for link in _LINK.findall(_text(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert target.is_relative_to(HOUSE.resolve()), f"{page.name} links to {link}, outside the project"
        assert not anchor or anchor in _anchors(target), f"{page.name} links to {link}, and no heading is called so"


@pytest.mark.parametrize(("page", "heading"), [("README.md", "## Commands"), ("docs/tr/index.md", "## Komutlar")])
def test_the_readme_names_every_command(page: str, heading: str) -> None:
    """The table of commands is kept by hand, in English and in Turkish, and a new command was easily left out of it."""
    table = (HOUSE / page).read_text("utf-8").partition(heading)[2].partition("\n## ")[0]
    cells = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(?:jessy )?([a-z]+)`", cells)) == set(COMMANDS)
