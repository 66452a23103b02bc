"""ROUTE: questions of a level or a category are thought about by another model; one that is down is stood in for, and it is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evaluation_fakes import USUAL, FakeEngine, served
from fake_ollama import fake_ollama, send_lines

from jessyfile.commands.answer_told import answer_as_json, summary, why
from jessyfile.commands.chat import chat
from jessyfile.engines import serving
from jessyfile.engines.engine import GenerationSettings, Retrieved, ServedModel, Shown
from jessyfile.engines.retriever import Retriever
from jessyfile.errors import EngineError
from jessyfile.export.registry import CANDIDATE, LATEST, Registration, lookup, model_id, register
from jessyfile.language import load_recipe
from jessyfile.language.recipe import Complexity, Message, Route
from jessyfile.planning.consent import VARIABLE, route_sends
from jessyfile.retrieval.examples import Example, Examples
from jessyfile.retrieval.levels import Voting
from jessyfile.thinking.route import Routes, Voice
from jessyfile.thinking.thinker import Thinker
from jessyfile.thinking.thought import Event, Piece, Thought, Wishes

QUESTION = [Message("user", "Bilinç nedir?")]


@dataclass
class Others(Routes):
    """Routes whose other models are in this table; one that is none is down."""

    engines: dict[str, Any] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    def voice(self, route: Route) -> Voice:
        if route.model not in self.engines:
            raise EngineError(f"there is no model `{route.model}:latest` in this project")
        engine = self.engines[route.model]
        return Voice(engine, GenerationSettings(), Complexity((), None), route.model, "d" * 8, foreign=True)

    def lost(self, voice: Voice) -> None:
        self.forgotten.append(voice.name)


def routes(*lines: Route, **engines: Any) -> Others:
    return Others(Path(), lines, "tiny:latest", ServedModel("tiny:latest", None, "gemma"), engines=engines)


def think(engine: Any, found: Routes, wishes: Wishes | None = None, turns: list[Message] = QUESTION) -> Thought:
    return Thinker(engine, USUAL, GenerationSettings(), "tiny:latest", "own", found).answer(turns, wishes)


def own(marker: str = "[medium 3]") -> FakeEngine:
    return FakeEngine(lambda _: f"{marker}\nKendi cevabım, uzunca bir cümle.")


def test_a_level_goes_to_its_model_which_spends_the_iterations_that_the_marker_says() -> None:
    """The recipe's own model is ended behind its marker line, and the other one sees no marker of a language it never learned."""
    mine, other = own(), FakeEngine(lambda _: "Başka bir cevap.")
    turns = [Message("user", "selam"), Message("assistant", "[low 1]\nSelam!"), *QUESTION]
    thought = think(mine, routes(Route("medium", "other"), other=other), turns=turns)
    assert (thought.speaker, thought.digest, thought.routed, thought.fallback) == ("other", "d" * 8, True, None)
    assert (thought.level, thought.asked, thought.iterations) == ("medium", 3, 3)
    assert (len(mine.asked), len(other.asked)) == (1, 3)
    assert [turn.content for turn in other.asked[0]] == ["selam", "Selam!", "Bilinç nedir?"]
    assert thought.said == "[medium 3]\nBaşka bir cevap."


def test_whose_drafts_did_not_better_a_row_is_said() -> None:
    """A row stands for itself, so the answer named the recipe's own model and not the one that had spent the seconds."""
    thought = think(own(), routes(Route("medium", "other"), other=FakeEngine(lambda _: "Başka bir cevap.")))
    first = thought.drafts[0]
    told = Retrieved((Shown("3d87c83b" * 2, 0.7),), as_it_stands=True, vote=None)
    row = replace(first, ended="stands", speaker="tiny:latest", reply=replace(first.reply, retrieved=told))
    stands = replace(thought, drafts=(row, *thought.drafts[1:]), chosen=0, speaker="tiny:latest", routed=False)
    assert summary(stands).endswith("row 3d87c83b (0.70) as it stands, no draft of other after it is better")
    assert [one["speaker"] for one in answer_as_json("", stands)["drafts"]] == ["tiny:latest", "other", "other"]
    assert dict(why(stands, {}))["draft 2"].endswith(", by other")
    alone = replace(stands, drafts=tuple(replace(one, speaker="tiny:latest") for one in stands.drafts))
    assert summary(alone).endswith("as it stands, no draft after it is better")
    assert ", by " not in dict(why(alone, {}))["draft 2"]


