"""`jessy chat` at a terminal, driven through a pty: keys go in, and what stands on the screen is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chat_pty import Chat, project
from rich.console import Console
from screens_world import Glass

from jessyfile.commands.answer_shown import Drafts
from jessyfile.thinking.thought import DraftBegan, Piece

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

ENTER, BREAK, UP, CTRL_C, CTRL_D, CTRL_U = "\r", "\x1b\r", "\x1b[A", "\x03", "\x04", "\x15"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield from project(tmp_path / "p")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_conversation(columns: int, root: Path, snapshot: SnapshotAssertion) -> None:
    """Questions, a loop whose drafts pass, several lines in one question, commands with a line of help each."""
    with Chat(root, columns) as chat:
        chat.until("\n>")
        chat.type("/")
        assert chat.until("/iterations [N]") == snapshot
        chat.type(CTRL_U + "selam" + ENTER)
        chat.until("1 iteration")
        chat.type("Bilinç nedir?" + ENTER)
        chat.until("6 iterations")
        assert "draft 2" not in chat.said
        assert "thinking" not in chat.said
        chat.type("bir" + BREAK + "iki" + ENTER)
        assert "bir\niki diyorsun." in chat.until("1 iteration", 2)
        chat.type("/why" + ENTER)
        chat.until("cache")
        chat.type("/level high" + ENTER)
        chat.until("level: high")
        chat.type("/good" + ENTER)
        assert chat.until("kept as") == snapshot
        chat.type(CTRL_D)
        assert chat.ended() == 0
    assert b"draft 2 of 6" in chat.raw


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_draft_passes(columns: int, snapshot: SnapshotAssertion) -> None:
    """The end of the draft, its number and the seconds, folded at words; nothing is left of them."""
    glass, now = Glass(columns), [100.0]
    drafts = Drafts(Console(file=glass, width=columns, force_terminal=True), lambda: now[0])
    frames = []
    said = "Bilinç, yaşadığını bilmektir. " * 12
    for event in (DraftBegan(1, None), Piece(1, said[:40], False), DraftBegan(3, 9), Piece(3, f"{said}\x1b[2J", False)):
        drafts.show(event)
        assert drafts.live is not None
        drafts.live.auto_refresh = False
        now[0] += 2
        drafts.live.refresh()
        frames.append("\n".join(glass.lines()))
    drafts.stop()
    assert "\n\n".join(frames) == snapshot
    assert frames[-1].endswith("draft 3 of 9 · 8 s")
    assert len(frames[-1].split("\n")) == 5
    assert glass.lines() == [""]


def test_an_answer_is_cut_and_the_conversation_goes_on(root: Path) -> None:
    with Chat(root) as chat:
        chat.until("\n>")
        chat.type("uzun" + ENTER)
        chat.until("uzun bir yanıt uzun")
        chat.type(CTRL_C)
        chat.until(", stopped")
        chat.type("yarım" + CTRL_C)
        chat.until("(Ctrl-D or /bye ends)")
        chat.type("selam" + ENTER)
        chat.until("selam diyorsun.")
        chat.type("/quit" + ENTER)
        assert chat.ended() == 0


def test_what_was_typed_comes_back_with_the_arrow_in_the_next_conversation(root: Path) -> None:
    """Of several lines all come back; the file is its owner's alone."""
    with Chat(root) as chat:
        chat.until("\n>")
        chat.type("\x1b[200~bir\niki\x1b[201~" + ENTER)
        chat.until("diyorsun.")
        chat.type(CTRL_D)
        chat.ended()
    kept = root / ".jessy" / "chat" / "history.jsonl"
    assert kept.read_text("utf-8") == '"bir\\niki"\n'
    assert kept.stat().st_mode & 0o777 == 0o600
    with Chat(root) as chat:
        chat.until("\n>")
        chat.type(UP + ENTER)
        chat.until("iki diyorsun.")


def test_nothing_is_kept_when_that_is_wished(root: Path) -> None:
    with Chat(root, 80, "--no-history") as chat:
        chat.until("\n>")
        chat.type("selam" + ENTER)
        chat.until("diyorsun.")
        chat.type(UP + ENTER)
        chat.until("diyorsun.", 2)
        chat.type("/bye" + ENTER)
        chat.ended()
    assert not (root / ".jessy" / "chat").exists()


def test_a_terminal_that_can_do_nothing_gets_plain_lines(root: Path) -> None:
    with Chat(root, 80, TERM="dumb") as chat:
        chat.until("\n>")
        chat.type("Bilinç nedir?\n")
        chat.until("6 iterations")
        chat.type("/why\n")
        chat.until("cache")
        chat.type(CTRL_D)
        assert chat.ended() == 0
    assert b"\x1b" not in chat.raw


def test_no_color_leaves_no_style(root: Path) -> None:
    with Chat(root, 80, "selam", NO_COLOR="1") as chat:
        assert chat.ended() == 0
    assert "1 iteration" in chat.said
    assert b"\x1b[2m" not in chat.raw
