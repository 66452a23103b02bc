"""The loop spends what the marker says, keeps to its time, and returns the best finished draft."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.dataset.refinement import refinement_turns
from jessyfile.engines.engine import GenerationSettings, OnPiece, Reply, Retrieved, Shown
from jessyfile.engines.retriever import Retriever
from jessyfile.errors import ContextFullError, EngineError
from jessyfile.language.recipe import Complexity, Level, Message
from jessyfile.retrieval.examples import Example, Examples
from jessyfile.retrieval.levels import Vote, Voting
from jessyfile.thinking import clock
from jessyfile.thinking.thinker import Thinker
from jessyfile.thinking.thought import DraftBegan, DraftEnded, Event, Piece, PromptRead, Thought, Wishes

LEVELS = (Level("low", (1, 2), None), Level("medium", (3, 5), None), Level("high", (6, 9), None))
USUAL = Complexity(LEVELS, "[{level} {iterations}]")
QUESTION = [Message("user", "Bilinç nedir?")]


class Time:
    """Time that passes only while somebody writes."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


TIME = Time()


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", TIME)


@dataclass
class Slow:
    """Answers word by word, each after `pause` seconds of that time, behind `reading` looks at the prompt of a second each; its n-th answer
    is `answer(n)`."""

    answer: Callable[[int], str]
    pause: float = 0.0
    parallel: int = 1
    name: str = "slow"
    reading: int = 0
    asked: list[tuple[list[Message], GenerationSettings]] = field(default_factory=list)
    at_once: int = 0
    _busy: int = 0
    _lock: Lock = field(default_factory=Lock)

    def chat(
        self, messages: Sequence[Message], settings: GenerationSettings | None = None, on_piece: OnPiece | None = None
    ) -> Reply:
        assert settings is not None
        with self._lock:
            self.asked.append((list(messages), settings))
            number, self._busy = len(self.asked), self._busy + 1
            self.at_once = max(self.at_once, self._busy)
        try:
            return self._said(self.answer(number), on_piece)
        finally:
            self._busy -= 1

    def _said(self, whole: str, on_piece: OnPiece | None) -> Reply:
        start, text, stopped, count = TIME.now, "", "stop", 0
        first = None
        for _ in range(self.reading):
            TIME.now += 1
            if on_piece is not None and on_piece(""):
                return Reply("", 20, 0, TIME.now - start, None, "cut", None, 15)
        for word in whole.replace("\n", "\n ").split(" "):
            TIME.now += self.pause
            time.sleep(0.02 * (self.parallel > 1))
            first = first or TIME.now - start
            text, count = (text if text.endswith("\n") else text + " " * bool(text)) + word, count + 1
            if on_piece is not None and on_piece(text):
                stopped = "cut"
                break
        return Reply(text, 20, count, TIME.now - start, first, stopped, None, 15)  # type: ignore[arg-type]


def think(
    engine: object, wishes: Wishes | None = None, complexity: Complexity = USUAL, on: list[Event] | None = None
) -> Thought:
    thinker = Thinker(engine, complexity, GenerationSettings(), "tiny:latest", "abc")  # type: ignore[arg-type]
    return thinker.answer(QUESTION, wishes, None if on is None else lambda event: on.append(event))


def numbered(marker: str) -> Callable[[int], str]:
    """Answers that differ: `[high 9]` and `Taslak 3 der ki …`."""
    words = ("elma", "armut", "kiraz", "vişne", "incir", "ayva", "nar", "dut", "muşmula", "üvez")
    return lambda number: f"{marker}\nBence {words[number - 1]} {words[-number]} der."


def within(seconds: float) -> Complexity:
    return Complexity(tuple(replace(level, within=seconds) for level in LEVELS), USUAL.marker)


@pytest.mark.parametrize(
    ("marker", "spent"), [("[high 9]", 9), ("[medium 3]", 3), ("[low 1]", 1), ("[high 3]", 6), ("[low 0]", 1), ("", 1)]
)
def test_as_many_drafts_are_written_as_the_marker_says_inside_the_levels_band(marker: str, spent: int) -> None:
    engine = Slow(numbered(marker))
    thought = think(engine)
    assert (thought.iterations, thought.asked, len(engine.asked), thought.ended) == (spent, spent, spent, "full")


