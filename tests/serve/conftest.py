"""Makes the server with a model's double importable here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "voice"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from serve_fakes import Double, Running, register_model, served  # noqa: E402 (behind the path)
from voice_fakes import DoubleEars, DoubleMouth  # noqa: E402 (as above)

from jessyfile.serve.voice_desk import VoiceDesk  # noqa: E402 (as above)


@pytest.fixture(scope="module")
def shared() -> Double:
    """The double that `running` serves, one a module."""
    return Double()


@pytest.fixture
def double(shared: Double) -> Double:
    """The double that `running` serves, as if nobody had asked it yet."""
    shared.asked.clear()
    return shared


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the promoted model `tiny`."""
    register_model(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def ears() -> DoubleEars:
    """What hears at `running`."""
    return DoubleEars()


@pytest.fixture(scope="module")
def mouth() -> DoubleMouth:
    """What speaks at `running`."""
    return DoubleMouth()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, shared: Double, ears: DoubleEars, mouth: DoubleMouth
) -> Iterator[Running]:
    """A server of `tiny`, one a module: starting and stopping it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("project")
    register_model(folder)
    with served(folder, lambda _: shared, voice=VoiceDesk(lambda: ears, lambda: mouth, 4, "tr")) as found:
        yield found
