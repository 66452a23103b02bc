"""What an apply would do, and why (a dry run). Nothing is started, and nothing outside `.jessy` is written."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from jessyfile import fsops
from jessyfile.errors import StorageError
from jessyfile.planning.actions import Actions
from jessyfile.planning.canonical import digest
from jessyfile.planning.decide import Answer, Decider, Decision
from jessyfile.planning.effects import Effect, step_effects, strongest
from jessyfile.planning.fingerprint import FileHashes, fingerprint
from jessyfile.planning.forecast import Between, Forecast, Forecaster, load_timings
from jessyfile.planning.graph import expand, select
from jessyfile.planning.preflight import Finding, Kept, Outlook, Reach, about, preflight, writes
from jessyfile.planning.reasons import Reason, reasons
from jessyfile.planning.state import State, load_state
from jessyfile.planning.store import Store
from jessyfile.project import relative, work_folder
from jessyfile.results.facts import EncodeFacts, PromoteFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import Step

PLAN_FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan. `cause` says that it has a reason of its own; a step without one only follows another step.

    `fingerprint` is known when every input's result is known. `resumes` says that an interrupted run left saved work
    from which the step continues. `made_by` is the model whose apply, earlier in the same command, makes this very
    result: the step itself runs then no more.
    """

    name: str
    title: str
    answer: Answer
    reasons: tuple[Reason, ...]
    own: str
    fingerprint: str | None
    effect: Effect
    forecast: Forecast | None = None
    resumes: bool = False
    made_by: str | None = None

    @property
    def cause(self) -> bool:
        """Whether the step runs for a reason of its own."""
        return self.made_by is None and any(reason.kind != "input" for reason in self.reasons)

    @property
    def runs(self) -> bool:
        """Whether it will or may run."""
        return self.answer != "reused" and self.made_by is None

    @property
    def seconds(self) -> float | None:
        """How long it should take, None where no run of before says so."""
        return self.forecast.seconds if self.forecast else None

    @property
    def between(self) -> Between | None:
        """Between how many seconds it should take, by sizes where no run of before says so; None where nothing does."""
        if self.forecast is None or self.forecast.seconds is None:
            return self.forecast.between if self.forecast else None
        return self.forecast.seconds, self.forecast.seconds


@dataclass(frozen=True, slots=True)
class Selection:
    """`--only`, `--skip` and `--replace` as they were asked."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer for every selected step. `promotion` are the facts of a kept `promote` step, None when it runs or is
    left out; `mask` those of a kept `encode` step; `findings` is what is known to be wrong before any step runs, `about`
    what stands at the top: which weights are the base, `written` about how many bytes each step that runs will write."""

    name: str
    recipe: str
    root: Path
    state: State
    selection: Selection
    steps: tuple[PlannedStep, ...]
    promotion: PromoteFacts | None
    last_seconds: float | None
    mask: EncodeFacts | None = None
    findings: tuple[Finding, ...] = ()
    about: tuple[str, ...] = ()
    written: Mapping[str, int] = field(default_factory=dict)

    @property
    def disk(self) -> int:
        """About how many bytes the steps that run will write."""
        running = {step.name for step in self.steps if step.runs}
        return sum(size for name, size in self.written.items() if name in running)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What an apply would refuse before its first step."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def changes(self) -> bool:
        """Whether any step will or may run."""
        return any(step.runs for step in self.steps)

    @property
    def effect(self) -> Effect:
        """The costliest effect among the steps that run for a reason of their own."""
        return strongest([step.effect for step in self.steps if step.cause])

    @property
    def withheld(self) -> str | None:
        """Why the kept result is not promoted; None when it is, or when `promote` runs."""
        return self.promotion.withheld if self.promotion is not None else None

    @property
    def digest(self) -> str:
        """A hash over everything that an apply of this plan would decide; a saved plan is stale when it differs."""
        rows = [[step.name, step.answer, step.own, step.fingerprint] for step in self.steps]
        return digest({"name": self.name, "steps": rows, "replace": sorted(self.selection.replace)})


def make_plan(
    recipe: Recipe, root: Path, steps: Sequence[Step], selection: Selection | None = None, *, reach: Reach = "machine"
) -> Plan:
    """Plan a recipe's steps without running or changing anything (a dry run).

    Args:
        recipe: the recipe.
        root: the project's root folder.
        steps: the recipe's steps, every step after its inputs.
        selection: which steps to take, leave out or run again; all are taken unless given.
        reach: how far the preflight checks may look: at the recipe alone, at the machine too, or at the network too.

    Returns:
        The plan.

    Raises:
        StateError: the state is damaged or was written by a newer jessy.
        ProjectError: the selection names a step that does not exist.
    """
    selection = selection or Selection()
    return plan_with(make_decider(recipe, root, steps, selection, asks=reach == "network"), steps, selection, reach)


