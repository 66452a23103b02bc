"""What a recipe sends to a server, and whether the user allowed it (consent).

A recipe may come from anybody. It names the servers, and the environment variable whose value is sent there as a key.
So permission must come from outside the recipe: from `--allow-host` or JESSY_ALLOW_HOSTS, for one command, and it is
not remembered. An entry `HOST` allows the texts, `HOST=VARIABLE` also the key in that variable. What stays on this
machine and takes no key needs no permission.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.addresses import address_of, host_of, is_loopback
from jessyfile.errors import ConsentError
from jessyfile.planning.preflight import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jessyfile.language.recipe import Recipe, Route
    from jessyfile.planning.preflight import Outlook

VARIABLE = "JESSY_ALLOW_HOSTS"
OPTION = "--allow-host"
_SEPARATORS = re.compile(r"[\s,]+")
_ENTRY = re.compile(r"[\w.:\[\]-]+(=[A-Za-z_][A-Za-z0-9_]*)?")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One thing that a recipe sends: `who` names the instruction, `what` the texts, `key_env` the variable with the key."""

    who: str
    url: str
    what: str
    key_env: str | None = None

    @property
    def host(self) -> str:
        """The host that is reached, with its port where it is not the usual one. Raises ConsentError for no address."""
        try:
            return host_of(self.url).lower()
        except ValueError as error:
            raise ConsentError(
                f"{self.who} names `{self.url}`: {error}", hint="write it as http://host:port"
            ) from error

    @property
    def entry(self) -> str:
        """The entry that allows it."""
        return f"{self.host}={self.key_env}" if self.key_env else self.host

    @property
    def said(self) -> str:
        """What is sent and where to, in words."""
        key = f", and the key in {self.key_env}," if self.key_env else ""
        return f"{self.what}{key} to {address_of(self.url).scheme}://{self.host} ({self.who})"

    def is_allowed(self) -> bool:
        """Return whether the user allowed it, or whether it needs no permission."""
        # a server that may get the key may get the texts as well, but not the other way round
        if self.key_env:
            return self.entry in allowed()
        return self.stays_here or self.host in {entry.partition("=")[0] for entry in allowed()}

    @property
    def stays_here(self) -> bool:
        """Whether it goes to this machine. Raises ConsentError for no address."""
        return bool(self.host) and is_loopback(self.url)


def allowed() -> frozenset[str]:
    """Return the entries that the environment holds; a variable's name is kept as it is, hosts are in lower case."""
    entries = (entry.partition("=") for entry in _SEPARATORS.split(os.environ.get(VARIABLE, "")) if entry)
    return frozenset(f"{host.lower()}{equals}{name}" for host, equals, name in entries)


def key_variable(url: str) -> str | None:
    """Return the one variable whose key an entry `HOST=VARIABLE` allows the server at `url`; None where there is none, or several,
    and for a server elsewhere that is not asked by `https`: everybody on the way could read the key."""
    try:
        parts, host = address_of(url), host_of(url).lower()
        if parts.scheme != "https" and not is_loopback(url):
            return None
    except ValueError:
        return None
    named = [name for one, _, name in (entry.partition("=") for entry in allowed()) if one == host and name]
    return named[0] if len(named) == 1 else None


def key_for(url: str) -> str | None:
    """Return the key for the server at `url`; None where none is allowed, or its variable is not set."""
    name = key_variable(url)
    return os.environ.get(name) or None if name is not None else None


def is_entry(text: str) -> bool:
    """Return whether a text has the form of an entry."""
    return _ENTRY.fullmatch(text) is not None


def require(sendings: Iterable[Outgoing]) -> None:
    """Raise ConsentError when one of them was not allowed, or when a key that is to be sent is not set."""
    for sending in sendings:
        if not sending.is_allowed():
            hint = f"if you trust that server, add `{OPTION} {sending.entry}`, or set {VARIABLE}={sending.entry}"
            raise ConsentError(f"the recipe sends {sending.said}, and nothing outside the recipe allows it", hint=hint)
        if sending.key_env and not os.environ.get(sending.key_env):
            hint = f"it is to hold the key for {sending.host}"
            raise ConsentError(
                f"{sending.who} needs the environment variable {sending.key_env}, which is not set", hint=hint
            )


def findings(outlook: Outlook, sendings: Sequence[Outgoing], step: str) -> Iterator[Finding]:
    """Yield what is sent as notes, and what was not allowed as errors."""
    if not outlook.machine:
        return
    for sending in sendings:
        try:
            require([sending])
        except ConsentError as error:
            yield replace(outlook, step=step).error(error)
        else:
            yield Finding("note", "", step, f"sends {sending.said}")


def teacher_sends(recipe: Recipe) -> tuple[Outgoing, ...]:
    """Return what rows that a TEACHER writes take."""
    teacher = recipe.dataset.teacher
    if teacher is None:
        return ()
    return (Outgoing(f"TEACHER {teacher.model}", teacher.url, "topics, prompts and example rows", teacher.key_env),)


def judge_sends(recipe: Recipe) -> tuple[Outgoing, ...]:
    """Return what the opinion of another model takes."""
    judge = recipe.evaluation.judge
    if judge is None:
        return ()
    return (
        Outgoing(f"judge {judge.model}", judge.url, "questions of the suites and both models' answers", judge.key_env),
    )


def engine_sends(recipe: Recipe) -> tuple[Outgoing, ...]:
    """Return what an Ollama takes that the recipe names, one that is not on this machine."""
    deploy = recipe.deploy
    key = key_variable(deploy.ollama)
    sending = Outgoing("DEPLOY", deploy.ollama, "the model, its system prompt and the suites' questions", key)
    named = deploy.engine != "embedded" and recipe.source("deploy.ollama") is not None
    return (sending,) if named and not sending.stays_here else ()


def route_sends(routes: Iterable[Route]) -> tuple[Outgoing, ...]:
    """Return what the models of a ROUTE take that are not on this machine, whenever a question goes to them."""
    named = (
        Outgoing(f"ROUTE {one.name}", one.at, "questions, and what was said before them", key_variable(one.at))
        for one in routes
        if one.at is not None
    )
    return tuple(one for one in named if not one.stays_here)
