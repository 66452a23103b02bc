"""`jessy apply`: run what the plan says, show progress, and report the outcome."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import (
    hosts_option,
    load_call,
    read_call_hosts,
    recipe_options,
    sample_option,
    sending_options,
)
from jessyfile.commands.plan import selection, step_options
from jessyfile.commands.say import near, say
from jessyfile.commands.variants import (
    Ended,
    is_every,
    load_variants,
    narrowed,
    plan_variants,
    summary,
    together,
)
from jessyfile.errors import Interrupted, JessyError

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.plan import Plan, Selection
    from jessyfile.planning.run import Observer, RunResult, StepResult
    from jessyfile.planning.steps import Progress, Step


@click.command()
@recipe_options
@step_options
@sample_option
@hosts_option
@sending_options
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON lines (format 1).")
def apply(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    replace: tuple[str, ...],
    sample: int | None,
    hosts: str | None,
    allow_host: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make data, train, export, evaluate, promote: whatever the plan says. RECIPE may be a saved plan (plan.json)."""
    from jessyfile.planning.command_line import Call

    call, chosen = Call(str(recipe), arg, variant, set_, sample, hosts), selection(only, skip, replace)
    show = _as_json if as_json else _on_screen
    if is_every(call):
        return _every(call, chosen, allow_host, show, as_json=as_json)
    return show(prepared(call, chosen, allow_host)).exit_code


def _as_json(applying: Applying) -> RunResult:
    from jessyfile.commands.json_events import JsonLines, emit, failure_told

    with failure_told():
        result, report = applying.run(JsonLines())
    emit("done", exit=result.exit_code, withheld=result.withheld, report=str(report) if report else None)
    return result


def _on_screen(applying: Applying) -> RunResult:
    from jessyfile.commands.terminal import Screen

    with Screen() as screen:
        result, report = applying.run(screen, screen.heard)
    _conclude(result, report, applying.call)
    return result


def _every(
    call: Call, chosen: Selection, allow: tuple[str, ...], show: Callable[[Applying], RunResult], *, as_json: bool
) -> int:
    """Apply every VARIANT, each for itself: what one has made the next ones find in the store.

    What any of their plans refuses is refused before the first step of all. A VARIANT that fails does not keep the others from their
    turn; the user's stop does.
    """
    from jessyfile.commands.json_events import emit
    from jessyfile.planning.preflight import refuse

    variants = load_variants(call)
    for one in variants:
        _lockable(one.recipe, one.call, chosen)
    plans = plan_variants(variants, chosen)
    refuse([finding for made in plans for finding in made.findings])
    ended: list[Ended] = []
    for one, made in zip(variants, plans, strict=True):
        own = Applying(one.recipe, one.call, narrowed(chosen, made, one), allow, whole=(call, chosen))
        if as_json:
            emit("variant", variant=one.name, name=one.recipe.name)
        else:
            say(f"VARIANT {one.name}: {one.recipe.name}")
        try:
            ended.append(Ended(one, show(own)))
        except Interrupted:
            raise
        except JessyError as error:
            ended.append(Ended(one, None, error))
            if not as_json:
                _tell(error)
    code = together(ended)
    if as_json:
        emit("all_done", exit=code, variants={each.variant.name: each.exit_code for each in ended})
    else:
        say("\n".join(summary(ended)))
    return code


def _tell(error: JessyError) -> None:
    """Say what stopped one VARIANT while the others have their turn."""
    say(f"error[{error.code}]: {error.message}" + (f"\n  = help: {error.hint}" if error.hint else ""), err=True)


def prepared(call: Call, chosen: Selection, allow: tuple[str, ...] = ()) -> Applying:
    """Return the apply of a recipe or of a saved plan, with the recipe loaded."""
    saved = None
    if Path(call.recipe).suffix == ".json":
        call, chosen, saved = _saved(call, chosen)
    loaded = load_call(call)
    _lockable(loaded, call, chosen)
    return Applying(loaded, call, chosen, allow, saved)


def _lockable(loaded: Recipe, call: Call, chosen: Selection) -> None:
    """Refuse a lock file that jessy may not replace before hours of training, not after. Raises ProjectError."""
    from jessyfile.planning.lockfile import lock_place

    if call.as_written and not (chosen.only or chosen.skip):
        lock_place(loaded, call.variant)


