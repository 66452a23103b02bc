"""What comes in from the terminal and goes out to it: arguments, input and messages in bytes of any kind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jessyfile import cli
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.validation import validate_training_data
from jessyfile.errors import Exit

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def jessy(*arguments: bytes, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"jessyfile.cli", *arguments],
        cwd=folder, capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": root, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        (b"chat", b"name", b"\xff"),
        (b"check", b"caf\xe9.jessy"),
        (b"data", b"lint", b"\xc3"),
        (b"plan", b"a.jessy", b"--set", b"x=\xf0"),
        (b"\xffplan",),
    ],
)
def test_an_argument_that_is_no_text_is_named(arguments: tuple[bytes, ...], tmp_path: Path) -> None:
    """A byte that is no UTF-8 reached Ollama's request as half a character, and that was called a bug in jessy."""
    done = jessy(*arguments, folder=tmp_path)
    assert done.returncode == Exit.USAGE
    said = done.stderr.decode("utf-8")
    assert "is not UTF-8" in said
    assert "\\udc" in said
    assert "E000" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_locale_without_letters_spells_them_and_goes_on(tmp_path: Path) -> None:
    """In the C locale a Turkish letter ended the command in the middle of its output."""
    (tmp_path / "a.jsonl").write_text('{"soru": "şu"}\n', "utf-8")
    done = jessy(
        b"data", b"lint", b"a.jsonl", folder=tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict"
    )
    assert done.returncode == 1
    assert b"E000" not in done.stderr
    assert b"a.jsonl:1: lacks" in done.stdout


@pytest.mark.parametrize("text", ["\x9b31m", "\x1b[2J", "\u202egnp", "a\u2028b", "\ud800"])
def test_a_bug_and_a_usage_error_are_printed_without_what_a_terminal_obeys(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last resort printed an exception's text as it was, a terminal's own commands included."""
    for error, code in (
        (ValueError(text), Exit.FAILED),
        (click.UsageError(f"no such `{text}`"), Exit.USAGE),
        (click.ClickException(text), Exit.FAILED),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(cli.jessy, "main", fail)
        assert cli.main(["plan"]) == code
        shown = "".join(capsys.readouterr())
        assert OBEYED.search(shown) is None
        assert text not in shown


def test_thousands_of_equal_rows_are_validated_and_each_is_named_once() -> None:
    """Every pair of copies was listed, so that a set with one row many times over took all memory."""
    row = TrainingExample("naber", "İyiyim, sen nasılsın bugün?", "low", 1, "turkish", "tr")
    report = validate_training_data([row] * 3000)
    assert len(report.duplicates) == 2999
    assert {first for _, first, _ in report.duplicates} == {"row:1"}
