"""docs/evaluation.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evaluation_fakes import USUAL

from jessyfile.evaluation.cases import read_cases
from jessyfile.evaluation.metrics import metrics_of
from jessyfile.language.metric_table import known_metric, metric_names
from jessyfile.resources import resource

DOCS = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCS.read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_table_of_suites_counts_what_is_shipped(text: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section(text, "Suites and cases"), re.MULTILINE)
    found = {name: len(read_cases(resource("data", "eval", f"{name}.jsonl"))[0]) for name, _ in rows}
    assert {name: int(count) for name, count in rows} == found
    assert set(found) == {path.stem for path in resource("data", "eval").glob("*.jsonl")}


def test_every_metric_is_described_known_and_measured(text: str) -> None:
    described = set(
        re.findall(r"`([\w.]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", section(text, "Metrics"), re.MULTILINE)))
    )
    spelled = {
        name.replace("<level>", "LEVEL").replace("<suite>", "SUITE").replace("<field>", "FIELD")
        for name in metric_names()
    }
    assert described == spelled
    assert all(known_metric(name) for name in metrics_of([], [level.name for level in USUAL.levels]))
