"""A question is put again with its draft: one wording for rows and for the loop, and rows of it that a category makes out of others'."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jessyfile.dataset import collect as collect_module
from jessyfile.dataset import rows as rows_module
from jessyfile.dataset.data_steps import refuse_duplicates
from jessyfile.dataset.example import TrainingExample, Turn
from jessyfile.dataset.formatted import FormattedRow, formatted, read_formatted
from jessyfile.dataset.leaks import find_leaks, load_cases
from jessyfile.dataset.refinement import DRAFTS, better, is_refined, question_place, refinement_turns, unrefined
from jessyfile.dataset.rows import Row, read_rows, to_json
from jessyfile.dataset.split import split_rows
from jessyfile.dataset.weaker import refinements
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Augment, Category, Message
from jessyfile.resources import resource
from tests.dataset.conftest import make_category, make_recipe, make_row, run_steps

ASKED = [Message("user", "selam"), Message("assistant", "[low 1]\nSelam!"), Message("user", "Bilinç nedir?")]
MARKER = "[{level} {iterations}]"


def test_the_draft_stands_behind_what_the_first_answer_was_asked_with() -> None:
    """A prompt cache serves everything up to the draft, which is as the model wrote it."""
    turns = refinement_turns(ASKED, "[high 9]\nBilmiyorum.")
    assert turns[:3] == ASKED
    assert turns[3] == Message("assistant", "[high 9]\nBilmiyorum.")
    assert turns[4].role == "user"
    assert len(turns) == 5


@pytest.mark.parametrize(
    ("question", "language", "spoken"),
    [
        ("Bilinç nedir?", None, "tr"),
        ("Rust'ta ownership ne demek", None, "tr"),
        ("What is consciousness?", None, "en"),
        ("GIL?", None, "en"),
        ("Was ist Bewusstsein?", "de", "en"),
        ("What is ownership?", "mixed", "tr"),
        ("merhaba", "en", "en"),
    ],
)
def test_it_is_asked_in_the_language_of_the_conversation(question: str, language: str | None, spoken: str) -> None:
    """Turkish where it is spoken, English for every other language; the one named comes before the one that the question looks like."""
    assert refinement_turns([Message("user", question)], "?", language)[-1].content == better("", "", spoken)
    assert better("", "", "tr") != better("", "", "en")


def test_a_question_that_speaks_for_no_language_is_asked_in_that_of_its_draft() -> None:
    """`annem laf sokut` has no Turkish letter and no everyday word, and was asked again in English."""
    assert better("annem laf sokut", "Anneler iğneyi yününe göre seçer.") == better("", "", "tr")
    assert better("annem laf sokut", "Mothers know where it is sore.") == better("", "", "en")


def test_the_question_is_found_again() -> None:
    """What retrieves by the question must not retrieve by what asks for a better answer."""
    assert question_place(ASKED) == 2
    assert question_place(refinement_turns(ASKED, "Bilmiyorum.")) == 2
    assert question_place(refinement_turns([Message("user", "What is it?")], "I don't know.")) == 0
    assert question_place([Message("user", better("", "", "tr"))]) == 0


def rows_of(level: str = "high", count: int = 12, **fields: Any) -> list[Row]:
    """Return rows about things, each with an answer of its own in three sentences."""
    things = ("çay", "kahve", "ayran", "boza", "salep", "şıra", "limonata", "süt", "simit", "börek", "pilav", "mantı")
    return [
        make_row(
            f"sence {thing} nasıl yapılır",
            f"Bence {thing} sabır ister. Önce {10 + place} dakika bekle, sonra tadına bak. Acele eden {thing} içemez.",
            f"rows.jsonl:{place}",
            complexity=level,
            iterations_needed={"low": 1, "medium": 3, "high": 7}[level],
            **fields,
        )
        for place, thing in enumerate(things[:count], start=1)
    ]


def made_of(*rows: Row) -> list[Row]:
    return list(refinements(rows, "refinement", "low", 42))


def test_a_row_is_asked_again_behind_a_draft_of_its_own_level() -> None:
    """The better answer is the row's own, word for word, and so is the question; only what stands between them is made."""
    rows = {row.id: row for row in rows_of()}
    made = made_of(*rows.values())
    assert len(made) == DRAFTS * len(rows)
    for one in made:
        example, own = one.example, rows[one.group].example
        assert (example.turns[0].content, example.response) == (own.query, own.response)
        assert (example.turns[1].complexity, example.turns[1].iterations) == ("high", 7)
        assert (example.category.value, example.topic) == ("refinement", "turkish")
        assert example.query == better(own.query, example.turns[1].content)
        assert not example.faults()
    assert len({(one.group, one.example.turns[-1].content) for one in made}) == len(made)


