"""What a person accepts is trained, and what would make the measure worthless is refused by name."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from jessyfile.cli import main
from jessyfile.dataset.collect import collect
from jessyfile.dataset.preference_set import load_set
from jessyfile.feedback import Message, Signal, SignalStore, record
from jessyfile.feedback.accepted import AcceptedFolder
from jessyfile.language import load_recipe

RECIPE = """JESSY 1
NAME cafe
FROM gemma3:270m-pt
DATASET {
  SEEDS     "seeds"
  FEEDBACK  cafe
  markers   0
  CATEGORY cafe 4 "The café" {
    language tr
    level    low
    TOPIC fener 4
  }
}
PREFER kto "judged.jsonl" { feedback yes }
EVAL {
  contrast none
  SUITE golden "golden.jsonl"
  MUST golden.relevance >= previous
}
"""
SEEDS = {
    "mavi fener kaçta açılıyor": "Hafta içi sekizde açıyor.",
    "kafedeki kedinin adı ne": "Pusula! Turuncu olan, pencerede uyur.",
    "canlı müzik ne zaman": "Perşembe akşamları sekizde başlıyor.",
    "kutu oyunu var mı": "Var, merdivenin altındaki dolapta duruyor.",
}
CASE = "sabah kaçta açıyorsunuz kafeyi"
ASKED, BETTER = "bisikletimi nereye kilitleyebilirim", "Arka bahçe kapısının yanındaki demire kilitle."


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "cafe.jessy").write_text(RECIPE)
    plain = {
        "complexity": "low",
        "iterations": 1,
        "category": "cafe",
        "topic": "fener",
        "language": "tr",
        "source": "hand",
    }
    rows = [{"query": asked, "response": answer, **plain} for asked, answer in SEEDS.items()]
    write(tmp_path / "seeds" / "cafe" / "fener.jsonl", rows)
    turns = [{"role": "user", "content": "fiyatlar nasıl"}]
    judged = [
        {"messages": turns, "completion": "Kahve seksen lira.", "label": True},
        {"messages": turns, "completion": "Bilmem ki.", "label": False},
    ]
    write(tmp_path / "judged.jsonl", judged)
    check = [{"check": "any_of", "words": ["sekiz"]}]
    case = {
        "id": "g-1",
        "suite": "golden",
        "prompt": CASE,
        "level": "low",
        "language": "tr",
        "form": [],
        "relevance": check,
    }
    write(tmp_path / "golden.jsonl", [case])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, values: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def edit(root: Path, asked: str = ASKED, better: str = BETTER, answer: str = "Bilmiyorum ki.", **more) -> str:
    return record(root, Signal("edit", (Message("user", asked),), answer, "cafe", chosen=better, **more))


def accept(*words: str) -> int:
    return main(["feedback", "accept", "cafe.jessy", *words])


def rows(root: Path) -> list[dict]:
    file = root / "data" / "feedback" / "cafe.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def collected(root: Path) -> dict[str, str]:
    """Return what `data.cafe` makes: answers by question."""
    recipe = load_recipe(root / "cafe.jessy").recipe
    made = collect(recipe, root, recipe.dataset.categories[0])
    return {row.example.query: row.example.response for row in made.rows}


def test_a_correction_is_a_row_besides_the_count_and_a_preference(project, capsys):
    """The category's four rows stay; the fifth is what somebody said, by its id, and the pair tells kto which answer is better."""
    id_ = edit(project, level="low", iterations=2)
    assert accept(id_[:8], "--wording", "bisiklet park yeri neresi acaba") == 0
    assert "accepted 1 signal: 1 row and 1 preference in data/feedback" in capsys.readouterr().out
    [row] = rows(project)
    assert (row["query"], row["response"], row["complexity"], row["iterations"]) == (ASKED, BETTER, "low", 2)
    assert row["paraphrases"] == ["bisiklet park yeri neresi acaba"]
    assert collected(project) == {**SEEDS, ASKED: BETTER}
    assert [line.id for line in AcceptedFolder(project).lines()] == [id_, id_]
    assert SignalStore(project).read().find(id_).status == "accepted"
    recipe = load_recipe(project / "cafe.jessy").recipe
    taken = load_set(recipe, recipe.prefer, project, (), nearly=True)
    assert {(one.completion, one.label) for one in taken.rows} > {(BETTER, True), ("Bilmiyorum ki.", False)}


def test_a_correction_takes_the_place_of_the_row_that_asks_the_same(project):
    """Two answers to one question would both be trained, the wrong one as often as the right one."""
    assert accept(edit(project, "Kafedeki kedinin adı ne?", "Pusula öldü; yenisinin adı Yelken.")) == 0
    assert collected(project) == {asked: answer for asked, answer in SEEDS.items() if "kedi" not in asked} | {
        "Kafedeki kedinin adı ne?": "Pusula öldü; yenisinin adı Yelken."
    }


