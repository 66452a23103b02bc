"""The tasks that Open WebUI gives the chat model behind its user's back: title, tags, follow-up questions, search queries, autocompletion.

A persona of 270M parameters never saw such a task, would answer it in character, and would keep a user waiting for it. Each is known by
the sentence that Open WebUI's own templates begin with, as its config.py had them in 2025 and 2026, and answered with what can be said
without a model: the title is the first words of the conversation, and of the rest the empty form that Open WebUI itself takes for "none".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jessyfile.text.printable import json_text

_SIGN = "### Task:"
_FIRST_LINES = 600
_HISTORY = re.compile(r"<chat_history>\s*(.*?)\s*</chat_history>", re.DOTALL)
_SPEAKER = re.compile(r"^(USER|ASSISTANT|SYSTEM): ?", re.MULTILINE)
_TITLE_WORDS, _TITLE_LETTERS = 5, 50
_NO_TITLE = "💬"

# what Open WebUI's template asks for, in its own words, and the name of the field that it reads
_TITLE = re.compile(r"Generate a concise(?:, [0-9]-[0-9] word)? title (?:with an emoji )?summarizing the chat history")
_FORMS: tuple[tuple[re.Pattern[str], Mapping[str, object]], ...] = (
    (re.compile(r"Generate 1-3 broad tags categorizing the main themes"), {"tags": ["General"]}),
    (re.compile(r"Suggest 3-5 relevant follow-up questions or prompts"), {"follow_ups": []}),
    (re.compile(r"Analyze the chat history to determine the necessity of generating search queries"), {"queries": []}),
    (re.compile(r"You are an autocompletion system"), {"text": ""}),
)


def task_answer(prompt: str) -> str | None:
    """Return the answer to one of Open WebUI's tasks, None for what is none."""
    if not prompt.lstrip().startswith(_SIGN):
        return None
    head = prompt.lstrip()[:_FIRST_LINES]
    if _TITLE.search(head):
        return json_text({"title": _title(prompt)})
    return next((json_text(form) for sentence, form in _FORMS if sentence.search(head)), None)


def _title(prompt: str) -> str:
    """Return the first words that the user said in the conversation that a task quotes."""
    found = _HISTORY.search(prompt)
    said = _first_said(found[1]) if found else ""
    words = said.split()
    title = " ".join(words[:_TITLE_WORDS])[:_TITLE_LETTERS].rstrip(" .,;:!?")
    return (f"{title}…" if len(words) > _TITLE_WORDS else title) or _NO_TITLE


def _first_said(history: str) -> str:
    _, *turns = _SPEAKER.split(history)
    for speaker, text in zip(turns[::2], turns[1::2], strict=False):
        if speaker == "USER" and text.strip():
            return text.strip().splitlines()[0]
    return ""
