"""Rows with neighbours: in which shares, whose neighbours, and that nothing held out or evaluated stands in any of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jessyfile.dataset.card import DatasetCard
from jessyfile.dataset.card_text import card_text
from jessyfile.dataset.data_steps import CARD
from jessyfile.dataset.example import Turn
from jessyfile.dataset.formatted import FormattedRow, formatted, read_formatted
from jessyfile.dataset.rows import Row, to_json
from jessyfile.language.recipe import Category, Message, Retrieve
from jessyfile.parity.step import _some_behind_rows
from jessyfile.planning.run import Silent
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import NeighbourFacts
from jessyfile.results.typed_json import load_as
from jessyfile.retrieval import training_rows
from jessyfile.retrieval.examples import Example, Examples, Neighbour
from jessyfile.retrieval.shares import LEFT_OUT, rows_read
from jessyfile.retrieval.training_rows import Given, Retyping, before, run_neighbours, same_said
from jessyfile.text.json_lines import write_jsonl
from jessyfile.text.turkish import folded_normal
from tests.dataset.conftest import make_recipe, make_row, run_steps

MARKER = "[{level} {iterations}]"
THINGS = (
    "çay", "kahve", "ayran", "boza", "salep", "şıra", "limonata", "süt", "simit", "poğaça", "börek", "menemen", "pilav", "mantı",
    "köfte", "lahmacun", "baklava", "künefe", "dondurma", "çorba", "salata", "turşu", "peynir", "zeytin", "bal", "reçel", "ekmek",
    "makarna", "balık", "tavuk", "patates", "domates", "biber", "soğan", "elma", "armut", "kiraz", "karpuz", "kavun", "üzüm",
)  # fmt: skip
ASKED = ("bugün {} yapmayı denedim nasıl olmuş", "{} dün bitti, yarın alsam mı", "sence {} gece yenir mi kanka")


def everyday() -> list[Row]:
    return [
        make_row(asked.format(thing), f"{thing.capitalize()} için {number + 1} numaralı cevap bu, afiyet olsun.")
        for thing in THINGS
        for number, asked in enumerate(ASKED)
    ]


def retrieving(root: Path, *categories: Category, suites: tuple[str, ...] = ()) -> Any:
    """Return a recipe for data alone that retrieves examples."""
    plain = make_recipe(root, *categories, marker=MARKER, suites=suites)
    return SimpleNamespace(
        dataset=plain.dataset,
        complexity=plain.complexity,
        evaluation=plain.evaluation,
        path=plain.path,
        retrieve=Retrieve(3, None),
    )


def examples_of(rows: list[FormattedRow]) -> Examples:
    return Examples.build(Example(r.id, r.messages[0].content, r.messages[1].content, "low", 1) for r in rows)


def given(rows: list[Row], count: int = 3, seed: int = 42, bare: float = 0.2) -> tuple[Given, list[FormattedRow]]:
    plain = [formatted(one, MARKER) for one in rows]
    return Given(examples_of(plain), count, seed, same_said(rows), bare), plain


@pytest.mark.parametrize("bare", [0, 0.2, 0.8, 1])
def test_shares_are_exact_and_most_rows_behind_others_have_their_own_among_them(bare: float) -> None:
    giver, rows = given(everyday(), bare=bare)
    made = list(giver.trained(rows))
    assert [one.id for one in made] == [one.id for one in rows]
    alone, left_out = round(bare * len(rows)), round(LEFT_OUT * (1 - bare) * len(rows))
    assert giver.counts == Counter({"bare": alone, "left out": left_out, "own": len(rows) - alone - left_out})
    assert sum(not one.neighbours for one in made) == alone


def test_the_forecast_counts_what_the_rows_with_neighbours_hold() -> None:
    """A training was forecast by its number of rows, as if three neighbours before each took no time."""
    giver, rows = given(everyday())
    held = sum(1 + len(one.neighbours) for one in giver.trained(rows))
    assert rows_read(Retrieve(3, None)) == pytest.approx(held / len(rows), rel=0.01)
    assert rows_read(Retrieve(3, None, bare=1)) == 1
    assert rows_read(None) == 1


def test_where_nothing_is_trained_the_proof_asks_some_rows_as_they_are_served(tmp_path: Path) -> None:
    """With an adapter that is taken no row is put behind others; those few that are asked would all have been short ones."""
    _, rows = given(everyday())
    examples_of(rows[12:]).save(tmp_path)
    context: Any = SimpleNamespace(inputs={"index": tmp_path}, recipe=retrieving(tmp_path))
    asked = _some_behind_rows(context, rows[:12])
    assert [row.id for row in asked] == [row.id for row in rows[:12]]
    assert [at for at, row in enumerate(asked) if row.neighbours] == [0, 5, 10]
    assert {len(asked[at].neighbours) for at in (0, 5, 10)} == {3}
    assert _some_behind_rows(SimpleNamespace(inputs={}, recipe=retrieving(tmp_path)), rows[:12]) == rows[:12]  # type: ignore[arg-type]


def test_where_its_own_is_left_out_nothing_that_says_the_same_is_left_either() -> None:
    rows = [*everyday(), *(make_row(f"{one.example.query} ya", one.example.response + " Bence.") for one in everyday())]
    giver, plain = given(rows)
    for one in giver.trained(plain):
        names = {name for name, _ in one.neighbours}
        if names and one.id not in names:
            assert not names & giver.same[one.id]
    assert giver.counts["left out"] == round(LEFT_OUT * 0.8 * len(rows))


def test_the_own_row_stands_at_every_place() -> None:
    giver, rows = given(everyday())
    places = Counter(
        [name for name, _ in one.neighbours].index(one.id)
        for one in giver.trained(rows)
        if one.id in dict(one.neighbours)
    )
    assert set(places) == {0, 1, 2}
    assert min(places.values()) > 0.2 * sum(places.values())


def test_neighbours_are_turns_with_their_markers_and_nothing_of_them_is_learned() -> None:
    [plain] = [formatted(make_row("nasılsın", "İyiyim kanka, sen?"), MARKER)]
    near = [Neighbour(Example("a", "naber", "[medium 4]\nİyilik, senden naber?", "medium", 4), 0.7)]
    near += [Neighbour(Example("b", "iyi misin", "[low 1]\nTaş gibiyim.", "low", 1), 0.9)]
    made = before(plain, [(2, near[0]), (1, near[1])])
    assert [(said.role, said.content) for said in made.messages] == [
        ("user", "naber"),
        ("assistant", "[medium 4]\nİyilik, senden naber?"),
        ("user", "iyi misin"),
        ("assistant", "[low 1]\nTaş gibiyim."),
        ("user", "nasılsın"),
        ("assistant", "[low 1]\nİyiyim kanka, sen?"),
    ]
    assert made.levels == (("medium", 4), ("low", 1), ("low", 1))
    assert made.learned == (False, False, True)
    assert made.neighbours == (("a", 2), ("b", 1))
    assert before(plain, []) == plain


def test_of_several_turns_the_last_answer_alone_is_learned_behind_neighbours() -> None:
    turns = (Turn("user", "selam"), Turn("assistant", "Selam, hoş geldin.", "low", 1))
    talk = formatted(make_row("nasılsın", "İyiyim kanka, sen?", turns=turns), MARKER)
    near = Neighbour(Example("a", "naber", "[low 1]\nİyilik, senden naber?", "low", 1), 0.7)
    assert before(talk, [(1, near)]).learned == (False, False, True)


def test_the_farthest_neighbour_goes_first() -> None:
    giver, rows = given(everyday())
    one = next(one for one in giver.trained(rows) if [place for _, place in one.neighbours] == [2, 3, 1])
    less = one.without_farthest()
    assert less.neighbours == (one.neighbours[0], one.neighbours[2])
    assert less.messages == (*one.messages[:2], *one.messages[4:])
    assert len(less.levels) == len(less.learned) == 3
    none = less.without_farthest().without_farthest()
    assert none.messages == rows[[r.id for r in rows].index(one.id)].messages
    assert none.neighbours == ()


def test_rows_without_a_level_stand_bare() -> None:
    """Rows of REPLAY say nothing of levels and are asked by nobody who is answered from examples."""
    giver, rows = given(everyday())
    general = replace(rows[0], id="replay:1", level=None, iterations=None, levels=(None,))
    made = list(giver.trained([*rows, general]))
    assert made[-1] == general


def test_questions_that_come_near_a_suite_or_a_row_held_out_stay_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retyped question may become another one: of an evaluation case, or of a row that the validation asks."""
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"id": "s-1", "prompt": "hangi şehirde doğdun sen bakalım"}) + "\n", "utf-8")
    rows = [
        make_row("nerelisin sen", "Bilgisayarında doğdum."),
        make_row("yaşın kaç", "Yaşım yok benim.", "b"),
        make_row("naber kanka", "İyilik kanka, senden?", "c"),
    ]
    now = {
        "nerelisin sen": "HANGI SEHIRDE dogdun sen bakalim",
        "yaşın kaç": "kaç yaşındasın acaba",
        "naber kanka": "nbr knk",
    }
    monkeypatch.setattr(training_rows, "retyped", lambda text, language, rng: now[text])
    held_out = [formatted(make_row("Kaç yaşındasın acaba?", "Saymadım hiç."), MARKER)]
    recipe = retrieving(tmp_path, suites=("suite.jsonl",))
    asked = Retyping(recipe, tmp_path, rows, held_out).asked([formatted(one, MARKER) for one in rows])
    assert [one.messages[0].content for one in asked.rows] == ["nerelisin sen", "yaşın kaç", "nbr knk"]
    assert (asked.retyped, asked.kept) == (1, 2)
    assert [one.id for one in asked.rows] == [one.id for one in rows]


