"""`jessy chat`: ask a promoted model, once or in a conversation; it thinks as often as its marker says."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
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
    from jessyfile.engines.engine import Retrieved
    from jessyfile.language.recipe import Message
    from jessyfile.thinking.thinker import Thinker
    from jessyfile.thinking.thought import Ended, Event, OnEvent, Thought, Wishes

_HELP = "/clear starts over   /bye or Ctrl-D ends   Ctrl-C stops an answer   /help says this"
_LONGEST = 1024
_MOST_ITERATIONS = 99  # as in a recipe
_WHY: Mapping[Ended, str] = {
    "full": "",
    "within": ", for its time was over",
    "agreed": ", for two drafts agree",
    "room": ", for the context window has no more room",
    "cut": ", stopped",
}


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
    "--iterations", type=click.IntRange(1, _MOST_ITERATIONS), help="Spend so many instead of what the marker says."
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
) -> None:
    """Ask a promoted model; shows level, iterations and seconds. Without PROMPT it converses until Ctrl-D.

    NAME may carry a tag: jessy:candidate is what the last apply made, promoted or not.
    """
    from jessyfile.commands.history import here
    from jessyfile.engines.promoted import find
    from jessyfile.engines.serving import engine_of, loaded, served_model
    from jessyfile.thinking.thinker import Thinker
    from jessyfile.thinking.thought import Wishes

    if as_json and prompt is None:
        raise click.UsageError("--json takes a prompt")
    name, tag = tagged(name, tag)
    found = find(here(), name, tag)
    wishes = Wishes(level, iterations, max_seconds, stop_early, way="sample" if sample else "refine")
    engine = engine_of(found.entry)
    model = served_model(found.entry, max_tokens)
    settings = replace(model.settings, schema=_schema(schema) if schema else "")
    thinker = Thinker(engine, found.complexity, settings, model.name, found.entry.digest)
    with loaded(engine, replace(model, settings=settings)):
        talk = Conversation(thinker, wishes)
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
    """A conversation under way; earlier answers stand as the model wrote them, markers included. `wishes` hold for every question."""

    thinker: Thinker
    wishes: Wishes
    turns: list[Message] = field(default_factory=list)
    forgotten: int = 0

    def ask(self, prompt: str, on_event: OnEvent | None = None) -> Thought:
        """Ask the next question and remember the answer. The oldest turns are dropped when the context window is
        full. Raises ContextFullError when the question alone does not fit."""
        from jessyfile.language.recipe import Message

        turns = [*self.turns, Message("user", prompt)]
        self.forgotten = 0
        while True:
            try:
                thought = self.thinker.answer(turns, self.wishes, on_event)
            except ContextFullError:
                if len(turns) == 1:
                    raise
                turns, self.forgotten = turns[2:], self.forgotten + 1
            else:
                self.turns = [*turns, Message("assistant", thought.said)]
                return thought


def summary(thought: Thought) -> str:
    """Return what an answer took: `low · 1 iteration · 0.8 s · 23 tokens`, and for a model of RETRIEVE what the nearest rows say of
    the level, and which of them stood before the question. A model that was taught no marker has no level to miss."""
    told = thought.reply.retrieved
    parts = [] if thought.marker is None and thought.level is None else [_level(thought)]
    if parts or thought.asked > 1:
        parts.append(_iterations(thought))
    parts.append(f"{thought.seconds:.1f} s")
    if told is not None and told.as_it_stands:
        since = ", no draft after it is better" if len(thought.drafts) > 1 else ""
        return " · ".join([*parts, f"the answer of {_rows(told)} as it stands{since}"])
    if told is not None and told.quoted:
        return " · ".join([*parts, _quote(told)])
    shown = [f"behind {_rows(told)}"] if told is not None and told.rows else []
    shown += _passages(told) if told is not None else []
    return " · ".join([*parts, _tokens(thought), *_begun_from(thought), *shown])


def _iterations(thought: Thought) -> str:
    """Return how many iterations were spent, of how many where that is another number, and why there were no more."""
    if thought.iterations == thought.asked:
        short = f", {counted(thought.shortened, 'draft')} shortened" if thought.shortened else ""
        return counted(thought.asked, "iteration") + (short if thought.ended == "full" else _WHY[thought.ended])
    return f"{thought.iterations} of {counted(thought.asked, 'iteration')}{_WHY[thought.ended]}"


def _tokens(thought: Thought) -> str:
    cut = ", cut off at the limit" if thought.reply.stopped == "length" else ""
    others = f" and {thought.reasoning_tokens} in drafts" if thought.reasoning_tokens else ""
    return counted(thought.tokens, "token") + cut + others


def _begun_from(thought: Thought) -> Iterator[str]:
    first = thought.drafts[0]
    if first.ended == "stands" and first.reply.retrieved is not None:
        yield f"begun from {_rows(first.reply.retrieved)}"


def _level(thought: Thought) -> str:
    vote, level = thought.vote, thought.level or "no level"
    return level if vote is None else f"{level} (rows: {vote.level} {vote.share:.0%})"


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
    live = StreamedAnswer(lambda text: click.echo(printable(text), nl=False))
    if sys.stdout.isatty():
        with _cutting() as cut:
            thought = talk.ask(prompt, lambda event: live.show(event) or cut.asked)
    else:
        thought = talk.ask(prompt)
    live.finish(thought.text)
    click.echo(f"\n{click.style(printable(summary(thought)), dim=True)}")


def _print_json(talk: Conversation, prompt: str) -> None:
    click.echo(json_text(answer_as_json(prompt, talk.ask(prompt)), indent=1))


def answer_as_json(prompt: str, thought: Thought) -> dict[str, Any]:
    """Return an answer in the format of `--json`: `iterations` were spent of those `asked`."""
    reply = thought.reply
    return {
        "format": 1,
        "prompt": prompt,
        "text": thought.text,
        "level": thought.level,
        "iterations": thought.iterations,
        "asked": thought.asked,
        "ended": thought.ended,
        "marked_level": thought.marked_level,
        "speaker": thought.speaker,
        "digest": thought.digest,
        "fallback": thought.fallback,
        "seconds": round(thought.seconds, 3),
        "first_token_seconds": thought.first_token_seconds,
        "prompt_tokens": thought.prompt_tokens,
        "tokens": thought.tokens,
        "reasoning_tokens": thought.reasoning_tokens,
        "cached_tokens": thought.cached_tokens,
        "stopped": reply.stopped,
        "chosen": thought.chosen + 1,
        "drafts": [
            {
                "text": one.text,
                "ended": one.ended,
                "seconds": round(one.seconds, 3),
                "tokens": one.tokens,
                "prompt_tokens": one.prompt_tokens,
                "cached_tokens": one.cached_tokens,
            }
            for one in thought.drafts
        ],
        **({} if thought.vote is None else {"vote": asdict(thought.vote)}),
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
    """Shows an answer while it is written, and before that which draft is; `finish` shows what is left."""

    write: Callable[[str], None]
    shown: str = ""
    _counting: bool = False

    def show(self, event: Event) -> bool:
        """Take what happens; never cuts it."""
        from jessyfile.thinking.thought import DraftBegan, Piece

        if isinstance(event, Piece) and event.final:
            self._extend(event.text)
        elif isinstance(event, DraftBegan) and event.number > 1:
            self._count(f"draft {event.number} of {event.of} …")
        return False

    def finish(self, text: str) -> None:
        """Show the rest of the whole answer."""
        self._extend(text)

    def _count(self, line: str) -> None:
        click.echo(f"\r\x1b[K{click.style(line, dim=True)}", nl=False)
        self._counting = True

    def _extend(self, text: str) -> None:
        if self._counting:
            click.echo("\r\x1b[K", nl=False)
            self._counting = False
        # white space at the end is stripped from every state of the answer, so what was shown stays a beginning of it
        if text.startswith(self.shown):
            self.write(text[len(self.shown) :])
            self.shown = text
