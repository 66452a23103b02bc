"""Preferences as other tools write them, brought to the form of `grammar/preference.schema.json`: TRL's prompts and
conversations, with the prompt apart or within both answers, and ShareGPT's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jessyfile.dataset.formats import ROLES, message_text

_PAIR, _JUDGED = ("chosen", "rejected"), ("completion", "label")
_BESIDE = ("level", "iterations", "source")
_SPELLED = ("from", "value", "tool_calls", "function_call")  # keys of a turn that stand for others, or are empty
Turns = list[dict[str, Any]]


def is_preference(value: Mapping[str, Any]) -> bool:
    """Return whether an object is a pair or a judged answer, in whatever form."""
    told = "messages" in value or "completion" in value
    return value.keys() >= {*_PAIR} or ("label" in value and told)


def own_form(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in the form of the schema, which it may yet break. Raises ValueError with one sentence."""
    keys = _JUDGED if "completion" in value or "label" in value else _PAIR
    answers = {key: _answer(value[key]) for key in keys if key in value}
    before = _conversation(value)
    if keys is _JUDGED and "completion" not in value and before and before[-1]["role"] == "assistant":
        answers["completion"] = [before.pop()]
    turns = {key: answer for key, answer in answers.items() if isinstance(answer, list) and answer}
    within = [answer[:-1] for answer in turns.values()]
    row = answers | {key: answer[-1]["content"] for key, answer in turns.items()}
    if _is_own(value):  # what the schema does not know is a fault there, and another tool's in other forms
        return {**value, "messages": before, **row}
    messages = [{key: turn[key] for key in ("role", "content", *_BESIDE) if key in turn} for turn in before]
    beside = {key: value[key] for key in _BESIDE if key in value}
    asked = _before(messages, within)
    return {**({"messages": asked} if asked else {}), **row, **beside}


def _is_own(value: Mapping[str, Any]) -> bool:
    return "messages" in value and not any(isinstance(value.get(key), list | dict) for key in (*_PAIR, *_JUDGED))


def _conversation(value: Mapping[str, Any]) -> Turns:
    told: object = next((value[key] for key in ("messages", "conversations", "prompt") if key in value), [])
    if isinstance(told, str) or not isinstance(told, list):
        return [_turn({"role": "user", "content": told})]
    return [_turn(turn) for turn in told]


def _turn(turn: object) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise ValueError("holds a turn that is no object")  # noqa: TRY004 (a fault of the row)
    if turn.get("tool_calls") or turn.get("function_call"):
        raise ValueError("holds the call of a tool; only turns of text can be compared")
    named = str(turn.get("role", turn.get("from")))
    role = ROLES.get(named)
    if role is None:
        raise ValueError(f"holds a turn of `{named:.40}`, which is neither the user's nor the assistant's")
    said = {"role": role, "content": message_text(turn.get("content", turn.get("value")))}
    return {key: inner for key, inner in turn.items() if key not in _SPELLED and inner is not None} | said


def _answer(answer: object) -> object:
    """Return the turns of an answer that comes with its speaker, itself last; an answer of text as it is."""
    turns = [answer] if isinstance(answer, Mapping) else answer
    if not isinstance(turns, list) or not turns:
        return answer
    if not all(isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in turns):
        return message_text(turns)
    told = [_turn(turn) for turn in turns]
    if told[-1]["role"] != "assistant":
        raise ValueError(f"has an answer that ends with a turn of `{told[-1]['role']:.40}`, not the assistant's")
    return told


def _before(told: Turns, within: Sequence[Turns]) -> Turns:
    """Return what came before the answers: told beside them, or within both, where both must tell the same."""
    if not any(within):
        return told
    spoken = [[(turn["role"], turn["content"].strip()) for turn in turns] for turns in within]
    if any(turns != spoken[0] for turns in spoken):
        raise ValueError("has answers to two conversations: what comes before them is not the same")
    if told and (told[-1]["role"], told[-1]["content"].strip()) != spoken[0][-1]:
        raise ValueError("has answers to another question than its own")
    return within[0]
