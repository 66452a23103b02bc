"""What is said of an answer: the line below it, `/why`, and the JSON of `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jessyfile.planning.change_text import counted

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, Retrieved
    from jessyfile.thinking.thought import AnswerDraft, Ended, Thought

_WHY: Mapping[Ended, str] = {
    "full": "",
    "within": ", for its time was over",
    "agreed": ", for two drafts agree",
    "room": ", for the context window has no more room",
    "cut": ", stopped",
}


def summary(thought: Thought) -> str:
    """Return what an answer took: `low · 1 iteration · 0.8 s · 23 tokens`, and for a model of RETRIEVE what the nearest rows say of
    the level, and which of them stood before the question. A model that was taught no marker has no level to miss."""
    told = thought.reply.retrieved
    parts = [] if thought.marker is None and thought.level is None else [_level(thought)]
    if parts or thought.asked > 1:
        parts.append(_iterations(thought))
    parts += [f"{thought.seconds:.1f} s", *_speaker(thought)]
    if told is not None and told.as_it_stands:
        since = f", no draft {_of_others(thought)}after it is better" if len(thought.drafts) > 1 else ""
        return " · ".join([*parts, f"the answer of {_rows(told)} as it stands{since}"])
    if told is not None and told.quoted:
        return " · ".join([*parts, _quote(told)])
    shown = [f"behind {_rows(told)}"] if told is not None and told.rows else []
    shown += _passages(told) if told is not None else []
    return " · ".join([*parts, _tokens(thought), *_begun_from(thought), *shown])


def _speaker(thought: Thought) -> Iterator[str]:
    """Yield who spoke where that is another model than was asked, or why it is not the one that ROUTE names."""
    if thought.fallback is not None:
        yield f"{thought.speaker} stands in: {thought.fallback}"
    elif thought.routed:
        yield f"by {thought.speaker}"


def _of_others(thought: Thought) -> str:
    """Return whose the drafts behind a row's answer were, where ROUTE had another model write them."""
    others = dict.fromkeys(one.speaker for one in thought.drafts[1:] if one.speaker != thought.speaker)
    return f"of {' or '.join(others)} " if others else ""


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


def why(thought: Thought, questions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what came before an answer, as pairs of a name and what is to be said of it.

    Args:
        thought: the answer.
        questions: the question of each row that may have been shown, by the row's id.
    """
    told = thought.reply.retrieved
    lines = [("level", _why_level(thought)), ("iterations", _iterations(thought))]
    lines += [(f"draft {number}", _why_draft(one, thought)) for number, one in enumerate(thought.drafts, 1)]
    if len(thought.drafts) > 1:
        lines.append(("answer", f"draft {thought.chosen + 1}"))
    for row in told.rows if told is not None else ():
        asked = questions.get(row.id)
        lines.append(("row", f"{row.id[:8]} ({row.score:.2f})" + (f"  {asked}" if asked else "")))
    for one in told.passages if told is not None else ():
        lines.append(("passage", f"{one.id} ({one.score:.2f})  {one.file}"))
    file = f", file {thought.digest[:12]}" if thought.digest else ""
    lines.append(("speaker", f"{thought.speaker}{file}" + (f", {thought.fallback}" if thought.fallback else "")))
    first = thought.first_token_seconds
    lines.append(("first word", "not measured" if first is None else f"after {first:.2f} s"))
    return [*lines, ("cache", cache(thought))]


def cache(thought: Thought) -> str:
    """Return how much of what was asked the engine knew from before: `412 of 431 prompt tokens known (96%)`."""
    whole = sum(one.prompt_tokens for one in thought.drafts)
    if not whole:
        return "no model was asked"
    return f"{thought.cached_tokens} of {whole} prompt tokens known ({thought.cached_tokens / whole:.0%})"


def shown_questions(engine: Engine) -> Mapping[str, str]:
    """Return the questions of the rows that an engine shows its model, by the rows' ids."""
    from jessyfile.engines.retriever import Retriever

    return {row.id: row.question for row in engine.examples.rows} if isinstance(engine, Retriever) else {}


def _why_level(thought: Thought) -> str:
    vote = f"; the rows say {thought.vote.level} ({thought.vote.share:.0%})" if thought.vote is not None else ""
    return f"{thought.level or 'none'}; the marker says {thought.marked_level or 'nothing'}{vote}"


def _why_draft(draft: AnswerDraft, thought: Thought) -> str:
    if draft.ended == "stands":
        return "a row's answer as it stands"
    end = {"length": ", cut off at the limit", "short": ", ended early", "cut": ", stopped"}.get(draft.ended, "")
    known = f", {draft.cached_tokens} of {draft.prompt_tokens} prompt tokens known"
    by = f", by {draft.speaker}" if draft.speaker != thought.speaker else ""
    return f"{draft.seconds:.1f} s, {counted(draft.tokens, 'token')}{end}{known}{by}"


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
                "speaker": one.speaker,
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
