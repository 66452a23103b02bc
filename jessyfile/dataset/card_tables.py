"""What a report card shows, in words: the headline figures and the tables that page and terminal have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jessyfile.dataset.card import QUANTILES, Card, DatasetCard
from jessyfile.results.facts import NeighbourFacts

_KNOWN_LEVELS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class CardTable:
    """A table's head and its rows; numbers stand in every column but the first."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summary_lines(card: Card) -> list[tuple[str, str]]:
    """Return the card's headline figures as pairs of words."""
    figures, shortcut, near = card.figures, card.figures.length_shortcut, card.figures.nearest
    lines = [("rows", f"{card.rows}, and {card.markers} marker rows")]
    if isinstance(card, DatasetCard):
        lines.append(("split", f"{card.train} to train on, {card.valid} to validate with"))
        lines.append(("leaks into the suites", str(card.leaks)))
        lines += _neighbour_lines(card.neighbours)
    lines += [("paraphrases", str(figures.paraphrases))] if figures.paraphrases else []
    lines += [
        ("balance of topics", f"{figures.balance:.3f} (1 is even)"),
        ("conversations", str(figures.conversations)),
        ("level guessed from length alone", f"{shortcut.accuracy:.0%}, the commonest level {shortcut.commonest:.0%}"),
    ]
    if near is not None:
        alike = f"median {near.median:.2f}, 95th percentile {near.p95:.2f}, most {near.max:.2f}"
        lines.append(("nearest neighbour", alike))
    return lines


def _neighbour_lines(facts: NeighbourFacts | None) -> list[tuple[str, str]]:
    """Return what stands before the training rows; how many neighbours a row has room for is known when it is encoded."""
    if facts is None:
        return []
    parts = {"own row": facts.own, "own left out": facts.left_out, "others": facts.others, "bare": facts.bare}
    shares = (f"{name} {count} ({count / max(1, sum(parts.values())):.0%})" for name, count in parts.items())
    return [
        ("before a row", ", ".join(shares)),
        ("examples", f"{facts.examples}; a row has as many as max_length leaves room for"),
        ("questions retyped", f"{facts.retyped}; {facts.kept} left as written, too near a suite or a row held out"),
    ]


def topic_table(card: Card) -> CardTable:
    """Return rows by topic and level, low first, with their sum."""
    table = card.figures.level_by_topic
    levels = sorted(_names(table), key=_level_order)
    return CardTable(
        ("topic", *levels, "all"),
        tuple((topic, *_cells(counts, levels), str(sum(counts.values()))) for topic, counts in table.items()),
    )


def length_table(card: Card, corner: str = "") -> CardTable:
    """Return the lengths of questions and answers in characters."""
    return _plain(card.figures.lengths, corner, list(QUANTILES))


def source_table(card: DatasetCard, corner: str) -> CardTable:
    """Return where each topic's rows came from."""
    return _plain(card.sources, corner, sorted(_names(card.sources)))


def _plain(table: Mapping[str, Mapping[str, int]], corner: str, columns: list[str]) -> CardTable:
    return CardTable((corner, *columns), tuple((name, *_cells(counts, columns)) for name, counts in table.items()))


def _names(table: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {name for counts in table.values() for name in counts}


def _cells(counts: Mapping[str, int], columns: Iterable[str]) -> Iterable[str]:
    return (str(counts.get(column, "")) for column in columns)


def _level_order(level: str) -> tuple[int, str]:
    """Return what to sort levels by: low, medium, high, then any others by name."""
    return (_KNOWN_LEVELS.index(level) if level in _KNOWN_LEVELS else len(_KNOWN_LEVELS), level)
