"""The Modelfile for people, the create request for Ollama, and what the embedded engine needs to serve the same model.

Ollama's text format has no escapes and drops characters, so JSON is what is sent; the text is rendered with Jinja, read
back by Ollama's own rules (`language.modelfile_reader`), and what would not survive is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from jessyfile.errors import ExportError
from jessyfile.importing.modelfile_reader import Command, read_modelfile
from jessyfile.models.chat_format import chat_format
from jessyfile.resources import resource
from jessyfile.results.served import ParameterValue, Served

if TYPE_CHECKING:
    from jessyfile.language.recipe import Message, Recipe
    from jessyfile.models.chat_format import ChatFormat

_DEFAULTS: Mapping[str, float | int] = {"num_ctx": 4096, "seed": 42}
_STORED = "model.gguf"  # as the step `gguf` calls it
Value = float | int | bool | str
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Packaging:
    """Everything about a served model but its weights.

    `parameters` is in the recipe's order, defaults and stop texts last; `gguf` is the file beside the Modelfile.
    """

    name: str
    template: str
    system: str | None
    parameters: tuple[tuple[str, Value], ...]
    messages: tuple[Message, ...]
    licenses: tuple[str, ...]
    requires: str | None
    lost: tuple[str, ...] = ()
    gguf: str = _STORED


@dataclass(frozen=True, slots=True)
class OllamaOnly:
    """What of a create request no engine but Ollama keeps."""

    license: tuple[str, ...] = ()
    requires: str | None = None


def packaging(recipe: Recipe, form: ChatFormat) -> Packaging:
    """Collect what the recipe says, with `num_ctx`, `seed` and the format's stop texts where it is silent.

    Ollama's own defaults choose num_ctx by video memory and a random seed, which makes two machines answer differently.
    """
    given = [(parameter.key, parameter.value) for parameter in recipe.parameters]
    keys = {key for key, _ in given}
    given += [(key, value) for key, value in _DEFAULTS.items() if key not in keys]
    given += [("stop", stop) for stop in form.stops if ("stop", stop) not in given]
    return Packaging(
        name=recipe.name,
        template=form.go_template(),
        system=(recipe.system or "").strip() or None,
        parameters=tuple(given),
        messages=recipe.messages,
        licenses=recipe.licenses,
        requires=recipe.requires,
    )


def create_request(pack: Packaging, tag: str) -> dict[str, Any]:
    """Return the body of `POST /api/create`, without `files`: what the import adds once the blob is there."""
    body: dict[str, Any] = {
        "model": f"{pack.name}:{tag}",
        "template": pack.template,
        "parameters": grouped(pack.parameters),
        "stream": True,
    }
    if pack.system is not None:
        body["system"] = pack.system
    if pack.messages:
        body["messages"] = [{"role": message.role, "content": message.content} for message in pack.messages]
    if pack.licenses:
        body["license"] = list(pack.licenses)
    if pack.requires is not None:
        body["requires"] = pack.requires
    return body


def served(recipe: Recipe, form: ChatFormat) -> Served:
    """Return how the recipe's model is served: what an engine needs beside the weights, and how answers are read."""
    pack = packaging(recipe, form)
    # a level's time limit is a criterion's business: a change of it makes no other model
    levels = tuple(replace(level, within=None) for level in recipe.complexity.levels)
    return Served(
        name=pack.name,
        chat_format=form.name,
        system=pack.system,
        messages=pack.messages,
        parameters=grouped(pack.parameters),
        complexity=replace(recipe.complexity, levels=levels),
    )


def repackaged(told: Served, sent: OllamaOnly, gguf: str) -> Packaging:
    """Return what is packed with a served model, for a Modelfile beside the file `gguf`."""
    return Packaging(
        name=told.name,
        template=chat_format(told.chat_format).go_template(),
        system=told.system,
        parameters=tuple(spread(told.parameters)),
        messages=told.messages,
        licenses=sent.license,
        requires=sent.requires,
        gguf=gguf,
    )


def spread(parameters: Mapping[str, ParameterValue]) -> Iterator[tuple[str, Value]]:
    """Yield what `grouped` has grouped, each stop text by itself."""
    for key, value in parameters.items():
        for one in value if isinstance(value, tuple) else (value,):
            yield key, one


def grouped(parameters: Sequence[tuple[str, Value]]) -> dict[str, ParameterValue]:
    """Return parameters as a mapping; `stop` is a tuple, for it may come several times."""
    stops = tuple(str(value) for key, value in parameters if key == "stop")
    return {**dict(parameters), **({"stop": stops} if stops else {})}


def modelfile_text(pack: Packaging) -> tuple[str, tuple[str, ...]]:
    """Return the Modelfile and, in words, the parts that its text cannot carry.

    Raises ExportError when even the rest does not read back.
    """
    kept, lost = _survivors(pack)
    text = _render(replace(kept, lost=lost))
    if read_modelfile(text) != _commands(kept):
        raise ExportError(
            "the Modelfile does not read back as it was written", hint="simplify SYSTEM, TEMPLATE or MESSAGE"
        )
    return text, lost


def _survivors(pack: Packaging) -> tuple[Packaging, tuple[str, ...]]:
    lost: list[str] = []

    def fits(what: str, part: Packaging) -> bool:
        try:
            same = read_modelfile(_render(part)) == _commands(part)
        except ExportError:
            same = False
        if not same:
            lost.append(what)
        return same

    empty = replace(pack, template="x", system=None, parameters=(), messages=(), licenses=(), requires=None)
    kept = replace(
        empty,
        template=pack.template if fits("TEMPLATE", replace(empty, template=pack.template)) else "{{ .Prompt }}",
        system=pack.system if fits("SYSTEM", replace(empty, system=pack.system)) else None,
        requires=pack.requires if fits("REQUIRES", replace(empty, requires=pack.requires)) else None,
        parameters=_each(pack.parameters, lambda one: fits(f"PARAMETER {one[0]}", replace(empty, parameters=(one,)))),
        messages=_each(pack.messages, lambda one: fits(f"MESSAGE {one.role}", replace(empty, messages=(one,)))),
        licenses=_each(pack.licenses, lambda one: fits("LICENSE", replace(empty, licenses=(one,)))),
    )
    return kept, tuple(lost)


def _each(items: Sequence[T], fits: Callable[[T], bool]) -> tuple[T, ...]:
    return tuple(item for item in items if fits(item))


def _commands(pack: Packaging) -> list[Command]:
    found = [Command("model", f"./{pack.gguf}")]
    if pack.requires is not None:
        found.append(Command("requires", pack.requires))
    found.append(Command("template", pack.template))
    if pack.system is not None:
        found.append(Command("system", pack.system))
    found += [Command(key, _plain(value)) for key, value in pack.parameters]
    found += [Command("message", f"{message.role}: {message.content}") for message in pack.messages]
    return found + [Command("license", license_) for license_ in pack.licenses]


def _render(pack: Packaging) -> str:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["text"] = lambda value: f'"""{value}"""'
    environment.filters["value"] = _quoted
    source = resource("templates", "Modelfile.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        name=pack.name, template=pack.template, system=pack.system, parameters=pack.parameters, messages=pack.messages,
        licenses=pack.licenses, requires=pack.requires, lost=pack.lost, gguf=pack.gguf,
        stored=pack.gguf == _STORED,
    )  # fmt: skip


def _quoted(value: Value) -> str:
    return f'"""{value}"""' if isinstance(value, str) else _plain(value)


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
