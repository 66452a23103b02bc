"""How fast an update is on a CPU, and how much memory it takes: beside mlx-lm's own trainer, and beside its matrix products alone.

    python benchmarks/train_vs_mlx_lm.py                    every case; about 40 minutes of two free cores
    python benchmarks/train_vs_mlx_lm.py --case gemma-chat  one case
    python benchmarks/train_vs_mlx_lm.py --stock            one update of stock mlx-lm, whose wheel has a slow BLAS: minutes
    python benchmarks/train_vs_mlx_lm.py --bfloat16         one update of mlx-lm over a base in bfloat16, as Gemma is published

Both trainers get the same base in float32, rows, batches in the same order, starting adapter and settings; the adapters that they end
with are measured by one validation. Each runs in a process of its own, one after the other and again, and the least time of an update
counts. mlx-lm computes through the same OpenBLAS as jessy, unless it is the stock one.

The *floor* is the time of the update's matrix products and nothing else: forward, gradients of the inputs, gradients of the adapter,
each real token once, the head at trained positions only. Every product is timed at its own shape, on all cores at once, by the same
BLAS. Nothing is computed again in it, and no other work is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import memory

from jessyfile import machine
from jessyfile.errors import Interrupted
from jessyfile.language.loading import load_recipe
from jessyfile.language.recipe import Lora, Train
from jessyfile.models.model_json import read_json
from jessyfile.models.precision import resolve
from jessyfile.models.shape import Shape, shape_of
from jessyfile.training import encoded
from jessyfile.training.encoded import Encoded, EncodedRow

RECIPE = Path(__file__).with_name("form.jessy")
CHAT, LONG = 96, 512
ROUNDS = int(os.environ.get("ROUNDS", "2"))
CHUNK = 8192  # columns of the vocabulary in one product of the head
Held = Literal["float32", "bfloat16"]
Products = dict[tuple[int, int, int], float]  # how often a product of (rows, inner, columns) is computed


@dataclass(frozen=True, slots=True)
class Case:
    """One base with one kind of rows, whether mlx-lm stands beside it, and at most how many times the floor an update shall take."""

    base: str
    length: int
    batch: int
    updates: int
    beside: bool
    most_floor: float


CASES = {
    "gemma-chat": Case("gemma3:270m-pt", CHAT, 8, 3, beside=True, most_floor=1.3),
    "gemma-512": Case("gemma3:270m-pt", LONG, 4, 2, beside=True, most_floor=1.3),
    "smollm2-chat": Case("smollm2:135m", CHAT, 8, 3, beside=False, most_floor=1.5),
    "qwen2-chat": Case("qwen2.5:0.5b", CHAT, 8, 2, beside=False, most_floor=1.5),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trainer did in a process of its own: seconds of each update, by the clock and by the processors, and peak memory."""

    seconds: list[float]
    processor: list[float]
    peak: int

    def line(self, name: str) -> str:
        """Return it as a line of the table."""
        best = min(range(len(self.seconds)), key=self.seconds.__getitem__)
        return (
            f"  {name:<28}{self.seconds[best]:8.2f} s {self.processor[best]:8.2f} processor s {self.peak / 1e9:7.2f} GB"
        )


# the same work for both --------------------------------------------------------------------------------------------------------


def settings(case: Case) -> tuple[Train, Lora]:
    """Return form.jessy's settings; what mlx-lm's trainer does not know (weights of tokens, a schedule, a limit) is off."""
    recipe = load_recipe(RECIPE).recipe
    assert recipe is not None
    train = replace(
        recipe.train, batch_size=case.batch, max_length=case.length, warmup_steps=0, schedule="constant", max_grad_norm=0.0,
        end_weight=1, level_weight=1, keep="last", epochs=1, validate_every=1_000_000, checkpoint_every=1_000_000,
    )  # fmt: skip
    return train, recipe.lora


