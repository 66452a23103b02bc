"""The real pipeline on a tiny real model: the thirteen steps of `compile_steps`, MLX and llama.cpp in a second or two.

Nothing is faked. The base is a random Gemma 3 of six layers as a GGUF, the rows are seeds of the project, the engine is
the embedded one. `fresh` makes a project that was never applied; `edited` changes base, seeds and rank of an applied one,
so that every step runs again while the old model is served.

To add a point: a new step or a new write of a step is met by itself, for the sweeps number whatever calls a run makes.
A new command that writes goes into `test_kill_sweep.py` beside `rollback`: a function of the root handed to `remains`.
What must hold after any kill or fault is in `is_intact` and `recovers`; a new promise about the disk goes there.

As a program (`python real_world.py`) this module is a server of processes to kill: see `Mortal`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "models")]

import disk  # noqa: E402 (the path was just made)

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.plan import Selection
    from jessyfile.planning.run import RunResult
    from jessyfile.planning.steps import Step

RECIPE = """JESSY 1
NAME tiny
FROM "./model.gguf"
SYSTEM "Kısa konuş."
DATASET {
  SEEDS "seeds"
  validation 20%
  markers 0
  CATEGORY turkish 6 "Small talk" {
    language tr
    level low
    TOPIC casual 6
  }
}
LORA {
  rank 4
  alpha 8
  targets q_proj v_proj
}
TRAIN {
  epochs 2
  batch_size 3
  max_length 256
  warmup_steps 1
  checkpoint_every 1
}
EXPORT gguf { quantize q8_0 }
PARAMETER temperature 0
PARAMETER num_ctx 256
PARAMETER num_thread 1
DEPLOY {
  engine embedded
  dotenv ".env" "JESSY_MODEL"
}
EVAL {
  max_tokens 4
  SUITE small "small.jsonl"
  MUST training_time < 60m
}
"""
SAME = ("base", "data.turkish", "dataset", "encode", "train", "merge", "gguf", "modelfile")
_QUESTIONS = (
    "selam naber",
    "bugün ne yapsak",
    "çok yorgunum ya",
    "film önersene",
    "hava nasıl",
    "canım sıkıldı",
    "iyi geceler",
)
_ANSWERS = ("İyiyim, sen nasılsın?", "Yürüyüşe çıkalım mı?", "Biraz dinlen, geçer.", "Komedi izle, gülersin.", "Burada güneşli.",
            "Gel konuşalım biraz.", "İyi geceler, güzel uyu.")  # fmt: skip


def fresh(folder: Path) -> Path:
    """Return a new project that was never applied."""
    (folder / ".jessy").mkdir(parents=True)
    (folder / "seeds" / "turkish").mkdir(parents=True)
    (folder / "tiny.jessy").write_text(RECIPE, encoding="utf-8")
    write_base(folder, seed=0)
    write_seeds(folder, first=0)
    case = {"id": "small-001", "suite": "small", "prompt": "napıyon", "level": "low", "language": "tr",
            "form": [{"check": "length", "max": 400}], "relevance": []}  # fmt: skip
    (folder / "small.jsonl").write_text(json.dumps(case, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def write_base(root: Path, seed: int) -> None:
    from tiny import tiny_model
    from world import context, recipe

    from jessyfile.export.gguf_writer import write_gguf
    from jessyfile.models.base_step import run_base

    tiny_model(root / "folder", seed=seed)
    run = context(root / "made", recipe(root, base=str(root / "folder")))
    run_base(run)
    write_gguf(run.output, root / "model.gguf", "f16", lambda *_: None)
    disk.remove(root / "folder")
    disk.remove(root / "made")


def write_seeds(root: Path, first: int) -> None:
    plain = {
        "complexity": "low",
        "iterations": 1,
        "category": "turkish",
        "topic": "casual",
        "language": "tr",
        "tags": [],
    }
    rows = [
        {"query": _QUESTIONS[i % 7], "response": _ANSWERS[i % 7], **plain, "source": "hand"}
        for i in range(first, first + 6)
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (root / "seeds" / "turkish" / "casual.jsonl").write_text(text, encoding="utf-8")


def edited(root: Path) -> Path:
    """Change what every step depends on."""
    write_base(root, seed=1)
    write_seeds(root, first=1)
    recipe = root / "tiny.jessy"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("rank 4", "rank 6").replace("Kısa", "Açık"), encoding="utf-8"
    )
    return root


def compiled(root: Path) -> tuple[Recipe, tuple[Step, ...]]:
    """Return the project's recipe and its steps; mistakes are raised as a command raises them."""
    from jessyfile.errors import RecipeError
    from jessyfile.language.loading import load_recipe
    from jessyfile.pipeline import compile_steps

    loaded = load_recipe(root / "tiny.jessy")
    if loaded.recipe is None:
        raise RecipeError("; ".join(entry.message for entry in loaded.diagnostics), loaded.diagnostics)
    return loaded.recipe, compile_steps(loaded.recipe)


