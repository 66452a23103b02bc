"""A project's own rows come before those that come with jessy where both are about as near."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from jessyfile.dataset.corrections import CORRECTION
from jessyfile.dataset.dataset_inputs import index_files
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.formatted import formatted
from jessyfile.dataset.rows import Row
from jessyfile.language.loading import load_recipe
from jessyfile.retrieval.examples import OWN_FIRST, Example, Examples
from jessyfile.retrieval.index_step import as_examples, own_topics

HOUSE = Path(__file__).parents[2]
CAFE = HOUSE / "recipes" / "mine" / "cafe" / "fener.jsonl"


def example(name: str, question: str, own: bool = False) -> Example:
    return Example(name, question, f"{name} dedi.", "low", 1, own=own)


def scores(rows: list[Example], question: str) -> dict[str, float]:
    return {one.example.id: one.score for one in Examples.build(rows).neighbours(question, 2)}


OWN, OTHER = example("own", "kafenin wifi şifresi", own=True), example("other", "wifi parolası nedir")
FILLING = [example(str(number), text) for number, text in enumerate(("bugün hava nasıl", "kitap öner", "uykum var"))]


def test_ones_own_row_comes_first_where_another_is_little_nearer() -> None:
    question = "kafenin wifi parolası neydi"
    found = scores([OWN, OTHER, *FILLING], question)
    assert list(found) == ["own", "other"]
    assert OWN_FIRST * found["other"] < found["own"] < found["other"]  # how near it is, is told as it is
    assert list(scores([example("own", OWN.question), OTHER, *FILLING], question)) == ["other", "own"]


def test_it_stays_behind_one_that_is_much_nearer_or_says_the_same() -> None:
    found = scores([OWN, OTHER, *FILLING], "evde wifi parolası nedir")
    assert found["own"] < OWN_FIRST * found["other"]
    assert next(iter(found)) == "other"
    same = [example("other", "wifi şifresi ne"), example("own", "wifi şifresi neydi", own=True)]
    assert next(iter(scores([*same, *FILLING], "wifi şifresi ne"))) == "other"


def test_of_two_that_say_the_same_ones_own_comes_first() -> None:
    rows = [example("other", "adın ne"), example("own", "adın ne", own=True)]
    assert list(scores([*rows, *FILLING], "adın ne")) == ["own", "other"]


def test_rows_all_of_one_kind_stand_as_near_as_they_are() -> None:
    near = ["kafenin wifi şifresi", "wifi parolası nerede yazar", "wifi"]
    found = [
        scores([example(text, text, own=own) for text in near], "kafenin wifi parolası neydi") for own in (True, False)
    ]
    assert list(found[0].items()) == list(found[1].items())


def test_what_is_ones_own_comes_back(tmp_path: Path) -> None:
    Examples.build([OWN, OTHER]).save(tmp_path)
    assert [row.own for row in Examples.load(tmp_path).rows] == [True, False]


def test_the_projects_topics_are_its_own_and_those_that_come_with_jessy_are_not() -> None:
    quickstart = load_recipe(HOUSE / "recipes" / "quickstart.jessy").recipe
    assert own_topics(quickstart, HOUSE) == {("cafe", "fener")}
    assert list(index_files(quickstart, HOUSE)) == [CAFE]
    shipped = load_recipe(HOUSE / "recipes" / "jessy-270m.jessy").recipe
    assert own_topics(shipped, HOUSE) == frozenset()


def test_a_topic_that_a_project_writes_anew_is_its_own(tmp_path: Path) -> None:
    """Copied or not: whoever keeps a file of it says what it says."""
    seeds = tmp_path / "data" / "seeds" / "turkish"
    seeds.mkdir(parents=True)
    (seeds / "greetings.jsonl").write_bytes((HOUSE / "data" / "seeds" / "turkish" / "greetings.jsonl").read_bytes())
    recipe = tmp_path / "r.jessy"
    recipe.write_bytes((HOUSE / "recipes" / "jessy-270m.jessy").read_bytes())
    found = own_topics(load_recipe(recipe).recipe, tmp_path)
    assert found == {("turkish", "greetings")}


def test_a_correction_is_its_own_whatever_it_corrects() -> None:
    one = TrainingExample("adın ne", "JESSY benim adım.", "low", 1, "turkish", "greetings", "tr")
    rows = [formatted(Row(dataclasses.replace(one, tags=tags), "x"), None) for tags in ((), (CORRECTION,))]
    assert [row.own for row in as_examples(rows)] == [False, True]


@pytest.fixture(scope="module")
def served() -> Examples:
    """The rows that come with jessy and the café's, as `recipes/quickstart.jessy` serves them."""
    files = [
        path
        for path in sorted((HOUSE / "data" / "seeds").glob("*/*.jsonl"))
        if path.parent.name not in ("tickets", "home", "voice")
    ]
    lines = [(path, json.loads(line)) for path in [*files, CAFE] for line in path.read_text("utf-8").splitlines()]
    return Examples.build(
        Example(
            "", row["query"], row["response"], row["complexity"], 1, tuple(row.get("paraphrases", ())), own=path == CAFE
        )
        for path, row in lines
        if "response" in row and not row.get("turns")
    )


def test_a_cafe_among_six_thousand_rows_is_asked_about(served: Examples) -> None:
    """Of its thirty questions four found a shipped row a little nearer, `kafenin wifi parolası neydi` among them."""
    asked = [
        json.loads(line)["prompt"] for line in (CAFE.parents[1] / "questions.jsonl").read_text("utf-8").splitlines()
    ]
    assert [text for text in asked if not served.neighbours(text, 1)[0].example.own] == []


@pytest.mark.parametrize(
    "question",
    ["sigara içer misin", "wifi şifresi nerde yazıyo", "çay kaç dakikada demlenir", "nasılsın", "kedim kucağımda"],
)
def test_and_takes_no_other_question(served: Examples, question: str) -> None:
    assert not served.neighbours(question, 1)[0].example.own
