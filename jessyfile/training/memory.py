"""What memory a training will take on this machine, said before any step runs, and what would make it take less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile import machine
from jessyfile.models.base_checks import base_sizes, known_shape
from jessyfile.models.precision import Wanted, resolve
from jessyfile.training.activations import part_of, peak
from jessyfile.training.footprint import footprint, loading_bytes

if TYPE_CHECKING:
    from jessyfile.language.recipe import Lora, Recipe, Train
    from jessyfile.models.shape import Shape
    from jessyfile.planning.preflight import Outlook

_FLOAT32 = 4
_LIBRARIES = 160_000_000  # what the process holds when the base is read
_LEAST_LENGTH = 64
_LEAST_RANK = 4
SMALL: tuple[Wanted, ...] = ("q8", "q4")


def train_peak(outlook: Outlook, processes: int = 1) -> int | None:
    """Return the bytes at the peak of a training whose rows have `max_length` tokens, of all its processes on this machine together;
    None for a base of unknown sizes."""
    return _peak(outlook, outlook.recipe.train, processes)


def prefer_peak(outlook: Outlook, processes: int = 1) -> int | None:
    """Return the same of a training on preferences, whose answers have `max_length` tokens."""
    return _peak(outlook, _of_units(outlook.recipe), processes)


def _of_units(recipe: Recipe) -> Train:
    """Return how preferences are learned, the two answers of a pair as one row of twice the length."""
    from jessyfile.training.prefer_step import preferences_of, settings_of

    train, unit = settings_of(recipe), 2 if preferences_of(recipe).method == "dpo" else 1
    return replace(train, max_length=unit * train.max_length)


def _peak(outlook: Outlook, train: Train, processes: int) -> int | None:
    shape, recipe = known_shape(outlook), outlook.recipe
    training = Training(train, recipe.lora, recipe.precision, processes)
    return None if shape is None else processes * training.peak(outlook, shape)


def what_fits(outlook: Outlook, share: float) -> str:
    """Say which change of the recipe brings the peak down to a share of itself."""
    return _fitting(outlook, share, outlook.recipe.train, _changes)


def what_preferences_fit(outlook: Outlook, share: float) -> str:
    """Say the same of a training on preferences."""
    return _fitting(outlook, share, _of_units(outlook.recipe), _fewer_units)


def _fitting(
    outlook: Outlook, share: float, train: Train, changes: Callable[[Training], Iterator[tuple[str, Training]]]
) -> str:
    shape, recipe = known_shape(outlook), outlook.recipe
    now = Training(train, recipe.lora, recipe.precision)
    if shape is not None:
        most = share * now.peak(outlook, shape)
        for said, changed in changes(now):
            if changed.peak(outlook, shape) <= most:
                return f"it fits with {said}"
    return "take a smaller base, or a machine with more memory"


@dataclass(frozen=True, slots=True)
class Training:
    """What decides how much memory a training takes, beside the base; `processes` share this machine's processors."""

    train: Train
    lora: Lora
    precision: Wanted
    processes: int = 1

    def peak(self, outlook: Outlook, shape: Shape, chip: str | None = None) -> int:
        """Return the bytes at its peak on a chip, this machine's unless given."""
        chip = chip or machine.chip()
        precision, on_gpu = resolve(self.precision, chip, shape), chip != "CPU"
        sizes = base_sizes(outlook)
        held = footprint(shape, precision, self.lora, sizes.brought)
        # how much of a row is trained is not known before it is read: all of it, at most
        part = part_of(
            self.train, self.train.max_length, 0, 0 if on_gpu else max(1, machine.cores() // self.processes), targets=1
        )
        training = peak(shape, precision, self.lora, held, part, on_gpu=on_gpu)
        stored = sizes.brought / sizes.parameters if sizes.parameters else _FLOAT32
        return max(training, loading_bytes(shape, precision, round(stored)) + (0 if on_gpu else _LIBRARIES))


def _changes(now: Training) -> Iterator[tuple[str, Training]]:
    """Yield changes in words with what they make of a training, those first that change the result the least."""
    train, wanted = now.train, now.precision
    for rows in _halves(train.batch_size, 1):
        more = train.grad_accumulation * train.batch_size // rows
        yield f"batch_size {rows} and grad_accumulation {more}", replace(now, train=replace(train, batch_size=rows))
    if not train.grad_checkpointing and machine.chip() != "CPU":
        for rows in dict.fromkeys((train.batch_size, 1)):
            more = train.grad_accumulation * train.batch_size // rows
            said = f"grad_checkpointing yes, batch_size {rows} and grad_accumulation {more}"
            yield said, replace(now, train=replace(train, batch_size=rows, grad_checkpointing=True))
    for precision in SMALL if wanted not in SMALL else ():
        yield f"BASE {{ precision {precision} }}", replace(now, precision=precision)
    for rank in _halves(now.lora.rank, _LEAST_RANK):
        yield f"rank {rank}", replace(now, lora=replace(now.lora, rank=rank))
    for length in _halves(train.max_length, _LEAST_LENGTH):
        yield f"max_length {length}", replace(now, train=replace(train, max_length=length))
    for length in _halves(2 * train.max_length, _LEAST_LENGTH):
        said = f"BASE {{ precision q4 }}, batch_size 1 and max_length {length}"
        yield said, replace(now, train=replace(train, batch_size=1, max_length=length), precision="q4")


def _fewer_units(now: Training) -> Iterator[tuple[str, Training]]:
    """Yield changes of PREFER alone, and a base held in less: the adapter is already trained."""
    for size in _halves(now.train.batch_size, 1):
        yield f"batch_size {size} in PREFER", replace(now, train=replace(now.train, batch_size=size))
    for precision in SMALL if now.precision not in SMALL else ():
        yield f"BASE {{ precision {precision} }}", replace(now, precision=precision)


def _halves(value: int, least: int) -> Iterator[int]:
    while value // 2 >= least:
        value //= 2
        yield value
