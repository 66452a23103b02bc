"""The public way to hold, judge and make training rows without a recipe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.card import balance as balance_of
from jessyfile.dataset.collect import collect
from jessyfile.dataset.example import DEFAULT_BANDS, Bands, TrainingExample
from jessyfile.dataset.formats import read_examples, save_rows
from jessyfile.dataset.rows import Row
from jessyfile.dataset.select import sample, shares
from jessyfile.dataset.settings import plain_recipe
from jessyfile.dataset.similarity import near_pairs
from jessyfile.dataset.split import split_rows
from jessyfile.language.recipe import Augment, Category, LevelName, Teacher, Topic
from jessyfile.text.json_lines import Fault, raise_faults

if TYPE_CHECKING:
    from typing import Self

By = Literal["category", "topic", "complexity", "language"]
MAX_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What `validate_training_data` found. `faults` name the row by file and line, or by its place in the sequence."""

    total: int
    faults: tuple[Fault, ...]
    duplicates: tuple[tuple[str, str, float], ...]
    category_balance: float
    counts: Mapping[str, int]

    @property
    def is_valid(self) -> bool:
        """Whether no row has a fault and no two rows are alike."""
        return not self.faults and not self.duplicates

    def __str__(self) -> str:
        said = f"{self.total} rows, {len(self.faults)} faults, {len(self.duplicates)} near duplicates"
        return "\n".join([said, *(f"  {fault}" for fault in self.faults[:MAX_SHOWN])])


def validate_training_data(
    data: Path | Iterable[TrainingExample], *, bands: Bands = DEFAULT_BANDS, similarity: float = 0.85
) -> ValidationReport:
    """Judge rows, or a file of them: each by itself and all for near duplicates. Raises StorageError when a file
    cannot be read."""
    rows, faults = _rows(data)
    for row in rows:
        file, _, line = row.place.rpartition(":")
        faults += [Fault(file, int(line), reason) for reason in row.example.validate(bands)]
    left, right, alike = near_pairs([row.text for row in rows], similarity)
    pairs = zip(left.tolist(), right.tolist(), alike.tolist(), strict=True)
    duplicates = tuple((rows[j].place, rows[i].place, round(value, 4)) for i, j, value in pairs)
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row.example.category] += 1
    return ValidationReport(len(rows), tuple(faults), duplicates, balance_of(counts.values()), dict(counts))


def _rows(data: Path | Iterable[TrainingExample]) -> tuple[list[Row], list[Fault]]:
    if isinstance(data, Path):
        return read_examples(data)
    return [Row(example, f"row:{number}") for number, example in enumerate(data, start=1)], []


@dataclass(frozen=True, slots=True)
class TrainingDataset:
    """An ordered set of training rows."""

    examples: tuple[TrainingExample, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read rows from our own form, ShareGPT or messages, JSON lines or Parquet. Raises DatasetError that lists
        every fault."""
        rows, faults = read_examples(path, path.name)
        raise_faults(faults, f"{path.name} is malformed")
        return cls(tuple(row.example for row in rows))

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[TrainingExample]:
        return iter(self.examples)

    def balance(self, by: By = "category", *, seed: int = 42) -> TrainingDataset:
        """Return a dataset with equally many rows of each value of `by`, as many as the rarest has, chosen by the
        seed."""
        parts: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows():
            parts[str(getattr(row.example, by))].append(row)
        least = min(map(len, parts.values()), default=0)
        kept = {id(row) for value, rows in parts.items() for row in sample(rows, least, seed, value)}
        kept_examples = (row.example for rows in parts.values() for row in rows if id(row) in kept)
        return TrainingDataset(tuple(kept_examples))

    def balance_score(self, by: By = "category") -> float:
        """Return the normalized entropy of the rows over the values of `by`: 1.0 is even."""
        counts: dict[str, int] = defaultdict(int)
        for example in self.examples:
            counts[str(getattr(example, by))] += 1
        return balance_of(counts.values())

    def split(self, validation: float = 0.1, *, seed: int = 42) -> tuple[TrainingDataset, TrainingDataset]:
        """Return (train, validation); paraphrases stay on one side, every topic with two or more rows is in both."""
        split = split_rows(self._rows(), validation, seed)
        return TrainingDataset(_examples(split.train)), TrainingDataset(_examples(split.valid))

    def save(self, path: Path, form: str = "jessy", *, marker: str | None = None) -> int:
        """Write the rows as `jessy`, `sharegpt`, `messages` or `completions`; `.parquet` writes Parquet. Return how
        many."""
        return save_rows(path, self.examples, form, marker)

    def _rows(self) -> list[Row]:
        return [Row(example, f"row:{number}") for number, example in enumerate(self.examples, start=1)]


def _examples(rows: Sequence[Row]) -> tuple[TrainingExample, ...]:
    return tuple(row.example for row in rows)


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
    cache; what it lacks comes from the rows shipped with jessy. Topics are mixed as in the reference recipe.
    """

    root: Path
    seed: int = 42
    similarity: float = 0.85
    augment: Augment = field(default_factory=Augment)
    teacher: Teacher | None = None
    generated: list[TrainingExample] = field(default_factory=list)

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

    def save_dataset(self, path: Path, form: str = "jessy", *, marker: str | None = None) -> int:
        """Write everything generated so far; return how many rows."""
        return TrainingDataset(tuple(self.generated)).save(path, form, marker=marker)

    def _generate(self, name: str, count: int) -> list[TrainingExample]:
        language, mix = _MIXES[name]
        counts = shares(count, [part for _, part, _ in mix])
        topics = tuple(
            Topic(topic, number, language, level)
            for (topic, _, level), number in zip(mix, counts, strict=True)
            if number
        )
        category = Category(name, count, "", language, None, topics)
        recipe = plain_recipe(
            self.root, category, seed=self.seed, similarity=self.similarity, augment=self.augment, teacher=self.teacher
        )
        made = [row.example for row in collect(recipe, self.root, category).rows] if topics else []
        self.generated += made
        return made
