"""Training rows of questions to the user's own documents (RAFT, Zhang et al. 2024), from the questions that RETRIEVE names.

Most are asked as they are when the model serves, behind the passage that answers and others near to the question, in random order; of
some the passage is left out, and the answer is that it is not there; some stand bare. Each is trained as it is written and typed otherwise.

Where passages are quoted the model only says of each whether it says the answer. So that is trained: Yes to the passage that does, No to the
others that are near.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile.dataset.data_steps import CARD, CARD_HTML, TRAIN, VALID
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.formatted import FormattedRow, read_formatted, rows_folder, write_formatted
from jessyfile.dataset.leaks import refuse_leaks
from jessyfile.dataset.marker import marked
from jessyfile.dataset.rewriting import retyped
from jessyfile.dataset.rows import Row
from jessyfile.dataset.select import turn
from jessyfile.fsops import copy_file
from jessyfile.language.recipe import Message
from jessyfile.results.facts import QuestionFacts
from jessyfile.retrieval.documents import read_documents
from jessyfile.retrieval.passage_index import PassageIndex
from jessyfile.retrieval.questions import About, Question, asked_about, read_questions
from jessyfile.retrieval.quoting import ABSENT, NO, YES, asked_of, language_of, quoted, whether_said
from jessyfile.retrieval.shares import NOT_THERE
from jessyfile.text.json_lines import raise_faults

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.steps import StepContext
    from jessyfile.retrieval.passages import DocumentPassage

_LETTERS = 3  # letters of a prompt for each token that a row may have


def run_questions(context: StepContext) -> QuestionFacts:
    """Write the rows as they were composed so far with those of the questions behind them. Raises DatasetError."""
    recipe = context.recipe
    assert recipe.retrieve and recipe.retrieve.questions  # noqa: S101 (there is no such step without questions)
    about = asked_about(recipe.retrieve.questions)
    index = (
        PassageIndex.build(_documents_of(about, context.root))
        if about.documents
        else PassageIndex.load(context.inputs["passages"])
    )
    asked, faults = read_questions(context.root / about.file, about.file, index.passages, about.documents)
    raise_faults(faults, f"`{about.file}`", hint="mend these lines")
    refuse_leaks(recipe, context.root, [_as_row(one) for one in asked])
    train, held_out = _split(asked, recipe.dataset.validation, recipe.dataset.seed)
    if recipe.retrieve.quote is not None:
        return _judged(context, Judging(index, recipe.retrieve.top, recipe.dataset.seed), train, held_out)
    level = recipe.complexity.levels[0]
    behind = Behind(
        index,
        recipe.retrieve.top,
        recipe.dataset.seed,
        _LETTERS * recipe.train.max_length,
        (recipe.complexity.marker, level.name, level.iterations[0]),
        recipe.retrieve.alone,
    )
    valid = [behind.row(one, one.question, behind.as_served(one), "held out") for one in held_out]
    _write(context, behind.trained(train), valid)
    counts = behind.counts
    return QuestionFacts(len(asked), counts["behind"], counts["left out"], counts["bare"], len(valid))


def _documents_of(about: About, root: Path) -> Sequence[DocumentPassage]:
    """Return the passages of the documents that questions bring. Raises DatasetError for a document that cannot be read."""
    read = read_documents(about.documents, root)
    if read.faults:
        raise read.faults[0]
    return read.passages


def _judged(
    context: StepContext, judging: Judging, train: Sequence[Question], held_out: Sequence[Question]
) -> QuestionFacts:
    _write(context, judging.trained(train), judging.rows(held_out))
    return QuestionFacts(
        len(train) + len(held_out), 0, 0, 0, len(held_out), judging.counts["says"], judging.counts["does not"]
    )


def _write(context: StepContext, train: Iterable[FormattedRow], valid: Iterable[FormattedRow]) -> None:
    """Write rows behind those that were composed so far."""
    composed = rows_folder(context.inputs)
    for name, more in ((TRAIN, train), (VALID, valid)):
        write_formatted(context.output / name, [*read_formatted(composed / name), *more])
    for name in (CARD, CARD_HTML):
        copy_file(composed / name, context.output / name)


def _as_row(one: Question) -> Row:
    language = language_of(one.question, ())
    return Row(TrainingExample(one.question, one.answer, "low", 1, "documents", language), one.place)


def _split(asked: Sequence[Question], share: float, seed: int) -> tuple[list[Question], list[Question]]:
    order = sorted(asked, key=lambda one: turn(seed, "held out", one.place))
    out = {one.place for one in order[: round(share * len(order))]}
    return [one for one in asked if one.place not in out], [one for one in asked if one.place in out]


@dataclass(slots=True)
class Behind:
    """Puts passages before questions, `top` of them and no more than `room` letters; `marker` begins each answer: its form, the level and
    the iterations. `bare` is the share of the questions that stand alone; `counts` says how the training rows came out.
    """

    index: PassageIndex
    top: int
    seed: int
    room: int
    marker: tuple[str | None, str, int]
    bare: float
    counts: Counter[str] = field(default_factory=Counter)

    def trained(self, asked: Sequence[Question]) -> Iterator[FormattedRow]:
        """Yield each question's rows, exactly the shares of the questions bare and with their passage left out."""
        order = [one.place for one in sorted(asked, key=lambda one: turn(self.seed, "questions", one.place))]
        bare = set(order[: round(self.bare * len(order))])
        answered = [one.place for one in asked if one.passage is not None and one.place not in bare]
        left = sorted(answered, key=lambda place: turn(self.seed, "left out", place))
        left_out = set(left[: round(NOT_THERE * len(left))])
        for one in asked:
            kind = "bare" if one.place in bare else "left out" if one.place in left_out else "behind"
            rng = random.Random(f"{self.seed}/questions/{one.place}")
            for question in dict.fromkeys((one.question, retyped(one.question, language_of(one.question, ()), rng))):
                self.counts[kind] += 1
                yield self.row(one, question, self._shown(one, kind, rng), kind)

    def as_served(self, one: Question) -> list[DocumentPassage]:
        """Return the passages that stand before a question when the model serves."""
        return self._roomy([each.passage for each in self.index.nearest(one.question, self.top)], one, keep=0)

    def _shown(self, one: Question, kind: str, rng: random.Random) -> list[DocumentPassage]:
        """Return the passages of a training row, in random order."""
        if kind == "bare":
            return []
        others = [each.passage for each in self.index.nearest(one.question, len(self.index.passages))]
        if one.passage is not None:
            others = [each for each in others if each.section != one.passage.section]
        own = [one.passage] if one.passage is not None and kind != "left out" else []
        shown = self._roomy([*own, *others[: self.top - len(own)]], one, keep=len(own))
        rng.shuffle(shown)
        return shown

    def _roomy(self, shown: list[DocumentPassage], one: Question, keep: int) -> list[DocumentPassage]:
        """Return as many of the first passages as there is room for, `keep` at least."""
        while len(shown) > keep and len(asked_of(shown, one.question)) > self.room:
            shown = shown[:-1]
        return shown

    def row(self, one: Question, question: str, shown: list[DocumentPassage], kind: str) -> FormattedRow:
        """Return a question behind passages with its answer: that it is not there, where none of them is its own.

        Args:
            one: the question as it was written.
            question: as it is asked.
            shown: the passages before it.
            kind: how it came out; `bare` has its answer without passages.

        Returns:
            The row as it is trained.
        """
        there = one.passage is not None and (kind == "bare" or one.passage in shown)
        language = language_of(question, shown)
        said = (one.answer or quoted(one.passage, question)) if there and one.passage else ABSENT[language]
        if one.passage is None and one.answer:
            said = one.answer
        form, level, count = self.marker
        answer = Message("assistant", marked(form, level, count, said))
        name = f"{turn(self.seed, one.place, question, kind):016x}"
        messages = (Message("user", asked_of(shown, question)), answer)
        return FormattedRow(messages, "chat", "documents", kind, level, count, language, (), name, ((level, count),))


