"""A question as the desk takes it, whatever the interface it came by: what is asked, and what the one who asks wishes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from jessyfile.language.recipe import Message
from jessyfile.serve.faults import bad_request, unsupported
from jessyfile.text.printable import json_text
from jessyfile.thinking.thought import Wishes

if TYPE_CHECKING:
    from jessyfile.engines.engine import GenerationSettings
    from jessyfile.language.recipe import Complexity
    from jessyfile.serve.asked import Effort, Sampling, Schema
    from jessyfile.serve.served import ServedFacts

MOST = 9  # what `max` and the largest budget buy, as long as no level goes further
TOKENS_OF_A_DRAFT = 256  # what a budget of thought is counted in
_SEEDS = 1 << 32
_OBJECT = '{"type": "object"}'
# llama.cpp writes a rule out as often as it may be repeated, which takes memory and minutes
_LONGEST_SCHEMA, _MOST_REPEATS = 1 << 14, 1000
_REPEATS = re.compile(r'(?:"(?:min|max)(?:Items|Length)": |\{(?:\d+,)?)(\d{4,})')
_TOO_MUCH = (
    f"the schema has more than {_LONGEST_SCHEMA} characters, or repeats something more than {_MOST_REPEATS} times"
)


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much thought a client asks for, in whichever words: an effort, a budget of tokens, on or off; None leaves it to the model.
    `hidden` keeps the thoughts back.
    """

    effort: Effort | None = None
    budget: int | None = None
    on: bool | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class ServedQuestion:
    """A conversation that ends with what is asked, and what is wished. `system` says whose system prompt stands before it; `held` that the
    answer keeps to a schema; `hidden` that the thoughts are kept back.
    """

    messages: tuple[Message, ...]
    wishes: Wishes
    system: Literal["model", "client"] | None = None
    held: bool = False
    hidden: bool = False


def thinking_wishes(thinking: Thinking, complexity: Complexity) -> Wishes:
    """Return the level and the number of iterations that a client's words for thought ask for.

    Off, `none` and a budget of nothing are one iteration; `minimal` is the least of the least level; `low`, `medium` and `high` are the
    recipe's first, middle and last level, `xhigh` the most iterations of the last, `max` the most there are. A budget buys one iteration
    for every 256 tokens, beyond the one that answers.
    """
    effort, levels = thinking.effort, complexity.levels
    if thinking.on is False or effort == "none" or thinking.budget == 0:
        return Wishes(iterations=1)
    if effort == "max":
        return Wishes(iterations=max(MOST, *(level.iterations[1] for level in levels[-1:]), 1))
    if effort is not None and levels:
        level = {"minimal": levels[0], "low": levels[0], "medium": levels[len(levels) // 2]}.get(effort, levels[-1])
        number = {"minimal": level.iterations[0], "xhigh": level.iterations[1]}.get(effort)
        return Wishes(level=level.name, iterations=number)
    if thinking.budget is not None and thinking.budget > 0:
        return Wishes(iterations=min(MOST, 1 + thinking.budget // TOKENS_OF_A_DRAFT))
    return Wishes()


def question_of(
    turns: Sequence[tuple[str, str]],
    thinking: Thinking,
    settings: GenerationSettings,
    facts: ServedFacts,
) -> ServedQuestion:
    """Return the question that a conversation asks.

    Args:
        turns: role and text of each message; the last is the user's.
        thinking: how much thought is asked for.
        settings: how the answer is sampled, and how long it may be.
        facts: the model that is asked. Where it has a system prompt, that one stands, as it was trained, and the client's is left out.

    Returns:
        The question.

    Raises:
        RefusedError: the conversation does not end with a question.
    """
    system = "\n\n".join(text for role, text in turns if role == "system" and text.strip())
    said = [_message(role, text) for role, text in turns if role != "system"]
    if not said or said[-1].role != "user":
        raise bad_request("the last message must be the user's", "invalid_messages", "messages")
    if not said[-1].content.strip():
        raise bad_request("the last message is empty", "invalid_messages", "messages")
    whose: Literal["model", "client"] | None = "model" if facts.system is not None else "client" if system else None
    opening = [Message("system", system)] if whose == "client" else []
    wishes = replace(thinking_wishes(thinking, facts.complexity), settings=settings, max_tokens=settings.max_tokens)
    return ServedQuestion((*opening, *said), wishes, whose, bool(settings.schema), thinking.hidden)


def _message(role: str, text: str) -> Message:
    if role == "user":
        return Message("user", text)
    if role == "assistant":
        return Message("assistant", text)
    raise unsupported("messages", f"a message has the role `{role}`, and these models call no tools")


def settings_for(
    own: GenerationSettings, asked: Sampling | None, tokens: int | None, schema: str, most: int
) -> GenerationSettings:
    """Return the model's own settings with what a client asks for put in.

    Args:
        own: the model's settings.
        asked: the client's.
        tokens: the longest answer that the client wants; none, 0 or less is as long as there may be.
        schema: the JSON schema that the answer keeps to, empty for none.
        most: the longest answer that the server gives.

    Returns:
        The settings of this answer.
    """
    longest = min(tokens, most) if tokens is not None and tokens > 0 else min(own.max_tokens, most)
    changed = replace(own, max_tokens=longest, schema=schema)
    if asked is None:
        return changed
    names = (
        "temperature", "top_p", "top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty",
        "repeat_penalty", "repeat_last_n",
    )  # fmt: skip
    given = {name: value for name in names if (value := getattr(asked, name)) is not None}
    if "top_k" in given:
        given["top_k"] = max(0, given["top_k"])
    if asked.seed is not None:
        given["seed"] = asked.seed % _SEEDS if asked.seed >= 0 else secrets.randbelow(_SEEDS)
    stops = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    return replace(changed, **given, stop=tuple(dict.fromkeys((*own.stop, *(stop for stop in stops if stop)))))


def schema_text(schema: Schema | None, *, any_object: bool = False) -> str:
    """Return the JSON schema that an answer is held to, as text: the given one, any object, or none.

    Raises RefusedError for what is no JSON schema.
    """
    if schema is None:
        return _OBJECT if any_object else ""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        text = json_text(schema)
        if len(text) > _LONGEST_SCHEMA or any(int(found[1]) > _MOST_REPEATS for found in _REPEATS.finditer(text)):
            raise bad_request(_TOO_MUCH, "invalid_schema", "format")
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise bad_request(f"the schema is no JSON schema: {error.message[:300]}", "invalid_schema", "format") from None
    except RecursionError:
        raise bad_request("the schema is nested too deeply", "invalid_schema", "format") from None
    return text
