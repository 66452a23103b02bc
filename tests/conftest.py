"""What all tests share: generated examples are not timed, for the machines that run them are shared and noisy; and test processes
that run side by side each keep to processors of their own.

The fast BLAS is opened before any module of the tests imports MLX, as jessy does it: the other one is slower and gives other bits.

Threads that wait for each other by spinning, as a BLAS's and llama.cpp's do, need a processor each: with two such processes on the
same two, a test can take many times as long.
"""

import os

import pytest
from hypothesis import settings

from jessyfile.models.accelerate import prepare

prepare()
settings.register_profile("jessy", deadline=None)
settings.load_profile("jessy")


def pytest_configure() -> None:
    """Give an xdist worker its share of the processors, where the system can (Linux)."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and count and hasattr(os, "sched_setaffinity"):
        own = sorted(os.sched_getaffinity(0))[int(worker.removeprefix("gw")) :: int(count)]
        os.sched_setaffinity(0, own or os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the real model's tests first: with one of their long files last, one process waits for the other."""
    items.sort(key=lambda item: item.get_closest_marker("real") is None)
