"""Every screen at 60, 80 and 120 columns: nothing is broken in mid-word, nothing that matters is cut, no line is left over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from screens_world import BAD, Glass, World, clear, furnish, new_world

from jessyfile.commands.terminal import LiveLines
from jessyfile.planning.pace import Pace
from jessyfile.text.fit import folded, shortened, table
from jessyfile.watch.line import ShownStep, lines
from jessyfile.watch.machine import Machine, Revision

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

COLUMNS = pytest.mark.parametrize("columns", [60, 80, 120])


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return new_world(tmp_path / "p", monkeypatch)


_BROKEN = (
    r"\n?".join(map(re.escape, "report.html")),
    r"\n?".join("#answers"),
)  # a long path is broken by the terminal, wherever that falls
_FILE = re.compile(rf"file:[\s\S]*?{_BROKEN[0]}(\n?{_BROKEN[1]})?")


def _joined(found: re.Match[str]) -> str:
    return "file:///project/report.html" + ("#answers" if found[1] else "")


def known(glass: Glass) -> str:
    """Return a screen without what differs from one run of the tests to the next."""
    text = _FILE.sub(_joined, "\n".join(glass.lines()))
    text = re.sub(r"\.jessy/store/[\s\S]*?result\.txt", ".jessy/store/FILE", text)
    return re.sub(r"[0-9a-f]{12,64}", "DIGEST", text)


def after_the_plan(said: str) -> str:
    return said[said.index("\n✓ ") :]


@COLUMNS
def test_an_apply(columns: int, fresh: World, snapshot: SnapshotAssertion) -> None:
    """Every step left its dead spinner on the line of its end, and at 80 columns both were broken."""
    glass = fresh.look(columns, "apply", "tiny.jessy")
    said = known(glass)
    assert after_the_plan(said) == snapshot
    assert "✓ data.turkish            6 rows  <1s" in said
    assert "━" not in said
    assert "15/15" not in said
    assert glass.too_wide() == []
    assert "report: .jessy/runs/1/report.html" in said


@COLUMNS
def test_an_apply_that_is_withheld(columns: int, fresh: World, snapshot: SnapshotAssertion) -> None:
    """`promote done` stood above `not promoted`, and each criterion that failed stood there twice."""
    fresh.apply()
    fresh.write(rank="8")
    said = known(fresh.look(columns, "apply", "tiny.jessy", answer=BAD))
    assert after_the_plan(said) == snapshot
    assert re.search(r"! promote +withheld, 1 MUST failed +<1s", said)
    assert said.count("turkish_accuracy") == 1
    assert "report.html#answers" in said


@COLUMNS
def test_an_apply_that_is_stopped(columns: int, fresh: World, snapshot: SnapshotAssertion) -> None:
    glass = fresh.look(columns, "apply", "tiny.jessy", stopped=True)
    said = known(glass)
    assert after_the_plan(said) == snapshot
    assert "note: training stopped after update 6 of 54; it is saved" in said
    assert "error" not in said


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project with three runs: one promoted, one withheld, one stopped."""
    with pytest.MonkeyPatch.context() as patch:
        world = new_world(tmp_path_factory.mktemp("lived") / "p", patch)
        world.apply()
        world.write(rank="8", learning_rate="2e-4")
        world.apply(answer=BAD)
        world.write(rank="4")
        world.apply(stopped=True)
        yield world


READING = {
    "history": ["history"],
    "status": ["status"],
    "show a run": ["show", "2"],
    "show a run that was stopped": ["show", "3"],
    "show a recipe": ["show", "tiny.jessy"],
    "diff of two runs": ["diff", "1", "2"],
    "diff with a run that was stopped": ["diff", "2", "3"],
    "graph": ["graph", "tiny.jessy"],
    "plan": ["plan", "tiny.jessy", "--set", "lora.alpha=7"],
    "why": ["why", "judge", "tiny.jessy"],
    "rollback of what has no previous one": ["rollback", "tiny-companion"],
    "gc": ["gc", "--dry-run"],
    "fsck": ["fsck"],
    "an error": ["chat", "tiny-companion:nightly"],
    "a run that is not there": ["show", "9"],
}


@COLUMNS
@pytest.mark.parametrize("screen", READING)
def test_a_reading_command(screen: str, columns: int, lived: World, snapshot: SnapshotAssertion) -> None:
    glass = lived.look(columns, *READING[screen])
    assert known(glass) == snapshot
    whole = (".jessy/store", "CATEGORY philosophicallong", "classDef")  # a path, and texts in languages of their own
    assert [line for line in glass.too_wide() if not any(word in line for word in whole)] == []


