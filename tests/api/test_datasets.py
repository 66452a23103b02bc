"""Datasets in code: whatever is split, balanced or saved keeps its rows, and what cannot be used says so in one sentence."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jessyfile import (
    Category,
    Complexity,
    DatasetError,
    DatasetMetadata,
    Language,
    ProjectError,
    StorageError,
    TrainingDataGenerator,
    TrainingDataset,
    TrainingExample,
    Turn,
    validate_training_data,
)

QUESTIONS = ["naber", "napıyon", "Rust'ta ownership nedir?", "Bilinç nedir?", "what is love", "makarna nasıl haşlanır"]


def row(query="naber", response="İyilik, senden ne haber?", level="low", iterations=1, category="turkish", **more):
    return TrainingExample(query, response, level, iterations, category, more.pop("language", "tr"), **more)


def rows():
    return st.builds(
        row,
        query=st.sampled_from(QUESTIONS) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
        response=st.text(st.characters(codec="utf-8"), min_size=10, max_size=40),
        category=st.sampled_from(["turkish", "technical", "poetry"]),
        topic=st.sampled_from(["a", "b", None]),
    )


@given(st.lists(rows(), max_size=25), st.floats(0, 1))
def test_a_split_is_a_partition(examples, ratio):
    dataset = TrainingDataset(examples)
    train, validation = dataset.split(ratio)
    assert Counter([*train, *validation]) == Counter(examples)
    assert len(validation) <= len(examples) * (1 - ratio) + 1
    assert dataset.examples == examples


@given(st.integers(2, 60), st.floats(0.05, 0.95))
def test_rows_that_differ_are_split_exactly_by_the_ratio(count, ratio):
    examples = [row(query=f"Soru {n}", response=f"Bu sorunun cevabı {n} olur.") for n in range(count)]
    train, validation = TrainingDataset(examples).split(ratio)
    assert len(train) == max(1, int(count * ratio + 1e-9))
    assert len(train) + len(validation) == count


def test_ninety_percent_is_the_training_side():
    """The share used to be the validation's: 0.9 trained on 6 of 60 rows."""
    dataset = TrainingDataset(TrainingDataGenerator().generate_conversational(60))
    train, validation = dataset.split(0.9)
    assert (len(train), len(validation)) == (54, 6)


def test_paraphrases_stay_on_one_side():
    pairs = [(f"{word} {rest}", f"{word} {rest}?!") for word, rest in zip(QUESTIONS * 2, "abcdefghijkl", strict=True)]
    examples = [row(query=query, response=f"Cevabı {n}: düşünelim.") for n, pair in enumerate(pairs) for query in pair]
    train, validation = TrainingDataset(examples).split(0.75)
    assert len(validation) == 6
    kept = {example.query.rstrip("?!") for example in validation}
    assert not kept & {example.query.rstrip("?!") for example in train}


def test_rows_that_are_all_the_same_are_still_split():
    train, validation = TrainingDataset([row()] * 10).split(0.9)
    assert (len(train), len(validation)) == (9, 1)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, 90, float("nan"), True, "0.9", None])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(DatasetError, match="not between 0 and 1") as caught:
        TrainingDataset([row()]).split(ratio)
    assert caught.value.hint == "90 % is 0.9"


def test_an_empty_dataset_is_a_dataset(tmp_path):
    empty = TrainingDataset([])
    empty.balance()
    assert empty.is_balanced()
    assert empty.split(0.9) == (TrainingDataset([]), TrainingDataset([]))
    empty.save(tmp_path / "none.jsonl")
    assert TrainingDataset.load(tmp_path / "none.jsonl") == empty
    assert validate_training_data(empty).issues == []


@given(st.lists(rows(), min_size=1, max_size=30), st.sampled_from(["category", "topic", "complexity", "language"]))
def test_balance_leaves_equally_many_in_their_order(examples, by):
    dataset = TrainingDataset(examples)
    assert dataset.balance(by) is None
    value = {"topic": lambda example: (example.category, example.topic)}.get(by, lambda example: getattr(example, by))
    assert len(set(Counter(map(value, dataset)).values())) == 1
    assert set(map(value, dataset)) == set(map(value, examples))
    assert dataset.is_balanced(by)
    remaining = iter(examples)
    assert all(example in remaining for example in dataset)
    assert dataset.metadata.total == len(dataset)


