"""A watch on a real recipe in a real folder, whose jobs are a tiny pipeline in a process of its own.

Run as a program it is jessy over that pipeline: `python watch_world.py apply plan.json --json`, `... watch tiny.jessy`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jessyfile import fsops
from jessyfile.errors import Interrupted
from jessyfile.planning.command_line import Call
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.facts import Facts
from jessyfile.watch.session import Session

RECIPE = """JESSY 1

NAME tiny
FROM gemma3:270m-pt

SYSTEM "Be kind."

DATASET {
  CATEGORY talk 3 "Talk" {
    language tr
    level    low
    TOPIC hello 3
  }
}

COMPLEXITY {
  LEVEL low 1-2 iterations within 5s
}

LORA {
  rank 16
}

EXPORT gguf {
  quantize q8_0
}

WATCH {
  debounce 100ms
}
"""
SEEDS = ("data/seeds/talk/hello.jsonl",)


def tiny_steps(recipe: object, hosts: object = None) -> tuple[Step, ...]:
    """Return data, train, modelfile and promote, of which `train` waits while a file called `hold` stands in the
    root."""
    return (
        Step("data.talk", "rows", _data, files=lambda recipe, root: [root / name for name in SEEDS]),
        Step("train", "train", _train, ("data.talk",), ("lora.*",), resumable=True),
        Step("modelfile", "modelfile", _digest, ("train",), ("system", "parameter.*")),
        Step("promote", "promote", _promote, ("modelfile",)),
    )


def _data(context: StepContext) -> Facts:
    text = "".join((context.root / name).read_text() for name in SEEDS)
    fsops.write_text(context.output / "rows.txt", text)
    return {}


def _train(context: StepContext) -> Facts:
    note(context.root, "train started")
    while (context.root / "hold").exists():
        if context.stop.requested():
            raise Interrupted("stopped")
        # a step of real work would take this long
        time.sleep(0.01)
    return _digest(context)


def _digest(context: StepContext) -> Facts:
    parts = [context.name, repr(context.recipe.values(("lora.*", "system", "parameter.*")))]
    fsops.write_text(context.output / "out.txt", hashlib.sha256("".join(parts).encode()).hexdigest())
    return {}


def _promote(context: StepContext) -> Facts:
    _digest(context)
    fail = (context.root / "fail_must").exists()
    return {"promoted": not fail, "reason": "MUST x failed" if fail else ""}


def note(root: Path, text: str) -> None:
    """Leave a line for the test to find."""
    with open(root / "notes.txt", "a") as handle:
        handle.write(f"{text}\n")


def job_command(plan: Path) -> list[str]:
    """Return the command of a job: this file, as a program."""
    return [sys.executable, __file__, "apply", str(plan), "--json"]


class World:
    """A project under watch, and what the watch said."""

    def __init__(self, root: Path, *, steps: object = tiny_steps, **options: object) -> None:
        self.root, self.said, self.drawn = root, [], [["", ""]]
        (root / ".jessy").mkdir()
        self.recipe = root / "recipes" / "tiny.jessy"
        self.recipe.parent.mkdir()
        self.recipe.write_text(RECIPE)
        seed = root / SEEDS[0]
        seed.parent.mkdir(parents=True)
        seed.write_text('{"query": "selam"}\n')
        self.session = Session(
            root,
            Call(str(self.recipe)),
            self.load,
            steps,
            say=self.said.append,
            draw=lambda lines: self.drawn.append(list(lines)),
            **{"command": job_command, **options},
        )
        self.session.look()

    def load(self):
        from jessyfile.commands.watch import load_quietly

        return load_quietly(Call(str(self.recipe)))

    def edit(self, old: str, new: str) -> None:
        """Save the recipe as editors do: a file beside it, renamed over it."""
        text = self.recipe.read_text()
        assert old in text
        beside = self.recipe.with_suffix(".swp")
        beside.write_text(text.replace(old, new))
        os.replace(beside, self.recipe)

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Let the watch run until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (self.said, self.drawn[-1:], self.session.machine)
            self.session.turn(0.05)

    def until_idle(self) -> None:
        """Let the watch run until nothing runs or waits, and what was heard is settled."""
        self.until(lambda: self.session.quiet())

    def linger(self, seconds: float) -> None:
        """Let the watch run for a while, in which nothing is expected to happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.session.turn(0.05)

    def runs(self) -> list[str]:
        """Return the numbers of all runs."""
        folder = self.root / ".jessy" / "runs"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def count(self, word: str) -> int:
        """Return how many of the lines said hold a word."""
        return sum(word in line for line in self.said)


if __name__ == "__main__":
    import jessyfile.pipeline
    from jessyfile import report
    from jessyfile.cli import entry

    jessyfile.pipeline.compile_steps = tiny_steps
    Session.__init__.__kwdefaults__["command"] = job_command
    report.write_report = lambda recipe, root, result: root / "report.html"
    entry()
