"""An answer that a program reads: its fields decide, one by one, and what was said in place of each value is counted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import by_id, make_answer, make_case, make_recipe
from jsonschema import Draft202012Validator

from jessyfile.dataset.rows import load_rows
from jessyfile.evaluation.cases import Case, Check, read_cases
from jessyfile.evaluation.fields import wanted_fields
from jessyfile.evaluation.scores import misses
from jessyfile.evaluation.verdict import Took, Verdict, judge, read_verdict, write_verdict
from jessyfile.resources import resource

TICKET = (("queue", '"billing"'), ("order", "null"))


def ticket(name: str = "tickets-001", *wanted: tuple[str, str], **values: Any) -> Case:
    check = Check("json", fields=wanted or TICKET, **values)
    return make_case(name, "tickets", language="any", relevance=(check,))


def said(queue: object, order: object = None) -> str:
    return json.dumps({"queue": queue, "order": order})


def judged(folder: Path, evaluation: str, cases: list[Case], texts: list[str]) -> Verdict:
    """Return the verdict on answers without a marker."""
    recipe = make_recipe(folder, f"  SUITE tickets\n{evaluation}")
    bare = replace(recipe, complexity=replace(recipe.complexity, marker=None))
    answers = [make_answer(case.id, text, level=None, iterations=None) for case, text in zip(cases, texts, strict=True)]
    return judge(bare, cases, by_id(*answers), {}, Took())


@pytest.mark.parametrize(
    "text",
    [
        '{"queue": "billing", "order": null}',
        '{"order":null,"queue":"billing"}',
        ' {\n "queue": "billing",\n "order": null }\n',
        '{"queue": "\\u0062illing", "order": null}',
    ],
)
def test_the_order_of_fields_and_white_space_say_nothing(text: str) -> None:
    assert misses(ticket(), text) == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not one JSON object"),
        ("billing", "is not one JSON object"),
        ('["billing"]', "is not one JSON object"),
        ('Sure! {"queue": "billing", "order": null}', "is not one JSON object"),
        ('{"queue": "billing", "order": null} {}', "is not one JSON object"),
        ('{"queue": "billing", "order": null, "queue": "other"}', "is not one JSON object"),
        ('{"queue": "billing", "order": NaN}', "is not one JSON object"),
        ('{"queue": "billing"' + "[" * 9000, "is not one JSON object"),
        ('{"queue": "billing"}', "has no `order`"),
        ('{"queue": "Billing", "order": null}', 'queue is "Billing", not "billing"'),
        ('{"queue": "billing", "order": "null"}', 'order is "null", not null'),
        ('{"queue": "billing", "order": null, "why": "card"}', "has `why` besides"),
    ],
)
def test_what_is_wrong_is_said(text: str, fault: str) -> None:
    assert misses(ticket(), text) == (fault,)


def test_other_fields_may_stand_beside_where_the_case_says_so() -> None:
    assert misses(ticket(others=True), '{"queue": "billing", "order": null, "why": "card"}') == ()


@pytest.mark.parametrize(
    ("wanted", "text", "right"),
    [
        ("5", "5.0", True),
        ("5", '"5"', False),
        ("1", "true", False),
        ('["a","b"]', '["a", "b"]', True),
        ('["a","b"]', '["b", "a"]', False),
        ('"iade"', '"i\u0307ade"', False),
        ('"görüş"', '"go\u0308ru\u0308s\u0327"', True),
    ],
)
def test_values_are_compared_as_json_has_them(wanted: str, text: str, right: bool) -> None:
    assert (misses(ticket("tickets-001", ("value", wanted)), f'{{"value": {text}}}') == ()) is right


def test_the_right_json_is_right_however_many_questions_it_answers(tmp_path: Path) -> None:
    """Sentences that four questions got answered none of them, and one queue is right for many a message."""
    cases = [ticket(f"tickets-{n}") for n in range(6)]
    found = judged(tmp_path, "  MUST tickets.relevance > 90%\n  MUST tickets.form > 90%", cases, [said("billing")] * 6)
    assert found.failed == ()


def test_every_field_has_a_share_and_a_table_of_what_was_said(tmp_path: Path) -> None:
    wanted = ["billing", "billing", "billing", "returns", "returns"]
    cases = [ticket(f"tickets-{n}", ("queue", f'"{one}"'), ("order", "null")) for n, one in enumerate(wanted)]
    texts = [said("billing"), said("returns"), "no", said("returns", "123"), said("sales")]
    found = judged(tmp_path, "  MUST tickets.field.queue > 30%\n  MAY tickets.relevance > 90%", cases, texts)
    assert found.failed == ()
    assert {
        name: round(found.metrics[f"tickets.{name}"].after.value or 0, 2) for name in ("field.queue", "field.order")
    } == {
        "field.queue": 0.4,
        "field.order": 0.6,
    }
    queue, order = found.fields()
    assert (queue.suite, queue.field, queue.columns) == (
        "tickets",
        "queue",
        ("billing", "returns", "another", "no field"),
    )
    assert queue.rows == (("billing", (1, 1, 0, 1), 3), ("returns", (0, 1, 1, 0), 2))
    assert order.rows == (("null", (3, 1, 1), 5),)


def test_a_field_of_many_values_is_counted_by_whether_it_was_the_right_one(tmp_path: Path) -> None:
    numbers = [f'"{n}"' for n in range(20)]
    cases = [ticket(f"tickets-{n}", ("order", one)) for n, one in enumerate([*numbers, "null"])]
    texts = ['{"order": "0"}', '{"order": "7"}', '{"order": null}', *["{}"] * 17, '{"order": "3"}']
    (order,) = judged(tmp_path, "", cases, texts).fields()
    assert order.columns == ("the value", "null", "another", "no field")
    assert order.rows == (("the value", (1, 1, 1, 17), 20), ("null", (0, 0, 1, 0), 1))


def test_a_verdict_with_fields_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    found = judged(tmp_path, "", [ticket()], [said("other")])
    write_verdict(tmp_path, found)
    assert read_verdict(tmp_path).fields() == found.fields()


def test_a_case_may_want_any_value_of_json_and_no_object_within(tmp_path: Path) -> None:
    body = {"id": "t-1", "suite": "t", "prompt": "a", "level": "low", "language": "any"}
    fields: list[object] = [{"n": 1.5, "list": ["a", 2]}, {}, {"deep": {"a": 1}}]
    lines = [json.dumps(body | {"relevance": [{"check": "json", "fields": one}]}) for one in fields]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    cases, faults = read_cases(path)
    assert wanted_fields(cases[0]) == {"n": "1.5", "list": '["a",2]'}
    assert [fault.line for fault in faults] == [2, 3]


@pytest.mark.parametrize(("suite", "each"), [("tickets", 20), ("tickets_fresh", 10)])
def test_the_shipped_tickets_ask_for_every_queue_as_often(suite: str, each: int) -> None:
    """A queue that few cases ask for, or a case that asks for a number it does not name, would measure something else."""
    cases, faults = read_cases(resource("data", "eval", f"{suite}.jsonl"))
    assert (faults, len(cases)) == ([], 6 * each)
    wanted = [wanted_fields(case) for case in cases]
    queues = [one["queue"] for one in wanted]
    assert {queue: queues.count(queue) for queue in queues} == dict.fromkeys(dict.fromkeys(queues), each)
    orders = [(case, json.loads(one["order"])) for case, one in zip(cases, wanted, strict=True)]
    assert all(order is None or order in case.prompt for case, order in orders)


def test_rows_of_tickets_answer_as_the_cases_are_asked() -> None:
    """A row that answers in another form, or with a word that no case knows, teaches what fails."""
    known = [wanted_fields(case) for case in read_cases(resource("data", "eval", "tickets.jsonl"))[0]]
    rows, faults = load_rows(
        [(path, path.stem) for path in sorted(resource("data", "seeds", "tickets").glob("*.jsonl"))]
    )
    assert (faults, len(rows)) == ([], 360)
    for row in rows:
        body = json.loads(row.example.response or "")
        assert list(body) == list(known[0]), row.place
        assert body["queue"] == row.example.topic
        assert all(json.dumps(body[name]) in {one[name] for one in known} for name in ("queue", "urgency")), row.place
        assert body["order"] is None or body["order"] in row.example.query, row.place


@pytest.mark.parametrize("suite", ["home", "home_first"])
def test_what_is_said_to_a_house_asks_for_every_device(suite: str) -> None:
    """A device that few cases ask for would be measured by luck."""
    cases, faults = read_cases(resource("data", "eval", f"{suite}.jsonl"))
    devices = Counter(wanted_fields(case)["device"] for case in cases)
    assert (faults, len(devices)) == ([], 6)
    assert max(devices.values()) <= 1.3 * min(devices.values())


def test_rows_of_a_house_answer_as_the_cases_are_asked() -> None:
    """A row that answers in another form, or with a word that no case knows, teaches what fails."""
    known = [wanted_fields(case) for case in read_cases(resource("data", "eval", "home.jsonl"))[0]]
    files = sorted(resource("data", "seeds", "home").glob("*.jsonl"))
    rows, faults = load_rows([(path, path.stem) for path in files])
    assert (faults, len(files)) == ([], 6)
    for row in rows:
        body = json.loads(row.example.response or "")
        assert list(body) == ["device", "room"], row.place
        assert body["device"] == row.example.topic, row.place
        assert all(json.dumps(value) in {one[name] for one in known} for name, value in body.items()), row.place


@pytest.mark.parametrize(
    ("schema", "suites"), [("ticket", ("tickets", "tickets_fresh")), ("home", ("home", "home_first"))]
)
def test_every_case_fits_the_schema_that_answers_may_be_held_to(schema: str, suites: tuple[str, ...]) -> None:
    """A schema that allows less than the cases ask for would fail answers by itself."""
    body = json.loads(Path(resource("data").parent, "docs", "examples", f"{schema}.schema.json").read_text("utf-8"))
    cases = [case for name in suites for case in read_cases(resource("data", "eval", f"{name}.jsonl"))[0]]
    answers = [{name: json.loads(value) for name, value in wanted_fields(case).items()} for case in cases]
    assert not [answer for answer in answers if any(Draft202012Validator(body).iter_errors(answer))]
