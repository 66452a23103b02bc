"""The rows that an index holds, those nearest to a question, and how they stand before a conversation.

Training, chat and evaluation compose a prompt by `conversation` alone, so that a model is asked as it was trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.language.recipe import Message
from jessyfile.results.typed_json import read_as
from jessyfile.retrieval.index import Index
from jessyfile.retrieval.nearness import Nearness
from jessyfile.retrieval.pieces import folded
from jessyfile.text.json_lines import read_result, write_jsonl
from jessyfile.text.turkish import lower, normal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS = "rows.jsonl"
_LEFT_OUT = ("paraphrases", "held_out", "category", "own", "unasked")  # where there is nothing to say
_FEW = 64
OWN_FIRST = 0.8  # as near as this share of another row's nearness, a row of one's own comes before it: docs/retrieval.md says why


@dataclass(frozen=True, slots=True)
class Example:
    """A question of the dataset with its level, and its answer as it is trained, marker line included; `said` is empty for a
    marker row, which has no answer and votes for its level alone. `paraphrases` are wordings by which it is found, too; a row
    `held_out` of training is found by those who ask the finished model alone. `category` is kept where a recipe routes by it. `own` are
    the project's rows, beside those that come with jessy. Those `unasked` are found by nobody who evaluates the model.
    """

    id: str
    question: str
    said: str
    level: str
    iterations: int
    paraphrases: tuple[str, ...] = ()
    held_out: bool = False
    category: str = ""
    own: bool = False
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An example, and how near it is to a question (`retrieval.nearness`): 1 is the same words."""

    example: Example
    score: float


@dataclass(frozen=True)
class Examples:
    """Rows and the index of their wordings, in the same order: of each row its question first."""

    index: Index
    rows: tuple[Example, ...]

    @classmethod
    def build(cls, rows: Iterable[Example]) -> Examples:
        """Return rows with the index of their wordings."""
        held = tuple(rows)
        wordings = [text for row in held for text in (row.question, *row.paraphrases)]
        return cls(Index.build(wordings, consonants=True), held)

    def trained(self) -> Examples:
        """Return the rows that are trained with an index of their own, as if none were held out."""
        return Examples.build(row for row in self.rows if not row.held_out)

    def measured(self) -> Examples:
        """Return the rows that an evaluation may find, with an index of their own where there are others."""
        found = tuple(row for row in self.rows if not row.unasked)
        return self if len(found) == len(self.rows) else Examples.build(found)

    def save(self, folder: Path) -> None:
        """Write rows and index into a folder."""
        self.index.save(folder)
        write_jsonl(folder / ROWS, map(_as_object, self.rows))

    @classmethod
    def load(cls, folder: Path) -> Examples:
        """Return what `save` wrote. Raises DamagedError or StateError when it is not as it was written."""
        rows = tuple(read_as(Example, value, f"a row of `{folder / ROWS}`") for value in read_result(folder / ROWS))
        return cls(Index.load(folder, sum(1 + len(row.paraphrases) for row in rows)), rows)

    def neighbours(self, question: str, count: int, without: Collection[str] = ()) -> list[Neighbour]:
        """Return the answered rows nearest to a question, nearest first; one's own comes before another that is little nearer.

        Args:
            question: what is asked.
            count: the most rows to return; a row that has nothing in common with the question is never one.
            without: ids of rows to pass over.

        Returns:
            The rows with their scores; of equally near ones the earlier row comes first.
        """
        ranked = self._ranked(question, self._weights)
        return list(islice((one for one in ranked if one.example.said and one.example.id not in without), count))

    def nearest(self, question: str, count: int) -> list[Neighbour]:
        """Return the rows nearest to a question, those without an answer among them, nearest first."""
        return list(islice(self._ranked(question), count))

    @cached_property
    def nearness(self) -> Nearness:
        """How near each row is to a question, in the order of the rows."""
        import numpy as np

        return Nearness(self.index, np.cumsum([0, *(1 + len(row.paraphrases) for row in self.rows)])[:-1])

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """What the nearness of each row counts where rows are chosen between."""
        import numpy as np

        return np.where([row.own for row in self.rows], 1 / OWN_FIRST, 1.0)

    def _ranked(self, question: str, weights: NDArray[np.float64] | float = 1.0) -> Iterator[Neighbour]:
        """Yield every row that has anything in common with a question, nearest first; of those with the same pieces that come first which
        are the same to the sign, then to the letter, then to the order of words, then one's own.
        """
        import numpy as np

        scores = self.nearness.by_row(question).round(4)
        same = np.flatnonzero(scores == 1).tolist()  # the same pieces: `kız` and `kiz`, or words in another order
        for place in sorted(same, key=lambda place: _otherwise(self.rows[place], question)):
            yield Neighbour(self.rows[place], 1.0)
        scores[same] = 0
        for place in _nearest_first(scores * weights):
            yield Neighbour(self.rows[place], float(scores[place]))


def _nearest_first(scores: NDArray[np.float64]) -> Iterator[int]:
    """Yield the places of the scores above 0, the highest first and equal ones in order; those after the first few are sorted only
    when they are asked for.
    """
    import numpy as np

    bound = np.partition(scores, -_FEW)[-_FEW] if len(scores) > _FEW else 0.0
    for few in (True, False):
        places = np.flatnonzero((scores > 0) & ((scores >= bound) == few))
        yield from places[np.argsort(-scores[places], kind="stable")].tolist()


def _otherwise(row: Example, question: str) -> list[bool]:
    """Return whether no wording of a row is a question to the sign, to the letter, and to the order of its words; then whether the row is
    not the project's own.
    """
    texts = (row.question, *row.paraphrases)
    return [*(spelt(question) not in map(spelt, texts) for spelt in (_signs, normal, folded)), not row.own]


def _signs(text: str) -> list[str]:
    return lower(text).split()


def _as_object(row: Example) -> dict[str, object]:
    return {name: told for name, told in asdict(row).items() if told or name not in _LEFT_OUT}


def conversation(neighbours: Iterable[Neighbour], messages: Sequence[Message]) -> list[Message]:
    """Return a conversation behind its neighbours, each a question and its answer, in the order given; a system prompt stays first."""
    opening = [one for one in messages[:1] if one.role == "system"]
    shown = ((Message("user", one.example.question), Message("assistant", one.example.said)) for one in neighbours)
    return [*opening, *(message for pair in shown for message in pair), *messages[len(opening) :]]
