"""`jessy data` makes, checks, shows and counts rows, and ends a mistake in one sentence with exit code 1."""

from __future__ import annotations

import json

import pytest

from jessyfile.cli import main

RECIPE = """JESSY 1

NAME  small
FROM  gemma3:270m

DATASET {
  CATEGORY turkish 75 "Turkish" {
    language tr
    level    low
    TOPIC slang   25
    TOPIC casual  50
  }
}
"""


@pytest.fixture
def recipe_file(project):
    path = project.root / "small.jessy"
    path.write_text(RECIPE, "utf-8")
    (project.root / ".jessy").mkdir()
    return path


def test_a_recipe_makes_rows_and_prints_the_card(recipe_file, capsys):
    assert main(["data", str(recipe_file)]) == 0
    out = capsys.readouterr().out
    assert "turkish/slang" in out
    folder = recipe_file.parent / ".jessy" / "data" / "small"
    assert {path.name for path in folder.iterdir()} == {"train.jsonl", "valid.jsonl", "card.json", "card.html"}
    assert json.loads((folder / "card.json").read_text("utf-8"))["rows"] == 75


def test_a_shortage_is_one_sentence_with_ways_out(recipe_file, capsys):
    recipe_file.write_text(RECIPE.replace("slang   25", "slang   26").replace("turkish 75", "turkish 76"), "utf-8")
    assert main(["data", str(recipe_file)]) == 1
    err = capsys.readouterr().err
    assert "error[E500]: `turkish/slang` asks for 26 rows and 25 were found" in err
    assert "= help: write 1 more rows into data/seeds/turkish/slang.jsonl; or " in err
    assert not (recipe_file.parent / ".jessy" / "data" / "small").exists()


def test_lint_passes_the_shipped_seeds(root, capsys):
    assert main(["data", "lint", str(root / "data" / "seeds")]) == 0
    assert "no faults" in capsys.readouterr().out


def test_lint_lists_every_fault_with_file_and_line(project, seed, capsys):
    good = seed("naber nasılsın", "İyiyim, sen nasılsın bakalım?")
    path = project(
        "data/seeds/turkish/casual.jsonl",
        good,
        {"query": 1},
        seed("NABER NASILSIN?", "iyiyim sen nasılsın bakalım"),
        seed("which language", "This answer is in English, not in Turkish."),
        seed("konu başka", "Bu satır başka konudan.", topic="slang"),
        seed("çok", "Ayrışık yazılmış bir cevap: u\u0308zu\u0308m."),
        seed("akşama makarna mı pilav mı", "Makarna derim, çabuk oluyor."),
    )
    project("data/eval/turkish.jsonl", {"prompt": "Akşama makarna mı pilav mı?"})
    (project.root / ".git").mkdir()
    assert main(["data", "lint", str(path)]) == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    for number, reason in (
        (2, "lacks"),
        (3, "says the same as"),
        (4, "reads like English"),
        (5, "the topic is `slang`"),
        (6, "NFC"),
        (7, "asks the same as"),
    ):
        assert any(line.startswith(f"{path}:{number}: ") and reason in line for line in lines), (number, lines)
    assert "faults in 6 rows" in captured.err


def test_lint_finds_a_worn_opening(project, seed, capsys):
    rows = [seed(f"{w} ne", f"Bak şimdi, {w} başka şeydir.") for w in ("masa", "kalem", "perde", "defter", "bardak")]
    path = project("data/seeds/turkish/casual.jsonl", *rows)
    assert main(["data", "lint", str(path)]) == 1
    assert "5 of 5 answers begin with `bak şimdi`" in capsys.readouterr().out


def test_show_filters_and_makes_control_characters_visible(project, seed, capsys):
    rows = [
        seed("naber", "İyilik, senden ne haber?", topic="slang", tags=["persona"]),
        seed("su", "Renk \u001b[31mkırmızı\u202e olsun."),
    ]
    path = project("rows.jsonl", *rows)
    assert main(["data", "show", str(path), "--topic", "slang", "--tag", "persona"]) == 0
    assert "1 of 1 rows" in capsys.readouterr().out
    assert main(["data", "show", str(path), "--topic", "casual"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\u001b[31mkırmızı\\u202e" in out


def test_show_of_a_topic_that_is_not_there_says_so(project, seed, capsys):
    path = project("rows.jsonl", seed("naber", "İyilik, senden ne haber?"))
    assert main(["data", "show", str(path), "--topic", "nothing"]) == 1
    assert "no row fits" in capsys.readouterr().err


def test_stats_counts(root, capsys):
    assert main(["data", "stats", str(root / "data" / "seeds" / "turkish"), "--topic", "slang"]) == 0
    assert "turkish/slang   25   25" in capsys.readouterr().out


def test_a_missing_path_is_one_sentence(tmp_path, capsys):
    assert main(["data", "lint", str(tmp_path / "nothing")]) == 1
    assert "is not there" in capsys.readouterr().err
    assert main(["data", "stats", str(tmp_path / "nothing.jsonl")]) == 1
    assert "error[E300]" in capsys.readouterr().err
