"""Points on Ray's workers are the points of this machine. Where Ray is not installed (it is no part of `make test`), a double holds what is
asked of it; `make ray` runs the real one.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hostile"))

from real_world import apply, fresh

from jessyfile import __version__
from jessyfile.cli import main
from jessyfile.errors import DamagedError, Exit, Interrupted, ProjectError
from jessyfile.planning.plan import Selection
from jessyfile.planning.runs import all_runs
from jessyfile.planning.store import Store
from jessyfile.sweep import job, ray_task
from jessyfile.sweep.job import JOB
from jessyfile.sweep.job import main as run_job
from jessyfile.sweep.on_ray import ClusterMachine, RayCrew, _share, refuse_unfit
from jessyfile.sweep.ray_task import SentFile, SentTraining, packed, train_there, unpack

HOUSE = Path(__file__).resolve().parents[2]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}.0"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = fresh(tmp_path_factory.mktemp("prepared") / "swept")
    apply(root, Selection(only=("encode",)))
    return root


@pytest.fixture
def tiny(prepared, tmp_path, monkeypatch):
    root = Path(shutil.copytree(prepared, tmp_path / "swept"))
    monkeypatch.chdir(root)
    return root


def trials(root: Path) -> list[tuple[object, ...]]:
    told = json.loads(next((root / ".jessy" / "sweeps").glob("*/sweep.json")).read_text())
    return [(one["point"], one["seed"], one["value"], one["adapter"]) for one in told["trials"]]


class Ray(ModuleType):
    """A cluster of one machine that runs a task when it is waited for; what is sent is pickled, as to another machine."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=_RayError, TaskCancelledError=_CancelledError)
        self.held, self.tasks, self.sent, self.claims, self.up = {}, {}, [], [], False
        self.numbers = itertools.count()
        self.told = None

    def init(self, **where) -> None:
        self.where, self.up = where, True

    def shutdown(self) -> None:
        self.up = False

    def nodes(self):
        return [
            {"NodeID": "a", "NodeManagerAddress": "10.0.0.7", "Alive": True, "Resources": {"CPU": 4.0}},
            {"NodeID": "b", "NodeManagerAddress": "10.0.0.8", "Alive": False, "Resources": {"CPU": 4.0}},
        ]

    def put(self, data: bytes):
        return self._reference(self.held, data)

    def get(self, asked, timeout=None):
        if isinstance(asked, list):
            return [self.get(one) for one in asked]
        if asked in self.held:
            return self.held[asked]
        found = self.tasks.pop(asked)
        if isinstance(found, Exception):
            raise found
        return found()

    def wait(self, asked, num_returns, timeout):
        return asked[:num_returns], asked[num_returns:]

    def cancel(self, asked) -> None:
        self.tasks[asked] = _CancelledError()

    def remote(self, **claims):
        def made(function):
            def called(*args):
                parcel = pickle.dumps(args)
                self.sent.append(parcel)
                self.claims.append(claims)
                return self._reference(self.tasks, lambda: self._ran(function, pickle.loads(parcel)))  # noqa: S301 (its own)

            remote = SimpleNamespace(remote=called)
            remote.options = lambda scheduling_strategy: remote
            return remote

        return made

    def _ran(self, function, args):
        return self.told if not args and self.told else function(*args)

    def _reference(self, among, value):
        reference = f"reference {next(self.numbers)}"
        among[reference] = value
        return reference


class _RayError(Exception):
    pass


class _CancelledError(_RayError):
    pass


@pytest.fixture
def ray(monkeypatch):
    double, strategies = Ray(), ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda node, soft: (node, soft)
    monkeypatch.setitem(sys.modules, "ray", double)
    monkeypatch.setitem(sys.modules, "ray.util", ModuleType("ray.util"))
    monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", strategies)
    return double


OVER = ("--set", "train.epochs=1", "--over", "lora.rank=2,4")


