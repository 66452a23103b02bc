"""The step `prefer`: the adapter that `train` left learns which answers are preferred to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jessyfile.errors import StateError, TrainingError
from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE
from jessyfile.models.model_json import read_json
from jessyfile.results.facts import PreferFacts, TrainFacts
from jessyfile.training import adapter
from jessyfile.training.ladder import Ladder
from jessyfile.training.preference_encode import encode_preferences, preference_encoder
from jessyfile.training.preference_levels import with_levels
from jessyfile.training.preference_loss import PreferenceTask, Preferred
from jessyfile.training.ranks import here
from jessyfile.training.reference import logprobs, with_reference
from jessyfile.training.train_steps import finished, learned, trainer_of

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Lora, Prefer, Recipe, Train
    from jessyfile.planning.steps import StepContext
    from jessyfile.training.encode import Encoder
    from jessyfile.training.metrics import MetricsLog, Watcher
    from jessyfile.training.preference_levels import Splits
    from jessyfile.training.trainer import Trainer


def run_prefer(context: StepContext, watchers: Sequence[Watcher] = ()) -> PreferFacts:
    """Train the adapter of `train` onward on preferences; write it with its configuration and the loss curve.

    Raises TrainingError for an answer that does not fit, and what every training raises.
    """
    train, (encoder, splits) = settings_of(context.recipe), _read(context)
    encode_preferences(
        encoder, preferences_of(context.recipe), splits
    )  # what would be cut is said before a model is loaded
    lora = lora_of(context.recipe, context.inputs["train"])
    start = replace(
        Ladder.of(context.recipe), lora=lora, hint="lower batch_size in PREFER, or take BASE { precision q8 }"
    )
    return learned(context, train, start, partial(_prefer, train, encoder, splits), watchers)


def preferences_of(recipe: Recipe) -> Prefer:
    """Return what a recipe says of preferences, where it has some."""
    if recipe.prefer is None:
        raise TrainingError("the recipe has no PREFER", hint='write `PREFER dpo "pairs.jsonl"`')
    return recipe.prefer


def settings_of(recipe: Recipe) -> Train:
    """Return how preferences are learned: as PREFER says, and as TRAIN does where PREFER has no setting.

    Weights do not decay, which would pull towards the base without what `train` has learned. A smaller rank would be another adapter than
    the one that is trained onward.
    """
    prefer, train = preferences_of(recipe), recipe.train
    return replace(
        train,
        epochs=prefer.epochs,
        batch_size=prefer.batch_size,
        grad_accumulation=1,
        learning_rate=prefer.learning_rate,
        warmup_steps=prefer.warmup_steps,
        schedule=prefer.schedule,
        weight_decay=0.0,
        max_length=prefer.max_length,
        seed=prefer.seed,
        early_stop=None,
        pack="no",
        keep="best",
        end_weight=1.0,
        level_weight=1.0,
        on_memory="stop" if train.on_memory == "stop" else "shrink_batch",
        validate_every=0,
    )


def lora_of(recipe: Recipe, trained: Path) -> Lora:
    """Return the settings of the adapter in a folder, whose rank memory may have halved; nothing is dropped."""
    rank = read_json(trained / ADAPTER_CONFIG)["rank"]
    return replace(adapter.with_rank(recipe.lora, int(rank)), dropout=0.0)


def _read(context: StepContext) -> tuple[Encoder, Splits]:
    """Return what lays preferences out, those to learn from and those held out."""
    from jessyfile.dataset.preferences import read_compared

    recipe, folder = context.recipe, context.inputs["preferences"]
    prefer = preferences_of(recipe)
    encoder = preference_encoder(recipe, prefer, context.inputs["base"])
    return encoder, [read_compared(folder / f"{split}.jsonl", prefer.method) for split in ("train", "valid")]


def _prefer(
    train: Train, encoder: Encoder, splits: Splits, context: StepContext, model: Any, ladder: Ladder, log: MetricsLog
) -> PreferFacts:
    prefer = preferences_of(context.recipe)
    keys = _put_on(model, ladder.lora, context.inputs["train"], train.seed)
    compared = encode_preferences(encoder, prefer, with_levels(context, model, encoder, splits))
    trained, held_out = (
        Preferred(prefer.method, prefer.beta, prefer.sft_weight, one, end_weight=context.recipe.train.end_weight)
        for one in with_reference(context, model, compared)
    )
    task = PreferenceTask(trained, held_out)
    rows = (trained.compared.rows, held_out.compared.rows)
    trainer = trainer_of(context, model, ladder, log, train, rows, task)
    facts = finished(context, trainer, ladder, keys)
    return _with_shares(context, trainer, task, facts)


def _put_on(model: Any, lora: Lora, folder: Path, seed: int) -> list[str]:
    """Put the adapter of a folder on a model, to be trained onward; return the paths of its modules. Raises StateError."""
    import mlx.core as mx

    keys = adapter.attach(model, lora, seed)
    stored: Any = mx.load(str(folder / ADAPTER_FILE))
    shapes = {name: array.shape for name, array in adapter.parameters(model).items()}
    if {name: array.shape for name, array in stored.items()} != shapes:
        raise StateError(f"the adapter in `{folder}` is not one of this recipe's LORA")
    model.load_weights(list(stored.items()), strict=False)
    return keys


def _with_shares(context: StepContext, trainer: Trainer, task: PreferenceTask, facts: TrainFacts) -> PreferFacts:
    """Return the facts with the shares of pairs in which the wanted answer is the likelier one, by the adapter that is kept."""
    trained, held_out = task.trained.compared, task.held_out.compared
    trainer.model.load_weights(list(trainer.best.items()), strict=False)
    after = here().by_first(lambda: logprobs(context, trainer.model, [trained.rows, held_out.rows]))
    cursor = trainer.cursor
    kept = next((one for one in cursor.validations if one["update"] == cursor.best_update), cursor.curve[-1])
    told = PreferFacts(
        **{part.name: getattr(facts, part.name) for part in fields(facts)},
        method=task.trained.method,
        compared=len(trained),
        held_out=len(held_out),
        margin=kept["margin"],
        trained_before=trained.share(trained.reference),
        held_out_before=held_out.share(held_out.reference),
        trained_after=trained.share(after[0]) if after else None,
        held_out_after=held_out.share(after[1]) if after else None,
    )
    context.progress.note(told.summary)
    if not told.best_update:
        context.progress.note(
            "no validation found less loss than before the first update: the adapter is as `train` left it"
        )
    return told
