"""The labels of a training row: level, category and language.

Labels are open: a recipe may define levels and categories of its own. An unknown word is kept as it is, and
`TrainingExample.faults` reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, TypeVar

from jessyfile.errors import DatasetError

if TYPE_CHECKING:
    from typing import Self


class Complexity(Enum):
    """How much thought a question deserves. A level equals its name in a recipe: `Complexity.LOW == "low"`."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def level(self) -> str:
        """The level's name as recipes and files write it, `low`."""
        return self.value if isinstance(self.value, str) else self.name.lower()

    def __eq__(self, other: object) -> bool:
        return self.level == (other.level if isinstance(other, Complexity) else other)

    def __hash__(self) -> int:
        return hash(self.level)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        known = cls.__members__.get(value.strip().upper())
        if known is not None:
            return known
        own = object.__new__(cls)
        own._name_, own._value_ = value, value
        return own


class _Word(StrEnum):
    """A label that is written as a word; a member may be asked for by its name too."""

    @classmethod
    def named(cls, word: str) -> Self:
        """Return the label that files write as exactly this word, a new one when none of the known is."""
        known = cls._value2member_map_.get(word)
        if isinstance(known, cls):
            return known
        own = str.__new__(cls, word)
        own._name_, own._value_ = word, word
        return own

    def __reduce_ex__(self, _: object) -> tuple[Callable[[str], Self], tuple[str]]:
        return type(self).named, (self.value,)  # by its word: as a name it could stand for another

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        return cls.__members__.get(value.strip().upper()) or cls.named(value)


class Category(_Word):
    """What a row is about. A recipe's own CATEGORY is `Category("poetry")`; small talk is the recipes' `turkish`."""

    CONVERSATIONAL = "turkish"
    TECHNICAL = "technical"
    PHILOSOPHICAL = "philosophical"


class Language(_Word):
    """The language of a whole exchange; mixed is Turkish with English technical words."""

    TURKISH = "tr"
    ENGLISH = "en"
    MIXED = "mixed"


Label = TypeVar("Label", Complexity, Category, Language)


def label(kind: type[Label], value: Label | str) -> Label:
    """Return the label that a caller names; raises DatasetError for what is not even a word."""
    try:
        return kind(value)
    except ValueError as error:
        names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
        raise DatasetError(f"{value!r} is no {kind.__name__.lower()}", hint=f"one of: {names}") from error
