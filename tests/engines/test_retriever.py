"""A model of RETRIEVE is asked behind its nearest rows, by whoever asks it through jessy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluation_fakes import IMPORTED, USUAL, FakeEngine, make_case, served

from jessyfile.commands.chat import chat
from jessyfile.engines import serving
from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.engines.retriever import Retriever, retrieving
from jessyfile.errors import ContextFullError, DamagedError
from jessyfile.evaluation.answers import Asker, read_answers, write_answers
from jessyfile.evaluation.evaluation_steps import _warm_up
from jessyfile.export.registry import Registration, lookup, model_id, register
from jessyfile.language.recipe import Message
from jessyfile.results.served import Retrieval
from jessyfile.retrieval.examples import ROWS, Example, Examples, Neighbour
from jessyfile.retrieval.index_step import index_digest
from jessyfile.retrieval.levels import CLEARLY, ITS_OWN, Vote, Voting, of_its_level

HELD = Examples.build(
    [
        Example("greeting", "selam naber", "[low 1]\nİyidir, senden?", "low", 1),
        Example("weather", "bugün hava nasıl", "[low 1]\nGüneşli.", "low", 1),
        Example("deep", "bugün hava neden mavi", "[high 7]\nIşık dağılır.", "high", 7),
    ]
)


def user(text: str) -> Message:
    return Message("user", text)


def retriever(engine: FakeEngine, count: int = 2, answer: float | None = None) -> Retriever:
    return Retriever(engine, HELD, Voting(("low", "high")), count, answer)


def test_the_nearest_rows_stand_before_the_question_the_nearest_last() -> None:
    engine = FakeEngine()
    reply = retriever(engine).chat([user("bugun hava nasil")])
    assert [turn.content for turn in engine.asked[0]] == [
        "bugün hava neden mavi", "[high 7]\nIşık dağılır.", "bugün hava nasıl", "[low 1]\nGüneşli.", "bugun hava nasil"
    ]  # fmt: skip
    told = reply.retrieved
    assert told is not None
    assert [row.id for row in told.rows] == ["weather", "deep"]
    assert told.rows[0].score == 1
    assert not told.as_it_stands
    assert told.vote is not None
    assert told.vote.level == "low"


def test_earlier_turns_stand_between_the_rows_and_the_question() -> None:
    engine = FakeEngine()
    earlier = [user("merhaba"), Message("assistant", "[low 1]\nMerhaba!")]
    retriever(engine, count=1).chat([*earlier, user("selam naber")])
    assert [turn.content for turn in engine.asked[0]][:2] == ["selam naber", "[low 1]\nİyidir, senden?"]
    assert engine.asked[0][2:4] == earlier


def test_a_near_row_answers_as_it_stands_and_no_model_is_asked() -> None:
    engine = FakeEngine()
    reply = retriever(engine, answer=0.8).chat([user("SELAM, NABER!")])
    assert (reply.text, reply.tokens, engine.asked) == ("[low 1]\nİyidir, senden?", 0, [])
    assert reply.retrieved is not None
    assert reply.retrieved.as_it_stands
    assert [row.id for row in reply.retrieved.rows] == ["greeting"]


@pytest.mark.parametrize(
    "messages",
    [[user("selam dostum naber bakalım")], [user("x"), Message("assistant", "y"), user("selam naber")]],
    ids=["not near enough", "in the midst of a conversation"],
)
def test_otherwise_the_model_answers(messages: list[Message]) -> None:
    """An answer to a question alone rarely fits on what was said before."""
    engine = FakeEngine()
    reply = retriever(engine, answer=0.8).chat(messages)
    assert len(engine.asked) == 1
    assert reply.retrieved is not None
    assert not reply.retrieved.as_it_stands


LATER = [user("bugün çok yoruldum"), Message("assistant", "[low 1]\nGeçmiş olsun.")]
ASKING = [user("bugün çok yoruldum"), Message("assistant", "[low 1]\nNe istersin?")]


@pytest.mark.parametrize(
    ("before", "question", "stands"),
    [
        (LATER, "Selam, naber kanka!", True),
        ([Message("system", "Konuşma."), *LATER], "selam naber kanka", False),  # who asks wants other answers
        (LATER, "selam naber bakalım kanka", False),  # near, and not the row's words
        (LATER, "kanka selam naber", False),  # in another order
        (ASKING, "selam naber kanka", False),  # it may be what was asked for
        (ASKING, "selam naber kanka?", True),
        (LATER, "selam naber", False),  # too short to say what it is about
        (LATER, "peki bunu nasıl yaparım", False),  # points at what was said
    ],
)
def test_a_rows_own_question_is_answered_as_it_stands_in_a_later_turn(
    before: list[Message], question: str, stands: bool
) -> None:
    """`uçaklar nasıl uçuyor` had a person's answer as a first question, and a small model's own as a second one."""
    rows = [
        Example("greeting", "selam naber", "[low 1]\nİyidir.", "low", 1, ("selam naber kanka",)),
        Example("how", "peki bunu nasıl yaparım", "[low 1]\nAdım adım.", "low", 1),
    ]
    engine = FakeEngine()
    asked = Retriever(engine, Examples.build(rows), Voting(("low", "high")), 2, 0.5)
    reply = asked.chat([*before, user(question)])
    assert reply.retrieved is not None
    assert (reply.retrieved.as_it_stands, engine.asked == []) == (stands, stands)


@pytest.mark.parametrize("question", ["xyzw", "", "?"])
def test_a_question_that_no_row_knows_stands_bare(question: str) -> None:
    engine = FakeEngine()
    reply = retriever(engine, answer=0.1).chat([user(question)])
    assert engine.asked == [[user(question)]]
    assert reply.retrieved is not None
    assert (reply.retrieved.rows, reply.retrieved.vote) == ((), None)


class Small(FakeEngine):
    """Has room for so many turns."""

    room = 3

    def chat(self, messages, settings=None, on_piece=None):  # type: ignore[no-untyped-def]
        if len(messages) > self.room:
            raise ContextFullError("too long", hint="raise PARAMETER num_ctx")
        return super().chat(messages, settings, on_piece)


def test_the_farthest_row_makes_room_first() -> None:
    engine = Small()
    reply = retriever(engine).chat([user("bugün hava nasıl")])
    assert [turn.content for turn in engine.asked[0]] == ["bugün hava nasıl", "[low 1]\nGüneşli.", "bugün hava nasıl"]
    assert reply.retrieved is not None
    assert [row.id for row in reply.retrieved.rows] == ["weather"]
    engine.room = 0
    with pytest.raises(ContextFullError):
        retriever(engine).chat([user("bugün hava nasıl")])


def test_rows_are_not_taken_away_in_vain() -> None:
    """What is too long without them was counted again for each row."""

    class Full(FakeEngine):
        def chat(self, messages, settings=None, on_piece=None):
            self.asked.append(list(messages))
            raise ContextFullError("too long", tokens=500_000)

    engine = Full()
    full = retriever(engine)
    full.load(ServedModel("tiny", None, "gemma"))
    with pytest.raises(ContextFullError, match="too long"):
        full.chat([user("bugün hava " * 1000)])
    assert len(engine.asked) == 1


def test_every_answer_of_an_evaluation_says_which_rows_stood_before_it(tmp_path: Path) -> None:
    asker = Asker(retriever(FakeEngine()), USUAL, None, None, "digest")  # type: ignore[arg-type]
    answer = asker.ask(make_case(prompt="bugün hava nasıl"))
    write_answers(tmp_path / "a.jsonl", [answer])
    [again] = read_answers(tmp_path / "a.jsonl")
    assert again == answer
    assert again.retrieved is not None
    assert [row.id for row in again.retrieved.rows] == ["weather", "deep"]


def test_a_row_given_as_it_stands_warms_no_model() -> None:
    """The time from a cold engine to the first token was that of a look into the index."""
    cases = [make_case("turkish-001", prompt="selam naber"), make_case("turkish-002", prompt="bambaşka bir soru")]
    asker = Asker(retriever(FakeEngine(), answer=0.8), USUAL, GenerationSettings(), None, "digest")
    assert _warm_up(asker, cases) == 0.05
    assert _warm_up(asker, cases[:1]) is None


def saved(root: Path) -> Retrieval:
    folder = root / "index"
    folder.mkdir(exist_ok=True)
    HELD.save(folder)
    Voting(("low", "high")).save(folder)
    return Retrieval("index", index_digest(folder), 2, 0.8)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    entry = Registration("embedded", str(IMPORTED["digest"]), served(USUAL), gguf="m.gguf", retrieval=saved(tmp_path))
    register(tmp_path, "tiny", "latest", entry)
    made = FakeEngine(lambda prompt: f"[low 1]\n{prompt} diyorsun.")
    monkeypatch.setattr(serving, "_plain_engine", lambda *_, **__: made)
    yield made


def say(*words: str) -> str:
    result = CliRunner().invoke(chat, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_chat_says_which_rows_stood_before_and_how_they_vote(engine: FakeEngine) -> None:
    said = say("tiny", "hava bugün nasıl olur acaba")
    assert len(engine.asked[0]) == 5
    assert "low (rows: low " in said
    assert "· behind rows weather (0." in said


def test_chat_says_that_an_answer_stands_as_it_was_written(engine: FakeEngine) -> None:
    said = say("tiny", "selam naber")
    assert said.startswith("İyidir, senden?\nlow (rows: low ")
    assert said.endswith("the answer of row greeting (1.00) as it stands\n")
    found = json.loads(say("tiny", "selam naber", "--json"))
    assert found["retrieved"]["as_it_stands"] is True
    assert found["retrieved"]["rows"] == [{"id": "greeting", "score": 1}]
    assert engine.asked == []


@pytest.mark.parametrize("harm", ["gone", "other"])
def test_an_index_that_is_not_the_registered_one_is_refused(engine: FakeEngine, harm: str, tmp_path: Path) -> None:
    """The model would answer from rows that nobody has measured."""
    rows = tmp_path / "index" / ROWS
    rows.unlink() if harm == "gone" else rows.write_text(rows.read_text("utf-8").replace("Güneşli", "Kötü"), "utf-8")
    with pytest.raises(DamagedError, match="the index that the model retrieves from"):
        CliRunner().invoke(chat, ["tiny", "selam"], catch_exceptions=False)


def test_clients_of_ollama_are_measured_with_bare_questions(tmp_path: Path) -> None:
    bare = Registration("ollama", "d", served(USUAL), ollama="http://127.0.0.1:9")
    rows = replace(bare, retrieval=saved(tmp_path))
    assert serving.served_with_rows(bare) is None
    assert serving.served_with_rows(rows) is False
    assert serving.served_with_rows(replace(rows, engine="embedded")) is True


def test_a_registration_is_another_with_another_index_and_the_same_wherever_it_lies(tmp_path: Path) -> None:
    entry = Registration("embedded", "d", served(USUAL), gguf="m.gguf")
    named = {
        model_id(replace(entry, retrieval=one))
        for one in (None, Retrieval("a", "1", 3, None), Retrieval("a", "2", 3, None))
    }
    assert len(named) == 3
    register(tmp_path, "tiny", "latest", replace(entry, retrieval=Retrieval("a", "1", 3, None)))
    found = lookup(tmp_path, "tiny")
    assert found is not None
    assert found.retrieval == Retrieval(str(tmp_path / "a"), "1", 3, None)
    assert model_id(found) == model_id(replace(entry, retrieval=Retrieval("a", "1", 3, None)))


def test_what_was_saved_is_what_retrieves(tmp_path: Path) -> None:
    found = retrieving(FakeEngine(), replace(saved(tmp_path), folder=str(tmp_path / "index")))
    assert (found.count, found.answer, found.name, found.parallel) == (2, 0.8, "fake", 1)
    assert found.examples.rows == HELD.rows


def test_an_answer_that_keeps_to_a_schema_is_the_models() -> None:
    """A client asked for JSON and got the nearest row's answer as it stands, in plain words."""
    engine = FakeEngine(lambda prompt: '{"queue": "billing"}')
    asking = Retriever(engine, HELD, Voting(("low", "high")), 1, 0.5)
    held = GenerationSettings(schema='{"type": "object"}')
    assert asking.chat([user("selam naber")], held).text == '{"queue": "billing"}'
    assert asking.chat([user("selam naber")]).text == "[low 1]\nİyidir, senden?"


