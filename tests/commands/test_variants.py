"""`--variant all`: each VARIANT makes a model of its own, and what several need is made once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watch"))

from watch_world import RECIPE, SEEDS

from jessyfile.cli import jessy as program
from jessyfile.cli import main
from jessyfile.errors import Exit, Interrupted, TrainingError
from jessyfile.planning.runs import all_runs
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.facts import Facts, PromoteFacts

VARIANTS = """
VARIANT calm "slow" {
  SYSTEM "Be slow."
}
VARIANT funny "teases" {
  SYSTEM "Tease."
}
VARIANT small "for laptops" {
  LORA { rank 4 }
}
"""


class World:
    """A project of three VARIANTs over four steps, which notes what runs; `at` does something when a step of a model begins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[str] = []
        self.at: dict[tuple[str, str], Callable[[], None]] = {}
        (root / ".jessy").mkdir()
        (root / "tiny.jessy").write_text(RECIPE + VARIANTS)
        seed = root / SEEDS[0]
        seed.parent.mkdir(parents=True)
        seed.write_text('{"query": "selam"}\n')

    def steps(self, recipe: object, hosts: object = None) -> tuple[Step, ...]:
        return (
            Step("data.talk", "rows", self._run, files=lambda recipe, root: [root / name for name in SEEDS]),
            Step("train", "train", self._run, ("data.talk",), ("lora.*",), resumable=True),
            Step("modelfile", "modelfile", self._run, ("train",), ("name", "system")),
            Step("promote", "promote", self._promote, ("modelfile",), ("name",)),
        )

    def _run(self, context: StepContext) -> Facts:
        self.ran.append(f"{context.recipe.name}/{context.name}")
        self.at.get((context.recipe.name, context.name), lambda: None)()
        values = context.recipe.values(("lora.*", "system", "name"))
        (context.output / "out.txt").write_text(
            f"{context.name} {values if context.name != 'train' else values['lora.rank']}"
        )
        return Facts()

    def _promote(self, context: StepContext) -> PromoteFacts:
        self._run(context)
        fails = (context.root / f"fail-{context.recipe.name}").exists()
        return PromoteFacts(not fails, "MUST x failed" if fails else "", context.recipe.name)


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jessyfile.pipeline.compile_steps", made.steps)
    monkeypatch.setattr("jessyfile.report.write_report", lambda recipe, root, result: root / "report.html")
    return made


