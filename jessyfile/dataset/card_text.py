"""The report card as text for a terminal: the same figures as the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jessyfile.dataset.card import QUANTILES
from jessyfile.dataset.card_html import level_order, summary_lines

_BAR = 24


def card_text(card: Mapping[str, Any]) -> str:
    """Return the card in lines of at most about 100 characters."""
    width = max(len(name) for name, _ in summary_lines(card))
    parts = ["\n".join(f"{name:<{width}}  {value}" for name, value in summary_lines(card))]
    parts += [_topics(card["level_by_topic"]), _bars("language", card["languages"]), _lengths(card["lengths"])]
    parts += [_sources(card["sources"])] if card.get("sources") else []
    parts += [_dropped(card["dropped"])] if card.get("dropped") else []
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def _topics(table: Mapping[str, Mapping[str, int]]) -> str:
    levels = sorted({level for counts in table.values() for level in counts}, key=level_order)
    rows = [
        [topic, *(str(counts.get(level, "")) for level in levels), str(sum(counts.values()))]
        for topic, counts in table.items()
    ]
    return _table(["topic", *levels, "all"], rows)


def _bars(name: str, counts: Mapping[str, int]) -> str:
    most = max(counts.values(), default=1)
    rows = [[key, str(count), "█" * max(1, round(_BAR * count / most))] for key, count in counts.items()]
    width = max((len(row[0]) for row in rows), default=0)
    return "\n".join([name, *(f"{key:<{width}}  {count:>6}  {bar}" for key, count, bar in rows)])


def _lengths(lengths: Mapping[str, Mapping[str, int]]) -> str:
    columns = list(QUANTILES)
    return _table(
        ["characters", *columns],
        [[name, *(str(q.get(column, "")) for column in columns)] for name, q in lengths.items()],
    )


def _sources(sources: Mapping[str, Mapping[str, int]]) -> str:
    names = sorted({name for counts in sources.values() for name in counts})
    rows = [[topic, *(str(counts.get(name, "")) for name in names)] for topic, counts in sources.items()]
    return _table(["came from", *names], rows)


def _dropped(dropped: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["dropped by the filters"]
    for name, told in dropped.items():
        lines.append(f"  {name} {told['dropped']}")
        lines += [f"    {example}" for example in told["examples"]]
    return "\n".join(lines)
