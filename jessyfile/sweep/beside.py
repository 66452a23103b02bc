"""Points side by side: what they share is made here, their trainings by a crew, and every result is stored as an apply of its point would.

This process holds the project's lock meanwhile and alone writes to the store. A training that several tries wait for runs once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import Interrupted, TrainingError
from jessyfile.pipeline import compile_steps
from jessyfile.planning.fingerprint import fingerprint
from jessyfile.planning.graph import select
from jessyfile.planning.mutex import project_lock
from jessyfile.planning.plan import Selection, make_decider, work_place
from jessyfile.planning.run import Brought, RunResult, apply_locked
from jessyfile.sweep.crew import PointTraining
from jessyfile.sweep.job import TRAININGS

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.actions import Action
    from jessyfile.planning.steps import Step, Stop
    from jessyfile.results.typed_json import Record
    from jessyfile.sweep.crew import Crew, TrainingEnd
    from jessyfile.sweep.grid import Try
    from jessyfile.sweep.run import Audience

_WHAT = "jessy sweep"
_EVERY = 10.0  # seconds between two lines on how far the trainings are
_WAIT = 0.5  # seconds between two looks at whether to stop
_STOPPED = "stopped; everything done so far is kept"


@dataclass(frozen=True, slots=True)
class Walk:
    """One try on its way: its number, its recipe's steps, and the name of the step that measures it."""

    number: int
    one: Try
    recipe: Recipe
    steps: tuple[Step, ...]
    measured: str

    @property
    def trainings(self) -> list[str]:
        """The steps that are trained on the way to what is measured."""
        return [step.name for step in select(self.steps, (self.measured,)) if step.name in TRAININGS]

    @property
    def before(self) -> tuple[str, ...]:
        """The steps that the trainings read."""
        names = self.trainings
        read = (name for step in self.steps if step.name in names for name in step.inputs)
        return tuple(dict.fromkeys(name for name in read if name not in names))

    def next_training(self, root: Path) -> PointTraining | None:
        """Return the training that is to run next, None when there is none left; what stands before it has been made."""
        decider = make_decider(self.recipe, root, self.steps, Selection())
        made: dict[str, Action] = {}
        for step in select(self.steps, self.trainings):
            inputs = {name: made[name].object for name in step.inputs}
            decision = decider.decide(step, inputs)
            if decision.action is not None:
                made[step.name] = decision.action
                continue
            mark = fingerprint(decision.own.hash, inputs)
            folders = {name: (found, decider.store.verified(found)) for name, found in inputs.items()}
            place = work_place(root, step.name, mark)
            return PointTraining(step.name, mark, self._document(step), self.recipe.path, root, place, folders)
        return None

    def _document(self, step: Step) -> Record:
        """Return the recipe's document with what this machine decides of BASE: another would decide otherwise, under the same fingerprint."""
        found, base = step.resolved(self.recipe) if step.resolved else {}, dict(self.recipe.document["base"])
        decided = {name: found[f"base.{name}"] for name in base if f"base.{name}" in found}
        return {**self.recipe.document, "base": {**base, **decided}}


@dataclass(slots=True)
class Waited:
    """A training under way, and the tries that wait for it."""

    training: PointTraining
    walks: list[Walk]


@dataclass(slots=True)
class SideBySide:
    """A sweep whose trainings a crew runs. `measure` is told of each try that is done, `fail` of each that cannot be trained."""

    root: Path
    walks: list[Walk]
    crew: Crew
    audience: Audience
    stop: Stop
    measure: Callable[[Walk, RunResult], None]
    fail: Callable[[Walk, TrainingError], None]
    _queue: deque[Walk] = field(default_factory=deque)
    _waiting: dict[str, Waited] = field(default_factory=dict)
    _told: float = field(default_factory=time.monotonic)

    def go(self) -> None:
        """Try every point. Raises Interrupted when a stop was requested, and whatever a step raises that is no training."""
        with fsops.disk_errors(self.root), project_lock(self.root, _WHAT):
            for walk in self.walks:
                self._apply(walk, walk.before, "what the points share")
            self._queue.extend(self.walks)
            self._train_all()

    def _train_all(self) -> None:
        while self._queue or self._waiting:
            if self.stop.requested():
                self._wind_up()
                raise Interrupted(_STOPPED)
            while self._queue and self.crew.room():
                self._next(self._queue.popleft())
            if self._waiting:
                self._hear(_WAIT)
                self._tell()

    def _next(self, walk: Walk) -> None:
        """Begin a try's next training, wait for another try's, or measure it when all are done."""
        training = walk.next_training(self.root)
        if training is None:
            self.measure(walk, self._apply(walk, (walk.measured,), str(walk.one.point)))
        elif training.fingerprint in self._waiting:
            self._waiting[training.fingerprint].walks.append(walk)
        else:
            self.audience.begins(walk.one, walk.number, len(self.walks))
            self.crew.begin(training)
            self._waiting[training.fingerprint] = Waited(training, [walk])

    def _tell(self) -> None:
        """Say now and then how far the trainings are."""
        if time.monotonic() - self._told < _EVERY:
            return
        self._told = time.monotonic()
        reached = self.crew.reached()
        numbers = ((self._waiting[mark].walks[0].number, far) for mark, far in reached.items() if mark in self._waiting)
        self.audience.reached(dict(sorted(numbers)))

    def _hear(self, seconds: float) -> None:
        for ended in self.crew.ended(seconds):
            self._end(ended, self._waiting.pop(ended.fingerprint))

    def _end(self, ended: TrainingEnd, waited: Waited) -> None:
        first = waited.walks[0]
        if ended.brought is not None:
            self._apply(first, (waited.training.step,), str(first.one.point), ended.brought)
            self._queue.extendleft(reversed(waited.walks))  # what is nearest to its end goes on first
        elif isinstance(ended.error, TrainingError):
            for walk in waited.walks:
                self.fail(walk, ended.error)
        elif ended.error is not None:
            raise ended.error

    def _wind_up(self) -> None:
        """Let every training end its update; keep what has been trained to its end meanwhile."""
        self.crew.ask_to_stop()
        while self._waiting:
            for ended in self.crew.ended(_WAIT):
                waited = self._waiting.pop(ended.fingerprint)
                if ended.brought is not None:
                    self._end(ended, waited)

    def _apply(self, walk: Walk, only: tuple[str, ...], what: str, brought: Brought | None = None) -> RunResult:
        """Apply a part of a try; what was brought is kept also when a stop was requested meanwhile."""
        with self.audience.observer() as shown:
            return apply_locked(
                walk.recipe,
                self.root,
                walk.steps,
                Selection(only=only),
                observer=None if brought else shown,
                stop=None if brought else self.stop,
                what=f"{_WHAT}, {what}",
                brought=brought,
            )


def walks_of(tries: list[Try], recipe_of: Callable[[Try], Recipe], measured: str) -> list[Walk]:
    """Return the way of every try, numbered from 1."""
    recipes = [recipe_of(one) for one in tries]
    return [
        Walk(number, one, recipe, compile_steps(recipe), measured)
        for number, (one, recipe) in enumerate(zip(tries, recipes, strict=True), 1)
    ]
