"""The report card as text for a terminal: the same figures as the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jessyfile.dataset.card import Card, DatasetCard
from jessyfile.dataset.card_tables import CardTable, length_table, source_table, summary_lines, topic_table
from jessyfile.results.facts import DroppedRows
from jessyfile.text.fit import table

_BAR = 24


def card_text(card: Card, width: int | None = None) -> str:
    """Return the card in lines of at most about 100 characters; its figures in lines of `width`, None for any."""
    parts = ["\n".join(table([*summary_lines(card)], width, "")), _table(topic_table(card))]
    parts += [_bars("language", card.figures.languages), _table(length_table(card, "characters"))]
    if isinstance(card, DatasetCard):
        parts += [_table(source_table(card, "came from"))] if card.sources else []
        parts += [_dropped(card.dropped)] if card.dropped else []
    return "\n\n".join(parts) + "\n"


def _table(shown: CardTable) -> str:
    widths = [max(map(len, column)) for column in zip(shown.head, *shown.rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, (shown.head, *shown.rows)))


def _bars(name: str, counts: Mapping[str, int]) -> str:
    most = max(counts.values(), default=1)
    rows = [(key, str(count), "█" * max(1, round(_BAR * count / most))) for key, count in counts.items()]
    width = max((len(row[0]) for row in rows), default=0)
    return "\n".join([name, *(f"{key:<{width}}  {count:>6}  {bar}" for key, count, bar in rows)])


def _dropped(dropped: Mapping[str, DroppedRows]) -> str:
    lines = ["dropped by the filters"]
    for name, told in dropped.items():
        lines.append(f"  {name} {told.dropped}")
        lines += [f"    {example}" for example in told.examples]
    return "\n".join(lines)
