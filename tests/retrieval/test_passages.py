"""Documents become passages with the titles above them, and each says what can be quoted from it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.retrieval.passages import LONGEST, passages, quotes

NOTES = """---
tags: [kargo]
---
# Kargo

Siparişleri Nazlı hazırlar. Kargo görevlisi her gün 16.30'da alır.

## Ücret

Küçük paketlerde ücret 89 liradır. 1.800 lirayı geçen siparişlerde kargo bizden.

```
# bu bir başlık değil
```

### Şehir dışı ###

Tam bisiklet gönderimi şehir dışına 950 liradır ve bu kural ondan ayrıdır.

Paketleme
---------

Jantlar çift kat kartonla sarılır.

## Ücret

Bu başlık iki kez var.

## Süt al
"""


def test_a_passage_stands_under_every_heading_above_it():
    found = passages("notes/kargo.md", NOTES)
    assert [one.title for one in found] == [
        "Kargo", "Kargo › Ücret", "Kargo › Ücret › Şehir dışı", "Kargo › Paketleme", "Kargo › Ücret", "Kargo › Süt al"
    ]  # fmt: skip
    assert [one.id for one in found] == [
        "notes/kargo.md#Kargo", "notes/kargo.md#Ücret", "notes/kargo.md#Şehir dışı", "notes/kargo.md#Paketleme",
        "notes/kargo.md#Ücret~2", "notes/kargo.md#Süt al",
    ]  # fmt: skip
    assert "# bu bir başlık değil" in found[1].text
    assert found[-1].text == "Süt al"
    assert not any("tags" in one.text for one in found)


def test_a_text_without_headings_is_named_by_its_file():
    [found] = passages("notes/alışveriş.txt", "süt\nekmek")
    assert (found.title, found.text, found.id) == ("alışveriş", "süt\nekmek", "notes/alışveriş.txt#alışveriş")


@pytest.mark.parametrize("text", ["", "\n \n", "---\na: b\n---\n", "\r\n"])
def test_a_text_that_says_nothing_has_no_passages(text):
    assert passages("a.md", text) == []


@given(st.text(max_size=5000))
def test_any_document_is_cut_and_nothing_of_it_is_lost(text):
    found = passages("a.md", text)
    assert all(0 < len(one.text) <= LONGEST for one in found)
    assert len({one.id for one in found}) == len(found)
    assert all(quotes(one.text) or not one.text.strip() for one in found)
    plain = "x" + re.sub(r"[#`~=-]", "", text)
    assert "".join("".join(one.text for one in passages("a.txt", plain)).split()) == "".join(plain.split())


def test_a_long_section_is_cut_between_paragraphs_and_sentences():
    text = "# A\n\n" + "\n\n".join(f"Satır {n}: " + "uzun bir cümle burada durur. " * 20 for n in range(4))
    found = passages("a.md", text)
    assert len(found) > 3
    assert {one.title for one in found} == {"A"}
    assert all(one.text.rstrip().endswith(".") for one in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ücret 2.500 liradır. Sonra gel.", ["Ücret 2.500 liradır.", "Sonra gel."]),
        ("Saat 16.30'da alır, bkz. ek.", ["Saat 16.30'da alır, bkz. ek."]),
        ("süt\nekmek", ["süt", "ekmek"]),
        (
            "Bu satır bir düzenleyicinin kenarında kırıldı ve cümle burada,\nalt satırda biter. İkincisi.",
            ["Bu satır bir düzenleyicinin kenarında kırıldı ve cümle burada, alt satırda biter.", "İkincisi."],
        ),
        (
            "Arıza kodları:\n\n- E04: su yok\n  vanaya bak\n- [ ] F28: gaz yok",
            ["Arıza kodları:", "Arıza kodları: E04: su yok vanaya bak", "Arıza kodları: F28: gaz yok"],
        ),
        (
            "| İş | Ücret |\n|---|:-:|\n| Fren | 220 TL |\n| Jant | |",
            ["İş: Fren, Ücret: 220 TL", "İş: Jant"],
        ),
        ("```\na = 1\n```", ["```\na = 1\n```"]),
    ],
)  # fmt: skip
def test_what_a_passage_says_can_be_quoted_one_by_one(text, said):
    assert quotes(text) == said
