"""A stop in any real step is no error: exit 130, the command that goes on, and in the end the same model."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stop_world import World, serving, wait_for

pytestmark = pytest.mark.slow
STEPS = (
    "base", "data.fruit", "dataset", "encode", "train", "merge", "gguf", "modelfile", "parity", "import", "baseline",
    "evaluate", "judge",
)  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OPTIONS = ("--set", "lora.alpha=16")
RESUME = "resume with: jessy apply t.jessy --set lora.alpha=16"


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """A project that was applied without a stop."""
    world = World(tmp_path_factory.mktemp("whole") / "project", server.url)
    assert world.apply(*OPTIONS).end()[0] == 0
    return world


def assert_stopped(code: int, said: str, *, resume: str = RESUME) -> None:
    assert code == 130, said
    assert resume in said
    assert "error" not in said.lower()
    assert "Traceback" not in said


def test_a_stop_in_every_step_ends_in_130_and_in_the_same_model(tmp_path, server, whole):
    world = World(tmp_path, server.url)
    for number, step in enumerate(STEPS):
        apply = world.apply(*OPTIONS)
        assert apply.until(step), step
        apply.send(SIGNALS[number % 3])
        assert_stopped(*apply.end())
        assert apply.events[-1]["event"] == "failed"
        assert apply.events[-1]["code"] == "E130"
    assert world.apply(*OPTIONS).end()[0] == 0
    # the others hold times
    exact = ("base", "data.fruit", "dataset", "encode", "merge", "gguf", "modelfile")
    assert {name: world.objects()[name] for name in exact} == {name: whole.objects()[name] for name in exact}


@pytest.mark.parametrize("model", ["wise", "strict"])
def test_a_server_that_hangs_holds_up_no_stop(tmp_path, server, model):
    """Ctrl-C while the teacher wrote ended in "asks for 10 rows and 6 were found", and a judge's part in a verdict."""
    world = World(tmp_path, server.url)
    server.hanging.add(model)
    for number in SIGNALS:
        count = server.asked.count(model)
        apply = world.apply(*OPTIONS)
        assert apply.until("data.fruit" if model == "wise" else "judge")
        wait_for(lambda count=count: server.asked.count(model) > count)
        start = time.monotonic()
        apply.send(number)
        assert_stopped(*apply.end())
        assert time.monotonic() - start < 20  # the server would have held it for a minute
    server.hanging.clear()
    assert world.apply(*OPTIONS).end()[0] == 0


def test_the_second_stop_ends_at_once(tmp_path, server):
    world = World(tmp_path, server.url)
    server.hanging.add("wise")
    asked = len(server.asked)
    apply = world.apply("--only", "data.fruit")
    wait_for(lambda: len(server.asked) > asked)
    apply.send(signal.SIGINT)
    apply.send(signal.SIGINT)
    assert_stopped(*apply.end(), resume="resume with: jessy apply t.jessy --only data.fruit")
    server.hanging.clear()


def test_a_replace_is_repeated_until_it_is_done(tmp_path, whole):
    """The command that was printed left `--replace` out, and then kept what was to be replaced."""
    world = whole.copied(tmp_path / "project")
    for step, left in (("train", " --replace train"), ("judge", "")):
        apply = world.apply(*OPTIONS, "--replace", "train", "--replace", "judge")
        assert apply.until(step)
        apply.send(signal.SIGTERM)
        assert_stopped(*apply.end(), resume=f"{RESUME}{left} --replace judge\n")


def test_a_server_that_breaks_off_leaves_the_verdict_and_asks_again(tmp_path, server, whole):
    world = whole.copied(tmp_path / "project")
    shutil.rmtree(world.root / ".jessy" / "cache" / "judge")
    recipe = world.root / "t.jessy"
    text = recipe.read_text("utf-8")
    recipe.write_text(text.replace(f"judge strict at {server.url}", "judge strict at http://127.0.0.1:9"), "utf-8")
    for more in (("--replace", "judge"), ()):
        apply = world.apply(*OPTIONS, *more)
        assert apply.until("judge")
        assert apply.end()[0] == 0
