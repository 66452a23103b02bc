"""A sample is the recipe with fewer rows under a name of its own; nothing of the whole is touched by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jessyfile.cli import main
from jessyfile.commands.common import load_call
from jessyfile.errors import Exit
from jessyfile.planning.command_line import Call
from jessyfile.planning.plan import Selection
from jessyfile.planning.sample import spread
from jessyfile.resources import resource

RECIPE = """JESSY 1
NAME whole
FROM gemma3:270m-pt
DATASET {
  markers 30
  CATEGORY a 90 "A" {
    language tr
    level low
    TOPIC x 60
    TOPIC y 30
  }
  CATEGORY b 10 "B" {
    language en
    level low
  }
}
DEPLOY {
  engine embedded
  dotenv ".env" "MODEL"
}
EVAL { MUST no_loops > 95% }
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".jessy").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.jessy"
    path.write_text(RECIPE)
    return path


def test_rows_are_spread_as_the_recipes_are_and_all_else_stays(recipe):
    whole, sample = load_call(Call(str(recipe))), load_call(Call(str(recipe), sample=20))
    assert sample.name == "whole-sample"
    assert [(c.name, c.count, [(t.name, t.count) for t in c.topics]) for c in sample.dataset.categories] == [
        ("a", 18, [("x", 12), ("y", 6)]),
        ("b", 2, []),
    ]
    assert (sample.dataset.markers, sample.deploy.dotenv) == (6, None)
    same = ("base", "lora", "train", "export", "evaluation", "complexity", "system")
    assert [getattr(whole, part) for part in same] == [getattr(sample, part) for part in same]


@pytest.mark.parametrize(("rows", "total"), [(1, 3), (3, 3), (99, 99), (100, 100), (5000, 100)])
def test_a_sample_is_never_larger_than_the_whole_and_leaves_no_topic_out(recipe, rows, total):
    found = load_call(Call(str(recipe), sample=rows)).dataset.categories
    assert sum(category.count for category in found) == total


@example([1, 1, 4], 3)  # it came out as four rows
@example([1] * 20 + [400], 25)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.integers(1, 3000))
def test_the_spread_is_exact_and_in_proportion(counts, rows):
    wanted = {str(n): count for n, count in enumerate(counts)}
    rows = min(rows, sum(counts))
    found = spread(wanted, rows)
    assert sum(found.values()) == max(rows, len(counts))
    assert all(1 <= found[name] <= wanted[name] for name in wanted)
    if rows >= 2 * len(counts):
        assert all(abs(found[name] - wanted[name] * rows / sum(counts)) < 1 + len(counts) for name in wanted)


def test_values_from_outside_count_before_the_sample_is_taken(recipe):
    found = load_call(Call(str(recipe), set_=("dataset.category.b.count=90", "lora.rank=4"), sample=18))
    assert [category.count for category in found.dataset.categories] == [9, 9]
    assert found.lora.rank == 4


def test_a_long_name_stays_one(recipe):
    recipe.write_text(RECIPE.replace("NAME whole", f"NAME {'a' * 80}"))
    assert load_call(Call(str(recipe), sample=5)).name == "a" * 73 + "-sample"


def test_plan_shows_the_sample_and_the_command_that_takes_it(recipe, capsys):
    main(["plan", "r.jessy", "--sample", "20", "--only", "dataset"])
    said = capsys.readouterr().out
    assert "whole-sample · r.jessy" in said
    assert (
        Call("r.jessy", sample=20).command(Selection(only=("dataset",)))
        == "jessy apply r.jessy --sample 20 --only dataset"
    )
    assert main(["plan", "r.jessy", "--sample", "0"]) == Exit.USAGE


def test_a_sample_is_saved_with_its_plan():
    call = Call("r.jessy", sample=7)
    assert Call.from_json(call.as_json()) == call
    assert "sample" not in Call("r.jessy").as_json()


@pytest.mark.parametrize("name", ["v2.jessy", "quickstart.jessy"])
def test_the_shipped_recipes_can_be_sampled(name):
    found = load_call(Call(str(resource("recipes", name)), sample=30))
    assert sum(category.count for category in found.dataset.categories) >= 30
