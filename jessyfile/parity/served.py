"""The model that answers: what an Ollama makes of a conversation, and how probable it finds the next token, against the file.

The step `parity` leaves what the verified file says to a few conversations; after the import Ollama is asked the same, in
the way in which it will be asked. An older Ollama tells no log-probabilities (before 0.12.11) or does not show what it
renders: that is said, and no fault.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jessyfile.errors import ExportError
from jessyfile.export.ollama_api import file_in
from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import chat_format
from jessyfile.parity.faults import Mismatch
from jessyfile.parity.templates import CHATS
from jessyfile.results.typed_json import load_as
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from jessyfile.engines.engine import TokenLogprob
    from jessyfile.planning.steps import StepContext
    from jessyfile.results.facts import ImportFacts
    from jessyfile.results.served import Served

ANSWERS = "served.json"
TOP = 20  # the most that Ollama tells
_APART = 0.1  # nats: what two builds of llama.cpp may differ by over one file, weighed by probability
_ODD = (Message("user", "  iki  boşluk\tve\n\nsatır "), Message("assistant", "\nİğne. "), Message("user", "don't"))


@dataclass(frozen=True, slots=True)
class FirstTokens:
    """A conversation, and the log-probabilities of the best tokens after it, the highest first."""

    messages: tuple[Message, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """What the verified file says to a few conversations."""

    asked: tuple[FirstTokens, ...]


class _Server(Protocol):
    def ask(self, path: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Return the server's answer."""


class _Teller(Protocol):
    def next_logprobs(self, prompt: str | Sequence[int], top: int) -> list[TokenLogprob]:
        """Return the next tokens after a text."""


def first_tokens(engine: _Teller, chats: Sequence[Sequence[Message]], served: Served) -> FileAnswers:
    """Return what an engine says to conversations, asked with the model's own system prompt and examples."""
    form = chat_format(served.chat_format)
    found = []
    for messages in chats:
        told = engine.next_logprobs(form.render([*served.messages, *messages], served.system), TOP)
        found.append(FirstTokens(tuple(messages), tuple(round(one.logprob, 5) for one in told)))
    return FileAnswers(tuple(found))


def check_served(context: StepContext, imported: ImportFacts) -> None:
    """Ask the Ollama that has taken the candidate; nothing is done for the embedded engine, which `parity` has asked.

    Raises ExportError when it is another model that answers, or it is asked in another way than it was trained.
    """
    from jessyfile.export.export_steps import SERVED_FILE
    from jessyfile.export.ollama_api import OllamaClient
    from jessyfile.export.registry import lookup
    from jessyfile.results.served import Served

    path = context.inputs["parity"] / ANSWERS
    if imported.engine != "ollama" or not path.is_file():
        return
    served = load_as(Served, context.inputs["modelfile"] / SERVED_FILE)
    client = OllamaClient(context.recipe.deploy.ollama, context.stop)
    notes: list[str] = []
    name, entry = f"{imported.name}:{imported.tag}", lookup(context.root, imported.name, imported.tag)
    digest = entry.answering if entry is not None else imported.digest
    faults = list(served_faults(client, name, served, load_as(FileAnswers, path), notes, digest))
    for note in notes:
        context.progress.note(note)
    if faults:
        raise ExportError(f"stage served: {faults[0].message}", hint=faults[0].hint or None)


def served_faults(
    client: _Server, name: str, served: Served, answers: FileAnswers, notes: list[str], digest: str = ""
) -> Iterator[Mismatch]:
    """Yield what an Ollama does otherwise than the file that it was given.

    Args:
        client: asks the server.
        name: the model's name there.
        served: how it is served.
        answers: what the verified file says.
        notes: what could not be compared is added to it, and how much was.
        digest: the file's SHA-256; not compared when empty.

    Returns:
        The faults.
    """
    shown = client.ask("/api/show", {"model": name})
    yield from _capable(shown, name)
    yield from _packed(shown, name, served, digest, notes)
    yield from _rendered(client, name, served, notes)
    yield from _answered(client, name, served, answers, notes)


def _capable(shown: Mapping[str, object], name: str) -> Iterator[Mismatch]:
    found = shown.get("capabilities")
    if isinstance(found, list) and found != ["completion"]:
        more = ", ".join(str(one) for one in found if one != "completion") or "nothing"
        message = (
            f"Ollama takes {name} for a model with {brief(more)}, and asks it by another template than was trained"
        )
        yield Mismatch(
            "capabilities", "served", message, "the file's chat template knows more than TEMPLATE: export again"
        )


def _packed(
    shown: Mapping[str, object], name: str, served: Served, digest: str, notes: list[str]
) -> Iterator[Mismatch]:
    """Yield what Ollama keeps beside the weights otherwise than it was given: the file itself, the system prompt, the parameters."""
    again = "somebody gave the name to another model, or Ollama keeps an older one: delete it there and apply again"
    kept = file_in(shown.get("modelfile"))
    if digest and kept not in (None, digest):
        yield Mismatch(
            "file", "served", f"Ollama serves another file as {name} ({str(kept)[:12]}) than {digest[:12]}", again
        )
    system = shown.get("system", "")
    if "modelfile" in shown and (system or "") != (served.system or ""):
        message = f"Ollama keeps the system prompt {brief(str(system))} with {name}, not {brief(served.system or '')}"
        yield Mismatch("system", "served", message, again)
    if "modelfile" in shown:
        told = shown.get("parameters")
        yield from _parameters(parameters_of(told if isinstance(told, str) else ""), served, name, notes, again)


