"""A sweep under way: every try is an ordinary apply, so what is finished is never made again, whoever stopped it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jessyfile.errors import RecipeError, TrainingError
from jessyfile.planning.canonical import digest
from jessyfile.project import find_root, jessy_folder, relative
from jessyfile.results.facts import TrainFacts
from jessyfile.sweep.grid import SEED, Point, Try, read_grid, tries
from jessyfile.sweep.measure import LOSS, SweepCriterion, criterion, measured
from jessyfile.sweep.noise import SweepOutcome, decide

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import Observer, RunResult
    from jessyfile.planning.steps import Stop
    from jessyfile.sweep.crew import Crew

RECORD = "sweep.json"
_SUFFIX = "-sweep"
_LONGEST = 80
_REWEIGHED = ("train.end_weight", "train.level_weight")
Load = Callable[[Mapping[str, str]], "Recipe"]


@dataclass(frozen=True, slots=True)
class SweepCall:
    """What is asked for: the values of `--over`, how many seeds, and by what the points are compared."""

    over: tuple[str, ...]
    seeds: int = 1
    by: str = LOSS


@dataclass(frozen=True, slots=True)
class Trial:
    """One try that is done: its value, the seconds and bytes of its training, and the object of its adapter."""

    point: str
    seed: int
    value: float
    seconds: float
    peak: int
    adapter: str


@dataclass(frozen=True, slots=True)
class FailedTry:
    """One try that could not be trained, and why: a rate at which the loss is no number, a rank that does not fit."""

    point: str
    seed: int
    error: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """`sweep.json`: what was tried, by what it was compared, and what came of it."""

    recipe: str
    name: str
    by: str
    split: str
    lower: bool
    seeds: int
    trials: tuple[Trial, ...]
    outcome: SweepOutcome
    failed: tuple[FailedTry, ...] = ()
    format: int = 1


class Audience(Protocol):
    """Who is told how a sweep goes; the command line draws it."""

    def begins(self, one: Try, number: int, total: int) -> None:
        """Hear that a try begins, or that its training does beside others."""

    def observer(self) -> AbstractContextManager[Observer]:
        """Return who is told of the steps that run in this process during the block."""

    def reached(self, updates: Mapping[int, tuple[float, float]]) -> None:
        """Hear how many updates of how many the tries beside each other have done, by their numbers."""

    def done(self, number: int, trial: Trial) -> None:
        """Hear what a try has reached."""

    def failed(self, number: int, failure: FailedTry) -> None:
        """Hear that a try could not be trained."""


class Unheard:
    """An audience that hears nothing."""

    def begins(self, one: Try, number: int, total: int) -> None:
        """Hear nothing."""

    def observer(self) -> AbstractContextManager[Observer]:
        """Return nobody."""
        from jessyfile.planning.run import Silent

        return nullcontext(Silent())

    def reached(self, updates: Mapping[int, tuple[float, float]]) -> None:
        """Hear nothing."""

    def done(self, number: int, trial: Trial) -> None:
        """Hear nothing."""

    def failed(self, number: int, failure: FailedTry) -> None:
        """Hear nothing."""


@dataclass(slots=True)
class Sweep:
    """A sweep of one recipe. `load` reads the recipe with more settings laid over it, as `--set` would."""

    load: Load
    wanted: SweepCall
    recipe: Recipe = field(init=False)
    points: list[Point] = field(init=False)
    what: SweepCriterion = field(init=False)
    _trials: dict[int, Trial] = field(default_factory=dict)
    _failures: dict[int, FailedTry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = read_grid(self.wanted.over)
        self.recipe = self.load({})
        self.what = criterion(self.wanted.by, self.recipe)
        over = sorted({address for point in self.points for address in point.values} & set(_REWEIGHED))
        if self.what.name == LOSS and over:
            said = f"{over[0]} weighs the very tokens of which the validation loss is the mean"
            raise RecipeError(f"{said}: the points could not be compared", hint="compare them --by fits")

    @property
    def root(self) -> Path:
        """The project's root."""
        return find_root(self.recipe.path)

    @property
    def tries(self) -> list[Try]:
        """What is trained, in order."""
        return tries(self.points, self.recipe.train.seed, self.wanted.seeds)

    @property
    def folder(self) -> Path:
        """Where the table and the page lie: one folder for a grid, whatever the number of seeds."""
        base = {address: value for address, value in self.recipe.values(("*",)).items() if address != SEED}
        mark = digest({"base": base, "over": list(self.wanted.over), "by": self.wanted.by})
        return jessy_folder(self.root) / "sweeps" / mark[:12]

    def recipe_of(self, one: Try) -> Recipe:
        """Return the recipe of a try, under a name beside the recipe's own: the state of the model that is used stays as it is."""
        name = self.recipe.name[: _LONGEST - len(_SUFFIX)].rstrip("./") + _SUFFIX
        return self.load({"name": name, **dict(self.what.sets), **one.sets})

    def plans(self) -> list[Plan]:
        """Plan every try as if those before it were done.

        Raises RecipeError where a try is no valid recipe, or where the points hold out other rows, so that their losses are of other texts.
        """
        from jessyfile.pipeline import compile_steps
        from jessyfile.planning.plan import Selection, make_plan
        from jessyfile.planning.shared import Planned, result_keys, without_repetition

        chosen, planned = Selection(only=(self.what.step,)), []
        for one in self.tries:
            recipe = self.recipe_of(one)
            steps = compile_steps(recipe)
            planned.append(Planned(make_plan(recipe, self.root, steps, chosen), steps))
        if self.what.name == LOSS and len({result_keys(one)["encode"] for one in planned}) > 1:
            said = "these points hold out other rows, or cut them elsewhere: their validation losses are of other texts"
            raise RecipeError(said, hint="compare them --by fits, which is measured by the same answers for all")
        marks = [result_keys(one)[self.what.step] for one in planned[: len(self.points)]]
        same = next((at for at, mark in enumerate(marks) if mark in marks[:at]), None)
        if same is not None:
            said = f"{self.points[marks.index(marks[same])]} and {self.points[same]} come to the same"
            raise RecipeError(f"{said}: nothing that is measured reads what differs", hint="leave it out of --over")
        named = [replace(one.plan, name=str(each.point)) for one, each in zip(planned, self.tries, strict=True)]
        return without_repetition([replace(one, plan=plan) for one, plan in zip(planned, named, strict=True)])

    def run(self, audience: Audience, stop: Stop | None = None, crew: Crew | None = None) -> SweepResult:
        """Try every point and write the table and the page.

        Args:
            audience: who is told how it goes.
            stop: asked while steps run.
            crew: who trains the points side by side; None: one after the other, in this process.

        Returns:
            What was tried, what could not be trained, and what came of it.

        Raises:
            Interrupted: a stop was requested; the same sweep goes on where it was.
            JessyError: whatever a step raises that is no training.
        """
        if crew is not None:
            return self._beside(audience, stop, crew)
        every = self.tries
        for number, one in enumerate(every, 1):
            audience.begins(one, number, len(every))
            try:
                with audience.observer() as observer:
                    trial = self._one(one, observer, stop)
            except TrainingError as error:
                self._failed(audience, number, one, error)
            else:
                self._done(audience, number, trial)
        return self._keep()

    def _beside(self, audience: Audience, stop: Stop | None, crew: Crew) -> SweepResult:
        from jessyfile.planning.run import Silent
        from jessyfile.sweep.beside import SideBySide, Walk, walks_of

        def measure(walk: Walk, result: RunResult) -> None:
            self._done(audience, walk.number, self._trial(walk.one, walk.recipe, result))

        def fail(walk: Walk, error: TrainingError) -> None:
            self._failed(audience, walk.number, walk.one, error)

        walks = walks_of(self.tries, self.recipe_of, self.what.step)
        with crew:
            SideBySide(self.root, walks, crew, audience, stop or Silent(), measure, fail).go()
        return self._keep()

    def _done(self, audience: Audience, number: int, trial: Trial) -> None:
        self._trials[number] = trial
        audience.done(number, trial)
        self._keep()

    def _failed(self, audience: Audience, number: int, one: Try, error: TrainingError) -> None:
        self._failures[number] = FailedTry(str(one.point), one.seed, error.message, error.hint)
        audience.failed(number, self._failures[number])
        self._keep()

    def _one(self, one: Try, observer: Observer, stop: Stop | None) -> Trial:
        from jessyfile.pipeline import compile_steps
        from jessyfile.planning.plan import Selection
        from jessyfile.planning.run import apply

        recipe = self.recipe_of(one)
        chosen = Selection(only=(self.what.step,))
        result = apply(
            recipe,
            self.root,
            compile_steps(recipe),
            chosen,
            observer=observer,
            stop=stop,
            what=f"jessy sweep, {one.point}",
        )
        return self._trial(one, recipe, result)

    def _trial(self, one: Try, recipe: Recipe, result: RunResult) -> Trial:
        train = result.step("train")
        if train is None:
            raise RecipeError("nothing was trained", hint="a sweep is over what a training reads")
        seconds = train.facts_of(TrainFacts).training_seconds
        return Trial(str(one.point), one.seed, measured(self.what, result, recipe), seconds, train.peak, train.object)

    def _keep(self) -> SweepResult:
        """Write what is known by now, in the tries' order: a sweep that is stopped has told of those that are done."""
        import json

        from jessyfile import fsops
        from jessyfile.planning.canonical import normal
        from jessyfile.report import REPORT
        from jessyfile.sweep.page import render_sweep

        trials = tuple(self._trials[number] for number in sorted(self._trials))
        values = {str(point): [one.value for one in trials if one.point == str(point)] for point in self.points}
        told = SweepResult(
            relative(self.recipe.path, self.root),
            self.recipe.name,
            self.what.name,
            self.what.split,
            self.what.lower,
            self.wanted.seeds,
            trials,
            decide(values, lower=self.what.lower),
            tuple(self._failures[number] for number in sorted(self._failures)),
        )
        fsops.make_folder(self.folder)
        body = json.dumps(normal(told), ensure_ascii=False, indent=1, sort_keys=True)
        fsops.write_text(self.folder / RECORD, body + "\n")
        fsops.write_text(self.folder / REPORT, render_sweep(told))
        return told