def chat_rows(folder: Path) -> tuple[list[EncodedRow], list[EncodedRow]]:
    """Return form.jessy's rows, training and held out, whole: each with the system prompt."""
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.plan import Selection
    from jessyfile.planning.run import apply

    (folder / RECIPE.name).write_text(RECIPE.read_text("utf-8"), "utf-8")
    recipe = load_recipe(folder / RECIPE.name).recipe
    assert recipe is not None
    names = [step.name for step in compile_steps(recipe)]
    steps = tuple(names[: names.index("encode") + 1])
    result = apply(recipe, folder, compile_steps(recipe), Selection(only=steps))
    found = next(step.folder for step in result.steps if step.name == "encode")
    train, valid = (encoded.load(found / f"{split}.safetensors") for split in ("train", "valid"))
    return whole(train), whole(valid)


def whole(rows: Encoded) -> list[EncodedRow]:
    """Return rows with the prefix that they share."""
    before = rows.prefix.tolist()
    spans = [rows.row(number) for number in range(len(rows))]
    return [
        EncodedRow((*before, *tokens.tolist()), (*[False] * len(before), *trained.tolist()), "any", "en", persona=False)
        for tokens, trained in spans
    ]


def long_rows(rows: Sequence[EncodedRow], length: int, count: int) -> list[EncodedRow]:
    """Return rows of one length out of the text of others; the last two thirds are trained, as in an answer."""
    tokens = [token for row in rows for token in row.tokens]
    tokens = tokens * (1 + length * count // len(tokens))
    trained = tuple(place >= length // 3 for place in range(length))
    cut = [tuple(tokens[i * length + i : (i + 1) * length + i]) for i in range(count)]
    return [EncodedRow(row, trained, "any", "en", persona=False) for row in cut if len(row) == length]


def fitted(rows: Sequence[EncodedRow], vocabulary: int) -> list[EncodedRow]:
    """Return rows as both trainers can learn them from any base: every id inside its vocabulary, and everything trained from the
    first trained token on. mlx-lm knows no other mask; a row that teaches a marker alone would be another task for it.
    """

    def one(row: EncodedRow) -> EncodedRow:
        first = row.trained.index(True)
        trained = tuple(place >= first for place in range(len(row.tokens)))
        return replace(row, tokens=tuple(token % vocabulary for token in row.tokens), trained=trained)

    return [one(row) for row in rows]


def prepare(case: Case, folder: Path) -> None:
    """Put the base and its rows into a folder."""
    base = folder / "base"
    base.mkdir()
    if not memory.prepare(case.base, base):
        raise SystemExit(f"{case.base} is not installed")
    project = folder / "project"
    project.mkdir()
    vocabulary = shape_of(read_json(base / "config.json")).vocabulary
    train, valid = (fitted(rows, vocabulary) for rows in chat_rows(project))
    if case.length > CHAT:
        train, valid = long_rows(train, case.length, case.batch * case.updates), long_rows(valid, case.length, 2)
    prefix = encoded.common_prefix([*train, *valid])
    encoded.save(encoded.pack(train, prefix), folder / "train.safetensors")
    encoded.save(encoded.pack(valid, prefix), folder / "valid.safetensors")


def plan(rows: Encoded, train: Train, case: Case) -> list[list[int]]:
    """Return the batches of the updates, as jessy orders them."""
    from jessyfile.training.batches import epoch_batches

    return epoch_batches(rows, train, 0, 0)[: case.updates]


def model_of(folder: Path, train: Train, lora: Lora, held: Held = "float32") -> Any:  # noqa: ANN401 (MLX ships no complete types)
    """Return the base with a fresh adapter; both trainers use mlx-lm's model and its LoRA layers."""
    from jessyfile.models.load import load_model
    from jessyfile.training import adapter

    shape = shape_of(read_json(folder / "base" / "config.json"))
    model, _ = load_model(folder / "base", resolve(held, "CPU", shape))
    adapter.attach(model, lora, train.seed)
    return model


# the two trainers ----------------------------------------------------------------------------------------------------------------


class Clock:
    """Keeps the time by the clock and by the processors at the start and after each update; asks to stop after the last."""

    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.times = [self._now()]

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Keep the time."""
        del done, total, text
        self.times.append(self._now())

    def note(self, text: str) -> None:
        """Show nothing."""

    def requested(self) -> bool:
        """Start the clock before the first update; stop after the last."""
        if len(self.times) == 1:
            self.times = [self._now()]
        return len(self.times) > self.updates

    def measured(self) -> Measured:
        """Return what was measured so far."""
        wall, processor = ([b[i] - a[i] for a, b in pairwise(self.times)] for i in (0, 1))
        return Measured(wall, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def with_jessy(folder: Path, case: Case) -> tuple[Measured, Any]:
    """Train with jessy; return what was measured and the model."""
    from jessyfile.training.trainer import Trainer

    train, lora = settings(case)
    model, clock = model_of(folder, train, lora), Clock(case.updates)
    rows = encoded.load(folder / "train.safetensors")
    with tempfile.TemporaryDirectory() as work:
        trainer = Trainer(model, train, lora, rows, encoded.pack([], ()), 0, Path(work), clock, clock)
        with contextlib.suppress(Interrupted):
            trainer.run()
    return clock.measured(), model


def with_mlx_lm(folder: Path, case: Case, held: Held = "float32") -> tuple[Measured, Any]:
    """Train with mlx-lm's trainer, on jessy's batches in jessy's order."""
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.trainer import TrainingArgs, iterate_batches
    from mlx_lm.tuner.trainer import train as run

    train, lora = settings(case)
    model, clock = model_of(folder, train, lora, held), Clock(case.updates)
    rows = encoded.load(folder / "train.safetensors")
    texts = [(list(row.tokens), row.trained.index(True)) for row in whole(rows)]

    class Told(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            clock.update(train_info["iteration"])

    def batches(**_: object) -> Iterator[Any]:
        for chosen in plan(rows, train, case):
            for batch, spans in iterate_batches([texts[i] for i in chosen], len(chosen), case.length + 1):
                yield batch, spans - mx.array([0, 1])  # its own spans train the padding behind each row too

    optimizer = optim.AdamW(
        train.learning_rate, betas=[0.9, 0.999], weight_decay=train.weight_decay, bias_correction=True
    )
    with tempfile.TemporaryDirectory() as work:
        arguments = TrainingArgs(
            batch_size=case.batch, iters=case.updates, steps_per_report=1, steps_per_save=1_000_000,
            max_seq_length=case.length + 1, adapter_file=str(Path(work) / "adapters.safetensors"),
        )  # fmt: skip
        clock.requested()
        run(model, optimizer, texts, args=arguments, iterate_batches=batches, training_callback=Told())
    return clock.measured(), model


STOCK, NARROW = "stock mlx-lm", "mlx-lm in bfloat16"
TRAINERS: dict[str, Callable[[Path, Case], tuple[Measured, Any]]] = {
    "jessy": with_jessy,
    "mlx-lm": with_mlx_lm,
    STOCK: with_mlx_lm,
    NARROW: partial(with_mlx_lm, held="bfloat16"),
}


def train(name: str, folder: Path, case: Case) -> None:
    """Train in this process; leave the adapter in the folder and print what was measured."""
    from jessyfile.models import accelerate
    from jessyfile.training import adapter

    if name == STOCK:
        accelerate._backend = accelerate.Blas("the reference BLAS of MLX's wheel", fast=False)  # noqa: SLF001 (nothing is opened)
    accelerate.prepare()
    found, model = TRAINERS[name](folder, case)
    adapter.write_arrays(folder / f"{name}.safetensors", adapter.parameters(model))
    print(json.dumps({"seconds": found.seconds, "processor": found.processor, "peak": found.peak}))


def validate(name: str, folder: Path, case: Case) -> None:
    """Print the validation loss of the adapter that a trainer left."""
    from jessyfile.models import accelerate
    from jessyfile.training.trainer import Trainer

    accelerate.prepare()
    settled, lora = settings(case)
    model, clock = model_of(folder, settled, lora), Clock(0)
    if name != "untrained":
        model.load_weights(str(folder / f"{name}.safetensors"), strict=False)
    rows = encoded.load(folder / "valid.safetensors")
    print(json.dumps(Trainer(model, settled, lora, rows, rows, 0, folder, clock, clock).validation_loss()))


# the floor -----------------------------------------------------------------------------------------------------------------------


def floor_products(shape: Shape, lora: Lora, rows: Encoded, batch: Sequence[int], cores: int) -> Products:
    """Return the matrix products that one core computes of an update, when its tokens are shared out evenly.

    Args:
        shape: the base's sizes.
        lora: the adapter's settings.
        rows: the encoded rows.
        batch: the rows of the update.
        cores: among how many cores the work is divided.
    """
    lengths = [int(rows.lengths()[i]) for i in batch]
    shared = len(rows.prefix)
    tokens = -(-(sum(lengths) + shared) // cores)
    targets = -(-sum(int(rows.row(i)[1].sum()) for i in batch) // cores)
    adapted = min(lora.layers or shape.layers, shape.layers)
    found: Products = defaultdict(float)
    for name, (inner, outer) in shape.linear.items():
        # nothing below the lowest adapted layer is trained: its projections' inputs need no gradient
        behind = adapted - (name in ("q_proj", "k_proj", "v_proj"))
        for product, times in {
            (tokens, inner, outer): shape.layers,
            (tokens, outer, inner): behind,
            (tokens, inner, lora.rank): adapted,
            (tokens, lora.rank, outer): adapted,
            (tokens, outer, lora.rank): adapted,
            (tokens, lora.rank, inner): behind,
            (inner, tokens, lora.rank): adapted,
            (lora.rank, tokens, outer): adapted,
        }.items():
            found[product] += times
    for before, own in [(shared, length) for length in lengths] + [(0, shared)]:
        every, rows_of = before + own, own * shape.heads // shape.kv_heads
        seen = (before + (own + 1) / 2) / max(every, 1) * shape.kv_heads / cores  # what the causal mask leaves of it
        found[rows_of, shape.head_dim, every] += seen * (shape.layers + adapted)
        found[rows_of, every, shape.head_dim] += seen * (shape.layers + adapted)
        found[every, rows_of, shape.head_dim] += seen * 2 * adapted
    for size, times in ((CHUNK, shape.vocabulary // CHUNK), (shape.vocabulary % CHUNK, 1)):
        found[targets, shape.hidden, size] += times
        found[targets, size, shape.hidden] += times
    return {product: times for product, times in found.items() if 0 not in product}


def floor(folder: Path, case: Case) -> None:
    """Print the seconds of an update's products for each update, and the operations a second that were reached."""
    from threadpoolctl import threadpool_limits

    from jessyfile.models.accelerate import prepare as open_blas

    open_blas()  # before its threads are limited
    train, lora = settings(case)
    shape = shape_of(read_json(folder / "base" / "config.json"))
    rows, cores = encoded.load(folder / "train.safetensors"), machine.cores()
    asked = [floor_products(shape, lora, rows, batch, cores) for batch in plan(rows, train, case)]
    with threadpool_limits(1, user_api="blas"):
        taken = {product: product_seconds(product, cores) for product in {key for one in asked for key in one}}
    seconds = [sum(times * taken[product] for product, times in one.items()) for one in asked]
    operations = [sum(2 * a * b * c * times for (a, b, c), times in one.items()) * cores for one in asked]
    print(json.dumps({"seconds": seconds, "gigaflops": sum(operations) / sum(seconds) / 1e9}))


def product_seconds(size: tuple[int, int, int], cores: int) -> float:
    """Return the least seconds of one product, computed on every core at once, of the ways in which its matrices may lie and of
    the two BLAS that are there: jessy's, which is mlx-lm's, and NumPy's."""
    import numpy as np

    from jessyfile.training.product import product

    rows, inner, columns = size
    generator = np.random.default_rng(0)

    def seconds(work: Callable[[], Any]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    def one(times: int) -> float:
        left = generator.standard_normal((rows, inner), np.float32)
        right, turned = (generator.standard_normal(shape, np.float32) for shape in ((inner, columns), (columns, inner)))
        ways = [partial(how, left, matrix) for how in (product, np.matmul) for matrix in (right, turned.T)]
        return min(seconds(way) for way in ways for _ in range(times))

    times = max(4, min(25, int(1e9 / (2 * rows * inner * columns))))
    with ThreadPoolExecutor(cores) as threads:
        return sum(threads.map(one, [times] * cores)) / cores


# all of it -----------------------------------------------------------------------------------------------------------------------


def in_process(*arguments: str) -> Any:  # noqa: ANN401 (what a part prints)
    """Return what this program prints last when it does a part of the work in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--in", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def trained(name: str, folder: Path, case: str) -> Measured:
    """Return what a trainer did in a process of its own."""
    return Measured(**in_process("train", name, str(folder), case))


def joined(runs: Sequence[Measured]) -> Measured:
    """Return the least time that each update took in any run, and the largest memory."""
    best = [min(range(len(runs)), key=lambda run: runs[run].seconds[i]) for i in range(len(runs[0].seconds))]
    seconds = [runs[run].seconds[i] for i, run in enumerate(best)]
    processor = [runs[run].processor[i] for i, run in enumerate(best)]
    return Measured(seconds, processor, max(run.peak for run in runs))


def compare(name: str, case: Case, folder: Path, other: str) -> None:
    """Measure one case and print it; `other` is the trainer that jessy stands beside."""
    prepare(case, folder)
    others = [other] if case.beside else []
    runs: dict[str, list[Measured]] = {one: [] for one in ("jessy", *others)}
    for _ in range(ROUNDS if other == "mlx-lm" else 1):
        for trainer, several in runs.items():
            several.append(trained(trainer, folder, name))
    least = in_process("floor", "-", str(folder), name)
    found = {trainer: joined(measured) for trainer, measured in runs.items()}
    print(
        f"\n{name}: {case.base}, {case.batch} rows of at most {case.length} tokens, rank {settings(case)[1].rank}",
        flush=True,
    )
    for trainer, one in found.items():
        value = in_process("validate", trainer, str(folder), name)
        print(f"{one.line(trainer)}   validation loss {value:.4f}")
    own = sum(found["jessy"].seconds)
    print(f"  floor                       {min(least['seconds']):8.2f} s at {least['gigaflops']:.0f} GFLOP/s")
    print(f"  jessy beside the floor: {own / sum(least['seconds']):.2f} (aim: at most {case.most_floor})")
    if others:
        ratio, memory_ratio = sum(found[other].seconds) / own, found["jessy"].peak / found[other].peak
        print(f"  {other} beside jessy: {ratio:.1f} times the time; jessy's memory {memory_ratio:.2f} of its")
        print(f"  {other} beside the floor: {sum(found[other].seconds) / sum(least['seconds']):.1f} times the time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="only this case")
    alone = parser.add_mutually_exclusive_group()
    for flag, what in (("stock", "mlx-lm without OpenBLAS"), ("bfloat16", "mlx-lm over a base in bfloat16")):
        alone.add_argument(f"--{flag}", action="store_true", help=f"beside {what}: one update of gemma-chat")
    parser.add_argument("--in", dest="inside", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        work, name, folder, case = chosen.inside
        found = CASES[case]
        if (Path(folder) / "once").exists():
            found = replace(found, updates=1)
        works: dict[str, Callable[[Path, Case], object]] = {
            "train": partial(train, name),
            "validate": partial(validate, name),
            "floor": floor,
        }
        works[work](Path(folder), found)
        return
    versions = ", ".join(f"{package} {version(package)}" for package in ("mlx", "mlx-lm", "numpy"))
    print(f"{datetime.now(UTC).date()}, {platform.platform()}, {machine.cores()} of {os.cpu_count()} cores, {versions}")
    other = STOCK if chosen.stock else NARROW if chosen.bfloat16 else "mlx-lm"
    once = other != "mlx-lm"
    for name in chosen.case or (["gemma-chat"] if once else list(CASES)):
        with tempfile.TemporaryDirectory(prefix="train-") as folder:
            if once:
                (Path(folder) / "once").touch()
            case = replace(CASES[name], updates=1) if once else CASES[name]
            compare(name, case, Path(folder).resolve(), other)


if __name__ == "__main__":
    main()
