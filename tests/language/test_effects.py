"""Every setting is read by the steps that the table names for it, and no step reads what no recipe can say.

This is the promise that no setting is decoration: a setting that nothing consumes fails here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jessyfile.language import load_text
from jessyfile.language.overrides import split_address
from jessyfile.language.recipe import leaves, matches
from jessyfile.language.table import node_at, root
from jessyfile.pipeline import compile_steps

# who reads a setting besides the steps of a run, and what that is
BESIDES = {
    "language": ["jessy"],
    "plan": ["dataset.category.*.title"],
    "tracker": ["train.tracker"],
    "watch": ["watch.debounce", "watch.max_retrains", "watch.per"],
}

RETRAIN = (
    "from",
    "base",
    "data.*",
    "dataset",
    "index",
    "passages",
    "neighbours",
    "questions",
    "encode",
    "train",
    "preferences",
    "prefer",
    "merge",
)
REPACKAGE = ("gguf", "parity", "modelfile", "import", "promote")
START = ("gguf.start", "index.start", "start", "start.rows", "likelihood.start")
RECHECK = (
    "baseline",
    *START,
    "previous",
    "evaluate",
    "evaluate.other",
    "think",
    "likelihood.base",
    "likelihood.tuned",
    "contrast",
    "judge",
)

FULL = """
JESSY 1
NAME full
FROM gemma3:270m
ADAPTER "given"
LICENSE "MIT"
SYSTEM "Sen JESSY'sin."
TEMPLATE "{{ .Prompt }}"
MESSAGE user "merhaba"
PARAMETER stop "<end_of_turn>"
PARAMETER temperature 0.7
DATASET {
  learn 10%
  allow personal
  FEEDBACK talk
  CATEGORY again 10 {
    refine talk
    TOPIC talk 10
  }
  CATEGORY talk 40 "Talk" {
    language tr
    level low
    TOPIC small 40
  }
  REPLAY general 20% "general.jsonl"
}
RETRIEVE {
  examples 3 from seeds
  bare 80%
  answer above 80%
  serve "served.jsonl"
  documents "notes" top 2
  questions "questions.jsonl"
}
PREFER kto "pairs.jsonl" { references development }
ROUTE { high qwen3:4b at http://127.0.0.1:11434 }
EXPORT gguf { quantize q6_k }
EVAL {
  judge qwen3:8b at http://127.0.0.1:11434/v1
  MUST no_loops > 95% at 90%
  MUST level_accuracy >= previous
  MAY thinking.high < 60s
}
"""
TEACHER = "DATASET {\n  TEACHER qwen3:8b at http://127.0.0.1:11434/v1\n}\n"


@pytest.fixture
def load(tmp_path):
    references = tmp_path / "data" / "eval" / "references"
    references.mkdir(parents=True)
    (tmp_path / "given").mkdir()
    for path in (
        tmp_path / "general.jsonl",
        tmp_path / "pairs.jsonl",
        tmp_path / "questions.jsonl",
        tmp_path / "served.jsonl",
        references.parent / "turkish.jsonl",
        references / "turkish.jsonl",
    ):
        path.write_text("{}\n", "utf-8")

    def loaded(text: str):
        found = load_text(text, tmp_path / "recipe.jessy", root=tmp_path)
        assert found.recipe, found.diagnostics
        return found.recipe

    return loaded


def readers(recipe, address: tuple[str, ...]) -> set[str]:
    steps = compile_steps(recipe)
    names = {s.name for s in steps if any(matches(address, tuple(p.split("."))) for p in s.reads)}
    return {"data.*" if name.startswith("data.") else name for name in names}


def named_readers(address: tuple[str, ...]) -> tuple[set[str], str]:
    node = node_at(split_address(".".join(address)))
    return set(node.inherited("x-steps")), node.inherited("x-effect")


@pytest.mark.parametrize("text", [FULL, FULL + TEACHER], ids=["without teacher", "with teacher"])
def test_the_steps_read_exactly_what_the_table_says(load, text):
    recipe = load(text)
    wrong = {}
    for address, _ in leaves(recipe.document):
        named, _ = named_readers(address)
        actual = readers(recipe, address)
        if address[-1] == "title" and recipe.dataset.teacher:
            continue  # a teacher is told the title: then it is data
        if address == ("lora", "trained"):
            continue  # none here; where a recipe names one, another step `train` reads it
        if address == ("dataset", "category", "talk", "refine"):
            continue  # what refines nothing is made without it: `again` reads its own
        if named - set(BESIDES) != actual:
            wrong[".".join(address)] = (sorted(named), sorted(actual))
    assert not wrong


def test_an_adapter_that_is_trained_already_is_read_in_place_of_the_settings_of_its_training(load):
    recipe = load(FULL.replace("PREFER kto", 'LORA { trained "given" }\nPREFER kto'))
    [train] = [step for step in compile_steps(recipe) if step.name == "train"]
    assert set(recipe.values(train.reads)) == {f"lora.{name}" for name in recipe.document["lora"]}
    assert readers(recipe, ("lora", "rank")) == {"train", "prefer"}
    assert readers(recipe, ("train", "learning_rate")) == set()


def test_what_no_step_reads_is_listed_here_by_its_reader():
    found = {name: [] for name in BESIDES}
    for node in root().walk():
        if node.kind in ("value", "list") and not set(node.inherited("x-steps")) - set(BESIDES):
            found[node.inherited("x-steps")[0]].append(".".join(node.address))
    assert found == BESIDES


def test_every_setting_of_the_table_has_readers_and_an_effect():
    for node in root().walk():
        if node.parent is not None:
            assert node.inherited("x-steps"), node.address
            assert node.inherited("x-effect") in ("retrain", "repackage", "recheck", "cosmetic"), node.address
            assert node.schema.get("description"), node.address


def test_the_effect_is_that_of_the_first_step_that_reads_it():
    for node in root().walk():
        if node.kind not in ("value", "list") or node.parent is None:
            continue
        steps = set(node.inherited("x-steps"))
        expected = (
            "retrain"
            if steps & set(RETRAIN)
            else "repackage"
            if steps & set(REPACKAGE)
            else "recheck"
            if steps & set(RECHECK)
            else "cosmetic"
        )
        assert node.inherited("x-effect") == expected, node.address


def test_no_step_reads_an_address_that_no_recipe_has(load):
    recipe = load(FULL + TEACHER)
    addresses = [address for address, _ in leaves(recipe.document)]
    for step in compile_steps(recipe):
        for pattern in step.reads:
            assert any(matches(address, tuple(pattern.split("."))) for address in addresses), (step.name, pattern)


def test_rows_made_before_the_share_of_bare_ones_could_be_said_stay_as_they_are(load):
    """A new setting that a recipe does not use must not train every model with RETRIEVE again."""
    for said, read in (("", False), ("  bare 80%\n", True)):
        steps = {step.name: step for step in compile_steps(load(FULL.replace("  bare 80%\n", said)))}
        assert {("retrieve.bare" in steps[name].reads) for name in ("neighbours", "questions")} == {read}


def test_a_change_of_a_value_changes_what_its_steps_see_and_nothing_else(load):
    before, after = load(FULL), load(FULL + "LORA {\n  rank 4\n}\n")
    for step in compile_steps(before):
        same = before.values(step.reads) == after.values(step.reads)
        assert same == (step.name not in ("train", "prefer")), step.name


def test_the_shipped_recipes_compile():
    from jessyfile.language import load_recipe

    for path in (Path(__file__).parents[2] / "recipes").glob("*.jessy"):
        recipe = load_recipe(path).recipe
        assert recipe is not None, path
        assert [s.name for s in compile_steps(recipe)][-1] == "promote"
