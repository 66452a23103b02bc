"""Which rows stand before a question, in which order, and how they vote for its level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jessyfile.errors import JessyError
from jessyfile.language.recipe import Message
from jessyfile.retrieval.examples import ROWS, Example, Examples, Neighbour, conversation
from jessyfile.retrieval.levels import Voting, calibrated


def example(name: str, question: str, level: str = "low", said: str | None = None) -> Example:
    return Example(name, question, f"[{level} 1]\n{name} dedi." if said is None else said, level, 1)


HELD = Examples.build(
    [
        example("one", "bugün hava nasıl"),
        example("marker", "bugün hava nasıl olacak", said=""),
        example("two", "bugün hava nasıl"),
        example("three", "hava durumu"),
        example("far", "kitap önerir misin"),
    ]
)


def ids(found: list[Neighbour]) -> list[str]:
    return [one.example.id for one in found]


def test_the_nearest_come_first_and_equal_ones_in_their_order() -> None:
    found = HELD.neighbours("BUGUN hava nasil", 3)
    assert ids(found) == ["one", "two", "three"]
    assert found[0].score == found[1].score == 1


def test_a_row_without_an_answer_votes_and_is_never_shown() -> None:
    assert "marker" not in ids(HELD.neighbours("bugün hava nasıl olacak", 5))
    assert "marker" in ids(HELD.nearest("bugün hava nasıl olacak", 1))


def test_rows_can_be_passed_over_and_foreign_ones_are_none() -> None:
    assert ids(HELD.neighbours("bugün hava nasıl", 2, without={"one", "two"})) == ["three"]
    assert HELD.neighbours("xyzw", 3) == []
    assert HELD.neighbours("", 3) == []
    assert Examples.build([]).neighbours("selam", 3) == []


def test_a_conversation_stands_behind_its_neighbours_in_the_order_given() -> None:
    asked = [Message("user", "hava?")]
    shown = conversation(reversed(HELD.neighbours("bugün hava nasıl", 3)), asked)
    assert [message.role for message in shown] == ["user", "assistant"] * 3 + ["user"]
    assert shown[0].content == "hava durumu"
    assert shown[1].content == "[low 1]\nthree dedi."
    assert shown[-1] == asked[-1]
    assert conversation([], asked) == asked


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    HELD.save(tmp_path)
    again = Examples.load(tmp_path)
    assert again.rows == HELD.rows
    assert again.neighbours("hava nasıl", 4) == HELD.neighbours("hava nasıl", 4)


@pytest.mark.parametrize("text", ['{"id": 3}\n', "no json\n", ""])
def test_damaged_rows_are_an_error_and_no_traceback(text: str, tmp_path: Path) -> None:
    HELD.save(tmp_path)
    (tmp_path / ROWS).write_text(text)
    with pytest.raises(JessyError):
        Examples.load(tmp_path)


LEVELLED = Examples.build(
    [example(f"l{n}", f"selam canım naber {n}") for n in range(8)]
    + [example(f"h{n}", f"özgür irade var mıdır sence {n}", "high") for n in range(8)]
)


def test_the_nearest_rows_vote_for_the_level() -> None:
    voting = Voting(("low", "high"))
    low, high = voting.vote(LEVELLED, "selam naber"), voting.vote(LEVELLED, "irade ozgur mudur")
    assert low is not None
    assert high is not None
    assert (low.level, high.level) == ("low", "high")
    assert 0.5 < low.share < 1
    assert voting.vote(LEVELLED, "xyzw") is None


def test_a_near_row_counts_more_than_many_far_ones() -> None:
    rows = [Neighbour(example("a", "", "high"), 0.9), *(Neighbour(example(str(n), ""), 0.3) for n in range(6))]
    assert max((shares := Voting(("low", "high")).shares(rows)), key=lambda level: shares[level]) == "high"


def test_held_out_rows_choose_how_votes_are_weighed() -> None:
    """Half of the held-out rows contradict what stands near them: the shares must not be surer than one in two."""
    told = [example(f"v{n}", f"selam canım naber {n}", ("low", "high")[n % 2]) for n in range(40)]
    found = calibrated(LEVELLED, told, ("low", "high"))
    vote = found.vote(LEVELLED, "selam canım naber 3")
    assert vote is not None
    assert vote.share < 0.8
    assert (found.right, found.rows) == (20, 40)
    sure = calibrated(LEVELLED, [row for row in told if row.level == "low"], ("low", "high")).vote(
        LEVELLED, "selam canım naber 3"
    )
    assert sure is not None
    assert sure.share > 0.9


def test_too_few_held_out_rows_choose_nothing() -> None:
    found = calibrated(LEVELLED, LEVELLED.rows[:3], ("low", "high"))
    assert (found.count, found.width, found.rows) == (Voting(()).count, Voting(()).width, 3)


def test_a_level_that_the_recipe_does_not_know_does_not_vote(tmp_path: Path) -> None:
    voting = calibrated(LEVELLED, [], ("low",))
    voting.save(tmp_path)
    assert Voting.load(tmp_path) == voting
    vote = voting.vote(LEVELLED, "özgür irade")
    assert vote is not None
    assert vote.level == "low"


def test_a_row_is_found_by_each_of_its_wordings_and_comes_once(tmp_path: Path) -> None:
    """With one wording a row was found by four questions in ten that meant it; a row with four of them must not fill all places."""
    bored = Example(
        "bored",
        "çok sıkıldım",
        "[low 1]\nGel laflayalım.",
        "low",
        1,
        ("canım hiç bir şey istemiyor", "hiç bir şey yapasım yok"),
    )
    built = Examples.build([example("first", "hava nasıl"), bored, example("last", "canım sucuklu yumurta istiyor")])
    built.save(tmp_path)
    for examples in (built, Examples.load(tmp_path)):
        found = examples.neighbours("CANIM hic bir sey istemiyo", 3)
        assert ids(found) == ["bored", "last"]
        assert 0.6 < found[0].score < 0.9
        assert found[0].example.question == "çok sıkıldım"
        assert ids(examples.neighbours("yapasim yok", 1)) == ["bored"]
        assert examples.neighbours("çok sıkıldım", 1)[0].score == 1
        assert [one.example.id for one in examples.nearest("hava nasıl", 1)] == ["first"]


def test_a_row_near_in_several_wordings_comes_before_one_near_by_chance() -> None:
    """With its nearest wording alone deciding, a long row of many wordings was near to everything."""
    rows = [
        replace(
            example("luck", "bana bir şarkı"),
            paraphrases=("kelebek nerede yaşar", "mısır patlamadı", "film bitti"),
        ),
        replace(example("meant", "hadi şarkı söylesene"), paraphrases=("şarkı söyler misin", "bi şarkı mırıldan")),
        example("alone", "kalemim kayboldu"),
    ]
    examples = Examples.build(rows)
    scores = examples.index.scores("bana bir şarkı söylesene")
    assert scores[:4].max() > scores[4:7].max()
    assert ids(examples.neighbours("bana bir şarkı söylesene", 2)) == ["meant", "luck"]
    assert [one.score for one in examples.neighbours("KELEBEK nerede yasar", 1)] == [1]


def test_all_rows_come_in_order_however_many_are_asked_for() -> None:
    """Of 100,000 rows all were sorted for the three that stand before a question, which took longer than to find them."""
    rows = [example(f"{n}", f"bugün hava {'güzel ' * (n % 7)}{n % 10}") for n in range(300)]
    examples = Examples.build(rows)
    found = [(-one.score, int(one.example.id)) for one in examples.nearest("bugün hava güzel", 300)]
    assert found == sorted(found)
    assert len(found) == 300
    assert found[:70] == [(-one.score, int(one.example.id)) for one in examples.nearest("bugün hava güzel", 70)]


def test_rows_held_out_are_marked_and_can_be_left_out_as_if_they_were_not_there(tmp_path: Path) -> None:
    out = replace(example("out", "bugün hava nasıl"), held_out=True)
    Examples.build([*HELD.rows, out]).save(tmp_path)
    loaded = Examples.load(tmp_path)
    assert ids(loaded.neighbours("bugün hava nasıl", 3)) == ["one", "two", "out"]
    trained = loaded.trained()
    assert trained.rows == HELD.rows
    assert all((getattr(trained.index, name) == getattr(HELD.index, name)).all() for name in ("keys", "weights"))


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("KIZ mı oldu", "girl"),
        ("kız mı oldu", "girl"),
        ("kiz mi oldu", "ascii"),
        ("bugün hava güzel", "today"),
        ("hava bugün güzel", "weather"),
        ("HAVA bugun guzel", "weather"),
        ("güzel hava bugün", "today"),
        ("3", "number"),
        ("<3", "heart"),
    ],
)
def test_of_rows_with_the_same_pieces_the_one_asked_to_the_letter_comes_first(asked: str, first: str) -> None:
    """`kız` and `kiz` have the same pieces, and so have words in another order: the earlier row answered for both."""
    rows = [
        example("ascii", "kiz mi oldu"),
        replace(example("girl", "oğlan mı oldu"), paraphrases=("kız mı oldu",)),
        example("today", "bugün hava güzel"),
        example("weather", "hava bugün güzel"),
        example("heart", "<3"),
        example("number", "3"),
    ]
    assert ids(Examples.build(rows).neighbours(asked, 1)) == [first]


def test_an_index_says_nothing_of_wordings_that_are_not_there(tmp_path: Path) -> None:
    HELD.save(tmp_path)
    text = (tmp_path / ROWS).read_text("utf-8")
    assert "paraphrases" not in text
    assert "held_out" not in text
