"""`jessy watch` on a real terminal: the two lines, the keys, the end."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import watch_world
from watch_world import RECIPE, SEEDS


class Terminal:
    """A program on a pseudo-terminal, and everything it wrote."""

    def __init__(self, root: Path, *words: str) -> None:
        self.ours, theirs = pty.openpty()
        environment = {
            **os.environ,
            "TERM": "xterm",
            "COLUMNS": "120",
            "LINES": "30",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, watch_world.__file__, *words]
        self.process = subprocess.Popen(command, cwd=root, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self.text = ""

    def until(self, pattern: str, seconds: float = 90.0) -> None:
        """Read until a pattern was written after what was read before."""
        start, deadline = len(self.text), time.monotonic() + seconds
        while not re.search(pattern, self.text[start:]):
            assert time.monotonic() < deadline, self.text
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 65536).decode("utf-8", "replace")

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def end(self) -> int:
        code = self.process.wait(timeout=20)
        os.close(self.ours)
        return code


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text(RECIPE)
    seed = tmp_path / SEEDS[0]
    seed.parent.mkdir(parents=True)
    seed.write_text('{"query": "selam"}\n')
    return tmp_path


@pytest.fixture
def open_terminal(root):
    opened = []

    def open_terminal(*words: str) -> Terminal:
        opened.append(Terminal(root, *words))
        return opened[-1]

    yield open_terminal
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()


def test_the_screen_shows_what_runs_and_q_ends_it(root, open_terminal):
    terminal = open_terminal("watch", "tiny.jessy")
    terminal.until(r"watching tiny\.jessy \+ 1 file · nothing to do")
    assert "rev " in terminal.text
    (root / "hold").touch()
    (root / "tiny.jessy").write_text(RECIPE.replace("rank 16", "rank 8"))
    terminal.until(r"running rev [0-9a-f]{4} \(rank 8\) train")
    (root / "tiny.jessy").write_text(RECIPE.replace("rank 16", "rank 4"))
    terminal.until(
        r"change saved \d\d:\d\d \(rev [0-9a-f]{4}\): retrain · queued +r restart now  s skip  p pause  q quit"
    )
    terminal.press(b"s")
    terminal.until(r"train[^\n]*\r\n +p pause  q quit")
    terminal.press(b"q")
    terminal.until("stopped; what it did is kept")
    assert terminal.end() == 0


def test_ctrl_c_lets_the_job_save_first(root, open_terminal):
    terminal = open_terminal("watch", "tiny.jessy")
    (root / "hold").touch()
    terminal.until(r"running rev [0-9a-f]{4} train")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("stopped; what it did is kept")
    assert terminal.end() == 0


def test_an_apply_on_a_terminal_draws_a_line_and_leaves_the_cursor(open_terminal):
    terminal = open_terminal("apply", "tiny.jessy")
    terminal.until("tiny:latest is the new model")
    assert terminal.end() == 0
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") > 0


def test_mistakes_are_drawn_as_text_and_not_as_escape_sequences(root, open_terminal):
    """On a terminal diagnostics are coloured; the screen made `\\u001b[1;31m` of that."""
    terminal = open_terminal("watch", "tiny.jessy")
    terminal.until(r"nothing to do")
    (root / "tiny.jessy").write_text(RECIPE.replace("rank 16", "rnak 16"))
    terminal.until(r"the running apply continues")
    assert "error[J001]: unknown setting `rnak`" in terminal.text
    assert "u001b" not in terminal.text
    terminal.press(b"q")
    assert terminal.end() == 0