LEVELLED = Examples.build(
    [
        Example("remark", "sen gerçek misin", "[low 1]\nProgramım.", "low", 1),
        Example("lie", "yalan söylemek hep yanlış mı", "[high 6]\nBence çoğu zaman.", "high", 6),
        Example("truth", "acı bir gerçek söylenmeli mi", "[high 6]\nZor soru.", "high", 6),
        Example("white", "beyaz yalan ne zaman zarar verir", "[high 6]\nGüven gidince.", "high", 6),
    ]
)


ASKED_OF_LIES = "beyaz yalan gerçekten zararlı mı sen gerçek de"


def levelled(share: float, level: str) -> tuple[list[Neighbour], Vote]:
    return LEVELLED.neighbours(ASKED_OF_LIES, 4), Vote(level, share)


def test_a_row_of_the_level_that_the_rows_vote_for_answers_in_place_of_a_nearer_one() -> None:
    found, vote = levelled(0.5, "high")
    assert found[0].example.id == "remark"
    taken = of_its_level(found, vote, ("low", "high"), bound=0.05)
    assert taken.example.level == "high"
    assert taken == next(one for one in found if one.example.level == "high")


def test_the_nearest_row_answers_where_none_of_the_level_is_near_enough_or_its_level_is_not_sure() -> None:
    found, vote = levelled(0.5, "high")
    assert of_its_level(found, vote, ("low", "high"), bound=0.9) is found[0]
    assert of_its_level(found, None, ("low", "high"), bound=0.05) is found[0]
    assert of_its_level(found, Vote("else", 0.9), ("low", "high"), bound=0.05) is found[0]
    high_first = [one for one in found if one.example.level == "high"] + [found[0]]
    assert of_its_level(high_first, Vote("low", CLEARLY - 0.01), ("low", "high"), bound=0.05) is high_first[0]
    assert of_its_level(high_first, Vote("low", CLEARLY), ("low", "high"), bound=0.05) is high_first[-1]