@pytest.fixture
def jessy(world, capsys):
    def call(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code, capsys.readouterr()
        captured = capsys.readouterr()
        return captured.out if "--json" in words else captured.out + captured.err

    return call


def test_the_plan_says_what_runs_once_and_who_makes_it(jessy, world):
    said = jessy("plan", "tiny.jessy", "--variant", "all")
    assert "VARIANT calm\ntiny-calm · tiny.jessy · never applied" in said
    assert "= data.talk, train: made by tiny-calm" in said
    assert "= data.talk: made by tiny-calm" in said
    assert "Plan: 2 to run, 2 made before, 0 unchanged." in said
    assert "Run once for several of them: data.talk, train." in said
    assert "All of them: jessy apply tiny.jessy --variant all" in said
    assert not world.ran


def test_apply_runs_shared_steps_once_and_promotes_each(jessy, world):
    said = jessy("apply", "tiny.jessy", "--variant", "all")
    assert world.ran == [
        *(f"tiny-calm/{step}" for step in ("data.talk", "train", "modelfile", "promote")),
        *("tiny-funny/modelfile", "tiny-funny/promote"),
        *(f"tiny-small/{step}" for step in ("train", "modelfile", "promote")),
    ]
    assert "3 of 3 variants as the recipe wants them:\n  calm   tiny-calm:latest is the new model" in said
    assert sorted(path.name for path in world.root.glob("*.lock")) == [
        f"tiny.{name}.lock" for name in ("calm", "funny", "small")
    ]
    assert "Nothing is left to run." in jessy("plan", "tiny.jessy", "--variant", "all", "--detailed-exitcode")
    # what was applied together is what each makes alone
    for name in ("calm", "funny", "small"):
        assert "No changes" in jessy("plan", "tiny.jessy", "--variant", name)
    assert [run.result().name for run in all_runs(world.root)] == ["tiny-calm", "tiny-funny", "tiny-small"]
    status = jessy("status")
    assert all(f"tiny-{name} · tiny.jessy" in status for name in ("calm", "funny", "small"))


def test_each_is_promoted_on_its_own_criteria(jessy, world):
    (world.root / "fail-tiny-funny").touch()
    said = jessy("apply", "tiny.jessy", "--variant", "all", code=Exit.WITHHELD)
    assert "2 of 3 variants" in said
    assert "funny  tiny-funny is not promoted: MUST x failed" in said
    assert "small  tiny-small:latest is the new model" in said


def test_one_that_fails_leaves_the_others_their_turn(jessy, world):
    def fail() -> None:
        raise TrainingError("the loss is no number", hint="lower the rate")

    world.at["tiny-calm", "modelfile"] = fail
    said = jessy("apply", "tiny.jessy", "--variant", "all", code=Exit.FAILED)
    assert "the loss is no number\n  = help: lower the rate" in said
    assert "2 of 3 variants" in said
    assert "calm   failed: the loss is no number" in said
    assert "tiny-small/promote" in world.ran


def test_a_stop_ends_them_all_and_the_same_command_goes_on(jessy, world):
    def stop() -> None:
        raise Interrupted("stopped")

    world.at["tiny-funny", "modelfile"] = stop
    said = jessy("apply", "tiny.jessy", "--variant", "all", code=Exit.INTERRUPTED)
    assert "resume with: jessy apply tiny.jessy --variant all" in said
    assert "tiny-small/train" not in world.ran
    world.at.clear()
    world.ran.clear()
    jessy("apply", "tiny.jessy", "--variant", "all")
    assert world.ran[:2] == ["tiny-funny/modelfile", "tiny-funny/promote"]


def test_replace_makes_a_shared_step_again_once(jessy, world):
    jessy("apply", "tiny.jessy", "--variant", "all")
    world.ran.clear()
    jessy("apply", "tiny.jessy", "--variant", "all", "--replace", "train", "--replace", "data")
    assert [one for one in world.ran if "modelfile" not in one and "promote" not in one] == [
        "tiny-calm/data.talk",
        "tiny-calm/train",
        "tiny-small/train",
    ]


def test_events_and_plans_as_json_name_the_variant(jessy):
    plans = json.loads(jessy("plan", "tiny.jessy", "--variant", "all", "--json"))
    assert plans["shared"] == ["data.talk", "train"]
    assert [one["variant"] for one in plans["variants"]] == ["calm", "funny", "small"]
    assert plans["variants"][1]["steps"][1]["made_by"] == "tiny-calm"
    events = [json.loads(line) for line in jessy("apply", "tiny.jessy", "--variant", "all", "--json").splitlines()]
    assert [one["name"] for one in events if one["event"] == "variant"] == ["tiny-calm", "tiny-funny", "tiny-small"]
    assert events[-1] == {"format": 1, "event": "all_done", "exit": 0, "variants": {"calm": 0, "funny": 0, "small": 0}}


def test_two_variants_of_one_name_are_refused_before_anything_runs(jessy, world):
    path = world.root / "tiny.jessy"
    path.write_text(path.read_text().replace('SYSTEM "Be slow."', "NAME one").replace('SYSTEM "Tease."', "NAME one"))
    said = jessy("apply", "tiny.jessy", "--variant", "all", code=Exit.FAILED)
    assert "the variants `calm` and `funny` both make the model `one`" in said
    assert not world.ran


def test_where_one_variant_is_wrong_none_is_applied(jessy, world):
    path = world.root / "tiny.jessy"
    path.write_text(path.read_text().replace("LORA { rank 4 }", "LORA { targets none_of_these }\n  TRAIN { epochs 0 }"))
    jessy("apply", "tiny.jessy", "--variant", "all", code=Exit.FAILED)
    assert not world.ran
    assert main(["check", "tiny.jessy", "--variant", "all"]) == 1
    assert main(["check", "tiny.jessy", "--variant", "calm"]) == 1  # a VARIANT's own lines are always checked


@pytest.mark.parametrize("words", [("why", "train"), ("graph",), ("show",), ("eval",)])
def test_other_commands_ask_for_one(words, jessy, world):
    said = jessy(words[0], *words[1:], "tiny.jessy", "--variant", "all", code=Exit.FAILED)
    assert "here name one of `calm`, `funny`, `small`" in said


def test_a_shell_completes_the_variants_of_the_recipe(world):
    def completed(*words: str) -> list[str]:
        *before, begun = words
        return [
            item.value for item in ShellComplete(program, {}, "jessy", "_JESSY_COMPLETE").get_completions(before, begun)
        ]

    assert completed("apply", "tiny.jessy", "--variant", "") == ["calm", "funny", "small", "all"]
    assert completed("plan", "tiny.jessy", "--variant", "f") == ["funny"]
    assert completed("apply", "--variant", "f") == []
    assert completed("apply", "missing.jessy", "--variant", "") == []


def test_a_watch_follows_one_model(jessy):
    assert "name one VARIANT" in jessy("watch", "tiny.jessy", "--variant", "all", code=Exit.USAGE)


def test_all_of_nothing_and_a_saved_plan_of_all(jessy, world):
    assert "saved plan is of one model" in jessy(
        "plan", "tiny.jessy", "--variant", "all", "-o", "p.json", code=Exit.USAGE
    )
    (world.root / "tiny.jessy").write_text(RECIPE)
    assert "has no VARIANT" in jessy("plan", "tiny.jessy", "--variant", "all", code=Exit.FAILED)
