"""Ask every case once and keep each answer as soon as it is there, so that an interrupted run loses one at most."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import marked
from jessyfile.engines.adaptive import read_marker
from jessyfile.errors import Interrupted
from jessyfile.fsops import append_line
from jessyfile.language.recipe import Message
from jessyfile.text.json_lines import read_log, write_jsonl
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, OnPiece
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Complexity
    from jessyfile.planning.steps import Progress, Stop

ANSWERS = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answered:
    """One case's answer: what was said without the marker, the marker's level and iterations, tokens and times.

    `seconds` and `first_token_seconds` are wall time on a warm engine. `stopped` is `cut` for an answer of the base
    model that was ended because it looped: its time is then a lower bound.
    """

    id: str
    text: str
    level: str | None
    iterations: int | None
    prompt_tokens: int
    tokens: int
    seconds: float
    first_token_seconds: float | None
    stopped: str


def conversation(case: Case, complexity: Complexity) -> list[Message]:
    """Return a case's turns as the model saw such turns in training: earlier answers behind their markers."""
    messages = [
        Message(turn.role, _content(turn.content, turn.complexity, turn.iterations, complexity)) for turn in case.turns
    ]
    return [*messages, Message("user", case.prompt)]


def _content(text: str, level: str | None, iterations: int | None, complexity: Complexity) -> str:
    if level is None or iterations is None:
        return text
    return marked(complexity.marker, level, iterations, text)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a loaded engine. `on_piece` may cut an answer short."""

    engine: Engine
    complexity: Complexity
    settings: GenerationSettings
    on_piece: OnPiece | None = None

    def ask(self, case: Case) -> Answered:
        """Return one case's answer."""
        reply = self.engine.chat(conversation(case, self.complexity), self.settings, self.on_piece)
        said = read_marker(reply.text, self.complexity)
        return Answered(
            id=case.id,
            text=said.text,
            level=said.level,
            iterations=said.iterations,
            prompt_tokens=reply.prompt_tokens,
            tokens=reply.tokens,
            seconds=round(reply.seconds, 4),
            first_token_seconds=None if reply.first_token_seconds is None else round(reply.first_token_seconds, 4),
            stopped=reply.stopped,
        )


def answer_all(asker: Asker, cases: Sequence[Case], kept: Path, progress: Progress, stop: Stop) -> list[Answered]:
    """Ask every case; cases that the file `kept` already answers are not asked again.

    Args:
        asker: the loaded engine with its settings.
        cases: the evaluation cases.
        kept: a JSON lines file that every answer is appended to.
        progress: told the number of answers.
        stop: asked between two answers.

    Returns:
        The answers, in the order of the cases.

    Raises:
        Interrupted: a stop was requested; answers so far are kept.
    """
    done = {answer.id: answer for answer in read_answers(kept)}
    if done:
        write_answers(kept, done.values())  # a last line torn by a crash would swallow the next one
    pending = [case for case in cases if case.id not in done]
    report = _reporter(progress, len(cases))
    report(len(done), "")
    with ThreadPoolExecutor(max_workers=asker.engine.parallel) as pool:
        futures = [pool.submit(asker.ask, case) for case in pending]
        try:
            for future in as_completed(futures):
                answer = future.result()
                append_line(kept, json_text(asdict(answer)))
                done[answer.id] = answer
                report(len(done), answer.id)
                if stop.requested():
                    raise Interrupted("stopped between two answers; those given are kept")
        finally:
            for future in futures:
                future.cancel()
    return [done[case.id] for case in cases]


def _reporter(progress: Progress, total: int) -> Callable[[int, str], None]:
    def report(done: int, text: str) -> None:
        progress.update(done, total, text=text)

    return report


def write_answers(path: Path, answers: Iterable[Answered]) -> None:
    """Write answers as JSON lines."""
    write_jsonl(path, map(asdict, answers))


def read_answers(path: Path) -> list[Answered]:
    """Return the answers of a file; an absent file has none, and what is no answer is passed over."""
    found = []
    for value in read_log(path):
        with contextlib.suppress(TypeError):
            found.append(Answered(**value))
    return found
