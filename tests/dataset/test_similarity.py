"""The similarity is the Jaccard index it says it is, and no near pair escapes, exactly below the limit and by
MinHash above."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.dataset import similarity
from jessyfile.dataset.similarity import banding, cross_pairs, first_of_each, grams, groups, near_pairs, nearest
from jessyfile.text.turkish import normal

WORDS = [
    "çay",
    "kahve",
    "simit",
    "yağmur",
    "güneş",
    "deniz",
    "dağ",
    "araba",
    "kedi",
    "köpek",
    "okul",
    "sınav",
    "akşam",
    "sabah",
    "bugün",
    "yarın",
    "gitmek",
    "gelmek",
]


def jaccard(one, other):
    def shingles(text):
        padded = f" {normal(text)} ".ljust(4)
        return {padded[i : i + 4] for i in range(len(padded) - 3)}

    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


def brute(texts, bound):
    """Every near pair of different texts, and of a text's copies each with the first."""
    forms = [normal(text) for text in texts]
    first = [forms.index(form) for form in forms]
    pairs = itertools.combinations(range(len(texts)), 2)
    return {
        (i, j)
        for i, j in pairs
        if (first[j] == i if first[j] != j else first[i] == i and jaccard(texts[i], texts[j]) >= bound)
    }


texts = st.lists(st.text(alphabet="abcçışğüI İŞ.,!", max_size=25), max_size=12)


@settings(max_examples=150, deadline=None)
@given(texts, st.sampled_from([0.3, 0.5, 0.85, 1.0]))
def test_pairs_are_those_of_the_definition(found, bound):
    left, right, measured = near_pairs(found, bound)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == brute(found, bound)
    for i, j, value in zip(left, right, measured, strict=True):
        assert value == pytest.approx(jaccard(found[i], found[j]))


def sentences(count, seed=1):
    rng = random.Random(seed)
    made = [" ".join(rng.choices(WORDS, k=rng.randint(5, 45))) for _ in range(count)]
    for index in range(0, count, 3):
        words = made[index].split()
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        made.append(" ".join(words))
    return made


@pytest.mark.parametrize("bound", [0.6, 0.85, 0.95])
def test_minhash_finds_the_pairs_that_comparing_all_finds(monkeypatch, bound):
    made = sentences(1500)
    exact = set(zip(*(part.tolist() for part in near_pairs(made, bound)[:2]), strict=True))
    monkeypatch.setattr(similarity, "EXACT_LIMIT", 10)
    found = set(zip(*(part.tolist() for part in near_pairs(made, bound)[:2]), strict=True))
    assert found <= exact
    assert len(exact) > 100
    assert len(exact - found) <= 0.005 * len(exact)


@pytest.mark.parametrize("bound", [0.5, 0.7, 0.85, 0.99])
def test_banding_misses_at_most_one_pair_in_a_thousand_at_the_bound(bound):
    bands, rows = banding(bound)
    assert (1 - bound**rows) ** bands <= 1e-3


@pytest.mark.parametrize(
    ("one", "other"),
    [("çok iyi", "şok iyi"), ("kız geldi", "kiz geldi"), ("aşık oldum", "asık oldum"), ("on kişi", "ön kişi")],
)
def test_words_that_differ_in_a_turkish_letter_are_not_the_same(one, other):
    kept, _ = first_of_each([one, other], 0.85)
    assert kept == [0, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [("IŞIK yandı", "ışık yandı"), ("İyi geceler", "iyi geceler!"), ("çiçek", unicodedata.normalize("NFD", "çiçek"))],
)
def test_case_punctuation_and_unicode_form_do_not_make_a_row_new(one, other):
    assert first_of_each([one, other], 0.85) == ([0], {1: 0})


def test_a_row_is_kept_when_what_it_resembles_was_dropped():
    """Dropping is by kept rows only: a chain of small steps must not pull everything down to its first link."""
    chain = ["bir iki üç dört beş altı yedi", "bir iki üç dört beş altı sekiz", "bir iki üç dört beş dokuz sekiz"]
    bound = min(jaccard(chain[0], chain[1]), jaccard(chain[1], chain[2]))
    assert jaccard(chain[0], chain[2]) < bound
    assert first_of_each(chain, bound)[0] == [0, 2]


