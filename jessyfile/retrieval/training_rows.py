"""Training rows as they are asked where RETRIEVE serves: the nearest answered rows stand before the question, as turns.

A model must learn to lean on the right neighbour and to do without one. So most rows have their own row among their neighbours, and are asked
in other words than it: a person's where the row has paraphrases, else its own typed otherwise. Some have it, and what says the same, left out;
some stand bare. Rows held out have neighbours as any question has when the model serves, from the training rows alone.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from jessyfile.dataset.card import DatasetCard, card_json
from jessyfile.dataset.card_html import card_html
from jessyfile.dataset.corrections import CORRECTION
from jessyfile.dataset.data_steps import CARD, CARD_HTML, TRAIN, VALID, read_category
from jessyfile.dataset.formatted import FormattedRow, read_formatted, write_formatted
from jessyfile.dataset.from_templates import other_wordings
from jessyfile.dataset.leaks import find_leaks, load_cases
from jessyfile.dataset.places import shown_path, suite_paths
from jessyfile.dataset.refinement import question_place
from jessyfile.dataset.rewriting import retyped
from jessyfile.dataset.rows import Row, alone, with_query
from jessyfile.dataset.select import turn
from jessyfile.dataset.similarity import cross_pairs
from jessyfile.dataset.split import paraphrase_groups
from jessyfile.dataset.templates import Intent, load_intents
from jessyfile.fsops import write_text
from jessyfile.language.recipe import Message
from jessyfile.results.facts import NeighbourFacts
from jessyfile.results.typed_json import load_as
from jessyfile.retrieval.examples import Examples, Neighbour, conversation
from jessyfile.retrieval.shares import LEFT_OUT
from jessyfile.text.turkish import folded_normal

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.planning.steps import StepContext

_OTHER_WORDING = 0.5  # of the composed rows, how many are asked in another wording of their intent


def run_neighbours(context: StepContext) -> NeighbourFacts:
    """Write `train.jsonl` and `valid.jsonl` with neighbours before the rows, and the dataset's card with their shares."""
    recipe, data = context.recipe, context.inputs["dataset"]
    assert recipe.retrieve is not None  # noqa: S101 (there is no such step without RETRIEVE)
    examples = Examples.load(context.inputs["index"]).trained()
    written = [
        row for name, folder in context.inputs.items() if name.startswith("data.") for row in read_category(folder)
    ]
    train, held_out = (learned(recipe, read_formatted(data / split)) for split in (TRAIN, VALID))
    asked = Retyping(recipe, context.root, written, held_out).asked(train)
    given = Given(examples, recipe.retrieve.examples, recipe.dataset.seed, same_said(written), recipe.retrieve.alone)
    write_formatted(context.output / TRAIN, given.trained(asked.rows))
    write_formatted(context.output / VALID, map(given.as_served, held_out))
    facts = NeighbourFacts(
        examples=sum(bool(row.said) for row in examples.rows),
        bare=given.counts["bare"],
        own=given.counts["own"],
        left_out=given.counts["left out"],
        others=given.counts["others"],
        retyped=asked.retyped,
        kept=asked.kept,
    )
    card = replace(load_as(DatasetCard, data / CARD), neighbours=facts)
    write_text(context.output / CARD, card_json(card))
    write_text(context.output / CARD_HTML, card_html(card))
    return facts


def learned(recipe: DataRecipe, rows: Sequence[FormattedRow]) -> list[FormattedRow]:
    """Return the rows that are trained, of each category its share; what belongs to none, as marker rows and rows of REPLAY, is trained
    whole, and so are corrections.
    """
    shares = {category.name: category.learn for category in recipe.dataset.categories}
    of: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if shares.get(row.category, 1.0) < 1 and CORRECTION not in row.tags:
            of[row.category].append(row.id)
    left: set[str] = set()
    for name, ids in of.items():
        order = sorted(ids, key=lambda row: turn(recipe.dataset.seed, "learn", row))
        left.update(order[round(len(ids) * shares[name]) :])
    return [row for row in rows if row.id not in left]