def test_a_draft_is_cut_while_its_prompt_is_read_but_never_the_first() -> None:
    """A second draft's prompt took longer to read than the level had seconds, and its first word was waited for."""
    engine = Slow(numbered("[medium 3]"), reading=8)
    thought = think(engine, complexity=within(10))
    assert (thought.ended, thought.iterations, thought.seconds) == ("within", 1, 10)
    assert thought.text == "Bence elma üvez der."
    late = think(Slow(numbered("[medium 3]"), reading=8), Wishes(max_seconds=4))
    assert (late.ended, late.text) == ("within", "")  # it ends in its marker: `[medium` was shown as the answer


def test_whoever_leaves_while_the_prompt_is_read_is_not_answered() -> None:
    engine = Slow(numbered("[medium 3]"), reading=8)
    thinker = Thinker(engine, USUAL, GenerationSettings(), "tiny:latest", "abc")  # type: ignore[arg-type]
    thought = thinker.answer(QUESTION, None, lambda event: isinstance(event, PromptRead))
    assert (thought.text, thought.ended, engine.asked[1:]) == ("", "cut", [])


def test_each_iteration_sees_the_question_and_the_last_draft_alone() -> None:
    """What was asked first stays the beginning of what is asked next, so that a prompt cache serves it."""
    engine = Slow(numbered("[medium 3]"))
    thought = think(engine)
    first, second, third = (messages for messages, _ in engine.asked)
    assert first == QUESTION
    for before, messages in ((0, second), (1, third)):
        draft = Message("assistant", thought.drafts[before].reply.text)
        assert messages == refinement_turns(QUESTION, draft.content)
        assert messages[:-1] == [*QUESTION, draft]
    assert draft.content.startswith("[medium 3]\n")
    assert thought.text == thought.drafts[-1].text == "Bence kiraz dut der."
    assert (thought.cached_tokens, thought.reasoning_tokens) == (45, 12)


def test_every_iteration_has_a_seed_of_its_own_and_leaves_room_for_its_answer() -> None:
    engine = Slow(numbered("[medium 3]"))
    think(engine, Wishes(max_tokens=100))
    assert [used.seed for _, used in engine.asked] == [42, 43, 44]
    assert {(used.max_tokens, used.reserve) for _, used in engine.asked} == {(100, 100)}


def test_a_short_answer_is_shown_from_its_first_token_and_a_long_thought_when_it_is_chosen() -> None:
    events = list[Event]()
    think(Slow(lambda _: "[low 1]\nSor kanka dinliyorum."), on=events)
    finals = [event.text for event in events if isinstance(event, Piece) and event.final and event.text]
    assert finals[:3] == ["Sor", "Sor kanka", "Sor kanka dinliyorum."]
    events.clear()
    thought = think(Slow(numbered("[medium 3]")), on=events)
    assert [event.text for event in events if isinstance(event, Piece) and event.final] == [thought.text]
    assert [event.number for event in events if isinstance(event, DraftBegan)] == [1, 2, 3]
    assert [event.of for event in events if isinstance(event, DraftEnded)] == [3, 3, 3]


def test_all_iterations_are_spent_within_the_levels_seconds_by_shortening_drafts() -> None:
    """Nine drafts of 100 words, half a second each, have 2.4 seconds: each gets its part, and ends with a sentence where one does."""
    words = " ".join(f"kelime{number}." for number in range(100))
    thought = think(Slow(lambda n: f"[high 9]\n{n} {words}", 0.005), complexity=within(2.4))
    assert (thought.iterations, thought.ended) == (9, "full")
    assert thought.seconds < 2.5
    assert thought.shortened >= 8
    assert all(draft.text.endswith(".") for draft in thought.drafts)


