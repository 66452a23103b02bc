"""What a line that begins with a slash does in `jessy chat`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.answer_shown import dimmed, show_answer
from jessyfile.commands.answer_told import shown_questions, summary, why
from jessyfile.commands.terminal import live_terminal
from jessyfile.errors import JessyError
from jessyfile.text.fit import folded, table, terminal_width
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.commands.conversation import Conversation
    from jessyfile.feedback import Signal
    from jessyfile.feedback.signal import Kind
    from jessyfile.thinking.thought import Thought

MOST_ITERATIONS = 99  # as in a recipe
_WORD = re.compile(r"/([a-zA-Z?]*)(?:\s+(.*))?\s*\Z", re.DOTALL)
_AUTO = "auto"
_NO_ANSWER = "nothing was answered yet"


@dataclass(slots=True)
class Talk:
    """A conversation as a person has it: `name` with its tag, `root` is the project's."""

    conversation: Conversation
    name: str
    root: Path

    @property
    def levels(self) -> list[str]:
        """The levels that the model knows."""
        return [level.name for level in self.conversation.thinker.complexity.levels]


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A word behind a slash. `run` gets what stands behind the word; it returns False to end the conversation."""

    word: str
    takes: str
    help: str
    run: Callable[[Talk, str], bool | None]
    choices: Callable[[Talk], Sequence[str]] = field(default=lambda _: ())

    @property
    def usage(self) -> str:
        """The command as it is typed."""
        return f"/{self.word} {self.takes}".strip()


def command_of(line: str) -> tuple[str, str] | None:
    """Return the word and the rest of a line that is a command, None for a question; `/etc/passwd` begins none."""
    found = _WORD.match(line.strip())
    return (found[1].lower(), (found[2] or "").strip()) if found else None


def run_command(talk: Talk, word: str, rest: str) -> bool:
    """Do what a command asks for; return False when it ends the conversation."""
    chosen = next((one for one in COMMANDS if word in (one.word, *_ALSO.get(one.word, ()))), None)
    if chosen is None:
        click.echo(printable(f"there is no command /{word}; /help names them all"), err=True)
        return True
    try:
        return chosen.run(talk, rest) is not False
    except (click.UsageError, JessyError) as error:
        hint = getattr(error, "hint", None)
        click.echo(printable(f"{error.message}{f'; {hint}' if hint else ''}"), err=True)
        return True


def answer_shown(talk: Talk, thought: Thought) -> None:
    """Say below an answer what it took, and which turns had to go for it."""
    width = terminal_width() if live_terminal() else None
    click.echo("\n" + "\n".join(map(dimmed, folded(summary(thought), width, 2))))
    if gone := talk.conversation.forgotten:
        count = "turn" if gone == 1 else f"{gone} turns"
        click.echo(dimmed(f"(the oldest {count} no longer fit into the context window)"))


def _level(talk: Talk, rest: str) -> None:
    wishes, levels = talk.conversation.wishes, talk.levels
    if rest and rest not in (*levels, _AUTO):
        raise click.UsageError(f"/level takes {', '.join(levels)} or {_AUTO}, not {rest!r}")
    if rest:
        wishes = talk.conversation.wishes = replace(wishes, level=None if rest == _AUTO else rest)
    click.echo(f"level: {wishes.level or 'as the marker says'}")


def _iterations(talk: Talk, rest: str) -> None:
    wishes = talk.conversation.wishes
    if rest and rest != _AUTO and not (rest.isascii() and rest.isdigit() and 1 <= int(rest[:4]) <= MOST_ITERATIONS):
        raise click.UsageError(f"/iterations takes a number from 1 to {MOST_ITERATIONS}, or {_AUTO}, not {rest!r}")
    if rest:
        wishes = talk.conversation.wishes = replace(wishes, iterations=None if rest == _AUTO else int(rest))
    click.echo(f"iterations: {wishes.iterations or 'as the marker says'}")


def _why(talk: Talk, _: str) -> None:
    conversation = talk.conversation
    lines = why(_answered(talk), shown_questions(conversation.thinker.engine))
    for line in table([(name, printable(said)) for name, said in lines], terminal_width()):
        click.echo(line)


def _retry(talk: Talk, _: str) -> None:
    _answered(talk)
    answer_shown(talk, show_answer(talk.conversation.retry))


def _good(talk: Talk, _: str) -> None:
    thought, before = _answered(talk), talk.conversation.before
    if before is not None and before.text.strip() and before.text != thought.text:
        _keep(talk, before, "regenerate", chosen=thought.text)
    else:
        _keep(talk, thought, "up")


def _bad(talk: Talk, rest: str) -> None:
    _keep(talk, _answered(talk), "down", reason=rest or None)


def _edit(talk: Talk, rest: str) -> None:
    if not rest:
        raise click.UsageError("/edit takes the answer as it should have been")
    _keep(talk, _answered(talk), "edit", chosen=rest)
    talk.conversation.correct(rest)


def _answered(talk: Talk) -> Thought:
    if talk.conversation.thought is None:
        raise click.UsageError(_NO_ANSWER)
    return talk.conversation.thought


def _keep(talk: Talk, thought: Thought, kind: Kind, chosen: str | None = None, reason: str | None = None) -> None:
    """Record what a person says of an answer."""
    from jessyfile.feedback import record

    id_ = record(talk.root, _signal(talk, thought, kind, chosen, reason))
    click.echo(dimmed(f"kept as {id_}; `jessy feedback list` shows it"))


def _signal(talk: Talk, thought: Thought, kind: Kind, chosen: str | None, reason: str | None) -> Signal:
    from jessyfile.engines.adaptive import read_marker
    from jessyfile.feedback import Signal
    from jessyfile.language.recipe import Message

    complexity = talk.conversation.thinker.complexity
    before = tuple(
        one if one.role == "user" else Message(one.role, read_marker(one.content, complexity).text)
        for one in talk.conversation.turns[:-1]
    )
    level = thought.level if thought.level is not None else None
    name = thought.speaker.partition(":")[0] if thought.speaker == talk.name else thought.speaker
    return Signal(
        kind, before, thought.text, name, chosen, reason, thought.digest, level,
        thought.asked if level is not None else None, "chat",
    )  # fmt: skip


def _save(talk: Talk, rest: str) -> None:
    from jessyfile.user_files import write_new

    if not rest:
        raise click.UsageError("/save takes the name of a file: .json for a program, any other to be read")
    if not talk.conversation.turns:
        raise click.UsageError(_NO_ANSWER)
    path = Path(rest)
    write_new(path, (_as_json(talk) if path.suffix == ".json" else _as_text(talk)).encode("utf-8", "replace"))
    click.echo(dimmed(f"written to {path}"))


def _as_json(talk: Talk) -> str:
    told = [{"role": role, "content": text} for role, text in _said(talk)]
    return json_text({"format": 1, "model": talk.name, "messages": told}, indent=1) + "\n"


def _as_text(talk: Talk) -> str:
    parts = (f"> {text.replace(chr(10), f'{chr(10)}> ')}" if role == "user" else text for role, text in _said(talk))
    return f"# {talk.name}\n\n" + "\n\n".join(map(printable, parts)) + "\n"


def _said(talk: Talk) -> Iterator[tuple[str, str]]:
    """Yield every turn with its role, without markers."""
    from jessyfile.engines.adaptive import read_marker

    complexity = talk.conversation.thinker.complexity
    for one in talk.conversation.turns:
        yield one.role, one.content if one.role == "user" else read_marker(one.content, complexity).text


def _clear(talk: Talk, _: str) -> None:
    talk.conversation.clear()
    click.echo("the conversation starts over")


def _help(_: Talk, __: str) -> None:
    for line in table([(one.usage, one.help) for one in COMMANDS], terminal_width()):
        click.echo(line)
    click.echo("Alt-Enter breaks a line; Ctrl-C cuts an answer; Ctrl-D ends")


def _bye(_: Talk, __: str) -> bool:
    return False


_ALSO = {"bye": ("quit", "exit"), "help": ("", "?")}
COMMANDS: tuple[ChatCommand, ...] = (
    ChatCommand(
        "level",
        "[NAME]",
        "think at this level (auto: as marked)",
        _level,
        lambda talk: [*talk.levels, _AUTO],
    ),
    ChatCommand("iterations", "[N]", "think so many times (auto: as marked)", _iterations, lambda _: [_AUTO]),
    ChatCommand("why", "", "say how the last answer came about", _why),
    ChatCommand("retry", "", "answer the last question anew", _retry),
    ChatCommand("good", "", "keep that the answer is good", _good),
    ChatCommand("bad", "[REASON]", "keep that it is not, and why", _bad),
    ChatCommand("edit", "TEXT", "keep the answer that it should have been", _edit),
    ChatCommand("save", "FILE", "write the conversation into a new file", _save),
    ChatCommand("clear", "", "start over", _clear),
    ChatCommand("help", "", "say this", _help),
    ChatCommand("bye", "", "end; /quit and Ctrl-D do, too", _bye),
)
