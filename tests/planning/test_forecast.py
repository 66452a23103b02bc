"""Forecasts come from this machine's own runs, scale with the work, and are absent where nothing was measured."""

from __future__ import annotations

import dataclasses

import pytest
from planning_fakes import fake_recipe, fake_steps

from jessyfile.planning.forecast import Timing, load_timings
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.run import apply
from jessyfile.project import jessy_folder


def with_units(units: float | None):
    return {"train": {"units": lambda recipe, root, facts: units}}


def forecast(root, steps, **changes):
    plan = make_plan(fake_recipe(root, **changes), root, steps, Selection(replace=("train",)))
    return next(step.forecast for step in plan.steps if step.name == "train")


def keep(root, *timings: Timing) -> None:
    known = load_timings(root)
    for timing in timings:
        known.add("train", timing)
    known.save()


def test_without_history_there_is_no_number(root):
    assert all(step.forecast is None for step in make_plan(fake_recipe(root), root, fake_steps()).steps)


def sized(peak: int):
    return fake_steps(train={"peak": lambda outlook: peak})


def test_sizes_alone_give_memory_and_no_seconds(root):
    found = forecast(root, sized(5))
    assert (found.seconds, found.peak, found.runs) == (None, 5, 0)
    keep(root, Timing(10.0, 7, None, "fake:1m"))
    found = forecast(root, sized(5))
    assert (found.seconds, found.peak, found.runs) == (10.0, 7, 1)


def test_a_measured_peak_is_scaled_when_sizes_change(root):
    """After a training on rows of 96 tokens, one on rows of 2,048 was forecast to take as little memory."""
    keep(root, Timing(10.0, 1_000, None, "fake:1m", sized=800), Timing(10.0, 1_100, None, "fake:1m", sized=1_100))
    assert forecast(root, sized(800)).peak == 1_000
    assert forecast(root, sized(1_600)).peak == 2_000
    assert forecast(root, fake_steps()).peak == 1_100  # nothing is known of the sizes: what was measured


def test_an_apply_keeps_what_sizes_had_said(root):
    apply(fake_recipe(root), root, sized(10**7))
    measured = load_timings(root).of("train")[-1]
    assert measured.sized == 10**7
    assert forecast(root, sized(2 * 10**7)).peak == 2 * measured.peak


def test_an_apply_is_the_next_plans_history(root):
    steps = fake_steps()
    result = apply(fake_recipe(root), root, steps)
    assert forecast(root, steps).seconds == pytest.approx(result.step("train").seconds)
    assert forecast(root, steps).peak == result.step("train").peak > 10**6


def test_twice_the_rows_take_twice_the_time(root):
    keep(root, Timing(60.0, 1, 100.0, "fake:1m"))
    assert forecast(root, fake_steps(**with_units(200.0))).seconds == pytest.approx(120.0)


def test_the_facts_of_an_input_that_runs_again_are_no_measure_of_it(root):
    """Counts raised from 400 to 4,000 rows still gave the seconds of the last run's 360 encoded ones."""
    seen = []
    units = {"units": lambda recipe, root, facts: seen.append(sorted(facts)) or 100.0}
    apply(fake_recipe(root), root, fake_steps(train=units))
    seen.clear()
    forecast(root, fake_steps(train=units))
    forecast(root, fake_steps(train=units), data__a__count=4000)
    assert seen == [["base", "dataset"], ["base"]]


def test_a_step_without_facts_of_its_own_is_measured_by_its_units(root):
    apply(fake_recipe(root), root, fake_steps(data_a={"units": lambda *_: 3.0, "run": lambda context: {}}))
    assert [row.units for row in load_timings(root).of("data.a")][:1] == [3.0]


def test_the_pipelines_forecast_follows_the_counts():
    from dataclasses import replace
    from pathlib import Path

    from jessyfile.language import load_recipe
    from jessyfile.pipeline import compile_steps

    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / "quickstart.jessy").recipe
    more = replace(recipe.dataset, categories=tuple(replace(c, count=10 * c.count) for c in recipe.dataset.categories))
    raised = replace(recipe, dataset=replace(more, markers=10 * more.markers))

    def units(made):
        return {step.name: step.units(made, made.path.parent, {}) for step in compile_steps(made) if step.units}

    before, after = units(recipe), units(raised)
    for name in ("data.turkish", "dataset", "encode", "train"):
        assert after[name] == pytest.approx(10 * before[name])


def test_runs_of_two_sizes_tell_the_start_from_the_rows(root):
    keep(root, Timing(30.0, 1, 100.0, "fake:1m"), Timing(50.0, 1, 200.0, "fake:1m"))
    assert forecast(root, fake_steps(**with_units(400.0))).seconds == pytest.approx(90.0)


def test_runs_of_nearly_one_size_are_no_line(root):
    """Ten rows more and noise that made it faster: a line through these would promise a negative time."""
    keep(root, Timing(30.0, 1, 100.0, "fake:1m"), Timing(20.0, 1, 110.0, "fake:1m"))
    assert 50.0 < forecast(root, fake_steps(**with_units(250.0))).seconds < 80.0


def test_another_base_model_is_another_history(root):
    keep(root, Timing(60.0, 1, None, "other:2b"))
    assert forecast(root, fake_steps()) is None


def test_another_machine_is_another_history(root, monkeypatch):
    keep(root, Timing(60.0, 1, None, "fake:1m"))
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    assert forecast(root, fake_steps()) is None


def test_the_seconds_of_a_resumed_step_are_no_measure(root):
    """Only the last part of an interrupted training was timed; as a forecast it would promise half the time."""
    steps = fake_steps()
    plan = make_plan(fake_recipe(root), root, steps)
    train = next(step for step in plan.steps if step.name == "train")
    assert train.fingerprint is None
    apply(fake_recipe(root), root, steps, Selection(only=("dataset", "base")))
    mark = next(s.fingerprint for s in make_plan(fake_recipe(root), root, steps).steps if s.name == "train")
    work = jessy_folder(root) / "work" / f"train-{mark[:24]}"
    work.mkdir(parents=True)
    (work / "checkpoint").write_text("x")
    apply(fake_recipe(root), root, steps)
    assert load_timings(root).of("train") == []
    assert load_timings(root).of("merge") != []


def test_damaged_measurements_cost_a_number_and_nothing_else(root):
    keep(root, Timing(60.0, 1, None, "fake:1m"))
    (jessy_folder(root) / "timings.json").write_text("{")
    assert forecast(root, fake_steps()) is None


def test_categories_share_their_history(root):
    apply(fake_recipe(root), root, fake_steps())
    steps = (*fake_steps()[:3], dataclasses.replace(fake_steps()[1], name="data.c"))
    plan = make_plan(fake_recipe(root), root, steps)
    assert next(step for step in plan.steps if step.name == "data.c").forecast is not None
