"""A project that somebody else made may hold a `.jessy` that leads elsewhere: nothing there is swept, locked or written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watch"))

from watch_world import RECIPE, SEEDS, tiny_steps

from jessyfile.cli import main
from jessyfile.errors import EngineError
from jessyfile.export.registry import Registration, register


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    seed = root / SEEDS[0]
    seed.parent.mkdir(parents=True)
    seed.write_text('{"query": "selam"}\n')
    (root / "tiny.jessy").write_text(RECIPE)
    (root / "pyproject.toml").write_text("")
    home = tmp_path / "home"
    for name in (".ssh/key", "work/thesis/one.tex", ".profile.0123456789ab.tmp", ".netrc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("precious")
    monkeypatch.chdir(root)
    monkeypatch.setattr("jessyfile.pipeline.compile_steps", tiny_steps)
    monkeypatch.setattr("jessyfile.report.write_report", lambda recipe, root, result: root / "report.html")
    return root


COMMANDS = (["apply", "tiny.jessy"], ["gc", "--keep", "0", "--interrupted"], ["fsck", "--repair"], ["rollback", "tiny"])


def content(folder: Path) -> dict[str, str | None]:
    return {str(path): path.read_text() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    "name", [".jessy", ".jessy/store", ".jessy/work", ".jessy/models", ".jessy/runs", ".jessy/state"]
)
def test_a_link_is_followed_nowhere(name, project, capsys):
    """`.jessy/store -> ../../home`, committed to a repository, had an apply remove everything there that begins with a
    dot."""
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).symlink_to(project.parent / "home")
    before = content(project.parent)
    for command in COMMANDS:
        assert main(command) == 1
        said = capsys.readouterr().err
        assert "is a link" in said
        assert "= help: " in said
    assert content(project.parent) == before


def test_a_file_of_that_name_is_left_alone(project, capsys):
    (project / ".jessy").write_text("mine")
    for command in (*COMMANDS, ["plan", "tiny.jessy"], ["data", "tiny.jessy"]):
        assert main(command) == 1
        assert "is no folder" in capsys.readouterr().err
    assert (project / ".jessy").read_text() == "mine"


def test_a_registration_is_not_written_through_a_link(project):
    (project / ".jessy" / "models").mkdir(parents=True)
    (project / ".jessy" / "models" / "tiny").symlink_to(project.parent / "home")
    before = content(project.parent / "home")
    with pytest.raises(EngineError, match="leads out"):
        register(project, "tiny", "latest", Registration("embedded"))
    assert content(project.parent / "home") == before


@pytest.mark.parametrize("name", ["tïny\nfolder", "-rf", "a b;c", "x" * 200])
def test_a_folder_of_any_name_is_a_project(name, project, monkeypatch, capsys):
    strange = project.parent / name
    project.rename(strange)
    monkeypatch.chdir(strange)
    assert main(["apply", "tiny.jessy"]) == 0
    assert main(["plan", "tiny.jessy", "--detailed-exitcode"]) == 0
    assert main(["gc"]) == 0
    assert main(["fsck"]) == 0


def test_recipes_whose_names_are_one_file_do_not_share_a_state(project, monkeypatch, capsys):
    """On a disk that knows no capital letters, `Tiny` took the state of `tiny` for its own and wrote over it."""
    from jessyfile.planning import state

    genuine = state.state_file
    monkeypatch.setattr(state, "state_file", lambda root, name: genuine(root, name.lower()))
    assert main(["apply", "tiny.jessy"]) == 0
    before = content(project / ".jessy" / "state")
    (project / "other.jessy").write_text(RECIPE.replace("NAME tiny", "NAME Tiny"))
    for command in ("plan", "apply"):
        assert main([command, "other.jessy"]) == 1
        assert "`Tiny` and `tiny` are the same name on this disk" in capsys.readouterr().err
    assert content(project / ".jessy" / "state") == before
