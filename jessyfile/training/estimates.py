"""About how long the long steps take on a machine that has run none of them: operations and bytes by sizes, beside what such machines do.

An estimate is a range. Its ends differ by what is not known before anything ran: how fast the processors are, how long rows and
answers will be. The first measurement takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile import machine
from jessyfile.dataset.places import seed_files
from jessyfile.models.base_checks import known_shape

if TYPE_CHECKING:
    from jessyfile.models.shape import Shape
    from jessyfile.planning.forecast import Between
    from jessyfile.planning.preflight import Outlook

_FORM, _TURN = 190, 12  # bytes of a row beside its texts; tokens of a turn beside its text
_LETTERS = 3.3  # bytes of text a token
_LEARNED = 0.6  # of the tokens are answers: only these need the head
_START = (2.0, 15.0)  # seconds to load a model and compile
_ASKED, _ANSWER = 100, (30, 120)  # tokens of a case's prompt; of an answer
_DISK = (5e8, 1e8)  # bytes a second that are written, converted and checked


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine does: operations a second in training, bytes of weights a second in answering, each as (fast, slow)."""

    operations: tuple[float, float]
    bytes: tuple[float, float]


def speed() -> Speed:
    """Return what machines of this kind do: a graphics card, an Apple chip, or so many processors."""
    chip = machine.chip()
    if chip == "CUDA":
        return Speed((3e14, 1e13), (2e12, 3e11))
    if chip.startswith("Apple"):
        return Speed((8e12, 1e12), (4e11, 6e10))
    usable = machine.cores()
    return Speed((9e10 * usable, 4e10 * usable), (3.5e10, 1.2e10))


def training_time(outlook: Outlook, rows: float) -> Between | None:
    """Return between how many seconds a training takes that reads so many rows, epochs counted; None for a base of unknown sizes."""
    shape = known_shape(outlook)
    if shape is None:
        return None
    tokens = rows * min(_tokens_of_a_row(outlook), outlook.recipe.train.max_length)
    layers = outlook.recipe.lora.layers
    trained = 1.0 if layers is None else min(1.0, layers / shape.layers)
    # two operations a weight forward, two backward as far down as an adapter lies; weights themselves have no gradient
    work = tokens * (2 * (1 + trained) * body(shape) + 4 * _LEARNED * head(shape))
    return _between(work, speed().operations, _START, (0.7, 1.2))


def answering_time(outlook: Outlook, cases: float) -> Between | None:
    """Return between how many seconds a model takes for so many cases; None for a base of unknown sizes."""
    shape = known_shape(outlook)
    if shape is None:
        return None
    weights = body(shape) + head(shape)  # about a byte each, read once a token
    most = min(_ANSWER[1], outlook.recipe.evaluation.max_tokens)
    fast, slow = speed().bytes
    ends = ((min(_ANSWER[0], most), fast, speed().operations[0]), (most, slow, speed().operations[1]))
    quick, long = (cases * (answer * weights / rate + 2 * _ASKED * weights / power) for answer, rate, power in ends)
    return quick + _START[0], long + _START[1]


def reading_time(outlook: Outlook, tokens: float) -> Between | None:
    """Return between how many seconds a model reads so many tokens."""
    shape = known_shape(outlook)
    return None if shape is None else _between(2 * tokens * (body(shape) + head(shape)), speed().operations, _START)


def writing_time(bytes_: int) -> Between | None:
    """Return between how many seconds weights of this size are converted and written; None where the size is not known."""
    return _between(bytes_, _DISK, (0.5, 2.0)) if bytes_ else None


def body(shape: Shape) -> int:
    """Return how many weights the layers hold."""
    return shape.layers * sum(wide * high for wide, high in shape.linear.values())


def head(shape: Shape) -> int:
    """Return how many weights the head holds."""
    return shape.hidden * shape.vocabulary


def _between(
    work: float, rates: tuple[float, float], start: tuple[float, float], spread: tuple[float, float] = (1.0, 1.0)
) -> Between:
    return tuple(spread[end] * work / rates[end] + start[end] for end in (0, 1))  # type: ignore[return-value]


def _tokens_of_a_row(outlook: Outlook) -> float:
    """Return about how many tokens a row has, by the size of the seeds."""
    recipe = outlook.recipe
    sizes = [
        (path.stat().st_size, path.read_bytes().count(b"\n"))
        for category in recipe.dataset.categories
        for path in seed_files(recipe, outlook.root, category.name)
    ]
    whole, lines = sum(size for size, _ in sizes), sum(count for _, count in sizes)
    text = max(30.0, whole / lines - _FORM) if lines else 300.0
    return text / _LETTERS + 2 * _TURN  # what all rows begin with is computed once an update