def apply(root: Path, selection: Selection | None = None, **more: Any) -> RunResult:
    """Apply the project's recipe in this process."""
    from jessyfile.planning.run import apply as apply_steps

    recipe, steps = compiled(root)
    return apply_steps(recipe, root, steps, selection, **more)


def changes(root: Path) -> list[str]:
    """Return the steps that the next apply would run."""
    from jessyfile.planning.plan import make_plan

    recipe, steps = compiled(root)
    return [step.name for step in make_plan(recipe, root, steps).steps if step.runs]


class Where:
    """An observer that knows which step is under way: `begin` before the first, `end` after the last."""

    def __init__(self) -> None:
        self.step = "begin"

    def planned(self, plan: object) -> None: ...

    def started(self, step: Step, number: int, total: int) -> Where:
        self.step = step.name
        return self

    def ended(self, result: Any) -> None:
        self.step = "end" if result.name == "promote" else self.step

    def note(self, text: str) -> None: ...

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None: ...


def made(result: RunResult) -> dict[str, str]:
    """Return what must be equal whatever happened on the way: every file of every step without timings, by hash."""
    return {
        f"{step.name}/{path.relative_to(step.folder)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for step in result.steps
        if step.name in SAME
        for path in sorted(step.folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class Point:
    """A disk call of a run, the step under way, and where in the code it stands."""

    call: disk.Call
    step: str
    place: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Remains(Point):
    """What a kill before one disk call leaves."""

    tree: disk.Tree


P = TypeVar("P", bound=Point)


def some(found: Sequence[P], turn: int) -> list[P]:
    """Return a point of every step and one of every kind of call, others at every turn."""
    chosen: dict[int, P] = {}
    for number, step in enumerate(dict.fromkeys(point.step for point in found)):
        mine = [point for point in found if point.step == step]
        kinds = sorted({point.call.name for point in mine})
        kind = [point for point in mine if point.call.name == kinds[(number + turn) % len(kinds)]]
        point = kind[(turn * 7 + number) % len(kind)]
        chosen[point.call.number] = point
    for missing in sorted({point.call.name for point in found} - {point.call.name for point in chosen.values()}):
        kind = [point for point in found if point.call.name == missing]
        chosen[kind[turn % len(kind)].call.number] = kind[turn % len(kind)]
    return list(chosen.values())


def points(root: Path) -> list[Point]:
    """Apply and return every call that touches the disk, reading ones too."""
    where, found = Where(), list[Point]()
    with disk.watched(root, lambda call: found.append(Point(call, where.step, disk.place())), disk.WRITES + disk.READS):
        apply(root, observer=where)
    return found


def remains(root: Path, run: Callable[[Where], object]) -> list[Remains]:
    """Run once and return what a kill before each of its writing calls leaves, each state of the disk once."""
    where, camera = Where(), disk.Camera(root)
    found: list[Remains] = []

    def keep(call: disk.Call) -> None:
        tree = camera.take()
        if not found or found[-1].tree != tree:
            found.append(Remains(call, where.step, disk.place(), tree))

    with disk.watched(root, keep):
        run(where)
    return found


def shape(tree: disk.Tree) -> list[tuple[str, int]]:
    """Return a tree's names, random parts and hashes as `*`, each with its size; -1 where times and durations make it vary."""
    varies = re.compile(
        r"\.jsonl|log\.txt|result\.json|timings\.json|engine\.json|verdict\.json|lock|/state/|/actions/"
    )
    random = re.compile(r"[0-9a-f]{64}|(?<=\.)[0-9a-f]{12}(?=\.tmp)|(?<=-)[0-9a-f]{20}(?=\.json|$|/)")
    return sorted(
        (random.sub("*", name), -1 if varies.search(name) else len(file.data)) for name, file in tree.files.items()
    )


@dataclass(frozen=True)
class Edited:
    """A project between two applies: its tree, the model that is served, and what an undisturbed apply makes."""

    tree: disk.Tree
    old: str
    expected: dict[str, str]

    @property
    def new(self) -> str:
        return self.expected["gguf/model.gguf"]


def litter(root: Path) -> list[str]:
    """Return what no apply would ever remove: staging folders, half-written files, finished work."""
    store = [path.name for path in (root / ".jessy" / "store").iterdir() if path.name.startswith(".")]
    work = [path.name for path in (root / ".jessy" / "work").glob("*")]
    return store + work + [path.name for path in root.rglob("*.tmp")]


def served(root: Path) -> dict[str, str]:
    """Return the hash of the file behind each registered tag, hashed now. Fails when a registration has no such file."""
    from jessyfile.export.registry import lookup

    found = {}
    for tag in ("candidate", "latest", "previous"):
        entry = lookup(root, "tiny", tag)
        if entry is not None:
            digest = hashlib.sha256(Path(entry.gguf).read_bytes()).hexdigest()
            assert digest == entry.digest, tag
            found[tag] = digest
    return found


def is_intact(root: Path, latest: tuple[str, ...]) -> None:
    """Fail unless everything that a kill or a fault left can be used: store and state whole, one of the models served."""
    from jessyfile.planning.maintenance import check

    assert check(root) == []
    assert served(root).get("latest", "") in latest
    dotenv = root / ".env"
    assert not dotenv.exists() or dotenv.read_text() == "JESSY_MODEL=tiny:latest\n"


def recovers(root: Path, expected: dict[str, str]) -> None:
    """Fail unless the same command ends, with the bytes of an undisturbed run, and leaves nothing behind."""
    from jessyfile.planning.maintenance import check

    result = apply(root)
    assert result.exit_code == 0
    assert made(result) == expected
    assert served(root)["latest"] == expected["gguf/model.gguf"]
    assert check(root) == []
    assert changes(root) == []
    assert litter(root) == []


# processes that are really killed ------------------------------------------------------------------------------------


class Mortal:
    """A process that has imported everything and run nothing: it forks one that applies and dies at a disk call.

    A fork of the test's own process would hang: MLX's and lingua's threads do not survive it.
    """

    def __enter__(self) -> Self:
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.server.communicate()

    def apply(self, root: Path, number: int) -> int:
        """Apply in a process that kills itself before its `number`-th writing call; return how it ended."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps([str(root), number]) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


def _serve() -> None:
    from jessyfile.models.accelerate import prepare

    prepare()  # before MLX, as in the test's process: another BLAS gives other bits
    import mlx.core
    import mlx_lm.utils
    import numpy as np
    import xllamacpp

    import jessyfile.planning.run

    assert all((mlx.core, mlx_lm.utils, np, xllamacpp, jessyfile.planning.run))
    for line in sys.stdin:
        root, number = json.loads(line)
        print(in_child(lambda root=root, number=number: _apply_and_die(Path(root), number)), flush=True)


def _apply_and_die(root: Path, number: int) -> int:
    def die(call: disk.Call) -> None:
        if call.number == number:
            os.kill(os.getpid(), signal.SIGKILL)

    with disk.watched(root, die):
        return apply(root).exit_code


def in_child(work: Callable[[], int]) -> int:
    """Run in a forked process; return its exit code, or minus the signal that ended it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    _serve()
