"""One answer to every question is no answer, and a passing word list is no evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from evaluation_fakes import make_case
from test_voice import SALAD, STOCK

from jessyfile.evaluation.cases import Case, Check, read_cases
from jessyfile.evaluation.check_figures import accepted
from jessyfile.evaluation.nearness import leaning, likeness
from jessyfile.evaluation.profiles import Profiles
from jessyfile.evaluation.scores import form_misses, misses
from jessyfile.evaluation.stock import stock_answers
from jessyfile.evaluation.voice import voice_faults
from jessyfile.resources import resource

PARAGRAPH = (
    "Bence bunun tek cevabı yok ama ben bir yerde durmak isterdim. İnsan bir yandan güven, düzen ve aile istiyor, öbür yandan "
    "özgür olmak; emek veriyor, korku duyuyor, zarar görüyor, pişman oluyor. Toplum, vicdan, adalet, şans … telafi eder, "
    "özür dilerdim."
)
NOUNS = (
    "Evde anne, mutfakta yemek, sokakta araba, okulda çocuk; denizde güneş, telefonda arkadaş, masada kitap, kapıda komşu, "
    "parkta kedi köpek, cepte para, işte patron."
)
VERBS = (
    "Gider gelir, alır verir, sever bekler, konuşur dinler, uyur kalkar, yer içer, koşar durur, okur yazar, bakar görür, "
    "sorar anlatır, güler ağlar."
)
PROVERBS = (
    "Damlaya damlaya göl olur. Sakla samanı gelir zamanı. Acele işe şeytan karışır. Bir elin nesi var, iki elin sesi var. "
    "Ağaç yaşken eğilir. Komşu komşunun külüne muhtaçtır."
)
ADVICE = (
    "Önce loglara bak, sonra küçük bir test yaz. Cache'i temizle, sürümü kontrol et, config'i gözden geçir. Bence index ekle, "
    "query'yi ölç, memory'yi izle; thread, lock, timeout hepsi etki eder."
)


IN_ENGLISH = (
    "I don't think there's one answer, but I'd want to stand somewhere. On one side people want safety, order and family, on the "
    "other freedom; they put in effort, feel fear, get hurt, have regrets. Society, conscience, justice, luck … I'd say sorry and "
    "make amends."
)
COMFORT = (
    "Çok üzüldüm, seni anlıyorum, yalnız değilsin. Her şey zamanla düzelir, güçlü ol, ben hep buradayım.",
    "Bunu yaşaman çok zor olmalı. Kendine zaman tanı, derin bir nefes al, ben yanındayım, ne zaman istersen anlat.",
    "Üzülme canım, hayat devam ediyor, olumlu düşün, her şeyin hayırlısı olsun.",
    "Seni duyuyorum. Duyguların çok değerli, bir uzmandan destek almak iyi gelebilir. İstersen biraz daha anlat, dinliyorum.",
    "I'm so sorry you're going through this. You're not alone, take it one day at a time, I'm here for you.",
)


@pytest.fixture(scope="module")
def every() -> list[Case]:
    return [case for path in sorted(resource("data", "eval").glob("*.jsonl")) for case in read_cases(path)[0]]


@pytest.fixture(scope="module")
def chat() -> list[Case]:
    return [
        case for name in ("turkish", "emotional") for case in read_cases(resource("data", "eval", f"{name}.jsonl"))[0]
    ]


def passing(cases: list[Case], text: str) -> float:
    found = [
        case for case in cases if not misses(case, text) and not list(voice_faults(text, case.prompt, case.language))
    ]
    return len(found) / len(cases)


@pytest.mark.parametrize("text", [STOCK, SALAD])
def test_a_stock_answer_passes_under_one_case_in_twenty(chat: list[Case], text: str) -> None:
    """A stock answer passed 30 of 100 chat cases, a salad of 27 words 58."""
    assert passing(chat, text) < 0.05


def test_a_prepared_paragraph_behind_an_echo_is_no_answer_to_small_talk(chat: list[Case]) -> None:
    """Behind an echo of the question one paragraph passed 17 of 40 philosophical cases."""
    found = [case for case in chat if not misses(case, f"{case.prompt} {PARAGRAPH}")]
    assert len(found) < 0.05 * len(chat)


def test_what_four_questions_got_answers_none_of_them() -> None:
    cases = [
        make_case(f"turkish-{n}", prompt=f"{word} ne zaman başlıyor abi")
        for n, word in enumerate(["maç", "film", "ders", "konser"])
    ]
    echoed = {case.id: f"{case.prompt} Bence tek cevabı yok bunun." for case in cases}
    assert stock_answers(cases, echoed) == {case.id for case in cases}
    assert stock_answers(cases[:3], echoed) == frozenset()
    longer = "Sekizde, ama kapı yedide açılıyor, erken git. Bence tek cevabı yok bunun."
    assert stock_answers(cases, {**echoed, cases[0].id: longer}) == {case.id for case in cases[1:]}


def test_an_answer_leans_to_those_it_is_like() -> None:
    good, bad = ("Çok üzüldüm, başın sağ olsun.",), ("Kedi sonuçta, yenisini alırsın.",)
    assert leaning("Çok üzüldüm ya, başın sağ olsun kanka.", good, bad) > 0.5
    assert leaning("Kedi sonuçta, yarın yenisini alırsın işte.", good, bad) < -0.5
    assert leaning("Elma mı muz mu?", good, bad) == pytest.approx(0, abs=0.05)
    assert leaning(good[0], good, bad) == leaning("Akşama ne yesek?", (), bad) == 0
    assert leaning("Olumlu düşün, zamanla her şey yoluna girer, hayat güzel.", good, bad) < -0.3
    assert likeness("şok oldum", "sok oldum") == pytest.approx(1)


def test_people_s_answers_decide_where_words_cannot() -> None:
    """A cold or stiff answer that named the subject passed, and a good one of an idea that no list holds did not."""
    good = ("Ah ya, on altı sene az değil, başın sağ olsun.", "Çok üzüldüm, evde her köşede patisi vardır şimdi.")
    bad = ("Bir kedi için çok iyi bir yaş, yenisini alırsın.", "Yavru bir kedi al, çabuk alışırsın.")
    kedi = make_case(
        prompt="kedim bu sabah uyanmadı", relevance=(Check("touches", ("kedi", "yaş")),), good=good, bad=bad
    )
    assert misses(kedi, "Bu bir kedi için iyi bir yaş zaten, yavru al, alışırsın.") != ()
    assert misses(kedi, "Çok üzüldüm, on altı sene her köşede o vardı şimdi.") == ()
    assert misses(replace(kedi, good=(), bad=()), "Çok üzüldüm, on altı sene her köşede o vardı şimdi.") != ()


def test_what_is_nearer_to_many_other_questions_answers_none() -> None:
    """A paragraph of big words passed 5 of 40 philosophical cases that share a word or two with it."""
    subjects = ["çay", "deniz", "okul", "kedi", "araba", "tren", "köprü", "dağ", "saat", "kitap", "bahçe", "kapı"]
    texts = {word: (f"{word} mı güzel", f"Bence {word} güzel, {word} her sabah ayrı keyif verir.") for word in subjects}
    profiles = Profiles(texts)
    assert profiles.nearer("çay", "Çay derim, sabah keyif verir.") == 0
    assert profiles.nearer("çay", "Deniz ile okul, kedi ile araba, tren ile köprü bir arada.") > 0.3
    assert profiles.nearer("çay", texts["çay"][1]) < profiles.nearer("çay", "Köprü ile tren.")
    alone = Profiles({"çay": texts["çay"]})
    assert alone.nearer("çay", "Köprü ile tren.") == 0
    cay = make_case("çay", prompt="çay mı güzel", relevance=(Check("length", most=200),))
    said = "Deniz ile okul, kedi ile araba, tren ile köprü, dağ ile saat bir arada."
    # a cache that knew the case alone judged by answers to other questions that had been edited since
    assert [misses(replace(cay, profiles=one), said) == () for one in (alone, profiles)] == [True, False]


def test_the_manner_of_a_suites_good_answers_is_known_and_an_answer_itself_tells_nothing() -> None:
    """Broken and stiff answers on the subject passed: no answer to their own question was as bad as they."""
    subjects = ["çay", "deniz", "okul", "kedi", "araba", "tren", "köprü", "dağ", "saat", "kitap", "bahçe", "kapı"]
    texts = {word: (f"{word} mı güzel", f"{word} derim ben, hem de nasıl", f"tabii {word} ya") for word in subjects}
    bad = [f"Değerli kullanıcımız, {word} konusunda yardımcı olmaktayız." for word in subjects]
    profiles = Profiles(texts, bad)
    assert profiles.manner("Balon derim ben, hem de nasıl ya.") > 1
    assert profiles.manner("Balon konusunda değerli yardımcı olmaktayız.") < -1
    assert profiles.manner(bad[0]) > Profiles(texts, [*bad, f"{bad[0]} "]).manner(f"{bad[0]} x")
    assert Profiles(texts).manner(bad[0]) == Profiles({"çay": texts["çay"]}, bad).manner(bad[0]) == 0


def shuffled(case: Case) -> str:
    words = case.prompt.replace("?", "").replace(",", "").split()
    Random(1).shuffle(words)
    return " ".join(words)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda _: PARAGRAPH, id="paragraph"),
        pytest.param(
            lambda case: f"{case.prompt} {PARAGRAPH}", id="paragraph behind an echo", marks=pytest.mark.stress
        ),
        pytest.param(lambda _: SALAD, id="27 words"),
        pytest.param(lambda _: NOUNS, id="nouns"),
        pytest.param(lambda _: VERBS, id="verbs", marks=pytest.mark.stress),
        pytest.param(lambda _: PROVERBS, id="proverbs", marks=pytest.mark.stress),
        pytest.param(lambda _: ADVICE, id="advice", marks=pytest.mark.stress),
        pytest.param(shuffled, id="the question shuffled"),
        pytest.param(lambda _: IN_ENGLISH, id="paragraph in English"),
        pytest.param(lambda case: f"{shuffled(case)}. {PARAGRAPH}", id="paragraph behind the question shuffled"),
        pytest.param(
            lambda case: f"{shuffled(case)}. {IN_ENGLISH}",
            id="paragraph in English behind the question shuffled",
            marks=pytest.mark.stress,
        ),
        *(
            pytest.param(lambda _, text=text: text, id=f"comfort {number}", marks=[pytest.mark.stress][: number > 0])
            for number, text in enumerate(COMFORT)
        ),
    ],
)
def test_no_prepared_text_passes_one_case_in_twenty_of_any_suite(
    every: list[Case], text: Callable[[Case], str]
) -> None:
    """Asked singly, one paragraph passed 5 of 40 philosophical cases, in English and behind the question's words 4 of 60; a list of nouns
    11 of 100 in Turkish, general comfort 2 of 20 in a crisis."""
    asked, passed = Counter[str](), Counter[str]()
    for case in every:
        asked[case.suite] += 1
        passed[case.suite] += accepted(case, text(case))
    assert {name: passed[name] for name in asked if passed[name] >= max(0.05 * asked[name], 2)} == {}


@pytest.mark.parametrize(
    ("prompt", "bad", "good"),
    [
        ("selam, ben Kerem, yeni tanışıyoruz", "Selam, ben de Kerem, memnun oldum.", "Selam Kerem, memnun oldum."),
        ("sabah sabah gök gürledi", "Gök gürültüsü, ısınan havanın çıkardığı bir sestir.", "Pencereyi kapatsana, gök delinecek."),
        ("this thunder again", "Thunder is a sound that heated air makes.", "It's a loud one, that thunder. Scared?"),
        ("bunu neden böyle yapmalıyım sence", "Böyle neden bunu sence yapmalıyım yapmalıyım.", "Bence böyle daha az iş çıkıyor."),
    ],
)  # fmt: skip
def test_what_says_nothing_to_the_one_who_wrote_fails(prompt: str, bad: str, good: str) -> None:
    """A shuffled question, a dictionary's answer to small talk and the other one's name as hers passed."""
    case = make_case(prompt=prompt, relevance=(Check("length", most=200),))
    assert misses(case, bad) != ()
    assert misses(case, good) == ()


def test_a_part_of_a_long_message_is_no_repetition() -> None:
    """The sum that was asked for out of 5,000 characters was called a repetition of them."""
    long = "aidat 850 lira oldu, ocaktan itibaren, kedi de kayıp, hortum da " + "ve daha neler konuşuldu burada " * 5
    case = make_case(prompt=f"{long}, kaç lira?", relevance=(Check("length", most=200),))
    assert misses(case, "Lira olarak 850 aidat, ocaktan itibaren.") == ()


def test_a_short_first_sentence_is_a_view_and_a_hedge_is_none() -> None:
    """`Olanı düzeltmez. …` takes a side without any `bence`."""
    view = make_case(form=(Check("first_person"),))
    assert form_misses(view, "Olanı düzeltmez. Ama karşıdaki duyulduğunu bilir.") == ()
    assert form_misses(view, "Duruma göre. Bazen düzeltir.") != ()
    assert form_misses(view, "Düzeltir mi? Bazen düzeltir.") != ()


def test_contempt_is_heard_in_both_languages() -> None:
    assert "looks down on the one who asks" in set(voice_faults("Bunu sormana bile şaşırdım.", "okusam mı", "tr"))
    assert "looks down on the one who asks" in set(voice_faults("You are an idiot, that is why.", "why", "en"))
    assert list(voice_faults("Sormana sevindim, oku bence.", "okusam mı", "tr")) == []
