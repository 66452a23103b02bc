"""The site builds without a warning, and every `jessy` line of the guides does what its page says, on a small model.

A page is walked as its reader would: files with a caption are written, `cd` and `cat` are followed, and each `jessy` line must end as a
working command ends (3, a MUST that failed, counts as work: the tests' base of random weights learns nothing). Only the base is another:
`SMALL` puts the tests' in its place.

The persona's rows are too many to be trained here: its page is walked until they are made, and what comes after is only known by name.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.shell_completion import ShellComplete, get_completion_class

from jessyfile.cli import COMMANDS, jessy, main

HOUSE = Path(__file__).parents[1]
PAGES = [*sorted((HOUSE / "docs" / "guides").glob("*.md")), *sorted((HOUSE / "docs" / "tr").glob("*.md"))]
_FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CAPTION = re.compile(r"\A:caption: (?P<file>\S+)\n")
_NEEDS_BASE = ("plan", "apply", "why")
# the tests' base, whose vocabulary has few words, so that rows are longer in its tokens; short answers
SMALL = shlex.split(
    "--set from=./model.gguf --set train.max_length=1024 --set train.epochs=1 --set eval.max_tokens=8 --set eval.contrast=none --set export.quantize=f16"
)
_CHANGES_PENDING, _MUST_FAILED = 2, 3


@dataclass(frozen=True)
class Line:
    """A line that a reader types, or a file that he writes."""

    command: str = ""
    file: str = ""
    text: str = ""


def lines(page: Path) -> Iterator[Line]:
    """Yield what a reader of a page does, in order."""
    for block in _FENCE.finditer(page.read_text("utf-8")):
        text, caption = block["text"], _CAPTION.match(block["text"])
        if caption is not None:
            yield Line(file=caption["file"], text=text[caption.end() :])
        elif block["kind"] == "sh":
            yield from (Line(command=line) for line in text.splitlines() if line.strip())


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the GGUF of the tests' base: a Gemma 3 of random weights."""
    sys.path.insert(0, str(HOUSE / "tests" / "hostile"))
    import real_world

    root = tmp_path_factory.mktemp("base")
    (root / ".jessy").mkdir()
    real_world.write_base(root, seed=0)
    return root / "model.gguf"


class Reader:
    """Walks one page in a folder of its own."""

    def __init__(self, folder: Path, base: Path, said: pytest.CaptureFixture[str]) -> None:
        self.folder, self.base, self.said = folder, base, said
        self.makes_rows_only = self.untrained = False
        (folder / ".jessy").mkdir()

    def do(self, line: Line) -> None:
        if line.file:
            place = self.folder / line.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(line.text, "utf-8")
            return
        words = shlex.split(line.command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            assert self.folder.is_dir(), line.command
        elif words[0] == "cat":
            subprocess.run(line.command, shell=True, cwd=self.folder, check=True, capture_output=True)  # noqa: S602 (a page's own line)
        elif words[0] == "jessy" and self.untrained:
            assert words[1] in COMMANDS, line.command
        elif words[0] == "jessy":
            self._jessy(words[1:])
        elif words[0] == ".venv/bin/jessy":  # after `make quickstart`, which tests/test_main_job.py stands for
            assert words[1] in COMMANDS, line.command
        else:
            assert words[0] == "make", f"nobody tried `{line.command}`"
            assert f"\n{words[1]}:" in (HOUSE / "Makefile").read_text("utf-8")

    def _jessy(self, words: list[str]) -> None:
        if words[0] in _NEEDS_BASE and not words[1].startswith("recipes/"):
            recipe = next(self.folder / word for word in words if word.endswith(".jessy"))
            for root in {
                self.folder,
                recipe.parent,
            }:  # FROM's path begins at the project's root, whichever of them that is
                if not (root / "model.gguf").exists():
                    shutil.copyfile(self.base, root / "model.gguf")
            words = [*words, *SMALL]
        if words[0] == "apply" and self.makes_rows_only:
            words, self.untrained = [*words, "--only", "dataset"], True
        os.chdir(self.folder)
        code = main(words)
        allowed = {0}
        if words[0] == "apply":
            allowed.add(_MUST_FAILED)
        if "--detailed-exitcode" in words:
            allowed.add(_CHANGES_PENDING)
        said = self.said.readouterr()
        assert code in allowed, f"jessy {shlex.join(words)}\n{said.out[-1500:]}{said.err[-1500:]}"


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.stem if page.parent.name == "guides" else f"tr-{page.stem}"
)
def test_every_line_of_a_guide_does_what_it_says(
    page: Path, tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = tmp_path / "project"
    walked.mkdir()
    monkeypatch.chdir(walked)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    reader = Reader(walked, base, capsys)
    reader.makes_rows_only = page.stem == "persona"
    if page.stem == "recipe":
        shutil.copytree(HOUSE / "recipes", walked / "recipes")
        shutil.copytree(HOUSE / "models", walked / "models")
    for line in lines(page):
        reader.do(line)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(HOUSE / "docs"), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Quickstart" in (tmp_path / "guides" / "quickstart.html").read_text("utf-8")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    """The line that docs/guides/operations.md gives for each shell is what click answers to."""
    page = (HOUSE / "docs" / "guides" / "operations.md").read_text("utf-8")
    assert f"_JESSY_COMPLETE={shell}_source jessy" in page
    completed = ShellComplete(jessy, {}, "jessy", "_JESSY_COMPLETE")
    assert {one.value for one in completed.get_completions([], "sta")} == {"status"}
    assert "--detailed-exitcode" in {one.value for one in completed.get_completions(["plan"], "--det")}
    assert get_completion_class(shell) is not None


def test_the_compose_file_names_what_it_mounts() -> None:
    said = yaml.safe_load((HOUSE / "compose.yaml").read_text("utf-8"))
    jessy, volumes = said["services"]["jessy"], said["volumes"]
    assert set(jessy["depends_on"]) < set(said["services"])
    assert {each.split(":")[0] for each in said["services"]["ollama"]["volumes"]} == set(volumes)
    assert jessy["environment"]["OLLAMA_HOST"] == "http://ollama:11434"
    assert jessy["environment"]["JESSY_ALLOW_HOSTS"] == "ollama"
