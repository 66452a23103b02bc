"""The forms in which other tools keep training rows, told apart by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowForm:
    """A form's name, the keys that tell it, and where its texts belong in a row of jessy's."""

    name: str
    keys: frozenset[str]
    reading: str


CASE = RowForm(
    "evaluation case's",
    frozenset({"prompt", "suite"}),
    "a case belongs into data/eval/<suite>.jsonl and trains nothing",
)
_FORMS = (
    RowForm(
        "preference",
        frozenset({"chosen", "rejected"}),
        "PREFER names files of these; as a row, the last user message is `query`, `chosen` is `response`",
    ),
    RowForm(
        "judged answer's",
        frozenset({"completion", "label"}),
        "PREFER names files of these; as a row, the last user message is `query`, a good `completion` is `response`",
    ),
    RowForm(
        "Alpaca", frozenset({"instruction", "output"}), "`instruction` and `input` are `query`, `output` is `response`"
    ),
    RowForm(
        "ShareGPT",
        frozenset({"conversations"}),
        "the last `human` value is `query`, the last `gpt` value is `response`, what comes before is `turns`",
    ),
    RowForm(
        "messages",
        frozenset({"messages"}),
        "the last user message is `query`, the last assistant message is `response`, what comes before is `turns`",
    ),
    RowForm(
        "prompt and completion",
        frozenset({"prompt", "completion"}),
        "`prompt` is `query`, `completion` is `response`",
    ),
    RowForm("question and answer", frozenset({"question", "answer"}), "`question` is `query`, `answer` is `response`"),
    CASE,
    RowForm(
        "reference answers'",
        frozenset({"case", "good"}),
        "they belong into data/eval/references/<suite>.jsonl and train nothing",
    ),
    RowForm("plain text", frozenset({"text"}), "a row needs a question and its answer"),
)
# those that `jessy init --from` and `jessy data import` take in as they are
TAKEN_IN = ("Alpaca", "ShareGPT", "messages", "prompt and completion", "question and answer")


_QUESTIONS = ("query", "question", "prompt", "instruction", "input", "user", "soru", "frage", "pregunta", "text")
_ANSWERS = (
    *("response", "answer", "completion", "output", "assistant", "cevap", "yanıt", "antwort", "respuesta"),
    *("label", "target", "category", "class", "intent"),
)


def pair_of(keys: Iterable[str]) -> tuple[str, str] | None:
    """Return the keys of a question and of its answer by their usual names, the commonest first; None without both."""
    known = {key.strip().casefold(): key for key in keys}
    asked, told = (next((known[name] for name in names if name in known), None) for names in (_QUESTIONS, _ANSWERS))
    return None if asked is None or told is None else (asked, told)


def form_of(value: Mapping[str, object]) -> RowForm | None:
    """Return the form that an object is in; None for jessy's own form and for an unknown one."""
    keys = value.keys()
    return None if "query" in keys else next((form for form in _FORMS if form.keys <= keys), None)
