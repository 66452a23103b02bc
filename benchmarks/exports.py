"""Prove the exports: what llama.cpp computes from a file is what MLX computes from its folder, and what each type keeps of a tune.

python benchmarks/exports.py                     the first table of docs/export.md: doubles, the real Gemma, the real SmolLM2
python benchmarks/exports.py --only Gemma        the rows whose names begin so; writes nothing
python benchmarks/exports.py --survival PROJECT  the second table, from a project in which a recipe was applied
python benchmarks/exports.py --suites PROJECT    the same, and what the suites say of each type (minutes a type)
... --types f16,q4_k_m --recipe recipes/x.jessy  other types, another recipe than benchmarks/form.jessy
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "export"))

import numpy as np
from doubles import DOUBLES, write_double
from embedded import logits_nmse

import models as bases
from jessyfile.engines.engine import ServedModel
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import described, loaded
from jessyfile.errors import JessyError
from jessyfile.evaluation.answers import Asker, answer_all, read_answers
from jessyfile.evaluation.cases import load_suites
from jessyfile.evaluation.verdict import Took, judge
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.imatrix import ImportanceMatrix, importance
from jessyfile.fsops import make_folder, write_text
from jessyfile.language.loading import load_recipe
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.from_gguf import convert_gguf, dequantized
from jessyfile.models.gguf_normalise import normalised
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.parity.passages import trained_passages
from jessyfile.parity.readings import read_engine, read_trained
from jessyfile.parity.stages import Trained
from jessyfile.parity.tensors import compare_adapted
from jessyfile.parity.truth import Truth
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as
from jessyfile.training import encoded

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

PAGE = Path(__file__).resolve().parents[1] / "docs" / "export.md"
MARK = "<!-- the table of `python benchmarks/exports.py{}` -->\n"
END = "<!-- the end of the table -->\n"
LIMIT = 1e-4  # what llama.cpp's own gate calls excellent
TYPES = ("f16", "q8_0", "q6_k", "q6_k+i", "q5_k_m", "q5_k_m+i", "q4_k_m", "q4_k_m+i", "q4_0")
METRICS = ("marker_format", "level_accuracy", "turkish.form", "turkish.relevance", "personality")
CONVERSATIONS = 12
QUIET: Any = SimpleNamespace(update=lambda *_, **__: None, note=lambda _: None, requested=lambda: False)
TEXTS = ("Merhaba, nasılsın?", "The capital of Turkey is", "def f(x):\n    return x")


def silent(*_: object) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Computed:
    """One base: the error of its logits, and the largest difference of a number after a GGUF was read and written."""

    name: str
    kind: str
    nmse: float
    places: int
    untouched: float

    def line(self) -> str:
        """Return the row of the table."""
        same = "equal" if self.untouched == 0 else f"within {self.untouched:.1g}"
        return f"| {self.name} | {self.kind} | {self.nmse:.1e} | {self.places} | {same} |"


def computed(name: str, work: Path) -> Computed:
    """Write a base as F16 and compare; then read its GGUF, write it again, and compare every number."""
    folder, gguf = make_folder(work / "base"), work / "model.gguf"
    real = {"Gemma 3 270M": bases.gemma, "SmolLM2-135M-Instruct": bases.smollm2}
    if name in real:
        own = real[name](work)
        convert_gguf(own, folder)
        texts: Sequence[str] = TEXTS[:2]
    else:
        bring_folder(write_double(work / "published", name), folder, silent)
        own, texts = work / "own.gguf", TEXTS
        write_gguf(folder, own, "f32", silent)
    write_gguf(folder, gguf, "f16", silent)
    nmse, places = logits_nmse(folder, gguf, texts, most=2 if name in real else 12)
    again = make_folder(work / "again")
    convert_gguf(own, again)
    write_gguf(again, gguf, "f32", silent)
    return Computed(name, "real" if name in real else "double", nmse, places, untouched(own, gguf))


def untouched(first: Path, second: Path) -> float:
    """Return the largest difference of a number between two GGUFs. Raises SystemExit when their tensors are not the same."""
    one, other = normalised(read_gguf(first)), read_gguf(second)
    if set(one.tensors) != set(other.tensors):
        raise SystemExit(f"{first.name}: {set(one.tensors) ^ set(other.tensors)}")
    worst = 0.0
    for name, tensor in one.tensors.items():
        left, right = dequantized(one, tensor), dequantized(other, other.tensors[name])
        worst = max(worst, float(np.abs(left - right).max()))
    return worst


@dataclass(frozen=True)
class Applied:
    """The results of a project that the comparison needs: folders by step, and the recipe."""

    root: Path
    recipe: Recipe
    steps: dict[str, Path]

    @staticmethod
    def of(root: Path, recipe: Path) -> Applied:
        """Find the last apply's results."""
        found = load_recipe(root / recipe)
        if found.recipe is None:
            raise SystemExit(f"{recipe} has mistakes")
        state = json.loads((root / ".jessy" / "state" / f"{found.recipe.name}.json").read_text("utf-8"))
        store = root / ".jessy" / "store"
        return Applied(
            root, found.recipe, {name: store / one["object"] / "files" for name, one in state["steps"].items()}
        )


