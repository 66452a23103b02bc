"""Nobody reading the output stops no work: the text is lost, the exit code is the one it would have been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watch"))

from watch_world import RECIPE, SEEDS

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "watch" / "watch_world.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text(RECIPE)
    seed = tmp_path / SEEDS[0]
    seed.parent.mkdir(parents=True)
    seed.write_text('{"query": "selam"}\n')
    return tmp_path


def shell(project: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which `jessy` is the program over the tiny pipeline."""
    program = f'jessy() {{ "{sys.executable}" "{PROGRAM}" "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", program + line],
        cwd=project, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def assert_quiet(said: str) -> None:
    """Warnings about the recipe may stand on standard error, complaints about the pipe may not."""
    assert not [word for word in ("error", "Traceback", "Exception", "pipe", "rror:") if word in said], said


GONE = {
    "head": "(jessy apply tiny.jessy; echo $? >code) | head -n 1",
    "closed reader": "(jessy apply tiny.jessy; echo $? >code) | true",
    "as JSON": "(jessy apply tiny.jessy --json; echo $? >code) | head -n 1",
    "errors too": "(jessy apply tiny.jessy 2>&1; echo $? >code) | true",
    "closed": "jessy apply tiny.jessy >&- 2>&-; echo $? >code",
    "all closed": "jessy apply tiny.jessy <&- >&- 2>&-; echo $? >code",
    "full disk": "jessy apply tiny.jessy >/dev/full 2>/dev/full; echo $? >code",
}


@pytest.mark.parametrize("name", GONE)
def test_an_apply_goes_on_to_its_end_when_nobody_reads(project: Path, name: str) -> None:
    """`jessy apply ... | head -1` stopped the run and called the reader's end a fault of the disk."""
    if name == "full disk" and not Path("/dev/full").exists():
        pytest.skip("only Linux has /dev/full")
    done = shell(project, GONE[name])
    assert_quiet(done.stderr)
    assert (project / "code").read_text() == "0\n"
    (run,) = (project / ".jessy" / "runs").iterdir()
    assert json.loads((run / "result.json").read_text())["exit"] == 0


@pytest.mark.parametrize(
    "words", ["--help", "plan tiny.jessy", "show tiny.jessy", "schema", "check tiny.jessy", "doctor"]
)
def test_what_only_reads_ends_quietly(project: Path, words: str) -> None:
    done = shell(project, f"(jessy {words}; echo $? >code) | true")
    assert_quiet(done.stderr)
    assert (project / "code").read_text() == "0\n"


def test_a_failed_must_keeps_its_code_when_nobody_reads(project: Path) -> None:
    (project / "fail_must").touch()
    shell(project, "(jessy apply tiny.jessy; echo $? >code) | true")
    assert (project / "code").read_text() == "3\n"


def test_changes_keep_their_code_when_nobody_reads(project: Path) -> None:
    shell(project, "(jessy plan tiny.jessy --detailed-exitcode; echo $? >code) | true")
    assert (project / "code").read_text() == "2\n"
