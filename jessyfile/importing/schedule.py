"""mlx-lm's learning rate: one number, or `lr_schedule {name, warmup, warmup_init, arguments}` which takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.importing.quote import one_line
from jessyfile.importing.yaml_strict import Tree, YamlValue

if TYPE_CHECKING:
    from jessyfile.importing.from_mlx_lm import MlxLmImport

_KEYS = ("name", "warmup", "warmup_init", "arguments")
_SHAPES = {"cosine_decay": ("cosine", 2), "linear_schedule": ("linear", 1)}


def add_schedule(job: MlxLmImport) -> None:
    """Write learning_rate, warmup_steps and schedule into TRAIN."""
    tree = job.inner("lr_schedule")
    if not tree:
        job.settle(
            "learning_rate", job.number(job.tree, "learning_rate", 1e-5), job.line("learning_rate"), "learning_rate"
        )
        job.draft.add("  schedule constant")
        return
    peak = _peak(job, tree)
    job.settle("learning_rate", peak, job.line("lr_schedule"), "lr_schedule.arguments")
    if "learning_rate" in job.tree and job.number(job.tree, "learning_rate", peak) != peak:
        job.draft.left_out(job.line("learning_rate"), "learning_rate", "lr_schedule takes its place, in mlx-lm too")
    _warmup(job, tree)
    _shape(job, tree)
    for key, entry in tree.items():
        if key not in _KEYS:
            job.draft.left_out(entry.line, f"lr_schedule.{one_line(key)}", "mlx-lm does not read it")


def _arguments(tree: Tree) -> list[float]:
    entry = tree.get("arguments", YamlValue([], 0))
    values = entry.value if isinstance(entry.value, list) else []
    return [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _peak(job: MlxLmImport, tree: Tree) -> float:
    arguments = _arguments(tree)
    if arguments:
        return arguments[0]
    job.draft.note(job.line("lr_schedule"), "lr_schedule has no usable arguments: the learning rate is mlx-lm's 1e-5")
    return 1e-5


def _warmup(job: MlxLmImport, tree: Tree) -> None:
    steps = job.number(tree, "warmup", 0, whole=True)
    line = tree["warmup"].line if "warmup" in tree else 0
    if steps:
        job.settle("warmup_steps", steps, line, "lr_schedule.warmup")
    start = job.number(tree, "warmup_init", 0.0)
    if start:
        job.draft.left_out(tree["warmup_init"].line, f"lr_schedule.warmup_init {start:g}", "jessy warms up from zero")


def _shape(job: MlxLmImport, tree: Tree) -> None:
    entry = tree.get("name", YamlValue("", job.line("lr_schedule")))
    arguments = _arguments(tree)
    if entry.value not in _SHAPES:
        job.draft.left_out(
            entry.line,
            f"lr_schedule.name {one_line(str(entry.value))}",
            "jessy knows cosine, linear and constant",
        )
        return
    word, end_at = _SHAPES[entry.value]
    job.draft.add(f"  schedule {word}")
    line = tree["arguments"].line if "arguments" in tree else entry.line
    end = arguments[end_at] if len(arguments) > end_at else 0.0
    if end:
        job.draft.note(line, f"lr_schedule ends at {end:g}: jessy's {word} schedule ends at zero")
    steps = arguments[3 - end_at] if len(arguments) > 3 - end_at else None
    if steps is not None:
        job.draft.note(line, f"lr_schedule falls for {steps:g} steps: jessy's falls until the training ends")
