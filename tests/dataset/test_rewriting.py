"""A question typed otherwise is what people type: it keeps its code, asks the same, and is the same every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.dataset import rewriting
from jessyfile.dataset.rewriting import retyped
from jessyfile.resources import resource
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import folded_normal

SENTENCE = "Bugün çok yorgunum, ne yapayım?"


def ways(text, language="tr", count=400):
    return {retyped(text, language, random.Random(n)) for n in range(count)}


@given(st.text(max_size=200), st.sampled_from(["tr", "en", "mixed"]), st.integers(0, 2**40))
def test_any_text_is_rewritten_the_same_every_time(text, language, seed):
    said = retyped(text, language, random.Random(seed))
    assert said == retyped(text, language, random.Random(seed))
    assert bool(said.strip()) == bool(text.strip())


def test_questions_are_typed_in_many_ways_and_now_and_then_as_they_stand():
    found = ways(SENTENCE)
    assert len(found) > 150
    assert SENTENCE in found
    assert "Bugun cok yorgunum, ne yapayim?" in found  # without Turkish letters
    assert any(text.isupper() and "YORGUNUM" in text for text in found)
    assert any(folded_normal(text).startswith("ne yapayim") for text in found)  # the other clause first
    assert any("yorgunluktan" in text for text in found)  # other words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("yarın geliyor musun", "yarın geliyormusun"),  # the particle written together
        ("hava güzel mi", "hava güzel"),  # left to the tone of voice
        ("bunu nasıl yapacağım", "bunu nasıl yapıcam"),  # the future as it is spoken
        ("seni arayacağım", "seni arayıcam"),
        ("yarın görüşeceğim", "yarın görüşücem"),
        ("naber", "nbr"),
        ("selam", "slm"),
        ("bugün hava soğuk", "hava soğuk bugün"),
        ("ben de yorgunum", "bende yorgunum"),
    ],
)
def test_turkish_is_typed_as_in_a_chat(text, wanted):
    assert wanted in ways(text, count=1500)


@pytest.mark.parametrize(
    ("text", "wanted"), [("don't you think so", "dont you think so"), ("how do i do this", "how can i do this")]
)
def test_english_is_typed_as_in_a_chat(text, wanted):
    assert wanted in ways(text, "en", 1500)


def test_case_follows_each_language():
    """`str.upper` made INSANIM of insanım and İ of no i; in English the dotted capital would be as wrong."""
    assert "İYİ İNSAN MISIN" in ways("iyi insan mısın", count=1500)
    assert not any("İ" in text for text in ways("is this it", "en"))


@pytest.mark.parametrize("text", ["şu `println!` ne", "bak https://site.tr/çay güzel mi", "`şey` nedir, `şu` ne"])
def test_code_and_addresses_stay_as_they_are(text):
    kept = [part for part in rewriting.CODE.split(text) if rewriting.CODE.fullmatch(part)]
    assert all(part in said for said in ways(text) for part in kept)


@pytest.mark.parametrize("text", ["?", "a", "naber"[:3], "BENİ DUYAN VAR MI", "👍👍", "```js\nconst şey = 1\n```"])
def test_what_could_not_be_known_again_or_is_meant_so_stays(text):
    assert ways(text) == {text}


def test_slips_hit_keys_that_lie_beside_the_right_one_on_a_turkish_keyboard():
    keys = rewriting._keys()
    assert set("pğliç") <= set(keys["ş"])
    assert set("ğüş") <= set(keys["i"])
    assert "q" not in keys["ş"]
    assert all(key in keys[other] for key in keys for other in keys[key])
    assert any("ş" in text for text in ways("seni arayacağım abi", count=3000))


def test_most_questions_change_and_stay_as_long_as_they_were():
    said = [retyped(SENTENCE, "tr", random.Random(n)) for n in range(1000)]
    assert 0.7 < sum(text != SENTENCE for text in said) / len(said) < 0.95
    assert all(len(SENTENCE) * 0.6 < len(text) < len(SENTENCE) * 1.8 for text in said)


def test_the_table_of_synonyms_is_sound():
    table = load_table(resource("data").parent, "synonyms")
    assert table.columns == ("word", "other", "language", "ways")
    pairs = [(item["word"], item["other"], item["language"]) for item in table.items]
    assert len(set(pairs)) == len(pairs)
    assert all(item["word"] != item["other"] and item["ways"] in "12" for item in table.items)
    assert {item["language"] for item in table.items} == {"tr", "en"}
