"""Names move only forward by promote and only back by rollback; the .env keeps every other byte."""

import contextlib
import hashlib
import os
import shutil

import pytest
from fake_ollama import fake_ollama, manifest_of
from hypothesis import given
from hypothesis import strategies as st
from world import recipe

from jessyfile.errors import DamagedError, EngineError, ProjectError, StorageError
from jessyfile.export.dotenv import dotenv_holds, update_dotenv
from jessyfile.export.move_names import promote
from jessyfile.export.registry import (
    CANDIDATE,
    LATEST,
    PREVIOUS,
    Registration,
    entry_file,
    holds_candidate,
    holds_latest,
    kept_back,
    lookup,
    model_id,
    register,
    registered_names,
    rollback,
)
from jessyfile.results.facts import ImportFacts, PromoteFacts
from jessyfile.results.typed_json import read_as


def sha(word):
    return hashlib.sha256(word.encode()).hexdigest()


def candidate(root, word, served="tiny"):
    path = root / f"{word}.gguf"
    path.write_bytes(word.encode())
    entry = Registration("embedded", sha(word), {"name": served}, gguf=path.name)
    register(root, "tiny", CANDIDATE, entry)


def facts_of(root, tag=CANDIDATE):
    entry = lookup(root, "tiny", tag)
    named = {"engine": "embedded", "name": "tiny", "tag": tag, "digest": entry.digest, "model": model_id(entry)}
    return {**named, "promoted": True}


def digests(root):
    words = {sha(word): word for word in ("one", "two", "three")}
    found = (lookup(root, "tiny", tag) for tag in (CANDIDATE, LATEST, PREVIOUS))
    return tuple(words[entry.digest] if entry else None for entry in found)


def systems(root):
    found = (lookup(root, "tiny", tag) for tag in (LATEST, PREVIOUS))
    return tuple(entry.served["name"] if entry else None for entry in found)


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
    facts = {"engine": "embedded", "name": "tiny", "tag": "candidate", "digest": sha("one")}
    asked = recipe(tmp_path)
    assert not holds_candidate(asked, tmp_path, facts)
    candidate(tmp_path, "one")
    assert holds_candidate(asked, tmp_path, facts)
    assert not holds_candidate(asked, tmp_path, {**facts, "digest": sha("two")})
    (tmp_path / "one.gguf").unlink()
    assert not holds_candidate(asked, tmp_path, facts)
    entry_file(tmp_path, "tiny", CANDIDATE).write_text("{broken")
    assert not holds_candidate(asked, tmp_path, facts)


def test_a_refused_model_has_nothing_to_hold_and_a_promoted_one_its_env(tmp_path):
    asked = recipe(tmp_path)
    asked.deploy.dotenv = (".env", "MODEL")
    facts = {"engine": "embedded", "digest": sha("one"), "promoted": True}
    assert holds_latest(asked, tmp_path, {**facts, "promoted": False})
    candidate(tmp_path, "one")
    promote(tmp_path, "tiny")
    assert not holds_latest(asked, tmp_path, facts)
    update_dotenv(tmp_path, (".env", "MODEL"), "tiny:latest")
    assert holds_latest(asked, tmp_path, facts)


# what is served besides the file


def test_a_new_system_prompt_over_the_same_weights_is_another_model(tmp_path):
    """Only the GGUF's hash was compared: a repackaged model was never promoted, and going back never took effect."""
    candidate(tmp_path, "one", served="gentle")
    promote(tmp_path, "tiny")
    gentle = facts_of(tmp_path)
    candidate(tmp_path, "one", served="strict")
    promote(tmp_path, "tiny")
    assert systems(tmp_path) == ("strict", "gentle")
    asked = recipe(tmp_path)
    assert not holds_candidate(asked, tmp_path, gentle)
    assert not holds_latest(asked, tmp_path, gentle)
    assert holds_latest(asked, tmp_path, facts_of(tmp_path))
    assert "tiny:latest" in rollback("tiny", tmp_path)
    assert systems(tmp_path) == ("gentle", "strict")


