"""What a machine that has run nothing yet is told of time: a range, never a figure of seconds that leaves the training out."""

import shutil
from dataclasses import replace

import pytest

from jessyfile import machine
from jessyfile.language import load_recipe
from jessyfile.models import resolve
from jessyfile.pipeline import compile_steps
from jessyfile.planning.forecast import Timing, load_timings
from jessyfile.planning.plan import make_plan
from jessyfile.planning.plan_json import plan_as_json
from jessyfile.planning.plan_text import render_plan
from jessyfile.resources import resource
from jessyfile.results.facts import EncodeFacts

TIMED = "v2-270m.jessy"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Plan a shipped recipe on two processors, as if the package with the base were installed."""
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "chip", lambda: "CPU")
    monkeypatch.setattr(resolve, "find_spec", lambda _: object())
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "none"))
    (tmp_path / ".jessy").mkdir()

    def make(name=TIMED, **loaded):
        shutil.copytree(resource("recipes"), tmp_path / "recipes", dirs_exist_ok=True)
        recipe = load_recipe(tmp_path / "recipes" / name, **loaded).recipe
        return make_plan(recipe, tmp_path, compile_steps(recipe))

    return make


def test_a_first_plan_says_a_range_and_that_it_is_an_estimate(plan):
    """It said nothing of time, memory or disk; the training of this recipe takes about 25 minutes on two processors."""
    made = plan()
    train = next(step for step in made.steps if step.name == "train")
    assert train.between[0] < 25 * 60 < train.between[1] < 8 * train.between[0]
    said = render_plan(made, command="x")
    assert "By sizes it takes" in said
    assert "and writes about 2.7 GB: an estimate, for nothing ran here yet." in said
    forecast = next(step for step in plan_as_json(made)["steps"] if step["name"] == "train")["forecast"]
    assert (forecast["seconds"], forecast["between"]) == (None, train.between)


def test_short_steps_that_were_measured_never_stand_for_the_training(plan, tmp_path):
    """`About 1s on this machine, 12 steps not measured yet` stood beside a training of ten minutes."""
    before = plan()
    timings = load_timings(tmp_path)
    for step in before.steps:
        if step.name.startswith("data"):
            timings.add(step.name, Timing(0.1, 0, None, None))
    timings.save()
    said = render_plan(plan(), command="x")
    assert "About" not in said
    assert "steps never ran here" in said


def test_a_measured_step_says_what_was_measured(plan, tmp_path):
    timings = load_timings(tmp_path)
    timings.add("train", Timing(137.0, 10**9, None, "gemma3:270m-pt"))
    timings.save()
    train = next(step for step in plan().steps if step.name == "train")
    assert train.between == (137.0, 137.0)
    assert "~2m" in next(line for line in render_plan(plan()).splitlines() if " train " in line)


def test_more_rows_more_epochs_and_a_larger_base_take_longer_and_more_processors_less(plan, monkeypatch):
    def train(**loaded):
        return next(step for step in plan(**loaded).steps if step.name == "train").between

    usual = train()
    assert train(sets={"train.epochs": "20"})[0] > usual[0]
    assert train(sets={"from": "gemma3:1b"})[0] > 2 * usual[0]
    assert train(sets={"lora.layers": "2"})[0] < usual[0]
    monkeypatch.setattr(machine, "cores", lambda: 16)
    assert train()[0] < usual[0]
    monkeypatch.setattr(machine, "chip", lambda: "CUDA")
    assert train()[1] < usual[0]


def test_a_base_of_unknown_sizes_has_no_estimate_and_says_so(plan):
    made = plan(sets={"from": "hf:some/model"})
    assert next(step for step in made.steps if step.name == "train").between is None
    assert "How long is not known" in render_plan(made, command="x")


@pytest.mark.parametrize(
    ("cut", "ended", "says"),
    [
        (27, 59, "27 rows are longer than max_length and cut: 19 of 78 answers lose their end"),
        (1, 78, "1 row is longer than max_length and cut: no answer loses its end"),
        (0, 78, "the end of every answer too"),
    ],
)
def test_what_the_mask_cuts_has_its_cause_and_its_remedy(plan, cut, ended, says):
    """`NOT the end of every answer; 27 rows cut` named neither."""
    mask = EncodeFacts(170, cut, 0, 78, ended, 11013, 2398, {}, longest=143, shared_prefix=0, updates=9)
    said = render_plan(replace(plan(), mask=mask))
    assert f"mask: 2398 of 11013 tokens are trained, {says}\n" in said
    assert ("--set train.max_length=143" in said) == bool(cut)
