"""An evaluation as JUnit XML, which build servers draw: a test suite a suite, a test a case, and one more a score of the lock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.evaluation.ask_model import ModelEvaluation
    from jessyfile.evaluation.falls import ScoreChange
    from jessyfile.evaluation.scores import Score

_NO_XML = re.compile("[\ufffe\uffff]")
_MARK = b'<testsuites name="jessy eval"'


def is_junit(data: bytes) -> bool:
    """Return whether a file is one that `junit_xml` made."""
    return _MARK in data[:200]


def junit_xml(found: ModelEvaluation, changes: Sequence[ScoreChange]) -> bytes:
    """Return the XML text of an evaluation: a case fails when it fails anything, a score when it fell beyond chance."""
    suites = list(dict.fromkeys(score.case.suite for score in found.scores))
    root = Element("testsuites", name="jessy eval")
    for suite in suites:
        _add_cases(root, found, suite)
    if changes:
        _add_changes(root, changes)
    for count in ("tests", "failures"):
        root.set(count, str(sum(int(one.get(count, "0")) for one in root)))
    root.set("time", _seconds(sum(score.answer.seconds for score in found.scores)))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'.encode()


def _add_cases(root: Element, found: ModelEvaluation, suite: str) -> None:
    scores = [score for score in found.scores if score.case.suite == suite]
    failed = sum(bool(score.failures()) for score in scores)
    seconds = _seconds(sum(score.answer.seconds for score in scores))
    node = _suite(root, suite, len(scores), failed, seconds)
    properties = SubElement(node, "properties")
    for name, value in (("model", found.name), ("digest", found.digest), ("engine", found.engine)):
        SubElement(properties, "property", name=name, value=_clean(value))
    for score in scores:
        _add_case(node, score)


def _add_case(node: Element, score: Score) -> None:
    name, seconds = _clean(score.case.id), _seconds(score.answer.seconds)
    test = SubElement(node, "testcase", classname=_clean(score.case.suite), name=name, time=seconds)
    if failures := score.failures():
        failure = SubElement(test, "failure", message=_clean("; ".join(failures)), type="check")
        failure.text = _clean(f"{score.case.prompt}\n---\n{score.answer.text}")


def _add_changes(root: Element, changes: Sequence[ScoreChange]) -> None:
    node = _suite(root, "scores against the lock", len(changes), sum(change.fell for change in changes), _seconds(0))
    for change in changes:
        test = SubElement(node, "testcase", classname="lock", name=_clean(change.metric), time=_seconds(0))
        if change.fell:
            SubElement(test, "failure", message=_clean(change.said), type="fall")


def _suite(root: Element, name: str, tests: int, failures: int, seconds: str) -> Element:
    counts = {"tests": str(tests), "failures": str(failures), "errors": "0", "skipped": "0"}
    return SubElement(root, "testsuite", {"name": _clean(name), **counts, "time": seconds})


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(text: str) -> str:
    """Return a text in which control characters are written out: XML has no place for most of them."""
    return _NO_XML.sub("\ufffd", printable(text))
