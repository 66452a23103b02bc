"""The watch through the real file system: saves, touches, checkouts, mistakes, changes during training, budget, lost
folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from watch_world import RECIPE, SEEDS, World


@pytest.fixture
def make(tmp_path):
    worlds = []

    def make(**options) -> World:
        world = World(tmp_path, **options)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        (world.root / "hold").unlink(missing_ok=True)
        world.session.close()


@pytest.fixture
def world(make) -> World:
    """A watch whose first apply is done."""
    world = make()
    world.until_idle()
    assert world.runs() == ["1"]
    return world


def test_three_atomic_saves_are_three_applies_of_the_right_content(world):
    for number, rank in enumerate(("8", "4", "2"), 2):
        world.edit(f"rank {({'8': '16', '4': '8', '2': '4'})[rank]}", f"rank {rank}")
        world.until(lambda number=number: len(world.runs()) == number)
        world.until_idle()
        assert world.count(f"(rank {rank})") == 2
    assert len(world.runs()) == 4


def test_a_touch_a_comment_and_a_save_without_change_are_no_change(world):
    os.utime(world.recipe)
    world.edit("JESSY 1\n", "JESSY 1\n# a thought\n")
    world.recipe.write_text(world.recipe.read_text())
    seed = world.root / SEEDS[0]
    seed.write_text(seed.read_text())
    world.linger(0.6)
    assert world.runs() == ["1"]


def test_a_seed_changed_is_a_change_and_says_which(world):
    (world.root / SEEDS[0]).write_text('{"query": "naber"}\n')
    world.until(lambda: len(world.runs()) == 2)
    world.until_idle()
    assert world.count("hello.jsonl") == 2


def test_a_git_checkout_is_one_change_and_waits_for_gits_lock(world):
    """A checkout writes many files: planning in the middle of one would plan a recipe that nobody wrote."""

    def git(*words: str) -> None:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *who, *words], cwd=world.root, check=True, capture_output=True, env=environment)

    git("init", "-b", "main")
    git("add", "recipes", "data")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    world.edit("rank 16", "rank 8")
    world.until(lambda: len(world.runs()) == 2)
    world.until_idle()
    git("commit", "-am", "two")
    lock = world.root / ".git" / "index.lock"
    lock.touch()
    world.edit("rank 8", "rank 4")
    world.linger(0.5)
    assert len(world.runs()) == 2
    lock.unlink()
    git("checkout", "--force", "main")
    world.linger(0.5)
    world.until_idle()
    assert world.session.machine.running is None
    assert world.count("(rank 4)") == 0


def test_mistakes_are_shown_once_and_the_mended_recipe_applies(world):
    world.edit("rank 16", "rnak 8")
    world.until(lambda: world.count("unknown setting `rnak`") == 1)
    world.recipe.write_text(world.recipe.read_text() + "\n")
    world.linger(0.4)
    assert world.count("unknown setting `rnak`") == 1
    assert world.runs() == ["1"]
    world.edit("rnak 8", "rank 8")
    world.until(lambda: len(world.runs()) == 2)
    world.until_idle()


def test_mistakes_during_training_let_it_go_on(make):
    (world := make()).until_idle()
    (world.root / "hold").touch()
    world.edit("rank 16", "rank 8")
    world.until(lambda: started(world) == 2)
    world.edit("rank 8", "rnak 8")
    world.until(lambda: world.count("unknown setting `rnak`") == 1)
    assert world.session.machine.running is not None
    (world.root / "hold").unlink()
    world.until(lambda: world.count(": done") == 2)


def started(world: World) -> int:
    notes = world.root / "notes.txt"
    return notes.read_text().count("train started") if notes.exists() else 0


def test_a_change_during_training_is_queued_and_the_newest_wins(make):
    (world := make()).until_idle()
    (world.root / "hold").touch()
    world.edit("rank 16", "rank 8")
    world.until(lambda: started(world) == 2)
    world.edit("rank 8", "rank 4")
    world.until(lambda: "queued" in world.drawn[-1][1])
    waiting = world.session.machine.waiting
    world.edit("rank 4", "rank 2")
    world.until(lambda: world.session.machine.waiting not in (None, waiting))
    assert "(rank 8) train" in world.drawn[-1][0]
    (world.root / "hold").unlink()
    world.until(lambda: world.count("(rank 2)") == 2)
    world.until_idle()
    assert world.count("(rank 4)") == 0
    assert started(world) == 3


def test_restart_stops_the_training_and_takes_the_new_values(make):
    (world := make(on_change="restart")).until_idle()
    (world.root / "hold").touch()
    world.edit("rank 16", "rank 8")
    world.until(lambda: started(world) == 2)
    world.edit("rank 8", "rank 4")
    world.until(lambda: started(world) == 3)
    assert world.count("stopped; what it did is kept") == 1
    (world.root / "hold").unlink()
    world.until(lambda: world.count(": done") == 2)


def test_ask_waits_for_r(make):
    (world := make(on_change="ask")).until(lambda: "press r" in world.drawn[-1][1])
    assert world.runs() == []
    world.session.press("r")
    world.until(lambda: world.count(": done") == 1)


def test_a_repackage_runs_without_training(world):
    world.edit('"Be kind."', '"Be short."')
    world.until(lambda: len(world.runs()) == 2)
    world.until_idle()
    assert started(world) == 1


def test_the_budget_holds(make):
    world = make()
    world.edit("debounce 100ms", "debounce 100ms\n  max_retrains 1 per day")
    world.until_idle()
    world.edit("rank 16", "rank 8")
    world.until(lambda: "budget of 1 per day used" in world.drawn[-1][1])
    world.session.press("r")
    world.linger(0.3)
    assert started(world) == 1


def test_a_failed_must_leaves_latest_and_says_so(world):
    (world.root / "fail_must").touch()
    world.edit("rank 16", "rank 8")
    world.until(lambda: world.count("not promoted: MUST x failed; latest stays as it was") == 1)


def test_a_deleted_folder_that_comes_back_is_watched_again(world):
    folder = world.root / "data" / "seeds" / "talk"
    kept = (folder / "hello.jsonl").read_text()
    shutil.rmtree(folder)
    world.until(lambda: len(world.said) > 2)
    folder.mkdir()
    (folder / "hello.jsonl").write_text(kept + '{"query": "naber"}\n')
    world.until(lambda: world.count(": done") == 2)
    (folder / "hello.jsonl").write_text(kept)
    world.linger(0.5)
    world.until_idle()
    (folder / "hello.jsonl").write_text(kept + '{"query": "nasilsin"}\n')
    world.until(lambda: world.count(": done") == 3)


def test_a_deleted_recipe_is_a_mistake_until_it_is_back(world):
    world.recipe.unlink()
    world.until(lambda: len(world.said) > 2)
    world.recipe.write_text(RECIPE.replace("rank 16", "rank 8"))
    world.until(lambda: world.count("(rank 8): done") == 1)


def test_quitting_stops_the_job_and_nothing_is_lost(make):
    world = make()
    (world.root / "hold").touch()
    world.until(lambda: started(world) == 1)
    world.session.press("q")
    world.until(lambda: world.session.ended)
    assert world.count("stopped; what it did is kept") == 1
