"""An answer that is one JSON object: which of its fields are right, and what was said in place of each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.planning.canonical import canonical
from jessyfile.text.json_lines import parse_value
from jessyfile.text.turkish import nfc

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case, Check
    from jessyfile.evaluation.scores import Score

VALUE, OTHER, NOTHING = "the value", "another", "no field"
_FEW = 12  # values that a table names one by one; of more, such as order numbers, it counts the right ones
_SHOWN = 60


def said_fields(text: str) -> Mapping[str, str] | None:
    """Return the fields of an answer that is one JSON object and nothing else, each value in its one spelling; None for any other."""
    text = nfc(text.strip())
    value, length = parse_value(text)
    if not isinstance(value, dict) or length != len(text):
        return None
    return {name: canonical(one) for name, one in value.items()}


def right_fields(check: Check, answer: str, _: str = "") -> bool:
    """Return whether an answer has every field as it is wanted, and no other unless `others` are allowed."""
    return not any(field_faults(check, answer))


def field_faults(check: Check, answer: str) -> Iterator[str]:
    """Yield in words what is wrong with an answer that should be one JSON object."""
    said = said_fields(answer)
    if said is None:
        yield "is not one JSON object"
        return
    for name, wanted in check.fields:
        if name not in said:
            yield f"has no `{name}`"
        elif said[name] != wanted:
            yield f"{name} is {said[name][:_SHOWN]}, not {wanted[:_SHOWN]}"
    beside = [] if check.others else sorted(said.keys() - dict(check.fields))
    if beside:
        yield f"has {', '.join(f'`{name[:_SHOWN]}`' for name in beside[:3])} besides"


def wanted_fields(case: Case) -> dict[str, str]:
    """Return the fields that a case asks for, each value in its one spelling."""
    return {name: value for check in case.relevance for name, value in check.fields}


def field_right(score: Score, name: str) -> bool | None:
    """Return whether an answer has one field right; None where the case does not ask for it."""
    wanted = wanted_fields(score.case).get(name)
    return None if wanted is None else (said_fields(score.answer.text) or {}).get(name) == wanted


def field_metrics(cases: Iterable[Case]) -> list[str]:
    """Return the metric of every field that cases ask for, `tickets.field.queue`."""
    return list(dict.fromkeys(f"{case.suite}.field.{name}" for case in cases for name in wanted_fields(case)))


@dataclass(frozen=True, slots=True)
class FieldTable:
    """How often a field was answered with each value: `rows` hold the wanted value, counts by `columns`, and the total."""

    suite: str
    field: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]


def field_tables(scores: Sequence[Score]) -> list[FieldTable]:
    """Return the confusion of every field that cases ask for, suite by suite, in the order of the cases."""
    asked = dict.fromkeys((one.case.suite, name) for one in scores for name in wanted_fields(one.case))
    return [_table(suite, name, [one for one in scores if one.case.suite == suite]) for suite, name in asked]


def _table(suite: str, field: str, scores: Sequence[Score]) -> FieldTable:
    both = [(wanted_fields(one.case).get(field), said_fields(one.answer.text) or {}) for one in scores]
    pairs = [(wanted, said.get(field, NOTHING)) for wanted, said in both if wanted is not None]
    if len({wanted for wanted, _ in pairs}) > _FEW:
        pairs = [_open(wanted, said) for wanted, said in pairs]
    values = list(dict.fromkeys(wanted for wanted, _ in pairs))
    pairs = [(wanted, said if said in (*values, NOTHING) else OTHER) for wanted, said in pairs]
    columns = [*values, *(one for one in (OTHER, NOTHING) if any(said == one for _, said in pairs))]
    counts = [tuple(pairs.count((value, column)) for column in columns) for value in values]
    plain = tuple(column.strip('"') for column in columns)
    return FieldTable(suite, field, plain, tuple((plain[at], row, sum(row)) for at, row in enumerate(counts)))


def _open(wanted: str, said: str) -> tuple[str, str]:
    """Return a pair of a field with too many values for a table: whether there should be one, and whether it was the right one."""
    value = VALUE if said == wanted else OTHER
    return ("null" if wanted == "null" else VALUE), (said if said in ("null", NOTHING) else value)