def test_other_levels_stay_and_a_route_to_the_model_itself_is_none() -> None:
    other = FakeEngine(lambda _: "Başka.")
    for line in (Route("high", "other"), Route("medium", "tiny"), Route("medium", "tiny:latest")):
        thought = think(own(), routes(line, other=other))
        assert (thought.speaker, thought.routed, thought.text[:5]) == ("tiny:latest", False, "Kendi")
    assert other.asked == []


def test_a_model_that_is_not_there_is_stood_in_for_and_it_is_said() -> None:
    events = list[Event]()
    thinker = Thinker(own("[low 1]"), USUAL, GenerationSettings(), "tiny:latest", "own", routes(Route("low", "gone")))
    thought = thinker.answer(QUESTION, None, events.append)
    assert (thought.speaker, thought.routed, thought.iterations) == ("tiny:latest", False, 1)
    assert thought.fallback is not None
    assert thought.fallback.startswith("gone, which ROUTE names for `low`, did not answer: there is no model")
    finals = [event.text for event in events if isinstance(event, Piece) and event.final]
    assert all(thought.text.startswith(text) for text in finals)
    assert len(finals) > 5


def test_a_model_that_goes_down_in_the_middle_leaves_its_drafts_and_the_own_one_goes_on() -> None:
    def falls(_: str) -> str:
        if len(other.asked) == 2:
            raise EngineError("Ollama at http://h broke off in the middle of an answer")
        return "Başka bir cevap."

    other = FakeEngine(falls)
    found = routes(Route("medium", "other"), other=other)
    thought = think(own(), found)
    assert [draft.speaker for draft in thought.drafts] == ["other", "tiny:latest", "tiny:latest"]
    assert (thought.iterations, thought.speaker, found.forgotten) == (3, "tiny:latest", ["other"])
    assert "broke off" in str(thought.fallback)


def test_a_failure_of_the_own_model_is_no_fallback() -> None:
    def falls(_: str) -> str:
        raise EngineError("llama.cpp refused")

    with pytest.raises(EngineError, match=r"llama\.cpp refused"):
        think(FakeEngine(falls), routes(Route("low", "other"), other=FakeEngine()))


def test_a_category_is_known_by_the_nearest_rows_and_comes_before_the_level() -> None:
    rows = [
        Example(f"r{n}", text, f"[medium 3]\n{text}", "medium", 3, category=kind)
        for n, (text, kind) in enumerate([("rust ownership ne", "technical"), ("çay mı kahve mi", "everyday")])
    ]
    expert, other = FakeEngine(lambda _: "Uzmanca."), FakeEngine(lambda _: "Başka.")
    found = routes(Route("medium", "other"), Route("technical", "expert"), other=other, expert=expert)
    engine = Retriever(own(), Examples.build(rows), Voting(("medium",)), 1, None)
    assert think(engine, found, turns=[Message("user", "rust ownership nedir")]).speaker == "expert"
    assert think(engine, found, turns=[Message("user", "kahve mi içsek çay mı")]).speaker == "other"


def test_a_row_that_answers_once_needs_no_other_model() -> None:
    row = Example("r1", "Bilinç nedir?", "[low 1]\nBilmem.", "low", 1)
    other = FakeEngine()
    engine = Retriever(own(), Examples.build([row]), Voting(("low",)), 1, 0.3)
    thought = think(engine, routes(Route("low", "other"), other=other))
    assert (thought.stands, thought.speaker, other.asked) == (True, "tiny:latest", [])


# the real ones: a registered model, and a model of an Ollama


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ".jessy").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    made = {"tiny": own("[high 6]"), "other": FakeEngine(lambda _: "[high 6]\nÖteki model.")}
    plain = serving.engine_of
    monkeypatch.setattr(serving, "engine_of", lambda entry, stop=None: made.get(entry.name) or plain(entry, stop))
    yield tmp_path
    assert [engine.loads for engine in made.values()] == [0, 0]


def add(root: Path, name: str, *lines: Route) -> None:
    digest = hashlib.sha256(b"GGUF").hexdigest()
    record = served(replace(USUAL, levels=tuple(replace(one, within=None) for one in USUAL.levels)))
    register(root, name, LATEST, Registration("embedded", digest, record, gguf="m.gguf", routes=lines))


