"""What is counted beforehand is what is there, and what is not what was counted is counted anew."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from jessyfile.dataset import shipped_counts, supply
from jessyfile.dataset.from_templates import composable
from jessyfile.dataset.select import Wanted
from jessyfile.dataset.shipped_counts import MOST, counts_text, kind_of, shipped_rows, surely_composable
from jessyfile.dataset.templates import load_intents
from jessyfile.resources import resource
from jessyfile.text.json_lines import Line, read_jsonl

SEEDS = sorted(resource("data", "seeds").resolve().glob("*/*.jsonl"))
TEMPLATES = sorted(resource("templates", "examples").glob("*.j2"))


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Let what is shipped lie in a folder that may be changed."""
    for name in ("data/counts.json", "data/seeds/turkish/slang.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(resource(*name.split("/")), tmp_path / name)
    monkeypatch.setattr(shipped_counts, "_root", lambda: tmp_path)
    return tmp_path


def test_the_counts_are_those_of_what_is_shipped():
    assert resource("data", "counts.json").read_text("utf-8") == counts_text(), (
        "run python -m jessyfile.dataset.shipped_counts"
    )


def test_the_rows_of_every_shipped_file_are_those_that_a_strict_reader_counts():
    for path in SEEDS:
        strict = Counter(kind_of(one.value) for one in read_jsonl(path) if isinstance(one, Line))
        assert shipped_rows(path) == strict, path


@pytest.mark.parametrize("missing", [1, 1041])
def test_a_topics_templates_give_as_many_as_are_dealt(tmp_path, missing):
    wanted = Wanted("turkish", "casual", missing, "tr", None)
    dealt = composable(load_intents(tmp_path, "turkish", "casual"), wanted, missing)
    assert supply._composable(tmp_path, wanted, missing) == dealt


@pytest.mark.parametrize("language", ["tr", "en", "mixed", None])
def test_no_more_are_promised_than_are_dealt(tmp_path, language):
    wanted = Wanted("tickets", "account", MOST, language, "low")
    promised = surely_composable(tmp_path, wanted)
    assert promised == composable(load_intents(tmp_path, "tickets", "account"), wanted, promised)
    assert promised
    assert surely_composable(tmp_path, Wanted("tickets", "account", MOST, language, "high")) == 0


def test_every_template_that_is_shipped_is_counted(tmp_path):
    for path in TEMPLATES:
        category, topic = path.stem.split(".")
        assert surely_composable(tmp_path, Wanted(category, topic, 1, None, None)) > 0, path


@pytest.mark.parametrize("own", ["templates/examples/turkish.casual.j2", "data/lexicon/cities.tsv"])
def test_what_the_project_has_of_its_own_is_dealt(tmp_path, own):
    path = tmp_path / own
    path.parent.mkdir(parents=True)
    if own.endswith("j2"):
        path.write_text("== one\n? Bir soru sorabilir miyim?\n= Tabii, dinliyorum seni.\n", "utf-8")
    else:
        shutil.copy(resource(*own.split("/")), path)
    wanted = Wanted("turkish", "casual", 50, "tr", None)
    assert surely_composable(tmp_path, wanted) == 0
    dealt = composable(load_intents(tmp_path, "turkish", "casual"), wanted, 50)
    assert supply._composable(tmp_path, wanted, 50) == dealt == (50 if own.endswith("tsv") else dealt)


def test_a_shipped_file_that_was_changed_is_counted_anew(copied):
    path = copied / "data" / "seeds" / "turkish" / "slang.jsonl"
    counted = shipped_rows(path)
    assert counted and sum(counted.values()) == path.read_bytes().count(b"\n")
    path.write_bytes(path.read_bytes() + b'{"topic": "slang"}\n')
    assert shipped_rows(path) is None
    path.unlink()
    assert shipped_rows(path) is None


def test_a_shipped_file_that_was_changed_is_read_as_strictly_as_ones_own(copied, monkeypatch):
    path = copied / "data" / "seeds" / "turkish" / "slang.jsonl"
    path.write_bytes(path.read_bytes() + b'{"query": "x"\n')
    monkeypatch.setattr(supply, "_is_shipped", lambda _: True)
    faults = []
    supply._counted(path, copied, faults)
    assert [fault.line for fault in faults] == [path.read_bytes().count(b"\n")]


def test_counts_that_are_cut_short_count_nothing(copied, monkeypatch):
    (copied / "data" / "counts.json").write_text('{"rows"', "utf-8")
    monkeypatch.setattr(shipped_counts, "resource", lambda *parts: copied.joinpath(*parts))
    shipped_counts._kept.cache_clear()
    try:
        assert shipped_rows(copied / "data" / "seeds" / "turkish" / "slang.jsonl") is None
    finally:
        shipped_counts._kept.cache_clear()
