"""Rows of other tools become rows of jessy's: two texts are enough, and whatever is left out is said, once a row."""

import json
import re
from pathlib import Path

import pytest

from jessyfile.dataset.foreign_rows import Reading, import_rows, slug
from jessyfile.dataset.rows import schema_faults
from jessyfile.errors import DatasetError
from jessyfile.evaluation.cases import read_cases
from jessyfile.evaluation.own_suite import cases_of, enough_alike, hold_out
from jessyfile.text.json_lines import write_jsonl

OWN = Path(__file__).parents[1] / "data" / "own"
ASKED, TOLD = "Wann fährt der letzte Bus ins Dorf?", "Der letzte Bus fährt um halb elf vom Markt."


def imported(tmp_path, data, name="rows.jsonl", **reading):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return import_rows(path, Reading("bus", **reading))


def line(value):
    return json.dumps(value, ensure_ascii=False) + "\n"


FORMS = {
    "messages": {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": TOLD}]},
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}]},
            {"role": "assistant", "content": [{"type": "text", "text": TOLD}]},
        ]
    },
    "ShareGPT": {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": TOLD}]},
    "Alpaca": {"instruction": ASKED, "input": "", "output": TOLD},
    "prompt and completion": {"prompt": ASKED, "completion": TOLD},
    "TRL": {"prompt": [{"role": "user", "content": ASKED}], "completion": [{"role": "assistant", "content": TOLD}]},
    "query and response": {"query": ASKED, "response": TOLD},
    "query and answer": {"query": ASKED, "answer": TOLD},
    "question and answer": {"question": ASKED, "answer": TOLD, "id": 7},
    "instruction and response": {"instruction": ASKED, "response": TOLD},
    "a German table": {"Frage": ASKED, "Antwort": TOLD},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(tmp_path, form):
    (row,) = imported(tmp_path, line(FORMS[form])).rows
    example = row.example
    assert (example.query, example.response, example.category, example.topic) == (ASKED, TOLD, "bus", "bus")
    assert (example.level, example.iterations_needed, example.language, example.source) == ("low", 1, "de", "import")
    assert not example.faults()


@pytest.mark.parametrize(("answer", "read"), [(4, "4"), ({"tag": "bus"}, '{"tag": "bus"}'), (True, "true"), ("B", "B")])
def test_an_answer_may_be_a_number_an_object_or_a_letter(tmp_path, answer, read):
    (row,) = imported(tmp_path, line({"input": "Wie viele Busse fahren?", "output": answer})).rows
    assert (row.example.response, row.example.language) == (read, "any")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("Meine Fragen (2024)", "meine_fragen_2024"), ("markers", "own_markers"), ("eval", "own_eval"), ("2024", "own_2024"),
     ("Çay & Kahve", "cay_kahve"), ("مكتبة", "own"), ("x" * 90, "x" * 50)],
)  # fmt: skip
def test_a_files_name_becomes_a_category(stem, name):
    assert slug(stem) == name


def test_what_a_seed_cannot_hold_is_left_out(tmp_path):
    """Else the next apply would refuse what the import had taken."""
    turns = [
        {"role": "user", "content": "a " * 4500},
        {"role": "assistant", "content": "Kein Bus."},
        *FORMS["messages"]["messages"],
    ]
    found = imported(tmp_path, line({"messages": turns}) + line(FORMS["messages"]))
    assert [(fault.line, "8000" in fault.message) for fault in found.refused] == [(1, True)]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_is_read_whatever_separates_its_cells(tmp_path, sign, mark):
    text = f'{mark}question{sign}answer\r\n"Wo hält, oder fährt; der Bus\tnachts\n|und wie oft?"{sign}"{TOLD}"\r\n'
    (row,) = imported(tmp_path, text, "rows.csv").rows
    assert row.example.query == "Wo hält, oder fährt; der Bus\tnachts\n|und wie oft?"


