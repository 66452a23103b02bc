"""Each filter drops what it is for, counts it, gives the place and the reason, and lets good Turkish through."""

from __future__ import annotations

import pytest

from jessyfile.dataset.dataset_inputs import category_files
from jessyfile.dataset.example import DEFAULT_BANDS, Turn
from jessyfile.dataset.filters import MAX_EXAMPLES, Tally, apply_checks, row_checks
from jessyfile.dataset.language import keep_declared
from jessyfile.dataset.rows import load_rows
from jessyfile.errors import DatasetError
from jessyfile.language import load_recipe
from jessyfile.language.recipe import Complexity, Level
from jessyfile.text.answer_language import everyday_words

COMPLEXITY = Complexity(
    tuple(Level(name, band, None) for name, band in DEFAULT_BANDS.items()), "[{level} {iterations}]"
)
CHECKS = row_checks(COMPLEXITY)

REFUSED = [
    ("schema", {"response": "Kısa."}),
    ("schema", {"query": "   "}),
    ("schema", {"turns": (Turn("user", "a"),)}),
    ("schema", {"turns": (Turn("assistant", "a", "low", 1), Turn("user", "b"))}),
    ("level", {"iterations_needed": 3}),
    ("level", {"complexity": "high", "iterations_needed": 2}),
    ("level", {"complexity": "hard"}),
    ("level", {"turns": (Turn("user", "a"), Turn("assistant", "b", "low", 7))}),
    ("length", {"response": "Çok uzun bir cevap. " * 30}),
    ("length", {"query": "a " * 3000}),
    ("marker", {"response": "[low 1] Selam sana da."}),
    ("marker", {"response": "Selam sana da. [HIGH 8]"}),
    ("marker", {"query": "<start_of_turn>user naber"}),
    ("marker", {"response": "Selam <|im_end|> sana da."}),
    ("repetition", {"response": "bir iki üç bir iki üç bir iki üç dört"}),
    ("repetition", {"response": "Ben bunu çok seviyorum. Ama ben bunu çok seviyorum. Ben bunu çok seviyorum."}),
    ("repetition", {"response": "Hadi canımmmmmmmmmmmmm benim."}),
    ("personal", {"response": "Bana ayse.yilmaz@posta.com.tr adresinden yaz."}),
    ("personal", {"query": "numaram 0532 123 45 67 ara beni"}),
    ("personal", {"query": "+905321234567"}),
    ("personal", {"query": "ibanım TR33 0006 1005 1978 6457 8413 26"}),
    ("personal", {"query": "tc no 10000000146 bu"}),
    ("personal", {"query": "kartım 4111 1111 1111 1111"}),
]


@pytest.mark.parametrize(("name", "change"), REFUSED)
def test_a_filter_refuses_and_says_why(row, name, change):
    tally = Tally()
    assert apply_checks([row(**change)], CHECKS, tally) == []
    assert dict(tally.counts) == {name: 1}
    assert tally.examples[name][0].startswith("rows.jsonl:1: ")


PASSED = [
    {"query": "Çay içelim mi"},
    {"query": "Şu an ne yapıyorsun"},
    {"query": "Öğlen ne yesek"},
    {"query": "Üşüdüm ya"},
    {"query": "İyi misin"},
    {"query": "çoook güzeeel"},
    {"response": "Telefonunu 3 kere çaldırt, 0312 yazan sabit hat onlar."},
    {"response": "`127.0.0.1:8080` adresine bak, 192.168.1.1 modemin."},
    {"response": "ada@example.com gibi bir adres yaz, gerçek olmasın."},
    {"response": "Dal sarkar kartal kalkar, kartal kalkar dal sarkar."},
    {"query": "12345678901 diye bir sayı var mı"},
    {"response": "Kod numarası 1234 5678 9012 3456 gibi durur."},
    {"turns": (Turn("user", "a"), Turn("assistant", "b", "low", 1))},
    {"response": None, "category": "markers"},
]


@pytest.mark.parametrize("change", PASSED)
def test_good_rows_pass(row, change):
    tally = Tally()
    assert len(apply_checks([row(**change)], CHECKS, tally)) == 1, tally.examples


def test_examples_are_few_and_counts_complete(row):
    tally = Tally()
    apply_checks([row(iterations_needed=5, place=f"r.jsonl:{i}") for i in range(50)], CHECKS, tally)
    assert tally.counts["level"] == 50
    assert len(tally.examples["level"]) == MAX_EXAMPLES


