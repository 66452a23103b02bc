"""The committed text beside a recipe that says what its model was made of: `recipes/v2.lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.planning.store import Store
from jessyfile.results.facts import JudgeFacts
from jessyfile.user_files import read_plain, refuse_foreign, write_own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult, StepResult

_MARK = "written by `jessy apply`, meant to be committed"
_MADE = (("base", "base"), ("dataset", "dataset"), ("train", "adapter"), ("gguf", "gguf"), ("modelfile", "modelfile"))


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


def _is_lock(data: bytes) -> bool:
    return data.startswith(b"# what ") and data.partition(b"\n")[0].rstrip().endswith(_MARK.encode())


def _lines(recipe: Recipe, root: Path, result: RunResult) -> Iterator[str]:
    yield f"name       {recipe.name}"
    yield f"from       {recipe.base}"
    store = Store(root)
    for name, label in _MADE:
        step = result.step(name)
        if step is not None:
            yield f"{label:<10} {_biggest(store, step)}"
    yield f"promoted   {'no: ' + result.withheld if result.withheld is not None else 'yes'}"
    judge = result.facts_of("judge", JudgeFacts)
    for one in judge.criteria if judge else ():
        yield f"{one.criterion.rank:<10} {one.claim}  {one.measured}  {one.verdict}"


def _biggest(store: Store, step: StepResult) -> str:
    """Return the result's id, and name and hash of its biggest file, which `sha256sum` can check."""
    entries = store.entries(step.object)
    if not entries:
        return step.object
    big = max(entries, key=lambda entry: (entry.size, entry.name))
    return f"{step.object}  {big.name} sha256:{big.sha256}"
