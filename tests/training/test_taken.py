"""An adapter that is trained already stands in for a training: what is packed and served of it is what its training made."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jessyfile.evaluation.verdict import read_verdict
from jessyfile.language import load_recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.plan_text import render_plan
from jessyfile.planning.state import load_state
from jessyfile.planning.steps import Step
from jessyfile.results.facts import ParityFacts, TakenFacts
from tests.walks import HOUSE, applied_walk, jessy, result

TAKEN = ("--set", "lora.trained=given")
CRITERION = "EVAL {\n  MAY training_time < 60m\n}\n"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose recipe was applied, and the adapter of that training in half precision in the folder `given`."""
    root = tmp_path_factory.mktemp("taken")
    with applied_walk(root, CRITERION):
        half(result(root, "train"), root / "given")
        yield root


def half(trained: Path, given: Path) -> None:
    given.mkdir()
    shutil.copy(trained / "adapter_config.json", given)
    arrays = load_file(trained / "adapters.safetensors")
    save_file({name: one.astype(np.float16) for name, one in arrays.items()}, given / "adapters.safetensors")


def test_it_is_taken_without_a_training_and_everything_after_it_is_made_of_it(root: Path) -> None:
    own = load_file(result(root, "train") / "adapters.safetensors")
    plan = jessy("plan", "walk.jessy", *TAKEN)
    assert "the adapter in `given` is taken as it is: nothing is trained" in plan
    assert "train never ran here" in plan  # the seconds and memory of the training had been forecast for it
    assert re.search(r"^ +encode +no longer read$", plan, re.M)
    jessy("apply", "walk.jessy", *TAKEN)
    action = load_state(root, "walk").steps["train"]
    proof = load_state(root, "walk").steps["parity"]
    assert proof.facts_of(ParityFacts).positions > 0
    assert proof.facts_of(ParityFacts).agreement == 1
    assert "dataset" in proof.inputs
    facts = action.facts_of(TakenFacts)
    assert (facts.taken_from, facts.rank) == ("given", 4)
    assert not {"final_loss", "training_seconds", "updates"} & set(action.facts)
    taken = load_file(result(root, "train") / "adapters.safetensors")
    assert facts.parameters == sum(one.size for one in own.values())
    assert {name: one.dtype for name, one in taken.items()} == dict.fromkeys(own, np.dtype(np.float32))
    assert all(np.array_equal(taken[name], one.astype(np.float16).astype(np.float32)) for name, one in own.items())
    verdict = read_verdict(result(root, "judge"))
    assert verdict.metrics["training_time"].after.value is None
    assert "taken from given" in max((root / ".jessy").rglob("report.html"), key=os.path.getmtime).read_text("utf-8")
    jessy("export", "walk", "--as", "hf", "-o", "exported")
    card = (root / "exported" / "README.md").read_text("utf-8")
    assert "taken from given" in card
    assert "nor whether its rows were those of this card" in card
    assert "tokens" in jessy("chat", "walk", "Kedi nerede?", "--max-tokens", "4")
    assert "No changes" in jessy("plan", "walk.jessy", *TAKEN)


def test_the_recipe_without_it_trains_as_before(root: Path) -> None:
    """A setting that is not written changes no key: what was trained before there was such a setting is found again."""
    recipe = load_recipe(root / "walk.jessy").recipe
    assert recipe is not None
    [step] = [one for one in compile_steps(recipe) if one.name == "train"]
    assert "lora.trained" not in recipe.values(step.reads)
    assert "  + train" not in (plan := jessy("plan", "walk.jessy"))
    assert "  ~ train" not in plan


