"""What `--over ADDRESS=VALUE,VALUE` says: a grid of points, each asked with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from jessyfile.errors import RecipeError

SEED = "train.seed"
_MOST = 200
# what decides which model is made and how it is served, not how it is trained
_FIXED = ("name", "deploy", "eval", SEED)


@dataclass(frozen=True, slots=True)
class Point:
    """Values by address, as `--set` takes them."""

    values: Mapping[str, str]

    def __str__(self) -> str:
        return ", ".join(f"{address}={value}" for address, value in self.values.items())


@dataclass(frozen=True, slots=True)
class Try:
    """A point with one seed: what one apply trains."""

    point: Point
    seed: int

    @property
    def sets(self) -> dict[str, str]:
        """The `--set` of it."""
        return {**self.point.values, SEED: str(self.seed)}


def read_grid(over: Sequence[str]) -> list[Point]:
    """Return every combination of the values. Raises RecipeError for what is no grid."""
    axes: dict[str, list[str]] = {}
    for item in over:
        address, equals, text = item.partition("=")
        values = [value.strip() for value in text.split(",")]
        if not equals or not address or not all(values):
            raise RecipeError(f"--over takes ADDRESS=VALUE,VALUE, not {item!r}", hint="as in --over lora.rank=8,16,32")
        if address in axes:
            raise RecipeError(f"--over names {address} twice", hint="write all of its values in one")
        if address.partition(".")[0] in _FIXED or address == SEED:
            why = "--seeds asks for seeds" if address == SEED else "it changes nothing that is learned"
            raise RecipeError(f"a sweep cannot go over {address}: {why}", hint="sweep over lora.* or train.*, as rank")
        if len(set(values)) < len(values):
            raise RecipeError(f"--over {address} has a value twice", hint="write each once")
        axes[address] = values
    points = [Point(dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
    if len(points) < 2:
        raise RecipeError("a sweep compares two points or more", hint="as in --over lora.rank=8,16,32")
    if len(points) > _MOST:
        raise RecipeError(f"that makes {len(points)} points, and a sweep takes {_MOST}", hint="leave values out")
    return points


def tries(points: Sequence[Point], first_seed: int, seeds: int) -> list[Try]:
    """Return what is trained, every point with its first seed before any has its second: a sweep that is stopped has then compared."""
    return [Try(point, first_seed + number) for number in range(seeds) for point in points]
