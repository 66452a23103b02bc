"""Every example of docs/api.md runs, in the page's order, and shows nothing that is not public."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jessyfile

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number, tmp_path, monkeypatch, capsys):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "v2.jessy").write_bytes((HOUSE / "recipes" / "v2.jessy").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"docs/api.md example {number + 1}", "exec"), {})  # noqa: S102 (our own page)
    assert capsys.readouterr().out.strip()


def test_the_page_names_only_what_there_is():
    imported = re.findall(r"from jessyfile import (.+)", PAGE)
    names = {name.strip() for line in imported for name in line.split(",")}
    assert names <= set(jessyfile.__all__)
    assert {"plan", "apply"} <= set(re.findall(r"jessyfile\.(\w+)\(", PAGE))