def test_drafts_go_wrong_in_every_way_there_is() -> None:
    """Each kind is what its name says; an answer with code is not cut into sentences, for it has none."""
    kinds: dict[str, list[Row]] = {}
    for one in made_of(*rows_of(), *rows_of("low")):
        kinds.setdefault(one.example.source, []).append(one)
    names = ("kept", "other", "cut", "mixed", "vague", "stiff", "number", "loop")
    assert kinds.keys() == {f"refined.{name}" for name in names}
    answers = {row.example.response for row in (*rows_of(), *rows_of("low"))}
    for name, found in kinds.items():
        for one in found:
            draft, answer = one.example.turns[-1].content, one.example.response or ""
            assert (draft == answer) == (name == "refined.kept")
            assert (draft in answers - {answer}) == (name == "refined.other")
            assert (len(draft) < len(answer) and answer.startswith(draft)) == (name == "refined.cut")
    for one in kinds["refined.number"]:
        assert [*map(str.isdigit, one.example.turns[-1].content)].count(True) >= 2
    code = make_row(
        "kod", "```py\nx = 1\n```\nBöyle yazılır. Sonra çalıştırılır.", complexity="high", iterations_needed=7
    )
    assert {one.example.source for one in made_of(code, *rows_of(count=3)) if one.group == code.id} <= {
        "refined.other",
        "refined.kept",
    }


def test_what_is_good_already_is_kept_most_often_where_answers_are_short() -> None:
    """A model that is asked again must not spoil what is right, and a short answer is right more often than not."""
    many = [
        make_row(
            f"soru {place} {level}",
            f"Cevap {place} {level}. Bir cümle daha.",
            complexity=level,
            iterations_needed=count,
        )
        for level, count in (("low", 1), ("high", 7))
        for place in range(200)
    ]
    made = made_of(*many)[:200]
    levels = Counter(one.example.level for one in made)
    assert levels["high"] == 3 * levels["low"]  # of any number of rows, from the first
    kept = Counter(one.example.level for one in made if one.example.source == "refined.kept")
    assert 0.35 < kept["low"] / levels["low"] < 0.65
    assert 0.05 < kept["high"] / levels["high"] < 0.2


def test_a_draft_answers_another_question_of_like_words_not_the_same_one() -> None:
    """Rows of one group say the same: what one answers is no weaker draft for another."""
    same = [
        make_row(f"nbr {word}", f"İyiyim {word}, sen nasılsın bakalım?", group="naber")
        for word in ("kanka", "ya", "abi")
    ]
    assert not [one for one in made_of(*same) if one.example.source == "refined.other"]
    other = make_row("nbr moruk", "Fena değil, bir kahve içelim mi?")
    drafts = [one.example.turns[-1].content for one in made_of(*same, other) if one.example.source == "refined.other"]
    assert other.example.response in drafts


def test_the_last_answer_alone_is_learned() -> None:
    """A draft that is learned would teach the mistake; rows without RETRIEVE stand bare, and had every answer learned."""
    (first, *_) = made_of(*rows_of())
    row = formatted(first, MARKER)
    assert row.learned == (False, True)
    assert [message.content.partition("\n")[0] for message in row.messages[1::2]] == ["[high 7]", "[high 7]"]
    talked = make_row(
        "peki ya sonra", "Sonra biraz bekle.", turns=(Turn("user", "çay"), Turn("assistant", "Demle onu.", "low", 1))
    )
    assert formatted(talked, MARKER).learned == ()
    assert formatted(made_of(talked, *rows_of("low"))[0], MARKER).learned[-1:] == (True,)
    again = next(one for one in made_of(talked, *rows_of("low")) if one.group == talked.id)
    assert formatted(again, MARKER).learned == (False, False, True)


