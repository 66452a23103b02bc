"""What somebody types in the first minutes: each wrong turn is one message that names the way on, and writes nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jessyfile.cli import COMMANDS, main
from jessyfile.commands.init import Questions
from jessyfile.commands.recipe_file import recipes_in
from jessyfile.errors import ProjectError
from jessyfile.language import load_recipe

GOOD = "JESSY 1\nNAME bird\nFROM gemma3:270m\n\nDATASET {\n  CATEGORY turkish 20 {\n    TOPIC greetings 20\n  }\n}\n\nEVAL {\n  MUST no_loops > 95%\n}\n"
ROW = json.dumps({"query": "merhaba", "response": "selam"}) + "\n"


@pytest.fixture
def jessy(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; standard input has ended, and nothing may be written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    def run(*words: str, writes: bool = False) -> tuple[int, str]:
        before = contents(tmp_path)
        code = main(list(words))
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert "Traceback" not in said
        assert "E000" not in said
        assert writes or contents(tmp_path) == before
        return code, said

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def refused_as_usage(code: int) -> bool:
    """A usage error has a code of its own, which no other end of a command has."""
    return code not in (0, 1, 3, 130)


ONE = {"bird.jessy": GOOD}
SEVERAL = {"bird.jessy": GOOD, "fish.jessy": GOOD}
IN_RECIPES = {"recipes/bird.jessy": GOOD}


@pytest.mark.parametrize(
    ("files", "words", "says"),
    [
        # the command is misspelt
        ({}, "aply bird.jessy", "did you mean `jessy apply`?"),
        ({}, "plna", "did you mean `jessy plan`?"),
        ({}, "APPLY bird.jessy", "did you mean `jessy apply`?"),
        ({}, "data statz", "did you mean `jessy data stats`?"),
        ({}, "data statz --help", "did you mean `jessy data stats`?"),
        ({}, "data nonsense --help", "`jessy data --help` lists them"),
        ({}, "xyzzy", "`jessy --help` lists them"),
        # the command is another tool's
        ({}, "train bird.jessy", "in jessy that is `jessy apply`"),
        ({}, "create bird -f Modelfile", "in jessy that is `jessy apply`"),
        ({}, "run bird", "in jessy that is `jessy apply RECIPE`, and for a question `jessy chat NAME`"),
        ({}, "list", "in jessy that is `jessy status`"),
        ({}, "validate", "in jessy that is `jessy check`"),
        ({}, "help", "in jessy that is `jessy --help`"),
        ({}, "Train", "in jessy that is `jessy apply`"),
        ({}, "data validate", "in jessy that is `jessy data lint`"),
        # the command is left out
        (ONE, "bird.jessy", "the command comes first, as in `jessy plan bird.jessy`"),
        # the recipe is left out
        ({}, "apply", "there is no recipe here; `jessy init` writes one"),
        (ONE, "apply", "there is one here: `jessy apply bird.jessy`"),
        (ONE, "plan --short", "there is one here: `jessy plan bird.jessy`"),
        (ONE, "watch", "there is one here: `jessy watch bird.jessy`"),
        (ONE, "check", "there is one here: `jessy check bird.jessy`"),
        (ONE, "data make", "there is one here: `jessy data make bird.jessy`"),
        (ONE, "why train", "there is one here: `jessy why STEP bird.jessy`"),
        (SEVERAL, "apply", "there are `bird.jessy`, `fish.jessy`; as in `jessy apply bird.jessy`"),
        (IN_RECIPES, "plan", "there is one here: `jessy plan recipes/bird.jessy`"),
        (ONE, "fmt", "FILE is missing: there is one here: `jessy fmt bird.jessy`"),
        ({}, "import", "FILE is missing: name a Modelfile"),
        ({"Modelfile": "FROM a:1\n"}, "import", "FILE is missing: as in `jessy import Modelfile`"),
        ({"my bird.jessy": GOOD}, "plan", "`jessy plan 'my bird.jessy'`"),
    ],
)
def test_a_wrong_call_names_the_right_one(jessy, tmp_path, files, words, says):
    put(tmp_path, files)
    code, said = jessy(*words.split())
    assert refused_as_usage(code)
    assert says in said
    assert said.count("Error:") + said.count("error[") == 1


@pytest.mark.parametrize("command", ["plan", "apply", "check", "watch", "graph", "show", "data make", "fmt"])
@pytest.mark.parametrize(
    ("files", "recipe", "says"),
    [
        (ONE, "bird", "did you mean `bird.jessy`?"),
        (ONE, "Bird.jessy", "did you mean `bird.jessy`?"),
        (ONE, "brid.jessy", "did you mean `bird.jessy`?"),
        (ONE, "bird.jesy", "did you mean `bird.jessy`?"),
        (ONE, "bird.jessy.txt", "did you mean `bird.jessy`?"),
        (ONE, "recipes/bird.jessy", "did you mean `bird.jessy`?"),
        (IN_RECIPES, "bird", "did you mean `recipes/bird.jessy`?"),
        (ONE, "elephant.jessy", "bird.jessy`"),
        (ONE, ".", "`.` is a folder, not a recipe"),
        (IN_RECIPES, "recipes", "recipes/bird.jessy"),
        ({}, "bird.jessy", "`jessy init` writes one"),
        ({}, "gemma3:270m", "`jessy init --base gemma3:270m`"),
        ({}, "hf:org/name", "`jessy init --base hf:org/name`"),
        ({"bird.jessy": "\n \n"}, "bird.jessy", "is an empty file, not a recipe"),
        ({"x" * 5: ""}, "y" * 300, "`jessy init` writes one"),
        ({"rows.jsonl": ROW * 12}, "rows.jsonl", "`jessy data lint rows.jsonl` checks rows"),
        ({"rows.txt": ROW * 12}, "rows.txt", "`jessy data lint rows.txt` checks rows"),
        ({"bird.jessy": ROW * 12}, "bird.jessy", "a file of rows, not a recipe"),
        ({"rows.csv": "q,a\n1,2\n"}, "rows.csv", "a file of rows, not a recipe"),
        ({"lora.yaml": "model: a/b\n"}, "lora.yaml", "`jessy import lora.yaml` makes a recipe of it"),
        ({"Modelfile": "FROM llama3\nSYSTEM x\n"}, "Modelfile", "`jessy import Modelfile` makes a recipe of it"),
        ({"a.txt": "# hi\nfrom llama3\n"}, "a.txt", "`jessy import a.txt` makes a recipe of it"),
        ({"m.gguf": "GGUF\0\0"}, "m.gguf", "a recipe names it: `FROM ./m.gguf`"),
        ({"notes.md": "# My bird\n\nhello\n"}, "notes.md", "a .md file without `JESSY 1` at its top"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_message(jessy, tmp_path, command, files, recipe, says):
    put(tmp_path, files)
    code, said = jessy(*command.split(), recipe)
    assert code == 1
    assert says in said
    assert said.count("error[") == 1
    assert len(said.splitlines()) == 2


def test_a_recipe_may_be_called_anything(jessy, tmp_path):
    shipped = GOOD.replace("talk 40", "turkish 20").replace("small 40", "casual 20")
    put(tmp_path, {"Jessyfile": shipped, "bird.txt": "# mine\n\n" + shipped})
    assert jessy("check", "Jessyfile")[0] == 0
    assert jessy("check", "bird.txt")[0] == 0


def test_a_mistake_is_told_once(jessy, tmp_path):
    """An `error[E100]` once stood below every report and said that there was one."""
    put(tmp_path, {"bird.jessy": GOOD + "rnak 1\n"})
    for command in ("plan", "apply", "show"):
        code, said = jessy(command, "bird.jessy")
        assert code == 1
        assert said.count("error[") == 1
        assert said.rstrip().endswith("bird.jessy: 1 mistake (`jessy explain J001` says more); nothing was started")


@pytest.mark.parametrize(("files", "next_command"), [({}, "jessy init"), (ONE, "jessy plan bird.jessy")])
def test_jessy_alone_says_what_comes_next(jessy, tmp_path, files, next_command):
    put(tmp_path, files)
    code, said = jessy()
    assert code == 0
    assert said.rstrip().endswith(f"Next: {next_command}")
    assert all(name in said for name in COMMANDS)


def test_the_state_folder_is_no_recipe(jessy, tmp_path):
    """`.jessy` ends like a recipe's name."""
    (tmp_path / ".jessy").mkdir()
    assert "`jessy init` writes one" in jessy("plan")[1]
    assert "is a folder" in jessy("plan", ".jessy")[1]


