"""Training rows made without a recipe, in the topics of the reference recipe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jessyfile.dataset.collect import collect
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.select import shares
from jessyfile.dataset.settings import plain_recipe
from jessyfile.dataset.training_data import REFERENCE_MIX, TrainingDataset
from jessyfile.errors import DatasetError, ProjectError
from jessyfile.language.recipe import Augment, Category, LevelName, Teacher, Topic
from jessyfile.project import find_root, possible_path

MAX_COUNT = 1_000_000  # as a recipe's CATEGORY

_Mix = tuple[tuple[str, int, LevelName | None], ...]
_MIXES: Mapping[str, tuple[str, _Mix]] = {
    "turkish": (
        "tr",
        (("greetings", 50, "low"), ("questions", 75, "low"), ("casual", 50, "low"), ("slang", 25, "low")),
    ),
    "technical": (
        "mixed",
        (
            ("rust", 30, "medium"),
            ("architecture", 30, "medium"),
            ("performance", 20, "medium"),
            ("debugging", 20, "medium"),
        ),
    ),
    "philosophical": (
        "mixed",
        (
            ("consciousness", 15, "high"),
            ("ethics", 15, "high"),
            ("technology", 10, "high"),
            ("existential", 10, "high"),
        ),
    ),
    "iteration_control": ("mixed", (("detection", 20, None), ("fast", 15, "low"), ("deep", 15, "high"))),
}


@dataclass(slots=True)
class TrainingDataGenerator:
    """Makes rows as a recipe's DATASET block does: seeds first, then templates, rewritten text and a teacher.

    `root` is the project whose seeds, templates and suites are used, and whose `.jessy` folder holds the teacher's
    cache: left out, the project around the working folder. What it lacks comes from the rows shipped with jessy.
    """

    root: str | os.PathLike[str] | None = None
    seed: int = 42
    similarity: float = 0.85
    augment: Augment = field(default_factory=Augment)
    teacher: Teacher | None = None

    def generate_conversational(self, count: int) -> list[TrainingExample]:
        """Return exactly `count` rows of Turkish small talk. Raises DatasetError that says what is missing and the
        ways out."""
        return self._generate("turkish", count)

    def generate_technical(self, count: int) -> list[TrainingExample]:
        """Return exactly `count` technical questions with answers, in Turkish, English or the mix."""
        return self._generate("technical", count)

    def generate_philosophical(self, count: int) -> list[TrainingExample]:
        """Return exactly `count` questions that deserve thought, with answers that take a position."""
        return self._generate("philosophical", count)

    def generate_iteration_control(self, count: int) -> list[TrainingExample]:
        """Return exactly `count` rows that show when to think and when not to."""
        return self._generate("iteration_control", count)

    def generate_full_dataset(self) -> TrainingDataset:
        """Return the 400 rows of the reference recipe: 200 of small talk, 100 technical, 50 philosophical, 50 about
        when to think."""
        return TrainingDataset(row for name, count in REFERENCE_MIX.items() for row in self._generate(name, count))

    def save_dataset(
        self, examples: Iterable[TrainingExample], path: str | os.PathLike[str], form: str = "sharegpt"
    ) -> int:
        """Write rows as ShareGPT, or in another of the forms of `TrainingDataset.save`; return how many."""
        return TrainingDataset(examples).save(path, form)

    def _generate(self, name: str, count: int) -> list[TrainingExample]:
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COUNT:
            raise DatasetError(f"{count!r} rows cannot be made", hint=f"the count is a whole number, 0 to {MAX_COUNT}")
        language, mix = _MIXES[name]
        counts = shares(count, [part for _, part, _ in mix])
        topics = tuple(
            Topic(topic, number, language, level)
            for (topic, _, level), number in zip(mix, counts, strict=True)
            if number
        )
        if not topics:
            return []
        root = self._project()
        category = Category(name, count, "", language, None, topics)
        recipe = plain_recipe(
            root, category, seed=self.seed, similarity=self.similarity, augment=self.augment, teacher=self.teacher
        )
        return [row.example for row in collect(recipe, root, category).rows]

    def _project(self) -> Path:
        if self.root is None:
            return find_root(Path.cwd() / "recipe.jessy")
        root = possible_path(self.root)
        if not os.path.isdir(root):
            raise ProjectError(f"`{root}` is no folder", hint="name the project's folder, or none for the working one")
        return root