def test_a_level_whose_time_is_over_cuts_the_draft_in_flight_and_returns_the_last_finished_one() -> None:
    words = " ".join(f"söz{number}" for number in range(28))  # too few to be shortened
    thought = think(Slow(lambda n: f"[medium 4]\n{n} {words}", 0.01), complexity=within(0.5))
    assert (thought.ended, thought.asked, thought.iterations) == ("within", 4, 1)
    assert [draft.ended for draft in thought.drafts] == ["stop", "cut"]
    assert thought.text.startswith("1 söz0")
    assert thought.seconds == pytest.approx(0.5, abs=0.02)


def test_what_stands_is_returned_where_the_first_draft_is_cut() -> None:
    words = " ".join(f"söz{number}" for number in range(30))
    thought = think(Slow(lambda _: f"[low 1]\n{words}", 0.02), Wishes(max_seconds=0.2))
    assert (thought.ended, thought.iterations) == ("within", 0)
    assert thought.text.startswith("söz0 söz1")


def test_the_caller_may_cut_the_thinking() -> None:
    engine = Slow(numbered("[high 9]"))
    thinker = Thinker(engine, USUAL, GenerationSettings(), "tiny:latest")  # type: ignore[arg-type]
    thought = thinker.answer(QUESTION, None, lambda event: isinstance(event, DraftBegan) and event.number == 3)
    assert (thought.ended, thought.iterations, thought.text) == ("cut", 2, thought.drafts[1].text)


def test_drafts_that_agree_end_the_thinking_only_where_it_is_wished() -> None:
    same = "[high 8]\nBilinç, kendini fark etmektir bence."
    assert think(Slow(lambda _: same)).iterations == 8
    thought = think(Slow(lambda _: same), Wishes(stop_early=True))
    assert (thought.iterations, thought.asked, thought.ended) == (2, 8, "agreed")


def test_a_draft_that_says_nothing_or_runs_in_circles_is_no_answer() -> None:
    said = {1: "Bence fark etmektir.", 2: "", 3: "evet tamam " * 30}
    engine = Slow(lambda number: f"[medium 3]\n{said[number]}")
    thought = think(engine)
    assert (thought.iterations, thought.chosen, thought.text) == (3, 0, "Bence fark etmektir.")
    assert engine.asked[2][0][1].content.endswith("Bence fark etmektir.")


def test_the_context_windows_end_ends_the_loop_and_keeps_what_there_is() -> None:
    def full(number: int) -> str:
        if number == 3:
            raise ContextFullError("the conversation has 9 tokens and the context window 8")
        return numbered("[medium 4]")(number)

    thought = think(Slow(full))
    assert (thought.ended, thought.iterations, thought.asked) == ("room", 2, 4)


def test_samples_are_made_in_parallel_slots_and_the_one_in_the_middle_is_taken() -> None:
    said = {1: "bir iki üç", 2: "bir iki dört", 3: "bir iki üç dört", 4: "alakasız sözler"}
    engine = Slow(lambda number: f"[medium 4]\n{said[number]}", 0.01, parallel=3)
    thought = think(engine, Wishes(way="sample"))
    assert (thought.iterations, thought.text, engine.at_once) == (4, "bir iki üç dört", 3)
    assert all(messages == QUESTION for messages, _ in engine.asked)
    assert sorted(used.seed for _, used in engine.asked) == [42, 43, 44, 45]
    assert sorted(used.temperature for _, used in engine.asked) == [0.0, 0.7, 0.7, 0.7]


def test_a_wish_comes_before_the_marker() -> None:
    assert think(Slow(numbered("[low 1]")), Wishes(level="high")).iterations == 6
    assert think(Slow(numbered("[high 9]")), Wishes(level="low")).iterations == 2
    thought = think(Slow(numbered("[high 9]")), Wishes(iterations=1))
    assert (thought.iterations, thought.level, thought.marked_level) == (1, "high", "high")
    with pytest.raises(EngineError, match="knows no level"):
        think(Slow(numbered("[low 1]")), Wishes(level="extreme"))


