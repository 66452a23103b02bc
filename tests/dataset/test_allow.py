"""A recipe may switch off a filter that its own rows meet on purpose, and is told of rows that it does not ask for."""

from __future__ import annotations

import pytest

from jessyfile.cli import main

RECIPE = """JESSY 1

NAME  shop
FROM  gemma3:270m-pt

DATASET {
  allow personal
  CATEGORY shop 3
}
"""
ROWS = [
    ("nasıl ulaşırım", "Bize merhaba@mavifener.com adresinden yaz."),
    ("saat kaçta açıksınız", "Her sabah dokuzda açarız."),
    ("yurt dışına gönderir misiniz", "Avrupa'nın her yerine göndeririz."),
]


@pytest.fixture
def shop(project, seed):
    project("data/seeds/shop/shop.jsonl", *(seed(*row, topic="shop", category="shop") for row in ROWS))
    path = project.root / "shop.jessy"
    path.write_text(RECIPE, "utf-8")
    (project.root / ".jessy").mkdir(exist_ok=True)
    return path


def learned(path):
    folder = path.parent / ".jessy" / "data" / "shop"
    return "".join(file.read_text("utf-8") for file in sorted(folder.glob("*.jsonl")))


def test_an_address_in_an_answer_is_learned_where_the_recipe_allows_it(shop):
    assert main(["data", str(shop)]) == 0
    assert "merhaba@mavifener.com" in learned(shop)


def test_without_it_the_error_says_what_was_dropped_and_how_it_is_kept(shop, capsys):
    shop.write_text(RECIPE.replace("  allow personal\n", ""), "utf-8")
    assert main(["data", str(shop)]) == 1
    said = capsys.readouterr().err
    assert "1 dropped (personal): data/seeds/shop/shop.jsonl:1: the text holds an e-mail address" in said
    assert "`allow personal` in DATASET takes them" in said


def test_a_filter_that_guards_the_training_cannot_be_named(shop, capsys):
    shop.write_text(RECIPE.replace("allow personal", "allow marker"), "utf-8")
    assert main(["check", str(shop)]) == 1
    assert "personal" in capsys.readouterr().err


def test_a_row_that_is_not_asked_for_is_said_with_its_place(shop, capsys):
    shop.write_text(RECIPE.replace("shop 3", "shop 2"), "utf-8")
    assert main(["check", str(shop)]) == 0
    said = capsys.readouterr()
    assert "note: shop.jessy:8: `shop` has 3 rows and 2 are asked for: 1 is left out, drawn by lot" in said.err
    assert "ask for 3 to use them all" in said.err
    shop.write_text(RECIPE, "utf-8")
    assert main(["check", str(shop)]) == 0
    assert "left out" not in capsys.readouterr().err


def test_of_rows_that_come_with_jessy_a_part_may_be_asked_for_without_a_word(shop, capsys):
    shop.write_text(
        RECIPE.replace("CATEGORY shop 3", "CATEGORY turkish 5 { TOPIC slang 5 }").replace("  allow personal\n", ""),
        "utf-8",
    )
    main(["check", str(shop)])
    assert "left out" not in capsys.readouterr().err


def test_own_rows_are_taken_with_what_a_filter_refuses(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = [f"wo steht das Buch Nummer {n}?;Im Regal {n} neben der Tür, Fach {n * 7}." for n in range(12)]
    table.append("wie erreiche ich euch?;Schreibt an hallo@buecherei.de, wir antworten am selben Tag.")
    (tmp_path / "faq.csv").write_text("\n".join(["Frage;Antwort", *table]), "utf-8")
    assert main(["init", "without", "--from", "faq.csv", "--yes"]) == 0
    assert "1 left out by the filter `personal`, which `--allow personal` switches off" in capsys.readouterr().out
    assert main(["init", "with", "--from", "faq.csv", "--yes", "--allow", "personal"]) == 0
    written = "".join(path.read_text("utf-8") for path in (tmp_path / "with" / "data").rglob("*.jsonl"))
    assert "hallo@buecherei.de" in written
    assert "allow       personal" in (tmp_path / "with" / "with.jessy").read_text("utf-8")
    assert main(["check", "with/with.jessy"]) == 0


def test_lint_can_be_told_the_same(shop, capsys):
    seeds = str(shop.parent / "data" / "seeds")
    assert main(["data", "lint", seeds]) == 1
    assert "shop.jsonl:1: the text holds an e-mail address" in capsys.readouterr().out
    assert main(["data", "lint", seeds, "--allow", "personal"]) == 0
