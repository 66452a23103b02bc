"""The public interface of the data part keeps its promises without a recipe."""

from __future__ import annotations

from collections import Counter

import pytest

from jessyfile.dataset.example import TrainingExample, Turn
from jessyfile.dataset.training_data import TrainingDataGenerator, TrainingDataset, validate_training_data
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
    assert not [fault for example in made for fault in example.validate()]


def test_a_generator_saves_everything_it_made(generator, tmp_path):
    generator.generate_conversational(8)
    generator.generate_technical(4)
    assert generator.save_dataset(tmp_path / "all.jsonl", "sharegpt") == 12
    assert len(TrainingDataset.load(tmp_path / "all.jsonl")) == 12


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
    even = dataset.balance("category")
    assert Counter(example.category for example in even) == {"turkish": 10, "technical": 10, "philosophical": 10}
    assert dataset.balance_score() < even.balance_score() == pytest.approx(1.0)
    assert dataset.balance("category") == even


def test_split_loses_nothing(dataset):
    train, valid = dataset.split(0.2)
    assert len(valid) == 14
    assert Counter([*train, *valid]) == Counter(dataset)


def test_saving_and_loading_gives_the_same(dataset, tmp_path):
    dataset.save(tmp_path / "rows.parquet", "sharegpt")
    assert TrainingDataset.load(tmp_path / "rows.parquet") == dataset


def test_a_sound_set_is_valid(dataset, tmp_path):
    dataset.save(tmp_path / "rows.jsonl")
    for data in (dataset, tmp_path / "rows.jsonl"):
        report = validate_training_data(data)
        assert report.is_valid
        assert (report.total, report.counts["turkish"]) == (70, 40)
        assert 0 < report.category_balance < 1


def test_faults_name_their_row_and_duplicates_both(row):
    good = row(query="naber nasılsın", response="İyiyim, sen nasılsın bakalım?").example
    bad = row(query="başka bir soru", response="Bunun cevabı başka.", iterations=9).example
    report = validate_training_data([good, bad, good])
    assert not report.is_valid
    assert [str(fault) for fault in report.faults] == ["row:2: level low takes 1-2 iterations, not 9"]
    assert report.duplicates == (("row:3", "row:1", 1.0),)
    assert "3 rows, 1 faults, 1 near duplicates" in str(report)


def test_every_rule_of_validate():
    def example(**change):
        values = {
            "query": "a",
            "response": "on karakter",
            "complexity": "low",
            "iterations": 1,
            "category": "c",
            "topic": "t",
            "language": "tr",
        }
        return TrainingExample(**(values | change))

    assert example().validate() == []
    assert example(response=None).validate() == []
    assert "at least 10" in example(response="dokuz krk").validate()[0]
    assert "query is empty" in example(query=" ").validate()[0]
    assert "language is `de`" in example(language="de").validate()[0]
    assert "level is `hard`" in example(complexity="hard").validate()[0]
    for level, good, wrong in (("low", (1, 2), (0, 3)), ("medium", (3, 5), (2, 6)), ("high", (6, 9), (5, 10))):
        assert not [n for n in good if example(complexity=level, iterations=n).validate()]
        assert all(example(complexity=level, iterations=n).validate() for n in wrong)
    turns = (Turn("user", "a"), Turn("user", "b"))
    assert "turn 2 is the user's" in example(turns=turns).validate()[0]
    assert example(iterations=3).validate({"low": (1, 3)}) == []
