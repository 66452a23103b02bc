"""Ask every case once and keep each answer as soon as it is there, so that an interrupted run loses one at most.

Each answer carries the digest of the model that gave it and of what it was asked, so that it is never taken for another's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import marked
from jessyfile.engines.adaptive import read_marker
from jessyfile.engines.engine import Retrieved
from jessyfile.errors import ContextFullError, EvaluationError, Interrupted, StateError
from jessyfile.evaluation.suite_inputs import TIMED, even_sample
from jessyfile.fsops import append_line
from jessyfile.language.recipe import Message
from jessyfile.planning.canonical import digest
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log, write_jsonl
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, OnPiece
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Complexity
    from jessyfile.planning.steps import Progress, Stop

ANSWERS = "answers.jsonl"
FULL = "full"


@dataclass(frozen=True, slots=True)
class Answered:
    """One case's answer: what was said without the marker, the marker's level and iterations, tokens and times.

    `seconds` and `first_token_seconds` are wall time on a warm engine; `alone` says that no other answer was made beside it, so
    that they are a latency. `stopped` is `cut` for an answer of the base model that was ended because it looped: its time is then
    a lower bound. It is `full` where nothing was said because the conversation is longer than the context window. `model` is the
    digest of the model that answered, `asked` that of the conversation. `retrieved` says which rows stood before it.
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
    alone: bool = True
    model: str = ""
    asked: str = ""
    retrieved: Retrieved | None = None

    @property
    def is_row(self) -> bool:
        """Whether it is a row's own answer as it stands, so that no model was asked."""
        return self.retrieved is not None and self.retrieved.as_it_stands

    def __post_init__(self) -> None:
        if isinstance(self.retrieved, Mapping):
            object.__setattr__(self, "retrieved", read_as(Retrieved, self.retrieved, "the rows before an answer"))


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
    """Asks a loaded engine for the model of a digest. `on_piece` may cut an answer short."""

    engine: Engine
    complexity: Complexity
    settings: GenerationSettings
    on_piece: OnPiece | None = None
    model: str = ""

    def mark(self, case: Case) -> str:
        """Return the digest of what a case asks."""
        return digest(conversation(case, self.complexity))

    def ask(self, case: Case, alone: bool = True) -> Answered:
        """Return one case's answer; an empty one where the conversation does not fit into the context window."""
        try:
            reply = self.engine.chat(conversation(case, self.complexity), self.settings, self.on_piece)
        except ContextFullError as error:
            return Answered(
                case.id, "", None, None, error.tokens, 0, 0.0, None, FULL, False, self.model, self.mark(case)
            )
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
            alone=alone,
            model=self.model,
            asked=self.mark(case),
            retrieved=reply.retrieved,
        )


def answer_all(
    asker: Asker, cases: Sequence[Case], kept: Path, progress: Progress, stop: Stop, timed: int = TIMED
) -> list[Answered]:
    """Ask every case; what the file `kept` holds of this model's answers is not asked again.

    First some cases of each level are asked one at a time, for their latency; the others share the engine's slots.

    Args:
        asker: the loaded engine with its settings.
        cases: the evaluation cases.
        kept: a JSON lines file that every answer is appended to.
        progress: told the number of answers.
        stop: asked between two answers.
        timed: how many cases of a level are asked alone.

    Returns:
        The answers, in the order of the cases.

    Raises:
        Interrupted: a stop was requested; answers so far are kept.
    """
    done = known_answers(kept, asker.model)
    if done:
        write_answers(kept, done.values())  # a last line torn by a crash would swallow the next one
    alone = cases if asker.engine.parallel == 1 else timed_cases(cases, timed)
    first = {case.id for case in alone}
    answering = _Answering(asker, {case.id: asker.mark(case) for case in cases}, done, kept, progress, stop)
    answering.ask(alone, 1)
    answering.ask([case for case in cases if case.id not in first], asker.engine.parallel)
    return [replace(done[answering.marks[case.id]], id=case.id) for case in cases]


def timed_cases(cases: Sequence[Case], most: int = TIMED) -> list[Case]:
    """Return the cases whose latency is measured: at most so many of each level, spread evenly."""
    levels = dict.fromkeys(case.level for case in cases)
    return [case for level in levels for case in even_sample([one for one in cases if one.level == level], most)]


@dataclass(frozen=True, slots=True)
class _Answering:
    """Cases being answered: `marks` are the digests of what they ask, `done` the answers by such a digest."""

    asker: Asker
    marks: Mapping[str, str]
    done: dict[str, Answered]
    kept: Path
    progress: Progress
    stop: Stop

    def ask(self, cases: Sequence[Case], at_once: int) -> None:
        """Ask those cases that have no answer, so many at a time. Raises Interrupted."""
        pending = {self.marks[case.id]: case for case in cases if self.marks[case.id] not in self.done}
        self._report("")
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            futures = [pool.submit(self.asker.ask, case, at_once == 1) for case in pending.values()]
            try:
                for future in as_completed(futures):
                    self._keep(future.result())
                    if self.stop.requested():
                        raise Interrupted("stopped between two answers; those given are kept")
            finally:
                for future in futures:
                    future.cancel()

    def _keep(self, answer: Answered) -> None:
        append_line(self.kept, json_text(asdict(answer)))
        self.done[answer.asked] = answer
        self._report(answer.id)

    def _report(self, text: str) -> None:
        answered = sum(mark in self.done for mark in self.marks.values())
        self.progress.update(answered, len(self.marks), text=text)


def known_answers(kept: Path, model: str) -> dict[str, Answered]:
    """Return a file's answers by this model, by the digest of what was asked; those of another model are passed over."""
    return {answer.asked: answer for answer in read_answers(kept) if answer.model == model}


def write_answers(path: Path, answers: Iterable[Answered]) -> None:
    """Write answers as JSON lines."""
    write_jsonl(path, map(asdict, answers))


def read_answers(path: Path) -> list[Answered]:
    """Return the answers of a file; an absent file has none, and what is no answer is passed over."""
    found = []
    for value in read_log(path):
        with contextlib.suppress(TypeError, StateError):
            found.append(Answered(**value))
    return found


def answers_of(path: Path, model: str) -> dict[str, Answered]:
    """Return the answers of a file by case. Raises EvaluationError when another model than that of this digest gave one."""
    found = read_answers(path)
    others = [answer for answer in found if answer.model != model]
    if others:
        gave, wanted = (one[:12] or "of no digest" for one in (others[0].model, model))
        raise EvaluationError(
            f"{len(others)} of {len(found)} answers in `{path.name}` are by the model {gave}, not by {wanted}",
            hint="run `jessy apply` again; its step `evaluate` asks again",
        )
    return {answer.id: answer for answer in found}
