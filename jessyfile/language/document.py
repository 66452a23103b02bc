"""Merged settings -> the recipe's JSON document, defaults filled in, in the order of the table."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from jessyfile.language.table import Address, Schema, document_schema

if TYPE_CHECKING:
    from jessyfile.language.layer import Layer

Document = dict[str, Any]


def build_document(merged: Layer) -> Document:
    """Return the document of what was written and of every default."""
    written: Document = {}
    for address in merged.entries:
        _at(written, address)
    for address, setting in merged.settings.items():
        _at(written, address[:-1])[address[-1]] = setting.value
    document: Document = _filled(document_schema(), written)
    _inherit(document)
    if not written.get("eval", {}).get("suite"):
        _answer_what_is_judged(document)
    return document


def complete_document(written: Document) -> Document:
    """Return a whole document of what is written and of every default."""
    document: Document = _filled(document_schema(), written)
    return document


def complete(block: str, written: Document) -> Document:
    """Return one block's document of what is written, `complete("lora", {"rank": 8})`, and of every default."""
    document: Document = _filled(document_schema()["properties"][block], written)
    return document


def _at(document: Document, address: Address) -> Document:
    for part in address:
        inner = document.setdefault(part, {})
        document = inner
    return document


def _filled(schema: Schema, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a value with the defaults of everything inside it, whole numbers as fractions where the schema has those."""
    if not isinstance(value, dict):
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if is_whole and "number" in schema.get("type", ()) else value
    properties: Schema = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    found: Document = {}
    for name, inner in properties.items():
        if name in value or "default" in inner:
            found[name] = _filled(inner, value[name] if name in value else deepcopy(inner["default"]))
    for name, inside in value.items():
        if name not in properties:
            found[name] = _filled(extra, inside) if isinstance(extra, dict) else inside
    return found


def _inherit(document: Document) -> None:
    """Give every topic the language and level of its category, and every category the share of DATASET that is learned, where it has
    none of its own.
    """
    dataset = document.get("dataset", {})
    for category in dataset.get("category", {}).values():
        if category.get("learn") is None:
            category["learn"] = dataset.get("learn", 1.0)
        for topic in category.get("topic", {}).values():
            for name in ("language", "level"):
                if topic.get(name) is None:
                    topic[name] = category.get(name)


def _answer_what_is_judged(document: Document) -> None:
    """Where no SUITE is written, answer the shipped suites that the criteria name alone, all of them when none is named."""
    from jessyfile.language.metric_table import metric_suites

    evaluation = document.get("eval", {})
    named = {suite for metric in evaluation.get("criterion", {}) for suite in metric_suites(metric)}
    judged = {name: suite for name, suite in evaluation.get("suite", {}).items() if name in named}
    evaluation["suite"] = judged or evaluation.get("suite", {})
