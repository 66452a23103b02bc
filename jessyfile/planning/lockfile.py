"""The committed text beside a recipe that says what its model was made of: `recipes/v2.lock`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.language.model_names import tuning_of
from jessyfile.planning.store import Store
from jessyfile.results.facts import BaseFacts, JudgeFacts
from jessyfile.results.outcome import Unit
from jessyfile.user_files import read_plain, refuse_foreign, write_own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult, StepResult

_MARK = "written by `jessy apply`, meant to be committed"
_GGUF = re.compile(r"gguf\s.*sha256:([0-9a-f]{64})$")
_CRITERION = re.compile(
    r"(?:must|should|may)\s+(?P<claim>(?P<metric>\S+) .+?)  "
    r"(?P<measured>(?P<value>\S+)(?: \[(?P<low>\S+), (?P<high>\S+)\])? n=(?P<n>\d+))  (?:pass|fail)(?:  \(.*\))?$"
)
_MADE = (
    ("base", "base"),
    ("dataset", "dataset"),
    ("index", "index"),
    ("preferences", "compared"),
    ("train", "adapter"),
    ("prefer", "preferred"),
    ("gguf", "gguf"),
    ("modelfile", "modelfile"),
)


def lock_place(recipe: Recipe, variant: str | None) -> Path:
    """Return where a recipe's lock file lies.

    Raises ProjectError when a file that jessy did not write stands there, as the `poetry.lock` beside a
    `poetry.jessy`.
    """
    stem = f"{recipe.path.stem}.{variant}" if variant else recipe.path.stem
    path = recipe.path.with_name(f"{stem}.lock")
    refuse_foreign(path, _is_lock)
    return path


def write_lock(recipe: Recipe, root: Path, result: RunResult, *, variant: str | None = None) -> Path:
    """Write the lock file of a whole run; the same results give the same text.

    Args:
        recipe: the recipe that was applied.
        root: the project's root folder.
        result: what the run made.
        variant: the VARIANT that was applied; it is part of the file's name.

    Returns:
        The path of the lock file.

    Raises:
        ProjectError: another file stands in its place.
    """
    path = lock_place(recipe, variant)
    head = f"# what {recipe.path.name} was made into; {_MARK}"
    text = "\n".join([head, *_lines(recipe, root, result)]) + "\n"
    data = text.encode("utf-8", "surrogatepass")
    if not path.exists() or read_plain(path) != data:
        write_own(path, data, _is_lock)
    return path


@dataclass(frozen=True, slots=True)
class LockedScore:
    """What a lock file says of one criterion: how many were measured, and the value with its interval as it is written."""

    metric: str
    claim: str
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    n: int
    measured: str


@dataclass(frozen=True, slots=True)
class Lock:
    """The scores of a lock file, and the digest of the file that they are of (empty where it says none)."""

    digest: str
    scores: tuple[LockedScore, ...]


def read_lock(recipe: Recipe, variant: str | None = None) -> Lock | None:
    """Return what stands in a recipe's lock file, None when there is none. Raises ProjectError when another file is there."""
    path = lock_place(recipe, variant)
    try:
        lines = read_plain(path).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return None
    gguf = next((found[1] for line in lines if (found := _GGUF.match(line))), "")
    return Lock(gguf, tuple(_score(found) for line in lines if (found := _CRITERION.match(line))))


def _score(found: re.Match[str]) -> LockedScore:
    unit: Unit = "seconds" if found["value"].endswith("s") else "share"
    value, low, high = (_number(found[part]) for part in ("value", "low", "high"))
    return LockedScore(found["metric"], found["claim"], unit, value, low, high, int(found["n"]), found["measured"])


def _number(text: str | None) -> float | None:
    if text in (None, "-"):
        return None
    return float(text[:-1]) / 100 if text.endswith("%") else float(text.removesuffix("s"))


def _is_lock(data: bytes) -> bool:
    return data.startswith(b"# what ") and data.partition(b"\n")[0].rstrip().endswith(_MARK.encode())


def _lines(recipe: Recipe, root: Path, result: RunResult) -> Iterator[str]:
    yield f"name       {recipe.name}"
    yield f"from       {recipe.base}"
    if (base := result.facts_of("base", BaseFacts)) is not None:
        tuning = tuning_of(recipe.base)
        yield f"weights    {tuning + ', ' if tuning else ''}{base.source}  {base.digest}"
        if recipe.adapter:
            yield f"with       {recipe.adapter}  {base.adapter}"
    store = Store(root)
    made = (("from", "base"), ("base", "start"), *_MADE[1:]) if recipe.adapter else _MADE
    for name, label in made:
        step = result.step(name)
        if step is not None:
            yield f"{label:<10} {_biggest(store, step)}"
    yield f"promoted   {'no: ' + result.withheld if result.withheld is not None else 'yes'}"
    judge = result.facts_of("judge", JudgeFacts)
    for one in judge.criteria if judge else ():
        beside = ", ".join(judge.compared(one.criterion.metric, one.unit)) if judge and judge.beside else ""
        yield f"{one.criterion.rank:<10} {one.claim}  {one.measured}  {one.verdict}" + (
            f"  ({beside})" if beside else ""
        )


def _biggest(store: Store, step: StepResult) -> str:
    """Return the result's id, and name and hash of its biggest file, which `sha256sum` can check."""
    entries = store.entries(step.object)
    if not entries:
        return step.object
    big = max(entries, key=lambda entry: (entry.size, entry.name))
    return f"{step.object}  {big.name} sha256:{big.sha256}"
