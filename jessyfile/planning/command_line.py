"""How a command was called, and the command line that asks for the same again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jessyfile.planning.plan import Selection


@dataclass(frozen=True, slots=True)
class Call:
    """How a recipe was loaded: its file as typed, `--arg`, `--variant`, `--set` and `--sample`; and the file of `--hosts`."""

    recipe: str
    arg: tuple[str, ...] = ()
    variant: str | None = None
    set_: tuple[str, ...] = ()
    sample: int | None = None
    hosts: str | None = None

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Call:
        """Read what `as_json` gave. Raises KeyError when a part is missing."""
        more = (body.get("sample"), body.get("hosts"))
        return cls(str(body["recipe"]), tuple(body["arg"]), body["variant"], tuple(body["set"]), *more)

    def as_json(self) -> dict[str, Any]:
        """Return the call as a JSON object."""
        parts = {"recipe": self.recipe, "arg": list(self.arg), "variant": self.variant, "set": list(self.set_)}
        more = (("sample", self.sample), ("hosts", self.hosts))
        return {**parts, **{name: value for name, value in more if value is not None}}

    @property
    def as_written(self) -> bool:
        """Whether the whole recipe was loaded with its own values: what the lock file tells of."""
        return not (self.arg or self.set_ or self.sample)

    def words(self) -> list[str]:
        """Return the recipe and its options as they are typed behind a command's name."""
        single = (("--variant", self.variant), ("--sample", self.sample), ("--hosts", self.hosts))
        recipe = f"./{self.recipe}" if self.recipe.startswith("-") else self.recipe
        return [
            recipe,
            *options("--arg", self.arg),
            *options("--set", self.set_),
            *(word for option, value in single if value is not None for word in (option, str(value))),
        ]

    def command(self, selection: Selection, allow: Iterable[str] = ()) -> str:
        """Return the `jessy apply` line of this call, a selection of steps and the hosts that were allowed."""
        chosen = (("--only", selection.only), ("--skip", selection.skip), ("--replace", selection.replace))
        picked = [word for option, values in (*chosen, ("--allow-host", allow)) for word in options(option, values)]
        return shell_line("apply", *self.words(), *picked)


def options(option: str, values: Iterable[str]) -> list[str]:
    """Return an option that may come several times with each of its values."""
    return [word for value in values for word in (option, value)]


def shell_line(*words: str) -> str:
    """Return a `jessy` command that can be pasted into a shell."""
    return shlex.join(["jessy", *words])
