"""The report card's figures are what they say, and nothing from a row becomes markup or a terminal's control
character."""

from __future__ import annotations

import math

import pytest

from jessyfile.dataset.card import DatasetCard, Shortcut, balance, describe, length_shortcut, quantiles
from jessyfile.dataset.card_html import card_html
from jessyfile.dataset.card_text import card_text
from jessyfile.results.facts import DroppedRows
from jessyfile.results.typed_json import load_as


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5, 5], 1.0),
        ([10], 1.0),
        ([], 0.0),
        ([1, 3], -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))),
        ([5, 0, 5], 1.0),
    ],
)
def test_balance_is_the_normalized_entropy(counts, expected):
    assert balance(counts) == pytest.approx(expected)


def test_quantiles_are_nearest_ranks():
    assert quantiles(list(range(1, 101))) == {"min": 1, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}
    assert quantiles([]) == {}


def test_the_length_shortcut_finds_what_length_gives_away():
    telling = [(10, "low")] * 5 + [(50, "medium")] * 5 + [(200, "high")] * 5
    assert length_shortcut(telling) == Shortcut(1.0, 0.3333)
    silent = [(n, level) for n in (10, 20, 30) for level in ("low", "medium", "high")]
    assert length_shortcut(silent).accuracy == pytest.approx(1 / 3, abs=1e-3)
    assert length_shortcut([]) == Shortcut(0.0, 0.0)


def test_the_card_counts_rows(row):
    rows = [row(place=f"r:{n}", query=f"soru {n} {'abc'[n]}", response=f"{'xyz'[n] * 5} cevap {n}") for n in range(3)]
    rows.append(row(category="markers", topic="high", complexity="high", iterations_needed=7, response=None))
    card = describe(rows)
    assert card.topics == {"markers/high": 1, "turkish/casual": 3}
    assert card.levels == {"high": 1, "low": 3}
    assert card.nearest.measured == 3


def test_the_page_escapes_what_rows_hold(row):
    card = DatasetCard(
        rows=2,
        markers=0,
        figures=describe([row(topic="<i>"), row(query="başka", response="Bambaşka bir cevap.", place="r:2")]),
        train=2,
        valid=0,
        replay=0,
        seed=1,
        similarity_bound=0.5,
        valid_topics={},
        sources={"<b>": {"hand": 1}},
        dropped={"length": DroppedRows(1, ("<script>alert(1)</script>", "\x1b[31m"))},
    )
    page = card_html(card)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert not any(part in page for part in ("<b>", "<i>", "\x1b"))
    assert "http:" not in page
    assert "https:" not in page


def test_the_text_shows_the_same_figures(root, recipe, reference, steps, snapshot):
    made = steps(recipe(root, *reference))
    assert card_text(load_as(DatasetCard, made.folder / "card.json")) == snapshot
