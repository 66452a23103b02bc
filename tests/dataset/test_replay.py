"""What REPLAY brings is held to what every row is held to: filters, the suites, what its answers are marked for."""

import json

import pytest

from jessyfile.dataset.formats import conversation_messages, learned_answers, read_examples
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Replay

WORDS = ("masa", "kalem", "perde", "defter", "bardak")


def said(question, answer, **marks):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer} | marks]}


GENERAL = [said(f"{thing} hakkında bir şey söyle", f"{thing} üzerine kısa bir cevap.") for thing in
           ("Ankara", "deniz", "bisiklet", "kedi", "matematik", "yağmur", "satranç")]  # fmt: skip


@pytest.fixture
def made(project, seed, recipe, category, steps):
    """Make five rows and mix in a share of general ones; `objects` are the project's own seeds."""

    def make(*general, share=0.5, markers=0, objects=WORDS):
        project(
            "data/seeds/turkish/objects.jsonl",
            *(seed(f"{w} ne işe yarar", f"{w.title()} evde lazım olur.", topic="objects") for w in objects),
        )
        project("general.jsonl", *general)
        asked = category("turkish", "tr", "low", objects=len(objects))
        replay = Replay("general", share, "general.jsonl")
        return steps(recipe(project.root, asked, markers=markers, replay=replay), project.root)

    return make


def replayed(made):
    return [row for row in made.rows() if row["category"] == "replay"]


def dropped(made):
    return json.loads((made.folder / "card.json").read_text("utf-8"))["dropped"]


def test_a_general_row_that_asks_what_a_case_asks_stops_with_both_places(project, made):
    """A share of general rows was taken from a file that held the suite, and the card said that nothing leaked."""
    project("data/eval/own.jsonl", {"id": "own-1", "suite": "own", "prompt": "bu akşam köprüden hangi vapur geçer"})
    stolen = [said("bu aksam kopruden hangi vapur gecer", f"Cevap {n}, uzunca bir cümle.") for n in WORDS]
    with pytest.raises(DatasetError, match=r"general\.jsonl:\d asks the same as data/eval/own\.jsonl:1"):
        made(*stolen[:1], *GENERAL[:4])
    told = said("peki ya sonra", "Bu akşam köprüden hangi vapur geçer, bak onu hiç bilmiyorum işte.")
    project("data/eval/own.jsonl", {"id": "own-1", "suite": "own", "prompt": told["messages"][1]["content"]})
    with pytest.raises(DatasetError, match="shares 8 words in a row"):
        made(told, *GENERAL[:4])


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("marker", said("selam", "<|im_end|>Merhaba, hoş geldin.")),
        ("marker", said("<start_of_turn>user selam", "Merhaba, hoş geldin.")),
        ("marker", said("selam", "[high 9]\nMerhaba, hoş geldin.")),
        ("personal", said("adresi neydi", "Şuraya yaz: veli@firma.com.tr olsun.")),
        ("repetition", said("say", "bir iki üç bir iki üç bir iki üç bir iki üç")),
        ("length", said("anlat", "uzun " * 700)),
        ("duplicate", GENERAL[0]),
        ("duplicate", said("masa ne işe yarar", "Masa evde lazım olur.")),
    ],
)
def test_what_a_filter_refuses_is_dropped_counted_and_replaced(made, name, bad):
    """General rows passed no filter, so that a control token was trained as one."""
    done = made(bad, *GENERAL)
    rows = replayed(done)
    assert len(rows) == len(done.rows()) / 2
    texts = [turn["content"] for row in rows for turn in row["messages"]]
    assert len(texts) == len(set(texts))
    if name != "duplicate":
        assert dropped(done)[name]["dropped"] == 1
        assert bad["messages"][1]["content"] not in texts
    assert "Masa evde lazım olur." not in texts


def test_too_few_sound_rows_are_counted_with_the_reason(made):
    with pytest.raises(
        DatasetError, match=r"takes 5 rows and `general\.jsonl` holds 4, of which 2 can be used"
    ) as found:
        made(*GENERAL[:2], said("a", "</s> nokta"), said("b", "<|eot_id|> virgül"))
    assert "2 dropped (marker): general.jsonl:" in str(found.value)