def ask(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(chat, ["tiny", "Bilinç nedir?", "--json", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)  # type: ignore[no-any-return]


def test_a_registered_model_speaks_and_is_let_go(project: Path) -> None:
    add(project, "tiny", Route("high", "other"))
    found = ask()
    assert found["fallback"].startswith("other, which ROUTE names for `high`, did not answer: there is no model")
    add(project, "other")
    found = ask()
    assert (found["text"], found["speaker"], found["iterations"]) == ("Öteki model.", "other:latest", 6)
    said = CliRunner().invoke(chat, ["tiny", "Bilinç nedir?"], catch_exceptions=False).output
    assert "high · 6 iterations · 0.0 s · by other:latest · " in said


def test_a_model_of_an_ollama_speaks_and_one_that_is_down_is_stood_in_for(project: Path) -> None:
    with fake_ollama() as (server, url):
        server.models["qwen3:4b"] = {"files": {}}
        server.answer["POST", "/api/generate"] = lambda handler: send_lines(handler, [{"done": True}])
        add(project, "tiny", Route("high", "qwen3:4b", url))
        found = ask()
        assert (found["speaker"], found["iterations"], found["fallback"]) == (f"qwen3:4b at {url}", 6, None)
        sent = [body for word, body in server.bodies if word == "chat"]
        assert len(sent) == 6
        assert sent[0]["messages"][-1] == {"role": "user", "content": "Bilinç nedir?"}
        assert "[high 6]" not in json.dumps(sent)
    found = ask()
    assert (found["speaker"], found["text"][:5]) == ("tiny:latest", "Kendi")
    assert found["fallback"].startswith("qwen3:4b, which ROUTE names for `high`, did not answer: ")


def test_another_machine_is_asked_only_where_it_was_allowed(project: Path) -> None:
    """A recipe may come from anybody, and names whom the conversation goes to."""
    add(project, "tiny", Route("high", "qwen3:4b", "http://192.0.2.1:11434"))
    found = ask()
    assert found["speaker"] == "tiny:latest"
    assert "nothing outside the recipe allows it" in found["fallback"]
    assert "--allow-host 192.0.2.1:11434" in found["fallback"]
    [sending] = route_sends([Route("high", "qwen3:4b", "http://192.0.2.1:11434")])
    assert sending.said == "questions, and what was said before them to http://192.0.2.1:11434 (ROUTE high)"
    assert not sending.is_allowed()
    assert route_sends([Route("low", "other"), Route("high", "q", "http://127.0.0.1:11434")]) == ()


def test_a_route_is_a_part_of_what_is_served(project: Path) -> None:
    add(project, "other")
    add(project, "tiny", Route("high", "other"))
    entry = lookup(project, "tiny")
    assert entry is not None
    assert entry.routes == (Route("high", "other"),)
    assert model_id(entry) != model_id(replace(entry, routes=()))
    assert lookup(project, "tiny", CANDIDATE) is None


RECIPE = "JESSY 1\nNAME tiny\nFROM gemma3:270m\nDATASET {\n  CATEGORY technical 10\n}\n"


def loaded(tmp_path: Path, text: str) -> Any:
    (tmp_path / "r.jessy").write_text(RECIPE + text, "utf-8")
    return load_recipe(tmp_path / "r.jessy")


def test_the_block_is_read_on_one_line_and_on_several(tmp_path: Path) -> None:
    wanted = (Route("low", "jessy-270m"), Route("medium", "jessy-v2"), Route("high", "qwen3:4b", "http://127.0.0.1:1"))
    one = "ROUTE { low jessy-270m  medium jessy-v2  high qwen3:4b at http://127.0.0.1:1 }\n"
    several = "ROUTE {\n  low jessy-270m\n  medium jessy-v2\n  high qwen3:4b at http://127.0.0.1:1\n}\n"
    assert loaded(tmp_path, one).recipe.routes == loaded(tmp_path, several).recipe.routes == wanted
    found = loaded(tmp_path, "RETRIEVE {\n  examples 3 from seeds\n}\nROUTE { technical other }\n").recipe
    assert (found.routes, found.routed_categories) == ((Route("technical", "other"),), ("technical",))


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("extreme other", "J057", "`extreme` is no level and no category"),
        ("technical other", "J057", "nothing tells that a question is of the category `technical`"),
        ("high", "J012", "`high` lacks its model"),
        ("high other at", "J012", "`high` lacks its at"),
        ("high other at example.org", "J021", ""),
        ("high other them", "J013", "`high` has a value too many"),
        ("HIGH other", "J001", "unknown instruction `HIGH` inside ROUTE"),
        ("low a\n  low b", "J011", ""),
    ],
)
def test_what_leads_nowhere_is_a_mistake_with_its_place(tmp_path: Path, line: str, code: str, says: str) -> None:
    [found] = [one for one in loaded(tmp_path, f"ROUTE {{\n  {line}\n}}\n").diagnostics if one.severity == "error"]
    assert says in found.message
    assert found.code == code
