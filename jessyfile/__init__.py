"""Declarative fine-tuning of small local models: a recipe, a plan, a proof.

The public API. Each name is imported when it is first used, so that `import jessyfile` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample, Turn
    from jessyfile.dataset.generator import TrainingDataGenerator
    from jessyfile.dataset.labels import Category, Complexity, Language
    from jessyfile.dataset.training_data import DatasetMetadata, TrainingDataset
    from jessyfile.dataset.validation import ValidationReport, validate_training_data
    from jessyfile.engines.engine import Engine
    from jessyfile.errors import (
        ConvergenceError,
        DatasetError,
        EngineError,
        EvaluationError,
        ExportError,
        InsufficientMemoryError,
        Interrupted,
        JessyError,
        ModelError,
        ProjectError,
        RecipeError,
        StorageError,
        TrainingError,
    )
    from jessyfile.evaluation.comparison import ComparisonReport, EvaluationMetrics
    from jessyfile.evaluation.evaluator import Evaluator
    from jessyfile.export.exporter import ModelExporter
    from jessyfile.language.diagnostics import Diagnostic
    from jessyfile.language.format import format_text
    from jessyfile.language.loading import Loaded, load_recipe
    from jessyfile.language.recipe import Recipe
    from jessyfile.language.render import render_diagnostics
    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import RunResult
    from jessyfile.run_recipe import apply, plan
    from jessyfile.training.config import LoRAConfig, TrainingConfig
    from jessyfile.training.fine_tuner import MLXFineTuner
    from jessyfile.training.held_out import Metrics
    from jessyfile.training.metrics import TrainingMetrics

__version__ = "0.1.0"

_WHERE = {
    "dataset.example": ("TrainingExample", "Turn"),
    "dataset.generator": ("TrainingDataGenerator",),
    "dataset.labels": ("Category", "Complexity", "Language"),
    "dataset.training_data": ("DatasetMetadata", "TrainingDataset"),
    "dataset.validation": ("ValidationReport", "validate_training_data"),
    "engines.engine": ("Engine",),
    "errors": (
        *("ConvergenceError", "DatasetError", "EngineError", "EvaluationError", "ExportError"),
        *("InsufficientMemoryError", "Interrupted", "JessyError", "ModelError", "ProjectError"),
        *("RecipeError", "StorageError", "TrainingError"),
    ),
    "evaluation.comparison": ("ComparisonReport", "EvaluationMetrics"),
    "evaluation.evaluator": ("Evaluator",),
    "export.exporter": ("ModelExporter",),
    "language.diagnostics": ("Diagnostic",),
    "language.format": ("format_text",),
    "language.loading": ("Loaded", "load_recipe"),
    "language.recipe": ("Recipe",),
    "language.render": ("render_diagnostics",),
    "planning.plan": ("Plan",),
    "planning.run": ("RunResult",),
    "run_recipe": ("apply", "plan"),
    "training.config": ("LoRAConfig", "TrainingConfig"),
    "training.fine_tuner": ("MLXFineTuner",),
    "training.held_out": ("Metrics",),
    "training.metrics": ("TrainingMetrics",),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Category",
    "ComparisonReport",
    "Complexity",
    "ConvergenceError",
    "DatasetError",
    "DatasetMetadata",
    "Diagnostic",
    "Engine",
    "EngineError",
    "EvaluationError",
    "EvaluationMetrics",
    "Evaluator",
    "ExportError",
    "InsufficientMemoryError",
    "Interrupted",
    "JessyError",
    "Language",
    "LoRAConfig",
    "Loaded",
    "MLXFineTuner",
    "Metrics",
    "ModelError",
    "ModelExporter",
    "Plan",
    "ProjectError",
    "Recipe",
    "RecipeError",
    "RunResult",
    "StorageError",
    "TrainingConfig",
    "TrainingDataGenerator",
    "TrainingDataset",
    "TrainingError",
    "TrainingExample",
    "TrainingMetrics",
    "Turn",
    "ValidationReport",
    "__version__",
    "apply",
    "format_text",
    "load_recipe",
    "plan",
    "render_diagnostics",
    "validate_training_data",
]


if not TYPE_CHECKING:  # a type checker that saw this would take any name for a public one

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'jessyfile' has no attribute {name!r}")
        return getattr(importlib.import_module(f"jessyfile.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
