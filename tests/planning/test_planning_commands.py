"""The commands around plan and apply, called as a user calls them, over a tiny pipeline."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watch"))

from watch_world import RECIPE, SEEDS, tiny_steps

from jessyfile.cli import main
from jessyfile.errors import Interrupted
from jessyfile.planning.picture import Box
from jessyfile.planning.svg import svg


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text(RECIPE)
    seed = tmp_path / SEEDS[0]
    seed.parent.mkdir(parents=True)
    seed.write_text('{"query": "selam"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jessyfile.pipeline.compile_steps", tiny_steps)
    monkeypatch.setattr("jessyfile.report.write_report", lambda recipe, root, result: root / "report.html")
    return tmp_path


def edit(project: Path, old: str, new: str) -> None:
    recipe = project / "tiny.jessy"
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new))


@pytest.fixture
def jessy(project, capsys):
    def call(*words: str, code: int = 0) -> str:
        """Return standard output, and standard error as well when the command is to fail."""
        assert main(list(words)) == code
        captured = capsys.readouterr()
        return captured.out + (captured.err if code in (1, 130) else "")

    return call


def test_plan_exits_zero_unless_asked_for_details(jessy, project):
    assert "4 to run" in jessy("plan", "tiny.jessy")
    jessy("plan", "tiny.jessy", "--detailed-exitcode", code=2)
    jessy("apply", "tiny.jessy")
    assert "No changes" in jessy("plan", "tiny.jessy", "--detailed-exitcode")


def test_apply_says_what_ran_and_where_the_report_lies(jessy):
    said = jessy("apply", "tiny.jessy")
    assert "[2/4] train: train" in said
    assert "report: " in said
    assert "tiny:latest is the new model" in said
    assert "No changes" in jessy("apply", "tiny.jessy")


def test_a_must_that_failed_is_exit_three_now_and_later(jessy, project):
    (project / "fail_must").touch()
    assert "tiny is not promoted: MUST x failed" in jessy("apply", "tiny.jessy", code=3)
    assert "No changes. tiny is not promoted: MUST x failed" in jessy("plan", "tiny.jessy")
    jessy("apply", "tiny.jessy", code=3)


def test_a_saved_plan_is_applied_as_it_is_and_refused_when_stale(jessy, project):
    jessy("plan", "tiny.jessy", "--only", "train", "-o", "plan.json")
    said = jessy("apply", "plan.json")
    assert "train" in said
    assert "modelfile:" not in said
    said = jessy("apply", "plan.json", code=1)
    assert "error[E203]: the saved plan is stale" in said
    jessy("plan", "tiny.jessy", "-o", "plan.json")
    edit(project, "rank 16", "rank 8")
    assert "stale" in jessy("apply", "plan.json", code=1)
    jessy("apply", "plan.json", "--only", "train", code=64)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "call": {}}', "\x00"])
def test_what_is_no_saved_plan_is_refused_in_a_sentence(jessy, project, text):
    (project / "plan.json").write_text(text)
    assert jessy("apply", "plan.json", code=1).startswith("error[E200]: ")


def test_the_plan_as_json_has_a_format_and_the_reasons(jessy, project):
    jessy("apply", "tiny.jessy")
    edit(project, "rank 16", "rank 8")
    plan = json.loads(jessy("plan", "tiny.jessy", "--json"))
    assert plan["format"] == 1
    assert plan["effect"] == "retrain"
    train = next(step for step in plan["steps"] if step["name"] == "train")
    reason = {"kind": "value", "what": "lora.rank", "old": 16, "new": 8, "where": "tiny.jessy:21"}
    assert train["answer"] == "will"
    assert train["reasons"] == [reason]


def test_apply_as_json_is_one_event_a_line(jessy):
    events = [json.loads(line) for line in jessy("apply", "tiny.jessy", "--json").splitlines()]
    assert {event["format"] for event in events} == {1}
    assert [event["event"] for event in events][0::2] == ["planned", "ended", "ended", "ended", "ended"]
    assert events[-1] == {"format": 1, "event": "done", "exit": 0, "withheld": None, "report": events[-1]["report"]}


def test_why_names_the_chain_to_the_cause(jessy, project):
    jessy("apply", "tiny.jessy")
    edit(project, "rank 16", "rank 8")
    assert "rank                  16 -> 8" in jessy("why", "train", "tiny.jessy")
    assert "promote <- modelfile <- train" in jessy("why", "promote", "tiny.jessy")
    assert "data.talk is kept" in jessy("why", "data", "tiny.jessy")
    assert "a similar step exists: `train`" in jessy("why", "trian", "tiny.jessy", code=1)


def test_graph_draws_every_step_and_marks_those_that_run(jessy):
    assert re.search(
        r's0\["data.talk"\]\n(.*\n)*  s0 --> s1\n(.*\n)*  class s0,s1,s2,s3 runs', jessy("graph", "tiny.jessy")
    )
    assert '"data.talk" -> "train";' in jessy("graph", "tiny.jessy", "--format", "dot")


def test_graph_opens_a_picture_that_loads_nothing(jessy, project, monkeypatch):
    """What was drawn had to be pasted into a page of Mermaid's before anybody saw it."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    jessy("graph", "tiny.jessy", "--open")
    picture = project / ".jessy" / "graph.svg"
    assert opened == [picture.as_uri()]
    text = picture.read_text("utf-8")
    assert text == jessy("graph", "tiny.jessy", "--format", "svg")
    assert re.findall('https?://[^"]+|<script', text) == ["http://www.w3.org/2000/svg"]
    assert re.findall(r">([^<\n]+)</text>", text)[:4] == ["data.talk", "train", "modelfile", "promote"]


