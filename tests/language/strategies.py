"""Hypothesis strategies: whole recipes drawn from the table, and texts near to recipes."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from jessyfile.language.document import build_document
from jessyfile.language.layer import Layer, Setting
from jessyfile.language.metric_table import metric_names, metric_unit, needs_references
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.table import Node, Schema, is_array, item_schema, root, unit_of

NAMES = st.from_regex(r"\A[a-z][a-z0-9_-]{0,11}\Z").filter(lambda n: n not in ("none", "baseline"))
TEXTS = st.text(
    st.one_of(
        st.sampled_from(list("çğıöşüÇĞİÖŞÜ \n\t\"\\${}#'`/")),
        st.sampled_from(string.ascii_letters + string.digits + string.punctuation),
        st.characters(exclude_categories=("Cc", "Cs", "Cf")),
    ),
    min_size=1,
    max_size=60,
).map(lambda t: t.replace("\u2028", " "))
_PLACE = Span(SourceFile("drawn", ""), 0, 0)


def numbers(schema: Schema, *, whole: bool) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) + 1000))
    if whole:
        return st.integers(low, min(high, 10**9))
    return (
        st.floats(
            low,
            min(high, 1e9),
            allow_nan=False,
            exclude_min="exclusiveMinimum" in schema,
            exclude_max="exclusiveMaximum" in schema,
        )
        .map(lambda x: 0.0 if abs(x) < 1e-12 and "exclusiveMinimum" not in schema else x)
        .filter(lambda x: x == 0 or abs(x) > 1e-12)
    )


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Draw one value that a schema takes."""
    unit = unit_of(schema)
    if is_array(schema):
        size = {"min_size": max(1, schema.get("minItems", 1)), "max_size": schema.get("maxItems", 4)}
        return st.lists(values(item_schema(schema)), unique=bool(schema.get("uniqueItems")), **size)
    if unit == "range":
        return st.tuples(st.integers(1, 99), st.integers(1, 99)).map(sorted).map(list)
    if unit == "choice":
        return st.sampled_from([c for c in schema["enum"] if c is not None])
    if unit == "boolean":
        return st.booleans()
    if unit == "integer":
        return numbers(schema, whole=True)
    if unit in ("number", "share", "seconds", "period"):
        return numbers(schema, whole=False)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(
            lambda t: t.isprintable() and len(t) <= schema.get("maxLength", 100)
        )
    return TEXTS.map(lambda t: t[: schema.get("maxLength", 200)])


