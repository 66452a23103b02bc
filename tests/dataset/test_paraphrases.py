"""Rows with several wordings of one question: each is read, judged and kept as strictly as the query, and no two rows share one."""

from __future__ import annotations

import json

import pytest

from jessyfile.cli import main
from jessyfile.dataset.card import card_json, describe, make_card
from jessyfile.dataset.example import Turn
from jessyfile.dataset.filters import Tally
from jessyfile.dataset.formats import read_examples, save_rows
from jessyfile.dataset.formatted import formatted, read_formatted, write_formatted
from jessyfile.dataset.leaks import find_leaks, load_cases
from jessyfile.dataset.rows import schema_faults, to_json
from jessyfile.dataset.split import Split, paraphrase_groups
from jessyfile.dataset.variants import rewrite_shares, variants
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Augment
from tests.dataset.conftest import make_recipe, make_row

OTHERS = ("canım hiçbir şey yapmak istemiyor", "evde duvarlara bakıyorum")


def bored(*paraphrases, **fields):
    return make_row("çok sıkıldım ya", "Gel iki lafın belini kıralım.", paraphrases=paraphrases, **fields)


def test_what_a_row_is_does_not_hang_on_its_other_wordings():
    """One more wording must change neither which rows are chosen nor what is held out, nor the bytes of rows without any."""
    assert bored(*OTHERS).id == bored().id
    assert bored(*OTHERS).text == bored().text
    assert "paraphrases" not in to_json(bored().example)
    assert to_json(bored(*OTHERS).example)["paraphrases"] == list(OTHERS)


@pytest.mark.parametrize("form", ["jessy", "sharegpt", "messages"])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_every_form_gives_the_wordings_back(tmp_path, form, suffix):
    rows = [bored(*OTHERS), bored()]
    path = tmp_path / f"rows{suffix}"
    save_rows(path, [row.example for row in rows], form)
    back, faults = read_examples(path)
    assert not faults
    assert [row.example for row in back] == [row.example for row in rows]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("naber", "`paraphrases` is not array"),
        ([], "`paraphrases` is empty"),
        (["bir", "bir"], "holds an item twice"),
        ([""], "`paraphrases.0` has 0 characters"),
        ([5], "`paraphrases.0` is not string"),
        ([f"{n} kere" for n in range(9)], "has more than 8 items"),
        (["a" * 2001], "has more than 2000 characters"),
    ],
)
def test_the_schema_says_what_is_no_list_of_wordings(value, says):
    assert any(says in fault for fault in schema_faults(to_json(bored().example) | {"paraphrases": value}))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (bored("ÇOK SIKILDIM YA!!"), "is the query or another wording over again"),
        (bored("canim sikkin", "Canım sıkkın."), "is the query or another wording over again"),
        (bored("  "), "a paraphrase is empty"),
        (bored(7), "the wording `7` is no text"),
        (bored("bir\x00iki"), "U+0000"),
        (bored("a" * 2001), "has more than 2000 characters"),
        (bored(*(f"{n} kere" for n in range(9))), "9 paraphrases, at most 8"),
        (bored("naber", turns=(Turn("user", "a"), Turn("assistant", "b", "low", 1))), "one question and its answer"),
        (
            make_row("zor soru", None, category="markers", topic="low", paraphrases=("çok zor",)),
            "one question and its answer",
        ),
    ],
)  # fmt: skip
def test_a_wording_that_is_none_is_a_fault_of_its_row(row, says):
    assert any(says in fault for fault in row.example.faults()), row.example.faults()
    assert not bored(*OTHERS, "🥱").example.faults()


