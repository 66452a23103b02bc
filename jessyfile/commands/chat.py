"""`jessy chat`: ask a promoted model, once or in a conversation."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from jessyfile.commands.common import TAGS, tagged
from jessyfile.errors import ContextFullError, EngineError
from jessyfile.fsops import read_bytes
from jessyfile.planning.change_text import counted
from jessyfile.text.json_lines import MAX_LINE, parse_value
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.engines.adaptive import MarkedReply
    from jessyfile.engines.engine import Engine, OnPiece, Retrieved
    from jessyfile.language.recipe import Complexity, Message

_HELP = "/clear starts over   /bye or Ctrl-D ends   Ctrl-C stops an answer   /help says this"
_LONGEST = 1024
_MARKER_ROOM = 100


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
def chat(name: str, prompt: str | None, tag: str | None, as_json: bool, max_tokens: int, schema: str | None) -> None:
    """Ask a promoted model; shows level, iterations and seconds. Without PROMPT it converses until Ctrl-D.

    NAME may carry a tag: jessy:candidate is what the last apply made, promoted or not.
    """
    from jessyfile.commands.history import here
    from jessyfile.engines.promoted import find
    from jessyfile.engines.serving import engine_of, loaded, served_model

    if as_json and prompt is None:
        raise click.UsageError("--json takes a prompt")
    name, tag = tagged(name, tag)
    found = find(here(), name, tag)
    engine = engine_of(found.entry)
    model = served_model(found.entry, max_tokens)
    held = replace(model, settings=replace(model.settings, schema=_schema(schema) if schema else ""))
    with loaded(engine, held):
        talk = Conversation(engine, found.complexity)
        if prompt is not None:
            (_print_json if as_json else _print_answer)(talk, prompt)
        else:
            _converse(talk, f"{name}:{tag}")


def _schema(path: str) -> str:
    """Return the text of a JSON schema's file. Raises EngineError for what is none."""
    text = read_bytes(Path(path), MAX_LINE).decode("utf-8", "replace").strip()
    value, length = parse_value(text)
    if not isinstance(value, dict) or length != len(text):
        raise EngineError(f"`{path}` holds no JSON schema", hint='write an object such as {"type": "object"} into it')
    return text


@dataclass(slots=True)
class Conversation:
    """A conversation under way; earlier answers stay as the model wrote them, markers included."""

    engine: Engine
    complexity: Complexity
    turns: list[Message] = field(default_factory=list)
    forgotten: int = 0

    def ask(self, prompt: str, on_piece: OnPiece | None = None) -> MarkedReply:
        """Ask the next question and remember the answer. The oldest turns are dropped when the context window is
        full. Raises ContextFullError when the question alone does not fit."""
        from jessyfile.engines.adaptive import ask
        from jessyfile.language.recipe import Message

        turns = [*self.turns, Message("user", prompt)]
        self.forgotten = 0
        while True:
            try:
                answer = ask(self.engine, turns, self.complexity, on_piece)
            except ContextFullError:
                if len(turns) == 1:
                    raise
                turns, self.forgotten = turns[2:], self.forgotten + 1
            else:
                self.turns = [*turns, Message("assistant", answer.reply.text)]
                return answer


def summary(answer: MarkedReply, complexity: Complexity) -> str:
    """Return what an answer took: `low · 1 iteration · 0.8 s · 23 tokens`, and for a model of RETRIEVE what the nearest rows say of
    the level, and which of them stood before the question. A model that was taught no marker has no level to miss."""
    reply, parts = answer.reply, [] if complexity.marker is None else [_level(answer)]
    told = reply.retrieved
    if answer.iterations is not None:
        parts.append(counted(answer.iterations, "iteration"))
    cut = {"length": ", cut off at the limit", "cut": ", stopped"}.get(reply.stopped, "")
    if told is not None and told.as_it_stands:
        return " · ".join([*parts, f"{reply.seconds:.1f} s", f"the answer of {_rows(told)} as it stands"])
    if told is not None and told.quoted:
        return " · ".join([*parts, f"{reply.seconds:.1f} s", _quote(told)])
    shown = [f"behind {_rows(told)}"] if told is not None and told.rows else []
    shown += _passages(told) if told is not None else []
    return " · ".join([*parts, f"{reply.seconds:.1f} s", counted(reply.tokens, "token") + cut, *shown])


def _level(answer: MarkedReply) -> str:
    told, level = answer.reply.retrieved, answer.level or "no level"
    return level if told is None or told.vote is None else f"{level} (rows: {told.vote.level} {told.vote.share:.0%})"


def _rows(told: Retrieved) -> str:
    """Return the rows that were found and how near they were: `row 3f2a81b0 (0.84)`."""
    named = ", ".join(f"{row.id[:8]} ({row.score:.2f})" for row in told.rows)
    return f"row{'' if len(told.rows) == 1 else 's'} {named}"


