"""The checks are measured as answers are judged, and nothing vouches for itself."""

from __future__ import annotations

from evaluation_fakes import make_case

from jessyfile.evaluation.cases import Case, Check
from jessyfile.evaluation.check_figures import accepted, labelled_references, quality
from jessyfile.resources import resource
from jessyfile.results.quality import QUALITY_FILE, ChecksQuality
from jessyfile.results.typed_json import load_as


def told(**values: object) -> Case:
    check = Check("touches", ("piyano",), asking=True)
    return make_case("turkish-1", prompt="komşu piyano çalıyo", relevance=(check,), **values)


def test_an_answer_is_accepted_as_a_models_would_be() -> None:
    assert accepted(told(), "Biletsiz piyano, daha ne istiyorsun?")
    assert not accepted(told(), "Kargo yarın geliyormuş, evde olursun.")
    assert not accepted(told(), "Piyano için size nasıl yardımcı olabilirim?")
    assert not accepted(told(), "The piano is a fine instrument for the whole family.")


def test_an_answer_near_a_good_reference_needs_no_word_of_the_list() -> None:
    """Word lists refused natural answers of ideas that their author had not had."""
    case = told(good=("Loca bedavaya gelmiş, çayı tazele.",), bad=("Duvara vur, sussun artık.",))
    assert accepted(case, "Loca bedavaya gelmiş işte, çayı tazele.")
    assert not accepted(told(), "Loca bedavaya gelmiş işte, çayı tazele.")
    assert not accepted(case, "Duvara vur da sussun artık piyano.")


def test_a_reference_does_not_help_itself() -> None:
    text = "Loca bedavaya gelmiş, çayı tazele."
    assert not accepted(told(good=(text,)), text)


def test_precision_and_recall_are_counted() -> None:
    found = quality("turkish", [(True, True), (True, False), (False, True), (True, True), (False, False)])
    assert found.precision is not None
    assert found.recall is not None
    assert (found.answers, found.precision.value, found.recall.value) == (5, 2 / 3, 2 / 3)
    assert quality("turkish", []).recall is None


def test_the_shipped_figures_are_of_every_suite_with_references() -> None:
    folder = resource("data", "eval")
    figures = load_as(ChecksQuality, folder / QUALITY_FILE)
    assert figures is not None
    counted = {
        path.stem: len(list(labelled_references(folder / path.name)))
        for path in (folder / "references").glob("*.jsonl")
    }
    assert {one.suite: one.answers for one in figures.suites} == counted
