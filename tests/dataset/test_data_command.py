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
    assert "error[E500]: 7 faults in 6 of 7 lines" in captured.err


FOREIGN = {
    "Alpaca": {"instruction": "Çayı nasıl demlerim?", "input": "", "output": "Suyu kaynat, sonra bekle."},
    "ShareGPT": {"conversations": [{"from": "human", "value": "naber"}, {"from": "gpt", "value": "İyiyim, sen?"}]},
    "messages": {"messages": [{"role": "user", "content": "naber"}, {"role": "assistant", "content": "İyiyim, sen?"}]},
    "prompt and completion": {"prompt": "naber", "completion": "İyiyim, sen nasılsın?"},
    "question and answer": {"question": "naber", "answer": "İyiyim, sen nasılsın?"},
    "plain text": {"text": "naber"},
}


@pytest.mark.parametrize("form", FOREIGN)
def test_a_row_in_another_tools_form_is_one_fault_that_names_the_form(project, capsys, form):
    """Each missing field was said four times over, and the form of the row never."""
    path = project("rows.jsonl", FOREIGN[form], FOREIGN[form])
    assert main(["data", "lint", str(path)]) == 1
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first.startswith(f"{path}:1: is in the {form} form: ")
    assert first.endswith("it lacks `complexity`, `iterations`, `category`, `topic`, `language`, `source`")
    assert second.startswith(f"{path}:2: ")
    assert "2 faults in 2 of 2 lines" in captured.err
    assert (f"jessy init FOLDER --from {path}` begins" in captured.err) == (form != "plain text")