# rollback is an intent


def back(root, facts):
    return kept_back(root, "tiny", read_as(PromoteFacts, facts, "x"))


def rolled_back(root):
    for word in ("one", "two"):
        candidate(root, word)
        promote(root, "tiny")
    facts = facts_of(root)
    rollback("tiny", root)
    return facts


def test_a_model_that_was_rolled_back_stays_back_until_the_result_is_another(tmp_path):
    """The next apply took the rollback for drift, and promoted the bad model again."""
    facts, asked = rolled_back(tmp_path), recipe(tmp_path)
    assert holds_latest(asked, tmp_path, facts)
    assert "kept back by rollback" in back(tmp_path, facts)
    candidate(tmp_path, "three")
    assert back(tmp_path, facts_of(tmp_path)) is None
    assert not holds_latest(asked, tmp_path, facts_of(tmp_path))
    promote(tmp_path, "tiny")
    assert digests(tmp_path) == ("three", "three", "one")
    assert back(tmp_path, facts) is None


def test_rolling_back_again_promotes_the_newer_one(tmp_path):
    facts = rolled_back(tmp_path)
    rollback("tiny", tmp_path)
    assert back(tmp_path, facts) is None
    assert holds_latest(recipe(tmp_path), tmp_path, facts)


def test_there_is_no_way_back_to_a_damaged_model(tmp_path):
    for word in ("one", "two"):
        candidate(tmp_path, word)
        promote(tmp_path, "tiny")
    (tmp_path / "one.gguf").write_bytes(b"onf")
    with pytest.raises(DamagedError, match="tiny:previous has other bytes"):
        rollback("tiny", tmp_path)
    assert digests(tmp_path)[1:] == ("two", "one")


@pytest.mark.parametrize("size", [10, 65 << 20])
def test_a_changed_file_is_found_whatever_its_times_say(size, tmp_path, monkeypatch):
    """A big file's hash is remembered, but by more than its size and the time of its last change."""
    path = tmp_path / "one.gguf"
    path.write_bytes(bytes(size))
    old = path.stat().st_mtime_ns - 10**12
    os.utime(path, ns=(old, old))
    monkeypatch.setattr("jessyfile.planning.fingerprint._SETTLED", -1)
    entry = Registration("embedded", hashlib.sha256(bytes(size)).hexdigest(), gguf="one.gguf")
    register(tmp_path, "tiny", CANDIDATE, entry)
    facts = facts_of(tmp_path)
    assert holds_candidate(recipe(tmp_path), tmp_path, facts)
    assert (tmp_path / ".jessy" / "files.json").exists() == (size > 64 << 20)
    with open(path, "r+b") as handle:
        handle.write(b"x")
    os.utime(path, ns=(old, old))
    assert not holds_candidate(recipe(tmp_path), tmp_path, facts)


# killed in the middle


def test_a_rollback_or_a_promotion_is_one_write(tmp_path):
    """Two files were written one after the other: killed between them, one model stood under both names."""
    for word in ("one", "two"):
        candidate(tmp_path, word)
        promote(tmp_path, "tiny")
    for move in (lambda root: rollback("tiny", root), lambda root: (candidate(root, "three"), promote(root, "tiny"))):
        states = set()
        for writes in range(4):
            root = tmp_path.parent / f"{tmp_path.name}-{writes}"
            shutil.copytree(tmp_path, root)
            with dying_after(writes), contextlib.suppress(StorageError):
                move(root)
            latest, previous = digests(root)[1:]
            assert latest != previous
            states.add((latest, previous))
            shutil.rmtree(root)
        assert len(states) == 2