def test_lint_names_row_and_wording(project, capsys):
    rows = [
        bored("ÇOK SIKILDIM YA"),
        make_row("naber kanka", "İyilik kanka, senden?", paraphrases=("cok sıkıldım YA",)),
        make_row("ne haber", "İyilik, sağlık işte.", paraphrases=("nasıl gidiyor [low 1]",)),
        make_row("keyifler nasıl", "Tıkırında, seninki?", paraphrases=("beni 0532 123 45 67 numaradan ara",)),
        make_row("iyi misin", "Turp gibiyim valla.", paraphrases=("are you doing well these days",)),
        make_row("ne var ne yok", "Ne olsun, aynı tas.", paraphrases=("AKSAMA makarna mi yapsam pilav mi",)),
        make_row("akşam ne yesek", "Çorba iyi gider bence.", paraphrases=("akşama u\u0308zu\u0308m mü yesek",)),
    ]
    path = project("data/seeds/turkish/casual.jsonl", *(to_json(row.example) for row in rows))
    project("data/eval/turkish.jsonl", {"prompt": "Akşama makarna mı yapsam pilav mı?"})
    (project.root / ".git").mkdir()
    assert main(["data", "lint", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    for number, reason in (
        (1, "the wording `ÇOK SIKILDIM YA` is the query"),
        (2, f"the wording `cok sıkıldım YA` is asked by {path}:1 too"),
        (3, "the wording `nasıl gidiyor [low 1]` holds `[low 1]`"),
        (4, "the wording `beni 0532 123 45 67 numaradan ara` holds a phone number"),
        (5, "the wording `are you doing well these days` reads like English, declared `tr`"),
        (6, "in its wording `AKSAMA makarna mi yapsam pilav mi` asks the same as"),
        (7, "NFC"),
    ):
        assert any(line.startswith(f"{path}:{number}: ") and reason in line for line in lines), (number, lines)


def test_rows_that_share_no_wording_have_no_faults(project, capsys):
    """A follow-up in a conversation may well say what opens another."""
    turns = [{"role": "user", "content": "selam"}, {"role": "assistant", "content": "Selam canım!", "complexity": "low", "iterations": 1}]  # fmt: skip
    talk = to_json(make_row("evde duvarlara bakıyorum", "Kalk, yürüyelim biraz.").example) | {"turns": turns}
    path = project("rows.jsonl", to_json(bored(*OTHERS, "ok").example), talk)
    assert main(["data", "lint", str(path)]) == 0
    assert "no faults" in capsys.readouterr().out


def cases(project, prompt):
    return load_cases([(project("data/eval/turkish.jsonl", {"id": "t-1", "prompt": prompt}), "eval.jsonl")])


@pytest.mark.parametrize(
    ("wording", "bound"),
    [
        ("AKSAMA makarna mi yapsam pilav mi", None),
        ("akşama makarna mı yapsam pilav mıı", 0.85),
        ("dün sordum yine sorayım dedim akşama makarna mı yapsam pilav mı yapsam bilemedim", None),
    ],
)
def test_a_case_in_any_wording_is_a_leak(project, wording, bound):
    """RETRIEVE finds a row by each of its wordings: a case among them would be answered from memory."""
    asked = "yine sorayım dedim akşama makarna mı yapsam pilav mı" if "dün" in wording else "akşama makarna mı yapsam pilav mı"  # fmt: skip
    (leak,) = find_leaks([bored("bambaşka bir şey", wording)], cases(project, asked), bound)
    assert leak.how.startswith(f"in its wording `{wording[:60]}` ")


def test_an_apply_stops_at_a_case_in_a_wording(project, category, steps):
    project("data/seeds/turkish/casual.jsonl", to_json(bored("makarna mı pilav mı").example))
    suite = project("data/eval/turkish.jsonl", {"id": "t-1", "prompt": "Makarna mı, pilav mı?"})
    recipe = make_recipe(project.root, category("turkish", "tr", "low", casual=1), suites=(str(suite),))
    with pytest.raises(DatasetError, match=r"casual\.jsonl:1 in its wording `makarna mı pilav mı` asks the same"):
        steps(recipe, project.root)


def test_rows_that_say_the_same_in_any_wording_stay_on_one_side():
    """The paraphrase of a row held out would stand in the index that its question is asked against."""
    far = make_row("canim hicbir sey yapmak istemiyor", "Ben de öyleyim bugün.")
    other = make_row("kahve mi çay mı", "Çay, tartışmasız çay.")
    assert len(set(paraphrase_groups([bored(), far, other]))) == 3
    one, two, three = paraphrase_groups([bored(*OTHERS), far, other])
    assert one == two != three


def test_a_row_rewritten_in_place_keeps_its_wordings_and_a_copy_has_none():
    row, augment = bored(*OTHERS), Augment(asciify=1.0)
    (there,) = rewrite_shares([row], augment, 42, "turkish/casual", 0.85)
    assert (there.example.query, there.example.paraphrases) == ("cok sikildim ya", OTHERS)
    (copy,) = variants([row], augment, 1, 42, "turkish/casual")
    assert (copy.example.query, copy.example.paraphrases) == ("cok sikildim ya", ())


def test_rows_for_training_say_nothing_of_wordings_that_are_not_there(tmp_path):
    rows = [formatted(bored(*OTHERS), None), formatted(bored(), None)]
    write_formatted(tmp_path / "train.jsonl", rows)
    first, second = map(json.loads, (tmp_path / "train.jsonl").read_text("utf-8").splitlines())
    assert first["paraphrases"] == list(OTHERS)
    assert "paraphrases" not in second
    assert read_formatted(tmp_path / "train.jsonl") == rows


def test_card_stats_and_show_tell_of_wordings(project, capsys):
    assert describe([bored(*OTHERS), make_row()]).paraphrases == 2
    recipe = make_recipe(project.root)
    worded, plain = (
        card_json(make_card(recipe, Split([row], []), Split([], []), 0, [], Tally()))
        for row in (bored(*OTHERS), bored())
    )
    assert json.loads(worded)["figures"]["paraphrases"] == 2
    assert "paraphrases" not in plain
    path = str(project("rows.jsonl", to_json(bored(*OTHERS).example), to_json(make_row().example)))
    assert main(["data", "stats", path]) == 0
    assert "paraphrases                      2\n" in capsys.readouterr().out
    assert main(["data", "show", path]) == 0
    assert f"  you: çok sıkıldım ya\n   or: {OTHERS[0]}\n   or: {OTHERS[1]}\n" in capsys.readouterr().out


@pytest.mark.parametrize("wordings", [("x" * 2001 + "q", "x" * 50), ("x" * 60 + "\0", "x" * 60), (5, "5")])
def test_wordings_that_begin_alike_do_not_hide_each_other(wordings):
    """They were kept by their first forty characters, so that only the last of them was looked at."""
    assert bored(*wordings).example.faults()
