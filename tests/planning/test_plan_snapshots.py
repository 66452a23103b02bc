"""What `jessy plan` says about edits of the reference recipe: the right steps, the right reasons, and nothing else.

The real recipe is compiled into the real steps; only what a step *does* is replaced, by a digest of everything it was
given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

import pytest

from jessyfile.language import load_recipe, load_text
from jessyfile.pipeline import compile_steps
from jessyfile.planning.effects import step_effects, strongest
from jessyfile.planning.forecast import Forecast
from jessyfile.planning.plan import make_plan
from jessyfile.planning.plan_text import render_plan
from jessyfile.planning.run import apply
from jessyfile.resources import resource
from jessyfile.results.facts import EncodeFacts, Facts, PromoteFacts

FACTS = {
    "promote": PromoteFacts(promoted=True),
    "encode": EncodeFacts(400, 0, 0, 400, 400, 0, 0, {}, shared_prefix=0, updates=9),
}


def load(path: Path, **options):
    loaded = load_recipe(path, **options)
    assert loaded.recipe is not None, [d.message for d in loaded.diagnostics]
    return loaded.recipe


def fake(step):
    """Return the step with a run that digests the values, files and inputs it was given."""

    def run(context):
        parts = [repr(sorted(context.recipe.values(step.reads).items()))]
        parts += [path.read_text("utf-8", "replace") for path in step.files(context.recipe, context.root)]
        parts += [(context.inputs[name] / "out").read_text() for name in sorted(context.inputs)]
        (context.output / "out").write_text(hashlib.sha256("".join(parts).encode()).hexdigest())
        return FACTS.get(step.name, Facts())

    return dataclasses.replace(
        step, run=run, still_in_effect=None, preflight=None, about=None, disk=None, estimate=None
    )


def steps_of(recipe):
    return tuple(fake(step) for step in compile_steps(recipe))


@pytest.fixture(scope="module")
def applied(tmp_path_factory) -> Path:
    """A project with the reference recipes and their seeds, where v2 was applied."""
    root = tmp_path_factory.mktemp("project")
    (root / ".jessy").mkdir()
    shutil.copytree(resource("recipes"), root / "recipes")
    shutil.copytree(resource("models"), root / "models")  # where the quickstart's training starts from
    shutil.copytree(resource("data", "seeds"), root / "data" / "seeds")
    (root / "data" / "eval").mkdir()
    for suite in (
        "turkish",
        "technical",
        "philosophical",
        "iteration_control",
        "personality",
        "multi_turn",
        "emotional",
        "crisis",
        "edge",
    ):
        (root / "data" / "eval" / f"{suite}.jsonl").write_text('{"id": "one", "prompt": "selam"}\n')
    recipe = load(root / "recipes" / "v2.jessy")
    apply(recipe, root, steps_of(recipe))
    return root


@pytest.fixture
def project(applied, tmp_path) -> Path:
    return shutil.copytree(applied, tmp_path / "p", dirs_exist_ok=True)


def swapped(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def moved(text: str, first: str, second: str) -> str:
    """Exchange two lines."""
    lines = text.splitlines(keepends=True)
    one, two = (next(i for i, line in enumerate(lines) if line.split()[:2] == part.split()) for part in (first, second))
    lines[one], lines[two] = lines[two], lines[one]
    return "".join(lines)


EDITS = {
    "nothing": lambda t: t,
    "comment only": lambda t: "# a thought\n" + t,
    "blank lines and spaces only": lambda t: t.replace("  rank     16", "\n  rank 16\n"),
    "order of topics": lambda t: moved(t, "TOPIC greetings", "TOPIC slang"),
    "order of parameters": lambda t: moved(t, "PARAMETER temperature", "PARAMETER num_ctx"),
    "order of settings in a block": lambda t: moved(t, "rank 16", "dropout 0.05"),
    "same number spelled otherwise": lambda t: swapped(t, ("1e-4", "0.0001"), ("10%", "10.0%")),
    "topic count": lambda t: swapped(t, ("technical 100", "technical 110"), ("debugging     20", "debugging     30")),
    "topics counted otherwise": lambda t: swapped(
        t, ("turkish 200", "turkish 190"), ("greetings  50", "greetings  45"), ("slang      25", "slang      20")
    ),
    "topic removed": lambda t: swapped(
        t, ("philosophical 50", "philosophical 35"), ("    TOPIC ethics         15\n", "")
    ),
    "topic level": lambda t: swapped(t, ("fast       15  { level low }", "fast       15  { level medium }")),
    "category title": lambda t: swapped(t, ('"Philosophical depth"', '"Depth"')),
    "category added": lambda t: swapped(
        t,
        (
            "  CATEGORY technical",
            '  CATEGORY humour 5 "Jokes" {\n    level low\n    TOPIC jokes 5\n  }\n  CATEGORY technical',
        ),
    ),
    "dataset seed": lambda t: swapped(t, ("seed        42", "seed        43")),
    "validation share": lambda t: swapped(t, ("validation  10%", "validation  20%")),
    "level iterations": lambda t: swapped(t, ("medium  3-5", "medium  3-6"), ("high    6-9", "high    7-9")),
    "level time": lambda t: swapped(t, ("within 15s", "within 20s")),
    "persona per batch": lambda t: swapped(t, ("per_batch 1", "per_batch 2")),
    "rank": lambda t: swapped(t, ("rank     16", "rank     8")),
    "targets": lambda t: swapped(t, ("q_proj k_proj v_proj o_proj", "q_proj v_proj")),
    "learning rate": lambda t: swapped(t, ("1e-4", "2e-4")),
    "epochs and batch": lambda t: swapped(
        t, ("epochs             3", "epochs             4"), ("batch_size         8", "batch_size 4")
    ),
    "a default written down": lambda t: swapped(t, ("epochs             3", "epochs             3\n  schedule cosine")),
    "a default changed": lambda t: swapped(t, ("epochs             3", "epochs             3\n  schedule linear")),
    "SYSTEM one line": lambda t: swapped(t, ("zor soruda derin düşün", "zor soruda acele etme")),
    "SYSTEM longer": lambda t: swapped(t, ("derin düşün.\n", "derin düşün.\n  Bilmiyorsan söyle.\n")),
    "parameter": lambda t: swapped(t, ("temperature 0.7", "temperature 0.6")),
    "parameter added": lambda t: swapped(t, ("PARAMETER num_ctx", "PARAMETER top_p 0.9\nPARAMETER num_ctx")),
    "stop added": lambda t: t + '\nPARAMETER stop "###"\n',
    "message added": lambda t: t + '\nMESSAGE user "selam"\nMESSAGE assistant "Selam!"\n',
    "quantize": lambda t: swapped(t, ("q8_0", "f16")),
    "criterion value": lambda t: swapped(t, ("turkish_accuracy        > 90%", "turkish_accuracy        > 92%")),
    "criterion rank": lambda t: swapped(t, ("SHOULD  latency.medium", "MUST    latency.medium")),
    "criterion removed": lambda t: swapped(t, ("  MAY     context_awareness       > 70%\n", "")),
    "dotenv": lambda t: swapped(t, ('"JESSY_MODEL"', '"MODEL"')),
    "base": lambda t: swapped(t, ("gemma:2b", "gemma3:270m")),
    "several at once": lambda t: swapped(
        t,
        ("1e-4", "2e-4"),
        ("zor soruda derin düşün", "acele etme"),
        ("slang      25", "slang      24"),
        ("turkish 200", "turkish 199"),
    ),
}


def told(root: Path, name: str = "v2.jessy", **options) -> str:
    recipe = load(root / "recipes" / name, **options)
    plan = make_plan(recipe, root, steps_of(recipe))
    timeless = tuple(dataclasses.replace(step, forecast=None) for step in plan.steps)
    return render_plan(
        dataclasses.replace(plan, steps=timeless, last_seconds=None), command=f"jessy apply {plan.recipe}"
    )


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_reference_recipe(name, project, snapshot):
    path = project / "recipes" / "v2.jessy"
    path.write_text(EDITS[name](path.read_text("utf-8")), "utf-8")
    assert told(project) == snapshot


def test_a_seed_row_changed(project, snapshot):
    seed = project / "data" / "seeds" / "technical" / "rust.jsonl"
    seed.write_text(seed.read_text("utf-8").replace("Rust", "rust", 1), "utf-8")
    assert told(project) == snapshot


def test_a_case_of_a_suite_changed(project, snapshot):
    (project / "data" / "eval" / "turkish.jsonl").write_text('{"id": "one", "prompt": "naber"}\n')
    assert told(project) == snapshot


def test_forecasts_stand_beside_what_they_are_for(project, snapshot):
    """Seconds and memory as the reference page shows them; what was never measured is counted, not guessed."""
    path = project / "recipes" / "v2.jessy"
    path.write_text(EDITS["several at once"](path.read_text("utf-8")), "utf-8")
    recipe = load(path)
    plan = make_plan(recipe, project, steps_of(recipe))
    known = {
        "train": Forecast(2280.0, 6_100_000_000, 3),
        "data.turkish": Forecast(61.0, None, 1),
        "merge": Forecast(540.0, 10**9, 1),
    }
    steps = tuple(dataclasses.replace(step, forecast=known.get(step.name)) for step in plan.steps)
    assert (
        render_plan(dataclasses.replace(plan, steps=steps, last_seconds=3060.0), command="jessy apply it") == snapshot
    )


def test_moving_the_whole_project_changes_nothing(project, tmp_path):
    there = shutil.move(project, tmp_path / "elsewhere")
    assert "No changes" in told(Path(there))


def test_a_parent_changes_what_extends_it(project, snapshot):
    child = project / "recipes" / "v2-270m.jessy"
    recipe = load(child)
    apply(recipe, project, steps_of(recipe))
    parent = project / "recipes" / "v2.jessy"
    parent.write_text(swapped(parent.read_text("utf-8"), ("rank     16", "rank     32")), "utf-8")
    assert told(project, "v2-270m.jessy") == snapshot


def test_a_variant_is_a_model_of_its_own_that_finds_what_is_stored(project, snapshot):
    path = project / "recipes" / "v2.jessy"
    path.write_text(
        path.read_text("utf-8") + '\nVARIANT small "less memory" {\n  LORA {\n    rank 4\n  }\n}\n', "utf-8"
    )
    assert "No changes" in told(project)
    assert told(project, variant="small") == snapshot


@pytest.mark.parametrize("name", ["quickstart.jessy", "v2.jessy", "v2-270m.jessy"])
def test_no_recipe_has_changes_after_its_apply(name, project):
    recipe = load(project / "recipes" / name)
    apply(recipe, project, steps_of(recipe))
    assert "No changes" in told(project, name)


@pytest.mark.parametrize("name", ["quickstart.jessy", "v2.jessy", "v2-270m.jessy"])
def test_the_effect_of_every_setting_in_the_table_is_that_of_the_steps_that_read_it(name):
    """The schema says what a change of a setting costs, the graph decides it: they must not drift apart."""
    from jessyfile.language.table import node_at

    path = resource("recipes") / name
    # without RETRIEVE and PREFER there is no step that could read of them
    text = path.read_text("utf-8") + "PREFER kto { references development }\n"
    text += f'RETRIEVE {{\n  examples 3 from seeds\n  answer above 80%\n  documents "."\n  questions "{name}"\n}}\n'
    recipe = load_text(text, path, root=path.parents[1]).recipe
    assert recipe is not None
    recipe = dataclasses.replace(
        recipe,
        export=dataclasses.replace(recipe.export, quantize="q4_k_m"),  # q8_0 has no use for an importance matrix
        evaluation=dataclasses.replace(recipe.evaluation, contrast="final"),  # without contrasts no step reads which
    )
    steps = compile_steps(recipe)
    effects = step_effects(steps)
    # where no adapter is named that is trained already, a training reads the other settings of LORA
    for address, value in recipe.values(("*",)).items():
        readers = [step.name for step in steps if recipe.values(step.reads).keys() & {address}]
        if address == "lora.trained" or (not readers and value in (None, [], ())):
            continue  # a setting of later versions is read from when it is set, so that older results keep their fingerprints
        node = node_at(tuple(address.split(".")[:3] if address.startswith("eval.criterion") else address.split(".")))
        assert node is not None, address
        assert node.inherited("x-effect") == strongest([effects[reader] for reader in readers]), (address, readers)
