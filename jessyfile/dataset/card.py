"""The report card of a dataset: its size, balance, lengths, near duplicates, and how much of the level the length
alone predicts."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.similarity import EXACT_LIMIT, nearest
from jessyfile.planning.canonical import normal, readable
from jessyfile.results.facts import DroppedRows, NeighbourFacts

if TYPE_CHECKING:
    from jessyfile.dataset.filters import Tally
    from jessyfile.dataset.rows import Row
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.dataset.split import Split
    from jessyfile.results.facts import RowsFacts

_MAX_CUTS = 60
QUANTILES = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How often the level can be guessed: from the question's length alone, and by always naming the most common
    level."""

    accuracy: float
    commonest: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """How alike each of `measured` rows is to its nearest neighbour; `nearest_pair` are the places of the most alike."""

    measured: int
    median: float
    p95: float
    max: float
    nearest_pair: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What any rows are: counts by name, evenness (1.0 is even), lengths in characters, the length shortcut, nearest
    neighbours (None for fewer than two rows), other wordings of their questions.
    """

    topics: Mapping[str, int]
    levels: Mapping[str, int]
    level_by_topic: Mapping[str, Mapping[str, int]]
    languages: Mapping[str, int]
    tags: Mapping[str, int]
    conversations: int
    balance: float
    category_balance: float
    lengths: Mapping[str, Mapping[str, int]]
    length_shortcut: Shortcut
    nearest: Nearest | None
    paraphrases: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells of any rows: how many, how many of them are markers, and their figures."""

    rows: int
    markers: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class DatasetCard(Card):
    """The card of a whole dataset: its split, the rows that stand in for the base's own data, what was asked, what the
    filters dropped, where each topic's rows came from and what stands before them.

    `leaks` is 0, or there would be no card.
    """

    train: int
    valid: int
    replay: int
    seed: int
    similarity_bound: float
    valid_topics: Mapping[str, int]
    dropped: Mapping[str, DroppedRows]
    sources: Mapping[str, Mapping[str, int]]
    leaks: int = 0
    neighbours: NeighbourFacts | None = None


def make_card(
    recipe: DataRecipe, split: Split, markers: Split, replayed: int, facts: Sequence[RowsFacts], tally: Tally
) -> DatasetCard:
    """Return the report card of a whole dataset.

    Args:
        recipe: the recipe's data settings.
        split: the rows with answers, cut into training and validation rows.
        markers: the marker-only rows, cut likewise.
        replayed: how many rows came from REPLAY.
        facts: what the `data.*` steps recorded, one of each.
        tally: what was dropped of the marker rows and of REPLAY's.

    Returns:
        The card that the report shows.
    """
    signs = [*markers.train, *markers.valid]
    rows = [*split.train, *split.valid]
    return DatasetCard(
        rows=len(rows),
        markers=len(signs),
        figures=describe([*rows, *signs]),
        train=len(split.train) + len(markers.train),
        valid=len(split.valid) + len(markers.valid),
        replay=replayed,
        seed=recipe.dataset.seed,
        similarity_bound=recipe.dataset.similarity,
        valid_topics=_counts(topic_of(row) for row in [*split.valid, *markers.valid]),
        dropped=_dropped([*(fact.dropped for fact in facts), tally.facts()]),
        sources={topic: count for fact in facts for topic, count in fact.topics.items()},
    )


def card_json(card: DatasetCard) -> str:
    """Return the text of a card's file; it says nothing of paraphrases where no row has any."""
    value = normal(card)
    if not card.figures.paraphrases:
        del value["figures"]["paraphrases"]
    return readable(value)


