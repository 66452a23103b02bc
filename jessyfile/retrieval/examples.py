"""The rows that an index holds, those nearest to a question, and how they stand before a conversation.

Training, chat and evaluation compose a prompt by `conversation` alone, so that a model is asked as it was trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.language.recipe import Message
from jessyfile.results.typed_json import read_as
from jessyfile.retrieval.index import Index
from jessyfile.text.json_lines import read_result, write_jsonl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS = "rows.jsonl"


@dataclass(frozen=True, slots=True)
class Example:
    """A question of the dataset with its level, and its answer as it is trained, marker line included; `said` is empty for a
    marker row, which has no answer and votes for its level alone.
    """

    id: str
    question: str
    said: str
    level: str
    iterations: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An example, and how near it is to a question: 1 is the same words."""

    example: Example
    score: float


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows and the index of their questions, in the same order."""

    index: Index
    rows: tuple[Example, ...]

    @classmethod
    def build(cls, rows: Iterable[Example]) -> Examples:
        """Return rows with the index of their questions."""
        held = tuple(rows)
        return cls(Index.build([row.question for row in held]), held)

    def save(self, folder: Path) -> None:
        """Write rows and index into a folder."""
        self.index.save(folder)
        write_jsonl(folder / ROWS, map(asdict, self.rows))

    @classmethod
    def load(cls, folder: Path) -> Examples:
        """Return what `save` wrote. Raises DamagedError or StateError when it is not as it was written."""
        rows = tuple(read_as(Example, value, f"a row of `{folder / ROWS}`") for value in read_result(folder / ROWS))
        return cls(Index.load(folder, len(rows)), rows)

    def neighbours(self, question: str, count: int, without: Collection[str] = ()) -> list[Neighbour]:
        """Return the answered rows nearest to a question, nearest first.

        Args:
            question: what is asked.
            count: the most rows to return; a row that has nothing in common with the question is never one.
            without: ids of rows to pass over.

        Returns:
            The rows with their scores; of equally near ones the earlier row comes first.
        """
        scores, found = self.index.scores(question), list[Neighbour]()
        for place in _best_first(scores):
            if len(found) == count:
                break
            row = self.rows[place]
            if row.said and row.id not in without:
                found.append(Neighbour(row, round(float(scores[place]), 4)))
        return found

    def nearest(self, question: str, count: int) -> list[Neighbour]:
        """Return the rows nearest to a question, those without an answer among them, nearest first."""
        scores = self.index.scores(question)
        return [Neighbour(self.rows[place], float(scores[place])) for place in _best_first(scores)[:count]]


def _best_first(scores: NDArray[np.float64]) -> Sequence[int]:
    """Return the places of scores above 0, the highest first; equal ones stay in their order."""
    import numpy as np

    some = np.flatnonzero(scores > 0)
    order: list[int] = some[np.argsort(-scores[some], kind="stable")].tolist()
    return order


def conversation(neighbours: Iterable[Neighbour], messages: Sequence[Message]) -> list[Message]:
    """Return a conversation behind its neighbours, each a question and its answer, in the order given."""
    shown = ((Message("user", one.example.question), Message("assistant", one.example.said)) for one in neighbours)
    return [*(message for pair in shown for message in pair), *messages]
