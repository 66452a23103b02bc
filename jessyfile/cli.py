"""The command line: names, help lines and exit codes. What a command does lies in `jessyfile.commands`, imported when it is called."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from collections.abc import Callable

gc.set_threshold(100_000, 50, 50)  # a short command leaves no garbage that is worth the time of a collection

import click  # noqa: E402 (after the collector was told to wait)

from jessyfile import __version__  # noqa: E402 (as above)
from jessyfile.errors import Exit, Interrupted, JessyError, RecipeError  # noqa: E402 (as above)


def _init() -> click.Command:
    from jessyfile.commands.init import init

    return init


def _check() -> click.Command:
    from jessyfile.commands.recipe import check

    return check


def _fmt() -> click.Command:
    from jessyfile.commands.recipe import fmt

    return fmt


def _plan() -> click.Command:
    from jessyfile.commands.plan import plan

    return plan


def _apply() -> click.Command:
    from jessyfile.commands.apply import apply

    return apply


def _chat() -> click.Command:
    from jessyfile.commands.chat import chat

    return chat


def _serve() -> click.Command:
    from jessyfile.commands.serve import serve

    return serve


def _voice() -> click.Command:
    from jessyfile.commands.voice import voice

    return voice


def _status() -> click.Command:
    from jessyfile.commands.status import status

    return status


def _data() -> click.Command:
    from jessyfile.commands.data import data

    return data


def _feedback() -> click.Command:
    from jessyfile.commands.feedback import feedback

    return feedback


def _watch() -> click.Command:
    from jessyfile.commands.watch import watch

    return watch


def _sweep() -> click.Command:
    from jessyfile.commands.sweep import sweep

    return sweep


def _show() -> click.Command:
    from jessyfile.commands.show import show

    return show


def _why() -> click.Command:
    from jessyfile.commands.plan import why

    return why


def _graph() -> click.Command:
    from jessyfile.commands.plan import graph

    return graph


def _diff() -> click.Command:
    from jessyfile.commands.diff import diff

    return diff


def _history() -> click.Command:
    from jessyfile.commands.history import history

    return history


def _rollback() -> click.Command:
    from jessyfile.commands.history import rollback

    return rollback


def _gc() -> click.Command:
    from jessyfile.commands.history import gc

    return gc


def _fsck() -> click.Command:
    from jessyfile.commands.history import fsck

    return fsck


def _upgrade() -> click.Command:
    from jessyfile.commands.upgrade import upgrade

    return upgrade


def _verify() -> click.Command:
    from jessyfile.commands.verify import verify

    return verify


def _import() -> click.Command:
    from jessyfile.commands.import_recipe import import_

    return import_


def _export() -> click.Command:
    from jessyfile.commands.export import export

    return export


def _eval() -> click.Command:
    from jessyfile.commands.evaluate import eval_

    return eval_


def _compare() -> click.Command:
    from jessyfile.commands.compare import compare

    return compare


def _report() -> click.Command:
    from jessyfile.commands.report import report

    return report


def _explain() -> click.Command:
    from jessyfile.commands.recipe import explain

    return explain


def _schema() -> click.Command:
    from jessyfile.commands.recipe import schema

    return schema


def _lsp() -> click.Command:
    from jessyfile.commands.lsp import lsp

    return lsp


def _doctor() -> click.Command:
    from jessyfile.commands.doctor import doctor

    return doctor


# command -> (what imports it, one help line); the help of `jessy` is drawn from here without importing any
COMMANDS: dict[str, tuple[Callable[[], click.Command], str]] = {
    "init": (_init, "Write a commented recipe and seeds that apply at once."),
    "check": (_check, "Find every mistake in a recipe."),
    "fmt": (_fmt, "Format a recipe; comments stay."),
    "plan": (_plan, "Show what apply would do, and why. Starts nothing."),
    "apply": (_apply, "Make data, train, export, evaluate, promote: whatever the plan says."),
    "chat": (_chat, "Ask a promoted model; shows level, iterations and seconds."),
    "serve": (_serve, "Serve promoted models to clients of OpenAI and Ollama."),
    "voice": (_voice, "Hear a question in a recording, and speak the model's answer."),
    "eval": (_eval, "Ask a promoted model its suites now; say whether it fell behind its lock file."),
    "compare": (_compare, "Compare two models, recipes or runs on the same cases."),
    "report": (_report, "Write a run's report again, and open it."),
    "status": (_status, "What is promoted, what was last applied, what it scored."),
    "data": (_data, "Make, look at and check training rows."),
    "feedback": (_feedback, "Look at what people said of answers; accept, reject or forget it."),
    "watch": (_watch, "Apply again whenever the recipe or its seeds change."),
    "sweep": (_sweep, "Try values of settings side by side; say which wins, if one stands out."),
    "show": (_show, "Print a flattened recipe, or a run."),
    "why": (_why, "Say why a step runs again, or does not."),
    "graph": (_graph, "Draw the steps as Mermaid, DOT or SVG."),
    "diff": (_diff, "Compare two recipes, or two runs."),
    "history": (_history, "List the runs."),
    "rollback": (_rollback, "Move NAME:latest back to the previous model."),
    "gc": (_gc, "Remove stored results that no kept run needs."),
    "fsck": (_fsck, "Verify every stored result against its hash."),
    "upgrade": (_upgrade, "Bring what an older jessy left here to today's formats."),
    "verify": (_verify, "Prove that a GGUF is the model of a folder, or name what differs."),
    "import": (_import, "Write the Jessyfile that equals a Modelfile or an mlx-lm configuration."),
    "export": (_export, "Write a model as files for Ollama, llama.cpp, mlx-lm or transformers."),
    "explain": (_explain, "Explain a diagnostic's code."),
    "schema": (_schema, "Print the recipe's JSON Schema."),
    "lsp": (_lsp, "Serve editors over the language server protocol."),
    "doctor": (_doctor, "Say what this machine offers: backend, BLAS, memory, engines."),
}


class LateGroup(click.Group):
    """A group that knows its commands' names and help lines, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (likewise)
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        return COMMANDS[cmd_name][0]()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names. A mistyped word is refused with the command that was probably
        meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            from jessyfile.commands.unknown_command import unknown_command

            raise unknown_command(args[0], COMMANDS, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (likewise)
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


_EXIT_CODES = (
    "Exit codes: 0 done; 1 an error; 2 plan --detailed-exitcode found changes; 3 all done, but a MUST failed and "
    "nothing was promoted, or eval found a score that fell; 64 the command line is wrong; 130 stopped."
)


@click.command(
    cls=LateGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXIT_CODES,
)
@click.version_option(__version__, prog_name="jessy")
@click.pass_context
def jessy(ctx: click.Context) -> None:
    """State in a recipe what a small local model must become; jessy plans, trains, exports and proves it."""
    if ctx.invoked_subcommand is None:
        from jessyfile.commands.recipe_file import next_step
        from jessyfile.text.printable import printable

        click.echo(f"{ctx.get_help()}\n\nNext: {printable(next_step())}")


def _say(error: JessyError) -> None:
    from jessyfile.commands.say import say
    from jessyfile.text.printable import printable

    if isinstance(error, RecipeError) and error.diagnostics:
        from jessyfile.language import Diagnostic, render_diagnostics

        found = [entry for entry in error.diagnostics if isinstance(entry, Diagnostic)]
        print(f"{render_diagnostics(found)}\n\n{printable(error.message)}", file=sys.stderr)
        return
    # the user asked for this stop: it is not an error
    kind = "note" if isinstance(error, Interrupted) else f"error[{error.code}]"
    say(f"{kind}: {error.message}" + (f"\n  = help: {error.hint}" if error.hint else ""), err=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code, one of `errors.Exit`."""
    try:
        result = jessy.main(_readable(sys.argv[1:] if arguments is None else arguments), "jessy", standalone_mode=False)
    except JessyError as error:
        _say(error)
        return error.exit_code
    except click.ClickException as error:
        _show_usage(error)
        return Exit.USAGE if isinstance(error, click.UsageError) else Exit.FAILED
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last resort: a bug must not look like the user's mistake)
        return _disk(error) if isinstance(error, OSError) and error.filename is not None else _bug(error)
    return result if isinstance(result, int) else Exit.DONE


def _show_usage(error: click.ClickException) -> None:
    from jessyfile.commands.say import say

    said = io.StringIO()
    error.show(said)
    say(said.getvalue().rstrip("\n"), err=True)


def _readable(arguments: list[str]) -> list[str]:
    """Return the arguments. Raises UsageError for one whose bytes are no UTF-8: it is no text, and nothing can be sent or stored with it."""
    for argument in arguments:
        if not argument.isascii() and any("\ud800" <= character <= "\udfff" for character in argument):
            raise click.UsageError(f"the argument `{argument}` is not UTF-8")
    return arguments


def _disk(error: OSError) -> int:
    """Say which path could not be used: a failing disk or a closed folder is no bug."""
    from jessyfile.disk_errors import storage_error

    said = storage_error(error, error.filename, "use")
    _say(said)
    return said.exit_code


def _bug(error: Exception) -> int:
    import traceback

    from jessyfile.commands.say import say

    if os.environ.get("JESSY_TRACEBACK"):
        traceback.print_exc()
    where = traceback.extract_tb(error.__traceback__)[-1]
    say(f"error[E000]: a bug in jessy: {type(error).__name__}: {error} ({where.filename}:{where.lineno})", err=True)
    say("  = help: run again with JESSY_TRACEBACK=1 and report what it prints; nothing stored was changed", err=True)
    return Exit.FAILED


def entry() -> None:
    """Be the console script."""
    from jessyfile.commands.output import endure
    from jessyfile.commands.signals import interruptible

    endure()
    # a letter that the locale lacks is spelled as its number, which is better than a stop in mid-sentence
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    interruptible()
    code = main()
    if code == Exit.INTERRUPTED and threading.active_count() > 1:
        # a thread that waits for a model's answer would keep the process alive until the answer comes
        sys.stdout.flush()
        os._exit(code)
    gc.freeze()  # the interpreter collects garbage once more at its end; nothing needs that
    sys.exit(code)


if __name__ == "__main__":
    entry()