def test_a_line_of_a_picture_passes_no_box():
    """A line to a later column ran behind the boxes between, and looked as if it led to them."""
    boxes = [Box(name, name, "runs", tuple(needs)) for name, *needs in ("a", "ba", "cb", "dca", "eb", "fde")]
    said = svg(boxes)
    rects = [tuple(map(float, one)) for one in re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)"', said)]
    lines = [tuple(map(float, one)) for one in re.findall(r'd="M(\S+) (\S+)H([^C]+)C', said)]
    assert len(lines) == 7
    for left, down, right in lines:
        assert not [(x, y) for x, y, wide in rects if y < down < y + 34 and left < x + wide and x < right]


def test_diff_of_recipes_and_of_runs(jessy, project):
    (project / "other.jessy").write_text(RECIPE.replace("rank 16", "rank 8").replace("Be kind.", "Be short."))
    said = jessy("diff", "tiny.jessy", "other.jessy")
    assert "rank                  16 -> 8             other.jessy:21" in said
    assert "SYSTEM" in said
    assert jessy("diff", "tiny.jessy", "tiny.jessy") == "no differences\n"
    jessy("apply", "tiny.jessy")
    edit(project, "rank 16", "rank 8")
    jessy("apply", "tiny.jessy")
    said = jessy("diff", "1", "2")
    assert "rank                  16 -> 8" in said
    assert "data.talk" not in said
    assert "there is no run 9" in jessy("diff", "1", "9", code=1)


def test_history_status_and_show_tell_the_runs(jessy, project):
    assert jessy("history") == "nothing was applied here yet; next: jessy plan tiny.jessy\n"
    assert jessy("status") == "nothing was applied here yet; next: jessy plan tiny.jessy\n"
    jessy("apply", "tiny.jessy")
    (project / "fail_must").touch()
    edit(project, "rank 16", "rank 8")
    jessy("apply", "tiny.jessy", code=3)
    first, second = reversed(jessy("history").splitlines())
    assert re.fullmatch(r"run 1  promoted      just now  <?\ds  4 steps", first)
    assert re.fullmatch(r"run 2  not promoted  just now  <?\ds  3 steps", second)
    assert "last run  run 2" in jessy("status")
    state = json.loads(jessy("status", "--json"))["recipes"][0]
    assert (state["name"], state["run"], state["promoted"], state["reason"]) == ("tiny", 2, False, "MUST x failed")
    shown = jessy("show", "1")
    assert shown.startswith("run 1 · tiny · promoted")
    # a record that another version wrote says nothing, and does not end the command
    result = project / ".jessy" / "runs" / "1" / "result.json"
    record = json.loads(result.read_text())
    record["steps"].append({**record["steps"][0], "name": "prefer", "facts": {"method": "of another version"}})
    result.write_text(json.dumps(record))
    assert jessy("show", "1") == shown