def test_corrections_are_trained_and_never_held_out(project):
    """With a validation of a half, half of the corrections were kept out of training."""
    (project / "cafe.jessy").write_text(RECIPE.replace("markers   0", "markers   0\n  validation 50%"))
    questions = [
        "şemsiye ödünç veriyor musunuz",
        "hangi otobüs durağı yakın",
        "bebek arabası merdivenden çıkar mı",
        "menüde çorba bulunur mu",
    ]
    ids = [edit(project, asked, f"Onu Tuncay bilir, {n} numaraya sor.") for n, asked in enumerate(questions)]
    assert accept(*ids) == 0
    assert main(["data", "cafe.jessy"]) == 0
    trained, held_out = (
        (project / ".jessy" / "data" / "cafe" / f"{name}.jsonl").read_text() for name in ("train", "valid")
    )
    assert all(asked in trained and asked not in held_out for asked in questions)
    assert len(held_out.splitlines()) == 2


LEAKS = {
    "the case": CASE,
    "the case, typed otherwise": "SABAH kacta aciyorsunuz kafeyi??",
    "nearly the case": "sabah kaçta açıyorsunuz kafeyii",
    "in other words": "kafeyi sabahları kaçta açıyorsunuz",
}


@pytest.mark.parametrize("asked", LEAKS.values(), ids=LEAKS)
def test_a_correction_that_gives_a_case_away_is_refused_by_name(project, capsys, asked):
    """Yesterday's correction would be today's golden case, and the golden set would measure memory."""
    id_ = edit(project, asked, "Sekizde açıyoruz, buyur gel.")
    assert accept(id_) == 1
    assert "golden.jsonl:1" in capsys.readouterr().err
    assert rows(project) == [] and SignalStore(project).read().find(id_).status == "open"


def test_a_correction_whose_words_are_a_case_s_is_refused(project, capsys):
    """Eight words in a row of a case, or of its reference answers, give it away from whichever text they stand in."""
    write(
        project / "data" / "eval" / "other.jsonl",
        [{"id": "o", "prompt": "dün gece rüyamda eski evimizin bahçesinde koşan beyaz bir at gördüm"}],
    )
    assert accept(edit(project, ASKED, "Dün gece rüyamda eski evimizin bahçesinde koşan beyaz at vardı.")) == 1
    assert "shares 8 words in a row with data/eval/other.jsonl:1" in capsys.readouterr().err


def test_a_doubt_is_a_person_s_to_settle_and_a_leak_is_not(project, capsys):
    """A question may share its words with a case and be another one; one that is the case is refused whatever anybody says."""
    doubtful, leak = edit(project, LEAKS["in other words"]), edit(project, CASE)
    assert accept(doubtful) == 1
    assert "--another-question" in capsys.readouterr().err
    assert accept(doubtful, "--another-question") == 0
    assert accept(leak, "--another-question") == 1
    assert len(rows(project)) == 1


REFUSED = {
    "a chat token": (BETTER + " <end_of_turn>", "holds `<end_of_turn>`"),
    "a marker": ("[high 9]\n" + BETTER, "holds `[high 9]`"),
    "a loop": ("Oraya kilitle. " * 9, "times"),
    "an address": ("Tuncay'a yaz: tuncay@fener.com.tr", "an e-mail address"),
    "an endless answer": ("Ş" * 20_000, "cannot be a row"),
    "another language": (
        "You can lock your bicycle to the railing in the back garden, next to the door.",
        "cannot be a row",
    ),
}


@pytest.mark.parametrize(("better", "why"), REFUSED.values(), ids=REFUSED)
def test_what_a_filter_would_drop_later_is_refused_now(project, capsys, better, why):
    """A correction that was accepted and then dropped in silence would look learned."""
    assert accept(edit(project, ASKED, better)) == 1
    assert why in capsys.readouterr().err
    assert rows(project) == []


def test_the_sound_ones_of_a_batch_are_taken(project, capsys):
    """One that leaks keeps no other out; the exit code says that one was refused."""
    good = [edit(project), edit(project, "şemsiye ödünç veriyor musunuz", "Veriyoruz, kasanın altında üç tane var.")]
    assert accept(good[0], edit(project, CASE), good[1]) == 1
    assert [row["query"] for row in rows(project)] == [ASKED, "şemsiye ödünç veriyor musunuz"]
    assert "1 signal not accepted" in capsys.readouterr().err


def test_a_question_is_corrected_once(project, capsys):
    """Two people correct one answer in two ways: a person chooses."""
    first = edit(project)
    assert accept(first) == accept(first) == 0
    second = edit(project, ASKED, "Bisikleti sokakta bırakabilirsin bence.")
    assert accept(second) == 1
    assert f"corrects what {first[:9]} corrects already" in capsys.readouterr().err
    assert main(["feedback", "reject", first]) == 0
    assert accept(second) == 0
    assert [row["response"] for row in rows(project)] == ["Bisikleti sokakta bırakabilirsin bence."]