def test_conversations_and_marker_rows_are_asked_as_written(tmp_path: Path) -> None:
    turns = (Turn("user", "selam"), Turn("assistant", "Selam, hoş geldin.", "low", 1))
    talks = [
        make_row("bugün çok yorgunum, ne yapayım?", "Dinlen biraz, geçer.", f"t:{n}", turns=turns) for n in range(20)
    ]
    plain = [formatted(one, MARKER) for one in talks]
    sign = replace(
        plain[0], kind="marker", id="sign", messages=(Message("user", "naber kanka"), Message("assistant", "[low 1]"))
    )
    recipe = retrieving(tmp_path)
    assert Retyping(recipe, tmp_path, talks, []).asked([*plain, sign]).rows == [*plain, sign]


def test_a_row_with_paraphrases_is_asked_in_a_persons_words(tmp_path: Path) -> None:
    """What a rewriting makes of a question stays near its letters; what people say instead does not."""
    recipe, rows = retrieving(tmp_path), everyday()
    worded = [replace(one, example=replace(one.example, paraphrases=(f"{one.example.query[:9]} ne dersin", "sence"))) for one in rows]  # fmt: skip
    held_out = [formatted(make_row("Sence?", "Bence değil."), MARKER)]
    asked = Retyping(recipe, tmp_path, worded, held_out).asked([formatted(one, MARKER) for one in worded])
    said = {one.id: one.messages[-2].content for one in asked.rows}
    assert {said[one.id] for one in worded} <= {text for one in worded for text in (one.example.wordings[:2])}
    assert asked.kept > len(rows) / 4  # those that drew what a row held out asks
    assert asked.retyped + asked.kept == len(rows)


