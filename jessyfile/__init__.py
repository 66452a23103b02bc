"""Declarative fine-tuning of small local models: a recipe, a plan, a proof.

The public API. Each name is imported when it is first used, so that `import jessyfile` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_recipe": "language",
    "render_diagnostics": "language",
    "format_text": "language",
    "Diagnostic": "language",
    "Recipe": "language.recipe",
    "compile_steps": "pipeline",
    "make_plan": "planning.plan",
    "apply": "planning.run",
    "TrainingExample": "dataset.example",
    "TrainingDataset": "dataset.training_data",
    "TrainingDataGenerator": "dataset.training_data",
    "ValidationReport": "dataset.training_data",
    "validate_training_data": "dataset.training_data",
    "Engine": "engines.engine",
    "JessyError": "errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (the public names are of every kind)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'jessyfile' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jessyfile.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
