"""An mlx_lm.lora configuration -> the Jessyfile that trains alike.

mlx-lm counts in batches where jessy counts in epochs and optimizer updates, and has other defaults: both are written
out.
Keys and defaults are those of mlx_lm/lora.py 0.32.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jessyfile.errors import ProjectError
from jessyfile.importing.foreign import foreign_configuration, tool_of
from jessyfile.importing.quote import model_name, number, one_line, written
from jessyfile.importing.recipe_text import DATASET, EVAL, START, Imported, RecipeText
from jessyfile.importing.schedule import add_schedule
from jessyfile.importing.yaml_strict import Tree, YamlValue, read_yaml
from jessyfile.language.suggest import help_for
from jessyfile.language.table import root

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_NOT_HERE = {
    "adapter_path": "jessy keeps adapters in `.jessy/`",
    "resume_adapter_file": "jessy resumes by itself; to build on an adapter, name its folder with ADAPTER",
    "val_batches": "jessy validates on all rows that `validation` keeps out",
    "steps_per_report": "jessy reports every update",
    "test": "jessy evaluates with the suites of EVAL",
    "test_batches": "jessy evaluates with the suites of EVAL",
    "clear_cache_threshold": "jessy clears the cache by itself",
    "report_to": "jessy writes its own metrics and report",
    "project_name": "jessy names a run by its recipe",
    "trust_remote_code": "jessy never runs a model's own code",
    "hf_dataset": "jessy trains on rows with a level and a topic, which that set lacks",
    "config": "a configuration names no other one",
}
_LAYERS = {"lora_layers": "num_layers"}
KEYS = ("model", "train", "data", "fine_tune_type", "optimizer", "optimizer_config", "mask_prompt", "num_layers",
        "batch_size", "iters", "learning_rate", "lr_schedule", "lora_parameters", "max_seq_length",
        "grad_accumulation_steps", "grad_checkpoint", "seed", "steps_per_eval", "save_every", *_NOT_HERE, *_LAYERS)  # fmt: skip
_LARGEST = 1e15
_LORA_KEYS = ("rank", "scale", "dropout", "keys")


def import_mlx_lm(data: bytes, path: Path, target: Path, name: str | None = None) -> Imported:
    """Return the recipe that equals an mlx_lm.lora configuration.

    Args:
        data: the configuration's bytes.
        path: its file, for messages and relative paths.
        target: where the recipe will stand.
        name: the model's name; made from the file's unless given.

    Returns:
        The recipe's text, and notes on what has no counterpart.

    Raises:
        ProjectError: the YAML cannot be read, belongs to another tool or names no model.
    """
    tree = {key: entry for key, entry in read_yaml(data).items() if entry.value is not None}
    if tool := tool_of(tree):
        raise foreign_configuration(tree, tool, path)
    if "model" not in tree:
        hint = "add the line `model: organization/name`, as mlx_lm.lora was called with --model"
        raise ProjectError(f"`{path}` does not say which model is trained", hint=hint)
    return MlxLmImport(tree, RecipeText(str(path), target), path.parent, name or model_name(path.stem)).run()


class MlxLmImport:
    """One configuration on its way; `tree` holds the keys that are not null."""

    def __init__(self, tree: Tree, draft: RecipeText, folder: Path, name: str) -> None:
        """Begin an import.

        Args:
            tree: the configuration's keys that are not null.
            draft: the recipe under way.
            folder: the configuration's folder; relative paths start there.
            name: the model's name.
        """
        self.tree = tree
        self.draft = draft
        self.folder = folder
        self.name = name
        self.rows: int | None = None

    def run(self) -> Imported:
        """Write the recipe in the order of the reference recipe."""
        self._others()
        self.draft.begin(self.name)
        self._model()
        self._data()
        self.draft.add("\n" + START)
        self.draft.add(
            "\n# The rows to learn from were not carried over: this is a start, with rows that come with jessy."
        )
        self.draft.add(DATASET + "\n")
        self._block("LORA", self._lora)
        self._block("TRAIN", self._train)
        self.draft.add(EVAL)
        return self.draft.finish()

    def _block(self, title: str, fill: Callable[[], None]) -> None:
        self.draft.add(f"{title} {{")
        fill()
        self.draft.add("}\n")

    # reading

    def line(self, key: str) -> int:
        """Return the line of a key; 0 when the configuration leaves it out."""
        return self.tree[key].line if key in self.tree else 0

    def number(self, tree: Tree, key: str, default: float, *, whole: bool = False, least: float = -math.inf) -> float:
        """Return a key's number; a value that does not fit is noted and replaced by the default.

        Args:
            tree: the mapping that holds the key.
            key: the key's name.
            default: mlx-lm's own default.
            whole: whether only whole numbers fit.
            least: the smallest number that fits.

        Returns:
            The number, or the default.
        """
        entry = tree.get(key)
        if entry is None:
            return default
        value = entry.value
        if _is_number(value) and value >= least and not (whole and value != int(value)):
            return int(value) if whole else float(value)
        what = ("whole " if whole else "") + "number" + (f" from {least:g} on" if math.isfinite(least) else "")
        why = f"`{shown(value)}` is no {what}; mlx-lm's {number(default)} is written"
        self.draft.left_out(entry.line, key, why)
        return default

    def settle(self, setting: str, value: float, line: int, key: str) -> None:
        """Write one setting; when the language refuses it, the note names the configuration's key.

        Args:
            setting: the recipe's name for it.
            value: its value.
            line: the key's line in the configuration.
            key: the configuration's name for it.
        """
        self.draft.add(f"  {setting} {number(value)}", line, key)

    def inner(self, key: str) -> Tree:
        """Return a key's mapping; empty when it is left out or none, noting the latter."""
        entry = self.tree.get(key)
        if entry is None or isinstance(entry.value, dict):
            return entry.value if entry else {}
        self.draft.left_out(entry.line, key, "it is no mapping")
        return {}

    # what has no counterpart

    def _others(self) -> None:
        for key, entry in self.tree.items():
            if key in _NOT_HERE:
                self.draft.left_out(entry.line, key, _NOT_HERE[key])
            elif key in _LAYERS:
                self.draft.left_out(entry.line, key, f"mlx-lm calls it {_LAYERS[key]} now, and no longer reads it")
            elif key not in KEYS:
                self.draft.left_out(entry.line, one_line(key), "mlx-lm has no such key", help_for(key, KEYS, "key", ""))
        self._kind()

    def _kind(self) -> None:
        for key, fine, reason in (
            ("train", True, "a recipe always trains"),
            ("fine_tune_type", "lora", "jessy trains LoRA and DoRA adapters"),
            ("mask_prompt", True, "jessy trains on the answers alone, never on the prompt"),
        ):
            entry = self.tree.get(key, YamlValue(False, 0) if key == "mask_prompt" else YamlValue(fine, 0))
            if entry.value != fine and (key, entry.value) != ("fine_tune_type", "dora"):
                self.draft.left_out(entry.line, f"{key} {shown(entry.value)}", reason)

    # FROM and the data

    def _model(self) -> None:
        entry = self.tree["model"]
        self.draft.add(f"FROM {self._reference(str(entry.value), entry.line)}")

    def _reference(self, model: str, line: int) -> str:
        if model.startswith(("/", "~")):
            return written(model)
        if model.startswith(("./", "../")) or os.path.isdir(self.folder / model):
            from jessyfile.importing.from_modelfile import counted_from

            return written(counted_from(self.folder / model, self.draft.target.parent))
        if _REPO.fullmatch(model):
            return f"hf:{model}"
        self.draft.note(
            line, f"model `{shown(model)}` is no repository and no folder here", "name it as FROM hf:organization/name"
        )
        return written(model)

    def _data(self) -> None:
        entry = self.tree.get("data")
        if entry is None:
            return
        self.rows = _count_rows(self.folder / str(entry.value) / "train.jsonl")
        found = f" ({self.rows} rows to train on)" if self.rows is not None else ""
        self.draft.left_out(
            entry.line,
            f"data {shown(entry.value)}{found}",
            "jessy's rows have a category, a topic and a level",
            "write them as data/seeds/<category>/<topic>.jsonl and name each in DATASET",
        )

    # LORA

    def _lora(self) -> None:
        tree = self.inner("lora_parameters")
        where = self.line("lora_parameters")
        rank = self.number(tree, "rank", 8, whole=True)
        scale = self.number(tree, "scale", 20.0)
        dropout = self.number(tree, "dropout", 0.0)
        self.settle("rank", rank, _line(tree, "rank", where), "lora_parameters.rank")
        self.settle("alpha", scale * rank, _line(tree, "scale", where), "lora_parameters.scale")
        self.settle("dropout", dropout, _line(tree, "dropout", where), "lora_parameters.dropout")
        if (kind := self.tree.get("fine_tune_type")) is not None and kind.value == "dora":
            self.draft.add("  kind dora", kind.line, "fine_tune_type")
        self._targets(tree)
        self._layers()
        for key, entry in tree.items():
            if key not in _LORA_KEYS:
                help_ = "mlx-lm's scale is alpha / rank" if key == "alpha" else ""
                self.draft.left_out(entry.line, f"lora_parameters.{one_line(key)}", "mlx-lm does not read it", help_)

    def _targets(self, tree: Tree) -> None:
        entry = tree.get("keys")
        if entry is None or entry.value is None:
            return
        known = root().nodes["lora"].nodes["targets"].schema["items"]["enum"]
        names = [str(key) for key in entry.value] if isinstance(entry.value, list) else []
        last = {name: name.rsplit(".", 1)[-1] for name in names}
        targets = list(dict.fromkeys(last[name] for name in names if last[name] in known))
        for name in names:
            if last[name] not in known:
                self.draft.left_out(
                    entry.line, f"lora_parameters.keys {shown(name)}", "jessy adapts " + " ".join(known)
                )
        if targets:
            self.draft.add(f"  targets {' '.join(targets)}", entry.line, "lora_parameters.keys")
        else:
            self.draft.left_out(entry.line, "lora_parameters.keys", "it names no layer that jessy adapts")

    def _layers(self) -> None:
        layers = self.number(self.tree, "num_layers", 16, whole=True)
        word = number(layers) if layers > 0 else "all"
        self.draft.add(f"  layers {word}", self.line("num_layers"), "num_layers")

    # TRAIN

    def _train(self) -> None:
        batch = self.number(self.tree, "batch_size", 4, whole=True)
        gathered = self.number(self.tree, "grad_accumulation_steps", 1, whole=True, least=1)
        self._epochs(batch)
        self.settle("batch_size", batch, self.line("batch_size"), "batch_size")
        self.settle("grad_accumulation", gathered, self.line("grad_accumulation_steps"), "grad_accumulation_steps")
        add_schedule(self)
        self._optimizer()
        longest = self.number(self.tree, "max_seq_length", 2048, whole=True)
        self.settle("max_length", longest, self.line("max_seq_length"), "max_seq_length")
        self.settle("seed", self.number(self.tree, "seed", 0, whole=True), self.line("seed"), "seed")
        self._every("checkpoint_every", "save_every", 100, gathered)
        self._every("validate_every", "steps_per_eval", 200, gathered)
        self._checkpointing()

    def _checkpointing(self) -> None:
        entry = self.tree.get("grad_checkpoint")
        if entry is not None and isinstance(entry.value, bool):
            word = "yes" if entry.value else "no"
            self.draft.add(f"  grad_checkpointing {word}", entry.line, "grad_checkpoint")
        elif entry is not None:
            self.draft.left_out(entry.line, f"grad_checkpoint {shown(entry.value)}", "it is neither true nor false")

    def _epochs(self, batch: float) -> None:
        iters = self.number(self.tree, "iters", 1000, whole=True, least=1)
        line = self.line("iters")
        if not self.rows:
            self.draft.left_out(line, f"iters {number(iters)}", "jessy counts epochs, and the rows were not found",
                            "set epochs to iters × batch_size / rows")  # fmt: skip
            return
        epochs = max(round(iters * batch / self.rows), 1)
        self.draft.add(f"  epochs {epochs}", line, "iters")
        batches = f"{number(iters)} batches of {number(batch)} from {self.rows} rows"
        self.draft.note(line, f"iters {number(iters)} became {epochs} epochs: {batches}")

    def _every(self, setting: str, key: str, default: int, gathered: float) -> None:
        batches = self.number(self.tree, key, default, whole=True, least=1)
        updates = math.ceil(batches / gathered)
        self.settle(setting, updates, self.line(key), key)
        if updates * gathered != batches:
            self.draft.note(
                self.line(key), f"{key} {number(batches)} became {updates} updates of {number(gathered)} batches"
            )

    def _optimizer(self) -> None:
        entry = self.tree.get("optimizer", YamlValue("adam", 0))
        name = str(entry.value).lower()
        if name not in ("adam", "adamw"):
            self.draft.left_out(entry.line, f"optimizer {shown(entry.value)}", "jessy trains with AdamW")
        decay = {"adam": 0.0, "adamw": 0.01}.get(name, 0.0)
        line = entry.line
        for other, options in self.inner("optimizer_config").items():
            for key, option in options.value.items() if isinstance(options.value, dict) else ():
                if (other, key) == ("adamw", "weight_decay") and name == "adamw":
                    decay, line = self.number({key: option}, key, decay), option.line
                else:
                    self.draft.left_out(
                        option.line,
                        f"optimizer_config.{one_line(other)}.{one_line(key)}",
                        "jessy sets no such option",
                    )
        self.settle("weight_decay", decay, line, "optimizer")


def _is_number(value: Any) -> bool:  # noqa: ANN401 (any YAML value)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def shown(value: Any) -> str:  # noqa: ANN401 (any YAML value)
    """Return a value for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return one_line(number(value) if _is_number(value) else str(value), 40)


def _line(tree: Tree, key: str, default: int) -> int:
    return tree[key].line if key in tree else default


def _count_rows(path: Path) -> int | None:
    try:
        with open(path, "rb") as handle:
            return sum(1 for line in handle if line.strip())
    except OSError:
        return None