def plan_with(decider: Decider, steps: Sequence[Step], selection: Selection, reach: Reach) -> Plan:
    """Plan with a decider that the caller keeps; an apply goes on to use it.

    Args:
        decider: decides about each step, and remembers hashes.
        steps: the recipe's steps, every step after its inputs.
        selection: which steps to take, leave out or run again.
        reach: how far the preflight checks may look: at the recipe alone, at the machine too, or at the network too.

    Returns:
        The plan.

    Raises:
        StateError: the state is damaged or was written by a newer jessy.
        ProjectError: the selection names a step that does not exist.
    """
    recipe, root = decider.recipe, decider.root
    with fsops.disk_errors(root):
        state = load_state(root, recipe.name)
        forecaster = Forecaster(load_timings(root), recipe, root, steps)
        chosen = select(steps, selection.only, selection.skip)
        decided, decisions = _walk(chosen, decider, state, step_effects(steps))
        outlook = replace(_outlook(decided, decisions, decider, reach), last=state.steps)
        planned = tuple(_forecast(step, decisions[step.name], outlook, forecaster) for step in decided)
        peaks = {step.name: step.forecast.peak for step in planned if step.forecast}
        told = about(chosen, outlook)
        findings = (*preflight(steps, outlook, peaks), *(one for one in told if one.severity != "note"))
    # a plan must work on a disk that is full or read-only; without this the next plan is only slower
    with contextlib.suppress(StorageError):
        decider.hashes.save()
    kept = {name: decision.action for name, decision in decisions.items() if decision.action}
    where, last = relative(recipe.path, root), forecaster.last_full_run()
    promotion = kept["promote"].facts_of(PromoteFacts) if "promote" in kept else None
    mask = kept["encode"].facts_of(EncodeFacts) if "encode" in kept else None
    written = writes(steps, outlook)
    notes = tuple(one.message for one in told if one.severity == "note")
    return Plan(recipe.name, where, root, state, selection, planned, promotion, last, mask, findings, notes, written)


def _outlook(
    decided: Sequence[PlannedStep], decisions: Mapping[str, Decision], decider: Decider, reach: Reach
) -> Outlook:
    kept = {
        name: Kept(decision.action.facts, decider.store.place(decision.action.object))
        for name, decision in decisions.items()
        if decision.action
    }
    return Outlook(decider.recipe, decider.root, {step.name for step in decided if step.runs}, kept, reach)


def _forecast(planned: PlannedStep, decision: Decision, outlook: Outlook, forecaster: Forecaster) -> PlannedStep:
    """Return a step that runs with what it should take."""
    if not planned.runs:
        return planned
    step = decision.step
    kept = {name: outlook.kept[name].facts for name in step.inputs if name in outlook.kept}
    own = replace(outlook, step=step.name)
    sized = step.peak(own) if step.peak else None
    between = step.estimate(own) if step.estimate and outlook.machine else None
    return replace(planned, forecast=forecaster.of(step, kept, sized, between))


def _walk(
    chosen: Sequence[Step], decider: Decider, state: State, effects: Mapping[str, Effect]
) -> tuple[tuple[PlannedStep, ...], Mapping[str, Decision]]:
    """Decide about every step in order, each in the light of those before."""
    decisions: dict[str, Decision] = {}
    planned: list[PlannedStep] = []
    pending = False
    for step in chosen:
        inputs = {name: decisions[name].output for name in step.inputs}
        decision = decisions[step.name] = decider.decide(step, inputs, pending=pending)
        planned.append(_planned(decision, inputs, state, decider, effects[step.name]))
        pending = pending or decision.answer != "reused"
    return tuple(planned), decisions


def make_decider(
    recipe: Recipe,
    root: Path,
    steps: Sequence[Step],
    selection: Selection,
    *,
    thorough: bool = False,
    asks: bool = False,
) -> Decider:
    """Return the decider for a recipe's steps; plan and apply both use it.

    Args:
        recipe: the recipe.
        root: the project's root folder.
        steps: the recipe's steps, every step after its inputs.
        selection: names the steps that `--replace` runs again.
        thorough: hash files of 64 MiB and more again even when their size, inode and times are unchanged.
        asks: ask the servers too whether what a step did there still stands.

    Returns:
        The decider.
    """
    replace = frozenset(expand(steps, selection.replace))
    return Decider(recipe, root, Store(root), Actions(root), FileHashes(root, thorough), replace, asks)


def work_place(root: Path, step: str, fingerprint: str) -> Path:
    """Return where a step of this fingerprint keeps what survives an interruption."""
    return work_folder(root) / f"{quote(step, safe='')}-{fingerprint[:24]}"


def _planned(
    decision: Decision,
    inputs: Mapping[str, str | None],
    state: State,
    decider: Decider,
    effect: Effect,
) -> PlannedStep:
    step = decision.step
    known = {name: object_id for name, object_id in inputs.items() if object_id is not None}
    mark = fingerprint(decision.own.hash, known) if len(known) == len(inputs) else None
    resumes = (
        decision.answer == "will"
        and step.resumable
        and mark is not None
        and work_place(decider.root, step.name, mark).is_dir()
    )
    return PlannedStep(
        name=step.name,
        title=step.title,
        answer=decision.answer,
        reasons=reasons(decision, state.steps.get(step.name), inputs, decider.recipe),
        own=decision.own.hash,
        fingerprint=mark,
        effect=effect,
        resumes=resumes,
    )