@dataclass(slots=True)
class Applying:
    """An apply that is to be run: a loaded recipe, how it was called, the digest of a saved plan, and the command that it is a part of."""

    loaded: Recipe
    call: Call
    chosen: Selection
    allow: tuple[str, ...] = ()
    saved: str | None = None
    whole: tuple[Call, Selection] | None = None
    ran: set[str] = field(default_factory=set)

    def run(self, observer: Observer, heard: Callable[[], None] | None = None) -> tuple[RunResult, Path | None]:
        """Apply with signals heard; return the result and where its report lies. `heard` shows that the first has come.

        Raises Interrupted, with the command that resumes as its hint, when the user or the system asked to stop.
        """
        from jessyfile.commands.signals import stopping
        from jessyfile.pipeline import compile_steps
        from jessyfile.planning.run import apply as apply_steps
        from jessyfile.project import find_root

        root, steps = find_root(self.loaded.path), compile_steps(self.loaded, read_call_hosts(self.call))
        told = _Noting(observer, self.ran)
        with stopping(self.command, heard) as stop:
            result = apply_steps(
                self.loaded, root, steps, self.chosen, saved=self.saved, observer=told, stop=stop, what=self.command()
            )
            return result, _finish(self.loaded, result, self.call)

    def command(self) -> str:
        """Return the command that goes on: as it was called, less the `--replace` that is done already."""
        from jessyfile.pipeline import compile_steps
        from jessyfile.planning.graph import expand

        call, chosen = self.whole or (self.call, self.chosen)
        steps = compile_steps(self.loaded) if chosen.replace else ()
        left = tuple(word for word in chosen.replace if not self.ran.issuperset(expand(steps, [word])))
        return call.command(replace(chosen, replace=left), self.allow)


@dataclass(frozen=True, slots=True)
class _Noting:
    """An observer that also notes which steps ran."""

    observer: Observer
    ran: set[str]

    def planned(self, plan: Plan) -> None:
        """Pass it on."""
        self.observer.planned(plan)

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Pass it on."""
        return self.observer.started(step, number, total)

    def ended(self, result: StepResult) -> None:
        """Note the step and pass it on."""
        if result.outcome == "ran":
            self.ran.add(result.name)
        self.observer.ended(result)

    def note(self, text: str) -> None:
        """Pass it on."""
        self.observer.note(text)


def _finish(loaded: Recipe, result: RunResult, call: Call) -> Path | None:
    """Write the lock file and the report; return where the report lies, None when nothing ran."""
    from jessyfile.run_recipe import write_outcome

    return write_outcome(loaded, result, variant=call.variant, as_written=call.as_written)


def _conclude(result: RunResult, report: Path | None, call: Call) -> None:
    from jessyfile.report import summary_lines
    from jessyfile.results.facts import JudgeFacts

    judge = result.facts_of("judge", JudgeFacts)
    if judge is not None and result.run is not None:
        say("\n".join(summary_lines(judge)))
    if report is not None:
        say(f"report: {near(report)}")
    judged = judge is not None and bool(judge.failed) and result.run is not None
    for line in _ending(result, report, call, judged=judged):
        say(line)


def _ending(result: RunResult, report: Path | None, call: Call, *, judged: bool) -> Iterator[str]:
    """Yield what came of an apply and what to do next; the criteria that failed stand above when they were `judged` now."""
    from jessyfile.planning.command_line import options

    name, promote = result.name, result.step("promote")
    if result.withheld is not None:
        yield f"{name} is not promoted{'' if judged else f': {result.withheld}'}; {name}:latest stays as it was"
        if judged and report is not None:
            yield f"what failed, answer by answer: {report.absolute().as_uri()}#answers"
        yield f"look at the candidate: jessy chat {name}:candidate"
    elif promote is not None and promote.outcome == "ran":
        yield f"{name}:latest is the new model. Ask it: jessy chat {name}"
        if call.arg or call.set_:
            given = shlex.join([*options("--arg", call.arg), *options("--set", call.set_)])
            yield f"no lock file is written: it tells of a recipe as it is written, and this was applied with {given}"
    if call.sample is not None and promote is not None:
        whole = replace(call, sample=None).command(result.plan.selection)
        yield f"this was a sample of the recipe; the whole is: {whole}"


def _saved(call: Call, chosen: Selection) -> tuple[Call, Selection, str]:
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.plan_json import load_saved

    if call != Call(call.recipe) or chosen != selection((), (), ()):
        raise click.UsageError("a saved plan is applied as it is; plan again to change it")
    return load_saved(Path(call.recipe))
