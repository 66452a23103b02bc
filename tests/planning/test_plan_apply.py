"""Plan and apply agree, results are reused, and every reason is the true one."""

from __future__ import annotations

import gc
import mmap
import weakref
from dataclasses import replace

import pytest
from planning_fakes import Log, fake_recipe, fake_steps

from jessyfile import fsops
from jessyfile.errors import EngineError, PreflightError, ProjectError
from jessyfile.planning import fingerprint
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.run import apply
from jessyfile.planning.steps import Step


def answers(plan):
    return {step.name: step.answer for step in plan.steps if step.runs}


def causes(plan):
    return {step.name: [(r.kind, r.what) for r in step.reasons] for step in plan.steps if step.cause}


def test_first_apply_runs_everything_and_the_second_nothing(root):
    log = Log()
    recipe, steps = fake_recipe(root), fake_steps(log)
    first = apply(recipe, root, steps)
    assert log.ran == [step.name for step in steps]
    assert first.exit_code == 0
    second = apply(recipe, root, steps)
    assert len(log.ran) == len(steps)
    assert not make_plan(recipe, root, steps).changes
    assert second.run is None
    assert {s.outcome for s in second.steps} == {"reused"}


def test_what_a_step_needs_from_outside_is_asked_before_any_step_runs(root):
    """An Ollama that did not answer was told after the training."""
    log = Log()

    def absent(outlook):
        raise EngineError("nobody answers", hint="start it")

    needy = tuple(replace(step, preflight=absent) if step.name == "import" else step for step in fake_steps(log))
    with pytest.raises(PreflightError, match="nobody answers") as caught:
        apply(fake_recipe(root), root, needy)
    assert caught.value.hint == "start it"
    assert log.ran == []
    assert list((root / ".jessy" / "runs").glob("*")) == []
    assert make_plan(fake_recipe(root), root, needy).errors == caught.value.findings
    apply(fake_recipe(root), root, needy, Selection(only=("train",)))
    assert "train" in log.ran
    apply(fake_recipe(root), root, fake_steps(log))
    apply(fake_recipe(root), root, needy)  # nothing runs: nobody is asked


def test_one_value_names_its_step_and_what_may_follow(root):
    log = Log()
    apply(fake_recipe(root), root, fake_steps(log))
    recipe = fake_recipe(root, train__learning_rate=1e-4)
    plan = make_plan(recipe, root, fake_steps(log))
    assert causes(plan) == {"train": [("value", "train.learning_rate")]}
    assert set(answers(plan)) == {"train", "merge", "gguf", "import", "evaluate", "judge", "promote"}
    reason = next(step for step in plan.steps if step.name == "train").reasons[0]
    assert (reason.old, reason.new, reason.where) == (2e-4, 1e-4, "tiny.jessy:7")
    assert plan.effect == "retrain"


def test_going_back_restores_from_the_store_without_running_anything(root):
    log = Log()
    steps = fake_steps(log)
    before = apply(fake_recipe(root), root, steps)
    apply(fake_recipe(root, lora__rank=8), root, steps)
    log.ran.clear()
    after = apply(fake_recipe(root), root, steps)
    assert log.ran == []
    assert after.step("train").object == before.step("train").object


def test_an_equal_rebuilt_output_stops_what_follows(root):
    log = Log()
    steps = fake_steps(log, dataset={"run": lambda c: (c.output / "x").write_text("same") and {}})
    apply(fake_recipe(root), root, steps)
    log.ran.clear()
    recipe = fake_recipe(root, data__b__count=6)
    plan = make_plan(recipe, root, steps)
    assert {name for name, answer in answers(plan).items() if answer == "will"} == {"data.b"}
    assert answers(plan)["train"] == "may"
    apply(recipe, root, steps)
    assert log.ran == ["data.b"]


def test_not_promoted_is_exit_three_and_stays_said(root):
    steps = fake_steps(promoted=False)
    result = apply(fake_recipe(root), root, steps)
    assert result.exit_code == 3
    plan = make_plan(fake_recipe(root), root, steps)
    assert not plan.changes
    assert plan.withheld == "MUST turkish_accuracy failed"
    assert apply(fake_recipe(root), root, steps).exit_code == 3


