"""Train in several processes: hand the step `train` or `prefer` to mlx.launch, pass on what its processes say, and end all when one ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from jessyfile import fsops, machine
from jessyfile.errors import ConvergenceError, InsufficientMemoryError, Interrupted, TrainingError
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import PreferFacts, TrainFacts
from jessyfile.results.typed_json import Record, read_as
from jessyfile.training.hosts import HERE, Hosts
from jessyfile.training.rank import STOP, RankEvent, RankJob

_PAUSE = 0.1  # seconds between two looks at what the processes say
_PORT = 32323  # where mlx.launch begins, one port a process
_ERRORS = {kind.__name__: kind for kind in (Interrupted, ConvergenceError, InsufficientMemoryError, TrainingError)}
_ENDED = re.compile(r"Node with rank (\d+) exited with code (-?\d+)")


def train_together(context: StepContext, hosts: Hosts) -> TrainFacts:
    """Run the step `train` in the processes of a file of hosts.

    Raises Interrupted once all have stopped, TrainingError when one has died, and whatever the training itself raises.
    """
    return read_as(TrainFacts, _together(context, hosts, "train"), "what process 0 returned")


def prefer_together(context: StepContext, hosts: Hosts) -> PreferFacts:
    """Run the step `prefer` there. Raises as `train_together` does."""
    return read_as(PreferFacts, _together(context, hosts, "prefer"), "what process 0 returned")


def _together(context: StepContext, hosts: Hosts, step: Literal["train", "prefer"]) -> Record:
    fsops.sweep_temporaries(context.work, ".ranks.*.tmp")
    with fsops.temporary_folder(context.work / "ranks") as folder:
        watch = RankWatch(context, folder)
        with _launched(context, hosts, folder, step) as process:
            watch.until_the_end(process)
        return watch.outcome(hosts)


@contextlib.contextmanager
def _launched(
    context: StepContext, hosts: Hosts, folder: Path, step: Literal["train", "prefer"]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start mlx.launch in a session of its own, so that the apply alone hears a terminal's signals; end it with the block."""
    backend = hosts.carried_by(machine.chip())
    job = RankJob(
        step=step,
        document=context.recipe.document,
        recipe=str(context.recipe.path),
        root=str(context.root.resolve()),
        work=str(context.work.resolve()),
        output=str(context.output.resolve()),
        inputs={name: str(place.resolve()) for name, place in context.inputs.items()},
        hosts=tuple(host.ssh for host in hosts.hosts),
        backend=backend,
        log=str(context.log.resolve()) if context.log is not None else None,
    )
    fsops.write_text(folder / "job.json", json.dumps(asdict(job)))
    fsops.write_text(folder / "hosts.json", json.dumps([asdict(host) for host in hosts.hosts]))
    # mlx.launch leaves files of its own, and its shell breaks at a blank in their path, which a project's may have
    with tempfile.TemporaryDirectory(prefix="jessy-") as scratch, open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            _command(hosts, folder.resolve(), backend),
            cwd=context.root,
            env={**os.environ, "TMPDIR": scratch},
            stdin=subprocess.PIPE,  # it reads a closed one without a pause
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _command(hosts: Hosts, folder: Path, backend: str) -> list[str]:
    [entry] = entry_points(group="console_scripts", name="mlx.launch")
    port = _free_ports(len(hosts.hosts)) if not hosts.remote else _PORT
    envs = [word for setting in hosts.envs for word in ("--env", setting)]
    return [
        *(sys.executable, "-P", "-c", f"from {entry.module} import {entry.attr}; {entry.attr}()"),
        *("--hostfile", f"{folder / 'hosts.json'}", "--backend", backend, "--repeat-hosts", f"{hosts.here}"),
        *("--starting-port", f"{port}", "--nccl-port", f"{port}", "--python", sys.executable, *envs),
        *("--", "-P", "-m", "jessyfile.training.rank", f"{folder / 'job.json'}"),
    ]


def _free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nothing on this machine listens at."""
    for first in range(_PORT, 60_000, count):
        with contextlib.ExitStack() as opened:
            try:
                for port in range(first, first + count):
                    opened.enter_context(socket.socket()).bind((HERE, port))
            except OSError:
                continue
            return first
    raise TrainingError(f"no {count} ports in a row are free on this machine")


@dataclass(slots=True)
class RankWatch:
    """Reads what the processes say, tells the apply, and knows how it ended."""

    context: StepContext
    folder: Path
    ends: dict[int, RankEvent] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)

    def until_the_end(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on progress until all processes have ended; a stop is asked for once."""
        while process.poll() is None:
            self._look()
            if self.context.stop.requested() and not (self.folder / STOP).exists():
                fsops.write_text(self.folder / STOP, "")
            time.sleep(_PAUSE)
        self._look()

    def outcome(self, hosts: Hosts) -> Record:
        """Return process 0's facts, or raise what ended the training."""
        first = self.ends.get(0)
        if first is not None and first.event == "done" and first.facts is not None:
            return first.facts
        failed = next((self.ends[rank] for rank in sorted(self.ends) if self.ends[rank].event != "done"), None)
        if failed is not None:
            raise _ERRORS.get(failed.event, TrainingError)(failed.text, hint=failed.hint)
        raise self._died(hosts)

    def _look(self) -> None:
        for path in sorted(self.folder.glob("*.jsonl")):
            with fsops.opened(path) as handle:
                handle.seek(self._read.get(path, 0))
                *lines, _ = handle.read().split(b"\n")
            self._read[path] = self._read.get(path, 0) + sum(len(line) + 1 for line in lines)
            for line in lines:
                self._hear(int(path.stem), read_as(RankEvent, json.loads(line), "what a process says"))

    def _hear(self, rank: int, event: RankEvent) -> None:
        if event.event == "update":
            self.context.progress.update(event.done, event.total, text=event.text)
        elif event.event == "note":
            self.context.progress.note(event.text)
        else:
            self.ends[rank] = event

    def _died(self, hosts: Hosts) -> TrainingError:
        """Say which process ended first, and its last words; mlx.launch ends the others with SIGTERM."""
        log = (self.folder / "log").read_text("utf-8", "replace")
        ends = [(int(rank), int(code)) for rank, code in _ENDED.findall(log)]
        rank, code = next((end for end in ends if end[1] != -signal.SIGTERM), ends[0] if ends else (0, 1))
        own = [
            line for line in log.splitlines() if line.strip() and "[WARN]" not in line and not line.startswith("[ring]")
        ]
        how = (
            f"was killed by signal {-code}" if code < 0 else f"ended with code {code}: {own[-1] if own else 'no word'}"
        )
        where = "" if hosts.hosts[rank].ssh == HERE else f" on {hosts.hosts[rank].ssh}"
        hint = "the newest checkpoint is kept, and the same command goes on from it"
        if code == -signal.SIGKILL:
            hint = f"a system kills so when memory runs out; {hint}, also with fewer processes"
        return TrainingError(f"process {rank}{where} {how}; all were stopped", hint=hint)