def test_unrefined_gives_the_question_back() -> None:
    """What looks for a row's question, for leaks and for the split, must find it and not what jessy asks."""
    row = rows_of()[0]
    again = next(one for one in made_of(*rows_of()) if one.group == row.id)
    assert is_refined(again.example)
    assert not is_refined(row.example)
    assert unrefined(again.example).query == row.example.query
    assert unrefined(again.example).turns == ()
    assert unrefined(row.example) is row.example


def test_a_question_of_a_suite_is_a_leak_behind_a_draft_too(project: Any) -> None:
    """The words that ask for a better answer made a question of a suite look like another one."""
    row = rows_of()[0]
    suite = project("data/eval/turkish.jsonl", {"id": "turkish-001", "prompt": row.example.query})
    again = [one for one in made_of(*rows_of()) if one.group == row.id]
    leaks = find_leaks(again, load_cases([(suite, "turkish.jsonl")]), 0.85)
    assert [leak.how for leak in leaks] == ["asks the same as"] * len(again)


def test_a_refinement_stands_where_its_row_does() -> None:
    """A row held out, and its refinement trained: the validation loss would have been of an answer that is known."""
    rows = rows_of()
    again = made_of(*rows)
    by_hand = [replace(one, group="") for one in again[:DRAFTS]]
    split = split_rows([*again, *rows, *by_hand], 0.3, 42)
    held = {row.id for row in split.valid if not is_refined(row.example)}
    assert len(held) == round(0.3 * len(rows))
    assert {row.group or row.example.response for row in split.valid if is_refined(row.example)} >= held
    known = {row.example.query for row in rows if row.id in held}
    assert all((unrefined(row.example).query in known) for row in split.valid)
    assert not any((unrefined(row.example).query in known) for row in split.train)
    assert split_rows(rows, 0.3, 42).valid == [row for row in split.valid if not is_refined(row.example)]


