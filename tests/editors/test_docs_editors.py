"""docs/editors.md says what is so: its commands run, its messages are real, its tables name what exists."""

import re
import shlex
import tomllib

import click
import pytest

from jessyfile.cli import COMMANDS, jessy, main
from jessyfile.importing import import_file
from jessyfile.importing.from_mlx_lm import KEYS
from jessyfile.language.table import by_keyword
from jessyfile.resources import resource

PAGE = resource("docs", "editors.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "line", [line for block in blocks("sh") for line in block.splitlines() if line.startswith("jessy ")]
)
def test_every_command_of_the_page_exists_with_its_options(line):
    _, name, *words = shlex.split(line)
    assert name in COMMANDS
    command = jessy.get_command(click.Context(jessy), name)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_the_options_that_the_page_names_are_those_of_init():
    command = jessy.get_command(click.Context(jessy), "init")
    known = {option for parameter in command.params for option in parameter.opts}
    assert {"--yes", "--name", "--base", "--language"} <= known
    for option in ("--yes", "--name", "--base", "--language"):
        assert f"`{option}`" in PAGE


def test_the_messages_of_the_page_are_what_import_says(tmp_path):
    lines = ["FROM a"] + [""] * 7 + ["PARAMETER mirostat 1", "", "", "SYSTEM a\u00a0b"]
    (tmp_path / "Modelfile").write_text("\n".join(lines))
    said = [f"Modelfile:{note.line}: {note.message}" for note in import_file(tmp_path / "Modelfile").notes]
    shown = [line for line in PAGE.splitlines() if line.startswith("Modelfile:")]
    assert said == shown


def test_every_key_and_setting_of_the_table_exists():
    section = PAGE[PAGE.index("| mlx-lm | recipe |") : PAGE.index("A repeated key")]
    rows = [row.split("|")[1:3] for row in section.strip().splitlines()[2:]]
    assert len(rows) > 8
    keys = {key for row, _ in rows for key in re.findall(r"`(\w+)", row)}
    assert keys - {"adamw"} <= set(KEYS)
    settings = {word for _, row in rows for word in re.findall(r"`(\w+)`", row)} - {"all", "optimizer_config"}
    assert settings - {"batch_size", "seed"} <= set(by_keyword())


def test_the_editors_configuration_starts_the_command():
    [toml] = blocks("toml")
    server = tomllib.loads(toml)["language-server"]["jessy"]
    assert [server["command"], *server["args"]] == ["jessy", "lsp"]
    assert '{ "jessy", "lsp" }' in blocks("lua")[0]
    assert '("jessy" "lsp")' in blocks("elisp")[0]
    assert "lsp" in COMMANDS


@pytest.mark.parametrize("path", re.findall(r"`(grammar/[\w./-]+)`", PAGE))
def test_the_files_of_the_page_are_there(path):
    assert resource(*path.split("/")).exists()


def test_init_writes_the_files_of_the_page(tmp_path, capsys):
    assert main(["init", str(tmp_path / "assistant"), "--yes"]) == 0
    capsys.readouterr()
    assert (tmp_path / "assistant" / "assistant.jessy").is_file()
    assert list((tmp_path / "assistant" / "data" / "seeds").glob("*/*.jsonl"))
    assert ".jessy/" in (tmp_path / "assistant" / ".gitignore").read_text()
