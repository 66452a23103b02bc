"""The report card as one self-contained HTML page: tables and bars, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from jessyfile.dataset.card import QUANTILES

_STYLE = """
:root { color-scheme: light dark; --bar: #4a7dbd; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; } th, td { padding: .2rem .8rem .2rem 0; text-align: left;
border-bottom: 1px solid var(--line); } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { background: var(--bar); height: .7rem; display: inline-block; border-radius: 2px; } h2 { font-size: 1.1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; } dd { margin: 0; }
"""


def card_html(card: Mapping[str, Any]) -> str:
    """Return the card as a page. Everything that came from rows is escaped."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Dataset card</title>',
        f"<style>{_STYLE}</style></head><body><h1>Dataset card</h1>",
        _summary(card),
        _section("Topics by level", _topic_table(card["level_by_topic"])),
        _section("Languages", _bars(card["languages"])),
        _section("Lengths in characters", _length_table(card["lengths"])),
        _section("Where rows came from", _source_table(card.get("sources", {}))),
        _section("What the filters dropped", _dropped_table(card.get("dropped", {}))),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _summary(card: Mapping[str, Any]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in summary_lines(card))
        + "</dl>"
    )


def summary_lines(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the card's headline figures as pairs of words, the same for the page and the terminal."""
    shortcut, near = card["length_shortcut"], card["nearest"]
    lines = [("rows", f"{card['rows']}, and {card.get('markers', 0)} marker rows")]
    if "train" in card:
        lines.append(("split", f"{card['train']} to train on, {card['valid']} to validate with"))
        lines.append(("leaks into the suites", str(card["leaks"])))
    lines += [
        ("balance of topics", f"{card['balance']:.3f} (1 is even)"),
        ("conversations", str(card["conversations"])),
        (
            "level guessed from length alone",
            f"{shortcut['accuracy']:.0%}, the commonest level {shortcut['commonest']:.0%}",
        ),
    ]
    if near:
        lines.append(
            (
                "nearest neighbour",
                f"median {near['median']:.2f}, 95th percentile {near['p95']:.2f}, most {near['max']:.2f}",
            )
        )
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    header = "".join(f"<th{' class=n' if i else ''}>{escape(cell)}</th>" for i, cell in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if i else ''}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{header}</tr>{body}</table>"


def _topic_table(table: Mapping[str, Mapping[str, int]]) -> str:
    levels = sorted({level for counts in table.values() for level in counts}, key=level_order)
    rows = [
        [escape(topic), *(str(counts.get(level, "")) for level in levels), str(sum(counts.values()))]
        for topic, counts in table.items()
    ]
    return _table(["topic", *levels, "all"], rows)


def level_order(level: str) -> tuple[int, str]:
    """Return what to sort levels by: low, medium, high, then any others by name."""
    known = ("low", "medium", "high")
    return (known.index(level) if level in known else len(known), level)


def _bars(counts: Mapping[str, int]) -> str:
    most = max(counts.values(), default=1)
    rows = [
        [escape(name), str(n), f'<span class="bar" style="width:{240 * n / most:.0f}px"></span>']
        for name, n in counts.items()
    ]
    return _table(["", "rows", ""], rows)


def _length_table(lengths: Mapping[str, Mapping[str, int]]) -> str:
    columns = list(QUANTILES)
    return _table(
        ["", *columns], [[name, *(str(q.get(column, "")) for column in columns)] for name, q in lengths.items()]
    )


def _source_table(sources: Mapping[str, Mapping[str, int]]) -> str:
    names = sorted({name for counts in sources.values() for name in counts})
    return _table(
        ["topic", *names],
        [[escape(topic), *(str(counts.get(name, "")) for name in names)] for topic, counts in sources.items()],
    )


def _dropped_table(dropped: Mapping[str, Mapping[str, Any]]) -> str:
    if not dropped:
        return "<p>Nothing.</p>"
    rows = [
        [escape(name), str(told["dropped"]), "<br>".join(escape(text) for text in told["examples"])]
        for name, told in dropped.items()
    ]
    return _table(["filter", "rows", "for example"], rows)
