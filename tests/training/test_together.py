"""Two processes train what one trains; they stop, die and resume as one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from together import AtUpdate, hosts, kill, processes, saved, step, until
from training_fakes import trainer as trainer_of

from jessyfile import fsops
from jessyfile.errors import InsufficientMemoryError, Interrupted, TrainingError
from jessyfile.training import adapter, trainer
from jessyfile.training.gradient import passes
from jessyfile.training.hosts import read_hosts
from jessyfile.training.launch import train_together
from jessyfile.training.rank import STOP, StopTogether, alone_in
from jessyfile.training.ranks import Ranks
from jessyfile.training.train_steps import run_train
from jessyfile.training.workers import Workers, workers

EPOCHS = 4
UPDATES = 3 * EPOCHS
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the process to kill in /proc")


@pytest.fixture(autouse=True)
def found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The adapter of one process with two workers: as many parts as two processes with a worker each."""
    made = step(tmp_path_factory.mktemp("alone"), EPOCHS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "cores", lambda: 2)
        facts = run_train(made)
    assert (facts.updates, facts.processes) == (UPDATES, 1)
    return load_file(made.output / adapter.ADAPTER_FILE)


def same(folder: Path, alone: dict[str, np.ndarray]) -> None:
    found = load_file(folder / adapter.ADAPTER_FILE)
    assert found.keys() == alone.keys()
    for key, array in alone.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-5, err_msg=key)