@dataclass(slots=True)
class Judging:
    """Makes rows that say of a passage whether it says the answer, as the model is asked when it serves: of a question's own passage and of
    the others among the `top` nearest. `counts` says how many say Yes and No.
    """

    index: PassageIndex
    top: int
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def trained(self, asked: Sequence[Question]) -> Iterator[FormattedRow]:
        """Yield each question's rows, and the one that says Yes once more as others type it."""
        for row, one, passage in self._each(asked):
            yield self._counted(row)
            if passage is one.passage:
                rng = random.Random(f"{self.seed}/judged/{one.place}")
                again = retyped(one.question, language_of(one.question, ()), rng)
                if again != one.question:
                    yield self._counted(self._row(one, again, passage))

    def rows(self, asked: Sequence[Question]) -> list[FormattedRow]:
        """Return the rows of questions as they are written."""
        return [row for row, _, _ in self._each(asked)]

    def _each(self, asked: Sequence[Question]) -> Iterator[tuple[FormattedRow, Question, DocumentPassage]]:
        for one in asked:
            for passage in self._shown(one):
                yield self._row(one, one.question, passage), one, passage

    def _shown(self, one: Question) -> list[DocumentPassage]:
        """Return the passages that a question is judged with: other parts of the section that answers it may say it as well, or not."""
        near = [each.passage for each in self.index.nearest(one.question, self.top)]
        if one.passage is None:
            return near
        return [one.passage, *(each for each in near if each.section != one.passage.section)]

    def _row(self, one: Question, question: str, passage: DocumentPassage) -> FormattedRow:
        said = YES if passage is one.passage else NO
        messages = (Message("user", whether_said(passage, question)), Message("assistant", said))
        name = f"{turn(self.seed, one.place, question, passage.id):016x}"
        language = language_of(question, [passage])
        return FormattedRow(messages, "judgement", "documents", said, None, None, language, (), name, (None,))

    def _counted(self, row: FormattedRow) -> FormattedRow:
        self.counts["says" if row.topic == YES else "does not"] += 1
        return row
