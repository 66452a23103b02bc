"""The trainings of a sweep on Ray's workers (the extra `ray`), where one machine is outgrown. Ray is imported when a sweep asks for it."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jessyfile import __version__, fsops
from jessyfile.errors import Interrupted, ProjectError, TrainingError
from jessyfile.planning.store import Store
from jessyfile.sweep.crew import TrainingEnd, as_error, taken
from jessyfile.sweep.job import LOG, OUTPUT, JobDone
from jessyfile.sweep.ray_task import THREADS, SentBack, SentFile, SentTraining, parts, train_there, unpack

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

    from jessyfile.sweep.crew import PointTraining

LOCAL = "local"
_CHECK = 120.0  # seconds that a machine has to say what it is


@dataclass(frozen=True, slots=True)
class ClusterMachine:
    """A machine of the cluster: its Python, its jessy (empty where it has none), and the GPUs and processors that may be used."""

    address: str
    python: str
    jessy: str
    gpus: int
    processors: int


def load_ray() -> ModuleType:
    """Return the module. Raises ProjectError that names the extra where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report itself to its makers
    try:
        return import_module("ray")
    except ImportError as error:
        raise ProjectError("--ray needs Ray", hint="install it with `pip install 'jessy[ray]'`") from error


@dataclass(slots=True)
class RayCrew:
    """Trainings as tasks of a cluster, `jobs` at a time on each of its GPUs, or on each of its machines where they have none.

    `address` is `local` for a cluster that is begun here and ends with the sweep. `place` is a folder of the project's disk.
    """

    address: str
    jobs: int
    place: Path
    machines: list[ClusterMachine] = field(default_factory=list)
    _ray: Any = None
    _folder: Path = field(init=False)
    _task: Any = None
    _running: dict[str, object] = field(default_factory=dict)
    _sent: dict[tuple[str, str], tuple[SentFile, ...]] = field(default_factory=dict)
    _left: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        self.connect()
        self._folder = self._left.enter_context(fsops.temporary_folder(self.place / "jobs"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in self._running.values():
            self._cancel(running)
        self._running.clear()
        self._left.close()
        self._ray.shutdown()

    def connect(self) -> None:
        """Join the cluster and look at every machine of it. Raises ProjectError where a training could not run there."""
        self._ray = load_ray()
        where = {"include_dashboard": False} if self.address == LOCAL else {"address": self.address}
        try:
            with _own_signals():
                self._ray.init(**where, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            raise _no_cluster(self.address, error) from error
        try:
            self.machines = self._asked()
            refuse_unfit(self.machines)
        except BaseException:
            self._ray.shutdown()
            raise
        self._task = self._ray.remote(**_share(self.machines, self.jobs))(_task)

    def room(self) -> bool:
        """Return whether another training may begin."""
        return len(self._running) < self.jobs * sum(max(1, one.gpus) for one in self.machines)

    def begin(self, training: PointTraining) -> None:
        """Send a training; an input that several need is given to Ray once."""
        threads = {name: os.environ[name] for name in THREADS if name in os.environ}
        inputs = {name: self._files(*found, training.root) for name, found in training.inputs.items()}
        sent = SentTraining(training.step, training.document, training.recipe.name, inputs, threads)
        self._running[training.fingerprint] = self._task.remote(sent)

    def ended(self, seconds: float) -> list[TrainingEnd]:
        """Return what has ended, after so many seconds at most."""
        marks = {running: mark for mark, running in self._running.items()}
        over, _ = self._ray.wait(list(marks), num_returns=1, timeout=seconds)
        return [self._end_of(marks[one]) for one in over]

    def reached(self) -> dict[str, tuple[float, float]]:
        """Return nothing: a worker tells when it is done."""
        return {}

    def ask_to_stop(self) -> None:
        """Cancel every task: what a worker had trained by then is lost with its folder."""
        for running in self._running.values():
            self._cancel(running)

    def _cancel(self, running: object) -> None:
        with contextlib.suppress(ValueError, TypeError):
            self._ray.cancel(running)

    def _files(self, object_id: str, folder: Path, root: Path) -> tuple[SentFile, ...]:
        key = (object_id, str(folder))
        if key not in self._sent:
            self._sent[key] = tuple(
                SentFile(one.name, one.sha256, tuple(self._ray.put(part) for part in parts(folder / one.name)))
                for one in Store(root).entries(object_id)
            )
        return self._sent[key]

    def _end_of(self, mark: str) -> TrainingEnd:
        try:
            back: SentBack = self._ray.get(self._running.pop(mark))
        except self._ray.exceptions.TaskCancelledError:
            return TrainingEnd(mark, error=Interrupted("stopped"))
        except self._ray.exceptions.RayError as error:
            return TrainingEnd(mark, error=TrainingError(f"its worker was lost: {_first_line(error)}"))
        if back.error is not None:
            return TrainingEnd(mark, error=as_error(*back.error))
        folder = self._folder / mark
        unpack(back.output or {}, folder / OUTPUT)
        unpack(back.log or {}, folder / LOG)
        return taken(mark, folder, JobDone(back.facts or {}, back.seconds, resumed=False))

    def _asked(self) -> list[ClusterMachine]:
        """Ask every machine of the cluster what it is, each by a task that only it may run."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ask = self._ray.remote(num_cpus=0)(_asker())
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        ways = (NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in alive)
        asked = [ask.options(scheduling_strategy=way).remote() for way in ways]
        try:
            told = self._ray.get(asked, timeout=_CHECK)
        except self._ray.exceptions.RayError as error:
            raise ProjectError(f"a machine of the cluster does not answer: {_first_line(error)}") from error
        known = ((node["NodeManagerAddress"], node["Resources"]) for node in alive)
        return [_machine(*node, *said) for node, said in zip(known, told, strict=True)]


def _machine(address: str, has: Mapping[str, float], python: str, jessy: str, chip: str) -> ClusterMachine:
    """Return a machine as Ray and jessy see it: a GPU counts where both know it."""
    gpus = int(has.get("GPU", 0)) if chip == "CUDA" else 0
    return ClusterMachine(address, python, jessy, gpus, int(has.get("CPU", 0)))


def refuse_unfit(machines: Sequence[ClusterMachine]) -> None:
    """Raise ProjectError for the first machine whose trainings would not be those of this jessy."""
    if not machines:
        raise ProjectError("the cluster has no machine that is alive", hint="`ray status` tells of its machines")
    own = _minor(platform.python_version())
    for one in machines:
        if not one.jessy:
            raise ProjectError(
                f"{one.address} has no jessy", hint=f"install jessy {__version__} on every machine of the cluster"
            )
        if one.jessy != __version__:
            said = f"{one.address} has jessy {one.jessy}, and this is {__version__}"
            raise ProjectError(said, hint="install the same version on every machine of the cluster")
        if _minor(one.python) != own:
            said = f"{one.address} has Python {one.python}, and this is {platform.python_version()}"
            raise ProjectError(said, hint=f"run jessy with Python {own} on every machine of the cluster")
    if len({one.gpus > 0 for one in machines}) > 1:
        raise ProjectError(
            "some machines of the cluster compute on CUDA and some do not: their points could not be compared"
        )


def _share(machines: Sequence[ClusterMachine], jobs: int) -> dict[str, float]:
    """Return what a task claims, so that so many train at a time on each GPU, or on each machine without: a training uses all of it."""
    if all(one.gpus for one in machines):
        return {"num_gpus": 1 / jobs, "num_cpus": 0}
    return {"num_cpus": max(1, min(one.processors for one in machines) // jobs)}


def _task(sent: SentTraining) -> SentBack:
    return train_there(sent, load_ray().get)


def _asker() -> Callable[[], tuple[str, str, str]]:
    """Return what a machine is asked. It is sent as code, for it must run where there is no jessy."""

    def ask() -> tuple[str, str, str]:
        import os
        import platform

        try:
            from jessyfile import __version__, machine
        except ImportError:
            return platform.python_version(), "", ""
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # a task that claims no GPU is shown none
        return platform.python_version(), __version__, machine.chip()

    return ask


def _no_cluster(address: str, error: Exception) -> ProjectError:
    hint = (
        "this machine must be one of the cluster's: `ray start --address=HOST:6379`; all with the same Ray and Python"
    )
    return ProjectError(f"Ray does not answer at {address}: {_first_line(error)}", hint=hint)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what the signals do: Ray would end the process at SIGTERM, and a stop asks first."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
