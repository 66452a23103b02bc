"""`jessy chat`: ask a promoted model, once or in a conversation; it thinks as often as its marker says."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from jessyfile.commands.answer_shown import show_answer
from jessyfile.commands.answer_told import answer_as_json
from jessyfile.commands.chat_commands import MOST_ITERATIONS, Talk, answer_shown, command_of, run_command
from jessyfile.commands.common import TAGS, sending_options, tagged
from jessyfile.commands.conversation import Conversation, refuse_prompt
from jessyfile.commands.terminal import live_terminal
from jessyfile.errors import ContextFullError, EngineError
from jessyfile.fsops import read_bytes
from jessyfile.text.json_lines import MAX_LINE, parse_value
from jessyfile.text.printable import json_text, printable

_LONGEST = 1024


@click.command()
@click.argument("name")
@click.argument("prompt", required=False)
@click.option("--tag", type=click.Choice(TAGS), help="Which registered model of that name; NAME:TAG says the same.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON (format 1); takes a prompt.")
@click.option(
    "--max-tokens", type=click.IntRange(1, 100_000), default=_LONGEST, show_default=True, help="Longest answer."
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON schema that every answer is held to as it is made.",
)
@click.option("--level", help="Take this level instead of the one that the marker says.")
@click.option(
    "--iterations", type=click.IntRange(1, MOST_ITERATIONS), help="Spend so many instead of what the marker says."
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    help="End the thinking after so many seconds instead of the level's `within`.",
)
@click.option("--stop-early", is_flag=True, help="End the thinking when two drafts agree.")
@click.option(
    "--sample", is_flag=True, help="Write the drafts independently, and take the one the others are nearest to."
)
@click.option(
    "--no-history", is_flag=True, help="Keep nothing of what is typed for the arrow keys of the next conversation."
)
@sending_options
def chat(
    name: str,
    prompt: str | None,
    tag: str | None,
    as_json: bool,
    max_tokens: int,
    schema: str | None,
    level: str | None,
    iterations: int | None,
    max_seconds: float | None,
    stop_early: bool,
    sample: bool,
    no_history: bool,
    allow_host: tuple[str, ...],
) -> None:
    """Ask a promoted model; shows level, iterations and seconds. Without PROMPT it converses until Ctrl-D.

    NAME may carry a tag: jessy:candidate is what the last apply made, promoted or not.
    """
    from jessyfile.commands.history import here
    from jessyfile.engines.promoted import find
    from jessyfile.engines.serving import engine_of, loaded, served_model
    from jessyfile.thinking.route import Deadline
    from jessyfile.thinking.thinker import thinker_of
    from jessyfile.thinking.thought import Wishes

    del allow_host  # it stands in the environment, where a ROUTE is asked
    if as_json and prompt is None:
        raise click.UsageError("--json takes a prompt")
    if prompt is not None:
        refuse_prompt(prompt)
    root, (name, tag) = here(), tagged(name, tag)
    found, deadline = find(root, name, tag), Deadline()
    wishes = Wishes(level, iterations, max_seconds, stop_early, way="sample" if sample else "refine")
    engine = engine_of(found.entry, deadline)
    model = served_model(found.entry, max_tokens)
    held = replace(model, settings=replace(model.settings, schema=_schema(schema) if schema else ""))
    with loaded(engine, held), contextlib.closing(thinker_of(root, found, engine, held, deadline)) as thinker:
        talk = Talk(Conversation(thinker, wishes), f"{name}:{tag}", root)
        if prompt is None:
            _converse(talk, keep=not no_history)
        elif as_json:
            click.echo(json_text(answer_as_json(prompt, talk.conversation.ask(prompt)), indent=1))
        else:
            _ask(talk, prompt)


def _schema(path: str) -> str:
    """Return the text of a JSON schema's file. Raises EngineError for what is none."""
    text = read_bytes(Path(path), MAX_LINE).decode("utf-8", "replace").strip()
    value, length = parse_value(text)
    if not isinstance(value, dict) or length != len(text):
        raise EngineError(f"`{path}` holds no JSON schema", hint='write an object such as {"type": "object"} into it')
    return text


def _ask(talk: Talk, prompt: str) -> None:
    answer_shown(talk, show_answer(lambda on_event: talk.conversation.ask(prompt, on_event)))


def _converse(talk: Talk, *, keep: bool) -> None:
    from jessyfile.commands.output import unheard

    if sys.stdin.isatty():
        click.echo(printable(f"{talk.name}; /help names the commands, Ctrl-D ends"))
    for line in _lines(talk, keep=keep):
        command = command_of(line)
        if command is None:
            _turn(talk, line)
        elif not run_command(talk, *command):
            return
        if unheard():
            return


def _lines(talk: Talk, *, keep: bool) -> Iterator[str]:
    """Yield what is typed: edited at a terminal that can, else as it comes."""
    from jessyfile.commands.chat_lines import plain_lines

    if not sys.stdin.isatty() or not live_terminal():
        return plain_lines(sys.stdin.buffer, "> " if sys.stdin.isatty() else "")
    from jessyfile.commands.chat_history import TypedHistory
    from jessyfile.commands.chat_terminal import edited_lines

    return edited_lines(talk, TypedHistory(talk.root) if keep else None)


def _turn(talk: Talk, prompt: str) -> None:
    """Ask one question of a conversation; what goes wrong with it alone is said, and the conversation goes on."""
    try:
        _ask(talk, refuse_prompt(prompt))
    except click.UsageError as error:
        click.echo(f"{error.message}; it was not asked", err=True)
    except ContextFullError as error:
        click.echo(printable(f"{error.message}; ask something shorter, or {error.hint}"), err=True)
    except EngineError as error:
        if not sys.stdin.isatty():
            raise
        click.echo(printable(f"{error.message}{f'; {error.hint}' if error.hint else ''}"), err=True)
