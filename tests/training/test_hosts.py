"""The file of `--hosts` is read as mlx.launch reads it, and what is wrong is said before anything runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import tiny_model
from together import HOST, RECIPE, hosts

from jessyfile import machine
from jessyfile.errors import TrainingError
from jessyfile.language import load_text
from jessyfile.planning.command_line import Call
from jessyfile.planning.plan import Selection
from jessyfile.planning.preflight import Finding, Outlook
from jessyfile.training.hosts import HERE, hosts_preflight, read_hosts, seen

FAR = {"ssh": "mac2", "ips": ["10.0.0.2"]}
WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ("[{", "is not JSON"),
    "a key twice": ('[{"ssh": "a", "ssh": "b"}]', "twice"),
    "a number": (3, "array"),
    "no hosts": ({"a": 1}, "is no list of hosts: Object missing required field `hosts`"),
    "nobody": ([], "names 0 processes"),
    "one alone": ([HOST], "names 1 process,"),
    "no ssh": ([HOST, {"ips": [HERE]}], "ssh"),
    "no addresses": ([HOST, {"ssh": HERE}], "gives process 1 the addresses"),
    "a name for an address": ([HOST, {"ssh": "mac2", "ips": ["mac2"]}], "gives process 1 the addresses"),
    "an option for a host": ([HOST, {"ssh": "-oProxyCommand=touch x", "ips": ["10.0.0.2"]}], "no name for ssh"),
    "elsewhere first": ([FAR, HOST], "process 0, which keeps the checkpoints"),
    "a backend of another kind": ({"backend": "mpi", "hosts": [HOST, HOST]}, "mpi"),
    "a setting without a value": ({"envs": ["A"], "hosts": [HOST, HOST]}, "not NAME=VALUE"),
}


def write(folder: Path, body: Any) -> Path:
    (folder / "hosts.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return folder / "hosts.json"


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_none_is_refused_with_its_name_and_its_fault(name: str, tmp_path: Path) -> None:
    body, said = WRONG[name]
    with pytest.raises(TrainingError, match=r"hosts\.json") as caught:
        read_hosts(write(tmp_path, body))
    assert said in caught.value.message
    assert "mlx.launch" in (caught.value.hint or "")


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no file"):
        read_hosts(tmp_path / "hosts.json")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # mlx.launch leaves the file open
def test_what_mlx_launch_reads_is_read(tmp_path: Path) -> None:
    body = {"backend": "ring", "envs": ["A=b"], "hosts": [{**HOST, "ssh": "localhost", "rdma": []}, HOST, FAR]}
    found = read_hosts(write(tmp_path, body))
    assert (found.here, found.remote, found.backend, found.envs) == (2, ("mac2",), "ring", ("A=b",))
    from mlx._distributed_utils.common import Hostfile

    assert [host.ssh_hostname for host in Hostfile.from_file(tmp_path / "hosts.json").hosts] == [
        "localhost",
        HERE,
        "mac2",
    ]


def findings(folder: Path, body: Any, reach: Any = "machine") -> list[Finding]:
    (folder / "base").mkdir(exist_ok=True)
    recipe = load_text(RECIPE % 1, folder / "tiny.jessy", root=folder).recipe
    assert recipe is not None
    (folder / "tiny.jessy").write_text(RECIPE % 1)
    return list(
        hosts_preflight(Outlook(recipe, folder, {"train"}, reach=reach, step="train"), read_hosts(write(folder, body)))
    )


def test_a_plan_says_where_it_trains_and_what_is_odd_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "chip", lambda: "CPU")
    monkeypatch.setattr(machine, "cores", lambda: 2)
    note, *odd = findings(tmp_path, [HOST, HOST, HOST, HOST, FAR])
    assert note.message == "it trains in 5 processes: 4 here, 1 on mac2"
    assert [one.severity for one in odd] == ["warning", "warning"]
    assert "on 2 processors" in odd[0].message
    assert "3 rows for 5 processes, so that some wait" in odd[1].message
    [_, error] = findings(tmp_path, {"backend": "nccl", "hosts": [HOST, HOST]})
    assert (error.severity, "NVIDIA" in error.message) == ("error", True)


def ssh(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put a program called `ssh` before the real one, which must never be asked here."""
    made = folder / "bin" / "ssh"
    made.parent.mkdir(exist_ok=True)
    made.write_text(f"#!/bin/bash\n{body}\n")
    made.chmod(made.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{made.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('eval "${@: -1}"', None),
        ("echo 'ssh: Could not resolve hostname mac2' >&2; exit 255", "mac2 cannot take part: ssh: Could not resolve"),
        ("echo '0.0.1 abc'", "mac2 has another jessy"),
    ],
)
def test_another_machine_is_asked_before_the_first_step(
    answer: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh(tmp_path, monkeypatch, answer)
    assert not [one for one in findings(tmp_path, [HOST, FAR]) if one.severity == "error"]  # a plan asks nobody
    errors = [one.message for one in findings(tmp_path, [HOST, FAR], "network") if one.severity == "error"]
    assert len(errors) == (said is not None)
    assert said is None or errors[0].startswith(said)


def test_the_command_that_goes_on_and_a_saved_plan_say_the_hosts_too() -> None:
    call = Call("x.jessy", hosts="my hosts.json")
    assert call.command(Selection()) == "jessy apply x.jessy --hosts 'my hosts.json'"
    assert Call.from_json(call.as_json()) == call
    assert "hosts" not in Call("x.jessy").as_json()


def test_jessy_plan_takes_hosts(tmp_path: Path) -> None:
    (tmp_path / ".jessy").mkdir()
    tiny_model(tmp_path / "base", "llama")
    (tmp_path / "tiny.jessy").write_text(RECIPE % 1)
    words = [sys.executable, "-m", "jessyfile.cli", "plan", "tiny.jessy", "--hosts"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def told(name: str) -> SimpleNamespace:
        return subprocess.run([*words, name], cwd=tmp_path, env=environment, capture_output=True, text=True)  # type: ignore[return-value]

    assert "it trains in 2 processes: 2 here" in told(hosts(tmp_path).name).stdout
    absent = told("absent.json")
    assert absent.returncode == 1
    assert "error[E600]: there is no file `absent.json`" in absent.stderr


def test_a_machine_says_its_version_and_the_recipe_it_sees(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("JESSY 1\n")
    version, digest = seen(tmp_path / "x").split()
    assert version.count(".") == 2
    assert len(digest) == 64
