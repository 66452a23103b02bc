"""A project keeps its results wherever it, or jessy, comes to lie; and the files it reads stay its user's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
RECIPE = """JESSY 1

NAME small
FROM gemma3:270m-pt

DATASET {
  CATEGORY turkish 3 "Turkish" {
    language tr
    level    low
    TOPIC slang 3
  }
}

EVAL {
  MUST turkish.form > 10%
}
"""


def jessy(folder: Path, package: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    call = [sys.executable, "-m", "jessyfile.cli", *words]
    told = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told
    return told.stdout


def answers(folder: Path, package: Path) -> dict[str, str]:
    plan = json.loads(jessy(folder, package, "plan", "r.jessy", "--only", "dataset", "--json"))
    return {step["name"]: step["answer"] for step in plan["steps"]}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """jessy as a wheel lays it out, its data inside the package."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(HOUSE / "jessyfile", site / "jessyfile", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("grammar", "templates", "data"):
        shutil.copytree(HOUSE / name, site / "jessyfile" / "_shipped" / name)
    return site


@pytest.mark.slow
def test_a_copied_project_has_nothing_to_do_under_whatever_jessy(tmp_path, installed):
    """Shipped word lists were named `data/lexicon/…` in a checkout and `lexicon/…` elsewhere: six steps ran again."""
    here = tmp_path / "here"
    (here / ".jessy").mkdir(parents=True)
    (here / "r.jessy").write_text(RECIPE)
    jessy(here, HOUSE, "apply", "r.jessy", "--only", "dataset")
    kept = {"data.turkish": "reused", "dataset": "reused"}
    assert answers(here, HOUSE) == kept
    there = tmp_path / "elsewhere" / "deep" / "there"
    shutil.copytree(here, there)
    for folder in (here, there):
        for package in (HOUSE, installed):
            assert answers(folder, package) == kept, (folder, package)
    # a project that brings its own copy of the shipped files says the same as well
    for name in ("seeds/turkish", "seeds/markers", "eval"):
        shutil.copytree(HOUSE / "data" / name, there / "data" / name)
    assert answers(there, installed) == kept
    with open(there / "data" / "seeds" / "turkish" / "slang.jsonl", "a") as handle:
        handle.write("\n")
    assert answers(there, installed)["data.turkish"] == "will"


def test_two_files_of_one_name_both_count(tmp_path):
    """A suite of the project beside the shipped one of its name: a change of either is a change."""
    from jessyfile.planning.fingerprint import FileHashes, own_part
    from jessyfile.planning.steps import Step
    from jessyfile.resources import resource

    shipped = sorted(resource("data", "eval").glob("*.jsonl"))[0]
    own = tmp_path / "data" / "eval" / shipped.name
    own.parent.mkdir(parents=True)
    own.write_text("{}\n")
    step = Step("dataset", "", lambda context: {}, files=lambda recipe, root: (own, shipped))
    before = own_part(step, None, tmp_path, FileHashes(tmp_path))
    assert len(before.files) == 2
    own.write_bytes(shipped.read_bytes())
    same = own_part(step, None, tmp_path, FileHashes(tmp_path))
    assert same.files == {f"data/eval/{shipped.name}": before.files[f"data/eval/{shipped.name} (another)"]}
    own.write_text("{ }\n")
    assert own_part(step, None, tmp_path, FileHashes(tmp_path)).hash not in (before.hash, same.hash)


def test_a_step_that_links_a_foreign_file_does_not_make_it_jessys(tmp_path):
    """`FROM ./my-model` linked the user's files into the store, made them read-only, and took later edits for its own."""
    from jessyfile.planning.store import Store

    foreign = tmp_path / "model.safetensors"
    foreign.write_bytes(b"weights")
    foreign.chmod(0o664)
    store = Store(tmp_path)
    with store.staged() as output:
        os.link(foreign, output / "model.safetensors")
        made = store.commit(output)
    inside = store.place(made) / "model.safetensors"
    assert foreign.stat().st_nlink == 1
    assert foreign.stat().st_mode & 0o777 == 0o664
    assert inside.stat().st_mode & 0o222 == 0
    foreign.write_bytes(b"changed")
    assert store.damage(made) is None
    # a result that the store verified may be named twice inside it
    with store.staged() as output:
        os.link(inside, output / "model.safetensors")
        (output / "more").write_text("x")
        second = store.commit(output)
    assert (store.place(second) / "model.safetensors").stat().st_ino == inside.stat().st_ino
