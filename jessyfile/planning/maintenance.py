"""Maintenance of the store: `gc` limits its size, `fsck` verifies it. Both run under the project's lock."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from jessyfile import fsops
from jessyfile.errors import StateError
from jessyfile.planning.actions import Actions
from jessyfile.planning.plan import work_place
from jessyfile.planning.runs import all_runs
from jessyfile.planning.state import load_state, state_names
from jessyfile.planning.store import Store
from jessyfile.project import jessy_folder, work_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Removed:
    """What `gc` removed, or would remove: objects, interrupted work, and the bytes of both; and how many objects
    stay."""

    objects: tuple[str, ...]
    work: tuple[str, ...]
    freed: int
    kept: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written: an object's id, or a state's name, and what is wrong with it."""

    kind: str
    name: str
    problem: str


def collect(
    root: Path, *, keep: int, held: Collection[str] = (), interrupted: bool = False, dry: bool = False
) -> Removed:
    """Remove results that nothing needs.

    Args:
        root: the project's root; the caller holds its lock.
        keep: how many of the last runs keep their results, besides every state.
        held: objects that registered models are served from.
        interrupted: whether the saved work of interrupted runs goes too; they then start anew.
        dry: remove nothing (a dry run).

    Returns:
        What was removed, or would be.

    Raises:
        StateError: a state cannot be read; what it needs is then unknown, and nothing is removed.
    """
    with fsops.disk_errors(root):
        return _collect(root, keep, held, interrupted, dry)


def _collect(root: Path, keep: int, held: Collection[str], interrupted: bool, dry: bool) -> Removed:
    store, actions = Store(root), Actions(root)
    needed = needed_objects(root, keep) | set(held)
    loose = tuple(object_id for object_id in store.objects() if object_id not in needed)
    work = _interrupted(root) if interrupted else _finished_work(root)
    freed = sum(store.size(object_id) for object_id in loose) + sum(_tree_size(path) for path in work)
    kept = sum(1 for _ in store.objects()) - len(loose)
    if not dry:
        sweep(root)
        for object_id in loose:
            store.remove(object_id)
        for path in work:
            fsops.remove_tree(path)
        for action in actions.every():
            if action.object not in needed:
                actions.forget(action)
    return Removed(loose, tuple(path.name for path in work), freed, kept)


def sweep(root: Path, passing: Collection[str] = ()) -> None:
    """Remove what killed processes left half written, and the work of the `passing` steps, which never resume.

    The caller holds the project's lock, so no step is at work.
    """
    Store(root).sweep()
    folder = jessy_folder(root)
    fsops.sweep_temporaries(folder, ".*.tmp")
    for name in ("state", "actions", "runs", "models", "watch", "data"):
        fsops.sweep_temporaries(folder / name)
    for path in _interrupted(root):
        if path.name.rpartition("-")[0] in {quote(step, safe="") for step in passing}:
            fsops.remove_tree(path)


def needed_objects(root: Path, keep: int) -> set[str]:
    """Return every object that a state or one of the last `keep` runs refers to."""
    found = {action.object for name in state_names(root) for action in load_state(root, name).steps.values()}
    for run in all_runs(root)[-keep:] if keep else ():
        found |= {event.object for event in run.events() if event.object}
    return found


def check(root: Path) -> list[Damage]:
    """Read every byte of every object, and every state; return what is wrong, the worst first: states, then objects."""
    store = Store(root)
    with fsops.disk_errors(root):
        states = [Damage("state", name, text) for name in state_names(root) if (text := _state_problem(root, name))]
        return states + [Damage("object", name, text) for name in store.objects() if (text := store.damage(name))]


def repair(root: Path, damage: Collection[Damage]) -> None:
    """Remove damaged objects, so that the next apply makes them anew. States are left for people to decide about."""
    store = Store(root)
    for entry in damage:
        if entry.kind == "object":
            store.remove(entry.name)


def _state_problem(root: Path, name: str) -> str | None:
    try:
        load_state(root, name)
    except StateError as error:
        return f"{error.message}; {error.hint}"
    return None


def _finished_work(root: Path) -> list[Path]:
    """Return the work that killed runs left of steps that have ended since."""
    done = {work_place(root, action.step, action.fingerprint) for action in Actions(root).every()}
    return [path for path in _interrupted(root) if path in done]


def _interrupted(root: Path) -> list[Path]:
    """Return the work folders of interrupted steps."""
    folder = work_folder(root)
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _tree_size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in fsops.files_under(folder))
