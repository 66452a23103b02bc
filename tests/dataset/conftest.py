"""What the data tests share: rows made in a line, recipes made in code, steps run into a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jessyfile.dataset.data_steps import run_category, run_dataset
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.rows import Row
from jessyfile.dataset.settings import PlainRecipe, plain_recipe
from jessyfile.language.recipe import Augment, Category, Complexity, Suite, Topic
from jessyfile.planning.canonical import normal
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import DatasetFacts, RowsFacts

ROOT = Path(__file__).resolve().parents[2]


class Quiet:
    def update(self, done, total=None, *, text=""):
        pass

    def note(self, text):
        pass

    def requested(self):
        return False


def make_row(query="naber", response="İyiyim, sen nasılsın?", place="rows.jsonl:1", group="", **fields):
    values = {
        "complexity": "low",
        "iterations_needed": 1,
        "category": "turkish",
        "topic": "casual",
        "language": "tr",
    } | fields
    return Row(TrainingExample(query=query, response=response, **values), place, group)


def make_category(name, language, level, **topics):
    parts = tuple(Topic(topic, count, language, level) for topic, count in topics.items())
    return Category(name, sum(topics.values()), name, language, level, parts)


REFERENCE = (
    make_category("turkish", "tr", "low", greetings=50, questions=75, casual=50, slang=25),
    make_category("technical", "mixed", "medium", rust=30, architecture=30, performance=20, debugging=20),
    make_category("philosophical", "mixed", "high", consciousness=15, ethics=15, technology=10, existential=10),
    Category(
        "iteration_control",
        50,
        "",
        "mixed",
        None,
        (Topic("detection", 20, "mixed", None), Topic("fast", 15, "mixed", "low"), Topic("deep", 15, "mixed", "high")),
    ),
)


def make_recipe(root, *categories, markers=0, marker="[{level} {iterations}]", suites=(), replay=None, **settings):
    recipe = plain_recipe(root, *categories, **settings)
    dataset = replace(recipe.dataset, markers=markers, replay=replay)
    named = tuple(Suite(Path(file).stem, file, None) for file in suites)
    return PlainRecipe(
        dataset, Complexity(recipe.complexity.levels, marker), replace(recipe.evaluation, suites=named), recipe.path
    )


@dataclass
class Made:
    folder: Path
    facts: dict[str, RowsFacts]
    summary: DatasetFacts

    def rows(self, name="train"):
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def run_steps(recipe, root, folder):
    inputs, facts = {}, {}
    for category in recipe.dataset.categories:
        name = f"data.{category.name}"
        inputs[name] = folder / name
        inputs[name].mkdir(parents=True)
        facts[name] = run_category(
            StepContext(recipe, root, inputs[name], folder, {**inputs}, {}, Quiet(), Quiet(), name)
        )
    output = folder / "dataset"
    output.mkdir(parents=True)
    summary = run_dataset(StepContext(recipe, root, output, folder, inputs, normal(facts), Quiet(), Quiet(), "dataset"))
    return Made(output, facts, summary)


@pytest.fixture
def row():
    return make_row


@pytest.fixture
def category():
    return make_category


@pytest.fixture
def recipe():
    return make_recipe


@pytest.fixture
def reference():
    return REFERENCE


@pytest.fixture
def steps(tmp_path):
    """Run a recipe's data steps; each call gets a folder of its own."""
    count = iter(range(100))
    return lambda recipe, root=ROOT: run_steps(recipe, root, tmp_path / f"run{next(count)}")


@pytest.fixture
def project(tmp_path):
    """A project of its own: write seeds and suites into it."""
    root = tmp_path / "project"
    root.mkdir()

    def write(path, *values):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")
        return file

    write.root = root
    return write


@pytest.fixture
def seed():
    def make(query, response, topic="casual", **fields):
        base = {
            "complexity": "low",
            "iterations": 1,
            "category": "turkish",
            "language": "tr",
            "tags": [],
            "source": "hand",
        }
        return {"query": query, "response": response, "topic": topic} | base | fields

    return make


@pytest.fixture
def augment():
    return Augment


@pytest.fixture
def root():
    return ROOT