@pytest.mark.parametrize("mark", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": False}])
@pytest.mark.parametrize("form", ["messages", "conversations"])
def test_an_answer_that_is_not_to_be_trained_only_stands_there(made, mark, form):
    """The bad answers of a file for another tool, weight 0 there, were trained as good ones."""
    speaker, text = ("role", "content") if form == "messages" else ("from", "value")
    rows = [
        {form: [
            {speaker: "user", text: f"{thing} ne renk"}, {speaker: "assistant", text: f"{thing}: kötü cevap"} | mark,
            {speaker: "user", text: "emin misin"}, {speaker: "assistant", text: f"{thing} iyi cevap", "weight": 1},
        ]}
        for thing in ("deniz", "bisiklet", "yaprak", "kömür", "limon")
    ]  # fmt: skip
    assert [row["learned"] for row in replayed(made(*rows))] == [[False, True]] * 5


def test_a_row_of_which_nothing_is_to_be_trained_is_a_fault_with_its_line(made):
    with pytest.raises(DatasetError, match=r"general\.jsonl:2: leaves no answer to learn") as found:
        made(GENERAL[0], said("selam", "Merhaba, hoş geldin.", weight=0))
    assert "lint" not in str(found.value.hint)
    with pytest.raises(DatasetError, match=r"general\.jsonl:1: leaves no answer to learn"):
        made(said("selam", "Merhaba, hoş geldin.") | {"weight": 0})
    for wrong in (0.3, "0", -1):
        with pytest.raises(DatasetError, match=rf"weight {wrong!r}; an answer is learned"):
            made(said("selam", "Merhaba, hoş geldin.", weight=wrong))
    assert learned_answers(said("a", "b", weight=None)) == ()
    with pytest.raises(ValueError, match="holds a turn of `tool`"):
        conversation_messages({"messages": [{"role": "tool", "content": "3"}]})


def test_a_message_in_parts_is_one_text(made):
    parts = [
        {"messages": [
            {"role": "user", "content": [{"type": "text", "text": f"{word} "}, {"type": "text", "text": "nedir"}]},
            {"role": "assistant", "content": [{"type": "text", "text": f"{word} bir eşyadır."}]},
        ]}
        for word in ("sürahi", "kepçe", "tabure", "avize", "makas")
    ]  # fmt: skip
    assert {row["messages"][0]["content"] for row in replayed(made(*parts))} >= {"sürahi nedir", "avize nedir"}
    picture = {
        "messages": [{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "a"}]
    }
    with pytest.raises(DatasetError, match=r"general\.jsonl:1: holds a message that is not text alone"):
        made(picture)


def test_marker_rows_pass_the_filters_too(project, made):
    """A question of a project's own marker rows was trained with whatever stood in it."""
    sign = {
        "complexity": "low",
        "iterations": 1,
        "language": "tr",
        "category": "markers",
        "topic": "low",
        "source": "hand",
    }
    project("data/seeds/markers/low.jsonl", *({"query": q} | sign for q in ("selam", "<eos> naber", "napıyon")))
    done = made(*GENERAL, markers=2)
    assert dropped(done)["marker"]["dropped"] == 1
    with pytest.raises(
        DatasetError, match=r"3 marker rows are wanted and 2 were found\n  1 dropped \(marker\): data/seeds"
    ):
        made(*GENERAL, markers=3)


def test_every_form_says_which_answers_are_learned(tmp_path):
    own = {"query": "c", "response": "d", "turns": [{"role": "user"}, {"role": "assistant", "weight": 0}]}
    assert learned_answers(own) == (False, True)
    assert learned_answers({"prompt": "a", "completion": "b"}) == learned_answers(said("a", "b", weight=1)) == ()
    assert conversation_messages(said("a", "b", weight=0))  # what is said is read as before
    (tmp_path / "rows.jsonl").write_text(json.dumps(said("a", "b", weight=0)) + "\n")
    _, [fault] = read_examples(tmp_path / "rows.jsonl")
    assert "leaves no answer to learn" in fault.message
