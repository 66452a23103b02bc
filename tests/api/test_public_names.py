"""What `jessyfile` offers is pinned: its names and signatures, what a type checker makes of them, and that importing it costs nothing."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from enum import EnumType
from pathlib import Path

import jessyfile

HOUSE = Path(__file__).parents[2]
HANDED_OUT = ("Diagnostic", "Engine", "Loaded", "Plan", "Recipe", "RunResult")  # nobody outside makes one
OUTSIDE = """
from pathlib import Path
from typing import Literal, assert_type

import jessyfile
from jessyfile import (
    Category, ComparisonReport, Complexity, Diagnostic, EvaluationMetrics, Evaluator, Language, LoRAConfig, ModelExporter, Plan, Recipe,
    RunResult, TrainingConfig, TrainingDataGenerator, TrainingDataset, TrainingError, TrainingExample,
    TrainingMetrics, Turn, ValidationReport, validate_training_data,
)

generator = TrainingDataGenerator()
made = generator.generate_conversational(10)
assert_type(made, list[TrainingExample])
assert_type(generator.generate_full_dataset(), TrainingDataset)
assert_type(generator.save_dataset(made, "rows.jsonl"), int)

row = TrainingExample("a", "b", "low", 1, "technical", "tr", turns=[Turn("user", "c")])
same = TrainingExample("a", "b", Complexity.LOW, 1, Category.TECHNICAL, Language.TURKISH)
assert_type(row.complexity, Complexity)
assert_type(row.iterations_needed, int)
assert_type(row.category, Category)
assert_type(row.language, Language)
assert_type(row.to_mlx_format(), dict[str, list[dict[str, str]]])
assert_type(row.validate(), bool)
assert_type(row.faults(), list[str])

dataset = TrainingDataset([row, same])
dataset.balance()
assert_type(dataset.examples, list[TrainingExample])
assert_type(dataset.metadata.categories["technical"], int)
assert_type(dataset.is_balanced(), bool)
assert_type(dataset.split(0.9), tuple[TrainingDataset, TrainingDataset])
assert_type(dataset.save(Path("rows.jsonl")), int)
assert_type(TrainingDataset.load("rows.jsonl"), TrainingDataset)
assert_type(validate_training_data("rows.jsonl"), ValidationReport)
assert_type(validate_training_data(dataset), ValidationReport)
assert_type(validate_training_data(made).is_valid, bool)

assert_type(jessyfile.plan("x.jessy"), Plan)
assert_type(jessyfile.apply(Path("x.jessy"), sets={"lora.rank": "8"}), RunResult)
loaded = jessyfile.load_recipe("x.jessy")
assert_type(loaded.recipe, Recipe | None)
assert_type(loaded.diagnostics, tuple[Diagnostic, ...])
assert_type(jessyfile.render_diagnostics(loaded.diagnostics), str)
assert_type(jessyfile.format_text(""), str)
assert_type(jessyfile.__version__, str)

lora, train = LoRAConfig(r=8, target_modules=["q_proj"]), TrainingConfig(epochs=1)
assert_type(lora.to_lora().rank, int)
assert_type(train.to_train().epochs, int)
assert_type(TrainingMetrics(1, 20, 0.5, 1e-4, None, 4.2, 61.0).loss, float)
metrics = EvaluationMetrics(0.9, 3.0, 0.9, 0.9)
assert_type(metrics.report(), str)
assert_type(ComparisonReport(metrics, metrics).changes.response_time_avg, float)
evaluator = Evaluator("jessy-v2", base="gemma:2b")
assert_type(evaluator.test_turkish_understanding(), float)
assert_type(evaluator.measure_response_times(), dict[str, float])
assert_type(evaluator.verify_personality(), float)
assert_type(evaluator.compare_before_after(), ComparisonReport)
assert_type(TrainingError("x").handle(), str)
assert_type(TrainingError("x").hint, str | None)
exporter = ModelExporter(Path("out"), engine="ollama")
assert_type(exporter.merge_lora_weights("gemma:2b", "adapter"), str)
assert_type(exporter.convert_to_gguf(Path("merged"), quantize="q4_k_m"), str)
assert_type(exporter.create_modelfile("x.gguf", "be kind"), str)
assert_type(exporter.import_to_ollama("Modelfile", "jessy-v2"), Literal["ollama", "embedded"])
"""


def described(name: str) -> str:
    """A public name with what it takes; of a class, every public method too."""
    value = getattr(jessyfile, name)
    if isinstance(value, EnumType):
        return f"{name}: {', '.join(f'{member.name} = {member.value!r}' for member in value)}"
    if not callable(value):
        return name
    lines = [name if name in HANDED_OUT else f"{name}{_signature(value)}"]
    for own, part in inspect.getmembers(value) if inspect.isclass(value) else ():
        if not own.startswith("_") and inspect.isroutine(part) and own not in dir(Exception):
            lines.append(f"  .{own}{_signature(part)}")
    return "\n".join(lines)


def _signature(value: object) -> str:
    return str(inspect.signature(value))


def test_names_and_signatures_are_pinned(snapshot):
    assert dir(jessyfile) == sorted(jessyfile.__all__)
    assert "\n".join(described(name) for name in sorted(jessyfile.__all__)) == snapshot


def test_every_public_name_is_found_where_it_is_said_to_lie():
    assert {*jessyfile._MODULES, "__version__"} == set(jessyfile.__all__)
    for name, module in jessyfile._MODULES.items():
        assert getattr(jessyfile, name).__module__ == f"jessyfile.{module}"


def test_a_name_that_is_not_there_is_an_attribute_error():
    try:
        jessyfile.Trainer  # noqa: B018 (asked for)
    except AttributeError as error:
        assert "no attribute 'Trainer'" in str(error)
    else:
        raise AssertionError


def test_a_type_checker_outside_sees_every_name(tmp_path):
    """Names that were found by `__getattr__` alone were `Any` for whoever checked types against them."""
    revealed = "".join(f"reveal_type(jessyfile.{name})\n" for name in jessyfile.__all__)
    (tmp_path / "outside.py").write_text(OUTSIDE + revealed, "utf-8")
    (tmp_path / "wrong.py").write_text("import jessyfile\njessyfile.TrainingExampel\n", "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(HOUSE / "pyproject.toml")]
    environment = os.environ | {"MYPYPATH": str(HOUSE)}
    done = subprocess.run(
        [*command, str(tmp_path / "outside.py"), str(tmp_path / "wrong.py")],
        cwd=HOUSE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    notes = [line.partition('Revealed type is "')[2] for line in done.stdout.splitlines() if "Revealed type" in line]
    assert [error.partition("error: ")[2] for error in errors] == [
        'Module has no attribute "TrainingExampel"; maybe "TrainingExample"?  [attr-defined]'
    ]
    assert len(notes) == len(jessyfile.__all__)
    assert not [note for note in notes if note.startswith(("Any", "object", "builtins.object"))]


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, jessyfile\nfrom jessyfile import TrainingExample, LoRAConfig, JessyError, load_recipe, plan\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "mlx", "scipy", "jsonschema", "httpx", "rich", "transformers", "lingua", "pyarrow"}
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, jessyfile; print(*sys.modules)"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {name for name in bare.stdout.split() if name.startswith("jessyfile")} == {"jessyfile"}
