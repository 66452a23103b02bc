"""MLX gets a real BLAS, wherever the process was started from."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from jessyfile.language import load_recipe
from jessyfile.pipeline import compile_steps
from tests.walks import WORDS, project

needs_openblas = pytest.mark.skipif(
    sys.platform == "linux" and find_spec("ngsolve_openblas") is None,
    reason="the package with OpenBLAS is not installed",
)
ASK = "from jessyfile.models.accelerate import prepare; print(prepare().fast)"


def answer(folder: Path, code: str) -> str:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", f"import sys; sys.path.append({root!r}); {code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@needs_openblas
def test_a_folder_called_mlx_does_not_hide_the_fortran_runtime(tmp_path):
    """`mlx` is a namespace package: a clone of it in the working folder came first, and cost a
    factor of seventy."""
    (tmp_path / "mlx").mkdir()
    assert answer(tmp_path, ASK) == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MLX brings its own")
def test_a_process_that_already_runs_mlx_is_told_so(tmp_path):
    assert answer(tmp_path, "import mlx.core; " + ASK) == "False"


@needs_openblas
def test_asking_what_mlx_computes_on_costs_no_blas(tmp_path):
    """A training that went on from finished steps asked first, and computed on without OpenBLAS."""
    assert answer(tmp_path, "from jessyfile.models.accelerate import on_gpu; on_gpu(); " + ASK) == "True"


# they make classes of MLX's, and are imported once a model is there
WITH_MLX = ("jessyfile.training.dora", "jessyfile.training.lean")
MODULES = f"""
import importlib, pkgutil, jessyfile
for found in pkgutil.walk_packages(jessyfile.__path__, "jessyfile."):
    if found.name not in {WITH_MLX} and not found.name.startswith("jessyfile.editors.lsp"):
        importlib.import_module(found.name)
print("mlx.core" in sys.modules)"""


def test_no_module_brings_mlx_by_being_imported(tmp_path):
    """The trainer did, so that a benchmark which imported it computed with the reference BLAS."""
    assert answer(tmp_path, MODULES) == "False"


@pytest.mark.stress
@needs_openblas
def test_every_step_gives_mlx_its_blas_in_a_process_of_its_own(tmp_path):
    """A training that went on from finished steps asked first what MLX computes on, and computed on without OpenBLAS: its exports
    differed from a whole apply's in the seventh digit."""
    recipe = with_everything(tmp_path)
    steps = [step.name for step in compile_steps(load_recipe(recipe).recipe)]
    found = {}
    for step in steps:
        apply = f"from jessyfile.cli import main; code = main(['apply', {recipe.name!r}, '--only', {step!r}]); "
        said = answer(
            tmp_path, apply + "print(); loaded = 'mlx.core' in sys.modules; print(code, loaded, end=' '); " + ASK
        )
        code, loaded, fast = said.splitlines()[-1].split()
        assert (code, fast) == ("0", "True"), (step, said)
        found[step] = loaded == "True"
    assert {"train", "prefer", "parity", "likelihood.base", "likelihood.tuned"} <= {one for one in found if found[one]}


def with_everything(root: Path) -> Path:
    """Fill a folder with a tiny project whose steps are all that load MLX; return its recipe."""
    recipe = project(root)
    pairs = [
        {"messages": [{"role": "user", "content": f"{word} nerede?"}], "chosen": f"{word} burada, gel.", "rejected": "Bilmem, sorma."}
        for word in WORDS
    ]  # fmt: skip
    bad = {"off": ["yarın yağmur var"], "voice": ["Size nasıl yardımcı olabilirim?"]}
    answers = {"case": "menekse-001", "split": "final", "good": ["selam kanka", "iyi, sen", "buyur"], "bad": bad}
    for path, lines in {"pairs": pairs, "data/eval/references/own": [answers]}.items():
        file = root / f"{path}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    text = recipe.read_text("utf-8").replace("EXPORT gguf", 'PREFER dpo "pairs.jsonl" { validation 20% }\nEXPORT gguf')
    recipe.write_text(text, "utf-8")
    return recipe
