"""`jessy serve` with a real model under load for minutes, then with promotions on the way: only 200 and 429, and memory that stays.

Run `python benchmarks/serve_soak.py PROJECT NAME[:TAG] [--minutes 5] [--clients 8]` with a project that holds the model (`make demo` leaves
one). The project is not written to: its folder `.jessy` is copied, the store's files by links. Clients ask streamed and whole, short and
long, think once or several times, and one in eight leaves in mid-answer. After the first minute resident memory is looked at every second;
it must stay within 5 % of what it was then. Then the model is promoted anew three times, with another temperature each time, while the
clients go on: every question is answered, by the new model in the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from jessyfile.export.registry import LATEST, Registration, lookup, register

WARM, SWAY, PROMOTIONS, LEAVE = 60.0, 0.05, 3, 8
ASKED = (
    "sana bisi sorucam", "Rust'ta ownership nedir?", "bugün canım çok sıkkın", "2 kere {0} kaç eder", "{0} numaralı otobüs nereden kalkıyor",
    "Bilinç nedir?", "what should I cook tonight for {0} people?", "bana {0} satırlık bir şiir yaz", "Python'da liste nasıl ters çevrilir?",
)  # fmt: skip


@dataclass
class Load:
    """The clients: what they were answered, and by which model."""

    port: int
    ended: threading.Event = field(default_factory=threading.Event)
    statuses: Counter[int] = field(default_factory=Counter)
    models: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def client(self, seed: int) -> None:
        """Ask until the end."""
        draw = random.Random(seed)
        while not self.ended.is_set():
            try:
                self.ask(draw)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self.broken.append(f"{type(error).__name__}: {error}")

    def ask(self, draw: random.Random) -> None:
        """Ask one question; leave in mid-answer now and then."""
        stream, leaves = draw.random() < 0.5, draw.randrange(LEAVE) == 0
        body = {
            "model": "soaked",
            "messages": [{"role": "user", "content": draw.choice(ASKED).format(draw.randrange(10**6))}],
            "stream": stream,
            "max_tokens": draw.choice((16, 48, 96)),
            "reasoning_effort": draw.choice(("none", "none", "minimal", "low")),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            if leaves:
                time.sleep(draw.random())
                return
            answer = connection.getresponse()
            data = answer.read()
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.models.append(told(data, stream))
            else:
                time.sleep(min(2.0, float(answer.headers.get("Retry-After", "1"))))
        finally:
            connection.close()


def told(data: bytes, stream: bool) -> str:
    """Return which model answered. Raises ValueError for an answer that is not whole."""
    if not stream:
        return str(json.loads(data)["jessy"]["model_digest"])
    events = data.split(b"\n\n")
    if events[-2] != b"data: [DONE]":
        raise ValueError(f"the stream ends with {events[-2][:200]!r}")
    last = next(event for event in events if b'"jessy"' in event)
    return str(json.loads(last.removeprefix(b"data: "))["jessy"]["model_digest"])


def copied(project: Path, name: str, tag: str, folder: Path) -> tuple[Path, Registration]:
    """Return a copy of the project in which the model is promoted as `soaked`, and its registration."""
    root = folder / "project"
    shutil.copytree(project / ".jessy", root / ".jessy", copy_function=os.link, ignore=shutil.ignore_patterns("lock*"))
    entry = lookup(project, name, tag)
    assert entry is not None, f"there is no {name}:{tag} in {project}"
    return root, relative(entry, project)


def relative(entry: Registration, project: Path) -> Registration:
    """Return a registration with its places relative to the project again, as it is written."""
    gguf = entry.gguf and str(Path(entry.gguf).relative_to(project))
    held = entry.retrieval
    if held is not None:
        passages = held.passages and replace(held.passages, folder=str(Path(held.passages.folder).relative_to(project)))
        folder = held.folder and str(Path(held.folder).relative_to(project))
        held = replace(held, folder=folder, passages=passages)
    return replace(entry, gguf=gguf, retrieval=held, previous=None, since="")


def promoted(root: Path, entry: Registration, number: int) -> None:
    """Promote the model with another temperature, which makes it another model."""
    served = dict(entry.served)
    parameters = served["parameters"]
    assert isinstance(parameters, dict)
    served["parameters"] = {**parameters, "temperature": 0.3 + number / 10}
    register(root, "soaked", LATEST, replace(entry, served=served))


def resident(process: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def counted(port: int, name: str) -> float:
    """Return the sum of a metric."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def watched(process: int, seconds: float) -> tuple[float, float]:
    """Return the resident memory after the first minute, in MB, and the largest share by which it moved from it afterwards."""
    time.sleep(WARM)
    looks = []
    for _ in range(3):
        looks.append(resident(process))
        time.sleep(0.5)
    standing = statistics.median(looks)
    until, moved = time.monotonic() + max(0.0, seconds - WARM), 0.0
    while time.monotonic() < until:
        time.sleep(1)
        moved = max(moved, abs(resident(process) / standing - 1))
    return standing, moved


def main() -> int:
    """Load, watch, promote, print; return 1 where something is not as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("name")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    name, _, tag = given.name.partition(":")
    project = given.project.resolve()
    with tempfile.TemporaryDirectory(dir=project.parent) as folder:
        root, entry = copied(project, name, tag or LATEST, Path(folder))
        promoted(root, entry, 0)
        words = [sys.executable, "-m", "jessyfile.cli", "serve", "soaked", "--port", "0", "--queue", "4"]
        with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            return soaked(server, root, entry, given.minutes * 60, given.clients)


def soaked(server: subprocess.Popen[str], root: Path, entry: Registration, seconds: float, clients: int) -> int:
    """Put the server under load and say what came of it."""
    assert server.stdout is not None
    line = next(line for line in server.stdout if line.startswith("OpenAI"))
    load = Load(int(line.rpartition(":")[2].partition("/")[0]))
    threads = [threading.Thread(target=load.client, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    standing, moved = watched(server.pid, seconds)
    for number in range(1, PROMOTIONS + 1):
        promoted(root, entry, number)
        until = time.monotonic() + 120
        while counted(load.port, "jessy_promotions_total{") < number and time.monotonic() < until:
            time.sleep(0.5)
    taken = counted(load.port, "jessy_promotions_total{")
    answered = len(load.models)
    while len(load.models) < answered + clients and time.monotonic() < until:
        time.sleep(0.5)
    load.ended.set()
    for thread in threads:
        thread.join()
    after, left = resident(server.pid), counted(load.port, "jessy_abandoned_total")
    server.send_signal(signal.SIGTERM)
    code = server.wait(60)
    only = set(load.statuses) <= {200, 429}
    print(
        f"{clients} clients: {dict(load.statuses)}, {left:.0f} left in mid-answer, {len(load.broken)} broken {load.broken[:2]}"
    )
    print(f"resident memory after a minute {standing:.0f} MB, moved by {moved:.1%} at most in {seconds - WARM:.0f} s; "
          f"{after:.0f} MB after {taken:.0f} promotions")  # fmt: skip
    print(f"exit code {code}")
    return int(not only or bool(load.broken) or moved > SWAY or taken < PROMOTIONS or code != 0)


if __name__ == "__main__":
    sys.exit(main())
