"""Rows between a file and an example: judged by the schema on the way in, with the place each came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from jessyfile.dataset.example import TrainingExample, Turn, texts_of
from jessyfile.dataset.labels import Category
from jessyfile.resources import resource
from jessyfile.text.json_lines import Fault, Line, read_jsonl
from jessyfile.text.row_forms import form_of
from jessyfile.text.turkish import nfc


@dataclass(frozen=True, slots=True)
class Row:
    """An example, where it came from (`file:line`, a template, the teacher), and its paraphrase group.

    Rows of one non-empty group say the same thing in other words and stay on one side of the split.
    """

    example: TrainingExample
    place: str
    group: str = ""
    _id: str = field(default="", init=False, repr=False, compare=False)  # once somebody asked for it

    @property
    def text(self) -> str:
        """Everything that was said, one turn a line."""
        texts = texts_of(self.example)
        return "\n".join(texts[: len(texts) - len(self.example.paraphrases)])

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that depend on what was said alone: one more wording changes no choice and no split."""
        if not self._id:
            value = to_json(self.example)
            value.pop("paraphrases", None)
            canonical = json.dumps(value, ensure_ascii=False, sort_keys=True)
            object.__setattr__(self, "_id", hashlib.sha256(canonical.encode("utf-8")).hexdigest()[:16])
        return self._id


def to_json(example: TrainingExample) -> dict[str, Any]:
    """Return a row as the schema has it, keys in the contract's order."""
    value: dict[str, Any] = {}
    if example.turns:
        value["turns"] = [_turn_json(turn) for turn in example.turns]
    value["query"] = example.query
    if example.paraphrases:
        value["paraphrases"] = list(example.paraphrases)
    if example.response is not None:
        value["response"] = example.response
    value |= {"complexity": example.level, "iterations": example.iterations_needed}
    value |= {"category": example.category.value, "topic": example.topic, "language": example.language.value}
    return value | {"tags": list(example.tags), "source": example.source}


def _turn_json(turn: Turn) -> dict[str, Any]:
    value: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.complexity is not None:
        value |= {"complexity": turn.complexity, "iterations": turn.iterations}
    return value


def from_json(value: Mapping[str, Any], spell: Callable[[str], str] = nfc) -> TrainingExample:
    """Build an example from an object that the schema has passed; text is brought to NFC, or spelt otherwise."""
    response = value.get("response")
    return TrainingExample(
        query=spell(value["query"]),
        response=None if response is None else spell(response),
        complexity=value["complexity"],
        iterations_needed=value["iterations"],
        category=Category.named(value["category"]),
        topic=value["topic"],
        language=value["language"],
        turns=(_turn(turn, spell) for turn in value.get("turns", ())),
        tags=value.get("tags", ()),
        source=value["source"],
        paraphrases=map(spell, value.get("paraphrases", ())),
    )


def _turn(value: Mapping[str, Any], spell: Callable[[str], str]) -> Turn:
    return Turn(value["role"], spell(value["content"]), value.get("complexity"), value.get("iterations"))


