"""`jessy eval`: ask a promoted model its suites now, and say whether it fell behind its lock file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import as_typed, load, sending_options, setting_options, tagged
from jessyfile.commands.history import here
from jessyfile.commands.say import say
from jessyfile.errors import Exit
from jessyfile.results.outcome import spell
from jessyfile.text.fit import table, terminal_width
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.commands.signals import SignalStop
    from jessyfile.commands.terminal import Report
    from jessyfile.evaluation.ask_model import ModelEvaluation
    from jessyfile.evaluation.falls import ScoreChange
    from jessyfile.evaluation.metrics import Measurement
    from jessyfile.evaluation.scores import Score
    from jessyfile.export.registry import Registration
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.lockfile import Lock
    from jessyfile.planning.steps import Progress

suite_option = click.option(
    "--suite", multiple=True, metavar="NAME", help="Ask this suite alone; may come several times."
)
quick_option = click.option("--quick", is_flag=True, help="Ask 10 cases of each suite, spread evenly over it.")


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked: a registered model and the recipe whose suites it answers, in a project."""

    root: Path
    entry: Registration
    recipe: Recipe

    @property
    def name(self) -> str:
        """NAME:TAG."""
        return f"{self.entry.name}:{self.entry.tag}"


def find_asking(what: str, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...]) -> Asking:
    """Return what NAME or RECIPE means: the promoted model of a recipe, or a registered one with the recipe that made it.

    Args:
        what: as typed.
        arg: values of ARG instructions.
        variant: the VARIANT of the recipe.
        set_: settings that replace the recipe's.

    Raises:
        EngineError: no such model is registered.
        EvaluationError: nothing says which recipe has made it.
        RecipeError: the recipe has mistakes.
    """
    from jessyfile.evaluation.ask_model import recipe_of
    from jessyfile.export.registry import registered
    from jessyfile.project import find_root

    if Path(what).exists() or what.endswith(".jessy"):
        recipe = load(Path(what), arg, variant, set_)
        root = find_root(recipe.path)
        return Asking(root, registered(root, recipe.name), recipe)
    name, tag = tagged(what, None)
    root = here()
    entry = registered(root, name, tag)
    recipe = recipe_of(root, name)
    return Asking(root, entry, load(recipe.path, arg, variant, set_) if arg or variant or set_ else recipe)


@click.command("eval")
@click.argument("what", metavar="NAME|RECIPE")
@setting_options
@sending_options
@suite_option
@quick_option
@click.option("--json", "as_json", is_flag=True, help="Print scores and answers as JSON (format 1).")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML, for build servers.")
def eval_(
    what: str,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    allow_host: tuple[str, ...],  # noqa: ARG001 (its callback puts it into the environment)
    suite: tuple[str, ...],
    quick: bool,
    as_json: bool,
    junit: Path | None,
) -> int:
    """Ask a promoted model its suites now and compare with the lock file's scores. Exit 3 when one fell beyond chance.

    NAME may carry a tag: jessy:candidate is what the last apply made. Nothing in the project changes.
    """
    from jessyfile.evaluation.falls import locked_verdict, score_changes
    from jessyfile.evaluation.junit import is_junit, junit_xml
    from jessyfile.planning.lockfile import read_lock
    from jessyfile.user_files import require_own, write_own

    if junit is not None:
        require_own(junit, is_junit)
    asking = find_asking(what, arg, variant, set_)
    lock = read_lock(asking.recipe, variant)
    found = ask(asking, suite, quick=quick, quiet=as_json)
    verdict = locked_verdict(asking.root, asking.recipe.name, lock) if lock is not None else None
    changes = score_changes(found, lock, verdict) if lock is not None else []
    if junit is not None:
        write_own(junit, junit_xml(found, changes), is_junit)
    if as_json:
        click.echo(json_text(_as_json(found, changes, quick), indent=1))
    else:
        say("\n".join(_lines(found, asking, lock, changes)))
    return Exit.WITHHELD if any(change.fell for change in changes) else Exit.DONE


def ask(asking: Asking, suites: tuple[str, ...], *, quick: bool, quiet: bool) -> ModelEvaluation:
    """Ask a model and show how far it is.

    Args:
        asking: the model, and the recipe whose suites it answers.
        suites: these alone, where any are named.
        quick: a few cases of each suite.
        quiet: show nothing.

    Returns:
        The scores.
    """
    from jessyfile.commands.signals import stopping
    from jessyfile.evaluation.ask_model import askable, chosen_suites, evaluate_model
    from jessyfile.planning.consent import Outgoing, require

    if asking.entry.ollama is not None:
        require([Outgoing(asking.name, asking.entry.ollama, "the suites' questions and the system prompt")])
    recipe = chosen_suites(asking.recipe, suites, quick=quick)
    with stopping(as_typed) as stop, _progress(asking.name, stop, quiet) as progress:
        model = askable(asking.root, asking.entry, recipe.evaluation.max_tokens, stop)
        return evaluate_model(model, recipe, asking.root, progress, stop)