def test_no_shipped_seed_is_dropped_by_any_filter(root):
    """A filter that eats hand-written Turkish would leave a topic short; the corpus is its own false-positive test."""
    files = [(path, path.name) for path in sorted((root / "data" / "seeds").glob("*/*.jsonl"))]
    rows, faults = load_rows(files)
    tally = Tally()
    kept = keep_declared(apply_checks(rows, CHECKS, tally), tally)
    assert (faults, tally.facts()) == ([], {})
    assert len(kept) == len(rows) > 400


FOREIGN = [
    ("tr", "That is a good question, let me think about it for a while."),
    ("tr", "Das ist eine gute Frage, ich denke noch darüber nach."),
    ("tr", "Bu gün hava çox gözəldir, mən də səninlə gedirəm."),
    ("tr", "C'est une bonne question, laisse-moi réfléchir un peu."),
    ("tr", "No lo sé, pero creo que sí, mañana lo vemos juntos."),
    ("tr", "I think so too"),
    ("en", "Bence de öyle, ama yarın bir daha bakalım istersen."),
    ("en", "Olur, yarın bak."),
    ("mixed", "Ik weet het niet zeker, maar ik denk van wel, tot morgen."),
]


@pytest.mark.parametrize(("declared", "response"), FOREIGN)
def test_an_answer_in_another_language_than_declared_is_dropped(row, declared, response):
    tally = Tally()
    assert keep_declared([row(response=response, language=declared)], tally) == []
    assert f"declared `{declared}`" in tally.examples["language"][0]


@pytest.mark.parametrize(
    ("declared", "response"),
    [
        ("tr", "iyiyim sen nasilsin bugun neler yaptin"),
        ("tr", "Olur."),
        ("tr", "Hangisi?"),
        ("mixed", "Mutex'i clone'layıp thread'e move et, sonra join ile bekle."),
        ("mixed", "Run `cargo build --timings` first and look at the slowest crate."),
        ("en", "Sure, go on."),
        ("tr", '```rust\nfn main() { println!("hello world and good morning"); }\n```\nBunu dene.'),
    ],
)
def test_an_answer_in_the_declared_language_stays(row, declared, response):
    tally = Tally()
    assert len(keep_declared([row(response=response, language=declared)], tally)) == 1, tally.examples


@pytest.mark.parametrize(
    ("declared", "response", "kept"),
    [
        ("de", "Yes, of course", False),
        ("de", "Ich weiß nicht", True),
        ("de", "Nein", True),
        ("en", "Ich weiß nicht", False),
        ("en", "Sure, go on.", True),
        ("tr", "Ja, ich nicht", False),
        ("tr", "Olur.", True),
        ("fr", "Ich weiß nicht", True),  # of French there is no list
    ],
)
def test_a_language_whose_words_a_project_lists_is_told_in_short_answers(row, tmp_path, declared, response, kept):
    """Only lists inside jessy's own folder were read: a user's German rows took English answers when they were short."""
    lexicon = tmp_path / "data" / "lexicon"
    lexicon.mkdir(parents=True)
    (lexicon / "words_de.tsv").write_text("wort\nich\nnicht\nnein\nja\nweiß\n", "utf-8")
    rows = [row(response=response, language=declared)]
    assert len(keep_declared(rows, Tally(), everyday_words(tmp_path))) == kept


def test_a_list_that_is_no_table_is_refused_with_its_name(tmp_path):
    lexicon = tmp_path / "data" / "lexicon"
    lexicon.mkdir(parents=True)
    (lexicon / "words_de.tsv").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"words_de\.tsv is empty"):
        everyday_words(tmp_path)


def test_a_list_of_the_project_is_among_the_files_of_a_step(tmp_path):
    lexicon = tmp_path / "data" / "lexicon"
    lexicon.mkdir(parents=True)
    (lexicon / "words_de.tsv").write_text("word\nich\n", "utf-8")
    (lexicon / "words_en.tsv").write_text("word\nthe\n", "utf-8")
    (tmp_path / "r.jessy").write_text(
        "JESSY 1\nNAME r\nFROM gemma3:270m\nDATASET {\n  CATEGORY talk 3\n}\nEVAL {\n  MUST no_loops > 9%\n}\n"
    )
    recipe = load_recipe(tmp_path / "r.jessy", root=tmp_path).recipe
    files = category_files("talk")(recipe, tmp_path)
    assert {path.name: path.parent == lexicon for path in files if path.stem.startswith("words_")} == {
        "words_tr.tsv": False,
        "words_en.tsv": True,
        "words_de.tsv": True,
    }
