"""`jessy check`, `fmt`, `show`, `explain` and `schema` from the command line: what they print and how they exit."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from jessyfile.cli import main
from jessyfile.language import load_text
from jessyfile.language.codes import CODES, known_codes

HOUSE = Path(__file__).parents[2]
GOOD = "JESSY 1\nNAME test\nFROM gemma3:270m\n\nDATASET {\n  CATEGORY turkish 20 {\n    TOPIC greetings 20\n  }\n}\n\nEVAL {\n  MUST no_loops > 95%\n}\n"


@pytest.fixture
def jessy(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str):
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    (tmp_path / "recipe.jessy").write_text(GOOD, "utf-8")
    return run


def test_check_of_a_good_recipe(jessy):
    assert jessy("check", "recipe.jessy") == (0, "recipe.jessy: no mistakes\n", "")


def test_check_counts_and_exits(jessy, tmp_path, snapshot):
    (tmp_path / "recipe.jessy").write_text(GOOD + "LORA {\n  rnak 8\n}\nTRAIN {\n  warmup_steps 900\n}\n", "utf-8")
    code, out, err = jessy("check", "recipe.jessy")
    assert code == 1
    assert out + err == snapshot


def test_check_strict_takes_warnings_for_errors(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_text(GOOD + "TRAIN {\n  warmup_steps 900\n}\n", "utf-8")
    assert jessy("check", "recipe.jessy")[0] == 0
    assert jessy("check", "recipe.jessy", "--strict")[0] == 1


def test_check_takes_args_sets_and_variants(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_text(
        GOOD + "ARG rank = 8\nLORA {\n  rank ${rank}\n}\nVARIANT small {\n  TRAIN { epochs 1 }\n}\n", "utf-8"
    )
    assert jessy("check", "recipe.jessy", "--arg", "rank=4", "--variant", "small", "--set", "train.epochs=2")[0] == 0
    assert jessy("check", "recipe.jessy", "--arg", "rank=zero")[0] == 1
    assert jessy("check", "recipe.jessy", "--variant", "large")[0] == 1


def test_a_path_that_counts_from_another_root_says_which(jessy, tmp_path):
    """A recipe was copied without the folder's `.git`: its own folder was the root, and `models/ours` was there and not found."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "a.jessy").write_text(GOOD)
    (tmp_path / "models" / "ours").mkdir(parents=True)
    code, out, err = jessy("check", "recipes/a.jessy", "--set", "lora.trained=models/ours")
    assert code == 1
    assert f"of the project `{tmp_path / 'recipes'}`: a root is a folder with" in " ".join((out + err).split())
    (tmp_path / ".jessy").mkdir()
    _, out, err = jessy("check", "recipes/a.jessy", "--set", "lora.trained=models/ours")
    assert "cannot find" not in out + err  # it is found now, and said to be no adapter


def test_check_json_is_what_editors_and_code_scanning_take(jessy, tmp_path, snapshot):
    (tmp_path / "recipe.jessy").write_text(
        GOOD + 'LORA {\n  rank 8\n  rank 16\n}\nSYSTEM "🙂 Ş" x\nSYSTM "a"\n', "utf-8"
    )
    code, out, _ = jessy("check", "recipe.jessy", "--json")
    found = json.loads(out)
    assert code == 1
    assert found == snapshot(name="lsp")
    surrogate = next(d for d in found if d["code"] == "J013")
    assert surrogate["range"]["start"]["character"] == 14  # the face is two UTF-16 units
    code, out, _ = jessy("check", "recipe.jessy", "--json=sarif")
    found = json.loads(out)
    found["runs"][0]["tool"]["driver"]["version"] = "*"
    assert found == snapshot(name="sarif")


def test_fmt_writes_keeps_and_checks(jessy, tmp_path):
    path = tmp_path / "recipe.jessy"
    messy = "JESSY 1\n\n\n\nNAME   test   # mine\nFROM gemma3:270m\nLORA {\nrank 8\n      alpha    16\n}\n"
    neat = "JESSY 1\n\nNAME test   # mine\nFROM gemma3:270m\nLORA {\n  rank  8\n  alpha 16\n}\n"
    path.write_text(messy, "utf-8")
    code, out, err = jessy("fmt", "--check", "recipe.jessy")
    assert (code, out, err) == (1, "", "recipe.jessy is not formatted\n")
    assert path.read_text("utf-8") == messy
    code, out, _ = jessy("fmt", "--diff", "recipe.jessy")
    assert code == 0
    assert "+  rank  8" in out
    assert path.read_text("utf-8") == messy
    assert jessy("fmt", "recipe.jessy")[0] == 0
    assert path.read_text("utf-8") == neat
    assert jessy("fmt", "--check", "recipe.jessy") == (0, "", "")


def test_fmt_reads_standard_input(jessy, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"JESSY\t1\n")))
    assert jessy("fmt", "-") == (0, "JESSY 1\n", "")