@contextlib.contextmanager
def dying_after(writes):
    genuine, count = os.replace, [0]

    def replace(source, target):
        count[0] += 1
        if count[0] > writes:
            raise OSError(5, "killed here")
        genuine(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        yield


@pytest.mark.parametrize("copies", range(4))
def test_a_rollback_in_ollama_that_was_killed_goes_on(copies, tmp_path, monkeypatch):
    """Run again after a kill, it exchanged the names a second time, or lost a model."""
    from jessyfile.export.ollama_api import OllamaClient

    with fake_ollama() as (state, url):
        for word in ("one", "two"):
            ollama_candidate(tmp_path, state, url, word)
            promote(tmp_path, "tiny")
        genuine, count = OllamaClient.copy, [0]

        def copy(self, source, destination):
            count[0] += 1
            if count[0] > copies:
                raise EngineError("killed here")
            genuine(self, source, destination)

        monkeypatch.setattr(OllamaClient, "copy", copy)
        if copies < 3:
            with pytest.raises(EngineError, match="killed"):
                rollback("tiny", tmp_path)
        monkeypatch.setattr(OllamaClient, "copy", genuine)
        rollback("tiny", tmp_path)
    assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("one", "two")
    assert "tiny:jessy-swap" not in state.models
    assert digests(tmp_path)[1:] == ("one", "two")


def ollama_candidate(root, state, url, word):
    entry = Registration("ollama", sha(word), {"name": "tiny"}, ollama=url, manifest=manifest_of(word))
    register(root, "tiny", CANDIDATE, entry)
    state.models["tiny:candidate"] = word


def test_a_model_that_jessy_did_not_make_is_kept_and_comes_back(tmp_path):
    """A first promotion wrote over whatever somebody had under NAME:latest, and nothing of it was left."""
    said = []
    with fake_ollama() as (state, url):
        state.models["tiny:latest"] = "theirs"
        ollama_candidate(tmp_path, state, url, "one")
        promote(tmp_path, "tiny", said.append)
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("one", "theirs")
        assert said == [
            "tiny:latest was not made by jessy: it is kept as tiny:previous, and `jessy rollback tiny` brings it back"
        ]
        rollback("tiny", tmp_path)
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("theirs", "one")
        rollback("tiny", tmp_path)
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("one", "theirs")


def test_another_model_under_a_name_that_moves_gets_a_name_of_its_own(tmp_path):
    """By hand, somebody gave NAME:latest and NAME:previous to models of their own after a promotion."""
    said = []
    with fake_ollama() as (state, url):
        ollama_candidate(tmp_path, state, url, "one")
        promote(tmp_path, "tiny")
        state.models |= {"tiny:latest": "theirs", "tiny:previous": "older"}
        ollama_candidate(tmp_path, state, url, "two")
        promote(tmp_path, "tiny", said.append)
        kept = {word: name for name, word in state.models.items()}
    assert kept["two"] == "tiny:latest"
    assert kept["theirs"] == "tiny:previous"
    assert kept["older"] == f"tiny:kept-{manifest_of('older')[:12]}"
    assert len(said) == 2


def test_what_a_first_promotion_kept_a_second_does_not_lose(tmp_path):
    """Kept as NAME:previous, somebody's model was taken for jessy's own, and the next promotion wrote over it."""
    said = []
    with fake_ollama() as (state, url):
        state.models["tiny:latest"] = "theirs"
        for word in ("one", "two", "three"):
            ollama_candidate(tmp_path, state, url, word)
            promote(tmp_path, "tiny", said.append)
        assert state.models["tiny:previous"] == "two"
        assert state.models[f"tiny:kept-{manifest_of('theirs')[:12]}"] == "theirs"
    assert len(said) == 2


def test_a_name_that_somebody_moved_is_given_back_and_theirs_is_kept(tmp_path):
    """The same candidate again: NAME:previous was written over, and a rollback gave back what nobody had registered."""
    with fake_ollama() as (state, url):
        for word in ("zero", "one"):
            ollama_candidate(tmp_path, state, url, word)
            promote(tmp_path, "tiny")
        state.models["tiny:latest"] = "theirs"
        promote(tmp_path, "tiny")
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("one", "zero")
        assert state.models[f"tiny:kept-{manifest_of('theirs')[:12]}"] == "theirs"
        rollback("tiny", tmp_path)
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("zero", "one")


def test_two_models_over_one_file_are_two(tmp_path):
    """Another prompt over the same weights was taken for jessy's own by the file's digest."""
    files = {"files": {"m": f"sha256:{sha('one')}"}}
    with fake_ollama() as (state, url):
        entry = Registration("ollama", sha("one"), {"name": "tiny"}, ollama=url, manifest=manifest_of(files))
        register(tmp_path, "tiny", CANDIDATE, entry)
        state.models = {"tiny:candidate": files, "tiny:latest": {**files, "system": "Benim."}}
        promote(tmp_path, "tiny")
        assert state.models["tiny:previous"]["system"] == "Benim."


def test_a_server_in_trouble_is_not_one_without_the_model(tmp_path):
    """One 503 to the question what stands there, and it was written over."""
    from fake_ollama import send

    with fake_ollama() as (state, url):
        state.models["tiny:latest"] = "theirs"
        ollama_candidate(tmp_path, state, url, "one")
        for call in (("GET", "/api/tags"), ("POST", "/api/show")):
            state.answer = {call: lambda handler: send(handler, 503)}
            with pytest.raises(EngineError, match="503"):
                promote(tmp_path, "tiny")
            assert state.models["tiny:latest"] == "theirs"


def test_a_rollback_to_a_model_that_ollama_lost_moves_nothing(tmp_path):
    """Half of the exchange was made and recorded, and no promotion worked any more."""
    with fake_ollama() as (state, url):
        for word in ("one", "two"):
            ollama_candidate(tmp_path, state, url, word)
            promote(tmp_path, "tiny")
        del state.models["tiny:previous"]
        with pytest.raises(EngineError, match="no longer has the model"):
            rollback("tiny", tmp_path)
        ollama_candidate(tmp_path, state, url, "three")
        promote(tmp_path, "tiny")
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("three", "two")


@pytest.mark.parametrize("moves", range(2))
@pytest.mark.parametrize("earlier", [(), ("zero",)])
def test_a_promotion_over_anothers_model_that_was_killed_goes_on(earlier, moves, tmp_path, monkeypatch):
    from jessyfile.export.ollama_api import OllamaClient

    with fake_ollama() as (state, url):
        for word in earlier:
            ollama_candidate(tmp_path, state, url, word)
            promote(tmp_path, "tiny")
        state.models["tiny:latest"] = "theirs"
        ollama_candidate(tmp_path, state, url, "one")
        genuine, count = OllamaClient.copy, [0]

        def copy(self, source, destination):
            genuine(self, source, destination)
            count[0] += 1
            if count[0] > moves:
                raise EngineError("killed here")

        monkeypatch.setattr(OllamaClient, "copy", copy)
        with pytest.raises(EngineError, match="killed"):
            promote(tmp_path, "tiny")
        monkeypatch.setattr(OllamaClient, "copy", genuine)
        promote(tmp_path, "tiny")
        assert (state.models["tiny:latest"], state.models["tiny:previous"]) == ("one", "theirs")
        assert lookup(tmp_path, "tiny", LATEST).digest == sha("one")
        assert lookup(tmp_path, "tiny", PREVIOUS).digest == sha("theirs")


def test_a_name_that_somebody_moved_shows_where_the_network_is_asked(tmp_path):
    """Drift by hand went unseen: the plan believed its own notes of what Ollama serves."""
    asked = recipe(tmp_path)
    with fake_ollama() as (state, url):
        ollama_candidate(tmp_path, state, url, "one")
        promote(tmp_path, "tiny")
        facts = {**facts_of(tmp_path), "engine": "ollama"}
        assert holds_candidate(asked, tmp_path, facts, True)
        assert holds_latest(asked, tmp_path, facts, True)
        state.models["tiny:latest"] = "theirs"
        del state.models["tiny:candidate"]
        assert holds_candidate(asked, tmp_path, facts)
        assert holds_latest(asked, tmp_path, facts)
        assert not holds_candidate(asked, tmp_path, facts, True)
        assert not holds_latest(asked, tmp_path, facts, True)
    assert holds_latest(asked, tmp_path, facts, True)  # a server that is down is not doubted


def test_names_that_are_one_file_on_this_disk_are_not_mixed_up(tmp_path, monkeypatch):
    """A disk that knows no capital letters gives `Tiny` the folder of `tiny`."""
    from jessyfile.export import registry

    genuine = registry.entry_file
    monkeypatch.setattr(registry, "entry_file", lambda root, name, tag: genuine(root, name.lower(), tag))
    candidate(tmp_path, "one")
    assert lookup(tmp_path, "Tiny", CANDIDATE) is None
    with pytest.raises(EngineError, match="the same name on this disk"):
        register(tmp_path, "Tiny", CANDIDATE, Registration("embedded"))


# the .env file

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


KEPT = [
    # a key inside another variable's quotes, over several lines
    (b'KEY="-----BEGIN\nMODEL=of the key\n-----END"\n', b'KEY="-----BEGIN\nMODEL=of the key\n-----END"\nMODEL=new\n'),
    (b"KEY='a\nMODEL=b'\n", b"KEY='a\nMODEL=b'\nMODEL=new\n"),
    (b"KEY=`a\nMODEL=b`\n", b"KEY=`a\nMODEL=b`\nMODEL=new\n"),
    (b'KEY="a \\" b\nMODEL=c"\n', b'KEY="a \\" b\nMODEL=c"\nMODEL=new\n'),
    (b'A = "\r\nMODEL=2\r\n"\r\n', b'A = "\r\nMODEL=2\r\n"\r\nMODEL=new\r\n'),
    # its own value, over several lines
    (b'MODEL="old\nsecond line"\nB=2\n', b'MODEL="new"\nB=2\n'),
    (b"A=1\nMODEL='old\n\n'  # why\nB=2", b"A=1\nMODEL='new'  # why\nB=2"),
    # comments and quotes
    (b'MODEL="old"  # what the bot serves\n', b'MODEL="new"  # what the bot serves\n'),
    (b"MODEL=old # c\n", b"MODEL=new # c\n"),
    (b"MODEL=old#part # c\n", b"MODEL=new # c\n"),
    (b"MODEL= # c\n", b"MODEL=new # c\n"),
    (b"# MODEL=old\n", b"# MODEL=old\nMODEL=new\n"),
    (b'MODEL="" # empty\n', b'MODEL="new" # empty\n'),
    # how lines are written
    (b"\xef\xbb\xbfMODEL=old\nB=2\n", b"\xef\xbb\xbfMODEL=new\nB=2\n"),
    (b"\xef\xbb\xbf", b"\xef\xbb\xbfMODEL=new\n"),
    (b"export\tMODEL=old\r\nB=1\r\n", b"export\tMODEL=new\r\nB=1\r\n"),
    (b"  export   MODEL  =  old  \nB", b"  export   MODEL  =  new  \nB"),
    (b"MODEL=old", b"MODEL=new"),
    (b"A=1", b"A=1\nMODEL=new\n"),
    (b"A=1\rMODEL=old\rB=2", b"A=1\rMODEL=new\rB=2"),
    (b"", b"MODEL=new\n"),
    # several, alike and broken ones
    (b"MODEL=1\nMODEL=2\nMODELS=3\nXMODEL=4\n", b"MODEL=1\nMODEL=new\nMODELS=3\nXMODEL=4\n"),
    (b"MODEL\nMODEL:x\nmodel=y\n", b"MODEL\nMODEL:x\nmodel=y\nMODEL=new\n"),
    (b'A="unterminated\nMODEL=old\n', b'A="unterminated\nMODEL=new\n'),
    (b"A=it's\nMODEL=old\nC=that's\n", b"A=it's\nMODEL=new\nC=that's\n"),
    (b'A="C:\\"\nMODEL="old"\n', b'A="C:\\"\nMODEL="new"\n'),
    (b"B=\xff\xfe binary \x00\nMODEL=old\n", b"B=\xff\xfe binary \x00\nMODEL=new\n"),
]


@pytest.mark.parametrize(("before", "after"), KEPT)
def test_every_other_byte_of_the_env_stays(before, after, tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(before)
    for _ in range(2):
        update_dotenv(tmp_path, (".env", "MODEL"), "new")
        assert path.read_bytes() == after
    assert dotenv_holds(tmp_path, (".env", "MODEL"), "new")
    assert not dotenv_holds(tmp_path, (".env", "MODEL"), "old")


def test_a_linked_env_stays_a_link(tmp_path):
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "bot.env").write_text("MODEL=old\n")
    (tmp_path / "settings" / "bot.env").chmod(0o640)
    (tmp_path / ".env").symlink_to("settings/bot.env")
    update_dotenv(tmp_path, (".env", "MODEL"), "new")
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "settings" / "bot.env").read_text() == "MODEL=new\n"
    assert (tmp_path / "settings" / "bot.env").stat().st_mode & 0o777 == 0o640


