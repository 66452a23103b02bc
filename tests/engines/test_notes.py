"""A model is shown passages of the user's notes, and is quoted nothing that they do not say."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner
from evaluation_fakes import IMPORTED, USUAL, FakeEngine, make_case, served

from jessyfile.commands.chat import chat
from jessyfile.engines import serving
from jessyfile.engines.engine import ServedModel, TokenLogprob
from jessyfile.engines.passages import ServedNotes
from jessyfile.engines.retriever import Retriever
from jessyfile.errors import ContextFullError, DamagedError
from jessyfile.evaluation.answers import Asker, read_answers, write_answers
from jessyfile.export.registry import Registration, lookup, model_id, register
from jessyfile.language.recipe import Message
from jessyfile.results.served import Retrieval, ServedPassages
from jessyfile.retrieval.examples import Example, Examples
from jessyfile.retrieval.levels import Voting
from jessyfile.retrieval.passage_index import PASSAGES, PassageIndex, passages_digest
from jessyfile.retrieval.passages import passages
from jessyfile.retrieval.quoting import language_of, leans_on, quoted

CAR = "# Car\n\n## Tyres\n\nSummer tyres are stored at Hartmann's garage.\n\n## Insurance\n\nOnly people over 24 may drive it."
KOMBI = "# Kombi\n\n## Basınç\n\nBasınç 1 ile 1,5 bar arasında durmalı."
HELD = PassageIndex.build([*passages("ev/kombi.md", KOMBI), *passages("home/car.md", CAR)])
ROWS = Examples.build([Example("greeting", "selam naber", "[low 1]\nİyidir, senden?", "low", 1)])
MODEL = ServedModel("tiny", None, "chatml")


class Judge(FakeEngine):
    """Says Yes to notes that hold a word."""

    word = "Hartmann"

    def next_logprobs(self, prompt, top):  # type: ignore[no-untyped-def]
        self.looked.append(prompt)
        yes = 0.9 if self.word in prompt else 0.2
        return [TokenLogprob(1, math.log(yes / 2), "Yes"), TokenLogprob(2, math.log((1 - yes) / 2), " no")]


@pytest.fixture
def engine():
    made = Judge()
    made.looked = []
    return made


def retriever(engine, quote=None, rows=None, top=2):  # type: ignore[no-untyped-def]
    made = Retriever(
        engine, rows or Examples.build(()), Voting(("low",)), 1, None, ServedNotes(HELD, top, quote, "[low 1]\n")
    )
    made.load(MODEL)
    return made


def test_passages_stand_before_the_last_question_the_nearest_next_to_it(engine):
    earlier = [Message("user", "merhaba"), Message("assistant", "Selam.")]
    reply = retriever(engine).chat([*earlier, Message("user", "where are the summer tyres?")])
    *before, asked = engine.asked[0]
    assert before == earlier
    assert asked.content.index("Insurance") < asked.content.index("Hartmann") < asked.content.index("where are the")
    assert asked.content.startswith("My notes:")
    told = reply.retrieved
    assert next((one.id, one.title, one.file) for one in told.passages) == (
        "home/car.md#Tyres", "Car › Tyres", "home/car.md"
    )  # fmt: skip
    assert not told.quoted


def test_an_answer_leans_on_the_passage_that_it_repeats(engine):
    engine.answer = lambda prompt: "They are stored at Hartmann's garage."
    assert retriever(engine).chat([Message("user", "where are the tyres?")]).retrieved.leans_on == "home/car.md#Tyres"
    engine.answer = lambda prompt: "Bunu bilmiyorum ki."
    assert retriever(engine).chat([Message("user", "where are the tyres?")]).retrieved.leans_on is None
    assert leans_on("anything", []) is None


def test_a_question_that_is_nearer_to_a_row_is_asked_without_passages(engine):
    reply = retriever(engine, rows=ROWS, quote=0.5).chat([Message("user", "selam, naber")])
    assert engine.looked == []
    assert (reply.retrieved.passages, reply.retrieved.quoted) == ((), False)
    assert [row.id for row in reply.retrieved.rows] == ["greeting"]


def test_the_passage_that_says_the_answer_is_quoted_and_no_word_is_the_models(engine):
    reply = retriever(engine, quote=0.5).chat([Message("user", "where are the summer tyres?")])
    assert reply.text == "[low 1]\nMy note «Car › Tyres» says: Summer tyres are stored at Hartmann's garage."
    assert engine.asked == []
    assert len(engine.looked) == 2
    told = reply.retrieved
    assert (told.leans_on, told.quoted) == ("home/car.md#Tyres", True)
    assert {one.id: one.says for one in told.passages}["home/car.md#Tyres"] == 0.9


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("where are the winter tyres?", "That isn't in my notes."),
        ("kışlık lastikler nerede", "Notlarımda bu yok."),
        ("kislik lastikler nerede acaba", "Notlarımda bu yok."),
        ("xyzw", "That isn't in my notes."),
    ],
)
def test_what_no_passage_says_is_not_in_the_notes_in_the_language_of_the_question(engine, question, said):
    engine.word = "nobody writes this"
    reply = retriever(engine, quote=0.5).chat([Message("user", question)])
    assert reply.text == f"[low 1]\n{said}"
    assert reply.retrieved.leans_on is None
    assert reply.retrieved.quoted


def test_a_bare_word_is_taken_for_the_language_of_the_nearest_note():
    assert language_of("Kombi", HELD.passages[:1]) == "tr"
    assert language_of("Hartmann", HELD.passages[1:2]) == "en"
    assert language_of("Hartmann", ()) == "en"


def test_a_quote_is_the_sentence_nearest_to_the_question_with_what_stands_beside_it_while_it_is_short():
    long = (
        "Bahçe kapısı akşam sekizde kilitlenir ve anahtar bekçide kalır. "
        + "Bu cümle başka bir şey anlatır ve uzundur. " * 6
    )
    [one] = passages("a.md", f"# Bahçe\n\n{long}")
    said = quoted(one, "bahçe kapısının anahtarı kimde")
    assert said.startswith("«Bahçe» notunda şöyle yazıyor: Bahçe kapısı")
    assert len(said) < 220


class Small(Judge):
    def chat(self, messages, settings=None, on_piece=None):  # type: ignore[no-untyped-def]
        if messages[-1].content.count("[") > 1 or len(messages) > 1:
            raise ContextFullError("too long", hint="raise PARAMETER num_ctx")
        return super().chat(messages, settings, on_piece)


def test_rows_make_room_first_and_then_the_farthest_passage():
    small = Small()
    small.looked = []
    rows = Examples.build([Example("tyre", "tyres", "[low 1]\nYes.", "low", 1)])
    reply = retriever(small, rows=rows).chat([Message("user", "where are the summer tyres stored? at which garage?")])
    assert (reply.retrieved.rows, [one.id for one in reply.retrieved.passages]) == ((), ["home/car.md#Tyres"])


def test_every_answer_of_an_evaluation_says_which_passages_stood_before_it(engine, tmp_path):
    asker = Asker(retriever(engine, quote=0.5), USUAL, None, None, "digest")  # type: ignore[arg-type]
    answer = asker.ask(make_case(prompt="where are the summer tyres?"))
    write_answers(tmp_path / "a.jsonl", [answer])
    assert read_answers(tmp_path / "a.jsonl") == [answer]
    assert answer.retrieved is not None
    assert answer.retrieved.leans_on == "home/car.md#Tyres"
    assert (answer.level, answer.iterations) == ("low", 1)


def saved(root, quote):  # type: ignore[no-untyped-def]
    folder = root / "index"
    folder.mkdir(exist_ok=True)
    HELD.save(folder)
    return Retrieval("", "", 0, None, ServedPassages("index", passages_digest(folder), 2, quote))


@pytest.fixture
def project(tmp_path, monkeypatch, engine):
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serving, "_plain_engine", lambda *_, **__: engine)
    engine.answer = lambda prompt: "[low 1]\nAt Hartmann's garage."

    def made(quote):  # type: ignore[no-untyped-def]
        held = served(USUAL)
        entry = Registration("embedded", str(IMPORTED["digest"]), held, gguf="m.gguf", retrieval=saved(tmp_path, quote))
        register(tmp_path, "tiny", "latest", entry)
        return tmp_path

    return made


def say(*words):  # type: ignore[no-untyped-def]
    result = CliRunner().invoke(chat, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_chat_names_the_passages_and_the_one_that_the_answer_leans_on(project):
    project(None)
    said = say("tiny", "where are the summer tyres?")
    assert "· behind passages home/car.md#Tyres (0." in said
    assert said.endswith("· leans on home/car.md#Tyres\n")
    found = json.loads(say("tiny", "where are the summer tyres?", "--json"))["retrieved"]
    assert found["leans_on"] == "home/car.md#Tyres"
    assert found["passages"][0]["file"] == "home/car.md"


def test_chat_names_the_note_that_it_quotes_or_the_one_that_came_nearest(project, engine):
    project(0.5)
    assert say("tiny", "where are the summer tyres?").endswith("· quotes home/car.md#Tyres (90%)\n")
    engine.word = "nobody writes this"
    said = say("tiny", "who stores the summer tyres?")
    assert said.startswith("That isn't in my notes.\nlow")
    assert "· no passage says it, the likeliest is home/car.md#" in said
    assert say("tiny", "xyzw").endswith("· no passage is near it\n")


@pytest.mark.parametrize("harm", ["gone", "other"])
def test_notes_that_are_not_the_registered_ones_are_refused(project, harm):
    """The model would quote what nobody has indexed."""
    path = project(0.5) / "index" / PASSAGES
    path.unlink() if harm == "gone" else path.write_text(
        path.read_text("utf-8").replace("Hartmann", "Herrmann"), "utf-8"
    )
    with pytest.raises(DamagedError, match="the index that the model retrieves from"):
        CliRunner().invoke(chat, ["tiny", "selam"], catch_exceptions=False)


def test_a_registration_is_another_with_other_notes_and_the_same_wherever_they_lie(project):
    root = project(0.5)
    found = lookup(root, "tiny")
    assert found is not None
    assert found.retrieval is not None
    assert found.retrieval.passages is not None
    assert found.retrieval.passages.folder == str(root / "index")
    assert found.retrieval.folder == ""
    moved = replace(found, retrieval=saved(root, 0.5))
    assert model_id(found) == model_id(moved)
    assert model_id(found) != model_id(replace(found, retrieval=saved(root, 0.6)))