def test_what_comes_back_from_workers_is_what_this_machine_makes(tiny, prepared, tmp_path, ray, monkeypatch):
    envs = []

    def here(folder, asked, env):
        """Train in this process, so that no other has to load MLX."""
        envs.append(env)
        folder.mkdir()
        (folder / JOB).write_text(json.dumps(asdict(asked)))
        return SimpleNamespace(returncode=run_job([str(folder)]), wait=lambda: None)

    monkeypatch.setattr(ray_task, "start_job", here)
    monkeypatch.setattr(ray_task, "end", lambda _: None)
    monkeypatch.setattr(job.signal, "signal", lambda *_: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert main(["sweep", "tiny.jessy", *OVER, "--ray", "10.0.0.7:6379"]) == 0
    assert ray.where["address"] == "10.0.0.7:6379"
    assert not ray.up
    assert [one for one in ray.claims if one != {"num_cpus": 0}] == [{"num_cpus": 4}] * 2
    # no path of this machine travels, and an input that both points need is given to Ray once
    assert not any(str(tiny).encode() in parcel for parcel in ray.sent)
    files = sum(
        len(Store(tiny).entries(step.object))
        for step in all_runs(prepared)[0].result().steps
        if step.name in ("base", "encode")
    )
    assert len(ray.held) == files
    assert [env["OMP_NUM_THREADS"] for env in envs] == ["7", "7"]
    single = Path(shutil.copytree(prepared, tmp_path / "single"))
    monkeypatch.chdir(single)
    assert main(["sweep", "tiny.jessy", *OVER]) == 0
    assert trials(single) == trials(tiny)


def test_a_cluster_is_looked_at_before_anything_runs(tiny, ray, capsys):
    ray.told = (PYTHON, "0.0.9", "CPU")
    runs = len(all_runs(tiny))
    assert main(["sweep", "tiny.jessy", *OVER, "--ray", "auto"]) == Exit.FAILED
    assert f"10.0.0.7 has jessy 0.0.9, and this is {__version__}" in capsys.readouterr().err
    assert not ray.up
    assert len(all_runs(tiny)) == runs

    def nobody(**_):
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    ray.init = nobody
    assert main(["sweep", "tiny.jessy", *OVER, "--ray", "auto"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert "Ray does not answer at auto: Could not find any running Ray instance" in said
    assert "ray start --address" in said


def test_without_the_extra_it_is_named(tiny, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", "tiny.jessy", *OVER, "--ray", "local"]) == Exit.FAILED
    assert "pip install 'jessy[ray]'" in capsys.readouterr().err


CPU, CUDA = ClusterMachine("a", PYTHON, __version__, 0, 8), ClusterMachine("b", PYTHON, __version__, 2, 16)


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ([], "no machine that is alive"),
        ([CPU, ClusterMachine("b", PYTHON, "", 0, 8)], "b has no jessy"),
        ([ClusterMachine("a", "2.7.18", __version__, 0, 8)], "a has Python 2.7.18"),
        ([CPU, CUDA], "could not be compared"),
    ],
)
def test_a_machine_whose_points_would_be_others_is_refused(machines, said):
    with pytest.raises(ProjectError, match=said):
        refuse_unfit(machines)


def test_a_training_claims_its_gpu_or_its_share_of_the_processors():
    assert _share([CUDA], 1) == {"num_gpus": 1, "num_cpus": 0}
    assert _share([CUDA], 2) == {"num_gpus": 0.5, "num_cpus": 0}
    assert _share([CPU, ClusterMachine("b", PYTHON, __version__, 0, 4)], 2) == {"num_cpus": 2}
    assert _share([CPU], 20) == {"num_cpus": 1}


def test_a_lost_worker_fails_its_point_and_a_cancelled_one_was_stopped(tiny, ray, tmp_path):
    with RayCrew("auto", 1, tmp_path) as crew:
        crew._running = {"lost": "one", "stopped": "two"}
        ray.tasks = {"one": _RayError("the node died\nat noon"), "two": None}
        crew.ask_to_stop()
        ray.tasks["one"] = _RayError("the node died\nat noon")
        lost, stopped = crew._end_of("lost"), crew._end_of("stopped")
    assert str(lost.error) == "its worker was lost: the node died"
    assert isinstance(stopped.error, Interrupted)


def test_files_arrive_as_they_were_sent_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_task, "CHUNK", 4)
    (tmp_path / "one" / "below").mkdir(parents=True)
    (tmp_path / "one" / "below" / "file").write_bytes(b"0123456789")
    (tmp_path / "one" / "empty").write_bytes(b"")
    assert [len(part) for part in ray_task.parts(tmp_path / "one" / "below" / "file")] == [4, 4, 2]
    unpack(packed(tmp_path / "one"), tmp_path / "two")
    assert packed(tmp_path / "two") == packed(tmp_path / "one")
    damaged = SentTraining("train", {}, "x.jessy", {"base": (SentFile("a", "0" * 64, (b"1", b"2")),)}, {})
    back = train_there(damaged, lambda part: part)
    assert back.error is not None
    assert back.error[0] == DamagedError.__name__


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed: `make ray`")
def test_six_points_of_a_real_ray_are_those_of_this_machine(tiny, prepared, tmp_path):
    over = ["--over", "lora.rank=2,4,8", "--over", "train.learning_rate=1e-3,1e-2", "--set", "train.epochs=1"]
    single = Path(shutil.copytree(prepared, tmp_path / "single"))
    for root, more in ((tiny, ["--ray", "local", "--jobs", "2"]), (single, [])):
        # its workers would inherit this process's warnings as errors
        program = [sys.executable, "-m", "jessyfile.cli", "sweep", "tiny.jessy", *over, *more]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])])}
        subprocess.run(program, cwd=root, env=env, check=True, capture_output=True, text=True)
    assert len(trials(tiny)) == 6
    assert trials(tiny) == trials(single)
    for *_, adapter in trials(tiny):
        files = [Store(root).place(adapter) / "adapters.safetensors" for root in (single, tiny)]
        assert files[0].read_bytes() == files[1].read_bytes()
