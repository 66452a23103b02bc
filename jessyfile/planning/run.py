"""Run the steps of a recipe: what `decide` says will run is run, and its result is committed before the next step
begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from jessyfile import fsops
from jessyfile.errors import DamagedError, Interrupted, JessyError, StalePlanError
from jessyfile.machine import described
from jessyfile.planning.actions import Action
from jessyfile.planning.canonical import normal
from jessyfile.planning.fingerprint import fingerprint
from jessyfile.planning.forecast import Forecaster, Timing, load_timings
from jessyfile.planning.formats import FORMATS
from jessyfile.planning.graph import select
from jessyfile.planning.maintenance import sweep
from jessyfile.planning.mutex import project_lock
from jessyfile.planning.plan import Plan, Selection, make_decider, plan_with, work_place
from jessyfile.planning.plan_json import plan_as_json
from jessyfile.planning.preflight import refuse
from jessyfile.planning.runs import RESULT, VALUES, RecordedStep, Run, RunRecord, RunValues, new_run, now
from jessyfile.planning.state import State, load_state, save_state
from jessyfile.planning.step_cost import Measured, measured, release_memory
from jessyfile.planning.steps import F, Progress, Step, StepContext, Stop
from jessyfile.results.facts import CommonFacts, PromoteFacts
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.decide import Decider, Decision


class Observer(Protocol):
    """Who is told how an apply goes; the command line draws it."""

    def planned(self, plan: Plan) -> None:
        """Hear what will be done, before anything is."""

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Hear that a step starts; return where it says how far it is."""

    def ended(self, result: StepResult) -> None:
        """Hear how a step ended."""

    def note(self, text: str) -> None:
        """Hear one line worth keeping."""


class Silent:
    """An observer, a progress and a stop that do nothing."""

    def planned(self, plan: Plan) -> None:
        """Ignore the plan."""

    def started(self, step: Step, number: int, total: int) -> Progress:  # noqa: ARG002 (the protocol's signature)
        """Ignore the start."""
        return self

    def ended(self, result: StepResult) -> None:
        """Ignore the end."""

    def note(self, text: str) -> None:
        """Ignore the line."""

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Ignore the progress."""

    def requested(self) -> bool:
        """Never stop."""
        return False


@dataclass(frozen=True, slots=True)
class Brought:
    """What a step would make, made in another process: the files of its result, those for the run's own folder, what it returned, its wall
    seconds, and whether it went on from saved work."""

    fingerprint: str
    output: Path
    log: Path
    facts: Record
    seconds: float
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step: its result's folder and facts, and whether it ran now or a remembered result was taken.

    `seconds` and `peak` (bytes) are those of the run that made the result, now or earlier.
    """

    name: str
    outcome: Literal["ran", "reused"]
    object: str
    folder: Path
    facts: Record
    seconds: float
    peak: int

    def facts_of(self, kind: type[F]) -> F:
        """Return what the step has said of its result. Raises StateError when its record does not fit."""
        return read_as(kind, self.facts, f"the record of `{self.name}`")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What an apply brought about. `run` is None when there was nothing to do; `seconds` is its wall time; `graph` are
    all of the recipe's steps, also those that were left out."""

    name: str
    plan: Plan
    run: Run | None
    steps: tuple[StepResult, ...]
    seconds: float
    graph: tuple[Step, ...] = ()

    def step(self, name: str) -> StepResult | None:
        """Return one step's result; None when it was left out."""
        return next((step for step in self.steps if step.name == name), None)

    def facts_of(self, name: str, kind: type[F]) -> F | None:
        """Return what a step has said of its result; None when it was left out. Raises StateError."""
        step = self.step(name)
        return step.facts_of(kind) if step is not None else None

    @property
    def withheld(self) -> str | None:
        """Why the candidate was not promoted; None when it was, or when `promote` was left out."""
        promote = self.facts_of("promote", PromoteFacts)
        return promote.withheld if promote is not None else None

    @property
    def exit_code(self) -> int:
        """0, or 3 when everything was done but a MUST failed."""
        return 3 if self.withheld is not None else 0


