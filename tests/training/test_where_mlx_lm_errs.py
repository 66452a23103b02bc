"""What mlx-lm's own trainer does wrong, each as one test that runs against both: it must fail there, and hold here.

mlx-lm is asked through its own functions. A test that passes there one day fails as unexpected: then its story is history.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten
from plain_training import mean_gradient
from reference_world import World, world
from safetensors.numpy import load_file, save_file
from tiny import tiny_adapter, tiny_model
from training_fakes import LORA, TRAIN, Silent, StopAfter, loud, trainer

from jessyfile.errors import Interrupted
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.language import load_text
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import limits_kept, load_model
from jessyfile.models.weights import Weights
from jessyfile.training import adapter
from jessyfile.training.batches import build, epoch_batches
from jessyfile.training.encoded import EncodedRow, common_prefix, pack
from jessyfile.training.trainer import Trainer

with limits_kept():
    from mlx_lm import fuse, lora
    from mlx_lm.tuner import trainer as theirs
    from mlx_lm.tuner.datasets import CacheDataset

PLAIN = replace(TRAIN, epochs=1, end_weight=1, level_weight=1, max_grad_norm=0, warmup_steps=0, checkpoint_every=1)
NAMES = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj")


def row(given: int, answer: int, first: int = 20) -> EncodedRow:
    """A row of so many given and so many trained tokens."""
    tokens = tuple(first + i for i in range(given + answer))
    return EncodedRow(tokens, tuple(i >= given for i in range(given + answer)), "any", "tr", False)


def fresh(folder: Path) -> Any:
    """A tiny model with an adapter that already does something."""
    model = loud(load_model(tiny_model(folder, "llama"))[0])
    adapter.attach(model, LORA, 1)
    chance = np.random.default_rng(2)
    moved = [
        (key, mx.array(chance.normal(0, 0.1, a.shape).astype(np.float32)))
        for key, a in adapter.parameters(model).items()
    ]
    model.load_weights(moved, strict=False)
    return model


def quantized(folder: Path) -> Path:
    """Store a tiny model in 4 bits, as MLX does it."""
    base = tiny_model(folder, "llama")
    parts: dict[str, mx.array] = {}
    for name, array in load_file(base / "model.safetensors").items():
        stem, whole = name.removesuffix(".weight"), mx.array(array)
        made = mx.quantize(whole, group_size=32, bits=4) if array.ndim == 2 else (whole,)
        parts |= dict(zip((name, f"{stem}.scales", f"{stem}.biases"), made, strict=False))
    save_file({name: np.array(array) for name, array in parts.items()}, base / "model.safetensors")
    config = (base / "config.json").read_text()
    (base / "config.json").write_text(config[:-1] + ', "quantization": {"group_size": 32, "bits": 4}}')
    return base


class MlxLm:
    """Asks mlx-lm."""

    @staticmethod
    def data(given: Sequence[EncodedRow]) -> list[tuple[list[int], int]]:
        return [(list(one.tokens), one.trained.index(True)) for one in given]

    @staticmethod
    def training(model: Any, given: Sequence[EncodedRow], rule: Any, folder: Path, **more: Any) -> None:
        held_out, asked = (
            more.pop("held_out", None),
            {key: more.pop(key) for key in ("iterate_batches", "loss") if key in more},
        )
        usual = {
            "batch_size": 1,
            "val_batches": -1,
            "steps_per_eval": 1000,
            "steps_per_report": 1000,
            "max_seq_length": 33,
        }
        settings = theirs.TrainingArgs(**{**usual, "adapter_file": str(folder / "adapters.safetensors"), **more})
        theirs.train(model, rule, MlxLm.data(given), held_out and MlxLm.data(held_out), settings, **asked)

    @staticmethod
    def targets(model: Any, given: Sequence[EncodedRow]) -> int:
        batch = next(theirs.iterate_batches(MlxLm.data(given), len(given), 64))
        return int(theirs.default_loss(model, *batch)[1])

    @staticmethod
    def mean(found: World, limit: int, size: int, folder: Path) -> float:
        del folder
        return theirs.evaluate(found.model, MlxLm.data(found.rows), size, -1, limit)

    @staticmethod
    def seen(given: Sequence[EncodedRow], size: int, passes: int) -> set[int]:
        data, met = MlxLm.data(given), set()
        for _ in range(passes):
            met |= {int(t) for batch, _ in theirs.iterate_batches(data, size, 64) for t in np.array(batch)[:, 0]}
        return met

    @staticmethod
    def batches(given: Sequence[EncodedRow], size: int) -> list[list[int]]:
        class Chats(list):
            """Rows as the chats that mlx-lm's data sets are."""

            def process(self, chat: dict) -> tuple[list[int], int]:
                return chat["messages"]

        chats = Chats({"messages": one} for one in MlxLm.data(given))
        return [
            [int(n) for n in np.array(spans)[:, 1]]
            for _, spans in theirs.iterate_batches(CacheDataset(chats), size, 64)
        ]

    @staticmethod
    def gradient(
        model: Any, given: Sequence[EncodedRow], folder: Path, patch: pytest.MonkeyPatch
    ) -> dict[str, np.ndarray]:
        del patch
        before = {key: np.array(array) for key, array in adapter.parameters(model).items()}
        MlxLm.training(model, given, optim.SGD(1.0), folder, iters=len(given), grad_accumulation_steps=len(given))
        return {key: before[key] - np.array(array) for key, array in adapter.parameters(model).items()}

    @staticmethod
    def order(folder: Path, every: int) -> list[float]:
        met: list[float] = []

        def noted(*arguments: Any, **options: Any) -> Any:
            for batch in theirs.iterate_batches(*arguments, **options):
                met.extend(float(t) for t in np.array(batch[0])[:, 0] if options.get("loop"))
                yield batch

        def nothing(model: Any, *_: Any) -> tuple[mx.array, mx.array]:
            return mx.sum(model.layers[0].self_attn.q_proj.lora_b) * 0, mx.array(1)

        np.random.seed(0)  # as its command does
        given = [row(3, 3, 20 + i) for i in range(6)]
        more = {"iters": 12, "steps_per_eval": every, "held_out": given[:5], "iterate_batches": noted, "loss": nothing}
        MlxLm.training(fresh(folder / f"{every}"), given, optim.SGD(0.0), folder, **more)
        return met

    @staticmethod
    def refuses(setting: str, folder: Path, patch: pytest.MonkeyPatch) -> bool:
        (folder / "config.yaml").write_text(f"model: ./base\ntrain: true\n{setting}: 1e-3\n")
        patch.setattr(lora, "run", lambda _: None)
        patch.setattr(sys, "argv", ["mlx_lm.lora", "--config", str(folder / "config.yaml")])
        try:
            lora.main()
        except (ValueError, SystemExit):
            return True
        return False

    @staticmethod
    def saved(folder: Path, stop: int | None) -> tuple[list[Path], set[str]]:
        del stop
        MlxLm.training(fresh(folder / "base"), [row(3, 4)], optim.AdamW(1e-2), folder, iters=1, steps_per_save=1)
        files = sorted(folder.glob("*adapters.safetensors"))
        return files, {name for file in files for name in load_file(file)}

    @staticmethod
    def trained(folder: Path, stop: int | None) -> dict[str, np.ndarray]:
        """Train for six updates, in two commands if it stops between."""
        given, model = [row(3, 4, 20 + 3 * i) for i in range(8)], fresh(folder / "base")
        for iters in (6,) if stop is None else (stop, 6 - stop):
            np.random.seed(0)
            MlxLm.training(model, given, optim.AdamW(1e-2), folder, iters=iters)
            model.load_weights(str(folder / "adapters.safetensors"), strict=False)
        return load_file(folder / "adapters.safetensors")

    @staticmethod
    def merged(base: Path, tuned: Path, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
        """Return the merged matrices, by its command less the reading and writing of a whole model folder."""
        from mlx_lm.tuner.utils import load_adapters

        model, kept = load_model(base)[0], {}
        parts = {
            "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "mlp.up_proj"]}
        }
        (tuned / "adapter_config.json").write_text(str({"num_layers": 3, **parts}).replace("'", '"'))
        patch.setattr(fuse, "load", lambda *_, **__: (load_adapters(model, str(tuned)), None, {"model_type": "llama"}))
        patch.setattr(fuse, "save", lambda *a, **_: kept.update(tree_flatten(a[2].parameters())))
        patch.setattr(sys, "argv", ["mlx_lm.fuse", "--save-path", str(folder)])
        fuse.main()
        return {
            name: np.array(mx.dequantize(*(kept[f"{name}.{one}"] for one in ("weight", "scales", "biases")), 32, 4))
            for name in NAMES
        }

    @staticmethod
    def gguf(base: Path, kind: str, target: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(fuse, "load", lambda *_, **__: (load_model(base)[0], None, {"model_type": kind}))
        patch.setattr(fuse, "save", lambda *_, **__: None)
        patch.setattr(fuse, "convert_to_gguf", lambda *_: target.write_bytes(b"GGUF"))
        patch.setattr(sys, "argv", ["mlx_lm.fuse", "--export-gguf"])
        fuse.main()


class Ours:
    """Asks jessy."""

    @staticmethod
    def targets(model: Any, given: Sequence[EncodedRow]) -> int:
        del model
        return len(build(pack(given, common_prefix(given)), list(range(len(given))), 16).targets)

    @staticmethod
    def mean(found: World, limit: int, size: int, folder: Path) -> float:
        cut = world(folder, None, limit=limit).rows
        packed = pack(cut, common_prefix(cut))
        train = replace(PLAIN, batch_size=size)
        return Trainer(found.model, train, LORA, packed, packed, 0, folder, Silent(), StopAfter()).validation_loss()

    @staticmethod
    def seen(given: Sequence[EncodedRow], size: int, passes: int) -> set[int]:
        packed, train = pack(given, ()), replace(PLAIN, batch_size=size)
        order = [i for epoch in range(passes) for batch in epoch_batches(packed, train, 0, epoch) for i in batch]
        return {given[i].tokens[0] for i in order}

    @staticmethod
    def batches(given: Sequence[EncodedRow], size: int) -> list[list[int]]:
        found = epoch_batches(pack(given, ()), replace(PLAIN, batch_size=size), 0, 0)
        return [[len(given[i].tokens) for i in batch] for batch in found]

    @staticmethod
    def gradient(
        model: Any, given: Sequence[EncodedRow], folder: Path, patch: pytest.MonkeyPatch
    ) -> dict[str, np.ndarray]:
        train = replace(PLAIN, batch_size=1, grad_accumulation=len(given))
        seen = World(model, list(given), -1).trained(train, folder, patch)
        return {key: array / 0.1 for key, array in seen[1].moments.first.items()}

    @staticmethod
    def order(folder: Path, every: int) -> list[float]:
        made = trainer(folder / f"{every}", validate_every=every)
        return [entry["loss"] for entry in made.run().curve]

    @staticmethod
    def refuses(setting: str, folder: Path, patch: pytest.MonkeyPatch) -> bool:
        del patch
        text = f"JESSY 1\nNAME x\nFROM gemma3:270m\nTRAIN {{\n  {setting} 1e-3\n}}\n"
        said = load_text(text, folder / "x.jessy", root=folder).diagnostics
        return any(setting in one.message for one in said if one.severity == "error")

    @staticmethod
    def saved(folder: Path, stop: int | None) -> tuple[list[Path], set[str]]:
        made = trainer(folder, stop=StopAfter(stop))
        with pytest.raises(Interrupted):
            made.run()
        files = sorted(made.work.glob("checkpoint-*/*.safetensors"))
        return files, {name for file in files for name in load_file(file)}

    @staticmethod
    def trained(folder: Path, stop: int | None) -> dict[str, np.ndarray]:
        if stop is not None:
            Ours.saved(folder, stop)
        made = trainer(folder)
        made.run()
        return {key: np.array(array) for key, array in made.best.items()}

    @staticmethod
    def merged(base: Path, tuned: Path, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
        del patch
        folder.mkdir()
        merge_folder(base, tuned, folder, lambda *_: None)
        return {name: Weights(folder).read(f"{name}.weight") for name in NAMES}

    @staticmethod
    def gguf(base: Path, kind: str, target: Path, patch: pytest.MonkeyPatch) -> None:
        del kind, patch
        write_gguf(base, target, "f16", lambda *_: None)


there = pytest.mark.xfail(strict=True, raises=(AssertionError, ValueError), reason="mlx-lm's trainer does it")
both = pytest.mark.parametrize("side", [pytest.param(MlxLm, marks=there), pytest.param(Ours)])


@both
def test_no_padding_is_trained(side: Any, tmp_path: Path) -> None:
    """One padding position a row was a target: the model learned to say the padding token after the end."""
    assert side.targets(fresh(tmp_path / "m"), [row(4, 6), row(7, 9), row(3, 2)]) == 6 + 9 + 2


@both
def test_a_prompt_longer_than_the_limit_trains_nothing_and_breaks_nothing(side: Any, tmp_path: Path) -> None:
    """Its batch had zero trained tokens, so that the loss was 0/0 and the whole training NaN."""
    found = world(tiny_model(tmp_path), None)
    limit = found.rows[4].trained.index(True) - 1
    assert math.isfinite(side.mean(found, limit, 1, tmp_path))


@both
def test_fewer_held_out_rows_than_a_batch_are_measured(side: Any, tmp_path: Path) -> None:
    """Seven held-out rows and batches of eight ended the training at its first validation."""
    found = world(tiny_model(tmp_path), None)
    wanted = mean_gradient(found.model, found.rows, -1, PLAIN).loss
    assert side.mean(found, 200, 8, tmp_path) == pytest.approx(wanted, rel=1e-4)


@both
def test_the_rows_after_the_last_full_batch_are_trained(side: Any) -> None:
    """The same 2 of 10 rows were left out in every pass: 8 were trained in 50 passes."""
    assert side.seen([row(3, 3, 20 + i) for i in range(10)], 4, 50) == set(range(20, 30))


@both
def test_rows_of_like_length_share_a_batch(side: Any) -> None:
    """It sorted chats by how many keys they have, which is one, so that short rows were padded to long ones."""
    given = [row(3, 5 + 30 * (i % 2)) for i in range(8)]
    assert all(len(set(lengths)) == 1 for lengths in side.batches(given, 4))


@both
def test_accumulation_is_one_mean_over_all_tokens(side: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the batches' means made each token of a short answer weigh as much as many of a long one."""
    model = fresh(tmp_path / "m")
    given = [row(31, 2), row(3, 30, 50)]  # as long as mlx-lm's limit in `training`, so that nothing is padded there
    wanted = mean_gradient(model, given, -1, PLAIN)
    assert wanted.norm > 0.1
    for key, array in side.gradient(model, given, tmp_path, monkeypatch).items():
        assert np.linalg.norm(array - wanted.gradient[key]) < 1e-3 * wanted.norm, key


@both
def test_how_often_it_validates_changes_nothing_in_what_is_trained(side: Any, tmp_path: Path) -> None:
    """Validation drew from the same random stream as the order of the rows."""
    assert side.order(tmp_path, 2) == side.order(tmp_path, 1000)


@both
def test_a_misspelt_setting_is_refused(side: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`learning_rat: 1e-3` was taken in silence, and trained with the default."""
    assert side.refuses("learning_rat", tmp_path, monkeypatch)


@both
def test_a_checkpoint_is_never_written_over(side: Any, tmp_path: Path) -> None:
    """Killed while it wrote over its file, it left one that could not be read, 19 times in 30. A second name of the file shows it."""
    old = {}
    for file in side.saved(tmp_path, 1)[0]:
        os.link(file, tmp_path / f"name{len(old)}")
        old[tmp_path / f"name{len(old)}"] = (file.read_bytes(), os.stat(file).st_mtime_ns)
    side.saved(tmp_path, 2)
    assert old
    assert all((name.read_bytes(), os.stat(name).st_mtime_ns) == before for name, before in old.items())


@both
def test_a_checkpoint_holds_the_optimizer(side: Any, tmp_path: Path) -> None:
    """Only the adapter was saved, so that AdamW began anew, with no moments and at its first step."""
    names = side.saved(tmp_path, 2)[1]
    assert any(name.endswith("lora_a.m") for name in names)
    assert any(name.endswith("lora_a.v") for name in names)
    assert "step" in names


@both
def test_resumed_it_is_the_training_that_was_not_stopped(side: Any, tmp_path: Path) -> None:
    """A resume differed from an uninterrupted run by 76 % of the update."""
    whole, resumed = side.trained(tmp_path / "a", None), side.trained(tmp_path / "b", 3)
    assert all(np.array_equal(array, resumed[key]) for key, array in whole.items())


@both
def test_a_gentle_change_of_a_base_in_four_bits_is_kept(
    side: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merged matrix was rounded to four bits again, which kept a tenth of the change."""
    base, shapes = quantized(tmp_path / "base"), {NAMES[0]: (128, 64), NAMES[1]: (96, 64)}
    tuned = tiny_adapter(tmp_path / "tuned", shapes)
    arrays = {key: array * np.float32(0.01) for key, array in load_file(tuned / "adapters.safetensors").items()}
    save_file(arrays, tuned / "adapters.safetensors")
    found = side.merged(base, tuned, tmp_path / "merged", monkeypatch)
    for name in NAMES:
        added = 2.0 * (arrays[f"{name}.lora_a"] @ arrays[f"{name}.lora_b"]).T
        change = found[name] - Weights(base).read(f"{name}.weight")
        assert np.sum(change * added) / np.linalg.norm(change) / np.linalg.norm(added) > 0.999, name


@both
@pytest.mark.parametrize("kind", ["gemma3_text", "qwen2"])
def test_what_was_trained_becomes_a_gguf(side: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only llama, mixtral and mistral did: a tuned Gemma could not be served."""
    side.gguf(tiny_model(tmp_path / "base", kind), kind, tmp_path / "x.gguf", monkeypatch)
    assert (tmp_path / "x.gguf").read_bytes()[:4] == b"GGUF"
