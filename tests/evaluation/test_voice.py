"""What a friend does not sound like: a call centre, a formal letter, broken Turkish, a list of words."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.checks import passes
from jessyfile.evaluation.clauses import read
from jessyfile.evaluation.voice import is_salad, voice_faults

STOCK = (
    "Geçmiş olsun kanka, canın sağ olsun; dinlen, bir çay koy, keyfine bak. Helal sana valla, gurur duydum. "
    "Anlat bakalım, ne oldu, kimler vardı?"
)
SALAD = (
    "hoca sınav kahve çay komşu konser köz mangal turşu tarif telafi iade kazık kart okey batak patron sabır uyku müzik "
    "disiplin egzoz jant heyecan müşteri bahşiş kas"
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Merhaba! Size nasıl yardımcı olabilirim?", "speaks like a call centre"),
        ("Yaşadığınız durum için üzgünüm, talebiniz alındı.", "speaks like a call centre"),
        ("Geçmiş olsun, umarım iyisinizdir. Doktorunuza danışınız.", "says siz"),
        ("Sınavda başarılar dilerim, kendinize iyi bakınız.", "says siz"),
        ("Hoca gelmek ben kaçmak çok güzel yapıyor", "is broken Turkish"),
        ("Ben çok üzgün hissetmek senin dede için", "is broken Turkish"),
        ("Çok yorulmak oldum, dinlenmek yapmak lazım", "is broken Turkish"),
        ("Ben gidiyor okul", "is broken Turkish"),
        ("Kitapler evde", "is broken Turkish"),
        (STOCK, "strings words together"),
        (SALAD, "strings words together"),
    ],
)
def test_a_wrong_voice_is_heard(text: str, fault: str) -> None:
    """Call-centre Turkish passed 23 times of 23, broken Turkish 10 of 10, a salad of list words most chat cases."""
    assert fault in list(voice_faults(text, "selam", "tr"))


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Başınız sağ olsun, mekânı cennet olsun.", "dedemi toprağa verdik"),
        ("Gözünüz aydın!", "kardeşim doğdu"),
        ("Hepiniz oynadınız mı, kaç kişiydiniz?", "dün halı saha yaptık"),
        ("bcrypt'e geçin, cost'u 12 yapın. Eski hash'leri girişte yenilersiniz.", "şirkette md5 kullanıyoruz"),
        ("Pazar kahvaltısını sen kur, eski bir fotoğrafınızı da çerçevelet.", "annemin doğum günü"),
        ("Ben de gidiyordum ya, sen gelince kaldım.", "napıyosun"),
        ("Gitmek istiyorsan git, kalmak da ayıp değil.", "gitsem mi"),
        ("Saatler geçmiyor, haller perişan; yalnız deniz iyi gelir.", "sıkıldım"),
        ("Su kaynadıktan sonra rafadan 3-4, kayısı 5-6, katı 9-10 dakika.", "yumurta"),
        ("Repo'yu clone'la, branch aç, test'leri run et; CI yeşilse merge'le.", "nasıl katkı veririm"),
        ("Valla helal sana, geçmiş olsun bir de.", "sınav bitti"),
    ],
)
def test_a_friend_is_let_speak(text: str, prompt: str) -> None:
    assert list(voice_faults(text, prompt, "tr")) == []


def test_english_is_heard_for_the_call_centre_alone() -> None:
    assert list(voice_faults("How may I assist you today?", "hi", "en")) == ["speaks like a call centre"]
    assert list(voice_faults("The cat sat on the mat and the dog did not care at all.", "hi", "en")) == []


def test_words_without_a_sentence_pass_no_check_of_content() -> None:
    """A salad of 27 words passed 58 of 100 cases."""
    assert is_salad(read(SALAD))
    assert not passes(Check("any_of", ("sınav",)), SALAD)
    assert not passes(Check("touches", ("sınav",)), SALAD)
    assert passes(Check("any_of", ("sınav",)), "Sınav bitti ya, oh be.")


@pytest.mark.parametrize(
    "check", [Check("any_of", ("piyano",)), Check("touches", ("konser",)), Check("number", numbers=(7.0,))]
)
def test_repeating_the_question_says_nothing(check: Check) -> None:
    prompt = "yeni komşu her akşam 7 piyano çalıyo, çayımı alıp balkona çıkıyorum"
    assert not passes(check, f"{prompt}! Bence bunun tek cevabı yok.", prompt)


@pytest.mark.parametrize(
    "answer", ["Ne dedi?", "Hadi ya!", "Nerede yapacaksın?", "Kim gaza getirdi seni?", "Canın çok yandı mı?"]
)
def test_a_question_back_counts_where_a_friend_would_ask(answer: str) -> None:
    """«Ne dedi?» counted as nothing."""
    check, prompt = Check("touches", ("utanmak", "hoca", "gaz"), asking=True), "dün olanları anlattım ona"
    assert passes(check, answer, prompt)
    assert not passes(Check("touches", ("utanmak",)), answer, "hava güzel")


@pytest.mark.parametrize(
    "answer", ["Kabak dolması güzel olmuş, tarifini atsana.", "Yarınki toplantının kayıt linkini atar mısın?"]
)
def test_a_question_about_another_thing_does_not(answer: str) -> None:
    assert not passes(Check("touches", ("ayak",), asking=True), answer, "metroda adamın biri ayağıma bastı")
