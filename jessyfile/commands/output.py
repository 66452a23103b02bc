"""Standard output and standard error that may vanish without stopping the command.

`jessy apply recipe.jessy | head -1`, a terminal that closes and a log on a full disk all make writing fail. The text
is then lost. The command still runs to its end, with the exit code that it would have had.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class _Unheard(io.FileIO):
    """A descriptor to which writing never fails; `lost` says that it did."""

    lost = False

    def write(self, data: Any, /) -> int:  # noqa: ANN401 (any buffer)
        """Write, or forget."""
        if not self.lost:
            try:
                return super().write(data)
            except OSError:
                self.lost = True
        return memoryview(data).nbytes


def unheard() -> bool:
    """Return whether standard output takes nothing any more, so that nobody follows a conversation."""
    return bool(getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "lost", False))


def endure() -> None:
    """Let standard output and error fail silently from here on; one that is closed becomes the null device."""
    for descriptor in range(3):
        _occupy(descriptor)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = _enduring(sys.stdout, 1)
    sys.stderr = _enduring(sys.stderr, 2)


def _occupy(descriptor: int) -> None:
    """Open the null device in place of a closed descriptor: the next opened file would get its number, and the prints of native
    libraries."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def _enduring(stream: TextIO | None, descriptor: int) -> TextIO:
    raw = io.BufferedWriter(_Unheard(descriptor, "w", closefd=False))
    if not isinstance(stream, io.TextIOWrapper):
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=descriptor == 2)
    stream.flush()
    return io.TextIOWrapper(
        raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
