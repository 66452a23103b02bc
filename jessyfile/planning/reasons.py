"""Why a step runs again: the differences between its last applied run and a run now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.actions import Action
    from jessyfile.planning.decide import Decision
    from jessyfile.planning.steps import Json

Kind = Literal[
    "first", "value", "file", "version", "input", "replace", "lost", "drift", "unfinished", "gone", "forgotten"
]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `what` is an address, a file or an input's name; `old` and `new` its values, `where` its place as
    `file:line`.

    kind       first run · value changed · file changed, new or gone · the step's own code changed · an input is made
               again · asked for with --replace · its stored result was lost or is damaged · its effect outside was
               undone · a part of it is still missing · gone: an input is no longer read · forgotten: nothing differs,
               but no result is remembered
    """

    kind: Kind
    what: str = ""
    old: Json = None
    new: Json = None
    where: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the reason as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def reasons(
    decision: Decision, last: Action | None, inputs: Mapping[str, str | None], recipe: Recipe
) -> tuple[Reason, ...]:
    """Return why a step does not simply keep its last applied result.

    Args:
        decision: what was decided about the step.
        last: the step's last applied run, None when it never ran.
        inputs: the content hash of each input, None where it is not known yet.
        recipe: the recipe.

    Returns:
        Causes of its own first, then the inputs that it follows; none when the result is kept.
    """
    if decision.answer == "reused":
        return ()
    if last is None:
        return (Reason(decision.trouble or "first"),)
    own = [*_values(last, decision, recipe), *_files(last, decision)]
    if last.version != decision.own.version:
        own.append(Reason("version", decision.step.name, last.version, decision.own.version))
    if decision.trouble:
        own.append(Reason(decision.trouble))
    own += [Reason("gone", name) for name in last.inputs if name not in inputs]
    follows = [
        Reason("input", name) for name, found in inputs.items() if found is None or found != last.inputs.get(name)
    ]
    return tuple(own + follows) or (Reason("forgotten"),)


def _values(last: Action, decision: Decision, recipe: Recipe) -> Iterator[Reason]:
    old, new = last.parameters, decision.own.parameters
    for address in sorted(old.keys() | new.keys()):
        if old.get(address, _NOTHING) != new.get(address, _NOTHING):
            source = recipe.source(address)
            yield Reason("value", address, old.get(address), new.get(address), str(source) if source else "")


def _files(last: Action, decision: Decision) -> Iterator[Reason]:
    old, new = last.files, decision.own.files
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Reason("file", name, old.get(name), new.get(name))


_NOTHING = object()