MADE = {
    "check of a recipe with too few rows": ["check", "tiny.jessy"],
    "check of a recipe with mistakes": ["check", "broken.jessy"],
    "check of rows that are not asked for": ["check", "more.jessy"],
    "doctor": ["doctor"],
    "init from rows": ["init", "new", "--from", "faq.csv", "--yes"],
    "init of a persona": ["init", "persona", "--yes"],
    "data import": ["data", "import", "faq.csv", "--into", "imported"],
    "data lint": ["data", "lint", "seeds"],
    "data show": ["data", "show", "own", "-n", "3"],
    "data stats": ["data", "stats", "own"],
    "eval": ["eval", "tiny-companion:candidate"],
    "compare of two runs": ["compare", "1", "2"],
    "export": ["export", "tiny-companion", "--as", "gguf"],
    "import": ["import", "Modelfile", "--output", "other.jessy"],
}


@pytest.fixture
def furnished(lived: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The same project, with what other commands read in it, a machine that is always the same, and an export that takes no time."""
    furnish(lived.root, monkeypatch)
    yield lived
    for name in ("new", "persona", "imported", "other.jessy"):
        clear(lived.root / name)


@COLUMNS
@pytest.mark.parametrize("screen", MADE)
def test_a_command_that_makes_or_measures(
    screen: str, columns: int, furnished: World, snapshot: SnapshotAssertion
) -> None:
    """Half of these were folded nowhere: at 60 columns the terminal cut their words."""
    glass = furnished.look(columns, *MADE[screen])
    assert known(glass) == snapshot
    pasted = ("next: llama-cli", "wrote ")  # a command, a path
    assert [line for line in glass.too_wide() if not line.startswith(pasted)] == []


def test_every_run_has_one_line_with_its_figures(lived: World) -> None:
    """The line of a run listed all its steps and none of its figures: it was 252 columns wide."""
    said = lived.look(80, "history").lines()
    assert len(said) == 3
    assert re.match(r"run 1  promoted +just now  15m  15 steps  turkish_accuracy 83.3%", said[2])
    assert re.match(r"run 2  not promoted  just now  15m  8 steps   turkish_accuracy 0%", said[1])
    assert "training stopped after update 6 o" in said[0]


def test_a_stopped_run_says_what_is_kept_and_whose_figures_stand_there(lived: World) -> None:
    """After a stop `status` showed the figures of the run before as its own, and "ran nothing" of six saved updates."""
    said = "\n".join(lived.look(120, "status").lines())
    assert "after update 6 of 54; it is saved" in said
    assert "run 2 has measured of its candidate, which is not promoted" in said
    assert "go on     jessy apply tiny.jessy" in said
    assert "ask it    jessy chat tiny-companion" in said
    assert ".jessy/runs/2/report.html" in said


def test_two_runs_are_compared_with_places_intervals_and_reports(lived: World) -> None:
    """Every source was `(default)` or `(measured)`, a stopped run was refused, and no interval and no loss stood there."""
    said = "\n".join(lived.look(120, "diff", "1", "2").lines())
    assert re.search(r"rank +16 -> 8 +tiny.jessy:28", said)
    assert re.search(r"learning_rate +1e-4 -> 2e-4 +tiny.jessy:33", said)
    assert re.search(r"turkish_accuracy +\+0 -5, -100 to -50 points, p = 0.062", said)
    assert said.count("report.html") == 2
    said = "\n".join(lived.look(120, "diff", "2", "3").lines())
    assert re.search(r"rank +8 -> 4 +tiny.jessy:28", said)
    assert "train, update 6: loss 1.467 -> 1.467" in said


def test_a_recipe_tells_where_a_line_stands_only_if_it_is_another_file(lived: World) -> None:
    """Every line of a recipe that extends nothing ended in its own file's name."""
    (lived.root / "more.jessy").write_text('JESSY 1\nEXTENDS "tiny.jessy"\nNAME more\n', "utf-8")
    said = lived.look(120, "show", "more.jessy").lines()
    assert "  rank 4  # from tiny.jessy:28" in said
    assert "NAME   more" in [line.rstrip() for line in said]
    assert "from tiny" not in "\n".join(lived.look(120, "show", "tiny.jessy").lines())
    assert "  rank 4  # from tiny.jessy:28" in lived.look(120, "show", "tiny.jessy", "--origin").lines()
    (lived.root / "more.jessy").unlink()


@COLUMNS
def test_the_lines_of_a_watch(columns: int, snapshot: SnapshotAssertion) -> None:
    """A change in a few words pushed the progress off the screen, and the last key with it."""
    machine = Machine()
    long = "learning_rate 2e-4, SYSTEM, TOPIC greetings 40, CATEGORY turkish 190 and 3 more"
    machine.saved(Revision("906d" * 16, "retrain", long, "14:02"), 0)
    at = ShownStep("train", 212, 337, 840.0)
    shown = [lines(machine, "recipes/jessy-270m.jessy", 31, at, 1, columns)]
    machine.saved(Revision("81bd" * 16, "retrain", long, "14:05"), 2)
    shown.append(lines(machine, "recipes/jessy-270m.jessy", 31, at, 2, columns))
    machine.key("p", 3)
    shown.append(lines(machine, "recipes/jessy-270m.jessy", 31, None, 3, columns))
    assert "\n".join("\n".join(pair) for pair in shown) == snapshot
    assert all(len(line) <= columns for pair in shown for line in pair)
    assert all("train 212/337 · 14m left" in first for first, _ in shown[:2])
    assert shown[1][1].endswith("r restart now  s skip  p pause  q quit")


@COLUMNS
def test_the_live_lines(columns: int, snapshot: SnapshotAssertion) -> None:
    """The time left was what a narrow terminal cut, and before the first update there was an empty bar alone."""
    now = [100.0]
    glass = Glass(columns)
    drawn = LiveLines(Console(file=glass, width=columns, force_terminal=True), lambda: now[0])
    drawn.live.auto_refresh = False
    frames = []

    def frame() -> None:
        drawn.live.refresh()
        frames.append(re.sub("[⠀-⣿]", "*", "\n".join(glass.lines()[-2:])))

    drawn.live.start()
    step = drawn.begin("data.philosophicallong", "Questions that nobody has answered", (3, 15))
    now[0] += 7
    frame()
    step = drawn.begin("train", "train the adapter", (6, 15))
    step.update(0, 54, text="compiling the first update")
    now[0] += 20
    frame()
    for update in (1, 2, 3):
        step.update(update, 54, text=f"loss {8.8 / update:.3f} · rate 8.7e-05 · 18 tokens/s · 3.1 GB · CPU 88%")
        now[0] += 12
    frame()
    drawn.stop()
    frame()
    step = drawn.begin("baseline", "answer every suite with the base model", (12, 15))
    for case in range(79):
        step.update(case, 160, text="blk.5.post_feed_forward_norm.weight.of.a.very.long.name")
        now[0] += 1
    frame()
    drawn.live.stop()
    assert "\n\n".join(frames) == snapshot
    assert "3/54 · 10m left · loss 2.933" in frames[2]
    assert "79 · 1m left" in frames[4].replace("78/160", "79")
    assert glass.lines() == [""]


def test_a_pace_begins_anew_where_another_thing_is_counted() -> None:
    """A model was written in 7 parts from 0 on, then questions were counted from 0: `-0.074/s` stood on the screen."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    for done in (0, 3, 7):
        now[0] += 1
        pace.reach(done, 7)
    now[0] += 1
    pace.reach(0, 12)
    assert (pace.rate, pace.left) == (None, None)
    for done in (1, 2):
        now[0] += 10
        pace.reach(done, 12)
    assert pace.rate == 0.1


def test_a_pace_leaves_out_what_came_before_the_first_unit() -> None:
    """Twenty seconds of compiling made of a training of two minutes one of half an hour."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    for done, moment in ((6, 0.0), (7, 20.0), (8, 22.0), (9, 24.0)):
        now[0] = moment
        pace.reach(done, 54)
    assert pace.rate == 0.5
    assert pace.left == 90
    now[0] += 10
    assert pace.left == 80
    pace.reach(0, 3)
    assert pace.left is None
    assert Pace().left is None


def test_lines_are_folded_at_words_and_commands_stay_whole() -> None:
    command = "Nothing was started. To run it: jessy apply tiny.jessy --set lora.rank=8 --set train.epochs=2"
    assert folded(command, 40)[-1].strip() == "jessy apply tiny.jessy --set lora.rank=8 --set train.epochs=2"
    assert folded("a measured 83.3% [43.6%, 97%] n=6", 20) == ["a measured", "  83.3% [43.6%, 97%] n=6"]
    assert folded(command, None) == [command]
    assert folded("", 10) == [""]
    assert shortened("çok uzun bir söz", 8) == "çok uzu…"
    assert shortened("日本語日本語", 6) == "日本…"
    assert table([("a", "b c d e f"), ("long", "x")], 12) == ["  a     b c", "      d e f", "  long  x"]
