"""The steps `encode` and `train`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from jessyfile import fsops, machine
from jessyfile.errors import ConvergenceError, InsufficientMemoryError, ModelError
from jessyfile.planning.canonical import readable
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import EncodeFacts, TrainFacts
from jessyfile.retrieval.shares import rows_read
from jessyfile.training import adapter, encoded, schedule
from jessyfile.training.gradient import guarded, out_of_memory
from jessyfile.training.ladder import Ladder
from jessyfile.training.metrics import MetricsLog, Watcher, metrics_file
from jessyfile.training.ranks import here
from jessyfile.training.trackers import tracking

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe, Train
    from jessyfile.models.precision import Precision
    from jessyfile.training.encoded import Encoded
    from jessyfile.training.preference_loss import PreferenceTask
    from jessyfile.training.trainer import Trainer

F = TypeVar("F", bound=TrainFacts)


def run_encode(context: StepContext) -> EncodeFacts:
    """Tokenize both splits, prove the mask, and write `train.safetensors` and `valid.safetensors`."""
    from jessyfile.dataset.formatted import read_formatted, rows_folder
    from jessyfile.training.encode import MaskProof, encoder_of, refuse_empty

    recipe = context.recipe
    encoder = encoder_of(recipe, context.inputs["base"], recipe.train.max_length)
    proof, held_out = MaskProof(), MaskProof()
    rows = rows_folder(context.inputs)
    train = encoder.encode(read_formatted(rows / "train.jsonl"), proof)
    valid = encoder.encode(read_formatted(rows / "valid.jsonl"), held_out)
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


Learn = Callable[[StepContext, Any, Ladder, MetricsLog], F]


def run_train(context: StepContext) -> TrainFacts:
    """Train the adapter; write it with its configuration and the loss curve."""
    return train_adapter(context)


def train_adapter(context: StepContext, watchers: Sequence[Watcher] = ()) -> TrainFacts:
    """Do what the step `train` does; `watchers` are told the metrics of every update."""
    return learned(context, context.recipe.train, Ladder.of(context.recipe), _train, watchers)


def learned(context: StepContext, train: Train, ladder: Ladder, learn: Learn[F], watchers: Sequence[Watcher] = ()) -> F:
    """Learn, and again with less in memory at a time as long as it is too little and the recipe allows it.

    Args:
        context: the step's.
        train: the settings.
        ladder: where it begins.
        learn: trains the model that it is given, writes the adapter, and says how it went.
        watchers: told the metrics of every update.

    Returns:
        What `learn` says, with how the base was held.

    Raises:
        ConvergenceError: the loss is not finite, diverges or does not fall.
        InsufficientMemoryError: the last rung needs too much, too.
    """
    name = metrics_file(context.name)
    with tracking(train, context.log, context.progress, context.name) as tracker:
        log = MetricsLog(context.work / name if here().first else None, watchers, tracker)
        try:
            return _descend(context, train, ladder, learn, log)
        finally:
            if context.log is not None and log.kept:
                fsops.copy_file(context.work / name, context.log / name)


def _descend(context: StepContext, train: Train, ladder: Ladder, learn: Learn[F], log: MetricsLog) -> F:
    from jessyfile.models.accelerate import prepare

    blas, base = prepare(), context.inputs["base"]
    precision = precision_of(context.recipe, base)
    while True:
        model = _loaded(base, precision)
        try:
            rows = -(-train.batch_size // ladder.splits)
            # an optimizer's step and a checkpoint take memory too, and what they leave behind is the last whole checkpoint
            facts = guarded(partial(learn, context, model, ladder, log), rows)
            said = str(precision)
            return replace(facts, blas=blas.description, precision=said, rounded=precision.quantized)
        except ConvergenceError as error:
            if precision.computed != "float16":
                raise
            raise _beyond_float16(error) from error
        except InsufficientMemoryError as error:
            ladder = ladder.next_rung(train, error)
            context.progress.note(ladder.rungs[-1])
        finally:
            del model
            machine.give_memory_back()


def _loaded(base: Path, precision: Precision) -> Any:
    """Return the base's model; one that does not fit is no matter of the ladder, for every rung holds it."""
    from jessyfile.models.load import load_model

    try:
        return load_model(base, precision)[0]
    except (ModelError, MemoryError) as error:
        if out_of_memory(error) or out_of_memory(error.__cause__):
            raise InsufficientMemoryError(
                f"the base does not fit into memory in {precision}", hint="take BASE { precision q8 } or q4"
            ) from error
        raise


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


def _train(context: StepContext, model: Any, ladder: Ladder, log: MetricsLog) -> TrainFacts:
    recipe, data, lora = context.recipe, context.inputs["encode"], ladder.lora
    keys = adapter.attach(model, lora, recipe.train.seed)
    rows, held_out = encoded.load(data / "train.safetensors"), encoded.load(data / "valid.safetensors")
    trainer = trainer_of(context, model, ladder, log, recipe.train, (rows, held_out))
    return finished(context, trainer, ladder, keys)


def trainer_of(
    context: StepContext,
    model: Any,
    ladder: Ladder,
    log: MetricsLog,
    train: Train,
    splits: tuple[Encoded, Encoded],
    preferences: PreferenceTask | None = None,
) -> Trainer:
    """Return what trains a model's adapter.

    Args:
        context: the step's.
        model: the model with the adapter on it.
        ladder: how it fits into memory.
        log: takes the metrics of every update.
        train: the settings.
        splits: the rows to train on and those held out.
        preferences: what is learned from them in place of the answers themselves; None for nothing.

    Returns:
        The trainer, not begun.
    """
    from jessyfile.training.trainer import Trainer

    return Trainer(
        model,
        train,
        ladder.lora,
        *splits,
        context.recipe.personality.per_batch,
        fsops.make_folder(context.work / f"rank-{ladder.lora.rank}"),
        context.progress,
        context.stop,
        splits=ladder.splits,
        checkpointing=ladder.checkpointing,
        log=log,
        preferences=preferences,
    )


def finished(context: StepContext, trainer: Trainer, ladder: Ladder, keys: list[str]) -> TrainFacts:
    """Train to the end; write the adapter that is kept, and the loss curve.

    Args:
        context: the step's.
        trainer: what trains, not begun.
        ladder: how it fits into memory.
        keys: the names of the adapted modules.

    Returns:
        How it went.
    """
    from jessyfile.training.throughput import peak_bytes

    cursor, train, lora, log = trainer.run(), trainer.train, ladder.lora, trainer.log
    # of preferences each is a unit, whatever stands before it
    read = 1 if context.name == "prefer" else rows_read(context.recipe.retrieve)
    adapter.write(context.output, trainer.best, lora, keys)
    curve = {"curve": cursor.curve, "validations": cursor.validations}
    fsops.write_text(context.output / "curve.json", json.dumps(curve) + "\n")
    return TrainFacts(
        training_seconds=round(cursor.seconds, 2),
        updates=cursor.update,
        work_units=cursor.update * train.batch_size * train.grad_accumulation * read,
        trained_tokens=cursor.trained_tokens,
        final_loss=cursor.curve[-1]["loss"],
        best_validation_loss=cursor.best_loss,
        best_update=cursor.best_update,
        parameters=sum(int(array.size) for array in trainer.best.values()),
        rank=lora.rank,
        peak_bytes=peak_bytes(),
        rungs=(*ladder.rungs, *cursor.rungs),
        blas="",
        kind=adapter.spelled(lora),
        gpu_utilization=log.mean_gpu(),
        cpu_utilization=log.mean_cpu(),
        compile_seconds=round(sum(one.compile_seconds for one in log.kept), 2),
    )