def test_no_row_is_prepared_for_a_training_that_does_not_come() -> None:
    """Rows were put behind their neighbours and encoded, a minute of two cores, for a proof that reads ten of them."""
    names = {False: steps_of({}), True: steps_of({"lora.trained": "models/jessy-270m"})}
    assert names[False].keys() - names[True].keys() == {"neighbours", "encode"}
    assert not names[True].keys() - names[False].keys()
    assert names[False]["parity"].inputs[:3] == ("base", "neighbours", "encode")
    assert names[True]["parity"].inputs == ("base", "dataset", "index", "train", "merge", "gguf", "modelfile")
    assert "train.max_length" in names[True]["parity"].reads
    assert names[True]["import"].inputs == names[False]["import"].inputs


def test_what_weighs_the_errors_of_rounding_is_encoded_nevertheless() -> None:
    weighed = steps_of({"lora.trained": "models/jessy-270m", "export.quantize": "q4_k_m"})
    assert {"neighbours", "encode"} <= weighed.keys()
    assert "encode" in weighed["gguf"].inputs
    assert "encode" in weighed["parity"].inputs


def steps_of(sets: dict[str, str]) -> dict[str, Step]:
    recipe = load_recipe(HOUSE / "recipes" / "jessy-270m.jessy", sets=sets).recipe
    assert recipe is not None
    return {step.name: step for step in compile_steps(recipe)}


def config(given: Path, **changed: object) -> None:
    path = given / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changed}), "utf-8")


def arrays(given: Path, change: Callable[[str, np.ndarray], tuple[str, np.ndarray] | None]) -> None:
    path = given / "adapters.safetensors"
    found = [change(name, one) for name, one in load_file(path).items()]
    save_file(dict(filter(None, found)), path)


def narrow(name: str, one: np.ndarray) -> tuple[str, np.ndarray]:
    return name, np.ascontiguousarray(one[:, :2] if name.endswith("lora_a") else one[:2])


REFUSED = {
    "another rank": (lambda given: config(given, rank=8), "has rank 8, and LORA asks for 4"),
    "another strength": (lambda given: config(given, scale=1.0), "has scale 1.0, and LORA asks for"),
    "other layers": (lambda given: config(given, targets=["q_proj"]), "has targets q_proj, and LORA asks for q_proj"),
    "fewer layers": (lambda given: config(given, num_layers=2), "has num_layers 2, and LORA asks for -1"),
    "another kind": (lambda given: config(given, fine_tune_type="dora"), "fine_tune_type dora"),
    "numbers of another rank": (lambda given: arrays(given, narrow), "has rank 2, and LORA asks for 4"),
    "numbers that are missing": (
        lambda given: arrays(given, lambda name, one: None if ".0.mlp.up_proj" in name else (name, one)),
        "do not name the same layers: model.layers.0.mlp.up_proj",
    ),
    "another base": (
        lambda given: arrays(given, lambda name, one: (name, np.vstack([one, one]) if "lora_a" in name else one)),
        "the base has",
    ),
    "a damaged file": (lambda given: (given / "adapters.safetensors").write_bytes(b"{"), "safetensors"),
    "no file": (lambda given: (given / "adapters.safetensors").unlink(), "holds no adapters.safetensors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_that_does_not_fit_is_refused_by_the_plan_before_anything_runs(name: str, root: Path) -> None:
    spoil, said = REFUSED[name]
    shutil.rmtree(root / "spoiled", ignore_errors=True)
    shutil.copytree(root / "given", root / "spoiled")
    spoil(root / "spoiled")
    for command in ("plan", "apply"):
        told = jessy(command, "walk.jessy", "--set", "lora.trained=spoiled", expect=1)
        assert said in told
        assert "[1/" not in told


def test_a_plan_in_which_steps_only_follow_is_drawn(root: Path) -> None:
    """Back at settings whose apply had ended early, all before was kept, nothing had a reason of its own, and the plan fell over."""
    recipe = load_recipe(root / "walk.jessy").recipe
    assert recipe is not None
    made = make_plan(recipe, root, compile_steps(recipe), Selection(replace=("promote",)))
    follows = replace(made, steps=tuple(replace(step, reasons=()) for step in made.steps))
    assert "  > import" in render_plan(follows)