def test_nothing_balances_by_a_field_that_is_not_there():
    with pytest.raises(DatasetError, match="no `mood`"):
        TrainingDataset([row()]).balance("mood")


TALK = row(
    turns=[Turn("user", "selam"), Turn("assistant", "Selam, hoş geldin!", Complexity.LOW, 1)],
    tags=["multi_turn"],
    topic="friends",
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@pytest.mark.parametrize("form", ["messages", "sharegpt", "jessy"])
@given(query=TEXT, response=TEXT, earlier=TEXT, marker=st.sampled_from([None, "[{level} {iterations}]"]))
@example("a\u2028b\u0085c", " 🙂\r\n\x1b[1m\ufeff", "e\u0301 \u00e9", None)
def test_any_text_comes_back_as_it_was(tmp_path_factory, form, query, response, earlier, marker):
    path = tmp_path_factory.getbasetemp() / f"any-{form}.jsonl"
    turns = [Turn("user", earlier), Turn("assistant", response, "low", 2)]
    dataset = TrainingDataset([row(query=query, response=response), row(query=query, response=response, turns=turns)])
    dataset.save(path, form, marker=marker)
    assert TrainingDataset.load(path) == dataset


def test_what_is_no_sound_row_is_loaded_and_then_named(tmp_path):
    """A file with one short answer could not be loaded at all, and so not be mended in code either."""
    wrong = [row(response="Evet."), row(level="hard", language="de"), row(iterations=12, tags="İki kelime", topic="")]
    path = tmp_path / "rows.jsonl"
    for form in ("messages", "sharegpt", "jessy"):
        TrainingDataset(wrong).save(path, form)
        assert TrainingDataset.load(path).examples == wrong
        assert [example.faults() == [] for example in TrainingDataset.load(path)] == [False, False, False]
        said = "\n".join(validate_training_data(path).issues)
        assert all(f"rows.jsonl:{line}: " in said for line in (1, 2, 3))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("form", ["messages", "sharegpt", "jessy"])
@pytest.mark.parametrize("marker", [None, "[{level} {iterations}]"])
def test_conversations_and_marker_rows_come_back(tmp_path, form, suffix, marker):
    examples = [row(), TALK]
    if marker or form != "messages":
        examples.append(row(query="ölüm nedir", response=None, level="high", iterations=7, category="markers"))
    dataset = TrainingDataset(examples)
    path = str(tmp_path / f"rows.{suffix}")
    assert dataset.save(path, form, marker=marker) == len(examples)
    assert TrainingDataset.load(path) == dataset


def test_a_marker_row_without_its_marker_is_not_written_as_an_empty_answer(tmp_path):
    dataset = TrainingDataset([row(query="ölüm nedir", response=None, level="high", iterations=7, category="markers")])
    for form in ("messages", "completions"):
        with pytest.raises(DatasetError, match="row 1 teaches the marker alone"):
            dataset.save(tmp_path / "x.jsonl", form)
    assert not (tmp_path / "x.jsonl").exists()


FOREIGN = {
    "messages": {
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello, how are you?"}]
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "Hello, how are you?"}]},
    "completions": {"prompt": "hi", "completion": "Hello, how are you?"},
}


@pytest.mark.parametrize("form", FOREIGN)
def test_files_of_other_tools_are_read_when_their_labels_are_given(tmp_path, form):
    path = tmp_path / "theirs.jsonl"
    path.write_text(json.dumps(FOREIGN[form]) + "\n", "utf-8")
    with pytest.raises(DatasetError, match="lacks `complexity`, `iterations`, `category`"):
        TrainingDataset.load(path)
    labels = {"complexity": Complexity.LOW, "iterations_needed": 1, "category": "technical", "language": "english"}
    (read,) = TrainingDataset.load(path, **labels)
    assert (read.query, read.response) == ("hi", "Hello, how are you?")
    assert (read.category, read.language, read.source) == (Category.TECHNICAL, Language.ENGLISH, "import")
    assert read.validate()


def test_the_labels_given_hold_for_earlier_answers_too(tmp_path):
    path = tmp_path / "theirs.jsonl"
    said = ["hi", "Hello, how are you?", "fine", "Glad to hear that."]
    turns = [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(said)]
    path.write_text(json.dumps({"conversations": [{"from": "system", "value": "Be kind."}, *turns]}) + "\n", "utf-8")
    (read,) = TrainingDataset.load(
        path, complexity="medium", iterations_needed=3, category="technical", language="english"
    )
    assert read.turns == (Turn("user", "hi"), Turn("assistant", "Hello, how are you?", "medium", 3))
    assert read.validate()


