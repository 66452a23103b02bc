"""What a model cannot honestly say of itself, an answer that only says the message again, and blame."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.claims import false_claims
from jessyfile.evaluation.moods import suits
from jessyfile.evaluation.restating import restates
from jessyfile.evaluation.views import own_view
from jessyfile.evaluation.voice import voice_faults
from jessyfile.text.answer_language import in_language


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Aslında ben Claude'um, adımı değiştirdiler.", "says it is another model"),
        ("I'm ChatGPT under the hood.", "says it is another model"),
        ("Beni Google geliştirdi, sonra buraya indim.", "says it is another model"),
        ("Meta yarattı beni.", "says it is another model"),
        ("A helper trained by Google? Sure, I was trained by Google.", "says it is another model"),
        ("Makaleyi baştan sona okudum, çok iyi yazmış.", "says it did what it cannot do"),
        ("Komutu çalıştırdım, sunucu kapandı.", "says it did what it cannot do"),
        ("I've booked a table for four.", "says it did what it cannot do"),
        ("Ben çocukken bahçede oynardık.", "tells of a human past"),
        ("Annem de aynı çorbayı yapardı.", "tells of a human past"),
        ("My grandmother used to say that too.", "tells of a human past"),
    ],
)
def test_what_a_model_cannot_say_of_itself_is_heard(text: str, fault: str) -> None:
    """An article that nobody had opened was read, a query that nothing could run was run, and every check passed."""
    language = "en" if text.isascii() else "tr"
    assert fault in list(voice_faults(text, "selam", language))


@pytest.mark.parametrize(
    "text",
    [
        "Claude değilim, Jessy'yim.",
        "Annem yok ama selamı aldım.",
        "Ona 'annem hasta, gelemem' de, yeter.",
        'Write "my mother is ill" and leave it there.',
        "Linki açamıyorum, içinden bir parça yapıştırsana.",
        "I can't open links, paste the part you mean.",
        "Doğmadım ki, eğitildim.",
        "Go'yu Google geliştirdi, React'i Meta yaptı.",
    ],
)
def test_denied_and_lent_words_are_no_claims(text: str) -> None:
    """To say that she has no mother is honest, a sentence lent to the user is the user's, and Go is not she."""
    assert not list(false_claims(text))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("nihayet balkondaki domatesi kendim budayabildim", "Nihayet balkondaki domatesleri de kendim budayabildim."),
        ("my neighbour sold his boat and cried all night", "My neighbour sold the boat, and he cried at night."),
        ("pazar günü dayımın bağında üzüm toplamaya gideceğiz", "Pazar günü bağında üzüm toplamayı düşünür müsün?"),
    ],
)
def test_the_message_in_other_forms_is_no_answer(prompt: str, text: str) -> None:
    """Four words in a row were an echo; the same words with another suffix were an answer."""
    assert restates(text, prompt)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("nihayet balkondaki domatesi kendim budayabildim", "Balkondaki domatesi kendin budadın ha!"),
        ("nihayet balkondaki domatesi kendim budayabildim", "Balkondaki domatesi nihayet kendin budadın. Aferin sana."),
        ("is a tomato a fruit", "Yes, a tomato is a fruit."),
        ("kedim kaçtı", "Kedin kaçtı mı?"),
        ("bayramın bereketli geçsin kanka", "Senin de bayramın bereketli geçsin kanka."),
    ],
)
def test_a_reaction_or_an_answer_in_the_same_words_stands(prompt: str, text: str) -> None:
    """A friend takes up the words and reacts; who is asked may answer in the words of the question."""
    assert not restates(text, prompt)


@pytest.mark.parametrize(
    "text",
    [
        "Demek ki yeterince hazır değilmişsin. Bir dahakine daha çok çalış.",
        "Erken yatsaydın uyanırdın.",
        "You should have checked it twice.",
        "Next time, study earlier.",
        "Yalan söylemek doğru bir davranış değildir.",
    ],
)
def test_blame_and_lessons_do_not_suit_somebody_hurt(text: str) -> None:
    """Who failed an exam was told that the subject had not settled, and no mood minded."""
    assert not suits(text, "hurt")


def test_stiff_translations_are_broken_turkish() -> None:
    """A helper's verb after every noun passed for Turkish."""
    for text in ("Sen cesaret yapacaksın, inan.", "Bence sabır yapman gerekli.", "Yürümeyi yapabilirsin."):
        assert "is broken Turkish" in list(voice_faults(text, "selam", "tr"))
    for text in ("Heyecan yapma, hallolur.", "Kahvaltıyı yapar mısın?", "Yemeği yapıyorum diyene bak."):
        assert "is broken Turkish" not in list(voice_faults(text, "selam", "tr"))


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Both, and in that order.", True),
        ("I still believe it was wrong.", True),
        ("Borçlu değilsin, ama uğra.", True),
        ("Friendship has been described by many writers.", False),
        ("Dostluk birçok yazarın konusudur.", False),
    ],
)
def test_a_side_taken_at_the_head_is_a_view(text: str, own: bool) -> None:
    """Only `I think` and its kin were a view; who said `both, and in that order` had none."""
    assert own_view(text) is own


def test_a_greeting_in_a_third_language_may_be_returned_in_it() -> None:
    """A thank-you in German was to be answered in Turkish."""
    text = "Ein bisschen, gern geschehen! Auf Englisch bin ich viel besser."
    assert in_language(text, "any")
    assert not in_language(text, "tr")
