"""Answers arrive in pieces: they can be cut, and times are kept."""

from __future__ import annotations

from jessyfile.engines.gather import Gathered


def test_a_watched_answer_ends_where_the_watcher_says() -> None:
    gathered = Gathered(lambda text: text.endswith("b"))
    assert [gathered.add(piece) for piece in ("a", "", "b")] == [False, False, True]
    reply = gathered.reply(3, None, "stop")
    assert (reply.text, reply.tokens, reply.stopped) == ("ab", 2, "cut")
    assert reply.first_token_seconds is not None


def test_an_answer_can_end_before_its_first_word() -> None:
    gathered = Gathered(lambda text: not text)
    assert gathered.add("")
    assert gathered.reply(3, 0, "stop").stopped == "cut"


def test_an_answer_without_a_token_has_no_first_one() -> None:
    reply = Gathered().reply(3, 0, "stop")
    assert (reply.text, reply.first_token_seconds) == ("", None)