def same_said(written: Sequence[Row]) -> dict[str, frozenset[str]]:
    """Return for each row the rows that say the same in other words, by their ids, itself among them."""
    groups: dict[int, set[str]] = defaultdict(set)
    named = paraphrase_groups(written)
    for row, group in zip(written, named, strict=True):
        groups[group].add(row.id)
    return {row.id: frozenset(groups[group]) for row, group in zip(written, named, strict=True)}


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows as they are asked, how many of them otherwise than they were written, and how many are not for what they would have come near."""

    rows: list[FormattedRow]
    retyped: int
    kept: int


class Retyping:
    """Types questions as other people would: those of single turns that are answered."""

    def __init__(
        self, recipe: DataRecipe, root: Path, written: Sequence[Row], held_out: Sequence[FormattedRow]
    ) -> None:
        """Take what questions must stay away from.

        Args:
            recipe: its seed, similarity and suites are used.
            root: the project's root folder.
            written: the rows as they were made, with their paraphrase groups.
            held_out: the rows that validate.
        """
        self._recipe, self._root = recipe, root
        self._written = {row.id: row for row in written if not row.example.turns}
        asked = [text for row in held_out for text in (_question(row), *row.paraphrases)]
        self._held_out = [folded_normal(text) for text in asked]

    def asked(self, rows: Sequence[FormattedRow]) -> Asked:
        """Return rows as somebody else asks them; a question that would come to one of a suite's, or to one held out, stays as it is
        written.
        """
        intents = cache(partial(load_intents, self._root))
        typed = {row.id: self._typed(self._written[row.id], intents) for row in rows if row.id in self._written}
        changed = {name: row for name, row in typed.items() if row.example.query != self._written[name].example.query}
        barred = self._barred(list(changed.items()))
        now = {name: row.example.query.strip() for name, row in changed.items() if name not in barred}
        asked = [_asked(row, now[row.id]) if row.id in now else row for row in rows]
        return Asked(asked, len(now), len(barred))

    def _typed(self, row: Row, intents: Callable[[str, str], list[Intent]]) -> Row:
        rng = random.Random(f"{self._recipe.dataset.seed}/retyped/{row.id}")
        example = row.example
        if example.paraphrases:
            return alone(with_query(row, rng.choice(example.paraphrases), example.source))
        others = other_wordings(row, intents(example.category.value, example.topic), rng) if row.group else []
        query = rng.choice(others) if others and rng.random() < _OTHER_WORDING else example.query
        return with_query(row, retyped(query, example.language.value, rng), example.source)

    def _barred(self, changed: Sequence[tuple[str, Row]]) -> set[str]:
        """Return the rows that would give an evaluation case, or a row held out, away."""
        if not changed:
            return set()
        paths = [(path, shown_path(path, self._root)) for path in suite_paths(self._recipe, self._root)]
        bound, names = self._recipe.dataset.similarity, {id(row): name for name, row in changed}
        found = {names[id(leak.row)] for leak in find_leaks([row for _, row in changed], load_cases(paths), bound)}
        near, _, _ = cross_pairs([folded_normal(row.example.query) for _, row in changed], self._held_out, bound)
        return found | {changed[index][0] for index in near.tolist()}


def _question(row: FormattedRow) -> str:
    """Return what a row asks: not what asks for a better answer than a draft."""
    *asked, _ = row.messages
    return asked[question_place(asked)].content


def _asked(row: FormattedRow, query: str) -> FormattedRow:
    *earlier, _, answer = row.messages
    return replace(row, messages=(*earlier, Message("user", query), answer))


@dataclass(slots=True)
class Given:
    """Gives rows their neighbours; `same` says which rows say the same as each, `bare` is the share of the training rows that get none,
    `counts` says how the training rows came out.
    """

    examples: Examples
    count: int
    seed: int
    same: Mapping[str, frozenset[str]]
    bare: float
    counts: Counter[str] = field(default_factory=Counter)

    def trained(self, asked: Sequence[FormattedRow]) -> Iterator[FormattedRow]:
        """Yield training rows, exactly the shares of them bare and without their own; what has no level of its own, as rows of REPLAY,
        stands bare besides.
        """
        order = sorted(
            (row.id for row in asked if row.level is not None), key=lambda name: turn(self.seed, "neighbours", name)
        )
        bare, left_out = round(self.bare * len(order)), round(LEFT_OUT * (1 - self.bare) * len(order))
        without, alone = set(order[bare : bare + left_out]), set(order[:bare])
        for row in asked:
            if row.id in alone or row.level is None:
                yield self._counted(row, "bare")
                continue
            same = self.same.get(row.id, frozenset()) if row.id in without else frozenset()
            made = before(row, self._placed(row, same))
            own = row.id in dict(made.neighbours)
            yield self._counted(made, "own" if own else "left out" if same else "others")

    def as_served(self, row: FormattedRow) -> FormattedRow:
        """Return a row held out, asked as when the model serves: the nearest stands last."""
        return before(row, self._found(row, ())[::-1])

    def _counted(self, row: FormattedRow, kind: str) -> FormattedRow:
        self.counts[kind] += 1
        return row

    def _placed(self, row: FormattedRow, without: Collection[str]) -> list[tuple[int, Neighbour]]:
        """Return neighbours in random order, so that a model reads them rather than to count on their places."""
        placed = self._found(row, without)
        random.Random(f"{self.seed}/placed/{row.id}").shuffle(placed)
        return placed

    def _found(self, row: FormattedRow, without: Collection[str]) -> list[tuple[int, Neighbour]]:
        return list(enumerate(self.examples.neighbours(_question(row), self.count, without), start=1))


def before(row: FormattedRow, placed: Sequence[tuple[int, Neighbour]]) -> FormattedRow:
    """Return a row with neighbours before it, in the order given, each with its place among the nearest; its last answer alone is learned."""
    if not placed:
        return row
    neighbours = [one for _, one in placed]
    levels = tuple((one.example.level, one.example.iterations) for one in neighbours)
    return replace(
        row,
        messages=tuple(conversation(neighbours, row.messages)),
        levels=(*levels, *row.levels),
        learned=(False,) * (len(levels) + len(row.levels) - 1) + (True,),
        neighbours=tuple((one.example.id, place) for place, one in placed),
    )
