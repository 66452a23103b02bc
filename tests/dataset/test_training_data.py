"""The public interface of the data part keeps its promises without a recipe."""

from __future__ import annotations

from collections import Counter

import pytest

from jessyfile.dataset.example import TrainingExample, Turn
from jessyfile.dataset.generator import TrainingDataGenerator
from jessyfile.dataset.training_data import TrainingDataset
from jessyfile.dataset.validation import validate_training_data
from jessyfile.errors import DatasetError


@pytest.fixture
def generator(project):
    return TrainingDataGenerator(project.root)


@pytest.mark.parametrize(
    ("name", "count", "category"),
    [
        ("conversational", 200, "turkish"),
        ("technical", 50, "technical"),
        ("philosophical", 50, "philosophical"),
        ("iteration_control", 10, "iteration_control"),
    ],
)
def test_a_generator_gives_exactly_as_many_as_asked(generator, name, count, category):
    made = getattr(generator, f"generate_{name}")(count)
    assert len(made) == count
    assert {example.category for example in made} == {category}
    assert all(example.validate() for example in made)


def test_a_generator_saves_the_rows_it_is_given(generator, tmp_path):
    made = [*generator.generate_conversational(8), *generator.generate_technical(4)]
    assert generator.save_dataset(made, tmp_path / "all.jsonl") == 12
    assert TrainingDataset.load(tmp_path / "all.jsonl").examples == made


def test_more_than_there_is_says_what_is_missing(generator):
    with pytest.raises(DatasetError, match="`technical/rust` asks for 90 rows and 30 were found"):
        generator.generate_technical(300)


def test_none_is_none(generator):
    assert generator.generate_philosophical(0) == []


@pytest.fixture
def dataset(generator):
    return TrainingDataset(
        (
            *generator.generate_conversational(40),
            *generator.generate_technical(20),
            *generator.generate_philosophical(10),
        )
    )


def test_balance_takes_equally_many_of_each(dataset):
    uneven, before = dataset.balance_score(), list(dataset)
    dataset.balance("category")
    assert Counter(example.category for example in dataset) == {"turkish": 10, "technical": 10, "philosophical": 10}
    assert uneven < dataset.balance_score() == pytest.approx(1.0)
    assert [example for example in before if example in dataset.examples] == dataset.examples
    even = list(dataset)
    dataset.balance("category")
    assert dataset.examples == even


def test_split_loses_nothing(dataset):
    train, valid = dataset.split(0.8)
    assert len(valid) == 14
    assert Counter([*train, *valid]) == Counter(dataset)


def test_saving_and_loading_gives_the_same(dataset, tmp_path):
    dataset.save(tmp_path / "rows.parquet", "sharegpt")
    assert TrainingDataset.load(tmp_path / "rows.parquet") == dataset


def test_a_sound_set_is_valid(dataset, tmp_path):
    dataset.save(tmp_path / "rows.jsonl", "jessy")
    for data in (dataset, tmp_path / "rows.jsonl"):
        report = validate_training_data(data)
        assert list(report.issues) == ["Imbalanced categories"]
        assert (report.total, report.counts["turkish"]) == (70, 40)
        assert 0 < report.category_balance < 1


def test_faults_name_their_row_and_duplicates_both(row):
    good = row(query="naber nasılsın", response="İyiyim, sen nasılsın bakalım?").example
    bad = row(query="başka bir soru", response="Bunun cevabı başka.", iterations_needed=9).example
    report = validate_training_data([good, bad, good])
    assert not report.is_valid
    assert list(report.issues) == [
        "row:2: complexity mismatch: level low takes 1-2 iterations, not 9",
        "row:3: says the same as row:1 (100% alike)",
    ]
    assert report.duplicates == (("row:3", "row:1", 1.0),)
    assert "3 rows, 2 issues" in str(report)


def test_every_rule_of_validate():
    def faults(bands=None, **change):
        values = {
            "query": "a",
            "response": "on karakter",
            "complexity": "low",
            "iterations_needed": 1,
            "category": "c",
            "language": "tr",
        }
        example = TrainingExample(**(values | change))
        found = example.faults(bands) if bands else example.faults()
        assert (example.validate(bands) if bands else example.validate()) is (not found)
        return found

    assert faults() == []
    assert faults(response=None, category="markers") == []
    assert "without an answer" in faults(response=None)[0]
    assert "without an answer" in faults(category="markers")[0]
    assert "at least 10" in faults(response="dokuz krk")[0]
    assert "query is empty" in faults(query=" ")[0]
    assert "query is no text" in faults(query=None)[0]
    assert "query has more than 8000" in faults(query="a" * 8001)[0]
    assert "response has more than 16000" in faults(response="a" * 16001)[0]
    assert "half of a surrogate pair" in faults(query="\ud800")[0]
    assert "language is `xx`" in faults(language="xx")[0]
    assert faults(language="de") == []
    assert faults(language="any", response="evet") == []
    assert "level is `hard`" in faults(complexity="hard")[0]
    assert "category is `Ev İşleri`" in faults(category="Ev İşleri")[0]
    assert "topic is ``" in faults(topic="")[0]
    assert "not a whole number" in faults(iterations_needed="1")[0]
    for level, good, wrong in (("low", (1, 2), (0, 3)), ("medium", (3, 5), (2, 6)), ("high", (6, 9), (5, 10))):
        assert not [n for n in good if faults(complexity=level, iterations_needed=n)]
        assert all(faults(complexity=level, iterations_needed=n) for n in wrong)
    turns = (Turn("user", "a"), Turn("user", "b"))
    assert "turn 2 is the user's" in faults(turns=turns)[0]
    assert faults({"low": (1, 3)}, iterations_needed=3) == []
