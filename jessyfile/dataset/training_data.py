"""Training rows in code: held, counted, evened out, split, and kept in files."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.card import balance as evenness
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.formats import SHAPE, read_examples, save_rows
from jessyfile.dataset.labels import Category, Complexity, Language, label
from jessyfile.dataset.rows import Row
from jessyfile.dataset.select import sample
from jessyfile.dataset.split import split_exactly
from jessyfile.errors import DatasetError
from jessyfile.project import file_path
from jessyfile.text.json_lines import raise_faults

if TYPE_CHECKING:
    from typing import Self

By = Literal["category", "topic", "complexity", "language"]
REFERENCE_MIX: Mapping[str, int] = {"turkish": 200, "technical": 100, "philosophical": 50, "iteration_control": 50}
UNEVEN = 1.5  # how many times as large as another a category may be, measured against its part of the mix


@dataclass(frozen=True, slots=True)
class DatasetMetadata:
    """What a dataset holds: rows by category, level and source, each language's share of them, and when it was made."""

    total: int = 0
    categories: Mapping[str, int] = field(default_factory=dict)
    complexities: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, examples: Iterable[TrainingExample]) -> Self:
        """Count rows."""
        rows = list(examples)
        languages = Counter(row.language.value for row in rows)
        return cls(
            len(rows),
            dict(Counter(row.category.value for row in rows)),
            dict(Counter(row.level for row in rows)),
            {language: count / len(rows) for language, count in languages.items()},
            dict(Counter(row.source for row in rows)),
        )


