"""The report card as one self-contained HTML page: tables and bars, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from jessyfile.dataset.card import DatasetCard
from jessyfile.dataset.card_tables import length_table, source_table, summary_lines, topic_table
from jessyfile.text.html import render_template


def card_html(card: DatasetCard) -> str:
    """Return the card as a page."""
    return render_template(
        "card.html.j2",
        summary=summary_lines(card),
        topics=topic_table(card),
        languages=card.figures.languages,
        lengths=length_table(card),
        sources=source_table(card, "topic"),
        dropped=card.dropped,
    )