@cache
def _validator() -> Any:  # noqa: ANN401 (jsonschema ships no types)
    from jsonschema import Draft202012Validator

    schema = json.loads(resource("grammar", "example.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def schema_faults(value: Mapping[str, Any], rules: Collection[str] | None = None) -> list[str]:
    """Return what the schema says against an object, one sentence a fault, at most five; one sentence in all for a row
    in the form of another tool. `rules` are the schema's keywords to be held to, None for all."""
    validator = _validator()
    if validator.is_valid(value):
        return []
    found = (error for error in validator.iter_errors(value) if rules is None or error.validator in rules)
    errors = list(found)
    missing = _missing(errors)
    form = form_of(value)
    if form is not None and missing:
        rest = [key for key in missing.get("", ()) if key not in ("query", "response")]
        return [f"is in the {form.name} form: {form.reading}; it lacks {_quoted(rest)}"]
    said = sentences(errors)
    derived = {"query", "response"} <= value.keys() and said and said[0].startswith("lacks ")
    return [f"{said[0]}, which `jessy data import` derives", *said[1:]] if derived else said


def sentences(errors: Iterable[Any]) -> list[str]:
    """Return what jsonschema found against an object, one sentence a fault, at most five."""
    errors = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    missing = _missing(errors)
    lacking = [f"{f'`{where}` ' if where else ''}lacks {_quoted(keys)}" for where, keys in missing.items()]
    others = [_sentence(error) for error in errors if error.validator != "required"]
    return [*lacking, *dict.fromkeys(others)][:5]


def _missing(errors: Sequence[Any]) -> dict[str, list[str]]:
    """Return the fields that are missing, by the place that lacks them; the schema says each several times."""
    found: dict[str, list[str]] = {}
    for error in errors:
        if error.validator == "required":
            keys = found.setdefault(_where(error), [])
            keys += [key for key in error.validator_value if key not in error.instance and key not in keys]
    return found


def _quoted(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key[:40]}`" for key in keys)


def _where(error: Any) -> str:  # noqa: ANN401 (jsonschema's ValidationError)
    return ".".join(str(part) for part in error.absolute_path)


def _sentence(error: Any) -> str:  # noqa: ANN401 (jsonschema's ValidationError)
    if error.validator == "additionalProperties":
        extra = sorted(set(error.instance) - set(error.schema["properties"]))
        return f"unknown field{'s' if len(extra) > 1 else ''} {_quoted(extra[:5])}"
    if error.validator == "dependentRequired":
        return "has one of `level` and `iterations` without the other"
    if error.schema is False:
        return "`response` does not belong in a marker row"
    return f"`{_where(error)}` {_rule(error)}"


def _rule(error: Any) -> str:  # noqa: ANN401 (jsonschema's ValidationError)
    limit, value = error.validator_value, error.instance
    rules = {
        "type": f"is not {limit}",
        "enum": f"is {_short(value)}, not one of {', '.join(map(str, limit)) if isinstance(limit, list) else ''}",
        "minLength": f"has {len(value) if isinstance(value, str) else 0} characters, at least {limit} are needed",
        "maxLength": f"has more than {limit} characters",
        "minimum": f"is {_short(value)}, less than {limit}",
        "maximum": f"is {_short(value)}, more than {limit}",
        "pattern": f"is {_short(value)}, which does not match {limit}",
        "maxItems": f"has more than {limit} items",
        "uniqueItems": "holds an item twice",
        "minItems": "is empty",
    }
    return rules.get(error.validator, "does not fit the schema")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def read_rows(path: Path, name: str | None = None) -> Iterator[Row | Fault]:
    """Yield the rows of a seed file, each judged by the schema; what fails is a Fault with its line."""
    shown = name or str(path)
    for item in read_jsonl(path, shown):
        if isinstance(item, Fault):
            yield item
            continue
        faults = schema_faults(item.value)
        yield from (Fault(shown, item.number, fault) for fault in faults)
        if not faults:
            yield _row(item, shown)


def _row(line: Line, name: str) -> Row:
    return Row(from_json(line.value), f"{name}:{line.number}")


def load_rows(paths: Sequence[tuple[Path, str]]) -> tuple[list[Row], list[Fault]]:
    """Read several files, each with the name that stands for it; return rows and faults apart."""
    items = [item for path, name in paths for item in read_rows(path, name)]
    return [i for i in items if isinstance(i, Row)], [i for i in items if isinstance(i, Fault)]


def stored_row(value: Mapping[str, Any]) -> Row:
    """Read back a row that a step of ours wrote (`store_row`)."""
    return Row(from_json(value), value["place"], value["group"])


def store_row(row: Row) -> dict[str, Any]:
    """Return a row as one step hands it to the next: the contract's fields, its place and its group."""
    return to_json(row.example) | {"place": row.place, "group": row.group}


def with_query(row: Row, query: str, source: str) -> Row:
    """Return the row with its last user turn rewritten; it joins the group of the row it came from."""
    return Row(replace(row.example, query=query, source=source), row.place, row.group or row.id)


def alone(row: Row) -> Row:
    """Return the row with its query alone: its other wordings are the original's."""
    return Row(replace(row.example, paraphrases=()), row.place, row.group) if row.example.paraphrases else row
