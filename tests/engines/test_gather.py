"""Answers arrive in pieces: they can be cut, times are kept, and a reader who leaves ends the writer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jessyfile.engines.gather import Gathered, pieces_of
from jessyfile.errors import EngineError


def test_a_watched_answer_ends_where_the_watcher_says() -> None:
    gathered = Gathered(lambda text: text.endswith("b"))
    assert [gathered.add(piece) for piece in ("a", "", "b")] == [False, False, True]
    reply = gathered.reply(3, None, "stop")
    assert (reply.text, reply.tokens, reply.stopped) == ("ab", 2, "cut")
    assert reply.first_token_seconds is not None


def test_an_answer_without_a_token_has_no_first_one() -> None:
    reply = Gathered().reply(3, 0, "stop")
    assert (reply.text, reply.first_token_seconds) == ("", None)


def test_leaving_the_iterator_ends_the_writer() -> None:
    """A person who presses Ctrl-C in a chat must not leave a model writing on."""
    ended = threading.Event()

    def endless(push: Callable[[str], bool]) -> None:
        while not push("x"):
            pass
        ended.set()

    pieces = pieces_of(endless)
    assert next(pieces) == "x"
    pieces.close()  # type: ignore[attr-defined]
    assert ended.is_set()


def test_what_the_writer_raises_reaches_the_reader() -> None:
    def broken(push: Callable[[str], bool]) -> None:
        push("a")
        raise EngineError("gone")

    pieces = pieces_of(broken)
    assert next(pieces) == "a"
    with pytest.raises(EngineError, match="gone"):
        next(pieces)
