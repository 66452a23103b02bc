"""A training killed anywhere goes on to the adapter, byte for byte, of one that nobody killed. `make kills` kills a real model's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from training_kills import Killer, Told, Training, every_death, random_deaths, reference_deaths, spread

sys.path.append(str(Path(__file__).parents[1] / "training"))

import prefer_world
from together import RECIPE, step

UPDATES = 6


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    root = tmp_path_factory.mktemp("kills")
    inputs = step(root, 2).inputs
    with Killer(Training(RECIPE % 2, str(inputs["base"]), str(inputs["encode"])), root) as made:
        yield made


@pytest.fixture(scope="module")
def whole(killer: Killer) -> Told:
    return killer.whole()


def test_a_checkpoint_has_every_kind_of_point_to_die_at(whole: Told) -> None:
    kinds = {death.kind for death in every_death(whole)}
    for kind in (
        "before mkdir of its folder",
        "before open of its optimizer",
        "within the write of its optimizer",
        "before fsync of its optimizer",
        "before replace of its optimizer",
        "before open of its cursor",
        "before replace of its folder",
        "before fsync of its folder",
        "before write of another file",
        "before unlink of an old adapter",
        "before rmdir of a finished folder",
    ):
        assert any(found.startswith(kind) for found in kinds), (kind, kinds)


@pytest.mark.parametrize(
    "kind", ["within the write of its optimizer", "before replace of its folder", "before rmdir of a finished folder"]
)
def test_killed_there_it_goes_on_to_the_same_bytes(kind: str, killer: Killer, whole: Told) -> None:
    death = next(death for death in every_death(whole) if death.kind == kind)
    found = killer.survives(death, whole)
    assert found.same
    assert found.resumed in (UPDATES - 2, UPDATES - 1)


@pytest.mark.stress
def test_killed_anywhere_it_goes_on_to_the_same_bytes(killer: Killer, whole: Told) -> None:
    deaths = [*every_death(whole), *random_deaths(whole, 20, seed=1)]
    assert [found for found in (killer.survives(death, whole) for death in deaths) if not found.same] == []


def test_few_deaths_are_of_many_kinds(whole: Told) -> None:
    deaths = every_death(whole)
    assert len({death.kind for death in spread(deaths, 10)}) == 10


# on preferences ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preferring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    root = tmp_path_factory.mktemp("preferred kills")
    (root / "pairs.jsonl").write_text("", "utf-8")
    inputs = {name: str(folder) for name, folder in prefer_world.prefer_step(root, "kto").inputs.items()}
    recipe = prefer_world.RECIPE % ("kto", 2)
    with Killer(Training(recipe, inputs["base"], "", inputs["train"], inputs["preferences"]), root) as made:
        yield made


@pytest.fixture(scope="module")
def preferred(preferring: Killer) -> Told:
    return preferring.whole()


@pytest.mark.parametrize(
    "where", ["the reference", "within it", "within the write of its optimizer", "before replace of its folder"]
)
def test_a_training_on_preferences_killed_there_goes_on_to_the_same_bytes(
    where: str, preferring: Killer, preferred: Told
) -> None:
    deaths = [*reference_deaths(preferred), *every_death(preferred)]
    assert preferring.survives(next(death for death in deaths if where in death.kind), preferred).same


@pytest.mark.stress
def test_a_training_on_preferences_killed_anywhere_goes_on_to_the_same_bytes(
    preferring: Killer, preferred: Told
) -> None:
    deaths = [*reference_deaths(preferred), *every_death(preferred), *random_deaths(preferred, 20, seed=2)]
    assert len({death.kind for death in deaths}) > 10
    assert [found for found in (preferring.survives(death, preferred) for death in deaths) if not found.same] == []