def test_a_preference_among_rows_is_told_where_it_belongs(project, seed, capsys):
    pair = {"messages": [{"role": "user", "content": "naber"}], "chosen": "İyiyim, sen?", "rejected": "Bilmem."}
    path = project("rows.jsonl", seed("hava nasıl", "Bugün biraz serin ama güzel."), pair)
    assert main(["data", "lint", str(path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}:2: is in the preference form: PREFER names files of these")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("form", ["Alpaca", "ShareGPT", "messages"])
def test_a_json_array_is_said_once(project, capsys, form, indent):
    """A pretty-printed array gave one fault a line, each about a column."""
    path = project.root / "rows.json"
    path.write_text(json.dumps([FOREIGN[form], FOREIGN[form]], indent=indent, ensure_ascii=False) + "\n", "utf-8")
    assert main(["data", "lint", str(path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}:1: is one JSON array of rows in the {form} form; jessy takes one object a line")


def test_an_object_over_several_lines_is_said_once(project, seed, capsys):
    path = project.root / "row.jsonl"
    path.write_text(json.dumps(seed("naber", "İyiyim, sen nasılsın?"), indent=2) + "\n", "utf-8")
    assert main(["data", "lint", str(path)]) == 1
    assert "is one JSON object over several lines" in capsys.readouterr().out


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n"])
def test_line_ends_of_every_system_are_read_or_named(project, seed, capsys, ends):
    path = project.root / "casual.jsonl"
    rows = [seed("naber", "İyiyim, sen nasılsın?"), seed("hava nasıl", "Bugün biraz serin ama güzel.")]
    path.write_bytes("".join(json.dumps(row) + ends for row in rows).encode())
    assert main(["data", "lint", str(path)]) == (1 if ends == "\r" else 0)
    assert ("carriage return" if ends == "\r" else "2 rows, no faults") in capsys.readouterr().out


@pytest.mark.parametrize("command", ["lint", "show", "stats"])
def test_a_folder_without_rows_is_no_success(project, capsys, command):
    """`0 rows, no faults` and exit code 0 told a build server that the .txt files were checked."""
    folder = project.root / "mine"
    folder.mkdir()
    (folder / "a.txt").write_text("naber\n", "utf-8")
    assert main(["data", command, str(folder)]) == 1
    assert f"there is no .jsonl file below `{folder}`; 1 file of another kind is not read" in capsys.readouterr().err
    assert main(["data", command, str(folder / "a.txt")]) == 1
    assert "is a .txt file; rows are JSON lines" in capsys.readouterr().err
    (folder / "a.jsonl").write_text("\n\n", "utf-8")
    assert main(["data", command, str(folder)]) == 1


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("rows.jsonl", b"\x1f\x8b\x08\x00", "is compressed with gzip"),
        ("rows.parquet", b"PAR1\x15\x04PAR1", "is a Parquet file"),
        ("rows.jsonl", b"PK\x03\x04\x14", "is a ZIP archive"),
    ],
)
def test_a_file_that_is_no_text_is_told_by_what_it_is(tmp_path, capsys, name, data, says):
    """It was `not UTF-8 at byte 2`, or `not JSON at column 1`, on a line that nobody wrote."""
    (tmp_path / name).write_bytes(data)
    assert main(["data", "lint", str(tmp_path / name)]) == 1
    assert f"{name}:1: {says}; jessy takes one JSON object a line" in capsys.readouterr().out


def test_rows_in_a_file_with_another_case_of_its_ending_are_to_be_renamed(tmp_path, capsys):
    """No step reads `.JSONL` below the seeds; the help told to write rows that were there."""
    (tmp_path / "rows.JSONL").write_text("{}\n")
    assert main(["data", "lint", str(tmp_path / "rows.JSONL")]) == 1
    assert f"rename it: steps read `{tmp_path / 'rows.jsonl'}`" in capsys.readouterr().err


def test_lint_of_the_data_folder_holds_suites_against_their_own_schema(project, seed, capsys):
    """Every sound case was called a row without query and answer."""
    case = {"id": "mine-001", "suite": "mine", "prompt": "renk sever misin", "level": "low", "language": "tr"}
    project("data/seeds/turkish/casual.jsonl", seed("naber", "İyiyim, sen nasılsın?"))
    project("data/eval/mine.jsonl", case)
    project(".jessy/work/kept.jsonl", {"text": "no row"})
    assert main(["data", "lint", str(project.root)]) == 0
    elsewhere = project("data/more/cases.jsonl", case | {"id": "mine-002", "level": 5})
    assert main(["data", "lint", str(project.root / "data" / "eval")]) == 0
    assert main(["data", "lint", str(project.root / "data")]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2:] == [
        line for line in captured.out.splitlines() if f"{elsewhere}:1: level" in line
    ]
    assert "1 fault in 1 of 3 lines" in captured.err


def test_lint_leaves_reference_answers_to_those_who_read_them(project, seed, capsys):
    """`jessy data lint data` called 478 of them rows without a query."""
    project("data/seeds/turkish/casual.jsonl", seed("naber", "İyiyim, sen nasılsın?"))
    named = project("data/eval/references/mine.jsonl", {"case": "mine-001", "good": ["Severim."], "bad": {}})
    assert main(["data", "lint", str(project.root)]) == 0
    assert main(["data", "lint", str(named)]) == 1
    assert "they belong into data/eval/references/<suite>.jsonl" in capsys.readouterr().out


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


def test_rows_of_a_recipe_that_retrieves_come_behind_their_neighbours_and_are_shown_whole(recipe_file, capsys):
    """`jessy data show` read hand-written rows alone: what `jessy data` itself had written was six faults a row."""
    recipe_file.write_text(RECIPE + "RETRIEVE {\n  examples 3 from seeds\n}\n", "utf-8")
    assert main(["data", str(recipe_file)]) == 0
    card = capsys.readouterr().out
    assert "before a row" in card
    assert "questions retyped" in card
    folder = recipe_file.parent / ".jessy" / "data" / "small"
    assert {path.name for path in folder.iterdir()} == {"train.jsonl", "valid.jsonl", "card.json", "card.html"}
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]
    assert main(["data", "show", str(folder / "train.jsonl"), "-n", str(len(rows))]) == 0
    shown = capsys.readouterr().out.split("\n\n")
    assert len(shown) == len(rows) + 1
    for row, text in zip(rows, shown, strict=False):
        assert text.startswith(row["id"])
        assert all(" ".join(said["content"].split()) in " ".join(text.split()) for said in row["messages"])
        assert text.count("(not learned)") == len(row.get("neighbours", ())) == text.count("  neighbour ")
    assert main(["data", "show", str(folder / "train.jsonl"), "--topic", "slang", "-n", "1"]) == 0
    capsys.readouterr()
    assert main(["data", "stats", str(folder / "train.jsonl")]) == 1
    assert "card.html" in capsys.readouterr().err
