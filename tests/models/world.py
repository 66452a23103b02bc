"""A step's context without a pipeline around it."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from jessyfile.language.recipe import Complexity, Level
from jessyfile.planning.canonical import normal
from jessyfile.planning.steps import StepContext


@dataclass
class Heard:
    notes: list = field(default_factory=list)
    updates: list = field(default_factory=list)

    def update(self, done, total=None, *, text=""):
        self.updates.append((done, total, text))

    def note(self, text):
        self.notes.append(text)


def context(root: Path, recipe, inputs=None, facts=None, stop=False, step="step"):
    """Return a StepContext whose folders lie under `root`, and make them."""
    output, work = root / ".jessy" / "store" / step, root / ".jessy" / "work" / step
    output.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    return StepContext(
        recipe=recipe, root=root, output=output, work=work, inputs=inputs or {}, facts=normal(facts or {}),
        progress=Heard(), stop=SimpleNamespace(requested=lambda: stop), name=step,
    )  # fmt: skip


def recipe(root: Path, **settings):
    """Return what the steps of models and export read of a recipe."""
    deploy = SimpleNamespace(engine="embedded", ollama="http://127.0.0.1:9", dotenv=None)
    base = {
        "name": "tiny", "base": "./model", "adapter": None, "system": "Kısa konuş.", "template": None, "requires": None,
        "parameters": (), "messages": (), "licenses": (), "path": root / "tiny.jessy", "deploy": deploy, "retrieve": None, "routes": (),
        "export": SimpleNamespace(format="gguf", quantize="f16"),
        "lora": SimpleNamespace(trained=None),
        "complexity": Complexity((Level("low", (1, 2), 5.0),), "[{level} {iterations}]"),
    }  # fmt: skip
    return SimpleNamespace(**{**base, **settings})
