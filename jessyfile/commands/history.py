"""`jessy history`, `rollback`, `gc`, `fsck`, and the run that `jessy show RUN` prints."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.recipe_file import nothing_yet
from jessyfile.commands.say import near, say
from jessyfile.planning.change_text import counted
from jessyfile.text.fit import terminal_width
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.commands.runs_told import ToldRun


def here() -> Path:
    """Return the root of the project that the current folder lies in."""
    from jessyfile.project import find_root

    return find_root(Path.cwd() / "recipe")


@click.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
def history(count: int) -> None:
    """List the runs, newest first."""
    from jessyfile.commands.runs_told import run_table
    from jessyfile.planning.runs import all_runs

    runs = all_runs(here())
    if not runs:
        click.echo(nothing_yet())
        return
    for line in run_table(runs[-count:][::-1], terminal_width()):
        click.echo(printable(line))


def show_run(number: str) -> None:
    """Print one run: what ran, how long it took, how it ended. Raises ProjectError when there is no such run."""
    from jessyfile.commands.runs_told import ToldRun, report_of
    from jessyfile.planning.runs import find_run
    from jessyfile.report import summary_lines
    from jessyfile.text.fit import table

    told = ToldRun.of(find_run(here(), number))
    width = terminal_width()
    number, state, *rest = told.line()
    say(" · ".join(part for part in (number, told.name, state, *rest[:3]) if part))
    for line in told.steps(width):
        say(line)
    for event in told.events:
        if event.event in ("damaged", *_TOLD):
            say(f"  {event.message}")
    if told.judged is not None:
        say("\n".join(f"  {line}" for line in summary_lines(told.judged)))
    for line in _trained(told):
        say(f"  {line}")
    report = report_of(told.run)
    called = [("called", told.command)] if told.options else []
    pairs = [*called, ("files", near(told.run.folder)), *([("report", report)] if report else []), *told.next_steps()]
    say("\n".join(table(pairs, width)))


_TOLD = ("run_failed", "interrupted")


def _trained(told: ToldRun) -> Iterator[str]:
    """Yield what the run's trainings reported: the last update of each epoch, where all of them are, and what preferences have done."""
    from jessyfile.results.facts import PreferFacts
    from jessyfile.training.metrics import metrics_file, read_metrics

    for path in (told.run.folder / metrics_file(step) for step in ("train", "prefer")):
        found = read_metrics(path)
        last = {one.epoch: one for one in found}
        yield from (f"epoch {one.epoch}, update {one.iteration}: {one.live()}" for one in last.values())
        if found:
            yield f"{counted(len(found), 'update')} in {near(path)}"
    if (preferred := told.facts("prefer", PreferFacts)) is not None:
        yield preferred.summary


@contextlib.contextmanager
def locked(root: Path, what: str) -> Iterator[None]:
    """Hold the project's lock; where nothing was ever applied there is nothing to hold, and nothing is created."""
    from jessyfile.planning.mutex import project_lock
    from jessyfile.project import jessy_folder

    with project_lock(root, what) if jessy_folder(root).is_dir() else contextlib.nullcontext():
        yield


@click.command()
@click.argument("name")
def rollback(name: str) -> None:
    """Move NAME:latest back to the previous model. It stays back until a recipe gives another one; once more undoes it."""
    from jessyfile.export.registry import rollback as move_back

    root = here()
    with locked(root, f"jessy rollback {name}"):
        say(move_back(name, root))


@click.command()
@click.option(
    "--keep", type=click.IntRange(min=0), default=5, show_default=True, help="Keep the results of this many last runs."
)
@click.option(
    "--interrupted", is_flag=True, help="Remove the saved work of interrupted runs too; they start again from nothing."
)
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def gc(keep: int, interrupted: bool, dry_run: bool) -> None:
    """Remove stored results that no state, no kept run and no registered model needs. Interrupted runs stay resumable."""
    from jessyfile.planning.change_text import size
    from jessyfile.planning.maintenance import collect

    root = here()
    with locked(root, "jessy gc"):
        swept = collect(root, keep=keep, held=_registered_objects(root), interrupted=interrupted, dry=dry_run)
    verb = "would free" if dry_run else "freed"
    what = f"{len(swept.objects)} results and {len(swept.work)} interrupted runs"
    say(f"{verb} {size(swept.freed)}: {what}; {swept.kept} results stay")


@click.command()
@click.option("--repair", is_flag=True, help="Remove what is damaged; the next apply makes it again.")
def fsck(repair: bool) -> int:
    """Verify every stored result against its hash. Exit 1 when something is damaged."""
    from jessyfile.planning.maintenance import check
    from jessyfile.planning.maintenance import repair as remove_damaged

    root = here()
    with locked(root, "jessy fsck"):
        damage = check(root)
        if repair:
            remove_damaged(root, damage)
    for entry in damage:
        say(f"{entry.kind} {entry.name[:12]}: {entry.problem}")
    removed = " and removed" if repair else ""
    click.echo(f"{len(damage)} damaged{removed}" if damage else "everything stored is as it was written")
    return 1 if damage and not repair else 0


def _registered_objects(root: Path) -> set[str]:
    """Return the objects that a registered model is served from, found by the store's folder in the paths of its
    GGUF and its index."""
    import re

    from jessyfile.fsops import read_bytes
    from jessyfile.project import jessy_folder

    # every id that a registration mentions counts, even in a damaged one: keeping too much does no harm
    texts = [read_bytes(path).decode("utf-8", "replace") for path in (jessy_folder(root) / "models").rglob("*.json")]
    return {object_id for text in texts for object_id in re.findall(r"[0-9a-f]{64}", text)}
