"""A stored result that is damaged in whatever way is found before it is used, and made anew or named."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill_world as world

from jessyfile.errors import DamagedError, StateError
from jessyfile.planning import store as store_module
from jessyfile.planning.maintenance import check, repair
from jessyfile.planning.plan import make_plan
from jessyfile.planning.store import Store
from jessyfile.project import state_file


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


def own_bytes(path: Path) -> None:
    """Give a file bytes of its own that may be changed, as a copy of the project on another disk has."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in (root / ".jessy" / "store").rglob("*") if path.is_file())


@pytest.fixture
def applied(tmp_path: Path):
    root, recipe = world.fresh(tmp_path / "applied")
    result = world.run(root, recipe)
    return root, world.bytes_of(result)


@pytest.mark.parametrize("small", [1 << 20, 0], ids=["small files", "big files"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_anywhere_is_found_before_use(damage, small, applied, tmp_path, monkeypatch):
    """`big files` plans by size only: the damage then shows when a step is about to read the object."""
    monkeypatch.setattr(store_module, "SMALL", small)
    source, expected = applied
    for number in range(len(files_of(source))):
        root, recipe = world.copy(source, tmp_path / "damaged")
        files = files_of(root)
        own_bytes(files[number])
        damage(files[number], files[number - 1])
        assert len(check(root)) == 1
        result = world.run(root, recipe, selection=world_selection())
        assert world.bytes_of(result) == {**world.bytes_of(result), **used(expected)}
        shutil.rmtree(root)


def world_selection():
    """Run `gguf` again, so that it reads what `train` made, which reads what `base` and `dataset` made."""
    from jessyfile.planning.plan import Selection

    return Selection(replace=("gguf", "train"))


def used(expected: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in expected.items() if name.startswith(("train/", "gguf/"))}


@pytest.mark.parametrize("damage", DAMAGES)
def test_fsck_names_what_is_damaged_and_repair_lets_apply_make_it_anew(damage, applied):
    root, expected = applied
    victim = next(path for path in files_of(root) if path.name == "model.gguf")
    own_bytes(victim)
    damage(victim, next(path for path in files_of(root) if path.name == "adapter.txt"))
    found = check(root)
    assert [entry.name for entry in found] == [victim.parents[1].name]
    repair(root, found)
    assert check(root) == []
    recipe = world.fake_recipe(root)
    plan = make_plan(recipe, root, world.pipeline())
    assert {step.name: [r.kind for r in step.reasons] for step in plan.steps if step.runs} == {"gguf": ["lost"]}
    assert world.bytes_of(world.run(root, recipe)) == expected


def test_a_damaged_object_is_never_handed_out(applied):
    root, _ = applied
    victim = next(path for path in files_of(root) if path.name == "adapter.txt")
    own_bytes(victim)
    flip_a_bit(victim, victim)
    with pytest.raises(DamagedError, match=r"adapter\.txt has other bytes"):
        Store(root).verified(victim.parents[1].name)


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, fill_with_zeros])
def test_a_damaged_record_of_a_run_counts_as_forgotten(damage, applied):
    """A record names an object by its hash: one that is not as written is not believed, and its step runs again."""
    root, expected = applied
    for record in sorted((root / ".jessy" / "actions").rglob("*.json")):
        damage(record, record)
    recipe = world.fake_recipe(root)
    plan = make_plan(recipe, root, world.pipeline())
    assert all(step.answer == "will" for step in plan.steps)
    assert world.bytes_of(world.run(root, recipe)) == expected


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, fill_with_zeros])
def test_a_damaged_state_is_named_and_left_alone(damage, applied):
    root, _ = applied
    path = state_file(root, "tiny")
    damage(path, path)
    before = path.read_bytes()
    with pytest.raises(StateError, match="damaged") as caught:
        make_plan(world.fake_recipe(root), root, world.pipeline())
    assert "remove it" in (caught.value.hint or "")
    assert path.read_bytes() == before


def test_a_state_removed_costs_nothing_but_the_old_values(applied):
    root, _ = applied
    state_file(root, "tiny").unlink()
    assert not make_plan(world.fake_recipe(root), root, world.pipeline()).changes


def test_a_newer_state_is_refused_by_plan_and_apply_and_not_written(applied):
    root, _ = applied
    path = state_file(root, "tiny")
    newer = path.read_text().replace('"version": 1', '"version": 2')
    path.write_text(newer)
    for act in (
        lambda: make_plan(world.fake_recipe(root), root, world.pipeline()),
        lambda: world.run(root, world.fake_recipe(root)),
    ):
        with pytest.raises(StateError, match="newer jessy"):
            act()
    assert path.read_text() == newer


def test_a_link_out_of_the_store_is_no_file_of_an_object(applied, tmp_path):
    """A link planted in the store must not make jessy read or keep what lies elsewhere."""
    root, _ = applied
    victim = next(path for path in files_of(root) if path.name == "adapter.txt")
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_bytes(victim.read_bytes())
    victim.unlink()
    os.symlink(elsewhere, victim)
    assert Store(root).damage(victim.parents[1].name) is not None
