"""Paraphrases stay on one side of the split, every topic is on both, the share is exact, and nothing is random."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.dataset.rows import load_rows
from jessyfile.dataset.select import sample, shares
from jessyfile.dataset.split import paraphrase_groups, split_rows
from jessyfile.text.turkish import folded_normal


@pytest.fixture
def seeds(root, reference):
    names = [(category.name, topic.name) for category in reference for topic in category.topics]
    rows, _ = load_rows([(root / "data" / "seeds" / c / f"{t}.jsonl", f"{c}/{t}") for c, t in names])
    return rows


def test_the_reference_rows_split_into_360_and_40_with_every_topic(seeds):
    split = split_rows(seeds, 0.1, 42)
    assert (len(split.train), len(split.valid)) == (360, 40)
    topics = Counter((row.example.category, row.example.topic) for row in split.valid)
    assert set(topics) == {(row.example.category, row.example.topic) for row in seeds}
    assert not {row.id for row in split.train} & {row.id for row in split.valid}


def test_the_split_is_the_same_every_time_and_another_with_another_seed(seeds):
    again = split_rows(seeds, 0.1, 42)
    assert split_rows(seeds, 0.1, 42) == again
    assert split_rows(seeds, 0.1, 43) != again


def test_paraphrases_across_the_split_are_kept_together(row):
    """A question, the same without Turkish letters, and the same with a slip: whichever is in validation takes the
    others with it."""
    rows = []
    for word in ("çay", "kahve", "şalgam", "ayran", "boza", "salep", "şıra", "limonata", "su", "süt"):
        for form in ("bugün {} içsem mi acaba", "bugun {} icsem mi acaba", "bugün {} içsem miii acaba"):
            rows.append(
                row(
                    query=form.format(word),
                    response=f"İç tabii, {word} iyi gelir, afiyet olsun.",
                    place=f"r:{len(rows) + 1}",
                )
            )
    for share in (0.1, 0.2, 0.3):
        split = split_rows(rows, share, 7)
        assert split.valid
        sides = {folded_normal(r.example.query) for r in split.train} & {
            folded_normal(r.example.query) for r in split.valid
        }
        assert not sides


def test_rows_of_one_named_group_stay_together(row):
    rows = [
        row(query=f"soru {i} {'abcdefghij'[i]}" * 3, response=f"cevap numarası {i}", group=f"g{i % 4}")
        for i in range(10)
    ]
    split = split_rows(rows, 0.3, 1)
    assert split.valid
    assert not {r.group for r in split.train} & {r.group for r in split.valid}


def test_a_group_that_spans_topics_stays_in_training(row):
    same = [
        row(query="iki konuda da var", response="Aynı soru burada da var.", topic=topic)
        for topic in ("casual", "slang")
    ]
    other = [
        row(query=f"{w} nedir ki", response=f"{w} için cevap bu işte.", topic="slang")
        for w in ("masa", "perde", "kalem", "defter")
    ]
    split = split_rows([*same, *other], 0.4, 3)
    assert all(r in split.train for r in same)


def test_the_same_question_with_two_answers_is_one_group(row):
    found = paraphrase_groups(
        [
            row(query="Naber?", response="İyilik, senden ne haber?"),
            row(query="naber", response="Yuvarlanıp gidiyoruz işte."),
        ]
    )
    assert found == [0, 0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 500), st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_shares_add_up_and_are_nearly_in_proportion(total, weights):
    parts = shares(total, weights)
    if sum(weights) == 0:
        assert parts == [0] * len(weights)
        return
    assert sum(parts) == total
    assert all(abs(part - total * weight / sum(weights)) < 1 for part, weight in zip(parts, weights, strict=True))


def test_adding_a_seed_changes_at_most_one_row_of_a_sample(seeds):
    """The choice must not be reshuffled by an edit: the plan says 'make 1 more, keep the others'."""
    before = {row.id for row in sample(seeds[:-1], 100, 42, "topic")}
    after = {row.id for row in sample(seeds, 100, 42, "topic")}
    assert len(before - after) <= 1
    assert [row.id for row in seeds if row.id in after] == [row.id for row in sample(seeds, 100, 42, "topic")]


def test_no_answer_that_many_questions_share_is_held_out_whole(row):
    """A fact asked for in five ways was one group, and the validation took it out of the training altogether."""
    facts = ["Sonntags backen wir nicht, da bleibt der Laden den ganzen Tag zu.", "Torten bitte drei Tage vorher bestellen.",
             "Parken können Sie eine halbe Stunde kostenlos im Hof hinter dem Laden."]  # fmt: skip
    asked = ["Habt ihr sonntags auf?", "wann torte bestellen", "Wo parke ich?", "Geht das Sonntag?", "Gibt es einen Hof?",
             "torte bis morgen?", "Ist am Sonntag zu?", "Parkplatz?", "Wie lange dauert eine Torte?", "sonntagsbrot", "Auto wohin?",
             "Hochzeitstorte, wie lange vorher?"]  # fmt: skip
    answer = {"s": facts[0], "t": facts[1], "p": facts[2]}
    kinds = "stpsptsptspt"
    rows = [
        row(query, answer[kind], f"f:{n}", category="c", topic="c", language="de")
        for n, (query, kind) in enumerate(zip(asked, kinds, strict=True))
    ]
    split = split_rows(rows, 0.25, 42)
    assert len(split.valid) == 3
    assert {one.example.response for one in split.train} == set(facts)
