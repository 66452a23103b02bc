"""What is known of a training before any step runs: how the base is held, and whether that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile import machine
from jessyfile.errors import InsufficientMemoryError, TrainingError
from jessyfile.models.architectures import by_model_type, target_layers
from jessyfile.models.base_checks import base_sizes, end_in_text, known_profile, known_shape
from jessyfile.models.precision import BEYOND_FLOAT16, Precision, resolve
from jessyfile.planning.change_text import size
from jessyfile.planning.preflight import Finding
from jessyfile.training.footprint import footprint
from jessyfile.training.trackers import refuse_missing

if TYPE_CHECKING:
    from jessyfile.models.shape import Shape
    from jessyfile.planning.preflight import Outlook

_MAC = "Apple M3"  # any Apple chip holds the base in the same bytes
_MACS = (8, 16)
_METAL_SHARE = 2 / 3  # of a small Mac's memory that Metal gives to one process


def train_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what would stop or spoil the training, how the base is held, and where else that would fit."""
    try:
        refuse_missing(outlook.recipe.train)
    except TrainingError as error:
        yield outlook.error(error, "train.tracker")
    profile, shape = known_profile(outlook), known_shape(outlook)
    if profile is not None and not profile.ends_in_token:
        yield end_in_text(outlook, profile)
    if shape is None:
        return
    from jessyfile.training.memory import train_peak, what_fits

    try:
        target_layers(outlook.recipe.lora.targets, by_model_type(shape.model_type).linear)
    except TrainingError as error:
        yield outlook.error(error, "lora.targets")
    precision = resolve(outlook.recipe.precision, machine.chip(), shape)
    yield from _precision_problems(outlook, shape, precision)
    wanted = outlook.recipe.lora.layers
    if wanted is not None and wanted > shape.layers:
        message = f"layers {wanted} is more than the {shape.layers} of this base"
        yield outlook.warning(TrainingError(message, hint="write `layers all`"), "lora.layers")
    held, total = _held(outlook, shape, precision), machine.memory()
    if total and held > total:
        message = f"training holds {size(held)} in memory and this machine has {size(total)}"
        hint = what_fits(outlook, total / (train_peak(outlook) or total))
        yield outlook.error(InsufficientMemoryError(message, hint=hint), "from")
    yield Finding("note", "", outlook.step, _said(precision, held))
    yield Finding("note", "", outlook.step, _on_macs(outlook, shape))


def _precision_problems(outlook: Outlook, shape: Shape, precision: Precision) -> Iterator[Finding]:
    wanted = outlook.recipe.precision
    if precision.computed == "float16" and shape.model_type in BEYOND_FLOAT16:
        message = f"float16 ends at 65,504 and the hidden states of a {shape.model_type} pass it"
        yield outlook.error(TrainingError(message, hint="take bfloat16, q8 or q4"), "base.precision")
    if wanted != "auto" and precision.held == "stored":
        error = TrainingError(
            f"precision {wanted} does not change how the base is held: its own folder holds it quantized",
            hint="leave it out, or name the unquantized base in FROM",
        )
        yield outlook.warning(error, "base.precision")


def _held(outlook: Outlook, shape: Shape, precision: Precision) -> int:
    return footprint(shape, precision, outlook.recipe.lora, base_sizes(outlook).brought).total


def _said(precision: Precision, held: int) -> str:
    """Say how the base is held, why, and that a rounded one is another model than the one that is served."""
    rounded = "; it learns on rounded weights and is merged into the base as it came" if precision.quantized else ""
    return f"training holds the base in {precision} ({precision.why}): {size(held)} with adapter and optimizer{rounded}"


def _on_macs(outlook: Outlook, shape: Shape) -> str:
    """Say with which precision the training fits into the memory of small Macs, and whether with one row at a time."""
    needed = dict(_ways(outlook, shape))
    told = [_fitting(needed, memory << 30) for memory in _MACS]
    if told[0] == told[1]:
        return f"on a Mac with 8 or 16 GB of memory {told[0]}"
    return "on a Mac with " + ", with ".join(
        f"{memory} GB of memory {said}" for memory, said in zip(_MACS, told, strict=True)
    )


def _ways(outlook: Outlook, shape: Shape) -> Iterator[tuple[str, int]]:
    """Yield ways to train in words with their bytes: the recipe's precision first, then smaller ones; the whole batch, then its rows
    one by one, which is the same mathematics."""
    from jessyfile.training.memory import SMALL, Training

    train, lora, wanted = outlook.recipe.train, outlook.recipe.lora, outlook.recipe.precision
    smaller = SMALL[SMALL.index(wanted) + 1 :] if wanted in SMALL else SMALL
    for precision in (wanted, *smaller):
        yield f"precision {precision}", Training(train, lora, precision).peak(outlook, shape, _MAC)
        if train.on_memory != "stop" and train.batch_size > 1:
            one = replace(train, batch_size=1)
            yield f"precision {precision}, one row at a time", Training(one, lora, precision).peak(outlook, shape, _MAC)


def _fitting(needed: Mapping[str, int], memory: int) -> str:
    """Say what fits, the most exact that does."""
    found = next((way for way, bytes_ in needed.items() if bytes_ <= memory * _METAL_SHARE), None)
    return (
        f"it fits with {found} ({size(needed[found])})" if found else f"it does not fit ({size(min(needed.values()))})"
    )
