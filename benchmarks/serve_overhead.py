"""What `jessy serve` adds to an answer: the time of a request beside an engine's double of fixed latency, with 32 clients at once.

The server runs in a process of its own and gives as many answers at once as there are clients, so that nobody waits in the line. An answer
takes half a second and comes in 10 pieces; a client waits up to half a second before it asks again, so that they don't move in step. What is
measured is the time from sending a request to its last byte, less what the double itself took: it sleeps, and a sleep is never exact.
Asked for: a median below 3 ms, a 95th percentile below 15 ms. Beside it Starlette alone, which reads the question, sleeps in a thread and says
for how long: what the machine and the libraries take of it. The processor should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENTS, SECONDS, REQUESTS, PIECES = 32, 0.5, 20, 10
MEDIAN_MS, P95_MS = 3.0, 15.0

SERVER = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from serve_fakes import Double, register_model
from jessyfile.serve.assembly import assembled
from jessyfile.serve.server import address_of, listening, run
from jessyfile.serve.settings import Access, Limits
root = Path(tempfile.mkdtemp())
register_model(root)
double = Double(seconds=float(sys.argv[2]), parallel=int(sys.argv[3]), answer_to=lambda _: " ".join(["kelime"] * int(sys.argv[4])))
service = assembled(root, (), lambda _: double, Limits(), Access())
service.house.open()
listener = listening("127.0.0.1", 0)
print(address_of(listener), flush=True)
run(service, listener)
"""

PEER = """
import asyncio, sys, time
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    await request.json()
    started = time.perf_counter()
    await asyncio.to_thread(time.sleep, float(sys.argv[1]))
    return JSONResponse({"jessy": {"seconds": time.perf_counter() - started}})

config = uvicorn.Config(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])]), port=0, log_level="critical")
listener = config.bind_socket()
print(f":{listener.getsockname()[1]}", flush=True)
uvicorn.Server(config).run([listener])
"""


def ask(port: int, stream: bool, found: list[float], errors: list[str]) -> None:
    """Ask so many times over one connection; keep what each took beyond the double's own seconds, in milliseconds.

    Bytes are sent and received and nothing else is done until the last has come: a client's own library is not the server's time.
    """
    body = json.dumps({"model": "tiny", "stream": stream, "messages": [{"role": "user", "content": "selam"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request, last = f"{head}\r\n\r\n{body}".encode(), b"0\r\n\r\n" if stream else b"}"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for _ in range(REQUESTS):
            time.sleep(random.random() * SECONDS)
            started, data = time.perf_counter(), b""
            connection.sendall(request)
            while not data.endswith(last):
                data += connection.recv(1 << 16)
            took = time.perf_counter() - started
            if not data.startswith(b"HTTP/1.1 200 "):
                errors.append(repr(data[:100]))
                continue
            found.append((took - own_seconds(data.partition(b"\r\n\r\n")[2], stream)) * 1000)


def own_seconds(data: bytes, stream: bool) -> float:
    """Return what the double says that it took itself."""
    if not stream:
        return float(json.loads(data)["jessy"]["seconds"])
    last = [line for line in data.splitlines() if b'"jessy"' in line][-1]
    return float(json.loads(last.removeprefix(b"data: "))["jessy"]["seconds"])


def measured(port: int, clients: int, stream: bool) -> list[float]:
    """Return the added milliseconds of every request."""
    found: list[float] = []
    errors: list[str] = []
    threads = [threading.Thread(target=ask, args=(port, stream, found, errors)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:3]
    return sorted(found)


def processor_seconds(process: int) -> float:
    """Return the processor seconds that a process has used."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*words: str) -> Iterator[tuple[int, int]]:
    """Run a server during the block; give its port and its process."""
    with subprocess.Popen([sys.executable, "-c", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().strip().rpartition(":")[2]), process.pid
        process.terminate()


def told(kind: str, port: int, process: int, clients: int, stream: bool) -> bool:
    """Measure once to warm up and once to tell; return whether it is within what is asked for."""
    measured(port, clients, stream)
    before = processor_seconds(process)
    found = measured(port, clients, stream)
    spent = (processor_seconds(process) - before) / len(found) * 1000
    median, p95 = statistics.median(found), found[int(len(found) * 0.95)]
    kept = f"added median {median:.2f} ms, p95 {p95:.2f} ms, most {found[-1]:.1f} ms; processor {spent:.2f} ms each"
    print(f"{kind} {clients} clients, {len(found)} answers: {kept}", flush=True)
    return median < MEDIAN_MS and p95 < P95_MS


def main() -> int:
    """Measure, print, and return 1 where it is more than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    clients = parser.parse_args().clients
    fakes = Path(__file__).resolve().parents[1] / "tests" / "serve"
    with server(PEER, str(SECONDS)) as (port, process):
        told("Starlette alone", port, process, clients, stream=False)
    with server(SERVER, str(fakes), str(SECONDS), str(clients), str(PIECES)) as (port, process):
        kept = [told(f"jessy, {kind:8}", port, process, clients, kind == "streamed") for kind in ("whole", "streamed")]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
