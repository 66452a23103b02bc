"""A training that is driven from code: what `jessy apply` does with a recipe, step by step, without a project."""

from __future__ import annotations

import os
import tempfile
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile import fsops, machine
from jessyfile.dataset.conversations import conversations, read_conversations, read_held_out, read_splits
from jessyfile.dataset.data_steps import TRAIN, VALID
from jessyfile.dataset.formatted import FormattedRow, write_formatted
from jessyfile.errors import TrainingError
from jessyfile.language.build import training_recipe
from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE
from jessyfile.models.base_step import SOURCE_FILE, run_base
from jessyfile.models.load import load_model
from jessyfile.models.reference import parse_reference
from jessyfile.planning.canonical import digest, readable
from jessyfile.planning.run import Silent
from jessyfile.planning.steps import Progress, StepContext
from jessyfile.project import possible_path
from jessyfile.text.printable import json_text
from jessyfile.training import adapter, encoded, schedule
from jessyfile.training.config import LoRAConfig, TrainingConfig, check_precision, plain_training
from jessyfile.training.metrics import METRICS_FILE, TrainingMetrics, Watcher, read_metrics
from jessyfile.training.train_steps import precision_of, run_encode, train_adapter
from jessyfile.user_files import fill_folder

if TYPE_CHECKING:
    from jessyfile.dataset.example import TrainingExample
    from jessyfile.language.recipe import Recipe
    from jessyfile.results.facts import TrainFacts
    from jessyfile.training.held_out import Metrics

RECORD = "training.json"
Rows = str | os.PathLike[str] | Iterable["TrainingExample"]