def survivals(applied: Applied, types: Sequence[str], suites: bool) -> Iterator[str]:
    """Yield a row for each type: what it keeps of the tune, and with `suites` what they say."""
    steps = applied.steps
    passages = trained_passages(encoded.load(steps["encode"] / "valid.safetensors"), CONVERSATIONS)
    base, trained = read_trained(steps["base"], steps["train"], passages)
    subject, truth = Trained(passages, trained, base), Truth(steps["base"], steps["train"])
    print(f"{sum(len(one.places) for one in passages)} places in {len(passages)} conversations", file=sys.stderr)
    served = load_as(Served, steps["modelfile"] / "served.json")
    matrix = importance(steps["merge"], steps["encode"] / "train.safetensors", silent)
    for wanted in types:
        with tempfile.TemporaryDirectory(prefix="exports-") as name:
            path, start = Path(name) / "model.gguf", time.perf_counter()
            write(steps["merge"], path, wanted, matrix)
            seconds = time.perf_counter() - start
            weights = compare_adapted(read_gguf(path), truth).survival
            model = described(served.name, path, served, applied.recipe.evaluation.max_tokens)
            engine = LlamaCpp(parallel=1)
            with loaded(engine, model):
                found = subject.facts("quantized", wanted, read_engine(engine.next_logprobs, passages), weights)
                said = suites_of(applied, engine, model, Path(name)) if suites else []
            gain = "-" if found.gain is None else f"{found.gain:.0%}"
            cells = [
                f"{wanted}", f"{path.stat().st_size / 1e6:.0f} MB", f"{seconds:.1f} s", f"{found.agreement:.1%}",
                f"{found.divergence:.1e}", f"{found.survival:.1%}", f"{found.low:.1%} to {found.high:.1%}",
                f"{found.noise:.2f}", gain, f"{found.weights:.2%}", *said,
            ]  # fmt: skip
            yield f"| {' | '.join(cells)} |"


def write(folder: Path, path: Path, wanted: str, matrix: ImportanceMatrix) -> None:
    """Write a type; `+i` behind it asks for the importance matrix of the training rows."""
    write_gguf(folder, path, wanted.removesuffix("+i"), silent, matrix if wanted.endswith("+i") else None)


def suites_of(applied: Applied, engine: LlamaCpp, model: ServedModel, work: Path) -> list[str]:
    """Return what the suites measure of a model, a cell a metric."""
    cases = load_suites(applied.recipe, applied.root)
    asker = Asker(engine, applied.recipe.complexity, model.settings, None)
    answers = {one.id: one for one in answer_all(asker, cases, work / "kept.jsonl", QUIET, QUIET)}
    before = {one.id: one for one in read_answers(applied.steps["baseline"] / "answers.jsonl")}
    facts = judge(applied.recipe, cases, answers, before, Took(0.0)).facts()
    return [f"{facts.metrics[name]:.0%}" if name in facts.metrics else "-" for name in METRICS]


def put_table(mark: str, head: Sequence[str], lines: Sequence[str]) -> None:
    """Write a table into the page, between its marks."""
    page = PAGE.read_text("utf-8")
    before, found, rest = page.partition(MARK.format(mark))
    if not found:
        raise SystemExit(f"{PAGE} has no place for this table")
    rule = f"|{'---|' * len(head)}"
    table = "\n".join((f"| {' | '.join(head)} |", rule, *lines))
    write_text(PAGE, before + found + table + "\n" + END + rest.partition(END)[2])


def compare_bases(only: str) -> int:
    """Compare every base; write the table when all rows were made. Return the exit code."""
    lines, failed = [], False
    for name in ("Gemma 3 270M", "SmolLM2-135M-Instruct", *DOUBLES):
        if not name.startswith(only):
            continue
        with tempfile.TemporaryDirectory(prefix="exports-") as work:
            try:
                found = computed(name, Path(work).resolve())
            except (JessyError, SystemExit) as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed = True
                continue
        failed = failed or found.nmse >= LIMIT
        lines.append(found.line())
        print(lines[-1], flush=True)
    if not only and not failed:
        put_table(
            "", ("base", "real or double", "NMSE of the logits, F16", "places", "read and written untouched"), lines
        )
    return int(failed)


def compare_types(project: Path, recipe: Path, types: Sequence[str], suites: bool, write_page: bool) -> int:
    """Compare the types of one tuned model; write the table. Return the exit code."""
    lines = []
    for line in survivals(Applied.of(project.resolve(), recipe), types, suites):
        lines.append(line)
        print(line, flush=True)
    head = [
        "type",
        "file",
        "written in",
        "agree",
        "divergence",
        "tune kept",
        "between",
        "noise",
        "gain kept",
        "in the numbers",
    ]
    if write_page:
        put_table(" --survival", [*head, *(METRICS if suites else ())], lines)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the rows whose names begin so; the page is left alone")
    parser.add_argument("--survival", type=Path, metavar="PROJECT", help="compare the types of a project's tuned model")
    parser.add_argument("--suites", type=Path, metavar="PROJECT", help="the same, and answer the suites with each type")
    parser.add_argument("--recipe", type=Path, default=Path("benchmarks/form.jessy"))
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--print", action="store_true", help="leave the page alone")
    chosen = parser.parse_args()
    project = chosen.suites or chosen.survival
    if project is None:
        sys.exit(compare_bases(chosen.only))
    types = chosen.types.split(",")
    sys.exit(compare_types(project, chosen.recipe, types, chosen.suites is not None, not chosen.print))


if __name__ == "__main__":
    main()
