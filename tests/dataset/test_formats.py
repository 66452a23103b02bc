"""A row written in any form that keeps its levels comes back as it was, and what other tools write is read or
refused by line."""

from __future__ import annotations

import json

import pytest

from jessyfile.dataset.example import TrainingExample, Turn
from jessyfile.dataset.formats import conversation_messages, read_examples, save_rows, to_completion, to_sharegpt
from jessyfile.dataset.rows import load_rows
from jessyfile.errors import DatasetError

TALK = TrainingExample(
    query="tamam sağol",
    response="Ne demek, her zaman yaz.",
    complexity="low",
    iterations_needed=1,
    category="multi_turn",
    topic="friends",
    language="tr",
    turns=(Turn("user", "naber"), Turn("assistant", "İyilik, senden?", "low", 2)),
    tags=("multi_turn",),
)


@pytest.fixture(scope="module")
def seeds():
    from pathlib import Path

    folder = Path(__file__).resolve().parents[2] / "data" / "seeds"
    rows, _ = load_rows(
        [(path, path.name) for path in sorted(folder.glob("*/*.jsonl")) if path.parent.name != "markers"]
    )
    return [row.example for row in rows]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("form", ["jessy", "sharegpt", "messages"])
def test_every_seed_comes_back_as_it_was(tmp_path, seeds, form, suffix):
    path = tmp_path / f"rows.{suffix}"
    assert save_rows(path, seeds, form) == len(seeds)
    rows, faults = read_examples(path)
    assert faults == []
    assert [row.example for row in rows] == seeds


def test_sharegpt_names_its_speakers_human_and_jessy():
    said = to_sharegpt(TALK)
    assert [(turn["from"], turn["value"]) for turn in said["conversations"]] == [
        ("human", "naber"),
        ("jessy", "İyilik, senden?"),
        ("human", "tamam sağol"),
        ("jessy", "Ne demek, her zaman yaz."),
    ]
    assert [turn.get("metadata") for turn in said["conversations"]] == [
        None,
        {"complexity": "low", "iterations_used": 2, "response_time": "4s"},
        None,
        {"complexity": "low", "iterations_used": 1, "response_time": "2s"},
    ]


def test_a_marker_only_row_survives_sharegpt(tmp_path):
    marker = TrainingExample("ölüm nedir", None, "high", 7, "markers", "tr", "high")
    save_rows(tmp_path / "m.jsonl", [marker], "sharegpt")
    assert [row.example for row in read_examples(tmp_path / "m.jsonl")[0]] == [marker]


def test_messages_and_completions_carry_the_marker():
    marked = TALK.to_mlx_format("[{level} {iterations}]")["messages"]
    assert [turn["content"] for turn in marked if turn["role"] == "assistant"] == [
        "[low 2]\nİyilik, senden?",
        "[low 1]\nNe demek, her zaman yaz.",
    ]
    assert to_completion(TALK, "[{level} {iterations}]") == {
        "prompt": "human: naber\njessy: [low 2]\nİyilik, senden?\ntamam sağol",
        "completion": "[low 1]\nNe demek, her zaman yaz.",
    }


def test_writing_twice_gives_the_same_bytes(tmp_path, seeds):
    for suffix in ("jsonl", "parquet"):
        for name in ("a", "b"):
            save_rows(tmp_path / f"{name}.{suffix}", seeds, "sharegpt")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


BROKEN = {
    "speaker": ({"conversations": [{"from": "bard", "value": "x"}], "metadata": {}}, "holds a turn from `bard`"),
    "no metadata": ({"conversations": []}, "does not end with a question"),
    "no answer": ({"conversations": [{"from": "gpt", "value": "x"}], "metadata": {}}, "does not end with a question"),
    "messages without level": (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        "lacks `complexity`, `iterations`",
    ),
    "conversations no list": ({"conversations": 3}, "has no list of `conversations`"),
    "turn no object": ({"conversations": ["naber"]}, "holds a turn that is no object"),
    "no turns": ({"messages": 3, "metadata": {}}, ""),
    "metadata no object": ({"messages": [], "metadata": []}, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_conversation_is_a_fault_with_its_line(tmp_path, name):
    value, expected = BROKEN[name]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n" + json.dumps(value) + "\n", "utf-8")
    rows, faults = read_examples(path, "rows.jsonl")
    assert rows == []
    assert all(str(fault).startswith("rows.jsonl:2: ") for fault in faults)
    assert expected in faults[0].message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"prompt": "a", "completion": "b"}, ["a", "b"]),
        (
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": " a "},
                    {"role": "assistant", "content": "b"},
                ]
            },
            ["a", "b"],
        ),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ["a", "b"]),
    ],
)
def test_replayed_rows_come_in_three_forms(value, expected):
    assert [turn["content"] for turn in conversation_messages(value)] == expected


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}]},
        {"prompt": "a"},
        {"prompt": "a", "completion": " "},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    ],
)
def test_what_is_no_conversation_is_refused(value):
    with pytest.raises(ValueError, match=r"\w"):
        conversation_messages(value)


def test_an_unknown_form_and_a_broken_parquet_are_dataset_errors(tmp_path):
    with pytest.raises(DatasetError, match="no format `alpaca`"):
        save_rows(tmp_path / "x.jsonl", [TALK], "alpaca")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DatasetError, match="is not Parquet"):
        read_examples(tmp_path / "x.parquet")
