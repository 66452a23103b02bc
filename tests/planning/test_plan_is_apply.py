"""What the plan said is what ran, on random graphs under random edits; and an incremental result equals one made from
nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_fakes import FakeRecipe

from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.run import apply
from jessyfile.planning.steps import Step
from jessyfile.planning.store import Store

EXAMPLES = int(os.environ.get("JESSY_EXAMPLES", "40"))
VALUES = ("p.a", "p.b", "p.c")


@st.composite
def graphs(draw):
    """Up to seven steps: each reads earlier steps and some values; a coarse one has only two possible outputs."""
    count = draw(st.integers(2, 7))
    shapes = []
    for number in range(count):
        inputs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        reads = draw(st.sets(st.sampled_from(VALUES), max_size=2))
        shapes.append((tuple(sorted(inputs)), tuple(sorted(reads)), draw(st.booleans()), draw(st.booleans())))
    return shapes


edits = st.one_of(
    st.tuples(st.just("value"), st.sampled_from(VALUES), st.integers(0, 2)),
    st.tuples(st.just("file"), st.just(""), st.integers(0, 2)),
    st.tuples(st.just("lose"), st.just(""), st.integers(0, 6)),
    st.tuples(st.just("drift"), st.just(""), st.integers(0, 6)),
    st.tuples(st.just("replace"), st.just(""), st.integers(0, 6)),
)


class World:
    """A project whose steps are pure functions that are also computed here without any store."""

    def __init__(self, root: Path, shapes) -> None:
        self.root, self.shapes = root, shapes
        self.document = dict.fromkeys(VALUES, 0)
        self.ran: list[str] = []
        self.effects: dict[str, str] = {}
        (root / ".jessy").mkdir()
        (root / "seed").write_text("0")

    def steps(self) -> tuple[Step, ...]:
        return tuple(self._step(number) for number in range(len(self.shapes)))

    def recipe(self) -> FakeRecipe:
        return FakeRecipe(self.root / "tiny.jessy", dict(self.document))

    def expected(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for number in range(len(self.shapes)):
            found[f"s{number}"] = self._value(number, found)
        return found

    def _value(self, number: int, inputs) -> str:
        before, reads, coarse, _ = self.shapes[number]
        parts = [str(number), *(str(self.document[a]) for a in reads), *(inputs[f"s{b}"] for b in before)]
        if number == 0:
            parts.append((self.root / "seed").read_text())
        value = hashlib.sha256(" ".join(parts).encode()).hexdigest()
        return str(int(value, 16) % 2) if coarse else value

    def _step(self, number: int) -> Step:
        before, reads, _, effect = self.shapes[number]
        name = f"s{number}"

        def run(context):
            self.ran.append(name)
            value = self._value(number, {step: (path / "out").read_text() for step, path in context.inputs.items()})
            (context.output / "out").write_text(value)
            self.effects[name] = value
            return {"effect": value}

        def holds(recipe, root, facts, asks):
            return self.effects.get(name) == facts["effect"]

        return Step(
            name,
            "",
            run,
            tuple(f"s{b}" for b in before),
            reads,
            (lambda recipe, root: [root / "seed"]) if number == 0 else (lambda recipe, root: ()),
            still_in_effect=holds if effect else None,
        )


def edit(world: World, kind: str, name: str, number: int) -> Selection:
    step = f"s{number % len(world.shapes)}"
    if kind == "value":
        world.document[name] = number
    elif kind == "file":
        (world.root / "seed").write_text(str(number))
    elif kind == "lose":
        store = Store(world.root)
        for object_id in list(store.objects())[number : number + 1]:
            store.remove(object_id)
    elif kind == "drift":
        world.effects.pop(step, None)
    return Selection(replace=(step,) if kind == "replace" else ())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.lists(edits, min_size=1, max_size=6))
def test_what_plan_said_is_what_ran(shapes, changes):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), shapes)
        apply(world.recipe(), world.root, world.steps())
        for change in changes:
            selection = edit(world, *change)
            plan = make_plan(world.recipe(), world.root, world.steps(), selection)
            said = {answer: {s.name for s in plan.steps if s.answer == answer} for answer in ("will", "may", "reused")}
            world.ran.clear()
            result = apply(world.recipe(), world.root, world.steps(), selection)
            ran = set(world.ran)
            assert len(world.ran) == len(ran)
            assert said["will"] <= ran <= said["will"] | said["may"]
            assert all(step.reasons for step in plan.steps if step.runs)
            made = {step.name: (step.folder / "out").read_text() for step in result.steps}
            assert made == world.expected()
            assert not make_plan(world.recipe(), world.root, world.steps()).changes


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.lists(edits.filter(lambda e: e[0] in ("value", "file")), min_size=1, max_size=6))
def test_may_resolves_by_whether_its_inputs_came_out_as_once_before(shapes, changes):
    """A step runs exactly when its values and the bytes of its inputs were never seen together: the memory is never
    too small."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), [(i, r, c, False) for i, r, c, _ in shapes])
        seen: set[tuple[str, ...]] = set()
        for change in [("value", "p.a", 0), *changes]:
            edit(world, *change)
            made = world.expected()
            keys = {}
            for number, (before, reads, _, _) in enumerate(world.shapes):
                seed = (world.root / "seed").read_text() if number == 0 else ""
                key = (
                    f"s{number}",
                    seed,
                    *(f"{a}={world.document[a]}" for a in reads),
                    *(made[f"s{b}"] for b in before),
                )
                keys[f"s{number}"] = key
            fresh = {name for name, key in keys.items() if key not in seen}
            world.ran.clear()
            apply(world.recipe(), world.root, world.steps())
            assert set(world.ran) == fresh
            seen.update(keys.values())