def test_the_designs_own_sharegpt_row_is_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    said = {"complexity": "low", "iterations_used": 2, "response_time": "2s"}
    turns = [{"from": "human", "value": "naber"}, {"from": "jessy", "value": "İyilik, senden naber?", "metadata": said}]
    path.write_text(json.dumps({"conversations": turns}) + "\n", "utf-8")
    (read,) = TrainingDataset.load(path, category="conversational", language="turkish")
    assert (read.complexity, read.iterations_needed) == (Complexity.LOW, 2)
    assert read.category is Category.CONVERSATIONAL


UNREADABLE = {
    "missing": (lambda folder: folder / "none.jsonl", StorageError),
    "a folder": (lambda folder: folder, ProjectError),
    "NUL": (lambda folder: f"{folder}/a\0b", ProjectError),
    "not UTF-8": (lambda folder: _written(folder, b"\xff\xfe{}\n"), DatasetError),
    "no JSON": (lambda folder: _written(folder, b"hello\n"), DatasetError),
    "a name too long": (lambda folder: folder / ("a" * 300), StorageError),
    "half a letter": (lambda folder: f"{folder}/\ud800", ProjectError),
    "below a file": (lambda folder: _written(folder, b"") / "x.jsonl", StorageError),
}


def _written(folder: Path, data: bytes) -> Path:
    (folder / "rows.jsonl").write_bytes(data)
    return folder / "rows.jsonl"


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_says_so(tmp_path, what):
    make, kind = UNREADABLE[what]
    path = make(tmp_path)
    for name in (path, str(path)):
        with pytest.raises(kind):
            TrainingDataset.load(name)
        if kind is DatasetError:
            assert validate_training_data(name).issues
        else:
            with pytest.raises(kind):
                validate_training_data(name)


def test_saving_replaces_a_file_and_never_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("precious", "utf-8")
    with pytest.raises(ProjectError, match="`model` is a folder"):
        TrainingDataset([row()]).save("model")
    assert (tmp_path / "model" / "weights").read_text("utf-8") == "precious"
    (tmp_path / "rows.jsonl").write_text("old\n", "utf-8")
    assert TrainingDataset([row()]).save("rows.jsonl") == 1
    assert TrainingDataset.load("rows.jsonl").examples == [row()]
    assert TrainingDataset([row()]).save("new/folder/rows.jsonl") == 1
    with pytest.raises(StorageError):
        TrainingDataset([row()]).save("rows.jsonl/inside.jsonl")


@pytest.mark.parametrize(("letter", "name"), [("\ud83d", "half of a surrogate pair"), ("\0", r"U\+0000")])
def test_what_is_no_text_is_named_and_never_written(tmp_path, letter, name):
    broken = TrainingDataset([row(), row(query=f"bozuk {letter} metin")])
    assert not broken.examples[1].validate()
    assert re.search(f"row:2: the query holds {name}", validate_training_data(broken).issues[0])
    for file in ("x.jsonl", "x.parquet"):
        with pytest.raises(DatasetError, match=f"row 2 holds {name}"):
            broken.save(tmp_path / file)
        assert not (tmp_path / file).exists()


@pytest.mark.parametrize("given", ["rows.jsonl", [{"query": "a"}], [None], [row(), 3]])
def test_what_is_no_row_is_refused_where_it_is_given(given):
    with pytest.raises(DatasetError, match="not a TrainingExample"):
        TrainingDataset(given)


def test_metadata_are_counted_unless_given():
    dataset = TrainingDataset([row(), row(language="en"), row(category="technical", level="medium", iterations=4)])
    metadata = dataset.metadata
    assert (metadata.total, metadata.categories) == (3, {"turkish": 2, "technical": 1})
    assert metadata.complexities == {"low": 2, "medium": 1}
    assert metadata.languages == {"tr": pytest.approx(2 / 3), "en": pytest.approx(1 / 3)}
    assert metadata.sources == {"hand": 3}
    assert metadata.created.tzinfo is not None
    own = DatasetMetadata(total=7)
    assert TrainingDataset([row()], own).metadata is own


