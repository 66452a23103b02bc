"""The stored results that a model was made of, found from its registered name or from its recipe's last apply.

A registration names a file and how it is served; which training, base and verdict are behind it stands in the records
of the runs (`planning.actions`): the record of `import` that made the registration names its inputs, theirs name
theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import ExportError, ProjectError
from jessyfile.export.registry import Registration, model_id, registered
from jessyfile.planning.actions import Action, Actions
from jessyfile.planning.state import load_state
from jessyfile.planning.store import Store
from jessyfile.results.facts import ImportFacts

if TYPE_CHECKING:
    from jessyfile.planning.steps import F, Json


@dataclass(frozen=True, slots=True)
class Lineage:
    """A model's name, the results that it was made of by step, and its registration when it was found by its name."""

    store: Store
    name: str
    steps: Mapping[str, Action]
    entry: Registration | None = None

    @property
    def said(self) -> str:
        """What is exported, in words: `jessy-v2:latest`, or the recipe's model."""
        return f"{self.name}:{self.entry.tag}" if self.entry is not None else self.name

    @property
    def adapter_step(self) -> str:
        """The step whose adapter was merged: `prefer` where preferences were learned."""
        merge = self.steps.get("merge")
        return "prefer" if merge is not None and "prefer" in merge.inputs else "train"

    def folder(self, step: str) -> Path:
        """Return the folder of a step's result, every byte checked.

        Raises ExportError when the result is not there any more, DamagedError when it is not as it was written.
        """
        action = self.steps.get(step)
        if action is None or not (self.store.folder / action.object).is_dir():
            raise self._gone(step)
        return self.store.verified(action.object)

    def facts(self, step: str, kind: type[F]) -> F | None:
        """Return what a step has said of its result, None when that is not known any more. Raises StateError."""
        return self.steps[step].facts_of(kind) if step in self.steps else None

    def value(self, step: str, address: str) -> Json:
        """Return a value of the recipe that a result was made from, None when it is not known any more."""
        return self.steps[step].parameters.get(address) if step in self.steps else None

    def _gone(self, step: str) -> ExportError:
        if self.entry is None and step not in self.steps:
            return ExportError(
                f"the last apply of `{self.name}` has no `{step}` that belongs to its newest training",
                hint="run `jessy apply` with its recipe to the end",
            )
        return ExportError(
            f"the result of `{step}` that {self.said} was made of is not in the store any more",
            hint="`jessy gc` removes what no kept run needs; `jessy apply` with its recipe makes it again",
        )


def of_model(root: Path, name: str, tag: str) -> Lineage:
    """Return the lineage of a registered model. Raises EngineError when nothing is registered under this name."""
    entry = registered(root, name, tag)
    known = _newest_first(Actions(root).every())
    made = next((action for action in known if _registers(action, entry)), None)
    if made is None:
        return Lineage(Store(root), name, {}, entry)
    steps = _ancestors(made, known)
    for step, above in (("evaluate", "import"), ("judge", "evaluate")):
        found = next((one for one in known if one.step == step and _reads(one, steps.get(above))), None)
        steps = {**(_ancestors(found, known) if found else {}), **steps}
    return Lineage(Store(root), name, steps, entry)


def of_recipe(root: Path, name: str) -> Lineage:
    """Return the lineage of what the last apply of a recipe made. Raises ProjectError when it was never applied.

    A result that was made from another one than its input's newest is left out: it belongs to an older model.
    """
    last = load_state(root, name).steps
    if not last:
        raise ProjectError(f"nothing was applied for `{name}` yet", hint="run `jessy apply` with its recipe first")
    steps: dict[str, Action] = {}
    while True:
        fresh = {
            step: action
            for step, action in last.items()
            if step not in steps and all(_object(steps, one) == made for one, made in action.inputs.items())
        }
        if not fresh:
            return Lineage(Store(root), name, steps)
        steps |= fresh


def _object(steps: Mapping[str, Action], step: str) -> str | None:
    """Return the object of a step's result, None when there is none."""
    return steps[step].object if step in steps else None


def _newest_first(actions: Iterable[Action]) -> list[Action]:
    return sorted(actions, key=lambda action: (action.run, action.made), reverse=True)


def _registers(action: Action, entry: Registration) -> bool:
    if action.step != "import":
        return False
    facts = action.facts_of(ImportFacts)
    same = facts.model in ("", model_id(entry)) and facts.digest == entry.digest
    return same and facts.name == entry.name and facts.engine == entry.engine


def _reads(action: Action, made: Action | None) -> bool:
    return made is not None and action.inputs.get(made.step) == made.object


def _ancestors(made: Action, known: Iterable[Action]) -> dict[str, Action]:
    """Return the records behind a result, itself included, the newest of those that made the same."""
    records = list(known)
    found, waiting = {made.step: made}, [made]
    while waiting:
        for step, wanted in waiting.pop().inputs.items():
            record = next((one for one in records if (one.step, one.object) == (step, wanted)), None)
            if record is not None and step not in found:
                found[step] = record
                waiting.append(record)
    return found
