"""A small first run: the same recipe with fewer rows, under a name of its own.

The name keeps everything apart: state, forecasts, the registered model and its tags. What was promoted under the
recipe's own name stays, and so do the results of its full runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jessyfile.language.recipe import Category, Recipe

_SUFFIX = "-sample"
_LONGEST = 80


def sample_settings(recipe: Recipe, rows: int) -> dict[str, str]:
    """Return {address: value} that makes a recipe a sample of itself: about `rows` rows, spread as the recipe's are, and no more
    preferences than that.

    Every category and topic keeps at least one row, so that a sample takes every step that the whole takes.
    """
    wanted = {address: count for category in recipe.dataset.categories for address, count in _parts(category).items()}
    total = sum(wanted.values())
    counts = spread(wanted, min(rows, total))
    for category in recipe.dataset.categories:
        if category.topics:
            counts[f"{_address(category)}.count"] = sum(counts[part] for part in _parts(category))
    counts["dataset.markers"] = round(recipe.dataset.markers * min(rows, total) / total) if total else 0
    if recipe.prefer is not None:
        counts["prefer.limit"] = max(2, min(rows, recipe.prefer.limit or rows))
    name = recipe.name[: _LONGEST - len(_SUFFIX)].rstrip("./") + _SUFFIX
    return {"name": name, **{address: str(count) for address, count in counts.items()}}


def spread(wanted: Mapping[str, int], rows: int) -> dict[str, int]:
    """Return counts in proportion to the wanted ones that add up to `rows`, none above its own and none of them zero.

    Fewer rows than counts give one to each.
    """
    total = sum(wanted.values())
    exact = {name: count * rows / total for name, count in wanted.items()}
    found = {name: min(wanted[name], max(1, int(share))) for name, share in exact.items()}
    # what is left goes, one by one, to those that are furthest below their share
    for _ in range(rows - sum(found.values())):
        name = max((name for name in found if found[name] < wanted[name]), key=lambda name: exact[name] - found[name])
        found[name] += 1
    # the ones that were rounded up to a row are made up for by those that are furthest above their share
    for _ in range(sum(found.values()) - max(rows, len(found))):
        name = max((name for name in found if found[name] > 1), key=lambda name: found[name] - exact[name])
        found[name] -= 1
    return found


def without_dotenv(recipe: Recipe) -> Recipe:
    """Return a sample's recipe without the .env that names the promoted model: a first look is promoted for itself alone."""
    return replace(recipe, deploy=replace(recipe.deploy, dotenv=None))


def _parts(category: Category) -> dict[str, int]:
    if not category.topics:
        return {f"{_address(category)}.count": category.count}
    return {f"{_address(category)}.topic.{topic.name}.count": topic.count for topic in category.topics}


def _address(category: Category) -> str:
    return f"dataset.category.{category.name}"
