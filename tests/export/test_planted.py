"""Faults that converters really make, planted where `jessy verify` must find and name them, and what must not alarm it."""

import os
from functools import cache

import pytest
from planted import set_a, set_b
from planted.key import KEY
from planted.measure import measured
from planted.scene import scenes
from planted.trial import tried, unsealed

SETS = {"a": set_a, "b": set_b}
NAMES = {name: list(scenes(module).values()) for name, module in SETS.items()}


def scene(name):
    """Return a scene's parameter: the second set runs with `make stress`."""
    return pytest.param(name, marks=[pytest.mark.stress] if name.startswith("b") else [])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All verdicts of a set when the first of them is asked for, then its key; nothing here must survive a power cut."""

    @cache
    def opened(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: None)
            verdicts = tried(SETS[name], tmp_path_factory.mktemp(name))
        return {one.name: one for one in unsealed(SETS[name], verdicts)}

    return opened


@pytest.mark.parametrize("name", [scene(name) for names in NAMES.values() for name in names])
def test_a_fault_is_caught_and_named_and_a_harmless_file_passes(name, outcomes):
    one = outcomes(name[0])[name]
    assert (one.right, one.named) == (True, one.fault), f"{one.what}: {one.said}"


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_a_dozen_of_each_kind_and_its_key(name):
    kinds = [KEY[one].fault for one in NAMES[name]]
    assert min(kinds.count(True), kinds.count(False)) >= 12
    assert [one for one in KEY if one.startswith(name)] == sorted(NAMES[name])


@pytest.mark.stress
@pytest.mark.parametrize("name", sorted(NAMES["a"] + NAMES["b"]))
def test_a_fault_shows_in_llama_cpp_and_a_harmless_file_does_not(name, tmp_path):
    """No scene is a fault by its name alone: numbers, token ids, ends of answers or rendered chats differ, or none of them."""
    assert measured(getattr(SETS[name[0]], name)(), tmp_path).none is not KEY[name].fault
