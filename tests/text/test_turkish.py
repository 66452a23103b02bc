"""Turkish letters keep their case pairs and are never folded where rows are compared."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.text.turkish import ascii_folded, capitalized, folded_normal, lower, normal, tokens, uncapitalized, upper


@pytest.mark.parametrize(
    ("text", "expected"),
    [("IŞIK", "ışık"), ("İSTANBUL", "istanbul"), ("Iğdır", "ığdır"), ("ÇOK ŞEY", "çok şey"), ("I", "ı"), ("İ", "i")],
)
def test_lower_case_is_turkish(text, expected):
    assert lower(text) == expected
    assert len(lower("İ")) == 1


@pytest.mark.parametrize(("text", "expected"), [("izmir", "İzmir"), ("ılık", "Ilık"), ("çay", "Çay"), ("", "")])
def test_a_capital_is_turkish(text, expected):
    assert capitalized(text) == expected
    assert uncapitalized(expected) == text


def test_composed_and_decomposed_are_one():
    word = "güneş çiçeği ığdır"
    assert normal(unicodedata.normalize("NFD", word)) == normal(word)


@pytest.mark.parametrize(
    ("one", "other"), [("çok iyi", "şok iyi"), ("kız", "kiz"), ("aşık surat", "asık surat"), ("ön", "on"), ("ol", "öl")]
)
def test_letters_are_never_folded_in_the_normal_form(one, other):
    assert normal(one) != normal(other)


@pytest.mark.parametrize("first", ["Çay", "Şeker", "Öğle", "Üzüm", "İzmir", "Isparta", "Ğ"])
def test_words_that_begin_with_a_turkish_letter_are_words(first):
    assert tokens(f"{first} var") == [lower(first), "var"]


def test_a_suffix_stays_with_its_name():
    assert tokens("Elif'e söyle, Elif’e!") == ["elif'e", "söyle", "elif’e"]


def test_folding_finds_the_same_words_typed_without_turkish_letters():
    assert folded_normal("Günaydın, nasılsın?") == folded_normal("gunaydin nasilsin")


@given(st.text(alphabet="abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZ ", max_size=60))
def test_case_goes_there_and_back(text):
    assert lower(upper(lower(text))) == lower(text)
    assert ascii_folded(text).isascii()
