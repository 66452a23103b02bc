"""No evaluation case reaches the training rows: a copy, a retyping or a shared passage stops the step with both
places named."""

from __future__ import annotations

import json

import pytest

from jessyfile.dataset.leaks import find_leaks, load_cases
from jessyfile.errors import DatasetError

CASE = {
    "id": "turkish-001",
    "suite": "turkish",
    "prompt": "Akşama makarna mı yapsam pilav mı?",
    "level": "low",
    "language": "tr",
}


def cases(project, *values):
    return load_cases([(project("data/eval/turkish.jsonl", *values), "data/eval/turkish.jsonl")])


@pytest.mark.parametrize(
    "query",
    [
        "Akşama makarna mı yapsam pilav mı?",
        "aksama makarna mi yapsam pilav mi",
        "AKŞAMA MAKARNA MI YAPSAM PİLAV MI",
        "akşama makarna mı yapsam pilav mıı",
    ],
)
def test_a_case_that_is_copied_or_retyped_is_found(project, row, query):
    (leak,) = find_leaks([row(query=query)], cases(project, CASE), 0.85)
    assert leak.case.place == "data/eval/turkish.jsonl:1"


@pytest.mark.parametrize("query", ["makarna mı sağlıklı pilav mı", "akşama ne yapsam", "slm"])
def test_another_question_is_no_leak(project, row, query):
    assert find_leaks([row(query=query)], cases(project, CASE, CASE | {"prompt": "slmlar"}), 0.85) == []


def test_a_very_short_case_leaks_only_when_it_is_the_same(project, row):
    found = find_leaks([row(query="slm"), row(query="Slm!!")], cases(project, CASE | {"prompt": "slm"}), 0.85)
    assert len(found) == 2


def test_a_case_of_emoji_alone_leaks_where_it_is_the_same(project, row):
    """Nothing was left of it without punctuation, so that it was nearly the same as every dot and every other emoji."""
    told = cases(project, CASE | {"prompt": "🥹🥹"})
    assert find_leaks([row(query="🥹"), row(query="..."), row(query="😂😂"), row(query="slm")], told, 0.85) == []
    assert len(find_leaks([row(query=" 🥹🥹 ")], told, 0.85)) == 1


def test_eight_shared_words_are_found_wherever_they_stand(project, row):
    passage = "dün gece geç saatlere kadar oturup eski fotoğraflara baktım"
    long = CASE | {"turns": [{"role": "user", "content": f"Bir şey diyeceğim, {passage}."}], "prompt": "sence tuhaf mı"}
    answer = row(query="ne yapmıştın", response=f"{passage.upper().replace('I', 'ı')} demiştin ya.")
    (leak,) = find_leaks([answer], cases(project, long), 0.85)
    assert "8 words in a row" in leak.how


def test_a_row_that_says_a_reference_answer_gives_the_case_away(project, row):
    """Good and bad answers tell models apart by which they find likelier: a trained one says nothing any more."""
    good = "Makarna yap bence, su kaynarken sos olur, bulaşığı da tek tencere."
    bad = "Pilav her zaman makarnadan hızlı pişer, üç dakikada sofrada olur işte."
    more = "Bana sorarsan bugün fırında sebze yap, içine de biraz peynir at."
    told = {"case": CASE["id"], "split": "final", "good": ["Makarna.", good, 3], "bad": {"wrong": [bad], "off": "x"}}
    told["more"] = {"good": [more]}
    project("data/eval/references/turkish.jsonl", told, {"case": "turkish-002"}, {"case": 7, "good": "no list"})
    rows = [row(query="ne pişirsem", response=text) for text in (good.upper(), bad, more, "Makarna yap bence.")]
    assert [leak.row for leak in find_leaks(rows, cases(project, CASE), 0.85)] == rows[:3]


@pytest.mark.parametrize("between", [" ", "\n", "\n\n  ", " \u2028"])
def test_a_sentence_wrapped_over_lines_is_still_the_sentence(project, row, between):
    """An answer is often wrapped or set as a list: cut at its line ends, no part had eight words of the case."""
    passage = "dün gece geç saatlere kadar oturup eski fotoğraflara baktım"
    words = passage.split()
    answer = row(query="ne yaptın", response=f"{' '.join(words[:4])}{between}{' '.join(words[4:])}.")
    (leak,) = find_leaks([answer], cases(project, CASE | {"prompt": f"Sence tuhaf mı, {passage}?"}), 0.85)
    assert "8 words in a row" in leak.how