def test_a_row_that_is_asked_for_in_its_own_words_and_ones_own_row_answer_whatever_stands_beside_them() -> None:
    found, vote = levelled(0.9, "high")
    same = [replace(found[0], score=ITS_OWN), *found[1:]]
    own = [replace(found[0], example=replace(found[0].example, own=True)), *found[1:]]
    assert of_its_level(same, vote, ("low", "high"), bound=0.05) is same[0]
    assert of_its_level(own, vote, ("low", "high"), bound=0.05) is own[0]


def test_a_retriever_gives_the_answer_of_that_row_and_tells_its_id() -> None:
    engine = FakeEngine()
    asked = Retriever(engine, LEVELLED, Voting(("low", "high"), count=4, width=10.0), 2, 0.05)
    reply = asked.chat([user(ASKED_OF_LIES)])
    assert reply.text.startswith("[high 6]")
    assert reply.retrieved is not None
    assert [row.id for row in reply.retrieved.rows] != ["remark"]
    assert reply.retrieved.as_it_stands
    assert engine.asked == []


SUMS = Examples.build(
    [
        Example("six", "6 kere 8 kaç eder", "[low 1]\n48.", "low", 1),
        Example("seven", "yedi kere sekiz", "[low 1]\n56.", "low", 1, ("7 x 8 kaç", "7 8 çarp")),
        Example("age", "35 yaşındayım geç mi kaldım", "[low 1]\nKalmadın.", "low", 1),
    ]
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("7 kere 8 kaç eder", "[low 1]\n56."),  # not the row of another sum, however near
        ("6 kere 8 kaç eder?", "[low 1]\n48."),
        ("45 yaşındayım geç mi kaldım", "[low 1]\nKalmadın."),  # one number is no sum
        ("9 kere 12 kaç eder", None),  # nobody has written it: the model is asked
    ],
)
def test_a_row_of_other_numbers_does_not_answer_a_sum(question: str, answer: str | None) -> None:
    engine = FakeEngine()
    reply = Retriever(engine, SUMS, Voting(("low", "high")), 2, 0.05).chat([user(question)])
    assert bool(engine.asked) == (answer is None)
    assert answer is None or reply.text == answer
