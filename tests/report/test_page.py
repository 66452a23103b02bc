"""The report: complete, self-contained, and safe to open whatever a model has said."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluation_fakes import by_id, make_answer, make_case
from report_fakes import make_result

from jessyfile.errors import ProjectError
from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.verdict import Took, judge, read_verdict, write_verdict
from jessyfile.planning.canonical import normal, readable
from jessyfile.planning.runs import RecordedStep, Run, RunRecord
from jessyfile.planning.store import Store
from jessyfile.report import page, rewrite_report, write_report
from jessyfile.report.page import render_page
from jessyfile.results.facts import Opinion, TakenFacts
from jessyfile.results.outcome import chance
from jessyfile.results.quality import CheckQuality, ChecksQuality, Contrast, Contrasts, Estimate
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
        "<b>24 of 24</b> positions",
        "It learned the form (6 of 6 answers, the base model 0)",
        "passes, but more cases could turn it: 83.3% [43.6%, 97%] n=6",
        "jessy chat tiny",
        "promoted to tiny:latest",
        "<dd>q4 computed in float32</dd>",
        "what is served is not exactly what was trained",
        "ab" * 32,
    ):
        assert words in text
    tags = Tags(text)
    assert tags.open == []
    assert tags.seen.count("article") == 6


def test_what_was_said_in_place_of_each_value_stands_in_a_table(tmp_path: Path) -> None:
    recipe, result = make_result(tmp_path)
    fields = (("queue", '"<b>"'),)
    cases = [make_case(f"tickets-{n}", "tickets", relevance=(Check("json", fields=fields),)) for n in range(3)]
    texts = ['{"queue": "<b>"}', '{"queue": "other"}', "no"]
    answers = [make_answer(case.id, text) for case, text in zip(cases, texts, strict=True)]
    step = next(step for step in result.steps if step.name == "judge")
    write_verdict(step.folder, judge(recipe, cases, by_id(*answers), {}, Took()))
    text = render_page(recipe, result)
    assert '<section id="fields">' in text
    assert "tickets · queue" in text
    assert re.findall(
        r'<td class="(hit|miss)"[^>]*>(\d*)</td>', text.split('id="fields"')[1].split("</section>")[0]
    ) == [
        ("hit", "1"),
        ("miss", "1"),
        ("miss", "1"),
    ]
    assert Tags(text).open == []


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


def test_what_preferences_taught_an_adapter_that_was_taken_is_shown(tmp_path: Path) -> None:
    """It stood below the loss of a training, and there was none; nor did a link lead to the section."""
    recipe, result = make_result(tmp_path)
    train = next(step for step in result.steps if step.name == "train")
    (train.folder / "curve.json").unlink()
    taken = replace(train, facts=normal(TakenFacts("given", "ab" * 32, 9, 4)))
    prefer = replace(train, name="prefer", facts={**train.facts, "compared": 40})
    others = [step for step in result.steps if step != train]
    text = render_page(recipe, replace(result, steps=(taken, prefer, *others)))
    assert "taken from given" in text
    assert "dpo on 40 pairs, 8 updates" in text
    assert '<a href="#training">' in text
    assert Tags(text).open == []


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


def test_how_far_the_file_is_from_the_trained_model_is_told_with_its_unit_and_what_is_allowed(tmp_path: Path) -> None:
    """`divergence 0.000208, largest 0.504` had neither: nobody could say whether it was good."""
    said = render_page(*make_result(tmp_path))
    assert "0.0015 nats from the trained model's on average; 0.06 is allowed for q8_0" in said


def test_contrasts_the_checks_own_quality_and_the_judges_worth_have_their_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share stood alone: nothing said how often its checks err, nor what a judge model's taste is worth."""
    recipe, result = make_result(tmp_path)
    contrast = replace(result.steps[-1], name="contrast")
    result = replace(result, steps=(*result.steps, contrast))
    figures = (
        Contrast("fits", 430, 1290, Estimate(0.93, 0.91, 0.95), Estimate(0.88, 0.85, 0.9), Estimate(0.05, 0.03, 0.07)),
        Contrast("kind", 30, 90, Estimate(0.5, 0.4, 0.6)),
    )
    (contrast.folder / "contrast.json").write_text(readable(Contrasts(figures, HOSTILE)), encoding="utf-8")
    judged = next(step.folder for step in result.steps if step.name == "judge")
    opinion = Opinion("wise<1b>", 6, 4, 1, 1, 0.375, Estimate(0.87, 0.79, 0.92), 100)
    write_verdict(judged, replace(read_verdict(judged), opinion=opinion))
    quality = CheckQuality("turkish", 60, Estimate(0.91, 0.82, 0.96), Estimate(0.88, 0.78, 0.94))
    (tmp_path / "quality.json").write_text(readable(ChecksQuality((quality, replace(quality, suite="technical")), "On 300 answers.")), encoding="utf-8")  # fmt: skip
    monkeypatch.setattr(page, "resource", lambda *parts: tmp_path / parts[-1])
    text = render_page(recipe, result)
    assert Tags(text).open == []
    for section in ("contrast", "checks", "opinion"):
        assert f'<section id="{section}">' in text
        assert f'<a href="#{section}">' in text
    for words in (
        "88% → <b>93%</b>",
        "change +3 to +7 points",
        "430 cases, 1290 pairs",
        "On 300 answers.",
        "wise&lt;1b&gt;",
    ):
        assert words in text
    assert "prefers the good one in <b>87%</b> (79% to 92%)" in text
    assert text.count("checks 91% / 88%") >= 4  # the criterion's line and the bars of the suite's shares
    quality_of = partial(page._beside, ChecksQuality((quality,)))
    assert quality_of("turkish_accuracy") == quality_of("turkish.relevance") == "checks 91% / 88%"
    assert quality_of("turkish.form") == quality_of("level_accuracy") == ""  # no check of content stands behind them
    assert "<td>technical</td>" not in text  # a suite that was not answered
    assert "alert(1)" in text
    assert "<script>alert(1)" not in text