def test_eight_words_of_two_turns_are_no_passage(project, row):
    passage = "dün gece geç saatlere kadar oturup eski fotoğraflara baktım"
    words = passage.split()
    answer = row(query=" ".join(words[:4]), response=" ".join(words[4:]))
    assert find_leaks([answer], cases(project, CASE | {"prompt": f"Sence tuhaf mı, {passage}?"}), 0.99) == []


def test_seven_shared_words_are_not(project, row):
    passage = "dün gece geç saatlere kadar oturup baktım"
    assert (
        find_leaks(
            [row(response=f"{passage} sonra uyudum.")], cases(project, CASE | {"prompt": f"{passage} galiba"}), 0.85
        )
        == []
    )


def test_a_marker_row_is_held_against_the_cases_too(project, row):
    assert find_leaks([row(query=CASE["prompt"], response=None, category="markers")], cases(project, CASE), 0.85)


def test_a_seed_copied_into_a_suite_stops_the_step_with_both_places(project, seed, recipe, category, steps):
    project(
        "data/seeds/turkish/casual.jsonl",
        seed("canım sıkıldı", "Bir oyun oynayalım mı?"),
        seed(CASE["prompt"], "Pilav derim ben."),
    )
    project("data/eval/mine.jsonl", CASE | {"prompt": "bambaşka bir soru bu"}, CASE)
    with pytest.raises(DatasetError) as caught:
        steps(recipe(project.root, category("turkish", "tr", "low", casual=2)), project.root)
    assert "data/seeds/turkish/casual.jsonl:2 asks the same as data/eval/mine.jsonl:2" in caught.value.message


def test_a_marker_seed_in_a_suite_stops_the_step(project, seed, recipe, category, steps):
    project("data/seeds/turkish/casual.jsonl", seed("canım sıkıldı", "Bir oyun oynayalım mı?"))
    marker = {"complexity": "low", "iterations": 1, "language": "tr", "category": "markers", "source": "hand"}
    rows = [marker | {"query": f"bu {word} ne", "topic": "low"} for word in ("masa", "kalem", "perde")]
    project("data/seeds/markers/low.jsonl", *rows)
    project(
        "data/seeds/markers/medium.jsonl",
        marker | {"query": CASE["prompt"], "topic": "medium", "complexity": "medium", "iterations": 3},
    )
    project(
        "data/seeds/markers/high.jsonl",
        marker | {"query": "ölüm nedir", "topic": "high", "complexity": "high", "iterations": 7},
    )
    project("data/eval/mine.jsonl", CASE)
    with pytest.raises(DatasetError, match=r"markers/medium\.jsonl:1 .* data/eval/mine\.jsonl:1"):
        steps(recipe(project.root, category("turkish", "tr", "low", casual=1), markers=3), project.root)


def test_generated_rows_that_leak_are_dropped_and_counted(root, recipe, category, steps, tmp_path):
    """A template's leak is nobody's mistake in the recipe: another row takes its place and the count holds."""
    wanted = recipe(root, category("turkish", "tr", "low", casual=300))
    first = steps(wanted)
    made = [row["messages"][0]["content"] for row in first.rows() if row["id"]]
    seeds = {
        json.loads(line)["query"] for line in (root / "data/seeds/turkish/casual.jsonl").read_text("utf-8").splitlines()
    }
    stolen = next(query for query in made if query not in seeds)
    suite = root / ".jessy" / "leak-test.jsonl"
    suite.parent.mkdir(exist_ok=True)
    suite.write_text(json.dumps({"prompt": stolen}) + "\n", "utf-8")
    try:
        second = steps(recipe(root, category("turkish", "tr", "low", casual=300), suites=[str(suite)]))
    finally:
        suite.unlink()
    assert stolen not in {row["messages"][0]["content"] for row in [*second.rows(), *second.rows("valid")]}
    assert second.summary.rows == 300
    assert second.facts["data.turkish"].dropped["leak"].dropped >= 1
