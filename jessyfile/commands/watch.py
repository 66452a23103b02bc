"""`jessy watch`: apply again whenever the recipe or what it reads changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import pairs, recipe_options, sending_options
from jessyfile.commands.recipe_file import require_recipe
from jessyfile.commands.terminal import live_terminal
from jessyfile.errors import RecipeError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.command_line import Call
    from jessyfile.watch.machine import OnChange
    from jessyfile.watch.session import Session


@click.command()
@recipe_options
@sending_options
@click.option(
    "--on-change",
    type=click.Choice(["queue", "restart", "ask"]),
    default="queue",
    show_default=True,
    help="What a change does while a retrain runs: wait, take its place, or wait for the key r.",
)
def watch(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    allow_host: tuple[str, ...],  # noqa: ARG001 (its jobs find it in the environment)
    on_change: OnChange,
) -> None:
    """Apply again whenever the recipe, or anything the plan reads, changes its content."""
    from jessyfile.commands.variants import is_every
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.command_line import Call
    from jessyfile.project import find_root
    from jessyfile.watch.session import Session

    require_recipe(recipe)
    call = Call(str(recipe), arg, variant, set_)
    if is_every(call):
        raise click.UsageError("a watch follows one model: name one VARIANT")
    screen = WatchScreen() if live_terminal() else ChangedLines()
    session = Session(
        find_root(recipe),
        call,
        lambda: load_quietly(call),
        compile_steps,
        on_change=on_change,
        say=screen.say,
        draw=screen.draw,
    )
    with _signals(session), _keys(session):
        session.run()
    screen.end()


def load_quietly(call: Call) -> Recipe:
    """Load a recipe; its mistakes are rendered into the error instead of printed. Raises RecipeError."""
    from jessyfile.language import load_recipe, render_diagnostics

    loaded = load_recipe(
        Path(call.recipe), args=pairs(call.arg, "--arg"), variant=call.variant, sets=pairs(call.set_, "--set")
    )
    if loaded.recipe is None:
        # without colour: the screen shows escape sequences as text, wherever they come from
        said = render_diagnostics(loaded.diagnostics, color=False)
        raise RecipeError("the recipe has mistakes; the running apply continues", [said])
    return loaded.recipe


class WatchScreen:
    """Redraws two lines at the bottom of a terminal; what stays is printed above them."""

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def say(self, text: str) -> None:
        """Print a text that stays."""
        self._clear()
        click.echo(printable(text))
        self._show(self._drawn)

    def draw(self, lines: Sequence[str]) -> None:
        """Draw the lines in place of those before, when they differ."""
        if list(lines) != self._drawn:
            self._clear()
            self._drawn = list(lines)
            self._show(lines)

    def end(self) -> None:
        """Leave the terminal as it was found."""
        self._clear()
        self._drawn = []

    def _clear(self) -> None:
        for _ in self._drawn:
            click.echo("\x1b[1A\x1b[2K", nl=False)

    def _show(self, lines: Sequence[str]) -> None:
        width = shutil.get_terminal_size().columns
        for line in lines:
            click.echo(printable(line)[: width - 1])


class ChangedLines:
    """For a log: prints what stays, and the state when something but the progress changed."""

    def __init__(self) -> None:
        self._last = ""

    def say(self, text: str) -> None:
        """Print a text that stays."""
        click.echo(printable(text))

    def draw(self, lines: Sequence[str]) -> None:
        """Print the line of the waiting change when it differs from the one before."""
        state = lines[-1].split("  p ")[0].rstrip()
        if state != self._last and state.strip():
            self._last = state
            click.echo(printable(state))

    def end(self) -> None:
        """Nothing is to be cleared."""


@contextlib.contextmanager
def _signals(session: Session) -> Iterator[None]:
    """Ctrl-C and SIGTERM quit as `q` does: the job saves first."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda _number, _frame: session.press("q")) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _keys(session: Session) -> Iterator[None]:
    """Hand in keys as they are pressed, where standard input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        while key := os.read(descriptor, 1):
            session.press(key.decode("ascii", "ignore").lower())

    tty.setcbreak(descriptor)
    threading.Thread(target=read, daemon=True).start()
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
