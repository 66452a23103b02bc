"""One run as people read it: when it was, how it ended, what its model scored, and what comes next."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.commands.made import made
from jessyfile.commands.say import near
from jessyfile.errors import StateError
from jessyfile.planning.change_text import counted, duration, size
from jessyfile.planning.mutex import Holder, holder
from jessyfile.planning.plan_text import ago
from jessyfile.results.facts import JudgeFacts, PromoteFacts
from jessyfile.results.outcome import spell
from jessyfile.results.typed_json import read_as
from jessyfile.text.fit import shortened, table

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.runs import Run, RunEvent, RunRecord
    from jessyfile.planning.steps import F

_RANKS = ("must", "should", "may")


@dataclass(frozen=True, slots=True)
class ToldRun:
    """A run with what it has written down; `record` is None when it did not end. `holder` is the process that still works at it."""

    run: Run
    events: tuple[RunEvent, ...]
    record: RunRecord | None
    holder: Holder | None = None

    @staticmethod
    def of(run: Run) -> ToldRun:
        """Read a run's files."""
        events, record = tuple(run.events()), run.result()
        over = record is not None or not events or events[-1].event in _ENDS
        return ToldRun(run, events, record, None if over else _working(run, events[0].command))

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.events[0].name if self.events else ""

    @property
    def command(self) -> str:
        """What applies its recipe again."""
        first = self.events[0]
        return first.command if first.command.startswith("jessy ") else f"jessy apply {first.recipe}"

    @property
    def options(self) -> str:
        """What its recipe was applied with, as typed (`--set train.epochs=2`); empty where it was applied as it is written."""
        words = shlex.split(self.events[0].command) if self.events else []
        return shlex.join(words[3:]) if words[:2] == ["jessy", "apply"] else ""

    @property
    def state(self) -> str:
        """How it ended, in a word or two."""
        last = self.events[-1].event if self.events else ""
        if last in _ENDS:
            return _ENDS[last]
        if self.record is None or last != "run_ended":
            return "runs now" if self.holder is not None else "did not end"
        promote = self.facts("promote", PromoteFacts)
        if self.record.withheld:
            return "not promoted"
        return "promoted" if promote is not None and promote.promoted else "done"

    @property
    def seconds(self) -> float:
        """How long it took, or lasted until it was stopped."""
        if self.record is not None:
            return self.record.seconds
        if self.holder is not None:
            return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(self.events[0].time)).total_seconds()
        first, last = (dt.datetime.fromisoformat(self.events[at].time) for at in (0, -1))
        return (last - first).total_seconds()

    @property
    def judged(self) -> JudgeFacts | None:
        """What its model was found to be."""
        return self.facts("judge", JudgeFacts)

    def facts(self, step: str, kind: type[F]) -> F | None:
        """Return what a step has said; None where it was left out, or said it in another version's words."""
        steps = self.record.steps if self.record is not None else ()
        with contextlib.suppress(StateError):
            return next(
                (read_as(kind, one.facts, f"the record of `{step}`") for one in steps if one.name == step), None
            )
        return None

    def line(self) -> tuple[str, ...]:
        """Return it as the row of a table: number, state, when, how long, steps, and what it measured or why it ended."""
        if not self.events:
            return (f"run {self.run.number}", "its events are gone")
        ran = sum(event.event == "step_ran" for event in self.events)
        when = ago(self.events[0].time, dt.datetime.now(dt.UTC))
        told = self.events[-1].message.partition("\n")[0] if self.state in _ENDS.values() else scores(self.judged)
        told = "; ".join(part for part in (self.options, told) if part)
        return f"run {self.run.number}", self.state, when, duration(self.seconds), counted(ran, "step"), told

    def steps(self, width: int | None) -> list[str]:
        """Return the table of the steps that ran: what each made, how long it took, how much memory."""
        facts = {step.name: step.facts for step in self.record.steps} if self.record is not None else {}
        ran = (event for event in self.events if event.event == "step_ran")
        rows = [
            (
                one.step,
                duration(one.seconds),
                size(one.peak) if one.peak else "",
                made(one.step, facts.get(one.step, {})),
            )
            for one in ran
        ]
        return table(rows, width)

    def next_steps(self) -> Iterator[tuple[str, str]]:
        """Yield what to do next: a word and a command."""
        if self.state == "promoted":
            yield "ask it", f"jessy chat {self.name}"
        elif self.state == "not promoted":
            yield "ask it", f"jessy chat {self.name}:candidate"
        elif self.events and self.state in ("stopped", "failed", "did not end"):
            yield "go on", self.command


_ENDS = {"interrupted": "stopped", "run_failed": "failed"}


def _working(run: Run, command: str) -> Holder | None:
    """Return who works at a run that has no end yet: it is the newest, and its command is the one that holds the project."""
    from jessyfile.planning.runs import all_runs

    root = run.folder.parents[2]
    found = holder(root)
    mine = found is not None and found.what == command and all_runs(root)[-1].number == run.number
    return found if mine else None


def scores(judged: JudgeFacts | None) -> str:
    """Return what every criterion measured, MUST first: `turkish_accuracy 83.3%, latency.low 1.75s`."""
    found = sorted(judged.criteria, key=lambda one: _RANKS.index(one.criterion.rank)) if judged is not None else []
    return ", ".join(dict.fromkeys(f"{one.criterion.metric} {spell(one.value, one.unit)}" for one in found))


def run_table(runs: Sequence[Run], width: int | None) -> list[str]:
    """Return a line for each run; the name is told where runs of several recipes stand together."""
    told = [ToldRun.of(run) for run in runs]
    names = {one.name for one in told if one.events}
    rows = [
        (*row[:2], one.name, *row[2:]) if len(names) > 1 and one.events else row
        for one, row in zip(told, map(ToldRun.line, told), strict=True)
    ]
    return [line if width is None else shortened(line, width) for line in table(rows, None, "")]


def run_of(root: Path, name: str) -> ToldRun | None:
    """Return the last run of a recipe; None when its folder is gone."""
    from jessyfile.planning.runs import all_runs

    runs = (run for run in reversed(all_runs(root)) if _begins(run) == name)
    return next((ToldRun.of(run) for run in runs), None)


def _begins(run: Run) -> str:
    return next((event.name for event in itertools.islice(run.events(), 1)), "")


def report_of(run: Run) -> str | None:
    """Return the path of a run's report as it is typed here; None when there is none."""
    from jessyfile.report import REPORT

    return near(run.folder / REPORT) if (run.folder / REPORT).is_file() else None