class MLXFineTuner:
    """Trains a LoRA adapter on a base model, with the rows, the trainer and the recovery of `jessy apply`.

    What it makes lies in a temporary folder as long as the fine-tuner lives; `save_adapter` writes what was trained.
    """

    def __init__(
        self,
        base_model: str | os.PathLike[str],
        lora_config: LoRAConfig | None = None,
        training_config: TrainingConfig | None = None,
        *,
        precision: str = "auto",
        watchers: Sequence[Watcher] = (),
        progress: Progress | None = None,
    ) -> None:
        """Take what will be trained; no file is read yet.

        Args:
            base_model: The base as FROM names it: `"gemma3:270m"`, `"hf:org/name"`, a folder or a GGUF.
            lora_config: The adapter; `LoRAConfig()` unless given.
            training_config: How to train; as a recipe that says nothing of it unless given.
            precision: How the base is held while it is trained, as BASE's `precision`.
            watchers: Called with the metrics of every update; `[TrainingMetrics.log]` prints them.
            progress: Told how far a step is, and what was given up when memory was short.

        Raises:
            ModelError: `base_model` is nothing that can name a base.
            TrainingError: `precision` is none that a recipe takes.
        """
        base, self._root = os.fspath(base_model), Path.cwd()
        parse_reference(base, self._root)
        check_precision(precision)
        self._base, self._precision = base, precision
        self._lora = (lora_config or LoRAConfig()).to_lora()
        self._config = training_config or plain_training()
        self._watchers, self._progress = tuple(watchers), progress or Silent()
        self._folder = Path(tempfile.mkdtemp(prefix="jessy-"))
        weakref.finalize(self, fsops.remove_tree, self._folder)
        self._rows: list[FormattedRow] = []
        self._held_out: list[FormattedRow] = []
        self._trained: TrainFacts | None = None
        self._history: tuple[TrainingMetrics, ...] = ()

    def load_training_data(self, path: Rows) -> int:
        """Read the rows to train on and return how many there are; they are trained as they stand.

        Args:
            path: A file of rows (messages, ShareGPT, prompts and completions, jessy's own form; JSON lines or Parquet), a folder
                with `train.jsonl` and perhaps `valid.jsonl` as mlx-lm reads it, or rows held in code.

        Raises:
            DatasetError: A row cannot be trained; the message lists the faults with their lines.
            StorageError: The file cannot be read.
        """
        if isinstance(path, str | os.PathLike):
            self._rows, self._held_out = read_splits(possible_path(path))
        else:
            self._rows, self._held_out = conversations(path), []
        return len(self._rows)

    def train(self, epochs: int | None = None, batch_size: int | None = None) -> TrainingMetrics:
        """Train from the base and return the metrics of the last update.

        A training that was interrupted goes on from its last checkpoint when it is called again with the same values.

        Args:
            epochs: How often every row is seen; the configuration's unless given.
            batch_size: How many rows go through the model at once; the configuration's unless given.

        Raises:
            TrainingError: There are no rows yet, a value is out of range, or a target is no layer of this base.
            InsufficientMemoryError: One row at a time does not fit; `handle()` says what to do.
            ConvergenceError: The loss is not finite, diverges or does not fall; `handle()` says what to do.
            ModelError: The base is not there or damaged.
        """
        if not self._rows:
            raise TrainingError("there are no rows to train on", hint="call load_training_data(path) first")
        wanted = {"epochs": epochs, "batch_size": batch_size}
        config = replace(self._config, **{name: value for name, value in wanted.items() if value is not None})
        recipe = self._recipe(config)
        made = schedule.updates(len(self._rows), recipe.train)
        if config.warmup_steps > made:
            said = (
                f"warmup_steps {config.warmup_steps} is more than the {made} updates: the rate never reaches its peak"
            )
            warnings.warn(said, stacklevel=2)
        encode = self._encoded(recipe, self._rows, self._held_out)
        inputs = {"base": self._base_folder(recipe), "encode": encode}
        work = self._folder / "work" / _digest(recipe, encode)
        self._trained = None
        facts = train_adapter(self._context(recipe, "train", inputs, work), self._watchers)
        self._history = tuple(read_metrics(work / METRICS_FILE))
        fsops.remove_tree(work)
        self._trained = facts
        return self._history[-1]

    @property
    def history(self) -> tuple[TrainingMetrics, ...]:
        """The metrics of every update of the last training."""
        return self._history

    def evaluate(self, test_data: Rows) -> Metrics:
        """Return loss, perplexity and token accuracy on rows that were not trained on; before any training, those of the base.

        Args:
            test_data: Rows as `load_training_data` takes them; of a folder those of `test.jsonl`, else of `valid.jsonl`.

        Raises:
            DatasetError: A row cannot be read.
            TrainingError: No answer of the rows fits into `max_length`, or the loss is not finite.
        """
        from jessyfile.training.held_out import measure

        recipe = self._recipe(self._config)
        encode = self._encoded(recipe, _held_out(test_data), [])
        model = self._model(recipe)
        try:
            return measure(model, encoded.load(encode / "train.safetensors"), self._config.batch_size)
        finally:
            del model
            machine.give_memory_back()

    def save_adapter(self, path: str | os.PathLike[str]) -> Path:
        """Write the trained adapter as a folder that mlx-lm reads, and ADAPTER of a recipe; return it.

        `training.json` beside it says what was trained, how, and how it went.

        Args:
            path: A new or empty folder, or one that this has filled before.

        Raises:
            TrainingError: Nothing was trained yet.
            ProjectError: Something stands there that jessy did not write, or that was changed since.
        """
        if self._trained is None:
            raise TrainingError("there is no adapter to save", hint="call train() first")
        folder = possible_path(path)
        with fill_folder(folder, RECORD) as staging:
            for name in (ADAPTER_FILE, ADAPTER_CONFIG):
                fsops.copy_file(self._folder / "train" / name, staging / name)
            lines = "".join(f"{json_text(asdict(one))}\n" for one in self._history)
            fsops.write_text(staging / METRICS_FILE, lines)
            fsops.write_text(staging / RECORD, readable({"base": self._base, "training": self._trained}))
        return folder

    def _recipe(self, config: TrainingConfig) -> Recipe:
        return training_recipe(self._base, asdict(self._lora), asdict(config.to_train()), self._precision)

    def _context(self, recipe: Recipe, name: str, inputs: Mapping[str, Path], work: Path | None = None) -> StepContext:
        """Return what a step is given: an empty folder for its result, and one for what it keeps meanwhile."""
        output = self._folder / name
        fsops.remove_tree(output)
        fsops.make_folder(output)
        work = fsops.make_folder(work or self._folder / "work" / name)
        return StepContext(recipe, self._root, output, work, inputs, {}, self._progress, Silent(), name)

    def _base_folder(self, recipe: Recipe) -> Path:
        """Return the base's folder; it is found and brought into MLX's form once."""
        if not (self._folder / "base" / SOURCE_FILE).is_file():
            run_base(self._context(recipe, "base", {}))
        return self._folder / "base"

    def _encoded(self, recipe: Recipe, train: Sequence[FormattedRow], valid: Sequence[FormattedRow]) -> Path:
        data = self._folder / "data"
        write_formatted(data / TRAIN, train)
        write_formatted(data / VALID, valid)
        context = self._context(recipe, "encode", {"base": self._base_folder(recipe), "dataset": data})
        facts = run_encode(context)
        if facts.rows_cut:
            self._progress.note(f"{facts.rows_cut} of {facts.rows} rows are cut at {recipe.train.max_length} tokens")
        return context.output

    def _model(self, recipe: Recipe) -> Any:
        base = self._base_folder(recipe)
        model, _ = load_model(base, precision_of(recipe, base))
        if self._trained is not None:
            adapter.attach(model, adapter.with_rank(self._lora, self._trained.rank), recipe.train.seed)
            model.load_weights(str(self._folder / "train" / ADAPTER_FILE), strict=False)
        return model


def _held_out(rows: Rows) -> list[FormattedRow]:
    if not isinstance(rows, str | os.PathLike):
        return conversations(rows)
    path = possible_path(rows)
    return read_conversations(path) if not path.is_dir() else read_held_out(path)


def _digest(recipe: Recipe, encode: Path) -> str:
    """Return a name for the checkpoints of exactly this training."""
    files = {path.name: fsops.hash_file(path) for path in sorted(encode.glob("*.safetensors"))}
    return digest({"values": recipe.values(("lora.*", "train.*", "base.*")), "files": files})[:16]