def test_only_and_skip_follow_the_graph(root):
    log = Log()
    apply(fake_recipe(root), root, fake_steps(log), Selection(only=("dataset",)))
    assert log.ran == ["data.a", "data.b", "dataset"]
    log.ran.clear()
    apply(fake_recipe(root), root, fake_steps(log), Selection(skip=("import",)))
    assert log.ran == ["base", "train", "merge", "gguf", "modelfile"]
    with pytest.raises(ProjectError, match="no step is called `trian`"):
        make_plan(fake_recipe(root), root, fake_steps(), Selection(only=("trian",)))


def test_a_changed_seed_file_is_named_and_a_touch_is_not_a_change(root):
    steps = fake_steps()
    apply(fake_recipe(root), root, steps)
    seed = root / "seeds" / "one.jsonl"
    seed.write_text(seed.read_text())
    assert not make_plan(fake_recipe(root), root, steps).changes
    seed.write_text('{"query": "naber"}\n')
    assert causes(make_plan(fake_recipe(root), root, steps)) == {"data.a": [("file", "seeds/one.jsonl")]}


def test_drift_runs_only_the_step_whose_effect_is_gone(root):
    there = {"tag": True}
    steps = fake_steps(**{"import": {"still_in_effect": lambda *_: there["tag"]}})
    apply(fake_recipe(root), root, steps)
    there["tag"] = False
    plan = make_plan(fake_recipe(root), root, steps)
    assert causes(plan) == {"import": [("drift", "")]}
    assert answers(plan)["evaluate"] == "may"


def test_replace_runs_a_step_that_would_be_kept(root):
    log = Log()
    steps = fake_steps(log)
    apply(fake_recipe(root), root, steps)
    log.ran.clear()
    apply(fake_recipe(root), root, steps, Selection(replace=("train",)))
    assert log.ran == ["train"]


def test_a_stale_saved_plan_is_refused(root):
    steps = fake_steps()
    saved = make_plan(fake_recipe(root), root, steps).digest
    apply(fake_recipe(root), root, steps, Selection(only=("base",)))
    with pytest.raises(ProjectError, match="stale"):
        apply(fake_recipe(root), root, steps, saved=saved)


def test_what_a_step_leaves_in_cycles_is_gone_before_the_next_begins(root):
    """A trained model held in a cycle kept 7 GB while llama.cpp loaded its own: steps share one process."""
    left = []

    class Heavy:
        weights: mmap.mmap

    def leak(context):
        heavy = Heavy()
        heavy.itself, heavy.weights = heavy, mmap.mmap(-1, 100 << 20)
        heavy.weights[:] = bytes(100 << 20)  # a mapping of its own: what malloc kept from other tests would hide it
        left.append(weakref.ref(heavy))
        (context.output / "x").write_text("x")
        return {}

    def look(context):
        (context.output / "x").write_text("gone" if left[0]() is None else "there")
        return {}

    steps = (Step("a", "", leak), Step("b", "", look, ("a",)))
    gc.disable()
    try:
        result = apply(fake_recipe(root), root, steps)
    finally:
        gc.enable()
    assert (result.step("b").folder / "x").read_text() == "gone"


def test_a_file_is_read_once_from_the_plan_to_the_last_step(root, monkeypatch):
    """It was hashed by the plan, by the apply and once more when the step had ended."""
    monkeypatch.setattr(fingerprint, "_SETTLED", 0)
    read, hash_file = [], fsops.hash_file
    monkeypatch.setattr(fsops, "hash_file", lambda path: read.append(path.name) or hash_file(path))
    apply(fake_recipe(root), root, fake_steps())
    assert read.count("one.jsonl") == 1


def test_a_file_that_changes_before_its_step_begins_is_read_as_it_is_then(root):
    """A suite that was mended while the training ran must count, and refuse nothing."""
    seeds = root / "seeds" / "one.jsonl"
    steps = fake_steps(base={"run": lambda context: seeds.write_text("mended") and {}})
    result = apply(fake_recipe(root), root, steps)
    assert result.step("data.a").outcome == "ran"
    assert not make_plan(fake_recipe(root), root, steps).changes
