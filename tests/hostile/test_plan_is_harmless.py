"""`plan`, `why`, `graph` and `diff` start no process, open no network, and write nothing, proved with an audit hook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jessyfile.resources import resource

WATCHED = """
import os, sys
root, house = sys.argv[1], sys.argv[2]
found = []

def hook(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.system", "pty.", "urllib.", "http.")):
        found.append(event)
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil.rmtree"):
        found.append(f"{event} {arguments[0]}")
    if event == "open" and isinstance(arguments[0], str):
        path, flags = os.path.abspath(arguments[0]), arguments[2] or 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            found.append(f"writes {path}")
        elif not path.startswith((root, house, sys.prefix, sys.base_prefix, "/proc/", "/dev/", "/etc/", "/usr/", "/sys/")):
            found.append(f"reads {path}")

from jessyfile.cli import main
sys.addaudithook(hook)
code = main(sys.argv[3:])
sys.stderr.write("\\nFOUND " + repr(found) + "\\n")
sys.exit(code)
"""


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / ".jessy").mkdir()
    shutil.copytree(resource("recipes"), tmp_path / "recipes")
    shutil.copytree(resource("models"), tmp_path / "models")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "recipes/v2.jessy"),
        ("plan", "recipes/quickstart.jessy", "--json"),
        ("why", "train", "recipes/v2.jessy"),
        ("graph", "recipes/v2.jessy"),
        ("diff", "recipes/v2.jessy", "recipes/v2-270m.jessy"),
        ("status",),
        ("history",),
    ],
    ids=" ".join,
)
def test_nothing_is_started_opened_or_written(project, words):
    house = str(resource("recipes").parent)
    environment = {**os.environ, "PYTHONPATH": house, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCHED, str(project), house, *words]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().splitlines()[-1] == "FOUND []"
    assert list((project / ".jessy").iterdir()) == []


def test_the_hook_of_these_tests_would_notice(project):
    """Without this, a hook that hears nothing would let everything pass."""
    house = str(resource("recipes").parent)
    environment = {**os.environ, "PYTHONPATH": house, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCHED, str(project), house, "plan", "recipes/v2.jessy", "-o", "plan.json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)
    assert f"writes {project}/.plan.json." in done.stderr
