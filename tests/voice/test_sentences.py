"""What is read aloud: whole sentences as soon as they are there, without marks for the eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.voice.sentences import Sentences, sentences, speakable

ANSWER = """[medium 2]
# Kek

**Önce** unu *ele*. 3. sınıf bile yapar! Dr. Ayşe de öyle der… Saat 15.30'da başla.

1. Yumurtayı kır.
- Şekeri `kat`

```python
print("okunmaz.")
```

Tarif [burada](https://kek.example.org/tarif?x=1): https://www.kek.example.org/a/b. Afiyet olsun 🍰 :)
| Malzeme | Gram |
|---|---:|
| Un | 200 |
<b>Bitti</b>"""


def test_an_answer_is_read_without_what_is_for_the_eye() -> None:
    assert sentences(ANSWER) == [
        "Kek",
        "Önce unu ele.",
        "3. sınıf bile yapar!",
        "Dr. Ayşe de öyle der…",
        "Saat 15.30'da başla.",
        "1. Yumurtayı kır.",
        "Şekeri kat",
        "Tarif burada: kek.example.org",
        "Afiyet olsun :)",
        "Malzeme, Gram",
        "Un, 200",
        "Bitti",
    ]


def test_a_sentence_is_given_as_soon_as_the_next_one_begins() -> None:
    """Sound begins with the first sentence, while the second is written."""
    growing = Sentences()
    assert growing.feed("İyiyim") == []
    assert growing.feed("İyiyim, sen?") == []  # more of it may come
    assert growing.feed("İyiyim, sen? Ben") == ["İyiyim, sen?"]
    assert growing.feed("İyiyim, sen? Ben de.\n") == ["Ben de."]
    assert growing.finish("İyiyim, sen? Ben de.\nSon") == ["Son"]


def test_half_a_marker_is_never_read() -> None:
    growing = Sentences()
    assert growing.feed("[low") == []
    assert growing.feed("[low 1]\nMerhaba. Ne") == ["Merhaba."]
    assert sentences("[1] numaralı kutu.") == ["[1] numaralı kutu."]


def test_what_has_no_end_is_read_a_breath_at_a_time() -> None:
    long = "evet ve " * 100
    found = sentences(long)
    assert len(found) > 2 and max(map(len, found)) <= 240
    assert " ".join(found).split() == long.split()
    growing = Sentences()
    assert growing.feed(long[:300])


@given(st.text(alphabet="aç. \n!?[]1`*#-|", max_size=80), st.lists(st.integers(0, 80), max_size=6))
def test_an_answer_in_pieces_is_read_as_the_whole_is(text: str, cuts: list[int]) -> None:
    """However an answer arrives, the same words are read; where a sentence is cut may differ by what was known."""
    growing, found = Sentences(), []
    for cut in sorted(cuts):
        found += growing.feed(text[:cut])
    found += growing.finish(text)
    assert "".join("".join(found).split()) == "".join("".join(sentences(text)).split())


@pytest.mark.parametrize("text", ["", "---", "🍰", "```", "* * *", "| --- |"])
def test_nothing_to_say_is_nothing(text: str) -> None:
    assert speakable(text) == ""
    assert sentences(text) == []
