"""A rollback is what the user wants: neither the next apply nor a running watch undoes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rollback_world import job_command, promoting_steps
from watch_world import RECIPE, SEEDS, World

from jessyfile.cli import main
from jessyfile.export.registry import lookup


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project whose second model was promoted and rolled back."""
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text(RECIPE)
    seed = tmp_path / SEEDS[0]
    seed.parent.mkdir(parents=True)
    seed.write_text('{"query": "selam"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jessyfile.pipeline.compile_steps", promoting_steps)
    monkeypatch.setattr("jessyfile.report.write_report", lambda recipe, root, result: root / "report.html")
    assert main(["apply", "tiny.jessy"]) == 0
    first = latest(tmp_path)
    edit(tmp_path, "rank 16", "rank 8")
    assert main(["apply", "tiny.jessy"]) == 0
    assert latest(tmp_path) != first
    assert main(["rollback", "tiny"]) == 0
    assert latest(tmp_path) == first
    return tmp_path


def edit(project: Path, old: str, new: str) -> None:
    recipe = project / "tiny.jessy"
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new))


def latest(root: Path) -> tuple[str, str]:
    """Return the hash of the promoted file and the system prompt it is served with."""
    entry = lookup(root, "tiny")
    return entry.digest, entry.served["system"]


def test_the_next_apply_of_the_same_recipe_keeps_it_back(project, capsys):
    """The plan took the moved name for drift, and apply promoted the rolled-back model again."""
    before = latest(project)
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "tiny:latest is kept back by rollback" in capsys.readouterr().out
    for command in ("plan", "apply", "apply"):
        assert main([command, "tiny.jessy"]) == 0
        said = capsys.readouterr().out
        assert "No changes" in said
        assert "tiny:latest is kept back by rollback" in said
        assert "`jessy rollback tiny` promotes the newer one again" in said
    assert latest(project) == before


def test_a_verdict_made_again_does_not_promote_it(project, capsys):
    """Other criteria are held against the same model: it is still the one that the user took back."""
    before = latest(project)
    edit(project, "EXPORT gguf", "EVAL {\n  MUST marker_format > 90%\n}\n\nEXPORT gguf")
    assert main(["apply", "tiny.jessy"]) == 3
    assert "tiny is not promoted: tiny:latest is kept back by rollback" in capsys.readouterr().out
    assert latest(project) == before


@pytest.mark.parametrize(("old", "new"), [("rank 8", "rank 4"), ("Be kind.", "Be short.")])
def test_another_result_is_promoted(old, new, project):
    before = latest(project)
    edit(project, old, new)
    assert main(["apply", "tiny.jessy"]) == 0
    assert latest(project) != before
    assert main(["plan", "tiny.jessy", "--detailed-exitcode"]) == 0


@pytest.mark.parametrize("asked", [["rollback", "tiny"], ["apply", "tiny.jessy", "--replace", "promote"]])
def test_the_user_may_ask_for_it_again(asked, project, capsys):
    before = latest(project)
    assert main(asked) == 0
    assert latest(project) != before
    capsys.readouterr()
    assert main(["plan", "tiny.jessy"]) == 0
    assert "kept back" not in capsys.readouterr().out


def test_going_back_and_forth_takes_the_model_that_the_recipe_says(project):
    """The recipe of the first model says what stands there already; the other model stays back, asked for again or not."""
    before = latest(project)
    for rank in ("16", "8"):
        edit(project, f"rank {'8' if rank == '16' else '16'}", f"rank {rank}")
        assert main(["apply", "tiny.jessy"]) == 0
        assert latest(project) == before


def test_a_running_watch_does_not_undo_it(tmp_path, monkeypatch):
    world = World(tmp_path, steps=promoting_steps, command=job_command)
    monkeypatch.chdir(tmp_path)
    try:
        world.until_idle()
        first = latest(tmp_path)
        world.edit("rank 16", "rank 8")
        world.until(lambda: latest(tmp_path) != first)
        world.until_idle()
        assert main(["rollback", "tiny"]) == 0
        runs = world.runs()
        world.edit("JESSY 1\n", "JESSY 1\n# a thought\n")
        world.until(lambda: world.count("kept back by rollback") == 1)
        world.linger(0.5)
        assert (latest(tmp_path), world.runs()) == (first, runs)
        world.edit("rank 8", "rank 4")
        world.until(lambda: latest(tmp_path) != first)
        world.until_idle()
        assert world.count("kept back by rollback") == 1
    finally:
        world.session.close()


def test_a_model_damaged_on_the_disk_is_made_anew_by_apply(project, capsys):
    """The plan compares big files by size: a flipped bit in the served file went unseen."""
    victim = Path(lookup(project, "tiny", "candidate").gguf)
    victim.chmod(0o644)
    victim.write_text(victim.read_text()[:-1] + "X")
    assert main(["plan", "tiny.jessy", "--detailed-exitcode"]) == 2
    assert main(["apply", "tiny.jessy"]) == 0
    assert main(["fsck"]) == 0
    assert main(["plan", "tiny.jessy", "--detailed-exitcode"]) == 0
