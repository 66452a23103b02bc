"""The memory of every run of a step (a cache entry): fingerprint -> object, facts, seconds. When the user goes back
to an old value, its result is found here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jessyfile import fsops
from jessyfile.planning.canonical import sealed, unsealed
from jessyfile.planning.fingerprint import Own, fingerprint
from jessyfile.planning.formats import FORMATS, require_format
from jessyfile.project import jessy_folder, relative
from jessyfile.results.facts import CommonFacts
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jessyfile.planning.steps import F, Json
    from jessyfile.results.typed_json import Record

_FORM = FORMATS["record"]


@dataclass(frozen=True, slots=True)
class Action:
    """One finished run of a step.

    `own` is the hash of the step's own values and files, `inputs` the object of each input, `object` its output.
    `seconds` is wall time, `peak` the process's peak of resident memory during the step in bytes (0: unknown).
    `facts` are no part of any hash.
    """

    step: str
    own: str
    inputs: Mapping[str, str]
    object: str
    facts: Record
    seconds: float
    peak: int
    run: int
    made: str
    parameters: Mapping[str, Json]
    files: Mapping[str, str]
    version: int

    @property
    def fingerprint(self) -> str:
        """The fingerprint under which this result is found again."""
        return fingerprint(self.own, self.inputs)

    @property
    def own_part(self) -> Own:
        """The step's own values and files of that run."""
        return Own(self.parameters, self.files, self.version, self.own)

    @property
    def common(self) -> CommonFacts:
        """What any step's facts may say."""
        return read_as(CommonFacts, self.facts, f"the record of `{self.step}`")

    def facts_of(self, kind: type[F]) -> F:
        """Return what the step has said of its result. Raises StateError when its record does not fit."""
        return read_as(kind, self.facts, f"the record of `{self.step}`")

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def action_from_json(body: Mapping[str, Any]) -> Action:
    """Read what `Action.as_json` gave. Raises KeyError when a field is missing."""
    return Action(**{name: body[name] for name in Action.__slots__})


@dataclass(slots=True)
class Actions:
    """All remembered runs under one project's root, a file each; a damaged record counts as forgotten.

    Reading raises StateError for a record of a newer or an older jessy.
    """

    root: Path
    _names: dict[str, list[str]] = field(default_factory=dict)

    def of(self, step: str, own: str) -> list[Action]:
        """Return every remembered run of a step with this own hash, whatever its inputs were."""
        found = (self._read(self._folder(step) / name) for name in self._list(step) if name.startswith(own[:20]))
        return [action for action in found if action is not None and action.own == own and action.step == step]

    def every(self) -> list[Action]:
        """Return every remembered run of every step."""
        folder = self._folder("").parent
        steps = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        found = (self._read(path) for step in steps for path in fsops.files_under(step))
        return [action for action in found if action is not None]

    def remember(self, action: Action) -> None:
        """Keep a run; an earlier one of the same fingerprint is replaced."""
        fsops.write_text(self._file(action), sealed({_FORM.key: _FORM.newest, **action.as_json()}))
        self._names.pop(action.step, None)

    def forget(self, action: Action) -> None:
        """Remove a run's record."""
        fsops.remove_tree(self._file(action))
        self._names.pop(action.step, None)

    def _file(self, action: Action) -> Path:
        return self._folder(action.step) / f"{action.own[:20]}-{action.fingerprint[:20]}.json"

    def _folder(self, step: str) -> Path:
        # quoted, and never a bare `.` or `..`: a step's name carries a category's name out of a recipe
        return jessy_folder(self.root) / "actions" / f"s-{quote(step, safe='')}"

    def _list(self, step: str) -> list[str]:
        if step not in self._names:
            folder = self._folder(step)
            self._names[step] = sorted(os.listdir(folder)) if folder.is_dir() else []
        return self._names[step]

    def _read(self, path: Path) -> Action | None:
        try:
            body = unsealed(fsops.read_bytes(path))
        except FileNotFoundError:
            return None
        require_format("record", body, relative(path, self.root))
        try:
            return action_from_json(body) if body else None
        except KeyError:
            return None