# init


def test_init_with_nobody_to_answer_takes_the_defaults_and_says_so(jessy, tmp_path):
    code, said = jessy("init", writes=True)
    assert code == 0
    assert "the defaults are taken, as with --yes" in said
    recipe = recipes_in(tmp_path)[0]
    assert f"Next: jessy plan {recipe.name}" in said
    assert load_recipe(recipe).recipe is not None


def test_init_takes_the_answers_that_were_piped_and_defaults_for_the_rest(jessy, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("mia\n"))
    assert jessy("init", writes=True)[0] == 0
    assert load_recipe(tmp_path / "mia.jessy").recipe.base


@pytest.mark.parametrize("stream", ["</dev/null", "<&-"])
def test_init_works_in_a_script(tmp_path, stream):
    command = ["/bin/sh", "-c", f"exec {sys.executable} -m jessyfile.cli init {stream}"]
    house = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=house)
    assert done.returncode == 0, done.stderr
    assert recipes_in(tmp_path)


@pytest.mark.parametrize(
    ("answers", "says"),
    [("My Bot\n", "as in `my-bot`"), ("bot\nno model\n", "no model name"), ("bot\ngemma3:270m\nxx\n", "ISO 639 code")],
)
def test_a_wrong_answer_from_a_pipe_stops_at_once(jessy, monkeypatch, answers, says):
    """The next line answers the next question: asking again would take it for this one."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    code, said = jessy("init")
    assert code == 1
    assert says in said


def test_a_wrong_answer_at_a_terminal_is_asked_again_at_once(monkeypatch, capsys):
    """A name was once refused after all questions had been answered, and they began anew."""
    answers = iter(["My Bot", "bot"])
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: next(answers))
    monkeypatch.setattr("jessyfile.commands.init.at_terminal", lambda: True)

    def check(text: str) -> str:
        if " " in text:
            raise ProjectError("no name", hint="leave the space out")
        return text

    assert Questions(quiet=False).ask("Name", None, "x", check) == "bot"
    assert "no name; leave the space out" in capsys.readouterr().out


def test_ctrl_d_at_a_terminal_leaves(monkeypatch):
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("click.termui.visible_prompt_func", end)
    monkeypatch.setattr("jessyfile.commands.init.at_terminal", lambda: True)
    with pytest.raises(click.Abort):
        Questions(quiet=False).ask("Name", None, "x", str)


def test_a_recipe_that_is_there_is_told_before_the_other_questions(jessy, tmp_path, monkeypatch):
    put(tmp_path, ONE)
    monkeypatch.setattr(sys, "stdin", io.StringIO("bird\n"))
    code, said = jessy("init")
    assert code == 1
    assert "is there already" in said
    assert "Base model" not in said


def test_a_recipes_name_is_no_folder_to_begin_in(jessy):
    code, said = jessy("init", "My Bird.jessy", "--yes")
    assert code == 1
    assert "`jessy init --name my-bird`" in said


@pytest.mark.parametrize("command", ["status", "history"])
@pytest.mark.parametrize(("files", "next_command"), [({}, "jessy init"), (ONE, "jessy plan bird.jessy")])
def test_before_the_first_apply_the_next_step_is_named(jessy, tmp_path, command, files, next_command):
    put(tmp_path, files)
    assert jessy(command) == (0, f"nothing was applied here yet; next: {next_command}\n")
