"""What of an answer is told in the field `jessy`, whichever interface it goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from jessyfile.serve.told import JessyFacts, ToldRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jessyfile.engines.engine import Shown, ShownPassage
    from jessyfile.serve.desk import QueuedQuestion
    from jessyfile.thinking.thought import Thought


def told(job: QueuedQuestion, thought: Thought) -> JessyFacts:
    """Return what is told of an answer."""
    found = thought.reply.retrieved
    passages = _rows(found.passages) if found is not None else []
    return JessyFacts(
        level=thought.level,
        iterations=thought.iterations,
        asked=thought.asked,
        ended=thought.ended,
        router=router(job, thought),
        speaker=thought.speaker,
        model_digest=thought.digest,
        retrieved=_rows(found.rows) if found is not None else [],
        seconds=round(thought.seconds, 4),
        queued_seconds=round(job.queued_seconds, 4),
        as_it_stands=found is not None and found.as_it_stands,
        passages=passages or UNSET,
        fallback=thought.fallback or UNSET,
        forgotten=job.forgotten or UNSET,
        system=job.question.system,
    )


def router(job: QueuedQuestion, thought: Thought) -> str:
    """Return who decided how many iterations there were: the client, the model's own marker, or both it and the nearest rows."""
    wishes = job.question.wishes
    if wishes.iterations is not None or wishes.level is not None:
        return "client"
    if thought.marked_level is None:
        return "rows" if thought.vote is not None else "none"
    return "marker and rows" if thought.vote is not None else "marker"


def _rows(found: Iterable[Shown | ShownPassage]) -> list[ToldRow]:
    return [ToldRow(id=one.id, score=round(one.score, 4)) for one in found]