def test_what_a_run_was_applied_with_is_told_wherever_the_run_is(jessy, project):
    """An apply with --set promoted its model, and neither status nor history said that the recipe was another one than the file's."""
    said = jessy("apply", "tiny.jessy", "--set", "lora.rank=4")
    assert "this was applied with --set lora.rank=4" in said
    assert not (project / "tiny.lock").exists()
    called = "jessy apply tiny.jessy --set lora.rank=4"
    assert "--set lora.rank=4" in jessy("history")
    assert re.search(rf"called +{called}", jessy("status"))
    assert re.search(rf"called +{called}", jessy("show", "1"))
    edit(project, "rank 16", "rank 8")
    assert "no lock file" not in jessy("apply", "tiny.jessy")
    assert "called" not in jessy("status")


def test_a_run_that_goes_on_is_not_told_as_one_that_ended(jessy, project):
    """Status advised to apply again while the first apply was at work, and knew of nothing before its first step had ended."""
    from jessyfile.planning.mutex import project_lock
    from jessyfile.planning.runs import new_run

    command = "jessy apply tiny.jessy"
    with project_lock(project, command):
        assert f"`{command}` (process " in jessy("status")
        jessy_says = jessy("history")
        assert "at work: " in jessy_says
        assert "next:" not in jessy_says
    assert "next: jessy plan tiny.jessy" in jessy("status")
    jessy("apply", "tiny.jessy")
    new_run(project).event("run_started", recipe="tiny.jessy", name="tiny", command=command)
    with project_lock(project, command):
        assert re.search(r"run 2 +runs now", jessy("history"))
        assert re.search(r"last run +run 2 · runs now", jessy("status"))
        assert f"`{command}` (process " in jessy("status")
        assert "go on" not in jessy("status")
    assert re.search(r"run 2 +did not end", jessy("history"))
    with project_lock(project, "jessy gc"):
        assert re.search(r"run 2 +did not end", jessy("history"))


def test_replace_only_and_skip(jessy):
    jessy("apply", "tiny.jessy")
    assert "asked for with --replace" in jessy("plan", "tiny.jessy", "--replace", "train")
    assert "[2/4] train" in jessy("apply", "tiny.jessy", "--replace", "train")
    assert "2 unchanged" not in jessy("plan", "tiny.jessy", "--only", "train", "--replace", "train", "--all")
    assert "No changes" in jessy("plan", "tiny.jessy", "--skip", "promote")


def test_gc_keeps_what_a_state_or_a_kept_run_needs(jessy, project):
    for rank in ("16", "8", "4"):
        (project / "tiny.jessy").write_text(RECIPE.replace("rank 16", f"rank {rank}"))
        jessy("apply", "tiny.jessy")
    before = len(list((project / ".jessy" / "store").iterdir()))
    assert "would free" in jessy("gc", "--keep", "1", "--dry-run")
    assert len(list((project / ".jessy" / "store").iterdir())) == before
    jessy("gc", "--keep", "1")
    assert len(list((project / ".jessy" / "store").iterdir())) < before
    assert "No changes" in jessy("plan", "tiny.jessy")
    assert "everything stored is as it was written" in jessy("fsck")
    (project / "tiny.jessy").write_text(RECIPE)
    assert "train" in jessy("plan", "tiny.jessy")
    jessy("apply", "tiny.jessy")
    assert "No changes" in jessy("plan", "tiny.jessy")


