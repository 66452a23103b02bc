"""What a GPU computes, run here on the CPU: every update, packed and not, is that of the plain second writing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from doubles import DOUBLES, write_double
from hypothesis import given, settings
from hypothesis import strategies as st
from prefer_world import arrays_of, prefer_step
from reference_world import SETTINGS, SYSTEM, hold, world
from training_fakes import LORA, Silent, loud, trainer

from jessyfile.errors import ConvergenceError, Interrupted
from jessyfile.training import compiled, sequences
from jessyfile.training import trainer as training
from jessyfile.training.bins import PAD, fill, first_fit, shapes_of
from jessyfile.training.encoded import EncodedRow, pack
from jessyfile.training.hosts import HERE
from jessyfile.training.launch import _free_ports
from jessyfile.training.objective import Answers, Read
from jessyfile.training.prefer_step import run_prefer
from jessyfile.training.ranks import Ranks
from jessyfile.training.sequences import cross_entropy

TWICE = ("Mistral with tekken",)  # its structure is another double's


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(training, "on_gpu", lambda: True)
    mx.disable_compile()  # on a CPU a compiler would be started for each shape
    yield
    mx.enable_compile()


@pytest.mark.parametrize("name", [name for name in DOUBLES if name not in TWICE])
@pytest.mark.parametrize("packed", ["rows", "length"])
def test_every_update_is_the_reference_s_on_every_architecture(
    name: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a shared prefix, several turns, accumulation, both weights and rows of uneven length at once. Gemma 2 saw its masks
    along the wrong dimension.
    """
    found = world(write_double(tmp_path / "base", name), SYSTEM)
    loud(found.model)
    hold(found, replace(SETTINGS, pack=packed), tmp_path, monkeypatch)