def test_no_question_comes_to_another_wording_of_a_row_held_out(tmp_path: Path) -> None:
    rows = [make_row("naber", "İyilik, senden ne haber?", paraphrases=("ne yapıyorsun bakalım",))]
    held_out = [formatted(make_row("selam", "Selam canım!", paraphrases=("NE yapiyorsun bakalim",)), MARKER)]
    asked = Retyping(retrieving(tmp_path), tmp_path, rows, held_out).asked([formatted(rows[0], MARKER)])
    assert (asked.retyped, asked.kept) == (0, 1)


def test_nothing_need_be_held_out(tmp_path: Path) -> None:
    recipe = retrieving(tmp_path)
    rows = everyday()
    asked = Retyping(recipe, tmp_path, rows, []).asked([formatted(one, MARKER) for one in rows])
    assert asked.retyped > len(rows) / 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The steps of a project of its own, run twice into two folders."""
    root = tmp_path_factory.mktemp("project")
    seeds = root / "data" / "seeds" / "turkish" / "casual.jsonl"
    seeds.parent.mkdir(parents=True)
    write_jsonl(seeds, (to_json(one.example) for one in everyday()))
    recipe = retrieving(root, Category("turkish", 110, "", "tr", "low", ()))
    outputs = [_run(recipe, root, tmp_path_factory.mktemp("run")) for _ in range(2)]
    return SimpleNamespace(folder=outputs[0][0], facts=outputs[0][1], again=outputs[1][0])


def _run(recipe: Any, root: Path, folder: Path) -> tuple[Path, NeighbourFacts]:
    run_steps(recipe, root, folder)
    (folder / "index").mkdir()
    examples_of(read_formatted(folder / "dataset" / "train.jsonl")).save(folder / "index")
    output, inputs = folder / "neighbours", {name: folder / name for name in ("data.turkish", "dataset", "index")}
    output.mkdir()
    return folder, run_neighbours(
        StepContext(recipe, root, output, folder, inputs, {}, Silent(), Silent(), "neighbours")
    )


def test_every_training_row_is_there_once_and_asked_otherwise(made: SimpleNamespace) -> None:
    plain = {one.id: one for one in read_formatted(made.folder / "dataset" / "train.jsonl")}
    rows = read_formatted(made.folder / "neighbours" / "train.jsonl")
    assert "neighbours" not in (made.folder / "dataset" / "train.jsonl").read_text("utf-8")
    assert [one.id for one in rows] == list(plain)
    assert all(one.messages[-1] == plain[one.id].messages[-1] for one in rows)
    retyped = sum(one.messages[-2] != plain[one.id].messages[-2] for one in rows)
    assert retyped == made.facts.retyped > len(rows) / 2
    assert made.facts.examples == len(rows)
    assert made.facts.bare + made.facts.own + made.facts.left_out + made.facts.others == len(rows)


def test_no_row_held_out_stands_before_any_row(made: SimpleNamespace) -> None:
    """What is validated must not be read in the prompt, neither as it is nor as another row's paraphrase."""
    held_out = read_formatted(made.folder / "dataset" / "valid.jsonl")
    barred = {one.id for one in held_out}
    asked = {folded_normal(one.messages[-2].content) for one in held_out}
    assert barred
    for name in ("train", "valid"):
        for one in read_formatted(made.folder / "neighbours" / f"{name}.jsonl"):
            assert not barred & {neighbour for neighbour, _ in one.neighbours}
            said = [m.content for m in (one.messages[:-2] if name == "valid" else one.messages) if m.role == "user"]
            assert not asked & {folded_normal(text) for text in said}


def test_rows_held_out_are_asked_as_written_with_neighbours(made: SimpleNamespace) -> None:
    plain = read_formatted(made.folder / "dataset" / "valid.jsonl")
    for one, bare in zip(read_formatted(made.folder / "neighbours" / "valid.jsonl"), plain, strict=True):
        assert one.messages[-2:] == bare.messages
        assert [place for _, place in one.neighbours] == [3, 2, 1]  # the nearest last, as it is served


def test_the_same_rows_every_time(made: SimpleNamespace) -> None:
    for name in ("train.jsonl", "valid.jsonl", "card.json", "card.html"):
        assert (made.folder / "neighbours" / name).read_bytes() == (made.again / "neighbours" / name).read_bytes()


def test_the_card_shows_the_shares(made: SimpleNamespace) -> None:
    card = load_as(DatasetCard, made.folder / "neighbours" / CARD)
    assert card.neighbours == made.facts
    text = card_text(card)
    assert f"own row {made.facts.own} (" in text
    assert f"bare {made.facts.bare} ({made.facts.bare / card.train:.0%})" in text
    assert "before a row" not in card_text(load_as(DatasetCard, made.folder / "dataset" / CARD))
