"""MLX gets a real BLAS, wherever the process was started from."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ASK = "from jessyfile.models.accelerate import prepare; print(prepare().fast)"


def answer(folder: Path, code: str) -> str:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", f"import sys; sys.path.append({root!r}); {code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(
    sys.platform == "linux" and find_spec("ngsolve_openblas") is None,
    reason="the package with OpenBLAS is not installed",
)
def test_a_folder_called_mlx_does_not_hide_the_fortran_runtime(tmp_path):
    """`mlx` is a namespace package: a clone of it in the working folder came first, and cost a
    factor of seventy."""
    (tmp_path / "mlx").mkdir()
    assert answer(tmp_path, ASK) == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MLX brings its own")
def test_a_process_that_already_runs_mlx_is_told_so(tmp_path):
    assert answer(tmp_path, "import mlx.core; " + ASK) == "False"


@pytest.mark.skipif(
    sys.platform == "linux" and find_spec("ngsolve_openblas") is None,
    reason="the package with OpenBLAS is not installed",
)
def test_asking_what_mlx_computes_on_costs_no_blas(tmp_path):
    """A training that went on from finished steps asked first, and computed on without OpenBLAS; its exports differed from a whole
    apply's in the seventh digit."""
    assert answer(tmp_path, "from jessyfile.training.gradient import on_gpu; on_gpu(); " + ASK) == "True"
