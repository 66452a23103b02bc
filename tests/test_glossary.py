"""The glossary explains words that are in use, each once."""

from __future__ import annotations

import re
from pathlib import Path

HOUSE = Path(__file__).parents[1]
TERMS = re.findall(r"^\| (?!word )([a-z][a-z ]+) \|", (HOUSE / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)


def test_every_word_of_the_glossary_is_used() -> None:
    """Words whose code was gone stood in the glossary, and readers searched for what they name."""
    pages = [page for page in (HOUSE / "docs").glob("*.md") if page.name != "glossary.md"]
    text = "\n".join(file.read_text("utf-8").lower() for file in [*(HOUSE / "jessyfile").rglob("*.py"), *pages])
    assert len(TERMS) > 30
    assert sorted(set(TERMS)) == sorted(TERMS)
    assert [term for term in TERMS if not re.search(rf"\b{term}", text)] == []
