"""`jessy feedback`: look at what people said of answers, and decide what is learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import load, recipe_options
from jessyfile.commands.history import here
from jessyfile.commands.say import near, say
from jessyfile.errors import FeedbackError
from jessyfile.planning.change_text import counted
from jessyfile.text.fit import shortened, table, terminal_width
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.feedback.store import SignalContents, StoredSignal

_SHOWN_ID = 9
_STATES = ("open", "accepted", "rejected")


@click.group(no_args_is_help=True)
def feedback() -> None:
    """Look at what people said of answers, and decide what is learned from it. Nothing leaves this machine."""


@feedback.command("list")
@click.option("--status", type=click.Choice(_STATES), help="Only signals of this status.")
@click.option("--model", metavar="NAME", help="Only signals about this model.")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, all of them, oldest first.")
def list_(status: str | None, model: str | None, count: int, as_json: bool) -> None:
    """List the signals, newest first."""
    contents = _contents()
    found = [one for one in contents.signals if status in (None, one.status) and model in (None, one.signal.model)]
    if as_json:
        for one in found:
            click.echo(json_text(_as_json(one)))
        return
    for line in table([_line(one) for one in found[::-1][:count]], terminal_width(), indent=""):
        say(line)
    by_status = Counter[str](one.status for one in contents.signals)
    states = ", ".join(f"{by_status[name]} {name}" for name in _STATES if by_status[name])
    shown = f"{min(count, len(found))} of " if len(found) > count else ""
    say(f"{shown}{counted(len(found), 'signal')}{f' ({states} in all)' if states else ''}")
    _tell_damage(contents)


def _contents() -> SignalContents:
    from jessyfile.feedback import SignalStore

    return SignalStore(here()).read()


def _as_json(one: StoredSignal) -> dict[str, object]:
    return {"id": one.id, "time": one.time, "status": one.status, **one.signal.to_json()}


def _line(one: StoredSignal) -> tuple[str, ...]:
    asked = " ".join(one.signal.question.split())
    when = one.time.replace("T", " ")[:16]
    return one.id[:_SHOWN_ID], when, one.signal.signal, one.status, one.signal.model, shortened(asked, 60)


def _tell_damage(contents: SignalContents) -> None:
    from jessyfile.feedback import SignalStore

    for damage in contents.damaged[:5]:
        say(f"{damage}, in {near(SignalStore(here()).file)}; it stays there", err=True)
    if len(contents.damaged) > 5:
        say(f"and {len(contents.damaged) - 5} more lines that cannot be read", err=True)


@feedback.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def show(ids: tuple[str, ...]) -> None:
    """Print signals whole; the beginning of an id is enough."""
    for one in _named(_contents(), ids):
        click.echo(printable(_whole(one)))


def _named(contents: SignalContents, ids: Sequence[str]) -> list[StoredSignal]:
    return list({found.id: found for found in map(contents.find, ids)}.values())


def _whole(one: StoredSignal) -> str:
    said = one.signal
    level = f"  {said.level} {said.iterations}" if said.level else ""
    became = f"{one.status} {one.changed}".rstrip()
    lines = [f"{one.id}  {said.signal}  {became}", f"  said {one.time} in {said.source} of {said.model}{level}"]
    lines += [f"  {turn.role}: {turn.content}" for turn in said.messages]
    lines.append(f"  answered: {said.answer}")
    lines += [f"  {'corrected' if said.signal == 'edit' else 'kept'}: {said.chosen}"] if said.chosen is not None else []
    lines += [f"  because: {said.reason}"] if said.reason else []
    return "\n".join(lines) + "\n"


@feedback.command()
@recipe_options
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "every", is_flag=True, help="Every open signal about the model that the recipe makes.")
@click.option(
    "--wording", multiple=True, metavar="TEXT", help="Another wording of the corrected question; may be given again."
)
@click.option(
    "--another-question", is_flag=True, help="What was refused as a case in other words is another question: take it."
)
def accept(
    recipe: Path,
    ids: tuple[str, ...],
    every: bool,
    wording: tuple[str, ...],
    another_question: bool,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
) -> None:
    """Let RECIPE learn from signals: a correction as a row of the category that its FEEDBACK names, and as a preference where PREFER
    takes them. What would give a case of a suite away is refused. A running `jessy watch` trains again."""
    from jessyfile.feedback import SignalStore
    from jessyfile.feedback.accepted import AcceptedFolder
    from jessyfile.feedback.learnable import learn_from
    from jessyfile.project import find_root

    loaded, root = load(recipe, arg, variant, set_), find_root(recipe)
    store, folder = SignalStore(root), AcceptedFolder(root)
    if not ids and not every:
        raise click.UsageError("name signals, or --all")
    with folder.held():
        contents = store.read()
        chosen = _named(contents, ids)
        if every:
            chosen += [one for one in contents.signals if one.status == "open" and one.signal.model == loaded.name]
        if wording and len(chosen) != 1:
            raise click.UsageError("--wording goes with one signal")
        learned, refused = learn_from(chosen, loaded, root, wording, surely=another_question)
        if learned:
            folder.add(learned)
            store.mark([one.id for one in learned], "accepted")
    for line in map(str, refused):
        say(line, err=True)
    rows = sum(one.row is not None for one in learned)
    compared = sum(one.preference is not None for one in learned)
    parts = [counted(rows, "row")] * bool(rows) + [counted(compared, "preference")] * bool(compared)
    say(
        f"accepted {counted(len(learned), 'signal')}"
        + (f": {' and '.join(parts)} in {near(folder.path)}" if parts else "")
    )
    if refused:
        hint = (
            "a question that is another one is taken with --another-question"
            if any(o.doubtful for o in refused)
            else None
        )
        raise FeedbackError(
            f"{counted(len(refused), 'signal')} not accepted, and left as {_was(len(refused))}", hint=hint
        )


def _was(count: int) -> str:
    return "it was" if count == 1 else "they were"


@feedback.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def reject(ids: tuple[str, ...]) -> None:
    """Decide that signals are not learned from; what was accepted of them is taken back. They stay in the list until they are
    forgotten."""
    from jessyfile.feedback import SignalStore
    from jessyfile.feedback.accepted import AcceptedFolder

    store, folder = SignalStore(here()), AcceptedFolder(here())
    with folder.held():
        chosen = [one.id for one in _named(store.read(), ids)]
        back = folder.drop(chosen)
        store.mark(chosen, "rejected")
    say(f"rejected {counted(len(chosen), 'signal')}" + _taken_back(back, folder.path))


def _taken_back(count: int, folder: Path) -> str:
    return f"; what was accepted of {count} is gone from {near(folder)}" if count else ""


@feedback.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "every", is_flag=True, help="Every signal.")
@click.option("--rejected", is_flag=True, help="Every signal that was rejected.")
@click.option(
    "--older-than", type=click.IntRange(min=1), metavar="DAYS", help="Every signal that was said before so many days."
)
@click.option("--damaged", is_flag=True, help="The lines that a crash has torn.")
def forget(ids: tuple[str, ...], every: bool, rejected: bool, older_than: int | None, damaged: bool) -> None:
    """Remove signals for good: every word of theirs. Signals stay until they are forgotten."""
    from jessyfile.feedback import SignalStore
    from jessyfile.feedback.accepted import AcceptedFolder
    from jessyfile.feedback.remains import still_said

    if not (ids or every or rejected or older_than or damaged):
        raise click.UsageError("name signals, or --all, --rejected, --older-than or --damaged")
    store = SignalStore(here())
    contents = store.read()
    chosen = {one.id: one for one in _named(contents, ids)}
    before = (datetime.now(UTC) - timedelta(days=older_than or 0)).isoformat(timespec="seconds")
    for one in contents.signals:
        if every or (rejected and one.status == "rejected") or (older_than and one.time < before):
            chosen[one.id] = one
    folder = AcceptedFolder(here())
    with folder.held():
        back = folder.drop(chosen)
        store.forget(chosen)
    torn = store.forget_damaged() if damaged else 0
    said = f"forgot {counted(len(chosen), 'signal')}" + (f" and {counted(torn, 'torn line')}" if torn else "")
    say(said + _taken_back(back, folder.path))
    left = still_said(here(), [one.signal for one in chosen.values()])
    if left:
        say(f"{counted(len(left), 'file')} of earlier runs still hold words of it, {near(left[0])} among them")
        say(
            "`jessy apply` and then `jessy gc --keep 0` remove them; a model that learned it is made anew by that apply"
        )


@feedback.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
def import_(files: tuple[Path, ...]) -> None:
    """Take in Open WebUI's export of its ratings, or what `jessy feedback list --json` printed. What is there already stays as it is."""
    from jessyfile.feedback import SignalStore
    from jessyfile.feedback.importing import read_file

    store = SignalStore(here())
    for file in files:
        found = read_file(file)
        contents = store.read()
        known = {one.id for one in contents.signals} | contents.forgotten
        new = list({one.id: one for one in found.signals if one.id not in known}.values())
        store.add([one.signal for one in new], [one.id for one in new], [one.time for one in new])
        there = len(found.signals) - len(new)
        say(f"{near(file)}: {counted(len(new), 'signal')} taken in" + (f", {there} known already" if there else ""))
        for line in [*map(str, found.passed_over[:10])]:
            say(f"  {line}")
        if len(found.passed_over) > 10:
            say(f"  and {len(found.passed_over) - 10} more that are no signals")
        if not found.signals and not found.passed_over:
            raise FeedbackError(f"`{near(file)}` holds no feedback")