@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, encoding):
    """With `--encoding utf-8` a table as Excel saves it had a column that nobody could name."""
    data = f"\ufeffquery,response\n{ASKED},{TOLD}\n".encode(encoding or "utf-8")
    (row,) = imported(tmp_path, data, "rows.csv", encoding=encoding).rows
    assert row.example.query == ASKED


def test_an_array_and_one_under_a_name_are_read(tmp_path):
    rows = [{"query": ASKED, "response": TOLD}]
    assert len(imported(tmp_path, json.dumps(rows, indent=1), "rows.json").rows) == 1
    assert len(imported(tmp_path, json.dumps({"version": 1, "data": rows}), "rows.json").rows) == 1
    assert len(imported(tmp_path, b"\xef\xbb\xbf" + line(rows[0]).encode()).rows) == 1


def test_parquet_is_read(tmp_path):
    pytest.importorskip("pyarrow")
    from jessyfile.dataset.parquet import write_parquet

    write_parquet(tmp_path / "rows.parquet", [FORMS["ShareGPT"], {"conversations": []}])
    found = import_rows(tmp_path / "rows.parquet", Reading("bus"))
    assert [row.example.query for row in found.rows] == [ASKED]
    assert [fault.line for fault in found.refused] == [2]


def test_columns_of_any_name_can_be_named(tmp_path):
    text = f"Nachricht des Kunden,Wir\n{ASKED},{TOLD}\n"
    with pytest.raises(DatasetError, match="holds no row that can be read") as stop:
        imported(tmp_path, text, "rows.csv")
    assert "`Nachricht des Kunden`" in str(stop.value)
    assert "--query COLUMN --response COLUMN" in stop.value.hint
    (row,) = imported(tmp_path, text, "rows.csv", query="Nachricht des Kunden", response="Wir").rows
    assert row.example.response == TOLD


def test_a_column_that_no_row_has_is_said(tmp_path):
    """A name that was mistyped was passed over in silence, and another column read."""
    found = imported(tmp_path, line(FORMS["query and response"]), query="qeury", response="response")
    assert found.rows[0].example.query == ASKED
    assert found.notes == ("no row has `qeury`, which was named: the usual names are read",)


@pytest.mark.parametrize(("data", "said"), [("", "is empty"), ("query,response\n", "a header alone")])
def test_a_file_without_rows_is_not_asked_for_its_columns(tmp_path, data, said):
    with pytest.raises(DatasetError, match="holds no row that can be read") as stop:
        imported(tmp_path, data, "rows.csv")
    assert said in stop.value.hint
    assert "--query" not in stop.value.hint


def test_a_column_that_is_named_and_not_there_is_told_by_the_columns_that_are(tmp_path):
    """It spoke of a column `response` that the file did not have."""
    (tmp_path / "ab.csv").write_text("a,b\nWho is it?,It is me.\n", "utf-8")
    with pytest.raises(DatasetError, match=r"has no column `q`$") as stop:
        import_rows(tmp_path / "ab.csv", Reading("ab", query="q", response="b"))
    assert stop.value.hint == "it has `a`, `b`"


@pytest.mark.parametrize("header", ["text,query,response,label", "text,RESPONSE,Query,label"])
def test_a_column_that_is_named_is_taken_whatever_the_others_are_called(tmp_path, header):
    """A column `query` further right was read in place of the one that was named."""
    data = f"{header}\n{ASKED},417,418,{TOLD}\n"
    (row,) = imported(tmp_path, data, "rows.csv", query="text", response="label").rows
    assert (row.example.query, row.example.response) == (ASKED, TOLD)


