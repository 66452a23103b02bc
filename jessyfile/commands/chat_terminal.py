"""The line that a person edits in `jessy chat`: history, several lines, commands that complete. The seam to prompt_toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from jessyfile.commands.chat_commands import COMMANDS

if TYPE_CHECKING:
    from prompt_toolkit.document import Document

    from jessyfile.commands.chat_commands import Talk
    from jessyfile.commands.chat_history import TypedHistory

_PROMPT, _MENU = "> ", 6


class _Kept(History):
    """Gives prompt_toolkit what was typed in this project before."""

    def __init__(self, typed: TypedHistory) -> None:
        super().__init__()
        self.typed = typed

    def load_history_strings(self) -> Iterable[str]:
        """Yield what was typed, the newest first."""
        return reversed(self.typed.lines())

    def store_string(self, string: str) -> None:
        """Keep a line."""
        self.typed.add(string)


class _Commands(Completer):
    """Completes the word behind a slash, and what a command takes."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002 (the base's signature)
        """Yield what may stand at the cursor."""
        typed = document.text_before_cursor
        if not typed.startswith("/") or "\n" in typed:
            return
        word, space, rest = typed[1:].partition(" ")
        for one in COMMANDS:
            if not space and one.word.startswith(word.lower()):
                yield Completion(one.word, -len(word), display=one.usage, display_meta=one.help)
            elif space and one.word == word.lower():
                for choice in one.choices(self.talk):
                    if choice.startswith(rest):
                        yield Completion(choice, -len(rest))


def edited_lines(talk: Talk, typed: TypedHistory | None) -> Iterator[str]:
    """Yield what a person types until Ctrl-D; Ctrl-C gives the line up. `typed` None keeps nothing beyond the conversation."""
    session: PromptSession[str] = PromptSession(
        _PROMPT,
        multiline=True,
        prompt_continuation=lambda width, _, __: " " * width,
        history=_Kept(typed) if typed is not None else InMemoryHistory(),
        completer=_Commands(talk),
        complete_while_typing=True,
        reserve_space_for_menu=_MENU,
        key_bindings=_keys(),
        enable_suspend=True,
    )
    while True:
        try:
            line = session.prompt()
        except EOFError:
            return
        except KeyboardInterrupt:
            click.echo("(Ctrl-D or /bye ends)")
            continue
        if line.strip():
            yield line


def _keys() -> KeyBindings:
    """Return the keys that are other than prompt_toolkit's for several lines: Enter sends, Alt-Enter breaks the line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _break(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