def apply(
    recipe: Recipe,
    root: Path,
    steps: Sequence[Step],
    selection: Selection | None = None,
    *,
    saved: str | None = None,
    observer: Observer | None = None,
    stop: Stop | None = None,
    what: str = "jessy apply",
) -> RunResult:
    """Plan under the project's lock, tell the observer, and run what the plan says.

    Args:
        recipe: the recipe.
        root: the project's root folder.
        steps: the recipe's steps, every step after its inputs.
        selection: which steps to take, leave out or run again; all are taken unless given.
        saved: the digest of a saved plan; the new plan must equal it.
        observer: told of the plan and of each step.
        stop: asked while steps run.
        what: the name of the program, shown to others that find the project locked.

    Returns:
        The result of each step.

    Raises:
        LockedError: another process writes in this project.
        ProjectError: the saved plan is stale.
        Interrupted: a stop was requested; what is finished is kept.
        JessyError: whatever a step raises.
    """
    with fsops.disk_errors(root), project_lock(root, what):
        return apply_locked(recipe, root, steps, selection, saved=saved, observer=observer, stop=stop, what=what)


def apply_locked(
    recipe: Recipe,
    root: Path,
    steps: Sequence[Step],
    selection: Selection | None = None,
    *,
    saved: str | None = None,
    observer: Observer | None = None,
    stop: Stop | None = None,
    what: str = "jessy apply",
    brought: Brought | None = None,
) -> RunResult:
    """Do what `apply` does, for a caller who holds the project's lock.

    Args:
        recipe: the recipe.
        root: the project's root folder.
        steps: the recipe's steps, every step after its inputs.
        selection: which steps to take, leave out or run again; all are taken unless given.
        saved: the digest of a saved plan; the new plan must equal it.
        observer: told of the plan and of each step.
        stop: asked while steps run.
        what: the name of the program, written into the run.
        brought: a step's result that another process made: it is stored, and the step is not run.

    Returns:
        The result of each step.

    Raises:
        ProjectError: the saved plan is stale.
        Interrupted: a stop was requested; what is finished is kept.
        JessyError: whatever a step raises.
    """
    silent, chosen = Silent(), selection or Selection()
    decider = make_decider(recipe, root, steps, chosen, thorough=True, asks=True)
    plan = plan_with(decider, steps, chosen, "network")
    if saved is not None and saved != plan.digest:
        raise StalePlanError(
            "the saved plan is stale: the recipe, a file or the store changed since",
            hint="make a new one with `jessy plan -o`",
        )
    (observer or silent).planned(plan)
    refuse(plan.findings)
    told = observer or silent
    return _Apply(recipe, root, tuple(steps), plan, decider, told, stop or silent, what, brought).go()


