"""Numbers are compared as numbers, and a choice is one side."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.choice import chosen
from jessyfile.evaluation.numbers import claims_only, numbers

SPELLINGS = (("=unvan",), ("=ünvan",))
DRINKS = (("çay",), ("kahve",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dokuz", 9), ("9,0 TL", 9), ("%9", 9), ("on altı eder", 16), ("yirmidört", 24), ("24'tür", 24), ("beştir", 5),
        ("1.000 lira", 1000), ("yüz yirmi", 120), ("üç buçuk saat", 3.5), ("2,5", 2.5), ("iki bin yirmi üç", 2023),
        ("twenty-four", 24), ("bin dokuz yüz yirmi üç", 1923), ("otuz bin beş yüz", 30500), ("it is nine", 9), ("20lik", 20), ("yediye böl", 7),
    ],
)  # fmt: skip
def test_a_number_is_read(text: str, value: float) -> None:
    assert [number for number, _ in numbers(text)][:1] == [value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("600, yüzde yirmisi yüz lira", [600, 20, 100]), ("çarşamba 15:00", [15]), ("52 hafta, o yüzden kayıyor", [52]),
        ("üç saat, on altı dakika", [3, 16]),
    ],
)  # fmt: skip
def test_numbers_beside_each_other_stay_apart(text: str, values: list[float]) -> None:
    """`Yüzde yirmisi yüz` was read as 2,000, the minutes of 15:00 as 0 and `o yüzden` as 100: right sums failed."""
    assert [number for number, _ in numbers(text)] == values


@pytest.mark.parametrize(
    "text", ["bir şey", "onu yedim", "beşiktaş", "yüzün gülsün", "it is on the table", "altında kaldı"]
)
def test_what_only_looks_like_a_number_is_none(text: str) -> None:
    assert list(numbers(text)) == []


def test_the_wrong_number_beside_the_right_one_is_no_answer() -> None:
    """To name the wrong number beside the right one passed; 9 was found in 19."""
    assert claims_only("Dokuz kalır.", (9,), (), others=False)
    assert not claims_only("Dokuz ya da sekiz.", (9,), (), others=False)
    assert not claims_only("Sıfırın altında on sekizde donar.", (0,), (), others=False)
    assert not claims_only("19", (9,), (), others=False)
    assert claims_only("24; on iki çift.", (24,), (12,), others=False)
    assert claims_only("24, 300 yıldır böyle.", (24,), (), others=True)


@pytest.mark.parametrize(
    ("text", "options", "side"),
    [
        ("Unvan", SPELLINGS, 0), ("Ünvan değil unvan", SPELLINGS, 0), ("ünvan yanlış", SPELLINGS, 0),
        ("Ünvan. Unvan eski yazım, kullanma.", SPELLINGS, 1), ("Kahve çaydan iyi", DRINKS, 1), ("çay yerine kahve", DRINKS, 1),
        ("Çay. Kahve de güzel ama.", DRINKS, 0), ("Kahve içme, çay iç", DRINKS, 0),
        ("Çay da güzel kahve de", DRINKS, None), ("İkisi de olur: çay, kahve", DRINKS, None), ("Bilmem", DRINKS, None),
    ],
)  # fmt: skip
def test_a_side_is_taken_or_not(text: str, options: tuple[tuple[str, ...], ...], side: int | None) -> None:
    """Naming both options of «A mı B mi» passed as a choice."""
    assert chosen(text, options) == side
