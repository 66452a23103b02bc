"""A project whose every step is real and takes seconds: a tiny base model, a teacher and a judge that may hang."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

from tiny import tiny_model

ROOT = Path(__file__).resolve().parents[2]

WORDS = [
    "elma",
    "armut",
    "kiraz",
    "vişne",
    "dut",
    "incir",
    "üzüm",
    "karpuz",
    "kavun",
    "ayva",
    "nar",
    "şeftali",
    "kayısı",
    "muz",
    "portakal",
    "limon",
]
RECIPE = """JESSY 1
NAME tt
FROM ./base
DATASET {{
  validation 20%
  TEACHER wise at {url}/v1 {{
    max_requests 20
    timeout 60s
  }}
  CATEGORY fruit 10 "T" {{
    language tr
    level low
    TOPIC plain 10
  }}
}}
LORA {{
  rank 4
  alpha 8
}}
TRAIN {{
  epochs 2
  batch_size 2
  max_length 384
  warmup_steps 1
}}
EXPORT gguf {{ quantize q4_k_m }}
PARAMETER num_thread 1
DEPLOY {{ engine embedded }}
EVAL {{
  max_tokens 8
  SUITE mine "data/eval/mine.jsonl"
  MUST training_time < 60m
  judge strict at {url}/v1
}}
"""
_PATIENCE = 300.0  # seconds, for machines that others use too


class Server:
    """An OpenAI-compatible server: `wise` writes rows, `strict` gives scores; either hangs while it is in `hanging`."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.asked.append(body["model"])
                while body["model"] in server.hanging:
                    time.sleep(0.02)
                text = server.rows(body["seed"]) if body["model"] == "wise" else "7"
                data = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
                try:
                    self.send_response(200)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    return

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @staticmethod
    def rows(seed: int) -> str:
        rows = [
            {
                "query": f"{word} konusu {seed % 100_000} nasıl",
                "response": f"{WORDS[-n - 1].title()} deyince {seed % 100_000} defa düşünürüm bence.",
                "iterations": 1,
            }
            for n, word in enumerate(WORDS[:6])
        ]
        return json.dumps({"rows": rows}, ensure_ascii=False)


@contextmanager
def serving():
    server = Server()
    try:
        yield server
    finally:
        server.hanging.clear()
        server.http.shutdown()
        server.http.server_close()


class World:
    """One project and the applies in it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        for folder in (".jessy", "data/eval", "data/seeds/fruit"):
            (root / folder).mkdir(parents=True)
        tiny_model(root / "base")
        (root / "t.jessy").write_text(RECIPE.format(url=url), encoding="utf-8")
        lines = [json.dumps(_seed(n), ensure_ascii=False) for n in range(6)]
        (root / "data/seeds/fruit/plain.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        lines = [json.dumps(_case(n), ensure_ascii=False) for n in range(4)]
        (root / "data/eval/mine.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def copied(self, root: Path) -> World:
        """Return a copy of the project, with what was applied in it, under another root."""
        shutil.copytree(self.root, root)
        copy = object.__new__(World)
        copy.root = root
        return copy

    def apply(self, *words: str) -> Apply:
        return Apply(self, words)

    def objects(self) -> dict[str, str]:
        """Return what the last apply made, by step."""
        state = json.loads((self.root / ".jessy/state/tt.json").read_text())
        return {name: step["object"] for name, step in state["steps"].items()}


class Apply:
    """One `jessy apply --json` in a session of its own, as a terminal starts it."""

    def __init__(self, world: World, words: tuple[str, ...]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jessyfile.cli", "apply", "t.jessy", *words, "--json"],
            cwd=world.root, env=environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_one_core,
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []

    def until(self, step: str) -> bool:
        """Read events until a step has started; return whether it has."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "started" and self.events[-1]["step"] == step:
                return True
        return False

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group, as Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what stands on standard error."""
        out, error = self.process.communicate(timeout=_PATIENCE)
        self.events += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, error


def _one_core() -> None:
    """Keep a process to one processor, so that threads which wait by spinning do not wait for each other."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _seed(n: int) -> dict[str, Any]:
    word, other = WORDS[n], WORDS[(n * 5 + 3) % 16]
    return {
        "query": f"{word} {other} ile ne yapsam bugün {n}",
        "response": f"{word.capitalize()} varsa reçel yap, kalanını komşuya götür {WORDS[(n + 7) % 16]}.",
        "iterations": 1, "complexity": "low", "category": "fruit", "topic": "plain", "language": "tr", "source": "hand",
    }  # fmt: skip


def _case(n: int) -> dict[str, Any]:
    check = {"check": "length", "max": 400}
    prompt = f"deneme {n} nasıl gidiyor"
    return {"id": f"mine-{n:03}", "suite": "mine", "prompt": prompt, "level": "low", "language": "tr", "form": [check]}


def wait_for(holds: Any, seconds: float = _PATIENCE) -> None:
    """Wait until a function returns True."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
