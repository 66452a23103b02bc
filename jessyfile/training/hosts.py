"""The file of `--hosts`, in mlx.launch's own format: on which machines the processes of one training run, and what is known to be wrong."""

from __future__ import annotations

import glob
import ipaddress
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile import fsops, machine
from jessyfile.errors import StateError, TrainingError
from jessyfile.planning.preflight import Finding
from jessyfile.results.typed_json import read_as
from jessyfile.text.strict_json import unique
from jessyfile.user_files import read_plain

if TYPE_CHECKING:
    from jessyfile.language.recipe import Train
    from jessyfile.planning.preflight import Outlook

HERE = "127.0.0.1"  # the one name that mlx.launch starts without ssh
_ENTRY = '`[{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}, …]`, an entry for each process'
_NAME = re.compile(r"[A-Za-z0-9_][\w.@:%-]*")
_SETTING = re.compile(r"[A-Za-z_]\w*=[^\0\n]*")
_PATIENCE = 20  # seconds
Backend = Literal["", "ring", "nccl"]


@dataclass(frozen=True, slots=True)
class TrainingHost:
    """Where one process runs: what `ssh` calls the machine, and the addresses at which the other processes reach it."""

    ssh: str
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The processes of one training by rank, how they talk (empty: as the machine's chip does) and what they find in their environment."""

    hosts: tuple[TrainingHost, ...]
    backend: Backend = ""
    envs: tuple[str, ...] = ()

    @property
    def here(self) -> int:
        """How many of the processes run on this machine."""
        return sum(host.ssh == HERE for host in self.hosts)

    @property
    def remote(self) -> tuple[str, ...]:
        """The other machines."""
        return tuple(dict.fromkeys(host.ssh for host in self.hosts if host.ssh != HERE))

    def carried_by(self, chip: str) -> str:
        """Return the backend that carries the sums, on a machine with this chip (`machine.chip`)."""
        return self.backend or ("nccl" if chip == "CUDA" else "ring")


def read_hosts(path: Path) -> Hosts:
    """Return what a file of hosts says. Raises TrainingError that names the file and what is wrong in it."""
    try:
        body = json.loads(read_plain(path), object_pairs_hook=unique)
        found = read_as(Hosts, body if isinstance(body, dict) else {"hosts": body}, "it")
    except FileNotFoundError:
        raise TrainingError(f"there is no file `{path}`", hint=f"--hosts takes a file that says {_ENTRY}") from None
    except (ValueError, RecursionError) as error:
        raise _unfit(path, f"is not JSON: {error}") from None
    except StateError as error:
        raise _unfit(path, f"is no list of hosts: {error.message.partition(': ')[2]}") from None
    named = tuple(TrainingHost(HERE if host.ssh == "localhost" else host.ssh, host.ips) for host in found.hosts)
    for problem in _problems(named, found):
        raise _unfit(path, problem)
    return Hosts(named, found.backend, found.envs)


def _unfit(path: Path, problem: str) -> TrainingError:
    return TrainingError(f"`{path}` {problem}", hint=f"mlx.launch reads {_ENTRY}")


def _problems(hosts: tuple[TrainingHost, ...], found: Hosts) -> Iterator[str]:
    if len(hosts) < 2:
        yield f"names {len(hosts)} process{'es' * (len(hosts) != 1)}, and one alone needs no --hosts"
    for number, host in enumerate(hosts):
        if not _NAME.fullmatch(host.ssh):
            yield f"calls the host of process {number} {host.ssh!r}, which is no name for ssh"
        if not host.ips or not all(map(_is_address, host.ips)):
            yield f"gives process {number} the addresses {list(host.ips)}, where `ips` are one or more IP addresses"
    if hosts[0].ssh != HERE:
        yield f"lets process 0, which keeps the checkpoints, run on {hosts[0].ssh}; the first is this machine, {HERE}"
    for setting in found.envs:
        if not _SETTING.fullmatch(setting):
            yield f"has {setting!r} among its `envs`, which is not NAME=VALUE"


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def hosts_preflight(outlook: Outlook, hosts: Hosts) -> Iterator[Finding]:
    """Yield where the training runs and what would stop it there; other machines are asked only when the network may be."""
    yield Finding("note", "", outlook.step, f"it trains in {len(hosts.hosts)} processes: {_places(hosts)}")
    missing = [tool for tool in ("bash", *["ssh"] * bool(hosts.remote)) if shutil.which(tool) is None]
    for tool in missing:
        yield outlook.error(TrainingError(f"mlx.launch needs {tool}, which is not installed here"))
    yield from map(outlook.error, _wrong_here(hosts))
    yield from map(outlook.warning, _slow(outlook.recipe.train, hosts))
    if outlook.network and not missing:
        yield from (
            outlook.error(error) for host in hosts.remote for error in _asked(outlook.recipe.path.resolve(), host)
        )


def _wrong_here(hosts: Hosts) -> Iterator[TrainingError]:
    chip, cards = machine.chip(), len(glob.glob("/dev/nvidia[0-9]*"))
    if hosts.carried_by(chip) != "nccl":
        return
    if chip != "CUDA":
        hint = 'take `"backend": "ring"`'
        yield TrainingError("NCCL joins NVIDIA cards and MLX computes on none here", hint=hint)
    elif 0 < cards < hosts.here:
        yield TrainingError(f"{hosts.here} processes run here, one a card, and there are {cards} cards")


def _slow(train: Train, hosts: Hosts) -> Iterator[TrainingError]:
    if machine.chip() == "CPU" and hosts.here > machine.cores():
        yield TrainingError(f"{hosts.here} processes run here on {machine.cores()} processors, so that some wait")
    rows, count = train.batch_size * train.grad_accumulation, len(hosts.hosts)
    if count > rows:
        hint = "raise batch_size, or name fewer processes"
        yield TrainingError(f"an update has {rows} rows for {count} processes, so that some wait", hint=hint)


def _places(hosts: Hosts) -> str:
    counts = {name: sum(host.ssh == name for host in hosts.hosts) for name in (HERE, *hosts.remote)}
    return ", ".join(f"{count} {'here' if name == HERE else f'on {name}'}" for name, count in counts.items())


def seen(recipe: Path) -> str:
    """Return what a machine says of itself: jessy's version, and the hash of the recipe where it stands."""
    from jessyfile import __version__

    return f"{__version__} {fsops.hash_file(recipe)}"


def _asked(recipe: Path, host: str) -> Iterator[TrainingError]:
    """Ask a machine for its jessy and for the recipe's file; both must be as they are here."""
    asked = shlex.join([sys.executable, "-P", "-m", "jessyfile.training.rank", "--seen", str(recipe)])
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_PATIENCE // 2}", host, asked]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        yield TrainingError(f"{host} does not answer within {_PATIENCE} seconds")
        return
    if answer.returncode:
        said = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        hint = "it must let you in by `ssh` without a password, with the same Python and the project's folder in place"
        yield TrainingError(f"{host} cannot take part: {said}", hint=hint)
    elif answer.stdout.split() != seen(recipe).split():
        hint = "install the same version there, and let it see the project's folder on a disk that all hosts share"
        yield TrainingError(f"{host} has another jessy, or another `{recipe}`", hint=hint)
