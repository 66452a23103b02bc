"""A stored result of the real pipeline that is damaged in whatever way is found before it is used, and made anew or
named.

The default run damages a file of every object in one way, `make stress` every file in every way; JESSY_TURN=n chooses
others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import disk
import pytest
import real_world as world

from jessyfile.errors import DamagedError, StateError
from jessyfile.planning import store as store_module
from jessyfile.planning.maintenance import check, repair
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.store import Store
from jessyfile.project import state_file

TURN = int(os.environ.get("JESSY_TURN", "0"))


def flip_a_bit(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(path: Path, other: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def fill_with_zeros(path: Path, other: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def delete(path: Path, other: Path) -> None:
    path.unlink()


def add_a_file(path: Path, other: Path) -> None:
    (path.parent / "stray").write_bytes(b"x")


DAMAGES = (flip_a_bit, truncate, fill_with_zeros, swap, delete, add_a_file)


@dataclass(frozen=True)
class Stored:
    """A project that was applied, what that made, and each step's object."""

    tree: disk.Tree
    expected: dict[str, str]
    objects: dict[str, str]

    def restored(self, folder: Path) -> Path:
        return self.tree.restore(folder)

    def files(self, root: Path, step: str) -> list[Path]:
        folder = root / ".jessy" / "store" / self.objects[step]
        return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def stored(applied: Path) -> Stored:
    result = world.apply(applied)
    objects = {step.name: step.object for step in result.steps}
    return Stored(disk.Camera(applied).take(), world.made(result), objects)


@pytest.fixture
def root(stored: Stored, tmp_path: Path) -> Path:
    return stored.restored(tmp_path / "project")


def own_bytes(path: Path) -> None:
    """Give a file bytes of its own that may be changed, as a copy of the project on another disk has."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def hurt(stored: Stored, root: Path, step: str, number: int, damage) -> None:
    files = stored.files(root, step)
    victim = files[number % len(files)]
    own_bytes(victim)
    damage(victim, next(path for path in stored.files(root, "base") if path != victim))


def readers(root: Path, step: str) -> tuple[str, ...]:
    """Return the steps that read a step's object; the step itself when nothing does."""
    return tuple(one.name for one in world.compiled(root)[1] if step in one.inputs) or (step,)


def survive(damages: Iterable[tuple[str, int, object]], stored: Stored, tmp_path: Path) -> None:
    for step, number, damage in damages:
        root = stored.restored(tmp_path / "damaged")
        hurt(stored, root, step, number, damage)
        try:
            assert [entry.name for entry in check(root)] == [stored.objects[step]]
            result = world.apply(root, Selection(replace=readers(root, step)))
            assert world.made(result) == stored.expected
            world.is_intact(root, (stored.expected["gguf/model.gguf"],))
            assert world.changes(root) == []
        except BaseException:
            print("damaged", step, number, damage)
            raise
        shutil.rmtree(root)


@pytest.mark.parametrize("small", [1 << 20, 0], ids=["small files", "big files"])
def test_damage_is_found_before_use(small, stored, tmp_path, monkeypatch):
    """`big files` plans by size only: the damage then shows when a step is about to read the object."""
    monkeypatch.setattr(store_module, "SMALL", small)
    turn = TURN + 3 * (small == 0)
    points = [(step, turn, DAMAGES[(turn + i) % len(DAMAGES)]) for i, step in enumerate(stored.objects)]
    survive(points[turn % 2 :: 2], stored, tmp_path)


@pytest.mark.stress
@pytest.mark.parametrize("small", [1 << 20, 0], ids=["small files", "big files"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_anywhere_is_found_before_use(damage, small, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SMALL", small)
    root = stored.restored(tmp_path / "counted")
    counts = {step: len(stored.files(root, step)) for step in stored.objects}
    survive([(step, i, damage) for step, count in counts.items() for i in range(count)], stored, tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_fsck_names_what_is_damaged_and_repair_lets_apply_make_it_anew(damage, stored, root):
    victim = next(path for path in stored.files(root, "gguf") if path.name == "model.gguf")
    own_bytes(victim)
    damage(victim, stored.files(root, "train")[0])
    found = check(root)
    assert [entry.name for entry in found] == [stored.objects["gguf"]]
    repair(root, found)
    assert check(root) == []
    recipe, steps = world.compiled(root)
    plan = make_plan(recipe, root, steps)
    assert {step.name: [r.kind for r in step.reasons] for step in plan.steps if step.cause}["gguf"] == ["lost"]
    assert world.made(world.apply(root)) == stored.expected


def test_a_damaged_object_is_never_handed_out(stored, root):
    victim = next(path for path in stored.files(root, "train") if path.name == "adapters.safetensors")
    own_bytes(victim)
    flip_a_bit(victim, victim)
    with pytest.raises(DamagedError, match=r"adapters\.safetensors has other bytes"):
        Store(root).verified(stored.objects["train"])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, fill_with_zeros])
def test_a_damaged_record_of_a_run_counts_as_forgotten(damage, stored, root):
    """A record names an object by its hash: one that is not as written is not believed, and its step runs again."""
    for record in sorted((root / ".jessy" / "actions").rglob("*.json")):
        damage(record, record)
    assert world.changes(root) == list(stored.objects)
    assert world.made(world.apply(root)) == stored.expected


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, fill_with_zeros])
def test_a_damaged_state_is_named_and_left_alone(damage, root):
    path = state_file(root, "tiny")
    damage(path, path)
    before = path.read_bytes()
    with pytest.raises(StateError, match="damaged") as caught:
        world.changes(root)
    assert "remove it" in (caught.value.hint or "")
    assert path.read_bytes() == before


def test_a_state_removed_costs_nothing_but_the_old_values(root):
    state_file(root, "tiny").unlink()
    assert world.changes(root) == []


def test_a_newer_state_is_refused_by_plan_and_apply_and_not_written(root):
    path = state_file(root, "tiny")
    newer = path.read_text().replace('"version": 3', '"version": 4')
    path.write_text(newer)
    for act in (world.changes, world.apply):
        with pytest.raises(StateError, match="newer jessy"):
            act(root)
    assert path.read_text() == newer


def test_a_link_out_of_the_store_is_no_file_of_an_object(stored, root, tmp_path):
    """A link planted in the store must not make jessy read or keep what lies elsewhere."""
    victim = next(path for path in stored.files(root, "train") if path.name == "adapters.safetensors")
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_bytes(victim.read_bytes())
    victim.unlink()
    os.symlink(elsewhere, victim)
    assert Store(root).damage(stored.objects["train"]) is not None