@pytest.mark.parametrize("count", [-1, 1_000_001, 10**30, 2.5, "10", True, None])
def test_a_count_that_is_none_is_refused_at_once(count):
    with pytest.raises(DatasetError, match="rows cannot be made"):
        TrainingDataGenerator().generate_technical(count)


def test_the_generator_takes_the_project_around_the_working_folder(tmp_path, monkeypatch):
    seeds = tmp_path / "data" / "seeds" / "technical"
    seeds.mkdir(parents=True)
    own = {"query": "git rebase nedir?", "response": "Commitleri başka bir tabanın üstüne dizmektir.", "complexity": "medium",
           "iterations": 3, "category": "technical", "topic": "rust", "language": "mixed", "tags": [], "source": "hand"}  # fmt: skip
    (seeds / "rust.jsonl").write_text(json.dumps(own) + "\n", "utf-8")
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    (made,) = TrainingDataGenerator().generate_technical(1)
    assert made.query == "git rebase nedir?"
    assert TrainingDataGenerator(str(tmp_path)).generate_technical(1) == [made]
    assert len(TrainingDataGenerator().generate_conversational(5)) == 5
    for wrong in (tmp_path / "none", seeds / "rust.jsonl", "a\0b"):
        with pytest.raises(ProjectError):
            TrainingDataGenerator(wrong).generate_technical(1)


def test_the_generators_mix_is_the_reference_recipes():
    from jessyfile import load_recipe
    from jessyfile.dataset import generator, training_data

    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / "v2.jessy").recipe
    asked_for = recipe.dataset.categories[:4]  # identity and the others that follow are the recipe's own
    written = {
        category.name: (category.language, tuple((topic.name, topic.count, topic.level) for topic in category.topics))
        for category in asked_for
    }
    assert written == generator._MIXES
    assert {category.name: category.count for category in asked_for} == training_data.REFERENCE_MIX


def test_labels_are_taken_by_name_and_unknown_ones_are_named():
    assert row(level="LOW", language="Turkish", category="conversational") == row()
    assert row(level=Complexity.LOW, language=Language.TURKISH, category=Category.CONVERSATIONAL) == row()
    assert row(level=1) == row()
    poem = row(category="poetry")
    assert poem.category == "poetry"
    assert poem.category == Category("poetry")
    assert poem.validate()
    assert not row(level="lwo").validate()
    assert not row(language="german").validate()
    assert not row(category="").validate()
    for bad in ({"level": None}, {"level": 7}, {"category": None}, {"language": 3}, {"turns": [{"role": "user"}]}):
        with pytest.raises(DatasetError) as caught:
            row(**bad)
        assert caught.value.hint


def test_a_recipes_own_category_keeps_its_name(tmp_path):
    """A recipe may call a category `conversational`; reading its rows must not make the shipped `turkish` of it."""
    path = tmp_path / "rows.jsonl"
    TrainingDataset([row()]).save(path, "jessy")
    path.write_text(path.read_text("utf-8").replace('"turkish"', '"conversational"'), "utf-8")
    (read,) = TrainingDataset.load(path)
    assert read.category.value == "conversational"
    assert pickle.loads(pickle.dumps(read)) == copy.deepcopy(read) == read != row()  # noqa: S301 (our own bytes)
    TrainingDataset([read]).save(path, "jessy")
    assert '"category": "conversational"' in path.read_text("utf-8")


class Echo:
    """A tokenizer that gives back what it was asked to put into a template."""

    def apply_chat_template(self, messages, **_):
        return messages


@pytest.mark.parametrize("form", ["messages", "completions"])
def test_mlx_lm_reads_what_is_saved(tmp_path, form):
    datasets = pytest.importorskip("mlx_lm.tuner.datasets")
    dataset = TrainingDataset([row(query="Satır\u2028sonu\u0085 mı?\r\n", response="Evet,\nbu da bir cevap."), row()])
    dataset.save(tmp_path / "train.jsonl", form, marker="[{level} {iterations}]")
    read, *_ = datasets.load_local_dataset(tmp_path, Echo(), None)
    messages, _ = read.process(read[0])
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[0]["content"].strip() == "Satır\u2028sonu\u0085 mı?"
    assert messages[1]["content"] == "[low 1]\nEvet,\nbu da bir cevap."
    assert len(read) == 2
