"""What a step is: a pure function from parameters, files and earlier outputs to a folder of files.

A step never learns where it lies in the store. It is given folders to read (`StepContext.inputs`), an empty folder to
fill (`output`) and a folder that survives an interruption (`work`). What it returns are *facts* (`results.facts`):
small values that the plan, the status and the report show without opening the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jessyfile.errors import Stop as Stop
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.forecast import Between
    from jessyfile.planning.preflight import Finding, Outlook
    from jessyfile.results.facts import Facts

Json = Any  # JSON values: None, bool, int, float, str, lists and string-keyed mappings of them
F = TypeVar("F", bound="Facts")


class Progress(Protocol):
    """Where a step says how far it is; the command line draws it, a test may ignore it."""

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Say how much of the step's work is done, in the step's own unit, and what it is at."""

    def note(self, text: str) -> None:
        """Say one line that stays on the screen."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What one run of a step is given.

    `name` is the step's own. `inputs` maps each input step's name to its verified output folder (read only). `facts`
    maps it to the record of what it returned, which `facts_of` reads. `work` keeps partial results (checkpoints,
    caches) of exactly this fingerprint until the step is done. `replaced` says that the user asked for this run with
    `--replace`. `log` is the run's own folder, where a step may leave what is no part of its result; None without a run.
    """

    recipe: Recipe
    root: Path
    output: Path
    work: Path
    inputs: Mapping[str, Path]
    facts: Mapping[str, Record]
    progress: Progress
    stop: Stop
    name: str = ""
    replaced: bool = False
    log: Path | None = None

    @property
    def adapter(self) -> Path:
        """The folder of the adapter that the last training left: that of `prefer` where the recipe has preferences."""
        return self.inputs["prefer" if "prefer" in self.inputs else "train"]

    def facts_of(self, step: str, kind: type[F]) -> F:
        """Return what an input step has said of its result. Raises StateError when its record does not fit."""
        return read_as(kind, self.facts[step], f"the record of `{step}`")


def no_files(recipe: Recipe, root: Path) -> Sequence[Path]:  # noqa: ARG001 (what `Step.files` is called with)
    """Return nothing: the files of a step that reads none besides its inputs."""
    return ()


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the graph that a recipe compiles into.

    name     as the plan prints it, for example `data.turkish` or `train`
    title    one line for people
    inputs   names of the steps whose outputs it reads
    reads    addresses of the recipe it reads, as patterns: `lora.*`, `system`, `dataset.category.turkish.*`
    files    files it reads besides, found from the recipe (seeds, templates, suites); hashed by content
    run      fills `context.output`, returns facts
    version  raised when the same inputs give other bytes than before
    resumable  whether `work` holds checkpoints worth keeping after an interruption
    units    how much work a run would be, in the step's own unit (rows, tokens), from the recipe, the root and the
             facts of those inputs that stay as they are; the forecast scales with it
    estimate  between how many seconds a run takes by sizes alone, None where they are not known: told until one was measured
    timed_as  under which name its runs are timed, where another step of its name does other work; else its own
    peak     about how many bytes of memory a run needs at its peak, by sizes alone; None where they are not known.
             Earlier runs on this machine correct it
    smaller  says in words what would bring the peak down to a share of itself
    still_in_effect  for a step whose effect lies outside the store (a registered model): whether that effect is
             still there, asked by the plan with the facts of its last run; None for a pure step
    preflight  yields what is known to be wrong before any step runs, or raises it; None: there is nothing to know
    about    yields what a plan says of it whether it runs or not: notes for the plan's top, and warnings
    disk     about how many bytes a run will leave on the project's disk, as far as that is known
    resolved  values that this machine decides, by the address of what the recipe says: they count in its place
    """

    name: str
    title: str
    run: Callable[[StepContext], Facts]
    inputs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    files: Callable[[Recipe, Path], Sequence[Path]] = no_files
    version: int = 1
    resumable: bool = False
    still_in_effect: Callable[[Recipe, Path, Record, bool], bool] | None = None
    preflight: Callable[[Outlook], Iterable[Finding]] | None = None
    about: Callable[[Outlook], Iterable[Finding]] | None = None
    disk: Callable[[Outlook], int] | None = None
    units: Callable[[Recipe, Path, Mapping[str, Record]], float | None] | None = None
    estimate: Callable[[Outlook], Between | None] | None = None
    timed_as: str | None = None
    resolved: Callable[[Recipe], Mapping[str, str]] | None = None
    peak: Callable[[Outlook], int | None] | None = None
    smaller: Callable[[Outlook, float], str] | None = None
