"""Words are found as a reader of Turkish finds them."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.words import affirms, denies, holds


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Akşama makarnayı yap.", "makarna"),
        ("İyi akşamlar!", "iyi"),
        ("IŞIK açık kalsın", "ışık"),
        ("gunaydin kanka", "günaydın"),
        ("Sen de git, onun icin gel", "için"),
        ("If it fails, retry.", "if"),
        ("Idle kalır", "idle"),
        ("I'd wait", "i'd"),
        ("Rust'ta bu olmaz", "rust"),
        ("Sana kolay gelsin abi", "kolay gelsin"),
        ("Dert yoktur bende", "dert yok"),
        ("`&mut self` alıyor", "&mut"),
        ("I/O bekliyor", "i/o"),
        ("g\u0308u\u0308n", "g\u0308ün"),
        ("Bunca emeğin karşılığı bu değil.", "emek"),
        ("Kitaplarımızdan birini geri verdim.", "kitap"),
        ("emegine yazik", "emek"),
        ("İlacını içtin mi?", "ilaç"),
        ("Sabrın da bir sonu var, şehre dön.", "sabır"),
        ("Kalbi kırıldı, dikkatler dağıldı", "kalp"),
        ("dikkatler dağıldı", "dikkat"),
        ("Queries are cached", "query"),
        ("stopped and making", "make"),
        ("Felsefi bir soru", "felsef*"),
        ("Hissediyorum ama adını koyamıyorum.", "hisset*"),
        ("Havalar soğuyunca çıkar, kışın da tadındadır.", "kış + çıkmak"),
    ],
)
def test_a_word_is_found(text: str, word: str) -> None:
    assert holds(text, word)


@pytest.mark.parametrize("word", ["=", "= null", "= + x", "!= + ==", "a * b"])
def test_a_part_without_letters_is_a_sign_looked_for_as_written(word: str) -> None:
    """`=` stopped the scoring with an IndexError, and a `*` between words took any word in its place."""
    assert holds("if a * b != c == x = null", word)
    assert not holds("a ile b hiç aynı olmaz", word)


def test_signs_are_looked_for_in_a_text_without_words() -> None:
    assert holds("!= ==", "!= + ==")


@pytest.mark.parametrize(
    "form",
    [
        "gidiyorum",
        "gidiyom",
        "gidiyo",
        "gidiyosun",
        "gidiyoz",
        "gidicem",
        "gitcem",
        "gidersen",
        "gidelim",
        "gitmişti",
        "gidip",
        "gidince",
    ],
)
def test_a_verb_is_found_as_people_say_and_type_it(form: str) -> None:
    """Lists of beginnings held `gid` and `git` apart, and knew no chat spelling."""
    assert holds(f"yarın {form} ya", "gitmek")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Kabak dolması güzel olmuş", "kaba"),
        ("Gazeteyi gözüne tutma", "gaz"),
        ("Sosyal medyada gördüm", "sos"),
        ("Koşullar değişti, gelemem", "koşmak"),
        ("Uyumlu bir renk", "uyumak"),
        ("Kararım bu", "kar"),
        ("çok şok oldum", "sok"),
        ("kiz geldi", "kız gitti"),
        ("kolay iş gelsin", "kolay gelsin"),
        ("yapmak", "mak"),
        ("", "pilav"),
        ("kız", "kaz"),
        ("kadın geldi", "kat"),
        ("kitabe", "kitap"),
        ("Elma aldım", "el"),
        ("Unvan yaz", "=ünvan"),
        ("kışın evde dur. O çıkar.", "kış + çıkmak"),
        ("task runner", "as"),
    ],
)
def test_another_word_is_not_found(text: str, word: str) -> None:
    """Beginnings took «kabak» for `kaba`, «gazete» for `gaz` and «koşullar» for `koş`."""
    assert not holds(text, word)


def test_turkish_letters_of_the_answer_are_not_folded_away() -> None:
    """`şok` in an answer must not pass for a wanted `sok`; only a wanted `şok` may be typed as `sok`."""
    assert not holds("şok oldum", "sok")
    assert holds("sok oldum", "şok")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Altı köşelidir, beş diyenler karıştırıyor.", "beş"),
        ("Sekiz değil, dokuz kalır.", "sekiz"),
        ("5 değil 6 köşeli", "5"),
        ("Baklava yerine kazandibi al", "baklava"),
        ("Bence gitme", "gitmek"),
        ("Süt verme, dokunur", "süt"),
        ("Kediler sütü sindiremez", "süt"),
        ("Asla unwrap kullanma", "unwrap"),
        ("Don't use unwrap here", "unwrap"),
        ("Use bcrypt instead of MD5", "md5"),
        ("Çay mı kahve mi?", "çay"),
        ("Ünvan yanlış, unvan yaz", "=ünvan"),
    ],
)
def test_what_is_denied_asked_or_said_by_others_is_not_claimed(text: str, word: str) -> None:
    """«Altı köşelidir, beş diyenler karıştırıyor» passed for five."""
    assert holds(text, word)
    assert not affirms(text, word)
    assert denies(text, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Altı köşelidir, beş diyenler karıştırıyor.", "altı"),
        ("5 değil 6 köşeli", "6"),
        ("Memelidir yunus, balık değil", "memeli"),
        ("Kahve değil mi zaten", "kahve"),
        ("Merak etme, kargo yarın gelir", "kargo"),
        ("MD5 yetmez, bcrypt kullan", "bcrypt"),
        ("Elma dolma yedim, sarma da", "dolma"),
    ],
)
def test_a_denial_reaches_no_further_than_its_clause(text: str, word: str) -> None:
    assert affirms(text, word)
