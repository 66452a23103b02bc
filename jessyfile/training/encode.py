"""From formatted rows to token ids with a mask, and the proof that the mask trains what it should.

The proof is counted, not assumed: tokens and trained tokens per category, rows cut at the limit, rows whose end-of-turn token is trained.
A dataset with nothing to train is refused here, before any model is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.formatted import FormattedRow
from jessyfile.dataset.marker import level_span
from jessyfile.errors import TrainingError
from jessyfile.models.chat_format import ChatFormat, chat_format
from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer
from jessyfile.results.facts import MaskCount, MaskFacts
from jessyfile.training.encoded import EncodedRow

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe

_GIVEN, _TRAINED, _LEVEL = range(3)  # a piece of a row: stands there, is learned, is learned and weighed apart
MarkerLine = Literal["learned", "apart", "given"]


@dataclass(slots=True)
class MaskProof:
    """What the mask trains: counts of rows and tokens, per category and in all."""

    rows: int = 0
    cut: int = 0
    longest: int = 0
    empty: int = 0
    ends_trained: int = 0
    chats: int = 0
    neighbours: int = 0
    dropped: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    trained: Counter[str] = field(default_factory=Counter)

    def facts(self) -> MaskFacts:
        """Return the counts as facts."""
        return MaskFacts(
            rows=self.rows,
            rows_cut=self.cut,
            longest=self.longest,
            rows_without_trained_tokens=self.empty,
            chat_rows=self.chats,
            ends_trained=self.ends_trained,
            tokens=sum(self.tokens.values()),
            trained_tokens=sum(self.trained.values()),
            neighbours=self.neighbours,
            neighbours_dropped=self.dropped,
            categories={name: MaskCount(self.tokens[name], self.trained[name]) for name in sorted(self.tokens)},
        )


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes rows for one base: its tokenizer, chat format, system prompt (None: not trained with), length limit in tokens and the
    marker that answers begin with (None: no marker). The marker's line is learned as the answer is, its level weighed apart; or, where
    answers are compared, all of it is weighed apart, or it only stands there.
    """

    tokenizer: Tokenizer
    chat_format: ChatFormat
    system: str | None
    max_length: int
    marker: str | None = None
    marker_line: MarkerLine = "learned"

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return self.tokenizer.encode(self.chat_format.end_of_turn)[-1]

    def encode(self, rows: Iterable[FormattedRow], proof: MaskProof) -> list[EncodedRow]:
        """Return the rows that have something to train, counting all of them into the proof."""
        return [encoded for row in rows if (encoded := self._row(row, proof)) is not None]

    def _row(self, row: FormattedRow, proof: MaskProof) -> EncodedRow | None:
        given = len(row.neighbours)
        row, ids, labels = self._fitted(row)
        proof.rows += 1
        proof.neighbours += len(row.neighbours)
        proof.dropped += given - len(row.neighbours)
        proof.cut += len(ids) > self.max_length
        proof.longest = max(proof.longest, len(ids))
        ids, labels = ids[: self.max_length], labels[: self.max_length]
        trained = [label != _GIVEN for label in labels]
        proof.tokens[row.category] += len(ids)
        proof.trained[row.category] += sum(trained)
        proof.chats += row.kind != "marker"
        proof.ends_trained += row.kind != "marker" and self._ends(ids, trained)
        if not any(trained):
            proof.empty += 1
            return None
        level = tuple(label == _LEVEL for label in labels)
        return EncodedRow(tuple(ids), tuple(trained), row.category, row.language, "persona" in row.tags, level)

    def _fitted(self, row: FormattedRow) -> tuple[FormattedRow, list[int], list[int]]:
        """Return a row with as many of its neighbours as the limit leaves room for, its tokens and their labels."""
        while True:
            ids, labels = self.tokenizer.encode_parts(self._labelled(self._parts(row), row.levels, row.learned))
            if len(ids) <= self.max_length or not row.neighbours:
                return row, ids, labels
            row = row.without_farthest()

    def _parts(self, row: FormattedRow) -> list[tuple[str, bool]]:
        if row.kind != "marker":
            return self.chat_format.render_parts(row.messages, None if row.kind == "judgement" else self.system)
        # a marker row ends after the marker's line: the model must not learn to stop there
        asked = self.chat_format.render_parts(row.messages[:-1], self.system)
        line = self.chat_format.reply_lead + row.messages[-1].content.strip() + "\n"
        return [*asked, (self.chat_format.reply_open, False), (line, True)]

    def _labelled(
        self, parts: Iterable[tuple[str, bool]], levels: Iterable[tuple[str, int] | None], learned: Iterable[bool]
    ) -> Iterator[tuple[str, int]]:
        """Yield the pieces with their labels; an answer, which alone may be trained, is cut around the level that its marker
        names."""
        answers = zip(levels, chain(learned, repeat(True)), strict=False)
        for text, is_answer in parts:
            named, trained = next(answers) if is_answer else (None, False)
            if named is None or self.marker is None or not trained:
                yield text, _TRAINED if trained else _GIVEN
                continue
            lead = len(self.chat_format.reply_lead)
            if self.marker_line != "learned":
                line = text.index("\n", lead) + 1
                yield from ((text[:line], _LEVEL if self.marker_line == "apart" else _GIVEN), (text[line:], _TRAINED))
                continue
            start, end = (lead + place for place in level_span(self.marker, *named))
            yield from ((text[:start], _TRAINED), (text[start:end], _LEVEL), (text[end:], _TRAINED))

    def _ends(self, ids: Sequence[int], trained: Sequence[bool]) -> bool:
        last = max((i for i, flag in enumerate(trained) if flag), default=-1)
        return last >= 0 and ids[last] == self.end


def encoder_of(recipe: Recipe, base: Path, max_length: int, marker_line: MarkerLine = "learned") -> Encoder:
    """Return what lays a recipe's rows out for the model of a base's folder.

    Args:
        recipe: the recipe.
        base: the base's folder.
        max_length: the limit in tokens.
        marker_line: what becomes of the line that a marker is.
    """
    form = chat_format(read_json(base / "source.json")["chat_format"])
    system = recipe.system if recipe.train.include_system else None
    return Encoder(load_tokenizer(base), form, system, max_length, recipe.complexity.marker, marker_line)


def refuse_empty(proof: MaskProof) -> None:
    """Raise TrainingError when the mask trains nothing, or no answer's end."""
    if not sum(proof.trained.values()):
        raise TrainingError(
            "no token would be trained",
            hint="raise max_length in TRAIN: every answer lies behind the limit, or there are no rows",
        )
    if proof.chats and not proof.ends_trained:
        raise TrainingError(
            "no row trains its end-of-turn token, so the model would never stop",
            hint="raise max_length in TRAIN: every row is cut",
        )
