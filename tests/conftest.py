"""What all tests share: generated examples are not timed, for the machines that run them are shared and noisy; and test processes
that run side by side each keep to processors of their own.

The fast BLAS is opened before any module of the tests imports MLX, as jessy does it: the other one is slower and gives other bits.

Threads that wait for each other by spinning, as a BLAS's and llama.cpp's do, need a processor each: with two such processes on the
same two, a test can take many times as long.
"""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from jessyfile.models.accelerate import prepare


def _keep_to_own_processors() -> None:
    """Give an xdist worker its share of the processors, where the system can (Linux); before the BLAS counts them for its threads."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and count and hasattr(os, "sched_setaffinity"):
        own = sorted(os.sched_getaffinity(0))[int(worker.removeprefix("gw")) :: int(count)]
        os.sched_setaffinity(0, own or os.sched_getaffinity(0))


_keep_to_own_processors()
prepare()
sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("jessy", deadline=None)
settings.load_profile("jessy")


def pytest_configure() -> None:
    """Give the tests of stops the signals as a terminal gives them: a shell starts what runs in its background with these ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the real model's tests first, the longest file before the others: with a long file last, one process waits for the
    other. What needs the trained model comes last, when it is there."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if "features" in item.path.parts:
        return 3
    if item.get_closest_marker("real") is None:
        return 2
    return 0 if item.path.name == "test_main_job.py" else 1


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that both test processes of a run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def main_job(shared: Path) -> Path:
    """The project whose recipe was applied: a Gemma that is trained, exported, evaluated and promoted."""
    from main_job import applied

    return applied(shared / "main_job")


@pytest.fixture(scope="session")
def real_base(shared: Path) -> Path:
    """The converted Gemma, as the step `base` leaves it."""
    from main_job import base

    return base(shared / "main_job")
