"""How near a question is to a row: its four measures, against the same written out."""

from __future__ import annotations

import numpy as np
import pytest

from jessyfile.retrieval.index import Index
from jessyfile.retrieval.nearness import AVERAGE, HELD, NEAREST, WHOLE, Nearness

WORDINGS = [
    ["moralim bozuk", "keyfim yok bugün", "moralim çok bozuk ya", "canım sıkkın"],
    ["moralim sıfır"],
    ["saat kaç", "saati söyler misin", "saat kaç oldu acaba"],
    ["kızım okula başladı, hem sevindim hem de çok duygulandım", "kızım okula başladı"],
]
ROW_OF = np.repeat(np.arange(len(WORDINGS)), [len(row) for row in WORDINGS])
SINGLE = [[row[0]] for row in WORDINGS]
QUESTIONS = ["moralim çok kötü bugün", "saat kac oldu", "kızım", "xyz", "", "MORALIM SIFIR", "bugün kızım okula"]


def nearness(wordings: list[list[str]]) -> Nearness:
    first = np.cumsum([0, *map(len, wordings)])[:-1]
    return Nearness(Index.build([text for row in wordings for text in row], consonants=True), first)


def dense(index: Index) -> np.ndarray:
    """Return the weights of each text in each piece."""
    weights = np.zeros((index.size, len(index.keys)))
    columns = np.repeat(np.arange(len(index.keys)), np.diff(index.starts))
    weights[index.owners, columns] = index.weights
    return weights


def written_out(held: Nearness, question: str, without: int | None = None) -> list[float]:
    """Return the score of each row by the definition."""
    index, ends = held.index, [*held.first[1:], held.index.size]
    weights, pieces = dense(index), index.pieces_of(question)
    asked = np.zeros(len(index.keys))
    for place, weight in pieces.known:
        asked[place] = weight
    lengths = np.sqrt((weights > 0).sum(1))
    divided = 1 / (0.6 + 0.4 * lengths.mean() / np.sqrt(max(1, len(pieces.weights))))
    found = []
    for start, end in zip(held.first, ends, strict=True):
        texts = [place for place in range(start, end) if place != without]
        cosines = weights[texts] @ asked
        near = cosines / (0.75 + 0.25 * lengths.mean() / lengths[texts])
        total = weights[texts].sum(0)
        whole = total @ asked / np.linalg.norm(total)
        held = (asked[(weights[texts] > 0).any(0)] ** 2).sum()
        mixed = divided * (NEAREST * near.max() + AVERAGE * near.mean() + WHOLE * whole + HELD * held)
        found.append(1.0 if cosines.max() > 0.9999 else min(mixed, 0.9999))
    return found


@pytest.mark.parametrize("wordings", [WORDINGS, SINGLE])
@pytest.mark.parametrize("question", QUESTIONS)
def test_it_is_the_one_of_the_definition(question: str, wordings: list[list[str]]) -> None:
    """Rows of one wording each are scored without any sums, and come to the same."""
    held = nearness(wordings)
    assert held.by_row(question) == pytest.approx(written_out(held, question), abs=1e-6)


@pytest.mark.parametrize("place", [0, 2, 3, 6, 8])
def test_a_wording_taken_out_counts_nowhere(place: int) -> None:
    """As the benchmarks ask: neither among the wordings, nor in their sum, nor in what they hold."""
    held, texts = nearness(WORDINGS), [text for row in WORDINGS for text in row]
    without = held.by_row(texts[place], without=place)
    assert without == pytest.approx(written_out(held, texts[place], place), abs=1e-5)
    assert without[ROW_OF[place]] < 1 == held.by_row(texts[place])[ROW_OF[place]]


def test_a_short_text_is_no_nearer_for_being_short() -> None:
    """`javascript'te spread ne demek` found `javascript`, of which it says all."""
    rows = [
        ["javascript"],
        ["javascriptte spread operatörü ne işe yarar"],
        ["uzun bir yol var önümde"],
        ["ne demek bu"],
    ]
    question = "javascript spread"
    held = nearness(rows)
    cosines = held.index.scores(question)
    scores = held.by_row(question)
    assert scores[1] / scores[0] > cosines[1] / cosines[0]


def test_nothing_but_the_same_words_is_one() -> None:
    held = nearness([["selam", "selam selam"], ["selamlar olsun"]])
    assert held.by_row("selam")[0] == 1
    assert held.by_row("selam selam olsun").max() < 1
    assert nearness([]).by_row("selam").tolist() == []