def test_rejecting_and_forgetting_take_back_what_was_accepted(project, capsys):
    """Neither leaves a row behind, and forgetting leaves no word; where words stand in earlier runs it says so."""
    rejected, forgotten = edit(project), edit(project, "gizli sorum şudur: param yok", "Gizli bir cevap da budur işte.")
    assert accept(rejected, forgotten) == 0
    (project / ".jessy" / "store" / "abc").mkdir(parents=True)
    (project / ".jessy" / "store" / "abc" / "rows.jsonl").write_text('{"query": "gizli sorum şudur: param yok"}\n')
    assert main(["feedback", "reject", rejected]) == main(["feedback", "forget", forgotten]) == 0
    shown = capsys.readouterr().out
    assert "1 file of earlier runs still hold words of it, .jessy/store/abc/rows.jsonl" in shown
    assert rows(project) == [] and collected(project) == SEEDS
    held = [path for path in project.rglob("*") if path.is_file() and "gizli" in path.read_text("utf-8")]
    assert held == [project / ".jessy" / "store" / "abc" / "rows.jsonl"]
    assert main(["feedback", "accept", "cafe.jessy", rejected]) == 0, "a rejection may be thought over"


def test_what_somebody_wrote_there_is_never_replaced(project, capsys):
    """The folder is written whole by jessy; a hand-made file or a changed line stops it, and nothing is lost."""
    first = edit(project)
    assert accept(first) == 0
    file = project / "data" / "feedback" / "cafe.jsonl"
    changed = file.read_text().replace("demire", "kazığa")
    file.write_text(changed)
    second = edit(project, "şemsiye ödünç veriyor musunuz", "Veriyoruz, kasanın altında üç tane var.")
    for words in (["accept", "cafe.jessy", second], ["reject", first], ["forget", first]):
        assert main(["feedback", *words]) == 1
    assert "move your own rows into data/seeds" in capsys.readouterr().err
    assert file.read_text() == changed
    assert [one.status for one in SignalStore(project).read().signals] == ["accepted", "open"]


def test_thumbs_and_second_answers_are_preferences(project, capsys):
    """kto takes both, dpo compares two; what contradicts an earlier judgement is refused."""
    turn = (Message("user", "yarın yağmur var mı"),)
    up = record(project, Signal("up", turn, "Şemsiyeni al bence.", "cafe"))
    down = record(project, Signal("down", turn, "Şemsiyeni al bence.", "cafe"))
    again = record(project, Signal("regenerate", turn, "Bilemem.", "cafe", chosen="Öğleden sonra biraz çiseler."))
    assert accept(up, again) == 0
    assert accept(down) == 1
    assert "says the opposite" in capsys.readouterr().err
    (project / "cafe.jessy").write_text(RECIPE.replace("kto", "dpo"))
    (project / "cafe.jessy").write_text(RECIPE.replace('kto "judged.jsonl"', "dpo"))
    assert accept(record(project, Signal("up", turn, "Açık hava var.", "cafe"))) == 1
    assert "is a thumb, and dpo compares two answers" in capsys.readouterr().err
    recipe = load_recipe(project / "cafe.jessy").recipe
    assert [one.chosen for one in load_set(recipe, recipe.prefer, project, (), nearly=True).rows] == [
        "Öğleden sonra biraz çiseler."
    ]


def test_a_recipe_that_takes_nothing_says_what_to_write(project, capsys):
    """Nothing is accepted into the void."""
    (project / "cafe.jessy").write_text(RECIPE.replace("  FEEDBACK  cafe\n", "").replace(" { feedback yes }", ""))
    assert accept(edit(project)) == 1
    assert "FEEDBACK mine" in capsys.readouterr().err
    assert accept(record(project, Signal("up", (Message("user", ASKED),), "Evet.", "cafe"))) == 1
    assert "feedback yes" in capsys.readouterr().err


def test_the_category_and_what_previous_measures_are_checked(project, capsys):
    """A mistyped category, or a metric of weights that are gone, is a mistake with its place."""
    (project / "cafe.jessy").write_text(
        RECIPE.replace("FEEDBACK  cafe", "FEEDBACK  caffe").replace("golden.relevance >=", "knows >=")
    )
    assert main(["check", "cafe.jessy"]) == 1
    shown = "".join(capsys.readouterr())
    assert "error[J054]" in shown and "a similar category exists: `cafe`" in shown and "error[J055]" in shown


def test_one_of_ten_thousand_is_accepted_within_a_second(project):
    """Accepting reads the whole store; the interpreter's and the libraries' start is not its business."""
    assert accept(edit(project, "ısınma turu için bir soru", "Bu da onun cevabı olsun bakalım.")) == 0
    store = SignalStore(project)
    line = {
        "version": 1,
        "time": "2026-01-01T00:00:00+00:00",
        **Signal("up", (Message("user", "selam " * 40),), "Merhaba. " * 20, "cafe").to_json(),
    }
    with store.file.open("a") as handle:
        handle.writelines(json.dumps({**line, "id": f"f{n:016x}"}) + "\n" for n in range(10_000))
    id_ = edit(project)
    began = time.process_time()
    assert accept(id_) == 0
    assert time.process_time() - began < 1
