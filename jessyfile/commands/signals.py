"""The first Ctrl-C or SIGTERM asks to stop between two units of work; the second stops now."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalStop:
    """Whether a signal has come."""

    def __init__(self) -> None:
        self._asked = False

    def requested(self) -> bool:
        """Return True once the first signal has come."""
        return self._asked

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Be the handler: note the first signal, raise KeyboardInterrupt at the second."""
        del number, frame
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # a print from a handler may meet a print under way; a single write to the descriptor does not
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        with contextlib.suppress(OSError):
            import os

            os.write(2, b"\nstopping after this step of work; once more stops at once\n")


@contextlib.contextmanager
def stopping() -> Iterator[SignalStop]:
    """Listen for Ctrl-C and SIGTERM during the block."""
    stop = SignalStop()
    before = {number: signal.signal(number, stop.heard) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