def _passages(told: Retrieved) -> Iterator[str]:
    """Yield the passages that stood before the question, and the one that the answer leans on: `leans on car.md#Tyres`."""
    if told.passages:
        named = ", ".join(f"{one.id} ({one.score:.2f})" for one in told.passages)
        yield f"behind passage{'' if len(told.passages) == 1 else 's'} {named}"
        yield f"leans on {told.leans_on}" if told.leans_on else "leans on none of them"


def _quote(told: Retrieved) -> str:
    """Return which passage was quoted and how likely it says the answer, or which came nearest to saying it."""
    best = max(told.passages, key=lambda one: one.says or 0, default=None)
    if best is None:
        return "no passage is near it"
    likely = f"{best.id} ({best.says or 0:.0%})"
    return f"quotes {likely}" if told.leans_on else f"no passage says it, the likeliest is {likely}"


def _print_answer(talk: Conversation, prompt: str) -> None:
    live = StreamedAnswer(talk.complexity, lambda text: click.echo(printable(text), nl=False))
    if sys.stdout.isatty():
        with _cutting() as cut:
            answer = talk.ask(prompt, lambda text: live.show(text) or cut.asked)
    else:
        answer = talk.ask(prompt)
    live.finish(answer.text)
    click.echo(f"\n{click.style(printable(summary(answer, talk.complexity)), dim=True)}")


def _print_json(talk: Conversation, prompt: str) -> None:
    answer = talk.ask(prompt)
    click.echo(json_text(answer_as_json(prompt, answer), indent=1))


def answer_as_json(prompt: str, answer: MarkedReply) -> dict[str, Any]:
    """Return an answer in the format of `--json`."""
    reply = answer.reply
    return {
        "format": 1,
        "prompt": prompt,
        "text": answer.text,
        "level": answer.level,
        "iterations": answer.iterations,
        "seconds": round(reply.seconds, 3),
        "first_token_seconds": reply.first_token_seconds,
        "prompt_tokens": reply.prompt_tokens,
        "tokens": reply.tokens,
        "stopped": reply.stopped,
        **({} if reply.retrieved is None else {"retrieved": asdict(reply.retrieved)}),
    }


def _converse(talk: Conversation, name: str) -> None:
    from jessyfile.commands.output import unheard

    if sys.stdin.isatty():
        _line_editing()
        click.echo(printable(f"{name}; /help says more, Ctrl-D ends"))
    for line in _lines():
        if line.startswith("/"):
            if not _command(talk, line):
                return
        else:
            _turn(talk, line)
        if unheard():
            return


def _line_editing() -> None:
    """Give `input` arrow keys and a history, where Python was built with them."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 (importing it is what changes `input`)


def _command(talk: Conversation, line: str) -> bool:
    """Do what a line that begins with a slash asks for; return False when it ends the conversation."""
    word = line.strip().casefold()
    if word == "/clear":
        talk.turns = []
        click.echo("the conversation starts over")
    elif word != "/bye":
        click.echo(_HELP)
    return word != "/bye"


def _turn(talk: Conversation, prompt: str) -> None:
    """Ask one question of a conversation; what goes wrong with it alone is said, and the conversation goes on."""
    try:
        _print_answer(talk, prompt)
    except ContextFullError as error:
        click.echo(printable(f"{error.message}; ask something shorter, or {error.hint}"), err=True)
        return
    if talk.forgotten:
        count = "turn" if talk.forgotten == 1 else f"{talk.forgotten} turns"
        click.echo(click.style(f"(the oldest {count} no longer fit into the context window)", dim=True))


def _lines() -> Iterator[str]:
    """Yield what is typed, line by line, until the end of the input; Ctrl-C gives the line up."""
    at_terminal = sys.stdin.isatty()
    while True:
        try:
            line = input("> " if at_terminal else "")
        except EOFError:
            if at_terminal:
                click.echo()
            return
        except KeyboardInterrupt:
            if not at_terminal:
                raise
            click.echo("\n(Ctrl-D or /bye ends)")
            continue
        if line.strip():
            yield line


class _Cut:
    """Ctrl-C while an answer is written: the first cuts the answer, the second ends the command."""

    def __init__(self) -> None:
        self.asked = False

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Be the handler."""
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def _cutting() -> Iterator[_Cut]:
    """Let Ctrl-C cut the answer of the block."""
    cut = _Cut()
    before = signal.signal(signal.SIGINT, cut.heard)
    try:
        yield cut
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(slots=True)
class StreamedAnswer:
    """Shows an answer while it is written, once its marker line is over; `finish` shows what is left."""

    complexity: Complexity
    write: Callable[[str], None]
    shown: str = ""

    def show(self, text: str) -> bool:
        """Take the answer so far; never cuts it."""
        from jessyfile.engines.adaptive import read_marker

        if "\n" in text.strip() or len(text) > _MARKER_ROOM:
            self._extend(read_marker(text, self.complexity).text)
        return False

    def finish(self, text: str) -> None:
        """Show the rest of the whole answer."""
        self._extend(text)

    def _extend(self, text: str) -> None:
        # white space at the end is stripped from every state of the answer, so what was shown stays a beginning of it
        if text.startswith(self.shown):
            self.write(text[len(self.shown) :])
            self.shown = text