def test_a_row_is_named_once_however_often_it_is_near_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair of near questions named its row anew: 800,000 digests for 320 refinements, twenty seconds."""
    asked: list[TrainingExample] = []
    monkeypatch.setattr(rows_module, "to_json", lambda example: asked.append(example) or to_json(example))
    rows = rows_of()
    assert len(made_of(*rows)) == DRAFTS * len(rows)
    assert len(asked) == len(rows)


def test_all_topics_draw_from_drafts_that_are_made_once(
    project: Any, seed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    make = collect_module.refinements
    monkeypatch.setattr(collect_module, "refinements", lambda *given: begun.append(given[1]) or make(*given))
    written = [
        seed(
            row.example.query,
            row.example.response,
            category="drinks",
            topic="hot",
            complexity="medium",
            iterations=4,
        )
        for row in rows_of()[6:]
    ]
    project("data/seeds/drinks/hot.jsonl", *written)
    other = make_category("drinks", "tr", "medium", hot=6)
    again = refining("turkish", "drinks", count=20, topics={"drinks": 10, "turkish": 10})
    recipe = make_recipe(project.root, own(project, seed, 6), other, again, marker=MARKER)
    made = run_steps(recipe, project.root, tmp_path).summary.topics
    assert (made["refinement/turkish"], made["refinement/drinks"]) == (10, 10)
    assert begun == ["refinement"]


def test_what_says_the_same_on_purpose_is_no_duplicate() -> None:
    rows = rows_of()
    refuse_duplicates([*rows, *made_of(*rows)], 0.85)
    with pytest.raises(DatasetError, match="say the same"):
        refuse_duplicates([*rows, replace(rows[0], place="other:1")], 0.85)


def refining(*names: str, count: int, topics: dict[str, int] | None = None) -> Category:
    plain = make_category("refinement", "mixed", None, **(topics or {}))
    return replace(plain, count=count, refine=names)


def own(project: Any, seed: Any, count: int = 12) -> Category:
    rows = [
        seed(row.example.query, row.example.response, complexity="medium", iterations=4) for row in rows_of(count=count)
    ]
    project("data/seeds/turkish/casual.jsonl", *rows)
    return make_category("turkish", "tr", "medium", casual=count)


def read(folder: Path) -> list[FormattedRow]:
    return [row for name in ("train", "valid") for row in read_formatted(folder / f"{name}.jsonl")]


def test_a_category_makes_its_rows_out_of_anothers(project: Any, seed: Any, tmp_path: Path) -> None:
    """Exactly as many as asked, the same ones every time, and no word that jessy puts is rewritten by AUGMENT."""
    augment = Augment(asciify=0.9)
    recipe = make_recipe(
        project.root, own(project, seed), refining("turkish", count=20), marker=MARKER, augment=augment
    )
    one, two = (run_steps(recipe, project.root, tmp_path / name) for name in ("one", "two"))
    assert (one.folder / "train.jsonl").read_bytes() == (two.folder / "train.jsonl").read_bytes()
    made = [row for row in read(one.folder) if row.category == "refinement"]
    assert len(made) == 20
    assert all(row.messages[-2].content in (better("", "", "tr"), better("", "", "en")) for row in made)
    assert one.summary.topics["refinement/turkish"] == 20
    assert {name.partition(".")[0] for name in one.facts["data.refinement"].topics["refinement"]} == {"refined"}


def test_rows_of_its_own_seeds_come_first(project: Any, seed: Any, tmp_path: Path) -> None:
    """A person's drafts go before made ones; those of another project's categories are left alone."""
    turns = [
        {"role": "user", "content": "sence boza nasıl yapılır"},
        {"role": "assistant", "content": "Marketten alınır.", "complexity": "medium", "iterations": 4},
    ]
    by_hand = {"turns": turns, "category": "refinement", "complexity": "medium", "iterations": 4}
    written = seed(better("", "", "tr"), "Bence boza darıdan yapılır, gerisi sabırdır.", topic="turkish", **by_hand)
    foreign = seed(better("", "", "tr"), "Bence ownership tek sahip demektir, o kadar.", topic="technical", **by_hand)
    project("data/seeds/refinement/turkish.jsonl", written)
    project("data/seeds/refinement/technical.jsonl", foreign)
    recipe = make_recipe(project.root, own(project, seed), refining("turkish", count=5), marker=MARKER)
    made = [row for row in read(run_steps(recipe, project.root, tmp_path).folder) if row.category == "refinement"]
    said = [row.messages[-1].content for row in made]
    assert len(made) == 5
    assert "[medium 4]\nBence boza darıdan yapılır, gerisi sabırdır." in said
    assert not any("ownership" in text for text in said)


def test_rows_that_cannot_be_made_are_counted(project: Any, seed: Any, tmp_path: Path) -> None:
    """Where rows are of one short sentence each, there are fewer ways to be weaker than rows asked for: said, and what to do."""
    project(
        "data/seeds/turkish/casual.jsonl",
        *(seed(f"kod {number}", "label_a", language="any", complexity="medium", iterations=4) for number in range(8)),
    )
    labels = make_category("turkish", None, "medium", casual=8)
    recipe = make_recipe(project.root, labels, refining("turkish", count=24), marker=MARKER)
    with pytest.raises(DatasetError, match="asks for 24 rows") as caught:
        run_steps(recipe, project.root, tmp_path)
    assert "name more categories after `refine`" in (caught.value.hint or "")


SHIPPED = sorted(resource("data", "seeds", "refinement").glob("*.jsonl"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_rows_ask_as_the_loop_does(file: Path) -> None:
    """Rows written by hand hold the words that ask for a better answer: were these changed, the rows would teach nothing."""
    for row in read_rows(file):
        assert isinstance(row, Row)
        assert is_refined(row.example), row.place
        assert row.example.query == better(unrefined(row.example).query, row.example.turns[-1].content), row.place
        assert row.example.topic == file.stem
