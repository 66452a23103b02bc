"""What can be found wrong in a set of training rows: in each row, and in all of them together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jessyfile.dataset.example import DEFAULT_BANDS, Bands, TrainingExample, level_faults, shape_faults
from jessyfile.dataset.formats import SHAPE, read_examples
from jessyfile.dataset.rows import Row
from jessyfile.dataset.similarity import near_pairs
from jessyfile.dataset.training_data import TrainingDataset, checked, numbered
from jessyfile.project import file_path

IMBALANCED = "Imbalanced categories"
MAX_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What `validate_training_data` found. `issues` are sentences that begin with the row's file and line, or with its
    place in the sequence; `duplicates` are (row, earlier row, similarity)."""

    issues: list[str] = field(default_factory=list)
    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    category_balance: float = 1.0
    duplicates: Sequence[tuple[str, str, float]] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing was found."""
        return not self.issues

    def __str__(self) -> str:
        said = f"{self.total} rows, {len(self.issues)} issue{'' if len(self.issues) == 1 else 's'}"
        more = [f"  and {len(self.issues) - MAX_SHOWN} more"] if len(self.issues) > MAX_SHOWN else []
        return "\n".join([said, *(f"  {issue}" for issue in self.issues[:MAX_SHOWN]), *more])


def validate_training_data(
    data: TrainingDataset | str | os.PathLike[str] | Iterable[TrainingExample],
    *,
    bands: Bands = DEFAULT_BANDS,
    similarity: float = 0.85,
) -> ValidationReport:
    """Judge rows, or a file of them: how even the categories are, each row by itself, all for near duplicates.

    Args:
        data: A dataset, the path of a file, or rows.
        bands: The iterations that each level takes, as in a recipe's LEVELs.
        similarity: The share of common letters, 0 to 1, from which two rows count as one.

    Raises:
        DatasetError: Something among the rows is no row.
        StorageError: The file cannot be read.
    """
    rows, issues = _rows(data)
    dataset = TrainingDataset(row.example for row in rows)
    if not dataset.is_balanced():
        issues.insert(0, IMBALANCED)
    issues += [f"{row.place}: {fault}" for row in rows for fault in _faults(row.example, bands)]
    left, right, alike = near_pairs([row.text for row in rows], similarity)
    pairs = zip(left.tolist(), right.tolist(), alike.tolist(), strict=True)
    duplicates = [(rows[j].place, rows[i].place, round(value, 4)) for i, j, value in pairs]
    issues += [f"{late}: says the same as {early} ({value:.0%} alike)" for late, early, value in duplicates]
    return ValidationReport(issues, len(rows), dataset.metadata.categories, dataset.balance_score(), tuple(duplicates))


def _faults(example: TrainingExample, bands: Bands) -> list[str]:
    return [*shape_faults(example), *(f"complexity mismatch: {fault}" for fault in level_faults(example, bands))]


def _rows(data: str | os.PathLike[str] | Iterable[TrainingExample]) -> tuple[list[Row], list[str]]:
    if not isinstance(data, str | os.PathLike):
        return numbered(checked(data)), []
    file = file_path(data)
    rows, faults = read_examples(file, file.name, rules=SHAPE)
    return rows, [str(fault) for fault in faults]
