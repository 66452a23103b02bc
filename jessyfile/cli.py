"""The command line: names, help lines and exit codes. What a command does lies in `jessyfile.commands`, imported when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys

gc.set_threshold(100_000, 50, 50)  # a short command ends before there is a cycle worth looking for

import click  # noqa: E402

from jessyfile import __version__  # noqa: E402
from jessyfile.errors import JessyError  # noqa: E402

# command -> (module:function under jessyfile.commands, one help line); the help of `jessy` is drawn from here without importing them
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("editor:init", "Write a commented recipe and seeds that apply at once."),
    "check": ("recipe:check", "Find every mistake in a recipe."),
    "fmt": ("recipe:fmt", "Lay a recipe out; comments stay."),
    "plan": ("plan:plan", "Show what apply would do, and why. Starts nothing."),
    "apply": ("apply:apply", "Make data, train, export, evaluate, promote: whatever the plan says."),
    "chat": ("chat:chat", "Ask a promoted model; shows level, iterations and seconds."),
    "status": ("status:status", "What is promoted, what was last applied, what it scored."),
    "data": ("data:data", "Make, look at and check training rows."),
    "watch": ("watch:watch", "Apply again whenever the recipe or its seeds change."),
    "show": ("show:show", "Print a flattened recipe, or a run."),
    "why": ("plan:why", "Say why a step runs again, or does not."),
    "graph": ("plan:graph", "Draw the steps as Mermaid or DOT."),
    "diff": ("plan:diff", "Compare two recipes, or two runs."),
    "history": ("history:history", "List the runs."),
    "rollback": ("history:rollback", "Move NAME:latest back to the previous model."),
    "gc": ("history:gc", "Remove stored results that no kept run needs."),
    "fsck": ("history:fsck", "Verify every stored result against its hash."),
    "import": ("editor:import_", "Write the Jessyfile that equals a Modelfile or an mlx-lm configuration."),
    "explain": ("recipe:explain", "Explain a diagnostic's code."),
    "schema": ("recipe:schema", "Print the recipe's JSON Schema."),
    "lsp": ("editor:lsp", "Serve editors over the language server protocol."),
    "doctor": ("doctor:doctor", "Say what this machine offers: backend, BLAS, memory, engines."),
}


class LateGroup(click.Group):
    """A group that knows its commands' names and help lines, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"jessyfile.commands.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jessy")
def jessy() -> None:
    """State in a recipe what a small local model must become; jessy plans, trains, exports and proves it."""


def _say(error: JessyError) -> None:
    from jessyfile.commands.common import printable

    print(f"error[{error.code}]: {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  = help: {printable(error.hint)}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 error, 2 usage or changes, 3 a MUST failed, 130 interrupted."""
    try:
        result = jessy.main(arguments, prog_name="jessy", standalone_mode=False)
    except JessyError as error:
        _say(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 (the last resort: a bug must not look like the user's mistake)
        return _bug(error)
    return result if isinstance(result, int) else 0


def _bug(error: Exception) -> int:
    import traceback

    if os.environ.get("JESSY_TRACEBACK"):
        traceback.print_exc()
    where = traceback.extract_tb(error.__traceback__)[-1]
    print(
        f"error[E000]: a bug in jessy: {type(error).__name__}: {error} ({where.filename}:{where.lineno})",
        file=sys.stderr,
    )
    print(
        "  = help: run again with JESSY_TRACEBACK=1 and report what it prints; nothing stored was changed",
        file=sys.stderr,
    )
    return 1


def entry() -> None:
    """Be the console script."""
    code = main()
    gc.freeze()  # the interpreter looks for cycles once more at its end; there is nothing left that needs it
    sys.exit(code)


if __name__ == "__main__":
    entry()
