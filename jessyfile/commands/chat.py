"""`jessy chat`: ask a promoted model, once or in a conversation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.engines.adaptive import Answer
    from jessyfile.engines.engine import ChatMessage, Engine, Watch
    from jessyfile.language.recipe import Complexity

_LONGEST = 1024
_MARKER_ROOM = 100


@click.command()
@click.argument("name")
@click.argument("prompt", required=False)
@click.option(
    "--tag", type=click.Choice(["latest", "candidate", "previous"]), default="latest", show_default=True,
    help="Which registered model of that name.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON (format 1); takes a prompt.")
@click.option(
    "--max-tokens", type=click.IntRange(1, 100_000), default=_LONGEST, show_default=True, help="Longest answer."
)
def chat(name: str, prompt: str | None, tag: str, as_json: bool, max_tokens: int) -> None:
    """Ask a promoted model; shows level, iterations and seconds. Without PROMPT it converses until Ctrl-D."""
    from jessyfile.commands.history import here
    from jessyfile.engines.promoted import find
    from jessyfile.engines.serving import engine_of, loaded, served_model

    if as_json and prompt is None:
        raise click.UsageError("--json takes a prompt")
    found = find(here(), name, tag)
    engine = engine_of(found.entry)
    with loaded(engine, served_model(found.entry, max_tokens)):
        talk = Conversation(engine, found.complexity)
        if prompt is not None:
            (_print_json if as_json else _print_answer)(talk, prompt)
        else:
            _converse(talk, f"{name}:{tag}")


@dataclass(slots=True)
class Conversation:
    """A conversation under way; earlier answers stay as the model wrote them, markers included."""

    engine: Engine
    complexity: Complexity
    turns: list[ChatMessage] = field(default_factory=list)

    def ask(self, prompt: str, watch: Watch | None = None) -> Answer:
        """Ask the next question and remember the answer."""
        from jessyfile.engines.adaptive import ask
        from jessyfile.engines.engine import ChatMessage

        turns = [*self.turns, ChatMessage("user", prompt)]
        answer = ask(self.engine, turns, self.complexity, watch=watch)
        self.turns = [*turns, ChatMessage("assistant", answer.reply.text)]
        return answer


def summary(answer: Answer) -> str:
    """Return what an answer took: `low · 1 iteration · 0.8 s · 23 tokens`."""
    reply, parts = answer.reply, [answer.level or "no level"]
    if answer.iterations is not None:
        parts.append(f"{answer.iterations} iteration{'' if answer.iterations == 1 else 's'}")
    cut = ", cut off at the limit" if reply.stopped == "length" else ""
    return " · ".join(
        [*parts, f"{reply.seconds:.1f} s", f"{reply.tokens} token{'' if reply.tokens == 1 else 's'}{cut}"]
    )


def _print_answer(talk: Conversation, prompt: str) -> None:
    live = Live(talk.complexity, lambda text: click.echo(printable(text), nl=False))
    answer = talk.ask(prompt, live.show if sys.stdout.isatty() else None)
    live.finish(answer.text)
    click.echo(f"\n{click.style(printable(summary(answer)), dim=True)}")


def _print_json(talk: Conversation, prompt: str) -> None:
    answer = talk.ask(prompt)
    click.echo(json_text(answer_as_json(prompt, answer), indent=1))


def answer_as_json(prompt: str, answer: Answer) -> dict[str, Any]:
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
    }


def _converse(talk: Conversation, name: str) -> None:
    if sys.stdin.isatty():
        click.echo(printable(f"{name}, Ctrl-D ends"))
    for prompt in _prompts():
        _print_answer(talk, prompt)


def _prompts() -> Iterator[str]:
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                click.echo()
            return
        if line.strip():
            yield line


@dataclass(slots=True)
class Live:
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
