"""Words are found as a reader of Turkish finds them."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.words import holds


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Akşama makarnayı yap.", "makarna"),
        ("İyi akşamlar!", "iyi"),
        ("IŞIK açık kalsın", "ışık"),
        ("gunaydin kanka", "günaydın"),
        ("If it fails, retry.", "if"),
        ("Idle kalır", "idle"),
        ("Rust'ta bu olmaz", "rust"),
        ("Sana kolay gelsin abi", "kolay gelsin"),
        ("Dert yoktur bende", "dert yok"),
        ("`&mut self` alıyor", "&mut"),
        ("I/O bekliyor", "i/o"),
        ("g\u0308u\u0308n", "g\u0308ün"),
    ],
)
def test_a_word_is_found(text: str, word: str) -> None:
    assert holds(text, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("çok şok oldum", "sok"),
        ("kiz geldi", "kız gitti"),
        ("kolay iş gelsin", "kolay gelsin"),
        ("yapmak", "mak"),
        ("", "pilav"),
        ("kız", "kaz"),
    ],
)
def test_a_word_is_not_found(text: str, word: str) -> None:
    assert not holds(text, word)


def test_turkish_letters_of_the_answer_are_not_folded_away() -> None:
    """`şok` in an answer must not pass for a wanted `sok`; only a wanted `şok` may be typed as `sok`."""
    assert not holds("şok oldum", "sok")
    assert holds("sok oldum", "şok")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Bunca emeğin karşılığı bu değil.", "emek"),
        ("Kitabı geri verdim.", "kitap"),
        ("Hissediyorum ama adını koyamıyorum.", "hisset"),
        ("emegine yazik", "emek"),
        ("İlacını içtin mi?", "ilaç"),
    ],
)
def test_a_softened_ending_is_the_same_word(text: str, word: str) -> None:
    """`emek` did not find «emeği», so eleven fair answers to philosophical cases failed."""
    assert holds(text, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("kadın geldi", "kat"),  # one syllable
        ("kitabe", "kitaplık"),
        ("tabağ", "tabak"),  # no vowel follows
        ("emekli", "emeç"),
    ],
)
def test_softening_takes_no_other_word(text: str, word: str) -> None:
    assert not holds(text, word)
