"""A person at a terminal, and `jessy chat` in a process of its own behind it, whose engine says what a script tells it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
ROWS = 40


class Chat:
    """A terminal with a running `jessy chat tiny`: what is typed goes in, `said` is what stands on the screen."""

    def __init__(self, root: Path, columns: int = 80, *options: str, **environment: str) -> None:
        self.screen = pyte.Screen(columns, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.master, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self.screen.write_process_input = lambda data: os.write(self.master, data.encode())
        bare = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, __file__, *options], cwd=root, stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            env={**bare, "PYTHONPATH": str(TESTS.parent), "TERM": "xterm", **environment},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    @property
    def said(self) -> str:
        """What stands on the screen, with times that are always the same."""
        text = "\n".join(line.rstrip() for line in self.screen.display).rstrip()
        return re.sub(r"\bf[0-9a-f]{16}\b", "ID", re.sub(r"\b\d+\.\d\d? s", "0.1 s", text))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def until(self, text: str, times: int = 1) -> str:
        """Wait until a text stands on the screen so many times, and return the screen."""
        end = time.monotonic() + PATIENCE
        while self.said.count(text) < times:
            assert time.monotonic() < end, f"no {text!r} in\n{self.said}"
            self._read()
        self._settle()
        return self.said

    def ended(self) -> int:
        """Wait until the command has ended, and return its exit code."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said
            self._read()
        self._settle()
        return self.process.returncode

    def _settle(self) -> None:
        end = time.monotonic() + 1
        while self._read(0.15) and time.monotonic() < end:
            pass

    def _read(self, seconds: float = 0.1) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = b""
        with contextlib.suppress(OSError):  # the other side has ended
            data = os.read(self.master, 1 << 16)
        self.raw += data
        self.stream.feed(data)
        return bool(data)


def main(options: Sequence[str]) -> None:
    """Be the process behind the terminal."""
    for folder in ("evaluation", "report"):
        sys.path.insert(0, str(TESTS / folder))
    from evaluation_fakes import FakeEngine

    from jessyfile.cli import main as jessy
    from jessyfile.engines import serving

    class Slow(FakeEngine):
        """Writes a long answer so slowly that it can be cut, and a second draft so slowly that it is seen."""

        def chat(self, messages, settings=None, on_piece=None):
            waiting = messages[-1].content == "uzun"
            time.sleep(0.5 if len(self.asked) == 2 else 0)

            def piece(text: str) -> bool:
                time.sleep(0.03 if waiting else 0)
                return on_piece is not None and on_piece(text)

            return super().chat(messages, settings, piece)

    serving.engine_of = lambda *_: Slow(answer)
    sys.exit(jessy(["chat", "tiny", *options]))


def answer(prompt: str) -> str:
    """Return what the model says."""
    if prompt == "Bilinç nedir?" or "taslak" in prompt:
        return "[high 6]\nBilinç, yaşadığını bilmektir."
    if prompt == "uzun":
        return "[low 1]\n" + "uzun bir yanıt " * 200
    return f"[low 1]\n{prompt} diyorsun."


def project(root: Path) -> Iterator[Path]:
    """Yield a project in which a model called `tiny` is registered."""
    import hashlib

    from evaluation_fakes import USUAL, served

    from jessyfile.export.registry import Registration, register

    (root / ".jessy").mkdir(parents=True)
    (root / "m.gguf").write_bytes(b"GGUF")
    digest = hashlib.sha256(b"GGUF").hexdigest()
    register(root, "tiny", "latest", Registration("embedded", digest, served(USUAL), gguf="m.gguf"))
    yield root


if __name__ == "__main__":
    main(sys.argv[1:])