def test_gc_keeps_what_a_registered_model_is_served_from(jessy, project):
    jessy("apply", "tiny.jessy")
    objects = {path.name for path in (project / ".jessy" / "store").iterdir()}
    served = sorted(objects)[0]
    entry = project / ".jessy" / "models" / "tiny" / "latest.json"
    entry.parent.mkdir(parents=True)
    entry.write_text(json.dumps({"engine": "embedded", "gguf": f".jessy/store/{served}/files/model.gguf"}))
    (project / ".jessy" / "state" / "tiny.json").unlink()
    jessy("gc", "--keep", "0")
    assert {path.name for path in (project / ".jessy" / "store").iterdir()} == {served}


def test_gc_keeps_the_saved_work_of_interrupted_runs(jessy, project):
    """All interrupted trainings but the newest were removed, hours of work that no help text spoke of."""
    jessy("apply", "tiny.jessy")
    work = project / ".jessy" / "work"
    saved = [work / f"train-{mark * 24}" for mark in "abc"]
    for folder in saved:
        folder.mkdir()
        (folder / "checkpoint").write_text("hours")
    assert "0 interrupted runs" in jessy("gc", "--keep", "0")
    assert all(folder.is_dir() for folder in saved)
    assert "3 interrupted runs" in jessy("gc", "--interrupted", "--dry-run")
    assert all(folder.is_dir() for folder in saved)
    jessy("gc", "--interrupted")
    assert not any(folder.exists() for folder in saved)


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_the_umask_holds_for_everything_that_an_apply_leaves(umask, jessy, project):
    """Stored rows and states were readable for everybody, whatever the umask said."""
    import os

    before = os.umask(umask)
    try:
        jessy("apply", "tiny.jessy")
    finally:
        os.umask(before)
    for path in (project / ".jessy").rglob("*"):
        mode, allowed = path.stat().st_mode & 0o777, (0o777 if path.is_dir() else 0o666) & ~umask
        assert mode in (allowed, allowed & ~0o222), path