def _parameters(
    found: Mapping[str, Sequence[object]], served: Served, name: str, notes: list[str], hint: str
) -> Iterator[Mismatch]:
    for key, value in served.parameters.items():
        wanted = list(value) if isinstance(value, tuple) else [value]
        if _alike(found.get(key, ())) != _alike(wanted):
            message = (
                f"Ollama keeps {key} {brief(_listed(found.get(key, ())))} with {name}, not {brief(_listed(wanted))}"
            )
            yield Mismatch("parameters", "served", message, hint)
    if more := sorted(found.keys() - served.parameters.keys()):
        notes.append(
            f"Ollama adds parameters of its own to {name}: {', '.join(more)}; jessy sends its own with every question"
        )


def _alike(values: Sequence[object]) -> list[str]:
    """Return values as texts in one order; a whole number and the fraction that equals it are the same."""
    return sorted(str(_number(one)) for one in values)


def _number(value: object) -> object:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    except OverflowError:
        return value


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "nothing"


def parameters_of(text: str) -> dict[str, list[object]]:
    """Return the parameters that `/api/show` writes as text, a line each: the key, spaces, and the value as Go writes it."""
    found: dict[str, list[object]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key:
            found.setdefault(key, []).append(_value(value.strip()))
    return found


def _value(written: str) -> object:
    if written.startswith("`"):
        return written.strip("`")
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written


def _rendered(client: _Server, name: str, served: Served, notes: list[str]) -> Iterator[Mismatch]:
    form = chat_format(served.chat_format)
    chats = [*(messages for messages, _ in CHATS), _ODD]
    for messages in chats:
        turns, body = _turns(messages, served), {"model": name, "stream": False, "_debug_render_only": True}
        told = client.ask("/api/chat", {**body, "messages": turns}).get("_debug_info")
        written = told.get("rendered_template") if isinstance(told, dict) else None
        if not isinstance(written, str):
            notes.append("this Ollama does not show what it renders: its prompts were not compared")
            return
        right = form.render([*served.messages, *messages], served.system)
        if written != right:
            message = _difference([*served.messages, *messages], written, right)
            yield Mismatch(
                "template", "served", message, "see that TEMPLATE is the one that jessy writes; update Ollama"
            )
            return
    notes.append(f"Ollama renders {len(chats)} conversations as they are trained")


def _difference(messages: Sequence[Message], written: str, right: str) -> str:
    """Return at which turn two prompts part, and what each has there."""
    place = next(
        (n for n, (a, b) in enumerate(zip(written, right, strict=False)) if a != b), min(len(written), len(right))
    )
    turn, after = 0, 0
    for number, message in enumerate(messages, 1):
        start = right.find(message.content.strip(), after)
        if start < 0 or start > place:
            break
        turn, after = number, start + len(message.content.strip())
    where = f"at turn {turn} of {len(messages)} ({messages[turn - 1].role})" if turn else "before the first turn"
    near = slice(max(0, place - 40), place + 160)
    return f"{where} Ollama renders {brief(written[near])} where the trained format has {brief(right[near])}"


def _turns(messages: Sequence[Message], served: Served) -> list[dict[str, str]]:
    """Return a conversation as the engine sends it: stripped, the system prompt first, kept examples left out."""
    system = [{"role": "system", "content": served.system}] if served.system is not None else []
    return [*system, *({"role": one.role, "content": one.content.strip()} for one in messages)]


def _answered(client: _Server, name: str, served: Served, answers: FileAnswers, notes: list[str]) -> Iterator[Mismatch]:
    apart = []
    for asked in answers.asked:
        body = {"model": name, "messages": _turns(asked.messages, served), "stream": False, "think": False}
        options = {"num_predict": 1, "temperature": 0, "seed": 1}
        told = client.ask("/api/chat", {**body, "options": options, "logprobs": True, "top_logprobs": TOP})
        found = _logprobs(told.get("logprobs"))
        if found:
            apart.append(sum(math.exp(a) * abs(a - b) for a, b in zip(asked.logprobs, found, strict=False)))
    if not apart:
        notes.append("this Ollama tells no log-probabilities (0.12.11 and newer do): its answers were not compared")
        return
    worst = max(apart)
    if worst > _APART:
        message = f"Ollama does not answer as the file that it was given: {worst:.2g} nats apart (limit {_APART:g})"
        yield Mismatch(
            "answers", "served", message, "the name may hold an older model: delete it in Ollama and apply again"
        )
    else:
        notes.append(f"Ollama answers as the file does: {worst:.1g} nats apart over {len(apart)} conversations")


def _logprobs(told: object) -> list[float]:
    try:
        return [float(one["logprob"]) for one in told[0]["top_logprobs"]]  # type: ignore[index]
    except (TypeError, KeyError, IndexError, ValueError):
        return []
