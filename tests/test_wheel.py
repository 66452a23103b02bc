"""The wheel that is built from this project, installed into an environment of its own and used from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = ("grammar", "templates", "data", "recipes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(folder), str(PROJECT))
    return next(folder.glob("jessy-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and nothing else; what it depends on is lent to it by PYTHONPATH."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    return folder


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def used(environment: Path, folder: Path, *words: str) -> str:
    lent = sysconfig.get_path("purelib")  # a folder of PYTHONPATH brings its packages and not its editable installs
    done = subprocess.run(
        [str(environment / "bin" / words[0]), *words[1:]],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": lent, "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_shipped_file_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", *SHIPPED], cwd=PROJECT, capture_output=True, text=True, check=False)
    files = tracked.stdout.split() or [
        path.relative_to(PROJECT).as_posix() for top in SHIPPED for path in (PROJECT / top).rglob("*") if path.is_file()
    ]
    assert {f"jessyfile/_shipped/{name}" for name in files} <= names
    assert "jessyfile/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or "test_" in name]
    # what is made of Gemma stands under other terms than jessy
    assert not [name for name in names if name.endswith(".safetensors") or "jessy-270m/" in name]


def test_the_installed_program_works_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    where = used(environment, tmp_path, "python", "-c", "import jessyfile; print(jessyfile.__file__)").strip()
    assert Path(where).is_relative_to(environment)
    assert used(environment, tmp_path, "jessy", "--version").split()[-1] == "0.1.0"
    used(
        environment, tmp_path, "jessy", "init", "--yes", "--language", "tr", "--name", "cay", "--base", "gemma3:270m-pt"
    )
    assert "cay.jessy" in used(environment, tmp_path, "jessy", "check", "cay.jessy")
    assert "train" in used(environment, tmp_path, "jessy", "plan", "cay.jessy")
    assert "turkish" in used(environment, tmp_path, "jessy", "show", "cay.jessy")


def test_the_installed_program_finds_what_is_shipped_inside_it(environment: Path, tmp_path: Path) -> None:
    """A recipe that names no file of its own lives on the shipped seeds, suites, tables and templates."""
    (tmp_path / "bare.jessy").write_text((PROJECT / "recipes" / "jessy-270m.jessy").read_text("utf-8"), "utf-8")
    assert "data.turkish" in used(environment, tmp_path, "jessy", "plan", "bare.jessy")
    asked = "from jessyfile.resources import resource; print(resource('data', 'seeds'), resource('grammar'))"
    assert all(
        "_shipped" in place and Path(place).is_relative_to(environment)
        for place in used(environment, tmp_path, "python", "-c", asked).split()
    )
