"""Exit codes: one meaning each, the same in the code, in the documentation and in every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jessyfile.cli import COMMANDS, main
from jessyfile.errors import Exit

ROOT = Path(__file__).parents[2]
WRONG = (
    ["nonsense"],
    ["plan"],
    ["plan", "--detailed-exitcode", "--no-such-option", "r.jessy"],
    ["plan", "--detailed-exitcode", "--detailed-exitcode=yes", "r.jessy"],
    ["apply", "r.jessy", "--arg", "novalue"],
    ["chat"],
    ["chat", "x", "--json"],
    ["chat", "x", "--max-tokens", "0"],
    ["watch", "r.jessy", "--on-change", "never"],
    ["graph", "r.jessy", "--format", "png"],
    ["history", "-n", "many"],
    ["diff", "only-one"],
    ["data"],
    ["data", "lint"],
)


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_command_line_never_looks_like_an_answer(words, tmp_path, monkeypatch, capsys):
    """A mistyped option of `plan --detailed-exitcode` ended in 2, which told a pipeline that there were changes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.jessy").write_text("JESSY 1\nNAME r\nFROM gemma3:270m\n")
    assert main(words) == Exit.USAGE
    assert capsys.readouterr().err.startswith(("Usage:", "Error:"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_an_unknown_option_with_the_same_code(command, capsys):
    assert main([command, "--no-such-option"]) == Exit.USAGE


def test_the_documented_table_is_the_codes_one():
    section = (ROOT / "docs" / "plan.md").read_text("utf-8").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.M)} == set(Exit)


@pytest.mark.parametrize("text", ["README.md", "--help"])
def test_the_short_lists_name_every_code(text, capsys):
    said = (ROOT / text).read_text("utf-8") if text.endswith(".md") else (main([text]), capsys.readouterr().out)[1]
    listed = re.sub(r"\s+", " ", said).partition("Exit codes: ")[2][:300]
    assert {int(code) for code in re.findall(r"(?<![\w.])(\d+) [a-z]", listed)} >= set(Exit)
