"""Whether a step runs: the one function that plan and apply share.

Both walk the steps in order and ask `Decider.decide` with what is known of the inputs. When an input is to be made
again, a plan does not know its content yet, while an apply has made it already. Therefore only a plan gets the answer
`may`; in an apply it becomes `will` or `reused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jessyfile.planning.fingerprint import FileHashes, Own, own_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.actions import Action, Actions
    from jessyfile.planning.steps import Step
    from jessyfile.planning.store import Store

Answer = Literal["will", "may", "reused"]
Trouble = Literal["", "replace", "lost", "drift", "unfinished"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one step. `action` is the remembered run that is reused; `trouble` says why a remembered one
    could not be."""

    step: Step
    own: Own
    answer: Answer
    action: Action | None = None
    trouble: Trouble = ""

    @property
    def output(self) -> str | None:
        """The object that the step's readers will see, when it is known."""
        return self.action.object if self.action else None


@dataclass(slots=True)
class Decider:
    """Decides about the steps of one recipe, from their values and files as they are now. With `asks` the servers are asked as well
    whether what a step did there still stands."""

    recipe: Recipe
    root: Path
    store: Store
    actions: Actions
    hashes: FileHashes
    replace: frozenset[str] = frozenset()
    asks: bool = False

    def own(self, step: Step) -> Own:
        """Return the step's own values, files and hash."""
        return own_part(step, self.recipe, self.root, self.hashes)

    def decide(self, step: Step, inputs: Mapping[str, str | None], *, pending: bool = False) -> Decision:
        """Answer for one step whose inputs have these objects; None stands for one that is still to be made.

        `reused` needs a remembered run of the same own part and the same inputs, whose object is whole and whose
        outside effect holds. `pending` says that some earlier step is still to run: its result may be, byte for byte,
        the one that this step lost.
        """
        own = self.own(step)
        if step.name in self.replace:
            return Decision(step, own, "will", trouble="replace")
        fitting = [action for action in self.actions.of(step.name, own.hash) if _fits(action, inputs)]
        whole = [action for action in fitting if self.store.has(action.object)]
        usable = [action for action in whole if self._still_in_effect(step, action)]
        if not usable and pending and fitting and not whole:
            return Decision(step, own, "may", trouble="lost")
        if not usable:
            return Decision(step, own, "will", trouble=_trouble(fitting, whole))
        if None in inputs.values():
            return Decision(step, own, "may")
        return Decision(step, own, "reused", usable[0])

    def _still_in_effect(self, step: Step, action: Action) -> bool:
        if action.common.incomplete:
            return False
        return step.still_in_effect is None or step.still_in_effect(self.recipe, self.root, action.facts, self.asks)


def _trouble(fitting: Sequence[Action], whole: Sequence[Action]) -> Trouble:
    if not whole:
        return "lost" if fitting else ""
    return "unfinished" if all(action.common.incomplete for action in whole) else "drift"


def _fits(action: Action, inputs: Mapping[str, str | None]) -> bool:
    return action.inputs.keys() == inputs.keys() and all(
        object_id in (None, action.inputs[name]) for name, object_id in inputs.items()
    )
