"""What a change costs: retrain, repackage, recheck or cosmetic. The schema states the effect of a setting; the effect
of a step follows from the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jessyfile.planning.graph import needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.planning.steps import Step

Effect = Literal["retrain", "repackage", "recheck", "cosmetic"]
ORDER: tuple[Effect, ...] = ("cosmetic", "recheck", "repackage", "retrain")


def step_effects(steps: Sequence[Step]) -> dict[str, Effect]:
    """Return each step's effect: what a training needs retrains, what is packed or handed out repackages, all else
    rechecks."""
    names = {step.name for step in steps}
    # one that has no checkpoints to resume from takes an adapter that is trained already
    training = needs(steps, {step.name for step in steps if step.name in ("train", "prefer") and step.resumable})
    packaging = needs(steps, {"import"} & names) | ({"merge", "gguf", "promote"} & names)
    return {name: "retrain" if name in training else "repackage" if name in packaging else "recheck" for name in names}


def strongest(effects: Sequence[Effect]) -> Effect:
    """Return the costliest of some effects; `cosmetic` for none."""
    return max(effects, key=ORDER.index, default="cosmetic")
