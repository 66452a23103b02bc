"""The user's scenarios as they are written, on the model that the tests really train, through the engine that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from jessyfile.engines.adaptive import read_marker
from jessyfile.engines.promoted import find
from jessyfile.engines.serving import engine_of, served_model
from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.checks import passes
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Message
from jessyfile.text.answer_language import in_language
from jessyfile.text.repetition import find_loop
from jessyfile.thinking.thinker import Thinker, thinker_of
from jessyfile.thinking.thought import AnswerDraft, Thought, Wishes

pytestmark = pytest.mark.real
scenarios(str(Path(__file__).parent / "user_scenarios.feature"))


@dataclass(frozen=True)
class Asked:
    """What was thought, and how many times the engine was asked for it."""

    thought: Thought
    passes: int

    @property
    def first(self) -> AnswerDraft:
        """One answer, as an application takes it: the first draft."""
        return self.thought.drafts[0]


@dataclass
class Counted:
    """An engine that counts how many answers it was asked for."""

    engine: Any
    passes: int = 0
    parallel: int = 1

    def chat(self, *arguments: Any) -> Any:
        self.passes += 1
        return self.engine.chat(*arguments)


@dataclass
class Served:
    """The promoted model in its engine; a question is asked once, however many scenarios look at its answer."""

    engine: Any
    thinker: Thinker
    load_seconds: float
    answers: dict[tuple[str, int | None], Asked] = field(default_factory=dict)

    def ask(self, question: str, iterations: int | None = None) -> Asked:
        key = question, iterations
        if key not in self.answers:
            counted = Counted(self.engine)
            thinker = replace(self.thinker, engine=counted)  # type: ignore[type-var]
            wishes = Wishes(iterations=iterations)
            self.answers[key] = Asked(thinker.answer([Message("user", question)], wishes), counted.passes)
        return self.answers[key]


@pytest.fixture(scope="module")
def served(main_job: Path) -> Iterator[Served]:
    registered = find(main_job, "tiny-job")
    engine, model = engine_of(registered.entry), served_model(registered.entry, max_tokens=96)
    seconds = engine.load(model)
    yield Served(engine, thinker_of(main_job, registered, engine, model), seconds)
    engine.unload()


@given("the model that the main job trained")
def _model(served: Served) -> None:
    assert served.engine.name == "embedded"


@when(parsers.parse('someone writes "{question}"'), target_fixture="asked")
def _asked(served: Served, question: str) -> Asked:
    return served.ask(question)


@when(parsers.parse('someone writes "{question}" and wants {count:d} iterations'), target_fixture="asked")
def _wanted(served: Served, question: str, count: int) -> Asked:
    return served.ask(question, count)


@pytest.fixture
def answer(asked: Asked) -> str:
    print(asked)
    return asked.first.text


@then(parsers.parse("the answer comes within {most:d} seconds"))
def _in_time(asked: Asked, most: int) -> None:
    assert asked.first.seconds < most


@then(parsers.parse("it is loaded within {most:d} seconds"))
def _loads(served: Served, most: int) -> None:
    assert served.load_seconds < most


@then(parsers.parse("the level is {level}"))
def _level(asked: Asked, level: str) -> None:
    assert asked.thought.marked_level == level, asked


@then("the answer is in Turkish")
def _turkish(answer: str) -> None:
    assert in_language(answer, "tr"), answer


@then("there is no philosophical analysis in it")
def _plain(answer: str) -> None:
    assert passes(Check("no_analysis"), answer), answer


@then("it explains ownership clearly")
def _explains(answer: str) -> None:
    """It names the owner and what follows from there being one, and does not go round in circles."""
    follows = ("ödünç", "borrow", "taşın", "move", "kapsam", "scope", "drop", "bellek")
    assert passes(Check("any_of", words=("sahip", "sahib", "owner")), answer)
    assert passes(Check("any_of", words=follows), answer)
    assert find_loop(answer) is None


@then('it says "I think" or "I believe"')
def _own_view(answer: str) -> None:
    assert passes(Check("first_person"), answer)


@then("as many iterations were spent as its marker says")
def _whole(asked: Asked) -> None:
    marked = read_marker(asked.first.reply.text, default_complexity())
    assert asked.thought.ended == "full"
    assert asked.thought.iterations == asked.passes == marked.iterations


@then("nine iterations were spent on it")
def _nine(asked: Asked) -> None:
    """Each of the nine is a generation that sees the last draft; none is a number on a label."""
    thought = asked.thought
    assert (thought.iterations, thought.asked, asked.passes, thought.ended) == (9, 9, 9, "full")
    assert all(draft.tokens for draft in thought.drafts)
    assert sum(draft.cached_tokens > 0 for draft in thought.drafts) >= 8


@then("it is thoughtful and deep")
def _deep(answer: str) -> None:
    """Several sentences that go on, with a view of its own."""
    assert len(answer) > 200
    assert find_loop(answer) is None
    assert passes(Check("first_person"), answer)


@then("it refers to principles of consciousness")
def _principles(answer: str) -> None:
    named = ("öznel", "deneyim", "farkındalık", "qualia", "bütünleşik", "subjective", "experience", "awareness")
    assert sum(passes(Check("any_of", words=(word,)), answer) for word in named) >= 2
