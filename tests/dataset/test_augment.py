"""What is rewritten is what people type: code stays, answers stay, and the result is how friends really write."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.dataset.augment import asciified, slangy, typo
from jessyfile.dataset.similarity import near_pairs
from jessyfile.dataset.variants import rewrite_shares, variants
from jessyfile.language.recipe import Augment
from jessyfile.text.turkish import normal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Günaydın, nasılsın?", "Gunaydin, nasilsin?"),
        ("IĞDIR İzmir", "IGDIR Izmir"),
        ("`şu_değişken` nedir", "`şu_değişken` nedir"),
        ("bak https://site.tr/çay güzel", "bak https://site.tr/çay guzel"),
    ],
)
def test_asciify_changes_letters_outside_code_alone(text, expected):
    assert asciified(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ne haber?", "nbr?"),
        ("Bir şey soracağım.", "bişi soracağım"),
        ("ne yapıyorsun", "napıyon"),
        ("geliyorum", "geliyom"),
        ("biliyor musun", "biliyo musun"),
        ("okuyor", "okuyo"),
        ("`tamam` tamam", "`tamam` tmm"),
        ("birim testi", "birim testi"),
        ("İyi geceler", "iyi gclr"),
        ("yorum yaptı", "yorum yaptı"),
        ("horoz", "horoz"),
    ],
)
def test_slang_is_what_friends_type(text, expected):
    assert slangy(text) == expected


@given(st.text(alphabet="abcçdefgğhıijklmnoöprsştuüvyz ", max_size=60), st.integers(0, 1000))
def test_a_typo_is_one_slip_in_one_word(text, number):
    slipped = typo(text, random.Random(number))
    assert abs(len(slipped) - len(text)) <= 1
    if not any(len(word) >= 4 for word in text.split()):
        assert slipped == text


def test_a_typo_spares_code():
    assert all(typo("`println` ne", random.Random(n)) == "`println` ne" for n in range(50))


@pytest.fixture
def rows(row):
    words = [
        "çay",
        "kahve",
        "şeker",
        "öğle",
        "üzüm",
        "ığdır",
        "güneş",
        "deniz",
        "dağ",
        "yağmur",
        "kış",
        "yaz",
        "bahar",
        "güz",
        "ağaç",
        "çiçek",
        "kuş",
        "köpek",
        "kedi",
        "balık",
    ]
    return [
        row(
            query=f"bugün {word} için ne yapıyorsun",
            response=f"{word.title()} deyince aklıma güzel şeyler geliyor.",
            place=f"r:{i}",
        )
        for i, word in enumerate(words, start=1)
    ]


def test_shares_are_met_and_answers_untouched(rows):
    out = rewrite_shares(rows, Augment(0.25, 0.2, 0.1), 42, "t", 0.95)
    sources = [row.example.source for row in out]
    assert [sources.count(f"augment.{name}") for name in ("asciify", "slang", "typos")] == [5, 4, 2]
    assert [row.example.response for row in out] == [row.example.response for row in rows]
    assert sum(one.example.query != other.example.query for one, other in zip(rows, out, strict=True)) == 11


def test_no_rewriting_brings_a_row_too_near_to_another(row):
    rows = [
        row(query="çok güzel şey", response="Evet, öyle gerçekten."),
        row(query="cok guzel sey!", response="Evet, öyle gerçekten.", place="r:2"),
    ]
    assert near_pairs([r.text for r in rows], 0.9)[0].size == 0
    out = rewrite_shares(rows, Augment(1.0, 0, 0), 1, "t", 0.9)
    assert near_pairs([r.text for r in out], 0.9)[0].size == 0


def test_english_rows_are_left_alone(row):
    english = [row(query="what are you doing tonight", response="Just talking with you.", language="en")]
    assert list(variants(english, Augment(1, 1, 1), 1, 42, "t")) == []
    assert rewrite_shares(english, Augment(1, 1, 1), 42, "t", 0.95) == english


def test_a_variant_names_its_group(rows):
    made = list(variants(rows, Augment(0.5, 0, 0), 20, 42, "t"))
    assert len(made) == 10
    ids = {row.id for row in rows}
    assert all(row.group in ids for row in made)
    assert all(normal(row.example.query).isascii() for row in made)
