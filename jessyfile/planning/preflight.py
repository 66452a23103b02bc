"""Preflight: the checks of each step before any step runs, on the recipe, its files and this machine.

A step's `preflight` yields findings as values, so that a plan shows all of them together and an apply refuses with
the same ones. Its `reach` says how far it may look: the recipe with the project's files (`jessy check`), this machine
as well (`jessy plan`, which stays offline), or the network too (`jessy plan --probe`, and an apply before its first
step).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from jessyfile import machine
from jessyfile.errors import InsufficientMemoryError, JessyError, PreflightError, StorageError
from jessyfile.planning.change_text import size

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.actions import Action
    from jessyfile.planning.steps import Step
    from jessyfile.results.typed_json import Record

Severity = Literal["error", "note", "warning"]
Reach = Literal["recipe", "machine", "network"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stops an apply (error), may spoil it (warning), or is good to know before it (note, without a code).

    `where` is its place as `file:line`.
    """

    severity: Severity
    code: str
    step: str
    message: str
    help: str = ""
    where: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        where = f" {self.where}:" if self.where else ""
        code = f"[{self.code}]" if self.code else ""
        line = f"{self.severity}{code}:{where} {self.message}"
        return f"{line}\n  = help: {self.help}" if self.help else line


@dataclass(frozen=True, slots=True)
class Kept:
    """A step whose earlier result is kept: what it returned, and its folder in the store."""

    facts: Record
    folder: Path


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a preflight is given: the recipe, which steps will or may run, what is kept of the others, and how far it
    may look. `step` is the step that looks, `last` what each step left when it was last applied.
    """

    recipe: Recipe
    root: Path
    running: Collection[str]
    kept: Mapping[str, Kept] = field(default_factory=dict)
    reach: Reach = "machine"
    step: str = ""
    last: Mapping[str, Action] = field(default_factory=dict)
    _made: dict[Callable[[Outlook], Any], Any] = field(default_factory=dict)

    @property
    def machine(self) -> bool:
        """Whether places outside the project may be read."""
        return self.reach != "recipe"

    @property
    def network(self) -> bool:
        """Whether servers may be asked."""
        return self.reach == "network"

    def once(self, make: Callable[[Outlook], T]) -> T:
        """Return what `make` finds out, worked out once for all the steps that ask."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    def error(self, error: JessyError, address: str = "") -> Finding:
        """Return the finding that stops an apply for this error; `address` names the value that is to blame."""
        return self._finding("error", error, address)

    def warning(self, error: JessyError, address: str = "") -> Finding:
        """Return the finding that tells of this error and lets an apply go on."""
        return self._finding("warning", error, address)

    def _finding(self, severity: Severity, error: JessyError, address: str) -> Finding:
        source = self.recipe.source(address) if address else None
        where = str(source) if source else ""
        return Finding(severity, error.code, self.step, error.message, error.hint or "", where)


def preflight(
    steps: Sequence[Step], outlook: Outlook, peaks: Mapping[str, int | None] | None = None
) -> tuple[Finding, ...]:
    """Ask every step that will or may run; return what was found, errors first.

    `peaks` are the bytes of memory that the steps are expected to take.
    """
    running = [step for step in steps if step.name in outlook.running]
    found = [finding for step in running for finding in _of(step, outlook)]
    if outlook.machine:
        found += _disk(running, outlook)
        told = {finding.step for finding in found if finding.code == InsufficientMemoryError.code}
        found += _memory([step for step in running if step.name not in told], outlook, peaks or {})
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: finding.severity))


def about(steps: Sequence[Step], outlook: Outlook) -> tuple[Finding, ...]:
    """Return what the steps tell of themselves whether they run or not; nothing where only the recipe may be read."""
    telling = [step for step in steps if step.about is not None] if outlook.machine else []
    return tuple(found for step in telling if step.about for found in step.about(replace(outlook, step=step.name)))


def refuse(findings: Sequence[Finding]) -> None:
    """Raise PreflightError when any finding is an error."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if len(errors) == 1:
        where = f" ({errors[0].where})" if errors[0].where else ""
        raise PreflightError(f"nothing was started: {errors[0].message}{where}", errors, hint=errors[0].help or None)
    if errors:
        listed = "".join(f"\n{finding}" for finding in errors)
        raise PreflightError(f"nothing was started: {len(errors)} problems stop it{listed}", errors)


def _of(step: Step, outlook: Outlook) -> Iterator[Finding]:
    if step.preflight is None:
        return
    own = replace(outlook, step=step.name)
    try:
        yield from step.preflight(own)
    except JessyError as error:
        yield own.error(error)


def writes(steps: Sequence[Step], outlook: Outlook) -> Mapping[str, int]:
    """Return about how many bytes each step will write that will or may run, as far as that is known."""
    running = [step for step in steps if step.name in outlook.running] if outlook.machine else []
    return {step.name: step.disk(replace(outlook, step=step.name)) for step in running if step.disk is not None}


def _disk(running: Sequence[Step], outlook: Outlook) -> Iterator[Finding]:
    """Compare what the steps will write with the room there is."""
    needed = writes(running, outlook)
    total, free = sum(needed.values()), shutil.disk_usage(outlook.root).free
    if total > free:
        shares = ", ".join(f"{name} {size(share)}" for name, share in needed.items() if share)
        error = StorageError(
            f"this will write about {size(total)} ({shares}) and the disk of the project has {size(free)} left",
            hint="free some, or remove results that nothing needs with `jessy gc`",
        )
        yield replace(outlook, step=max(needed, key=lambda name: needed[name])).error(error)


def _memory(running: Sequence[Step], outlook: Outlook, peaks: Mapping[str, int | None]) -> Iterator[Finding]:
    total = machine.memory()
    for step in running:
        peak = peaks.get(step.name)
        if peak and total and peak > total:
            message = f"{step.name} is expected to need {size(peak)} of memory and this machine has {size(total)}"
            own = replace(outlook, step=step.name)
            hint = step.smaller(own, total / peak) if step.smaller else "take a smaller base, or close other programs"
            yield own.warning(InsufficientMemoryError(message, hint=hint))