@pytest.mark.parametrize(("packed", "accumulated"), [("rows", 1), ("no", 3)])
def test_without_a_prefix_it_is_the_reference_s_too(
    packed: str, accumulated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = world(write_double(tmp_path / "base", "Gemma 3, text"), None)
    loud(found.model)
    train = replace(SETTINGS, pack=packed, grad_accumulation=accumulated, max_grad_norm=0, checkpoint_every=2)
    hold(found, replace(train, checkpoint_every=1), tmp_path, monkeypatch)


@pytest.mark.parametrize("packed", ["rows", "length"])
def test_a_prefix_that_each_row_brings_itself_changes_nothing(
    packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small batches on a CUDA card waited for the kernels of a pass over the system prompt alone."""
    shared = trainer(tmp_path / "shared", epochs=1, pack=packed)
    shared.run()
    monkeypatch.setattr(sequences.machine, "chip", lambda: "CUDA")
    own = trainer(tmp_path / "own", epochs=1, pack=packed)
    with own._compiling():
        assert own._compiled is not None
        assert not len(own._compiled.rows.prefix)
    own = trainer(tmp_path / "own", epochs=1, pack=packed)
    own.run()
    assert own.cursor.validations == [pytest.approx(entry, rel=1e-5) for entry in shared.cursor.validations]
    for key, array in shared.best.items():
        np.testing.assert_allclose(np.array(own.best[key]), np.array(array), rtol=1e-3, atol=1e-5)


def test_compiled_it_is_what_it_is_uncompiled(tmp_path: Path) -> None:
    plain = trainer(tmp_path / "plain", epochs=1, pack="rows", lora=replace(LORA, dropout=0.1))
    plain.run()
    mx.enable_compile()
    fast = trainer(tmp_path / "fast", epochs=1, pack="rows", lora=replace(LORA, dropout=0.1))
    fast.run()
    for key, array in plain.best.items():
        np.testing.assert_allclose(np.array(fast.best[key]), np.array(array), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "really", [False, pytest.param(True, marks=pytest.mark.stress)], ids=["uncompiled", "compiled"]
)
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_preferences_are_learned_as_on_a_cpu(
    method: str, really: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not compiled, and no GPU had run them: updates of whole and of fewer units, z from answers to other questions."""
    found = []
    if really:
        mx.enable_compile()
    for name in ("cpu", "gpu"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pairs.jsonl").write_text("", "utf-8")
        monkeypatch.setattr(training, "on_gpu", lambda name=name: name == "gpu")
        made = prefer_step(tmp_path / name, method, prefer={"batch_size": 4})
        facts = run_prefer(made)
        curve = json.loads((made.output / "curve.json").read_text())
        for entry in (*curve["curve"], *curve["validations"]):
            assert entry.pop("preferred") <= 1  # a margin of 0 may be above it by rounding
        found.append((facts, arrays_of(made.output), curve))
    (wanted, plain, one), (facts, adapter, curve) = found
    assert (facts.updates, facts.trained_tokens) == (wanted.updates, wanted.trained_tokens)
    assert facts.margin == pytest.approx(wanted.margin, rel=1e-3, abs=1e-4)
    for kind in ("curve", "validations"):
        assert curve[kind] == [pytest.approx(entry, rel=2e-3, abs=1e-4) for entry in one[kind]]
    for key, array in plain.items():
        np.testing.assert_allclose(adapter[key], array, rtol=1e-3, atol=2e-5, err_msg=key)


class StopAt(Silent):
    """A stop that is asked for once so many updates are done."""

    def __init__(self, update: int) -> None:
        self.update_, self.done = update, 0

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        self.done = int(done)

    def requested(self) -> bool:
        return self.done >= self.update_


@pytest.mark.parametrize("stop_at", [1, 3])
def test_stopped_anywhere_and_resumed_it_ends_at_the_same_adapter(tmp_path: Path, stop_at: int) -> None:
    """Updates that were begun ahead are finished first, and saved."""
    lora = replace(LORA, dropout=0.1)
    whole = trainer(tmp_path / "whole", lora=lora, checkpoint_every=4)
    whole.run()
    asked = StopAt(stop_at)
    first = replace(trainer(tmp_path / "again", lora=lora, checkpoint_every=4), stop=asked, progress=asked)
    with pytest.raises(Interrupted):
        first.run()
    assert stop_at <= first.cursor.update <= stop_at + 3
    assert checkpoint_update(first.work) == first.cursor.update
    second = trainer(tmp_path / "again", lora=lora, checkpoint_every=4)
    second.run()
    for key, array in whole.best.items():
        np.testing.assert_allclose(np.array(second.best[key]), np.array(array), rtol=1e-4, atol=1e-6)


def checkpoint_update(work: Path) -> int:
    from jessyfile.training import checkpoint

    found = checkpoint.latest(work)
    assert found is not None
    return found[0].update


def test_a_broken_update_changes_nothing_goes_back_halves_the_rate_and_then_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tmp_path, checkpoint_every=2)
    real = compiled.Compiled.start

    def broken(self: compiled.Compiled, *given: object, **named: object) -> object:
        started = real(self, *given, **named)
        nan = mx.array([float("nan"), *started.told.tolist()[1:]])
        return replace(started, told=nan) if made.cursor.update + len(made._ahead) == 5 else started

    monkeypatch.setattr(compiled.Compiled, "start", broken)
    with pytest.raises(ConvergenceError, match="update 6"):
        made.run()
    assert (made.cursor.retries, made.cursor.rate_factor, made.cursor.update) == (2, 0.25, 5)


def test_a_loss_that_is_not_finite_leaves_the_vectors_as_they_were(tmp_path: Path) -> None:
    made = trainer(tmp_path, epochs=1)
    with made._compiling():
        made._prepare()
        on_gpu = made._compiled
        assert on_gpu is not None
        held = on_gpu.vectors
        before = np.array(held.values)
        sums = mx.concatenate([mx.ones(held.values.size), mx.array([3.0, 0.0, 0.0, 4.0, 4.0, 0.0, 0.0])])
        sums[3] = float("inf")
        state = (held.values, held.first, held.second, held.step)
        told, after, first, _, step = on_gpu._applied(*state, sums, mx.array(0.1))
        assert not np.isfinite(float(told[-1]))
        assert np.array_equal(np.array(after), before)
        assert (float(mx.abs(first).sum()), float(step)) == (0, 0)


def test_too_little_memory_for_answers_to_other_questions_is_told_to_those_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were read before the protection began: one process raised alone, and the others waited for its sum."""
    told = list[mx.array]()

    class Two(Ranks):
        def summed(self, array: mx.array) -> mx.array:
            told.append(array)
            return array

    class Asking(Answers):
        def for_rows(self, chosen: Sequence[int], read: Read) -> Answers:
            read(on_gpu.rows, chosen)
            return self

    def short(*_: object) -> None:
        raise MemoryError

    made = trainer(tmp_path, epochs=1)
    with made._compiling():
        made._prepare()
        on_gpu = made._compiled
        assert on_gpu is not None
        on_gpu.passes.ranks, on_gpu.passes.objective = Two(size=2), Asking()
        monkeypatch.setattr(compiled, "fill", short)
        sums = on_gpu._own_sums({0: [0]}, [[0]], lambda _: 1, asked=False)
    assert [float(one) for one in told] == [pytest.approx(float("nan"), nan_ok=True)]
    assert np.isnan(float(sums[-compiled._TOLD]))
    assert float(sums[-1]) == 1


def test_the_vocabulary_in_pieces_gives_the_same_loss_and_gradient(tmp_path: Path) -> None:
    targets, weights = mx.arange(11), mx.array([1.0, 4.0, 0.0, 1.0, 8.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    for name in ("Gemma 2", "Mistral 0.3"):  # with bent logits and a tied head; with a head of its own
        model = world(write_double(tmp_path / name, name), SYSTEM).model
        chosen = mx.random.normal((11, model.args.hidden_size))

        def loss(states: mx.array, chunk: int, model: object = model) -> mx.array:
            return mx.sum(cross_entropy(model, states, targets, chunk) * weights)

        found = [mx.value_and_grad(loss)(chosen, chunk) for chunk in (99, 4)]
        assert float(found[0][0]) == pytest.approx(float(found[1][0]), rel=1e-5)
        np.testing.assert_allclose(np.array(found[0][1]), np.array(found[1][1]), rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(60, 90))
def test_first_fit_deals_every_row_once_and_overfills_no_sequence(lengths: list[int], width: int) -> None:
    bins = first_fit(lengths, width)
    assert sorted(row for members in bins for row in members) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in members) <= width for members in bins)
    assert len(bins) <= 2 * -(-sum(lengths) // width)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(2, 40), min_size=1, max_size=6), min_size=1, max_size=9),
    st.booleans(),
    st.booleans(),
)
def test_every_batch_has_one_of_few_shapes_and_every_token_its_place(
    lengths: list[list[int]], together: bool, with_prefix: bool
) -> None:
    numbers = iter(range(1000, 9000))
    shared = (7, 8, 9) if with_prefix else ()
    made = [
        EncodedRow(
            (*shared, *(next(numbers) for _ in range(length))),
            (*[False] * len(shared), *[True] * length),
            "a",
            "tr",
            persona=False,
        )
        for length in (length for batch in lengths for length in batch)
    ]
    rows = pack(made, shared)
    ends = np.cumsum([0, *map(len, lengths)])
    batches = [list(range(start, end)) for start, end in pairwise(ends)]
    shapes = shapes_of(rows, batches, together=together)
    assert len({(size.count, size.width) for size in shapes.sizes}) == len(shapes.sizes) <= 4
    for batch in batches:
        size = shapes.holding(batch)
        bins = fill(rows, batch, size)
        assert bins.inputs.shape == (size.count, size.width)
        counted = bins.weights > 0
        wanted = sorted(t for i in batch for t in made[i].tokens[max(len(shared), 1) :])
        assert sorted(bins.targets[counted].tolist()) == wanted
        before = bins.inputs.reshape(-1)[bins.where[counted]]
        after = dict(zip(bins.targets[counted].tolist(), before.tolist(), strict=True))
        for i in batch:
            tokens = made[i].tokens
            assert all(after[tokens[p]] == tokens[p - 1] for p in range(max(len(shared), 1), len(tokens)))
        if not together:
            assert set(bins.segments[bins.segments != PAD].tolist()) <= {0}


@pytest.mark.parametrize("packed", ["rows", "length"])
def test_dora_ends_where_the_cpus_own_pass_ends(packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lora = replace(LORA, kind="dora")
    fast = trainer(tmp_path / "gpu", epochs=1, pack=packed, lora=lora)
    fast.run()
    monkeypatch.setattr(training, "on_gpu", lambda: False)
    plain = trainer(tmp_path / "cpu", epochs=1, pack=packed, lora=lora)
    plain.run()
    assert any(key.endswith(".m") for key in plain.best)
    for key, array in plain.best.items():
        np.testing.assert_allclose(np.array(fast.best[key]), np.array(array), rtol=1e-3, atol=1e-4)


def two_processes(folder: Path, what: str) -> list[dict[str, np.ndarray]]:
    """Return what each of two processes found that train together as on two GPUs."""
    port = _free_ports(2)
    hosts = folder / "ring.json"
    hosts.write_text(json.dumps([[f"{HERE}:{port + rank}"] for rank in range(2)]))
    here = Path(__file__).parent
    known = os.pathsep.join([*sys.path, str(here.parents[1])])
    started = [
        subprocess.Popen(
            [sys.executable, here / "pair.py", folder, what],
            env={**os.environ, "PYTHONPATH": known, "MLX_RANK": str(rank), "MLX_HOSTFILE": str(hosts)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return [dict(np.load(folder / str(rank) / "found.npz")) for rank in range(2)]


def test_two_gpus_train_what_one_trains(tmp_path: Path) -> None:
    """The last update of an epoch has two rows; the losses are those of all rows, in both processes. A dropped unit follows
    from the part, so that one process computes two parts here."""
    alone = trainer(tmp_path / "alone", pack="rows", batch_size=3, lora=replace(LORA, dropout=0.1), splits=2)
    alone.run()
    found = two_processes(tmp_path, "train")
    for one in found:
        assert str(one["end"]) == "done"
        np.testing.assert_allclose(one["losses"], [entry["loss"] for entry in alone.cursor.curve], rtol=1e-5)
        np.testing.assert_allclose(one["held_out"], [entry["loss"] for entry in alone.cursor.validations], rtol=1e-5)
        for key, array in alone.best.items():
            np.testing.assert_allclose(one[key], np.array(array), rtol=1e-4, atol=1e-4)  # a step is 5e-3


@pytest.mark.parametrize(("what", "end"), [("stop", "Interrupted"), ("memory", "InsufficientMemoryError")])
def test_two_gpus_end_after_the_same_update(what: str, end: str, tmp_path: Path) -> None:
    """Only process 0 hears of a stop, and only process 1 had too little memory: the other one waited for it without an end."""
    found = two_processes(tmp_path, what)
    assert [str(one["end"]) for one in found] == [end, end]
    assert found[0]["update"] == found[1]["update"]


@pytest.mark.parametrize("packed", ["rows", "length"])
def test_layers_that_keep_their_inputs_alone_train_the_same(packed: str, tmp_path: Path) -> None:
    plain, spare = (trainer(tmp_path / name, epochs=1, pack=packed) for name in ("plain", "spare"))
    plain.run()
    spare = replace(spare, checkpointing=True)
    spare.run()
    assert spare.shapes
    for key, array in plain.best.items():
        np.testing.assert_allclose(np.array(spare.best[key]), np.array(array), rtol=1e-3, atol=1e-5)