def rest(
    draw: Any, node: Node, prefix: tuple[str, ...], found: dict[tuple[str, ...], Any], *, skip: tuple[str, ...] = ()
) -> None:
    """Draw some of the plain values inside a block."""
    for name, inner in node.nodes.items():
        if (
            name in skip
            or inner.kind not in ("value", "list")
            or inner.unit in ("path", "folder", "model", "rooted", "criterion")
        ):
            continue
        if draw(st.booleans()):
            found[(*prefix, name)] = draw(values(inner.schema))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the document of a whole recipe without mistakes."""
    found: dict[tuple[str, ...], Any] = {
        ("jessy",): 1,
        ("name",): draw(values(root().nodes["name"].schema)),
        ("from",): draw(st.sampled_from(["gemma:2b", "hf:a/b-C", "hf.co/x/y:Q4", "q/w:e"])),
    }
    for name in ("system", "template"):
        if draw(st.booleans()):
            found[(name,)] = draw(TEXTS)
    if draw(st.booleans()):
        found[("license",)] = draw(st.lists(TEXTS, min_size=1, max_size=2))
        found[("message",)] = draw(
            st.lists(
                st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXTS}),
                min_size=1,
                max_size=3,
            )
        )
    levels = _levels(draw, found)
    _categories(draw, found, levels)
    for block in ("personality", "lora", "train", "export", "watch", "deploy"):
        rest(draw, root().nodes[block], (block,), found, skip=("always", "never", "often"))
    rest(draw, root().nodes["dataset"], ("dataset",), found)
    rest(draw, root().nodes["dataset"].nodes["augment"], ("dataset", "augment"), found)
    for kind in ("always", "never", "often"):
        if draw(st.booleans()):
            found[("personality", kind)] = draw(
                st.lists(TEXTS.filter(lambda t: not t.startswith("/")), min_size=1, max_size=2)
            )
    found[("train", "batch_size")] = 1024
    if draw(st.booleans()):
        _teacher(draw, found)
    for name, schema in root().nodes["parameter"].schema["properties"].items():
        if draw(st.integers(0, 4)) == 0:
            found[("parameter", name)] = draw(values(schema))
    _criteria(draw, found, levels)
    return build_document(Layer({address: Setting(value, _PLACE) for address, value in _fitting(found)}))


def _fitting(found: dict[tuple[str, ...], Any]) -> list[tuple[tuple[str, ...], Any]]:
    """Leave out what asks for more than its own value: `learn` for RETRIEVE, which is not drawn, `refine` for another category's rows.
    FEEDBACK names a category that was drawn."""
    if found.get(("dataset", "feedback")) is not None:
        found[("dataset", "feedback")] = next(address[2] for address in found if address[:2] == ("dataset", "category"))
    return [(address, value) for address, value in found.items() if address[-1] not in ("learn", "refine")]


def _levels(draw: st.DrawFn, found: dict[tuple[str, ...], Any]) -> list[str]:
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    at = 1
    for name in names:
        size = draw(st.integers(0, 9))
        found[("complexity", "level", name, "iterations")] = [at, at + size]
        if draw(st.booleans()):
            found[("complexity", "level", name, "within")] = draw(
                numbers({"exclusiveMinimum": 0, "maximum": 1e6}, whole=False)
            )
        at += size + 1
    if draw(st.booleans()):
        found[("complexity", "marker")] = draw(
            st.sampled_from([None, "{level}{iterations}", '"{iterations}" \\ {level} ç', "<{level} ${iterations}>"])
        )
    return names or ["low", "medium", "high"]


def _categories(draw: st.DrawFn, found: dict[tuple[str, ...], Any], levels: list[str]) -> None:
    for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=4)):
        place = ("dataset", "category", name)
        topics = draw(st.dictionaries(NAMES, st.integers(1, 1000), max_size=4))
        found[(*place, "count")] = sum(topics.values()) or draw(st.integers(1, 1000))
        if draw(st.booleans()):
            found[(*place, "title")] = draw(TEXTS)
        for where in (place, *((*place, "topic", topic) for topic in topics)):
            found[(*where, "language")] = draw(st.sampled_from(["tr", "en", "mixed", None]))
            found[(*where, "level")] = draw(st.sampled_from([*levels, None]))
        for topic, count in topics.items():
            found[(*place, "topic", topic, "count")] = count


def _teacher(draw: st.DrawFn, found: dict[tuple[str, ...], Any]) -> None:
    for block, place in (("dataset", "teacher"), ("eval", "judge")):
        node = root().nodes[block].nodes[place]
        found[(block, place, "model")] = draw(st.sampled_from(["qwen3:8b", "a b", "x"]))
        found[(block, place, "url")] = draw(st.sampled_from(["http://127.0.0.1:1/v1", "https://h/#a"]))
        rest(draw, node, (block, place), found, skip=("model", "url"))


def _criteria(draw: st.DrawFn, found: dict[tuple[str, ...], Any], levels: list[str]) -> None:
    known = (
        [m for m in metric_names() if "<" not in m]
        + [f"latency.{level}" for level in levels]
        + ["turkish.form", "emotional.relevance"]
    )
    for metric in draw(st.lists(st.sampled_from(known), unique=True, max_size=5)):
        place = ("eval", "criterion", metric)
        share = metric_unit(metric) == "share"
        found[(*place, "rank")] = draw(st.sampled_from(["must", "should", "may"]))
        found[(*place, "comparison")] = draw(st.sampled_from([">=", "<="]))
        relative = metric != "training_time" and draw(st.booleans())
        found[(*place, "value")] = (
            "baseline" if relative else draw(numbers({"minimum": 0, "maximum": 1 if share else 1e5}, whole=False))
        )
        if share and not relative and draw(st.booleans()):
            some = numbers({"minimum": 0.5, "maximum": 0.9999}, whole=False)
            found[(*place, "confidence")] = 0.95 if needs_references(metric) else draw(some)


WORDS = ["JESSY 1", "NAME", "FROM", "LORA {", "}", "{", "rank 16", "SYSTEM", '"""', '"', "TRAIN { epochs 3 }", "${x}", "$${", "ARG x = 1", "LET y = ${x}",
         "# note", "CATEGORY a 5 {", "TOPIC b 5", "MUST personality > 90%", "EXTENDS", "INCLUDE", "VARIANT v {", "DROP", "FILE", "16", "10%", "5s", "1-2", "8GB", "\\",
         "\u00a0", "\u202e", "\x00", "ı", "İ", "日本", "🙂", "\r\n", "\t", "1e999", "-1", "http://x", "./a", "~", "<=", "\ufeff", "EVAL {", "WATCH { debounce 1s max_retrains 3 per day }"]  # fmt: skip
NEAR_RECIPES = st.lists(
    st.tuples(st.sampled_from(WORDS) | st.text(max_size=5), st.sampled_from([" ", "\n", "", "  ", "\n\n"])), max_size=60
).map(lambda pairs: "".join(a + b for a, b in pairs))
