"""The program in surroundings that are not the developer's: a C locale, a strict umask, no home, a project that cannot be
written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jessyfile.resources import resource

HOUSE = str(resource("recipes").parent)
# a process of root that has given up its right to write anywhere is held by modes as anybody is
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


def jessy(
    folder: Path, *words: str, wrap: tuple[str, ...] = (), umask: int = -1, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the program with nothing in its environment but PATH and what is given."""
    return subprocess.run(
        [*wrap, sys.executable, "-m", "jessyfile.cli", *words],
        cwd=folder, capture_output=True, check=False, timeout=120, umask=umask,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": HOUSE, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = jessy(tmp_path, "init", "--yes", "--name", "cay", "--base", "gemma3:270m-pt", "--language", "tr")
    assert made.returncode == 0, made.stderr
    return tmp_path


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_turkish_goes_through_a_c_locale(environment: dict[str, str], project: Path) -> None:
    """What cannot be shown is escaped or replaced; it never ends the command, and never changes a file."""
    before = (project / "cay.jessy").read_bytes()
    for words in (("check", "cay.jessy"), ("show", "cay.jessy"), ("plan", "cay.jessy"), ("fmt", "cay.jessy")):
        done = jessy(project, *words, **environment)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert (project / "cay.jessy").read_bytes() == before
    (project / "cay.jessy").write_text(before.decode().replace("TRAIN", "EĞİTİM"), "utf-8")
    done = jessy(project, "check", "cay.jessy", **environment)
    assert done.returncode == 1
    assert b"error[" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_nothing_that_is_made_is_wider_than_the_umask(tmp_path: Path) -> None:
    """Rows and recipes may be private: under umask 077 they were readable for everybody all the same."""
    for words in (
        ("init", "--yes", "--name", "cay", "--base", "gemma3:270m-pt", "--language", "tr"),
        ("data", "make", "cay.jessy", "--output", "made"),
        ("plan", "cay.jessy", "-o", "plan.json"),
    ):
        done = jessy(tmp_path, *words, umask=0o077)
        assert done.returncode == 0, done.stderr
    made = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert len(made) > 10
    assert {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.stat().st_mode & 0o077} == {}


def test_no_home_and_no_user_are_needed(project: Path) -> None:
    for words in (("plan", "cay.jessy"), ("doctor",), ("status",), ("history",), ("fsck",)):
        done = jessy(project, *words)
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0 or words == ("doctor",), done.stderr


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere, and setpriv is not here"
)
def test_a_project_that_cannot_be_written_can_be_planned_and_says_so_when_applied(project: Path) -> None:
    wrap = UNPRIVILEGED if os.geteuid() == 0 else ()
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        for words in (("check", "cay.jessy"), ("plan", "cay.jessy"), ("show", "cay.jessy"), ("status",)):
            done = jessy(project, *words, wrap=wrap)
            assert done.returncode == 0, done.stderr
        for words in (
            ("apply", "cay.jessy"),
            ("data", "make", "cay.jessy", "--output", "made"),
            ("init", "new", "--yes", "--name", "su"),
        ):
            done = jessy(project, *words, wrap=wrap)
            assert done.returncode == 1, done.stdout
            assert b"permission denied" in done.stderr, done.stderr
            assert b"help:" in done.stderr
            assert b"Traceback" not in done.stderr
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may look anywhere, and setpriv is not here"
)
@pytest.mark.parametrize(
    "words", [("check",), ("plan",), ("apply",), ("fmt",), ("data", "lint"), ("show",)], ids=" ".join
)
def test_a_folder_that_may_not_be_looked_into_is_named_and_no_bug(words: tuple[str, ...], project: Path) -> None:
    """Looking for the project's root there ended as a bug in jessy."""
    closed = project / "closed"
    closed.mkdir()
    shutil.copy(project / "cay.jessy", closed / "cay.jessy")
    closed.chmod(0)
    try:
        done = jessy(project, *words, "closed/cay.jessy", wrap=UNPRIVILEGED if os.geteuid() == 0 else ())
    finally:
        closed.chmod(0o700)
    assert done.returncode not in (0, None)
    assert b"E000" not in done.stderr, done.stderr
    assert b"closed" in done.stderr, done.stderr