@linux
def test_a_process_that_dies_ends_all_and_one_alone_goes_on_to_the_same_adapter(
    tmp_path: Path, alone: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout is on, and every third update has one row: a process without rows takes part in the sums all the same. The
    project lies where a shell would cut its path in two."""
    root = tmp_path / "bir proje, güzel"
    dying = step(root, EPOCHS, heard=AtUpdate(2, lambda: kill(root, 1)))
    both = read_hosts(hosts(root))
    with pytest.raises(TrainingError, match="process 1 was killed by signal 9; all were stopped") as caught:
        train_together(dying, both)
    assert "goes on from it" in (caught.value.hint or "")
    assert not (dying.output / adapter.ADAPTER_FILE).exists()
    told = []
    monkeypatch.setattr(trainer, "cores", lambda: 2)
    resumed = step(root, EPOCHS)
    resumed.progress.note = told.append
    facts = run_train(resumed)
    assert any(line.startswith("going on after update") for line in told)
    assert facts.updates == UPDATES
    same(resumed.output, alone)


def test_begun_by_one_gone_on_with_by_two_and_ended_by_one_it_is_the_same_adapter(
    tmp_path: Path, alone: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop, both stop after the same update, and what they have trained is saved."""
    monkeypatch.setattr(trainer, "cores", lambda: 2)
    with pytest.raises(Interrupted, match="after update 2 of"):
        asked = AtUpdate(2)
        run_train(step(tmp_path, EPOCHS, stop=asked, heard=asked))
    with pytest.raises(Interrupted, match="training stopped after update") as caught:
        asked = AtUpdate(5)
        train_together(step(tmp_path, EPOCHS, stop=asked, heard=asked), read_hosts(hosts(tmp_path)))
    assert "it is saved" in caught.value.message
    made = step(tmp_path, EPOCHS)
    assert not list(made.work.glob(".*.tmp"))
    assert run_train(made).updates == UPDATES
    same(made.output, alone)


@pytest.mark.stress
@pytest.mark.parametrize("count", [2, 3])
def test_from_the_first_update_to_the_last_several_train_what_one_trains(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "cores", lambda: count)
    one = step(tmp_path / "one", EPOCHS)
    run_train(one)
    made = step(tmp_path / "several", EPOCHS)
    facts = train_together(made, read_hosts(hosts(tmp_path, count)))
    assert (facts.processes, facts.updates) == (count, UPDATES)
    same(made.output, load_file(one.output / adapter.ADAPTER_FILE))
    curves = [json.loads((folder / "curve.json").read_text()) for folder in (one.output, made.output)]
    for left, right in zip(curves[0]["curve"], curves[1]["curve"], strict=True):
        assert left == pytest.approx(right, rel=1e-4)
    assert curves[0]["validations"] == [pytest.approx(entry, rel=1e-5) for entry in curves[1]["validations"]]


def test_processes_stop_when_the_apply_asks_for_it_and_when_it_has_died(tmp_path: Path) -> None:
    with fsops.temporary_folder(tmp_path / "ranks") as folder:
        stop = StopTogether(folder, Ranks())
        assert not stop.requested()
        (folder / STOP).touch()
        assert stop.requested()
        (folder / STOP).unlink()
        assert not stop.requested()
    assert stop.requested()  # the apply has swept its folder away
    folder.mkdir()
    assert stop.requested()  # the folder is there, and nobody holds it


def test_a_training_whose_checkpoints_another_one_writes_is_refused(tmp_path: Path) -> None:
    lock = alone_in(tmp_path)
    with pytest.raises(TrainingError, match="an apply that was killed are still training"):
        alone_in(tmp_path)
    os.close(lock)
    os.close(alone_in(tmp_path))


@linux
@pytest.mark.stress
def test_an_apply_stopped_then_killed_then_left_alone_ends_with_the_adapter_of_one_process(tmp_path: Path) -> None:
    """Ctrl-C reaches the apply alone, which stops its processes; SIGKILL leaves them behind, and they notice."""
    sys.path.append(str(Path(__file__).parents[1] / "hostile"))
    import real_world

    one, several = (real_world.fresh(tmp_path / name) for name in ("one", "several"))
    hosts(several)
    words = [
        sys.executable,
        "-m",
        "jessyfile.cli",
        "apply",
        "tiny.jessy",
        "--only",
        "train",
        "--set",
        "train.epochs=20",
    ]
    subprocess.run(words, cwd=one, check=True, capture_output=True)
    for number in (signal.SIGINT, signal.SIGKILL):
        before = saved(several)
        running = subprocess.Popen(
            [*words, "--hosts", "hosts.json"], cwd=several, start_new_session=True, stderr=subprocess.PIPE
        )
        until(lambda before=before: saved(several)[1:] and saved(several) != before)
        os.killpg(running.pid, number)
        said = running.communicate()[1].decode()
        if number == signal.SIGINT:
            assert running.returncode == 130
            assert "resume with: jessy apply tiny.jessy --set train.epochs=20 --hosts hosts.json --only train" in said
        until(lambda: not processes(several))
    subprocess.run([*words, "--hosts", "hosts.json"], cwd=several, check=True, capture_output=True)
    adapters = [load_file(next(root.glob(".jessy/store/*/files/adapters.safetensors"))) for root in (one, several)]
    for key, array in adapters[0].items():
        np.testing.assert_allclose(adapters[1][key], array, rtol=1e-3, atol=1e-5, err_msg=key)


def test_a_process_without_mlx_s_group_is_alone() -> None:
    """The usual road opens no socket: everything a group is asked for follows from the process itself."""
    ranks = Ranks()
    assert (ranks.first, ranks.least(3), ranks.any(True), ranks.any(False)) == (True, 3, True, False)
    assert ranks.total([1.5, 2]) == [1.5, 2]
    ranks.agree("anything", "x")


class Apart(Ranks):
    """One of two processes that hear nothing of each other: what it returns is its own share."""

    def _gathered(self, words: list[int]) -> list[list[int]]:
        return [words]

    def added(self, arrays: Any) -> Any:
        return dict(arrays)


@pytest.mark.parametrize("group", [[[0, 1, 2, 3], [4, 5, 6]], [[3]]], ids=["uneven", "one row"])
def test_the_shares_of_two_processes_add_up_to_the_whole(group: list[list[int]], tmp_path: Path) -> None:
    """A process without a row has a gradient of zeros, and no token."""
    made = trainer_of(tmp_path)
    with workers(made.model, 2) as both:
        whole = passes(both, 1).gradient(made.rows, group, lambda part: part)
    shares = [passes(Workers([made.model]), 1) for _ in range(2)]
    for rank, share in enumerate(shares):
        share.ranks = Apart(rank, 2)
    halves = [share.gradient(made.rows, group, lambda part: part) for share in shares]
    assert halves[0].tokens + halves[1].tokens == whole.tokens
    assert halves[0].loss + halves[1].loss == pytest.approx(whole.loss, rel=1e-6)
    assert (halves[1].tokens == 0) == (group == [[3]])
    for key, array in whole.gradients.items():
        both_ = np.array(halves[0].gradients[key]) + np.array(halves[1].gradients[key])
        # a sum of terms that cancel keeps the rounding of the largest: a BLAS of another processor showed it
        atol = 1e-6 * max(1.0, float(np.abs(np.array(array)).max()))
        np.testing.assert_allclose(both_, np.array(array), rtol=1e-5, atol=atol, err_msg=key)


class Other(Ranks):
    """The first of two processes; the second says something else, and has too little memory."""

    def _gathered(self, words: list[int]) -> list[list[int]]:
        return [words, [word + 1 for word in words]]


def test_what_one_process_lacks_is_said_in_all_of_them() -> None:
    """One alone that took another way would leave the others waiting for its sum."""
    with pytest.raises(InsufficientMemoryError, match="another process"):
        Other(0, 2).fail_together(None)
    own = InsufficientMemoryError("8 rows at a time do not fit into memory")
    with pytest.raises(InsufficientMemoryError, match="8 rows"):
        Other(0, 2).fail_together(own)
    with pytest.raises(TrainingError, match="process 1 has another checkpoint than process 0"):
        Other(0, 2).agree("checkpoint", "7")


def test_an_ordinary_training_never_asks_for_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    def never(*_: object, **__: object) -> None:
        raise AssertionError("mx.distributed.init was called")

    monkeypatch.setattr(mx.distributed, "init", never)
    assert run_train(step(tmp_path, 1)).updates == 3