def test_an_env_that_is_no_plain_file_of_the_project_is_refused(tmp_path):
    """A pipe would be waited on for ever, a link may lead anywhere, and UTF-16 is read by no loader."""
    root = tmp_path / "project"
    (root / "folder").mkdir(parents=True)
    os.mkfifo(root / "pipe")
    (tmp_path / "outside").write_text("MODEL=old\n")
    (root / "outside").symlink_to("../outside")
    (root / "nowhere").symlink_to("nothing")
    (root / "utf16").write_bytes("MODEL=old\n".encode("utf-16"))
    for name in ("folder", "pipe", "outside", "nowhere", "utf16", ".git/config", ".jessy/state/x.json"):
        with pytest.raises(ProjectError):
            update_dotenv(root, (name, "MODEL"), "new")
    assert (tmp_path / "outside").read_text() == "MODEL=old\n"
    assert not (root / "nothing").exists()


def test_a_name_that_cannot_be_written_down_is_not_moved(tmp_path):
    """latest was moved first, and the .env refused afterwards."""
    from types import SimpleNamespace

    from jessyfile.export.export_steps import run_promote

    candidate(tmp_path, "one")
    asked = recipe(tmp_path)
    asked.deploy.dotenv = ("../.env", "MODEL")
    facts = {"judge": SimpleNamespace(failed=()), "import": read_as(ImportFacts, facts_of(tmp_path), "x")}
    context = SimpleNamespace(
        recipe=asked, root=tmp_path, facts_of=lambda name, kind: facts[name], output=tmp_path / "out", replaced=False
    )
    with pytest.raises(ProjectError):
        run_promote(context)
    assert lookup(tmp_path, "tiny", LATEST) is None


def test_an_env_that_cannot_be_written_is_said_before_anything_runs(tmp_path, monkeypatch):
    """It was found at the end, after hours of training, with the model's name moved already."""
    from jessyfile.export.export_checks import promote_preflight
    from jessyfile.planning.preflight import Outlook

    asked = recipe(tmp_path)
    asked.source = lambda address: "tiny.jessy:9"
    outlook = Outlook(asked, tmp_path, (), step="promote")
    asked.deploy.dotenv = (".env", "MODEL")
    assert list(promote_preflight(outlook)) == []
    (tmp_path / ".env").write_text("A=1\n")
    assert list(promote_preflight(outlook)) == []
    genuine = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and genuine(path, mode))
    found = list(promote_preflight(outlook))
    assert [(one.severity, one.code, one.where) for one in found] == [("error", "E300", "tiny.jessy:9")]
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").symlink_to("nowhere")
    assert ["leads nowhere" in one.message for one in promote_preflight(outlook)] == [True]
    candidate(tmp_path, "one")
    promote(tmp_path, "tiny")
    assert not holds_latest(asked, tmp_path, facts_of(tmp_path, LATEST))