def describe(rows: Sequence[Row]) -> Figures:
    """Return what any rows are."""
    topics = _counts(map(topic_of, rows))
    chats = [row for row in rows if not row.example.is_marker]
    return Figures(
        topics=topics,
        levels=_counts(row.example.level for row in rows),
        level_by_topic=_level_by_topic(rows),
        languages=_counts(row.example.language for row in rows),
        tags=_counts(tag for row in rows for tag in row.example.tags),
        conversations=sum(bool(row.example.turns) for row in rows),
        balance=round(balance(topics.values()), 4),
        category_balance=round(balance(_counts(row.example.category for row in rows).values()), 4),
        lengths={
            "query": quantiles([len(row.example.query) for row in rows]),
            "response": quantiles([len(row.example.response or "") for row in chats]),
        },
        length_shortcut=length_shortcut([(len(row.example.query), row.example.level) for row in rows]),
        nearest=_nearest(chats),
        paraphrases=sum(len(row.example.paraphrases) for row in rows),
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def topic_of(row: Row) -> str:
    """Return a row's topic as cards show it, `turkish/slang`."""
    return f"{row.example.category}/{row.example.topic}"


def _level_by_topic(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        table[topic_of(row)][row.example.level] += 1
    return {topic: dict(sorted(levels.items())) for topic, levels in sorted(table.items())}


def balance(counts: Iterable[int]) -> float:
    """Return the normalized entropy of counts: 1.0 when all are equal, 0.0 when one has everything."""
    present = [count for count in counts if count > 0]
    total = sum(present)
    if len(present) < 2:
        return 1.0 if present else 0.0
    entropy = -sum(count / total * math.log(count / total) for count in present)
    return min(1.0, entropy / math.log(len(present)))


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Return the least, the quartiles, the 95th percentile and the greatest (nearest rank)."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        name: ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
        for name, share in QUANTILES.items()
    }


def length_shortcut(pairs: Sequence[tuple[int, str]]) -> Shortcut:
    """Return how often the level is right when the question's length alone decides it, beside always naming the
    commonest level.

    The best two cuts of the length are chosen on the rows themselves, so this is the most that a shortcut of this
    form could get.
    """
    if not pairs:
        return Shortcut(0.0, 0.0)
    levels = Counter(level for _, level in pairs)
    total = len(pairs)
    best = max(_cut_scores(pairs), default=0)
    return Shortcut(round(best / total, 4), round(levels.most_common(1)[0][1] / total, 4))


def _cut_scores(pairs: Sequence[tuple[int, str]]) -> list[int]:
    lengths = sorted({length for length, _ in pairs})
    step = max(1, len(lengths) // _MAX_CUTS)
    cuts = [0, *lengths[::step], lengths[-1] + 1]
    parts = [
        Counter(level for length, level in pairs if low <= length < high) for low, high in itertools.pairwise(cuts)
    ]
    running = [Counter[str]()]
    for part in parts:
        running.append(running[-1] + part)

    def score(first: int, last: int) -> int:
        inside = running[last] - running[first]
        return max(inside.values(), default=0)

    end = len(parts)
    return [score(0, i) + score(i, j) + score(j, end) for i in range(end + 1) for j in range(i, end + 1)]


def _nearest(rows: Sequence[Row]) -> Nearest | None:
    """Return how near the rows' nearest neighbours are; measured on every row up to the exact limit, else on evenly
    spaced ones."""
    step = max(1, -(-len(rows) // EXACT_LIMIT))
    taken = rows[::step]
    if len(taken) < 2:
        return None
    similarity, which = nearest([row.text for row in taken])
    worst = int(similarity.argmax())
    ordered = sorted(similarity.tolist())
    return Nearest(
        measured=len(taken),
        median=round(ordered[len(ordered) // 2], 4),
        p95=round(ordered[int(0.95 * (len(ordered) - 1))], 4),
        max=round(ordered[-1], 4),
        nearest_pair=tuple(sorted([taken[worst].place, taken[int(which[worst])].place])),
    )


def _dropped(counted: Iterable[Mapping[str, DroppedRows]]) -> dict[str, DroppedRows]:
    total: dict[str, DroppedRows] = {}
    for name, told in (item for dropped in counted for item in dropped.items()):
        before = total.get(name, DroppedRows(0, ()))
        total[name] = DroppedRows(before.dropped + told.dropped, (*before.examples, *told.examples)[:3])
    return dict(sorted(total.items()))
