"""How llama.cpp's threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jessyfile.engines.engine import ServedModel
from jessyfile.engines.llamacpp_engine import _parameters, llama_cpp
from jessyfile.machine import threads_that_rest

HOUSE = Path(__file__).resolve().parents[2]
LOADED = "{before}; from jessyfile.engines.llamacpp_engine import llama_cpp; llama_cpp()"


def told(environment: dict[str, str], before: str = "pass") -> str:
    """Return how GCC's OpenMP says that it waits, once the engine's library is loaded in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(before=before)],
        env={**clean, "PYTHONPATH": str(HOUSE), "OMP_DISPLAY_ENV": "verbose", **environment},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the engine's other wheels have no OpenMP")
@pytest.mark.parametrize("before", ["pass", "from jessyfile.export.ggml import library; library()"])
def test_threads_of_the_engine_sleep_while_they_wait(before: str) -> None:
    """They spun for milliseconds: beside one busy process an answer took seven times as long."""
    assert "GOMP_SPINCOUNT = '300'" in told({}, before)


@pytest.mark.skipif(sys.platform != "linux", reason="the engine's other wheels have no OpenMP")
def test_what_a_person_told_openmp_stays() -> None:
    assert "GOMP_SPINCOUNT = '77'" in told({"GOMP_SPINCOUNT": "77"})


def test_no_thread_polls_between_two_tokens() -> None:
    """Where llama.cpp is built without OpenMP its threads look for work half of the time."""
    made = _parameters(llama_cpp().CommonParams(), ServedModel("a", None, "gemma"), Path("a.gguf"), 1, "key")
    assert (made.cpuparams.poll, made.cpuparams_batch.poll) == (0, 0)


def test_the_environment_is_afterwards_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    with threads_that_rest():
        assert os.environ["GOMP_SPINCOUNT"] == "300"
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    with threads_that_rest():
        assert "GOMP_SPINCOUNT" not in os.environ
    assert os.environ["OMP_WAIT_POLICY"] == "active"
