"""Lines of code fit the width of an editor's column, and an exemption from the linter says why."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
FILES = [file for folder in ("jessyfile", "tests", "benchmarks") for file in sorted((HOUSE / folder).rglob("*.py"))]
WIDE = 120


def _tokens(file: Path) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(file.read_text("utf-8")).readline))


@pytest.mark.parametrize("folder", ["jessyfile", "tests", "benchmarks"])
def test_every_exemption_has_its_reason(folder: str) -> None:
    """Two dozen `noqa` said what is allowed and not why: nobody could tell whether they were still needed."""
    bare = [
        f"{file.relative_to(HOUSE)}:{token.start[0]}"
        for file in FILES
        if file.is_relative_to(HOUSE / folder)
        for token in _tokens(file)
        if token.type == tokenize.COMMENT and re.search(r"# noqa: [A-Z0-9, ]+$", token.string)
    ]
    assert bare == []


def test_code_is_at_most_120_wide() -> None:
    """The formatter breaks no string, so lines of up to 140 characters had grown; prose may be a little wider."""
    long = [
        f"{file.relative_to(HOUSE)}:{token.end[0]}"
        for file in FILES
        if file.is_relative_to(HOUSE / "jessyfile")
        for token in _tokens(file)
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE) and token.end[1] > WIDE
        if not (token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""')))
    ]
    assert long == []