@dataclass(slots=True)
class _Apply:
    """One apply under way."""

    recipe: Recipe
    root: Path
    steps: tuple[Step, ...]
    plan: Plan
    decider: Decider
    observer: Observer
    stop: Stop
    what: str
    brought: Brought | None = None
    run: Run | None = None
    results: dict[str, StepResult] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    resumed: set[str] = field(default_factory=set)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = load_state(self.root, self.recipe.name)

    def go(self) -> RunResult:
        start = time.perf_counter()
        self._sweep()
        if self.plan.changes:
            self.run = new_run(self.root)
            self.run.write("plan.json", plan_as_json(self.plan))
            self.run.write(VALUES, _values(self.recipe))
            self._event(
                "run_started", recipe=self.plan.recipe, name=self.recipe.name, command=self.what, machine=described()
            )
        try:
            self._walk()
        except BaseException as error:
            self._failed(error)
            raise
        return self._finish(time.perf_counter() - start)

    def _sweep(self) -> None:
        """Remove what killed processes left half made, and the work of steps that cannot take it up again."""
        sweep(self.root, [step.name for step in self.steps if not step.resumable])

    def _walk(self) -> None:
        chosen = select(self.steps, self.plan.selection.only, self.plan.selection.skip)
        while len(self.results) < len(chosen):
            number = len(self.results)
            try:
                self._one(chosen[number], number + 1, len(chosen))
            except _DamagedInputError as error:
                self._drop(error)

    def _one(self, step: Step, number: int, total: int) -> None:
        inputs = {name: self.results[name].object for name in step.inputs}
        decision = self.decider.decide(step, dict(inputs))
        if decision.action is not None:
            self._take(decision.action)
            return
        self._check_inputs(step)
        if self.stop.requested():
            raise Interrupted("stopped before the next step; everything done so far is kept")
        self._take(self._execute(decision, inputs, number, total))

    def _check_inputs(self, step: Step) -> None:
        for name in step.inputs:
            try:
                self.decider.store.verified(self.results[name].object)
            except DamagedError as error:
                raise _DamagedInputError(self.results[name].object, error) from error

    def _drop(self, error: _DamagedInputError) -> None:
        self.observer.note(f"{error.message}; making it again")
        self._event("damaged", object=error.object_id, message=error.message)
        self.decider.store.remove(error.object_id)
        # decisions that relied on the lost object are made again
        self.decider.replace -= self.ran
        self.results.clear()

    def _execute(self, decision: Decision, inputs: Mapping[str, str], number: int, total: int) -> Action:
        step, store = decision.step, self.decider.store
        mark = fingerprint(decision.own.hash, inputs)
        work, brought = self._work(step, mark), self.brought
        if brought is not None and brought.fingerprint != mark:
            brought = None
        progress = self.observer.started(step, number, total)
        if brought.resumed if brought else any(work.iterdir()):
            self.resumed.add(step.name)
        self._event("step_started", step=step.name, resumed=step.name in self.resumed)
        try:
            with store.staged() as output, measured() as cost:
                facts = self._taken_in(brought, output) if brought else self._run(step, output, work, progress)
                self._unchanged(decision)
                object_id = store.commit(output)
        except BaseException:
            if not step.resumable:
                fsops.remove_tree(work)
            raise
        release_memory(cost)
        cost = replace(cost, seconds=brought.seconds) if brought else cost
        action = self._action(decision, inputs, object_id, facts, cost)
        self._remove_damaged(decision)
        self.decider.actions.remember(action)
        self.ran.add(step.name)
        return action

    def _remove_damaged(self, decision: Decision) -> None:
        """Remove earlier results of the step that are damaged: a result with timings in it never has their name again."""
        store = self.decider.store
        for action in self.decider.actions.of(decision.step.name, decision.own.hash):
            if not store.has(action.object):
                store.remove(action.object)

    def _action(
        self, decision: Decision, inputs: Mapping[str, str], object_id: str, facts: Record, cost: Measured
    ) -> Action:
        own, peak = decision.own, read_as(CommonFacts, facts, decision.step.name).peak_bytes or cost.peak
        number = self.run.number if self.run else 0
        return Action(
            step=decision.step.name,
            own=own.hash,
            inputs=inputs,
            object=object_id,
            facts=facts,
            seconds=cost.seconds,
            peak=peak,
            run=number,
            made=now(),
            parameters=own.parameters,
            files=own.files,
            version=own.version,
        )

    def _run(self, step: Step, output: Path, work: Path, progress: Progress) -> Record:
        stop = _Told(self.stop)
        try:
            facts: Record = normal(step.run(self._context(step, output, work, progress, stop)))
        except ConnectionError:
            raise  # the reader of the progress has gone: this is not a fault of the disk
        except OSError as error:
            raise fsops.storage_error(error, error.filename or step.name, f"run the step {step.name} on") from error
        if stop.told:
            raise Interrupted(f"stopped within {step.name}; its unfinished result was not stored")
        return facts

    def _taken_in(self, brought: Brought, output: Path) -> Record:
        """Put the files that another process made where the step would have left them; return what it said of them."""
        places = [(brought.output, output), *([(brought.log, self.run.folder)] if self.run else [])]
        for source, target in places:
            for path in fsops.files_under(source):
                there = target / path.relative_to(source)
                fsops.make_folder(there.parent)
                fsops.move(path, there)
        self.brought = None  # made again, it is made here
        return brought.facts

    def _unchanged(self, decision: Decision) -> None:
        """Refuse a result whose files were not, at its end, what its fingerprint says: nobody knows what it was made
        of."""
        before, after = decision.own, self.decider.own(decision.step)
        changed = sorted(name for name, found in after.files.items() if before.files.get(name) != found)
        if before.hash != after.hash:
            what = f"`{changed[0]}` changed" if changed else "a file came or went"
            raise StalePlanError(f"{what} while {decision.step.name} was reading it", hint="run the same command again")

    def _work(self, step: Step, mark: str) -> Path:
        work = work_place(self.root, step.name, mark)
        if not step.resumable:
            fsops.remove_tree(work)
        return fsops.make_folder(work)

    def _context(self, step: Step, output: Path, work: Path, progress: Progress, stop: Stop) -> StepContext:
        inputs = {name: self.results[name].folder for name in step.inputs}
        facts = {name: self.results[name].facts for name in step.inputs}
        asked = step.name in self.decider.replace
        log = self.run.folder if self.run else None
        return StepContext(self.recipe, self.root, output, work, inputs, facts, progress, stop, step.name, asked, log)

    def _take(self, action: Action) -> None:
        outcome: Literal["ran", "reused"] = "ran" if action.step in self.ran else "reused"
        # a process killed right after it remembered the result leaves the finished work for this one to remove
        fsops.remove_tree(work_place(self.root, action.step, action.fingerprint))
        folder = self.decider.store.place(action.object)
        result = StepResult(action.step, outcome, action.object, folder, action.facts, action.seconds, action.peak)
        self.results[action.step] = result
        last = self.state.steps.get(action.step)
        if outcome == "ran" or last is None or last.fingerprint != action.fingerprint or last.object != action.object:
            self.state = self.state.with_step(action)
            save_state(self.root, self.state)
        self._event(
            f"step_{outcome}",
            step=action.step,
            object=action.object,
            seconds=round(action.seconds, 3),
            peak=action.peak,
        )
        self.observer.ended(result)

    def _finish(self, seconds: float) -> RunResult:
        result = RunResult(self.recipe.name, self.plan, self.run, tuple(self.results.values()), seconds, self.steps)
        if self.run is not None:
            self._keep_timings(result)
            self.state = replace(
                self.state, serial=self.state.serial + 1, run=self.run.number, applied=now(), recipe=self.plan.recipe
            )
            save_state(self.root, self.state)
            self.run.write(RESULT, _record(result, self.state))
            self._event("run_ended", seconds=round(seconds, 3), exit=result.exit_code)
        return result

    def _keep_timings(self, result: RunResult) -> None:
        timings = load_timings(self.root)
        forecaster = Forecaster(timings, self.recipe, self.root, self.steps)
        # a resumed step is timed for its last part only, so its seconds do not measure a whole run
        ran = [step for step in result.steps if step.outcome == "ran" and step.name not in self.resumed]
        by_name = {step.name: step for step in self.steps}
        sized = {step.name: step.forecast.sized for step in self.plan.steps if step.forecast}
        for step in ran:
            one = by_name[step.name]
            inputs = {name: self.results[name].facts for name in one.inputs}
            units = read_as(CommonFacts, step.facts, step.name).work_units or forecaster.units(one, inputs)
            base = forecaster.base_of(one)
            timings.add(one.timed_as or one.name, Timing(step.seconds, step.peak, units, base, sized.get(step.name)))
        if len(ran) == len(self.steps):
            timings.add_full_run(self.recipe.name, result.seconds)
        timings.save()

    def _failed(self, error: BaseException) -> None:
        if self.run is None:
            return
        kind = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "run_failed"
        message = error.message if isinstance(error, JessyError) else f"{type(error).__name__}: {error}"
        try:
            self._event(kind, message=message)
        except JessyError:
            # the disk that failed the step may refuse this event as well; the first error is the one to report
            return

    def _event(self, kind: str, **values: object) -> None:
        if self.run is not None:
            self.run.event(kind, **values)


@dataclass(slots=True)
class _Told:
    """A stop that remembers whether a step was told to stop: what the step then returns may be a part of its work."""

    stop: Stop
    told: bool = False

    def requested(self) -> bool:
        """Ask the stop."""
        self.told = self.told or self.stop.requested()
        return self.told


class _DamagedInputError(DamagedError):
    """A damaged object, with its id."""

    def __init__(self, object_id: str, error: DamagedError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.object_id = object_id


def _values(recipe: Recipe) -> RunValues:
    values = recipe.values(("*",))
    return RunValues(values, {address: str(source) for address in values if (source := recipe.source(address))})


def _record(result: RunResult, state: State) -> RunRecord:
    steps = (
        RecordedStep(
            name=step.name,
            outcome=step.outcome,
            object=step.object,
            facts=step.facts,
            seconds=step.seconds,
            peak=step.peak,
            parameters=state.steps[step.name].parameters,
        )
        for step in result.steps
    )
    newest = FORMATS["run"].newest
    return RunRecord(result.name, result.seconds, result.withheld, result.exit_code, tuple(steps), newest)
