"""The recipes that come with jessy ask for what they say, and the large one for every row that was written."""

import json
from collections import Counter
from pathlib import Path

import pytest

from jessyfile.dataset.rows import load_rows
from jessyfile.dataset.select import wanted_topics
from jessyfile.language.loading import load_recipe

HOUSE = Path(__file__).parents[2]
ASKED = {
    "turkish": {"greetings": 50, "questions": 75, "casual": 50, "slang": 25},
    "technical": {"rust": 30, "architecture": 30, "performance": 20, "debugging": 20},
    "philosophical": {"consciousness": 15, "ethics": 15, "technology": 10, "existential": 10},
    "iteration_control": {"detection": 20, "fast": 15, "deep": 15},
}


@pytest.fixture
def read():
    return lambda name: load_recipe(HOUSE / "recipes" / name).recipe


@pytest.fixture(scope="module")
def written():
    """Every hand-written row of JESSY's own voice; closed tasks are answered in JSON, and other voices by recipes of their own."""
    left = ("markers", "tickets", "home", "voice")
    files = sorted(path for path in (HOUSE / "data" / "seeds").glob("*/*.jsonl") if path.parent.name not in left)
    rows, faults = load_rows([(path, path.stem) for path in files])
    assert not faults
    return rows


@pytest.mark.parametrize("name", ["v2.jessy", "v2-270m.jessy"])
def test_the_four_categories_that_were_asked_for_come_first_and_unchanged(read, name):
    asked = {category.name: category for category in read(name).dataset.categories}
    assert list(asked)[:4] == list(ASKED)
    assert {name: {topic.name: topic.count for topic in asked[name].topics} for name in ASKED} == ASKED
    assert {"identity", "multi_turn", "care", "edge"} <= asked.keys()


def test_the_large_recipe_takes_every_row_of_every_file(read, written):
    """A topic's language, or a count from before rows were written, would leave hand-written rows out and say nothing."""
    recipe = read("jessy-270m.jessy")
    wanted = {w.name: w for category in recipe.dataset.categories for w in wanted_topics(category)}
    own = Counter(f"{row.example.category}/{row.example.topic}" for row in written)
    taken = Counter(
        name for name, w in wanted.items() for row in written if row.example.category == w.category and w.takes(row)
    )
    assert taken == own
    made = {name for name, w in wanted.items() if w.count != own[name]} - {"turkish/casual"}  # which is composed
    assert {name.partition("/")[0] for name in made} == {"refinement"}  # which is made of the others
    assert sum(w.count for w in wanted.values()) >= 3000


def test_both_voices_answer_the_same_questions_at_the_same_level():
    """Only then does nothing but the voice tell the two models of `voices.jessy` apart."""
    folder = HOUSE / "data" / "seeds" / "voice"
    calm, funny = (load_rows([(folder / f"{name}.jsonl", name)])[0] for name in ("calm", "funny"))
    asked = [
        [(row.example.query, row.example.complexity.level, row.example.iterations_needed) for row in rows]
        for rows in (calm, funny)
    ]
    assert asked[0] == asked[1]
    assert len(asked[0]) >= 60
    assert not {row.example.response for row in calm} & {row.example.response for row in funny}


def test_the_pairs_of_the_funny_voice_are_the_rows_of_both():
    """A row that is mended in one place alone would be learned as it was, and unlearned as it is."""
    folder = HOUSE / "data" / "seeds" / "voice"
    calm, funny = (load_rows([(folder / f"{name}.jsonl", name)])[0] for name in ("calm", "funny"))
    lines = (HOUSE / "recipes" / "voices" / "funny.pairs.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    told = [(one["messages"][0]["content"], one["chosen"], one["rejected"], one["level"]) for one in pairs]
    assert told == [
        (row.example.query, row.example.response, other.example.response, row.example.complexity.level)
        for row, other in zip(funny, calm, strict=True)
    ]
