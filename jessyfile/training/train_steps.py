"""The steps `encode` and `train`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from jessyfile import fsops, machine
from jessyfile.errors import ConvergenceError, InsufficientMemoryError
from jessyfile.language.recipe import Lora
from jessyfile.planning.canonical import readable
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import EncodeFacts, TrainFacts
from jessyfile.training import adapter, encoded, schedule
from jessyfile.training.metrics import METRICS_FILE, MetricsLog, Watcher
from jessyfile.training.ranks import here

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.models.precision import Precision

_MIN_RANK = 4


def run_encode(context: StepContext) -> EncodeFacts:
    """Tokenize both splits, prove the mask, and write `train.safetensors` and `valid.safetensors`."""
    from jessyfile.dataset.formatted import read_formatted
    from jessyfile.models.chat_format import chat_format
    from jessyfile.models.tokenizer import load_tokenizer
    from jessyfile.training.encode import Encoder, MaskProof, refuse_empty

    recipe, base = context.recipe, context.inputs["base"]
    source = json.loads((base / "source.json").read_text(encoding="utf-8"))
    system = recipe.system if recipe.train.include_system else None
    encoder = Encoder(
        load_tokenizer(base),
        chat_format(source["chat_format"]),
        system,
        recipe.train.max_length,
        recipe.complexity.marker,
    )
    proof, held_out = MaskProof(), MaskProof()
    train = encoder.encode(read_formatted(context.inputs["dataset"] / "train.jsonl"), proof)
    valid = encoder.encode(read_formatted(context.inputs["dataset"] / "valid.jsonl"), held_out)
    refuse_empty(proof)
    prefix = encoded.common_prefix([*train, *valid])
    encoded.save(encoded.pack(train, prefix, encoder.end), context.output / "train.safetensors")
    encoded.save(encoded.pack(valid, prefix, encoder.end), context.output / "valid.safetensors")
    counts = proof.facts()
    facts = EncodeFacts(
        **{part.name: getattr(counts, part.name) for part in fields(counts)},
        shared_prefix=len(prefix),
        updates=schedule.updates(len(train), recipe.train),
    )
    fsops.write_text(context.output / "mask.json", readable({"train": facts, "valid": held_out.facts()}))
    return facts


def run_train(context: StepContext) -> TrainFacts:
    """Train the adapter; write it with its configuration and the loss curve."""
    return train_adapter(context)


def train_adapter(context: StepContext, watchers: Sequence[Watcher] = ()) -> TrainFacts:
    """Do what the step `train` does; `watchers` are told the metrics of every update."""
    from jessyfile.models.accelerate import prepare
    from jessyfile.models.load import load_model

    blas, base = prepare(), context.inputs["base"]
    precision = precision_of(context.recipe, base)
    lora, splits, rungs = context.recipe.lora, 1, list[str]()
    while True:
        model, _ = load_model(base, precision)
        try:
            log = MetricsLog(context.work / METRICS_FILE if here().first else None, watchers)
            facts = _train(context, model, lora, splits, rungs, log)
            said = str(precision)
            return replace(facts, blas=blas.description, precision=said, rounded=precision.quantized)
        except ConvergenceError as error:
            if precision.computed != "float16":
                raise
            raise _beyond_float16(error) from error
        except InsufficientMemoryError as error:
            lora, splits = _next_rung(context, error, lora, splits, rungs)
        finally:
            del model
            machine.give_memory_back()


def precision_of(recipe: Recipe, base: Path) -> Precision:
    """Return how a base's folder is held while it is trained on this machine."""
    from jessyfile.models.model_json import read_json
    from jessyfile.models.precision import resolve
    from jessyfile.models.shape import shape_of

    return resolve(recipe.precision, machine.chip(), shape_of(read_json(base / "config.json")))


def _beyond_float16(error: ConvergenceError) -> ConvergenceError:
    """Say that numbers which are not finite may come from the base's precision; a lower rate would not mend that."""
    return ConvergenceError(
        f"{error.message}, in float16, which ends at 65,504",
        hint=f"take BASE {{ precision bfloat16 }} if it fails from the first update; else {error.hint}",
    )


def _train(context: StepContext, model: Any, lora: Lora, splits: int, rungs: list[str], log: MetricsLog) -> TrainFacts:
    from jessyfile.training.throughput import peak_bytes
    from jessyfile.training.trainer import Trainer

    recipe, data = context.recipe, context.inputs["encode"]
    keys = adapter.attach(model, lora, recipe.train.seed)
    rows, held_out = encoded.load(data / "train.safetensors"), encoded.load(data / "valid.safetensors")
    work = fsops.make_folder(context.work / f"rank-{lora.rank}")
    trainer = Trainer(
        model,
        recipe.train,
        lora,
        rows,
        held_out,
        recipe.personality.per_batch,
        work,
        context.progress,
        context.stop,
        splits=splits,
        log=log,
    )
    cursor = trainer.run()
    adapter.write(context.output, trainer.best, lora, keys)
    curve = {"curve": cursor.curve, "validations": cursor.validations}
    fsops.write_text(context.output / "curve.json", json.dumps(curve) + "\n")
    return TrainFacts(
        training_seconds=round(cursor.seconds, 2),
        updates=cursor.update,
        work_units=cursor.update * recipe.train.batch_size * recipe.train.grad_accumulation,
        trained_tokens=cursor.trained_tokens,
        final_loss=cursor.curve[-1]["loss"],
        best_validation_loss=cursor.best_loss,
        best_update=cursor.best_update or cursor.update,
        parameters=sum(int(array.size) for array in trainer.best.values()),
        rank=lora.rank,
        peak_bytes=peak_bytes(),
        rungs=(*rungs, *cursor.rungs),
        blas="",
    )


def _next_rung(
    context: StepContext, error: InsufficientMemoryError, lora: Lora, splits: int, rungs: list[str]
) -> tuple[Lora, int]:
    """Choose what to give up next: rows at a time (same mathematics), then, if the recipe allows it, half the rank."""
    train = context.recipe.train
    if train.on_memory != "stop" and splits < train.batch_size:
        splits *= 2
        rungs.append(
            f"too little memory: {-(-train.batch_size // splits)} rows at a time instead of {train.batch_size}; "
            "the result stays the same"
        )
    elif train.on_memory == "shrink_rank" and lora.rank // 2 >= _MIN_RANK:
        lora = adapter.with_rank(lora, lora.rank // 2)
        rungs.append(f"too little memory: rank {lora.rank} instead of {lora.rank * 2}")
    else:
        raise error
    context.progress.note(rungs[-1])
    return lora, splits
