"""The report: complete, self-contained, and safe to open whatever a model has said."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_fakes import make_result

from jessyfile.report import write_report
from jessyfile.report.page import render_page
from jessyfile.results.outcome import chance
from jessyfile.text.printable import printable

HOSTILE = '<script>alert(1)</script> pilav \u202egnp.exe \x1b[31m\' onload="x" </style> {{ 7*7 }} yap'


class Tags(HTMLParser):
    """Counts tags, checks that they close in order, and keeps every attribute."""

    VOID = frozenset({"meta", "line", "circle", "polyline", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_it_shows_everything_that_a_run_left_behind(tmp_path: Path) -> None:
    recipe, result = make_result(tmp_path)
    path = write_report(recipe, tmp_path, result)
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "runs" / "7" / "report.html"
    for section in ("verdict", "before", "levels", "latency", "training", "answers", "data", "made"):
        assert f'<section id="{section}">' in text
    for words in (
        "turkish_accuracy &gt; 60%",
        "n = 6",
        "120 of 300 tokens",
        "<dd>24</dd>",
        "promoted to tiny:latest",
        "<dd>q4 computed in float32</dd>",
        "what is served is not exactly what was trained",
        "ab" * 32,
    ):
        assert words in text
    tags = Tags(text)
    assert tags.open == []
    assert tags.seen.count("article") == 6


def test_it_loads_nothing(tmp_path: Path) -> None:
    recipe, result = make_result(tmp_path)
    tags = Tags(render_page(recipe, result))
    assert {"link", "img", "iframe", "object", "base", "form"}.isdisjoint(tags.seen)
    assert [value for name, value in tags.attributes if name == "src"] == []
    assert all((value or "").startswith("#") for name, value in tags.attributes if name == "href")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'") in tags.attributes


def test_what_a_model_said_stays_text(tmp_path: Path) -> None:
    """An answer may hold markup, a template, terminal codes or letters that turn the direction of the text."""
    recipe, result = make_result(tmp_path, HOSTILE)
    text = render_page(recipe, result)
    tags = Tags(text)
    assert tags.seen.count("script") == 1
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "{{ 7*7 }}" in text
    assert r"\u001b[31m" in text


@pytest.mark.parametrize("kept", [(), ("train",), ("judge",), ("dataset", "encode")])
def test_parts_whose_step_was_left_out_are_missing_not_broken(tmp_path: Path, kept: tuple[str, ...]) -> None:
    recipe, result = make_result(tmp_path)
    part = replace(result, steps=tuple(step for step in result.steps if step.name in kept))
    text = render_page(recipe, part)
    assert Tags(text).open == []
    assert ('<section id="verdict">' in text) == ("judge" in kept)
    assert ('<section id="training">' in text) == ("train" in kept)


def test_every_link_in_the_page_leads_somewhere(tmp_path: Path) -> None:
    recipe, result = make_result(tmp_path)
    text = render_page(recipe, result)
    ids = set(re.findall(r'\bid="([a-z]+)"', text))
    assert set(re.findall(r'href="#([a-z]+)"', text)) <= ids


def test_hidden_characters_are_made_visible() -> None:
    assert printable("a\u200bb\x07\n\tc\u2066") == "a\\u200bb\\u0007\n\tc\\u2066"


def test_chances_are_said_as_readers_want_them() -> None:
    assert (chance(0.03125), chance(1.0), chance(1e-9)) == ("= 0.031", "= 1", "< 0.001")


def test_what_each_stage_keeps_stands_in_a_table_that_a_phone_can_scroll(tmp_path: Path) -> None:
    """It stood bare on the page and ran out of it at the width of a phone."""
    page = render_page(*make_result(tmp_path))
    made = page[page.index('id="made"') :]
    assert re.search(r'<div class="scroll"><table class="plain"><thead><tr><th>stage</th>', made)
    assert "97.0 %" in made
    assert "95.1 to 98.4 %" in made
    assert "Bence pilav yap" in made