@contextlib.contextmanager
def _progress(name: str, stop: SignalStop, quiet: bool) -> Iterator[Progress]:
    from jessyfile.commands.terminal import working

    with working(name, stop, quiet=quiet) as report:
        yield _Reporting(report)


class _Reporting:
    """A progress that hands units of work to a function."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Hand it on."""
        self._report(int(done), int(total or 0), text)

    def note(self, text: str) -> None:
        """Print the line."""
        say(text, err=True)


def _lines(found: ModelEvaluation, asking: Asking, lock: Lock | None, changes: list[ScoreChange]) -> Iterator[str]:
    count = len({score.case.suite for score in found.scores})
    suites = "1 suite" if count == 1 else f"{count} suites"
    yield (
        f"{found.name} · {found.digest[:12]} · {found.engine} · {len(found.scores)} cases of {suites}"
        f"{'' if found.load_seconds is None else f' · loaded in {found.load_seconds:.1f} s'}"
    )
    if lock is not None and lock.digest not in ("", found.digest):
        yield f"the lock file's scores are of another model ({lock.digest[:12]})"
    by_metric = {change.metric: change for change in changes}
    rows = []
    for one in _measured(found, asking, by_metric):
        change = by_metric.get(one.metric)
        state = "FELL" if change is not None and change.fell else "ok" if change is not None else ""
        beside = f"   lock: {change.said}" if change is not None else ""
        rows.append((f"{state:<4}", one.metric, f"{spelled(one)}{beside}"))
    yield from table(rows, terminal_width())
    yield _verdict(lock, changes)


def _measured(found: ModelEvaluation, asking: Asking, known: Mapping[str, ScoreChange]) -> Iterator[Measurement]:
    """Yield what was measured: the lock's metrics, the recipe's, and form and relevance of every suite asked."""
    suites = dict.fromkeys(score.case.suite for score in found.scores)
    parts = [f"{suite}.{part}" for suite in suites for part in ("form", "relevance")]
    wanted = dict.fromkeys([*known, *(one.metric for one in asking.recipe.evaluation.criteria), *parts, "latency.load"])
    measured = (found.measured.measure(metric) for metric in wanted)
    return (one for one in measured if one.value is not None)


def spelled(one: Measurement) -> str:
    """Return a measurement in words: `92.5% [80%, 97.4%] n=40`."""
    interval = "" if one.low is None else f" [{spell(one.low, one.unit)}, {spell(one.high, one.unit)}]"
    return f"{spell(one.value, one.unit)}{interval} n={one.n}"


def _verdict(lock: Lock | None, changes: list[ScoreChange]) -> str:
    if lock is None:
        return "there is no lock file to compare with; a whole `jessy apply` writes one, of the recipe as it is written"
    if not changes:
        return "nothing that was asked has a score in the lock file"
    fell = [change.metric for change in changes if change.fell]
    return f"fell beyond chance: {', '.join(fell)}" if fell else f"none of {len(changes)} scores fell beyond chance"


def _as_json(found: ModelEvaluation, changes: list[ScoreChange], quick: bool) -> object:
    from jessyfile.evaluation.metrics import metrics_of

    levels = dict.fromkeys(score.case.level for score in found.scores)
    measured = [found.measured.measure(name) for name in metrics_of(found.scores, levels)]
    return {
        "format": 1,
        "model": found.name,
        "digest": found.digest,
        "engine": found.engine,
        "quick": quick,
        "load_seconds": found.load_seconds,
        "scores": [_score(one) for one in measured if one.value is not None],
        "changes": [_change(change) for change in changes],
        "fell": [change.metric for change in changes if change.fell],
        "cases": [_case(score) for score in found.scores],
    }


def _score(one: Measurement) -> object:
    return {"metric": one.metric, "unit": one.unit, "value": one.value, "low": one.low, "high": one.high, "n": one.n}


def _change(change: ScoreChange) -> object:
    then = change.then
    before = {"value": then.value, "low": then.low, "high": then.high, "n": then.n}
    return {**before, "metric": change.metric, "p": change.p, "paired": change.paired, "fell": change.fell}


def _case(score: Score) -> object:
    answer = score.answer
    said = {"text": answer.text, "level": answer.level, "iterations": answer.iterations, "seconds": answer.seconds}
    return {"id": score.case.id, "suite": score.case.suite, "failures": score.failures(), **said, "alone": answer.alone}
