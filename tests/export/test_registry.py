"""Names move only forward by promote and only back by rollback; the .env keeps every other byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import recipe

from jessyfile.errors import EngineError, ProjectError
from jessyfile.export.dotenv import dotenv_holds, update_dotenv
from jessyfile.export.move_names import promote
from jessyfile.export.registry import (
    CANDIDATE,
    LATEST,
    PREVIOUS,
    entry_file,
    holds_candidate,
    holds_latest,
    lookup,
    register,
    registered_names,
    rollback,
)


def candidate(root, digest):
    path = root / f"{digest}.gguf"
    path.write_bytes(digest.encode())
    register(
        root, "tiny", CANDIDATE, {"engine": "embedded", "gguf": path.name, "digest": digest, "served": {"name": "tiny"}}
    )


def digests(root):
    return tuple((lookup(root, "tiny", tag) or {}).get("digest") for tag in (CANDIDATE, LATEST, PREVIOUS))


def test_promote_keeps_the_model_before(tmp_path):
    candidate(tmp_path, "one")
    promote(tmp_path, "tiny")
    assert digests(tmp_path) == ("one", "one", None)
    candidate(tmp_path, "two")
    assert digests(tmp_path) == ("two", "one", None)
    promote(tmp_path, "tiny")
    promote(tmp_path, "tiny")
    assert digests(tmp_path) == ("two", "two", "one")
    assert registered_names(tmp_path) == ["tiny"]


def test_rollback_goes_back_and_forth(tmp_path):
    for digest in ("one", "two"):
        candidate(tmp_path, digest)
        promote(tmp_path, "tiny")
    assert "tiny:latest" in rollback("tiny", tmp_path)
    assert digests(tmp_path)[1:] == ("one", "two")
    rollback("tiny", tmp_path)
    assert digests(tmp_path)[1:] == ("two", "one")


def test_there_must_be_something_to_move(tmp_path):
    with pytest.raises(EngineError, match="candidate"):
        promote(tmp_path, "tiny")
    with pytest.raises(EngineError, match="no previous"):
        rollback("tiny", tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "/etc", "a b", "ç", "a//b", ".hidden/../x", "a/b/c/d"])
def test_a_name_cannot_leave_the_registry(name, tmp_path):
    with pytest.raises(EngineError):
        entry_file(tmp_path, name, LATEST)


def test_the_plan_sees_a_registration_that_is_gone(tmp_path):
    """A removed file, a removed GGUF and another digest each make the step run again."""
    facts = {"engine": "embedded", "name": "tiny", "tag": "candidate", "digest": "one"}
    asked = recipe(tmp_path)
    assert not holds_candidate(asked, tmp_path, facts)
    candidate(tmp_path, "one")
    assert holds_candidate(asked, tmp_path, facts)
    assert not holds_candidate(asked, tmp_path, {**facts, "digest": "two"})
    (tmp_path / "one.gguf").unlink()
    assert not holds_candidate(asked, tmp_path, facts)
    entry_file(tmp_path, "tiny", CANDIDATE).write_text("{broken")
    assert not holds_candidate(asked, tmp_path, facts)


def test_a_refused_model_has_nothing_to_hold_and_a_promoted_one_its_env(tmp_path):
    asked = recipe(tmp_path)
    asked.deploy.dotenv = (".env", "MODEL")
    facts = {"engine": "embedded", "digest": "one", "promoted": True}
    assert holds_latest(asked, tmp_path, {**facts, "promoted": False})
    candidate(tmp_path, "one")
    promote(tmp_path, "tiny")
    assert not holds_latest(asked, tmp_path, facts)
    update_dotenv(tmp_path, (".env", "MODEL"), "tiny:latest")
    assert holds_latest(asked, tmp_path, facts)


LINES = st.lists(
    st.sampled_from(["A=1", "# c", "", "export MODEL=old", "MODEL=x", "MODELS=y", "B='q # r'", "nonsense"]), max_size=6
)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_one_key_changes_and_nothing_else(lines, end, last, tmp_path_factory):
    root = tmp_path_factory.mktemp("env")
    text = end.join(lines) + (end if last and lines else "")
    (root / ".env").write_bytes(text.encode())
    update_dotenv(root, (".env", "MODEL"), "new")
    after = (root / ".env").read_bytes().decode().splitlines()
    assert dotenv_holds(root, (".env", "MODEL"), "new")
    own = [number for number, line in enumerate(lines) if line in ("export MODEL=old", "MODEL=x")]
    changed = own[-1] if own else None
    for number, line in enumerate(text.splitlines()):
        if number != changed:
            assert after[number] == line
    assert len(after) == len(text.splitlines()) + (0 if own else 1)


def test_a_secret_file_keeps_its_mode(tmp_path):
    """A .env often holds keys: rewriting it must not make it readable for others."""
    path = tmp_path / ".env"
    path.write_text("KEY=secret\n")
    path.chmod(0o600)
    update_dotenv(tmp_path, (".env", "MODEL"), "x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "KEY=secret\nMODEL=x\n"


@pytest.mark.parametrize("where", [("../.env", "A"), ("/etc/.env", "A"), (".env", "A B"), (".env", "")])
def test_the_env_stays_inside_the_project(where, tmp_path):
    with pytest.raises(ProjectError):
        update_dotenv(tmp_path, where, "x")