def test_what_cannot_be_read_is_said_once_a_row_and_costs_no_other(tmp_path):
    """One broken line used to refuse a whole file of another tool."""
    good = [
        line(FORMS["messages"]),
        line({"query": "Und am Sonntag, fährt da einer?", "response": "Sonntags fährt keiner, leider."}),
    ]
    bad = {
        "is not JSON": "{broken\n",
        "preference form": line({"prompt": "a", "chosen": "b", "rejected": "c"}),
        "an empty turn of the assistant": line({"query": "Und montags?", "response": " "}),
        "a turn of `tool`": line({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}),
        "not text alone": line({"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
        "do not alternate": line({"messages": [{"role": "user", "content": "a"}] * 2 + [{"role": "assistant", "content": "b"}]}),
        "not to be trained": line({"query": "Und am Fest?", "response": "Am Fest auch nicht.", "train": False}),
        "more than 3000": line({"query": "Erzähl von allen Bussen.", "response": "Der Bus kam nie. " + "ab cd ef " * 500}),
        "holds an e-mail address": line({"query": "Wen frage ich?", "response": "Schreib an hans@muster-bus.de, der weiß es."}),
        "same as row 1": line({"prompt": ASKED + "!", "completion": TOLD}),
        "reads like English": line({"query": "Und der Zug?", "response": "The train leaves the old station at seven."}),
    }  # fmt: skip
    found = imported(tmp_path, good[0] + "".join(bad.values()) + good[1])
    assert [row.example.query for row in found.rows] == [ASKED, "Und am Sonntag, fährt da einer?"]
    said = {fault.line: fault.message for fault in found.refused}
    assert list(said) == list(range(2, 2 + len(bad)))
    for number, words in enumerate(bad, start=2):
        assert words in said[number]


def test_a_row_of_a_table_with_too_many_cells_costs_no_other(tmp_path):
    found = imported(tmp_path, f"query,response\na,b,c\n{ASKED},{TOLD}\nnur eine\n", "rows.csv")
    assert len(found.rows) == 1
    assert [(fault.line, fault.message.split()[0]) for fault in found.refused] == [(2, "has"), (4, "holds")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("Frage;Antwort\nÖffnet ihr?;Natürlich, um sieben.\n".encode("cp1254"), "not UTF-8: byte 0xd6 in row 2"),
        (b"PK\x03\x04rest", "no file of rows"),
        (b"[1, 2", "is not JSON at line 1"),
        (b"[]", "holds no row"),
        (b"", "holds no row"),
    ],
)
def test_a_file_that_is_none_says_what_to_do(tmp_path, data, says):
    with pytest.raises(DatasetError, match=says) as stop:
        imported(tmp_path, data, "rows.csv" if b";" in data else "rows.json")
    assert stop.value.hint


def test_the_letters_of_windows_are_read_when_they_are_named(tmp_path):
    text = "soru;cevap\nKargom nerede kaldı, şubede mi?;Şubede değil, yolda görünüyor şu an.\n"
    with pytest.raises(DatasetError) as stop:
        imported(tmp_path, text.encode("cp1254"), "rows.csv")
    assert "--encoding cp1254" in stop.value.hint
    (row,) = imported(tmp_path, text.encode("cp1254"), "rows.csv", encoding="cp1254").rows
    assert row.example.query == "Kargom nerede kaldı, şubede mi?"


def test_a_conversation_keeps_its_turns_and_loses_its_loose_ends(tmp_path):
    said = [("gpt", "Hallo, was gibt es?"), ("human", "Fährt heute noch ein Bus?"), ("gpt", "Ja, um halb elf."),
            ("human", ASKED), ("gpt", TOLD), ("human", "Danke!")]  # fmt: skip
    found = imported(tmp_path, line({"conversations": [{"from": who, "value": what} for who, what in said]}))
    (row,) = found.rows
    assert [turn.content for turn in row.example.turns] == ["Fährt heute noch ein Bus?", "Ja, um halb elf."]
    assert (row.example.query, row.example.response) == (ASKED, TOLD)
    assert any("lost a greeting" in note for note in found.notes)


def test_the_commonest_system_prompt_becomes_the_recipes(tmp_path):
    rows = [{"system": system, "query": f"Wann fährt Linie {n} am Abend?", "response": f"Linie {n} fährt abends alle {n} Minuten."}
            for n, system in enumerate(["Du fährst Bus.", "Du fährst Bus.", "Sei kurz."], start=20)]  # fmt: skip
    found = imported(tmp_path, "".join(map(line, rows)))
    assert found.system == "Du fährst Bus."
    assert any("1 rows lose another system prompt" in note for note in found.notes)


def test_an_instruction_of_all_rows_is_said_once(tmp_path):
    """Beside every input it would make each row give every held-out one away."""
    found = import_rows(OWN / "town_desk.jsonl", Reading("desk"))
    assert found.system.startswith("Name the town office")
    assert found.rows[0].example.query == "The bin lorry skipped our street again."
    assert {row.example.language for row in found.rows} == {"any"}


FILES = {
    "baeckerei.csv": "de",
    "kargo.jsonl": "tr",
    "planetarium.json": "en",
    "town_desk.jsonl": "any",
    "maktaba.jsonl": "ar",
}


@pytest.mark.parametrize("name", FILES)
def test_the_own_files_are_read_whole_and_a_part_is_held_out(tmp_path, name):
    found = import_rows(OWN / name, Reading("own"))
    assert not found.refused
    assert {row.example.language for row in found.rows} == {FILES[name]}
    held = hold_out(found.rows)
    assert held.known
    assert len(held.asked) >= 8
    assert len(held.asked) + len(held.trained) == len(found.rows)
    known = {row.example.response for row in held.trained}
    assert all(row.example.response in known for row in held.asked)
    write_jsonl(tmp_path / "own.jsonl", cases_of(held, "own"))
    cases, faults = read_cases(tmp_path / "own.jsonl")
    assert (len(cases), faults) == (len(held.asked), [])


def test_rows_whose_answers_are_their_own_are_held_out_too(tmp_path):
    text = "".join(
        line({"query": f"Was kostet Nummer {n} im Laden?", "response": f"Nummer {n} kostet bei uns {n + 3} Euro."})
        for n in range(30)
    )
    held = hold_out(imported(tmp_path, text).rows)
    assert not held.known
    assert 1 <= len(held.asked) <= len(held.trained) / 3


def test_an_answer_passes_only_when_it_is_nearer_than_every_other_answer():
    assert enough_alike("noise", ["noise", "waste", "parks"]) == 0.4
    assert enough_alike("Linie 7 fährt um acht ab", ["Linie 7 fährt um neun ab"]) > 0.7


def test_a_column_of_topics_is_kept_where_each_holds_rows_enough(tmp_path):
    def file(topics):
        rows = (
            f"Was kostet Stück {n} im Laden?,Stück {n} kostet dort {n + 3} Euro.,{topics[n % len(topics)]}\n"
            for n in range(40)
        )
        return "query,response,topic\n" + "".join(rows)

    kept = imported(tmp_path, file(["Preise 1", "Preise 2"]), "rows.csv").rows
    assert {row.example.topic for row in kept} == {"preise_1", "preise_2"}
    assert {row.example.topic for row in imported(tmp_path, file([f"t{n}" for n in range(20)]), "rows.csv").rows} == {
        "bus"
    }


def test_answers_in_json_are_held_field_by_field(tmp_path):
    rows = [
        {"input": f"Bus {n} kommt {n} Minuten zu spät.", "output": {"bus": n, "minuten": n, "grund": None}}
        for n in range(10, 50)
    ]
    held = hold_out(imported(tmp_path, "".join(map(line, rows))).rows)
    assert held.known
    case = cases_of(held, "bus")[0]
    number = int(re.search(r"\d+", case["prompt"])[0])
    assert case["relevance"] == [{"check": "json", "fields": {"bus": number, "minuten": number, "grund": None}}]


def test_a_row_of_two_fields_is_told_what_derives_the_rest():
    """It was told that a response does not belong in a marker row, and named six fields to write."""
    (said,) = schema_faults({"query": ASKED, "response": TOLD})
    assert said.startswith("lacks `complexity`")
    assert said.endswith("which `jessy data import` derives")