def test_fmt_leaves_a_broken_recipe_alone(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_text("LORA {\n", "utf-8")
    code, _, err = jessy("fmt", "recipe.jessy")
    assert code == 1
    assert "J004" in err
    assert (tmp_path / "recipe.jessy").read_text("utf-8") == "LORA {\n"
    assert jessy("fmt", "missing.jessy")[0] == 1


def test_fmt_of_a_windows_file_gives_plain_line_ends(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert jessy("fmt", "recipe.jessy")[0] == 0
    assert (tmp_path / "recipe.jessy").read_bytes() == GOOD.encode()


def test_show_prints_the_whole_recipe_with_where_it_came_from(jessy, snapshot):
    code, out, _ = jessy("show", str(HOUSE / "recipes" / "v2-270m.jessy"))
    assert code == 0
    assert out == snapshot


def test_what_show_prints_is_the_same_recipe(jessy):
    path = HOUSE / "recipes" / "v2-270m.jessy"
    document = json.loads(jessy("show", str(path), "--json")[1])
    for options in ((), ("--all",)):
        text = jessy("show", str(path), *options)[1]
        assert load_text(text, path).recipe.document == document


def test_show_flat_has_one_address_a_line(jessy):
    lines = jessy("show", "recipe.jessy", "--flat", "--set", "lora.rank=4")[1].splitlines()
    found = {line.split(" = ")[0]: line for line in lines}
    assert re.fullmatch(r"lora\.rank = 4 +# from --set:1", found["lora.rank"])
    assert found["train.epochs"].endswith("# default")
    assert found["name"].endswith("# from recipe.jessy:2")


def test_show_json_is_valid_against_the_printed_schema(jessy):
    from jsonschema.validators import Draft202012Validator

    schema = json.loads(jessy("schema")[1])
    document = json.loads(jessy("show", "recipe.jessy", "--json")[1])
    Draft202012Validator.check_schema(schema)
    assert not list(Draft202012Validator(schema).iter_errors(document))


def test_show_of_a_wrong_recipe_says_why(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_text(GOOD + "rnak 1\n", "utf-8")
    code, out, err = jessy("show", "recipe.jessy")
    assert (code, out) == (1, "")
    assert "J001" in err


@pytest.mark.parametrize("code", known_codes())
def test_every_code_is_explained(jessy, code):
    status, out, _ = jessy("explain", code.lower())
    assert status == 0
    assert code in out
    if code in CODES:
        assert CODES[code].why.split()[0] in out


@pytest.mark.parametrize("code", ["E200", "E203", "E400", "E500", "E800"])
def test_an_error_of_files_and_programs_is_explained_by_what_helps(jessy, code):
    """`jessy explain E500` said less than the error that sent one there."""
    _, out, _ = jessy("explain", code)
    assert out.count("Often: ") >= 2
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (GOOD.replace("no_loops", "kestrel.frm"), "a similar metric exists: `kestrel.form`"),
        (GOOD.split("\nDATASET")[0], 'add a block like `DATASET { CATEGORY turkish 50 "Turkish conversational" }`'),
        (GOOD.replace("FROM gemma3:270m", "FROM gemma3:270mm"), "did you mean `gemma3:270m`?"),
        (GOOD.replace("FROM gemma3:270m", "FROM google/gemma-3-270m-it"), "is written hf:google/gemma-3-270m-it"),
    ],
)
def test_check_says_what_was_meant(jessy, tmp_path, changed, said):
    (tmp_path / "recipe.jessy").write_text(changed, "utf-8")
    assert said in jessy("check", "recipe.jessy")[2]


def test_what_a_missing_category_is_told_to_add_mends_it(jessy, tmp_path):
    """The line alone belongs into a block: added as told, it was one more mistake."""
    (tmp_path / "recipe.jessy").write_text(GOOD.split("\nDATASET")[0], "utf-8")
    told = re.search(r"add a block like `(.*)`", jessy("check", "recipe.jessy")[2])[1]
    (tmp_path / "recipe.jessy").write_text(GOOD.split("\nDATASET")[0] + told + "\n", "utf-8")
    assert jessy("check", "recipe.jessy")[0] == 0


def test_a_setting_without_its_block_is_found(jessy):
    assert "did you mean `train.epochs`" in jessy("check", "recipe.jessy", "--set", "epochs=3")[2]
    assert jessy("check", "recipe.jessy", "--set", "train.epochs=3")[0] == 0


def test_a_base_of_an_ollama_is_passed_without_a_word(jessy, tmp_path):
    (tmp_path / "recipe.jessy").write_text(GOOD.replace("FROM gemma3:270m", "FROM some-other-model:9b"), "utf-8")
    assert jessy("check", "recipe.jessy") == (0, "recipe.jessy: no mistakes\n", "")


def test_explain_of_no_code_suggests_one(jessy):
    code, _, err = jessy("explain", "J0010")
    assert code == 1
    assert "J001" in err or "J010" in err


def test_no_control_character_of_a_recipe_reaches_the_terminal(jessy, tmp_path):
    """A recipe that clears the screen or turns text around must not do so when it is shown or complained about."""
    evil = 'SYSTEM "\u202eabc\u009b31m" \x1b[2J\n\u0007\x1b]0;title\x07 x\nLORA {\n  \u2066rank 1\n}\n'
    (tmp_path / "recipe.jessy").write_text(GOOD + evil, "utf-8")
    (tmp_path / "turned.jessy").write_text(GOOD + 'SYSTEM "\u202eabc"\n', "utf-8")
    for arguments in (
        ("check", "recipe.jessy"),
        ("show", "turned.jessy"),
        ("show", "turned.jessy", "--flat"),
        ("fmt", "--diff", "turned.jessy"),
        ("check", "\x1b[2J.jessy"),
    ):
        _, out, err = jessy(*arguments)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out + err), arguments