def greedy(texts, bound):
    """Keep what is near no earlier kept text, by comparing all."""
    kept = []
    for index, text in enumerate(texts):
        if all(jaccard(texts[one], text) < bound for one in kept):
            kept.append(index)
    return kept


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["bir iki", "BİR iki!", "bir ikiz", "iki bir", "ikiz", "", "?", "üç dört"]), max_size=14)
)
def test_copies_share_the_fate_of_the_first_of_their_kind(found):
    kept, dropped = first_of_each(found, 0.5)
    assert kept == greedy(found, 0.5)
    assert set(dropped.values()) <= set(kept)
    assert sorted([*kept, *dropped]) == list(range(len(found)))


SENTENCE = "Bugün hava çok güzel, dışarı çıkıp biraz yürüyelim mi yoksa evde mi kalalım?"


def test_twenty_thousand_copies_take_little_memory():
    """Every pair of equal rows was built, 200 million of them, and the process ran out of memory."""
    texts = [SENTENCE, SENTENCE.replace(",", " -"), "başka bir söz " * 3] * 6700
    tracemalloc.start()
    try:
        left, right, alike = near_pairs(texts, 0.85)
        kept, dropped = first_of_each(texts, 0.85)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(left) == len(texts) - 2
    assert set(right.tolist()) == set(range(len(texts))) - {0, 2}
    assert set(left.tolist()) == {0, 2}
    assert set(alike.tolist()) == {1.0}
    assert kept == [0, 2]
    assert len(dropped) == len(texts) - 2
    assert peak < 64 << 20


@pytest.mark.parametrize("limit", [10, similarity.EXACT_LIMIT])
def test_a_crowd_of_rows_that_differ_in_a_number_is_named_row_by_row(monkeypatch, limit):
    monkeypatch.setattr(similarity, "EXACT_LIMIT", limit)
    texts = [f"{SENTENCE} {number}" for number in range(1500)]
    left, right, _ = near_pairs(texts, 0.85)
    assert set(right.tolist()) == set(range(1, 1500))
    assert len(left) <= 1500 * similarity._CROWD
    assert first_of_each(texts, 0.85)[0] == [0]


def test_nothing_and_one_are_no_pairs():
    assert near_pairs([], 0.5)[0].size == 0
    assert near_pairs([""], 0.5)[0].size == 0
    assert len(grams(["", "a"])) == 2


def test_cross_pairs_compare_two_lists(monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", 3)
    left, right = sentences(20, 2), sentences(7, 2)
    found = set(zip(*(part.tolist() for part in cross_pairs(left, right, 0.5)[:2]), strict=True))
    assert found == {
        (i, j) for i, one in enumerate(left) for j, other in enumerate(right) if jaccard(one, other) >= 0.5
    }


def test_the_nearest_neighbour_is_the_nearest(monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", 4)
    made = sentences(30)
    best, which = nearest(made)
    for i, one in enumerate(made):
        expected = max(jaccard(one, other) for j, other in enumerate(made) if i != j)
        assert best[i] == pytest.approx(expected)
        assert jaccard(one, made[which[i]]) == pytest.approx(expected)


def test_of_several_nearest_it_is_the_first(monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", 2)
    best, which = nearest(["kuş", "bir kedi", "bir kedi", "bir kedi", "köpek", "bir kedi"])
    assert (best[1:4].tolist(), best[4]) == ([1, 1, 1], 0)
    assert which.tolist() == [-1, 2, 1, 1, -1, 1]


@pytest.mark.parametrize("bound", [0.6, 0.85])
def test_few_pairs_are_looked_at_of_texts_that_share_common_words(monkeypatch, bound):
    """Every pair was multiplied out whole: of 8,000 rows thirty million, for a few hundred that are near."""
    rng, measured = random.Random(3), []
    own = ["".join(rng.choices("bcdfgjklmnprsvyz", k=8)) for _ in range(800)]
    made = [" ".join([*rng.sample(WORDS, 12), *own[4 * number : 4 * number + 4]]) for number in range(200)]
    made.append(made[17].replace(own[68], "yarın"))
    monkeypatch.setattr(similarity, "_measured", _counting(similarity._measured, measured))
    left, right, _ = near_pairs(made, bound)
    assert (left.tolist(), right.tolist()) == ([17], [200])
    assert sum(measured) < 0.05 * 201 * 200 / 2


def _counting(measure, counts):
    def counted(matrix, sizes, pairs, bound):
        counts.append(len(pairs[0]))
        return measure(matrix, sizes, pairs, bound)

    return counted


def test_groups_join_what_is_linked():
    assert groups(6, [(4, 1), (1, 0), (3, 5)]) == [0, 0, 2, 3, 0, 3]
