"""Metrics and checks that other installed distributions bring, found by their entry points `jessy.metrics` and `jessy.checks`.

Finding one imports nothing of it; `load` does, and holds what it brings against the signature that is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from jessyfile.errors import EvaluationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group = Literal["jessy.metrics", "jessy.checks"]
METRICS: Group = "jessy.metrics"
CHECKS: Group = "jessy.checks"
_TAKES: Mapping[Group, tuple[str, ...]] = {METRICS: ("case", "answer"), CHECKS: ("answer", "prompt", "words")}


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point: its name, and the distribution with its version that brings it."""

    group: Group
    name: str
    distribution: str
    version: str
    entry: EntryPoint

    @property
    def said(self) -> str:
        """Who brings what: `the metric warmth of jessy-warmth 1.2`."""
        kind = "metric" if self.group == METRICS else "check"
        return f"the {kind} `{self.name}` of {self.distribution} {self.version}"

    def load(self) -> Callable[..., object]:
        """Import it. Raises EvaluationError when that fails, or what comes cannot be called as it will be."""
        try:
            function = self.entry.load()
        except Exception as error:  # (whatever another program's import raises)
            raise self.failed(error, "cannot be imported") from error
        wanted = _TAKES[self.group]
        try:
            inspect.signature(function).bind(*wanted)
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                f"{self.said} does not take ({', '.join(wanted)})",
                hint=f"`{self.entry.value}` must be a function of these, by place",
            ) from error
        found: Callable[..., object] = function
        return found

    def failed(self, error: Exception, what: str) -> EvaluationError:
        """Return the error that tells of one that the plugin has raised."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return EvaluationError(f"{self.said} {what}: {reason}", hint=f"mend it, or uninstall {self.distribution}")


@cache
def installed(group: Group) -> Mapping[str, Plugin]:
    """Return what is installed, by name. Raises EvaluationError when two distributions bring the same name."""
    from importlib.metadata import entry_points

    found: dict[str, Plugin] = {}
    for entry in entry_points(group=group):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("unknown", "")
        plugin = Plugin(group, entry.name, name, version, entry)
        other = found.setdefault(entry.name, plugin)
        if (other.distribution, other.entry.value) != (name, entry.value):
            raise EvaluationError(
                f"{plugin.said} has the name of {other.said}", hint=f"uninstall {name} or {other.distribution}"
            )
    return found


def find_plugin(group: Group, name: str) -> Plugin | None:
    """Return the plugin of a name; None when none is installed. Raises EvaluationError for a name that two bring."""
    return installed(group).get(name)