def test_apply_sweeps_what_killed_processes_left_and_no_living_ones(jessy, project):
    """Half-written files directly in `.jessy`, and the work of steps that never resume, stayed for ever."""
    import fcntl
    import os

    (project / ".jessy" / "data").mkdir()
    (project / ".jessy" / "work" / f"modelfile-{'a' * 24}").mkdir(parents=True)
    (project / ".jessy" / "work" / f"train-{'b' * 24}").mkdir()
    dead = [".timings.json.0123456789ab.tmp", ".files.json.0123456789ab.tmp", "data/.card.json.0123456789ab.tmp"]
    for name in dead:
        (project / ".jessy" / name).write_text("half")
    living = project / ".jessy" / ".files.json.ba9876543210.tmp"
    descriptor = os.open(living, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    jessy("apply", "tiny.jessy")
    os.close(descriptor)
    assert not any((project / ".jessy" / name).exists() for name in dead)
    assert living.exists()
    assert [path.name for path in (project / ".jessy" / "work").iterdir()] == [f"train-{'b' * 24}"]


@pytest.mark.parametrize(
    "words", [("gc", "--keep", "-1"), ("history", "-n", "0"), ("history", "-n", "-3"), ("data", "show", "-n", "-1")]
)
def test_a_number_that_means_nothing_is_a_usage_error(words, project, capsys):
    """`history -n 0` listed everything, and `gc --keep -1` removed all but the first run's results."""
    assert main(list(words)) not in (0, 3)
    assert "is not in the range" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("gc",), ("fsck",), ("rollback", "tiny"), ("history",), ("status",), ("chat", "tiny", "x")]
)
def test_where_nothing_is_nothing_is_created(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(list(words))
    assert code == (1 if words[0] in ("rollback", "chat") else 0)
    assert list(tmp_path.iterdir()) == []


def test_fsck_is_exit_one_until_repaired(jessy, project):
    jessy("apply", "tiny.jessy")
    victim = next((project / ".jessy" / "store").glob("*/files/rows.txt"))
    victim.chmod(0o644)
    victim.write_text("x")
    assert "rows.txt has 1 bytes" in jessy("fsck", code=1)
    assert "1 damaged and removed" in jessy("fsck", "--repair")
    assert "data.talk" in jessy("plan", "tiny.jessy")
    jessy("apply", "tiny.jessy")
    jessy("fsck")


def test_an_interrupted_apply_is_exit_130_with_the_command_that_resumes(jessy, project, monkeypatch):
    from jessyfile.commands.signals import SignalStop

    monkeypatch.setattr(SignalStop, "requested", lambda self: True)
    said = jessy("apply", "tiny.jessy", "--set", "lora.rank=8", "--skip", "promote", code=Interrupted.exit_code)
    assert "resume with: jessy apply tiny.jessy --set lora.rank=8 --skip promote" in said


def test_the_lock_file_says_what_the_model_was_made_of_and_changes_with_it_alone(jessy, project):
    jessy("apply", "tiny.jessy")
    lock = project / "tiny.lock"
    first = lock.read_text()
    assert re.search(r"^adapter    [0-9a-f]{64}  out\.txt sha256:[0-9a-f]{64}$", first, re.M)
    assert "promoted   yes" in first
    edit(project, "JESSY 1\n", "JESSY 1\n# a comment\n")
    jessy("apply", "tiny.jessy")
    assert lock.read_text() == first
    edit(project, "rank 16", "rank 8")
    jessy("apply", "tiny.jessy")
    assert lock.read_text() != first
    edit(project, "rank 8", "rank 16")
    jessy("apply", "tiny.jessy")
    assert lock.read_text() == first
    jessy("apply", "tiny.jessy", "--set", "lora.rank=4")
    assert lock.read_text() == first


def test_a_file_that_changes_while_a_step_reads_it_is_never_remembered(jessy, project, monkeypatch):
    """A seed saved in the middle of a run would give a result under the fingerprint of the file that was planned."""
    import dataclasses

    def racing(recipe, hosts=None):
        data, *rest = tiny_steps(recipe)

        def run(context):
            facts = data.run(context)
            (project / SEEDS[0]).write_text('{"query": "later"}\n')
            return facts

        return (dataclasses.replace(data, run=run), *rest)

    monkeypatch.setattr("jessyfile.pipeline.compile_steps", racing)
    said = jessy("apply", "tiny.jessy", code=1)
    assert "`data/seeds/talk/hello.jsonl` changed while data.talk was reading it" in said
    assert not list((project / ".jessy" / "actions").rglob("*.json"))


def test_control_characters_of_a_recipe_never_reach_the_terminal(jessy, project):
    jessy("apply", "tiny.jessy")
    edit(project, "Be kind.", "Be \u202ekind.")
    said = jessy("plan", "tiny.jessy")
    assert "\\u202e" in said
    assert "\u202e" not in said


def test_a_withheld_model_says_what_failed_once_and_how_to_look_at_it(jessy, project):
    """What failed stood twice, and nothing said how to ask the model that was not promoted."""
    (project / "fail_must").touch()
    for _ in range(2):
        said = jessy("apply", "tiny.jessy", code=3)
        assert "look at the candidate: jessy chat tiny:candidate" in said
        assert len([line for line in said.splitlines() if line.startswith("tiny is not promoted")]) == 1
        assert "tiny:latest stays as it was" in said


def test_a_sample_ends_with_the_command_of_the_whole(jessy, project):
    said = jessy("apply", "tiny.jessy", "--sample", "2", "--set", "lora.rank=4")
    assert "tiny-sample:latest is the new model. Ask it: jessy chat tiny-sample" in said
    assert "the whole is: jessy apply tiny.jessy --set lora.rank=4" in said
    assert not (project / "tiny.lock").exists()
    assert [path.stem for path in (project / ".jessy" / "state").glob("*.json")] == ["tiny-sample"]