def test_the_nearest_rows_say_the_level_where_the_answer_has_no_marker() -> None:
    rows = [Example(f"r{n}", text, f"[high 7]\n{text}", "high", 7) for n, text in enumerate(["Bilinç ne?", "Ruh ne?"])]
    engine = Slow(lambda n: f"Taslak {n}.")
    voting = Voting(("low", "high"), doubt=0.1)
    thought = think(Retriever(engine, Examples.build(rows), voting, 1, None))  # type: ignore[arg-type]
    assert (thought.level, thought.marked_level, thought.iterations) == ("high", None, 6)
    assert thought.vote is not None
    assert thought.vote.level == "high"


ROW = "[high 9]\nBilinç bence kendini fark eden bir varlığın içinden dünyaya bakmasıdır."


def stands(answer: Callable[[int], str]) -> tuple[Slow, Retriever]:
    """An engine behind a row that answers the question as it stands."""
    engine = Slow(answer)
    row = Example("r1", "Bilinç nedir?", ROW, "high", 9)
    return engine, Retriever(engine, Examples.build([row]), Voting(("high",)), 1, 0.3)  # type: ignore[arg-type]


def test_a_rows_own_answer_is_the_first_of_nine_drafts() -> None:
    """«Bilinç nedir?» was answered by a row in no time, and said `9 iterations` where none was spent."""
    longer = ROW + " Ama bunu dışarıdan kanıtlayamayız"
    engine, retriever = stands(lambda n: longer + "!" * n)
    thought = think(retriever)
    assert (thought.iterations, len(engine.asked), thought.drafts[0].ended) == (9, 1 + 8, "stands")
    (read, short), (second, _) = engine.asked[:2]
    assert short.max_tokens == 1  # the question is read once, and the drafts go on from there
    assert read == [Message("user", "Bilinç nedir?"), Message("assistant", ROW), *QUESTION]
    assert second == [*read[:2], *refinement_turns(QUESTION, ROW)]
    assert thought.text.endswith("kanıtlayamayız" + "!" * 9)
    assert not thought.stands


@pytest.mark.parametrize("draft", ["[high 9]\nPilav yağla olur.", ROW + " Bunun 3 yolu vardır."])
def test_a_rows_own_answer_stays_where_no_draft_keeps_what_it_says(draft: str) -> None:
    """A person's words and numbers are not given away for those of a model of 270 million parameters."""
    engine, retriever = stands(lambda _: draft)
    thought = think(retriever)
    assert (thought.iterations, len(engine.asked), thought.stands) == (9, 1 + 8, True)
    assert thought.text == ROW.partition("\n")[2]


def test_a_quote_is_not_written_anew() -> None:
    quoted = Retrieved((), False, None, quoted=True)

    class Notes(Slow):
        def chat(self, *arguments: object) -> Reply:  # type: ignore[override]
            return replace(super().chat(*arguments), retrieved=quoted)  # type: ignore[arg-type]

    thought = think(Notes(lambda _: "[medium 3]\nLastik 2,3 bar."))
    assert (thought.iterations, thought.asked, thought.text) == (1, 1, "Lastik 2,3 bar.")


def test_a_turn_is_remembered_with_its_marker() -> None:
    assert think(Slow(numbered("[low 1]"))).said == "[low 1]\nBence elma üvez der."
    bare = Slow(lambda n: "[medium 3]\nBir." if n == 1 else f"Taslak {n}.")
    assert think(bare).said == "[medium 3]\nTaslak 3."


def test_a_row_tells_how_near_it_was() -> None:
    _, retriever = stands(lambda n: "[high 9]\nBaşka.")
    retrieved = think(retriever).reply.retrieved
    assert retrieved is not None
    assert retrieved.rows == (Shown("r1", 1.0),)
    assert retrieved.vote == Vote("high", 1.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=9, max_size=9), st.sampled_from(["[high 9]\n", "[medium 3]\n", ""]))
def test_any_drafts_give_one_of_them(texts: list[str], marker: str) -> None:
    events = list[Event]()
    thought = think(Slow(lambda number: marker + texts[number - 1]), on=events)
    assert thought.text == thought.drafts[thought.chosen].text
    assert thought.iterations == thought.asked == len(thought.drafts)
    finals = [event.text for event in events if isinstance(event, Piece) and event.final]
    assert all(thought.text.startswith(text) for text in finals)