def test_a_report_of_before_is_written_anew_from_what_is_stored(tmp_path: Path) -> None:
    recipe, result = make_result(tmp_path)
    store, steps = Store(tmp_path), []
    for step in result.steps:
        with store.staged() as output:
            for file in step.folder.iterdir():
                (output / file.name).write_bytes(file.read_bytes())
            (output / "name").write_text(step.name, encoding="utf-8")
            held = store.commit(output)
        levels = {f"complexity.level.{level.name}.{key}": value for level in recipe.complexity.levels for key, value in (("iterations", list(level.iterations)), ("within", level.within))}  # fmt: skip
        parameters = levels if step.name == "judge" else {"from": "gemma3:270m"}
        steps.append(RecordedStep(step.name, "ran", held, step.facts, step.seconds, step.peak, parameters))
    run = Run(7, tmp_path / ".jessy" / "runs" / "7")
    run.folder.mkdir(parents=True)
    with pytest.raises(ProjectError, match="run 7 did not end"):
        rewrite_report(tmp_path, run)
    run.event("run_started", recipe="tiny.jessy", name="tiny")
    run.write("result.json", RunRecord("tiny", 120.0, None, 0, tuple(steps), 2))
    again = rewrite_report(tmp_path, run).read_text(encoding="utf-8")
    whole = write_report(recipe, tmp_path, result).read_text(encoding="utf-8")
    apart = re.compile(
        r'<button type="button" class="copy" data-copy="[0-9a-f]{64}".*?</button>|from gemma3:270m|from | · 20\d\d-\S+ \S+'
        r"|<p><button[^>]*><code>jessy apply.*?</p>|<details><summary>the recipe.*?</details>",
        re.DOTALL,
    )
    assert apart.sub("", again) == apart.sub("", whole)
    store.remove(steps[6].object)
    assert '<section id="verdict">' not in rewrite_report(tmp_path, run).read_text(encoding="utf-8")
