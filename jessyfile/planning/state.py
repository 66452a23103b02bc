"""What was last applied for a recipe: `.jessy/state/<name>.json`. Plans take their old values from here; results lie
in the store."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jessyfile import fsops
from jessyfile.errors import StateError
from jessyfile.planning.actions import Action, action_from_json
from jessyfile.planning.canonical import sealed, unsealed
from jessyfile.planning.formats import FORMATS, require_format
from jessyfile.project import relative, state_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jessyfile.planning.steps import F

_FORM = FORMATS["state"]


@dataclass(frozen=True, slots=True)
class State:
    """The last known result of each step of the recipe called `name`.

    `serial` grows with every write, `lineage` stays: together they tell a newer state from a foreign one. `run` is
    the last run's number (0: none), `applied` its end in ISO 8601, `recipe` its file as seen from the root.
    """

    name: str
    lineage: str
    serial: int = 0
    run: int = 0
    applied: str = ""
    recipe: str = ""
    steps: Mapping[str, Action] = field(default_factory=dict)

    def facts_of(self, step: str, kind: type[F]) -> F | None:
        """Return what a step has said of its last result, None when it has none. Raises StateError."""
        return self.steps[step].facts_of(kind) if step in self.steps else None

    def with_step(self, action: Action) -> State:
        """Return the state after one more step has this result."""
        return replace(self, serial=self.serial + 1, steps={**self.steps, action.step: action})


def load_state(root: Path, name: str) -> State:
    """Read a recipe's state; one that was never applied has an empty state.

    Raises StateError when it was written by a newer or an older jessy, is damaged, or is another recipe's, whose name differs in
    capital letters only.
    """
    path = state_file(root, name)
    try:
        data = fsops.read_bytes(path)
    except FileNotFoundError:
        return State(name, uuid.uuid4().hex)
    with contextlib.suppress(ValueError, RecursionError):  # a newer file may be sealed in another way
        require_format("state", json.loads(data), relative(path, root))
    body = unsealed(data)
    if body is None:
        raise _damaged(relative(path, root))
    try:
        state = _from_json(body)
    except (KeyError, TypeError, AttributeError):
        raise _damaged(relative(path, root)) from None
    if state.name != name:
        raise StateError(
            f"`{name}` and `{state.name}` are the same name on this disk", hint="give one of them another NAME"
        )
    return state


def save_state(root: Path, state: State) -> None:
    """Write a recipe's state in one step."""
    body = {name: getattr(state, name) for name in ("name", "lineage", "serial", "run", "applied", "recipe")}
    steps = {name: action.as_json() for name, action in state.steps.items()}
    fsops.write_text(state_file(root, state.name), sealed({_FORM.key: _FORM.newest, **body, "steps": steps}))


def state_names(root: Path) -> list[str]:
    """Return the names of all recipes that were applied under a root."""
    folder = state_file(root, "x").parent
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(unquote(name[:-5]) for name in names if name.endswith(".json") and not name.startswith("."))


def _from_json(body: Mapping[str, Any]) -> State:
    steps = {str(name): action_from_json(action) for name, action in body["steps"].items()}
    return State(
        body["name"], body["lineage"], int(body["serial"]), int(body["run"]), body["applied"], body["recipe"], steps
    )


def _damaged(where: str) -> StateError:
    return StateError(
        f"`{where}` is damaged",
        hint="remove it: every result stays in the store, and the next apply finds them again",
    )
