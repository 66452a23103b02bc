"""How a command is stopped: by Ctrl-C, by SIGTERM, by a terminal that closes.

Every command hears all three as KeyboardInterrupt. Long work listens with `stopping` instead: the first signal asks it
to stop between two units of work, the second stops it now, and a third ends the process where something still holds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from jessyfile.errors import Exit, Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTICE = b"\nstopping after this step of work; once more stops at once\n"
_AT_ONCE = "stopped at once; what was done before is kept"


def _notice() -> None:
    # a print from a handler may meet a print under way; a single write to the descriptor does not
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    with contextlib.suppress(OSError):
        os.write(2, _NOTICE)


class SignalStop:
    """How many signals have come; `told` is called in the handler at the first."""

    def __init__(self, told: Callable[[], None] | None = None) -> None:
        self._heard, self._told = 0, told or _notice

    def requested(self) -> bool:
        """Return True once the first signal has come."""
        return self._heard > 0

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Be the handler: note the first signal, raise KeyboardInterrupt at the second, end the process at the third."""
        del number, frame
        self._heard += 1
        if self._heard > 2:
            # what is kept is on the disk, and every write survives a kill
            os._exit(Exit.INTERRUPTED)
        if self._heard > 1:
            raise KeyboardInterrupt
        self._told()


def interruptible() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: what it had half written is cleaned up, the exit code is 130."""
    _listen(signal.default_int_handler)


@contextlib.contextmanager
def stopping(resume: Callable[[], str], told: Callable[[], None] | None = None) -> Iterator[SignalStop]:
    """Listen for the signals during the block; `told` shows that the first has come, in place of a line.

    Raises Interrupted with the command that `resume` returns as its hint.
    """
    stop = SignalStop(told)
    before = _listen(stop.heard)
    try:
        yield stop
    except Interrupted as error:
        raise Interrupted(error.message, hint=f"resume with: {resume()}") from error
    except KeyboardInterrupt as error:
        raise Interrupted(_AT_ONCE, hint=f"resume with: {resume()}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(handler: Callable[[int, FrameType | None], object]) -> dict[signal.Signals, signal.Handlers]:
    """Take over the signals, but not those that are ignored (`nohup`, a shell's background job); return the old handlers."""
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}  # type: ignore[misc]