@dataclass(slots=True, init=False)
class TrainingDataset:
    """An ordered set of training rows; equal when the rows are."""

    examples: list[TrainingExample]
    metadata: DatasetMetadata = field(compare=False)

    def __init__(self, examples: Iterable[TrainingExample] = (), metadata: DatasetMetadata | None = None) -> None:
        """Hold rows; the metadata are counted unless given. Raises DatasetError for anything that is no row."""
        self.examples = checked(examples)
        self.metadata = metadata or DatasetMetadata.of(self.examples)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        complexity: Complexity | str | None = None,
        iterations_needed: int | None = None,
        category: Category | str | None = None,
        language: Language | str | None = None,
    ) -> Self:
        """Read rows from JSON lines or Parquet: our own form, ShareGPT, messages, or prompts and completions.

        The content of the rows is not checked here; `validate_training_data` does that.

        Args:
            path: The file.
            complexity: The level of rows that state none, such as rows of other tools.
            iterations_needed: The iterations of rows that state none.
            category: The category of rows that state none.
            language: The language of rows that state none.

        Returns:
            The rows of the file, in its order.

        Raises:
            DatasetError: Something in the file is no row; the message lists the faults with their lines.
            StorageError: The file cannot be read.
        """
        file = file_path(path)
        lacking = {
            "complexity": None if complexity is None else label(Complexity, complexity).level,
            "iterations": iterations_needed,
            "category": None if category is None else label(Category, category).value,
            "language": None if language is None else label(Language, language).value,
        }
        rows, faults = read_examples(file, file.name, {key: v for key, v in lacking.items() if v is not None}, SHAPE)
        raise_faults(faults, f"{file.name} is malformed")
        return cls(row.example for row in rows)

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[TrainingExample]:
        return iter(self.examples)

    def balance(self, by: By = "category", *, seed: int = 42) -> None:
        """Keep equally many rows of each value of `by`, as many as the rarest has, chosen by the seed."""
        parts: dict[str, list[Row]] = defaultdict(list)
        for row in numbered(self.examples):
            parts[_value(row.example, by)].append(row)
        least = min(map(len, parts.values()), default=0)
        kept = {row.place for value, rows in parts.items() for row in sample(rows, least, seed, value)}
        self.examples = [row.example for row in numbered(self.examples) if row.place in kept]
        self.metadata = DatasetMetadata.of(self.examples)

    def is_balanced(self, by: By = "category") -> bool:
        """Return whether each value of `by` has about as many rows as another: at most half as many again.

        Categories in the proportions of the reference mix (200, 100, 50, 50) are balanced too.
        """
        counts = Counter(_value(example, by) for example in self.examples)
        if by == "category" and counts.keys() == REFERENCE_MIX.keys() and _even(counts, REFERENCE_MIX):
            return True
        return _even(counts, dict.fromkeys(counts, 1))

    def balance_score(self, by: By = "category") -> float:
        """Return the normalized entropy of the rows over the values of `by`: 1.0 is even."""
        return evenness(Counter(_value(example, by) for example in self.examples).values())

    def split(self, train_ratio: float = 0.9, *, seed: int = 42) -> tuple[TrainingDataset, TrainingDataset]:
        """Return (train, validation); `train_ratio` 0.9 trains on 90 % of the rows.

        Topics are split in proportion and paraphrases stay on one side; where that and the ratio exclude each other,
        validation gets fewer rows, though never none because of it. Raises DatasetError for a ratio outside 0 to 1.
        """
        if isinstance(train_ratio, bool) or not isinstance(train_ratio, int | float) or not 0 <= train_ratio <= 1:
            raise DatasetError(f"the training share is {train_ratio!r}, not between 0 and 1", hint="90 % is 0.9")
        train = math.floor(len(self) * train_ratio + 1e-9)
        if train_ratio > 0 and len(self) > 0:
            train = max(train, 1)
        parts = split_exactly(numbered(self.examples), len(self) - train, seed)
        return TrainingDataset(row.example for row in parts.train), TrainingDataset(row.example for row in parts.valid)

    def save(self, path: str | os.PathLike[str], form: str = "messages", *, marker: str | None = None) -> int:
        """Write the rows for MLX, replacing the file; return how many.

        Args:
            path: The file; a name that ends in `.parquet` writes Parquet, any other JSON lines.
            form: `messages` for mlx-lm and TRL, `sharegpt`, `completions`, or `jessy`, our own.
            marker: The line before each answer that says its level, `"[{level} {iterations}]"`; None writes none.

        Raises:
            DatasetError: The form is unknown, or a row cannot be written in it.
            ProjectError: The path is a folder.
            StorageError: The disk refused.
        """
        if form in ("messages", "completions") and marker is None:
            self._answered(form)
        return save_rows(file_path(path), self.examples, form, marker)

    def _answered(self, form: str) -> None:
        for number, example in enumerate(self.examples, start=1):
            if example.is_marker:
                raise DatasetError(
                    f"row {number} teaches the marker alone and has no answer to write as {form}",
                    hint='give the marker, `marker="[{level} {iterations}]"`, or save the form `sharegpt`',
                )


def checked(examples: Iterable[TrainingExample]) -> list[TrainingExample]:
    """Return rows as a list; raises DatasetError when something among them is no row."""
    rows = list(examples)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, TrainingExample):
            raise DatasetError(
                f"row {number} is of the type {type(row).__name__}, not a TrainingExample",
                hint="`TrainingDataset.load(path)` reads rows from a file",
            )
    return rows


def numbered(examples: Iterable[TrainingExample]) -> list[Row]:
    """Return rows with their places in the sequence, `row:1` the first."""
    return [Row(example, f"row:{number}") for number, example in enumerate(examples, start=1)]


def _value(example: TrainingExample, by: By) -> str:
    values = {
        "category": example.category.value,
        "topic": f"{example.category.value}/{example.topic}",
        "complexity": example.level,
        "language": example.language.value,
    }
    if by not in values:
        raise DatasetError(f"rows have no `{by}` to be balanced by", hint=f"one of: {', '.join(values)}")
    return values[by]


def _even(counts: Mapping[str, int], mix: Mapping[str, int]) -> bool:
    parts = [count / mix[value] for value, count in counts.items()]
    return not parts or max(parts) <= UNEVEN * min(parts)
