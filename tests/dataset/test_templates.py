"""Templates give natural rows in great number, run no code, and every mistake in one is told with file and line."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter

import pytest

from jessyfile.dataset.filters import Tally, apply_checks, bands_of, row_checks
from jessyfile.dataset.from_templates import MAX_SAME_ANSWER, composed, other_wordings
from jessyfile.dataset.language import keep_declared
from jessyfile.dataset.similarity import near_pairs
from jessyfile.dataset.templates import Slot, load_intents, template_path
from jessyfile.errors import DatasetError
from jessyfile.text.turkish import normal, tokens


@pytest.fixture(scope="module")
def intents():
    from pathlib import Path

    return load_intents(Path(__file__).resolve().parents[2], "turkish", "casual")


@pytest.fixture(scope="module")
def rows(intents):
    made = list(itertools.islice(composed(intents, "turkish", "casual", 42), 3200))
    _left, right, _ = near_pairs([row.text for row in made], 0.85)
    near = set(right.tolist())
    return [row for index, row in enumerate(made) if index not in near][:3000]


def test_the_shipped_template_has_intents_with_several_questions_and_answers(intents):
    assert len(intents) >= 60
    for intent in intents:
        ways = len(intent.alone) + len(intent.openings) * max(1, len(intent.follows))
        assert len(intent.questions) >= 2, intent.name
        assert ways >= 4, intent.name


def test_three_thousand_rows_none_near_another(rows):
    assert len(rows) == 3000
    assert near_pairs([row.text for row in rows], 0.85)[0].size == 0
    assert len({normal(row.example.query) for row in rows}) == 3000
    assert max(Counter(normal(row.example.response) for row in rows).values()) <= MAX_SAME_ANSWER


def test_composed_rows_pass_every_filter(rows, recipe, root):
    complexity = recipe(root).complexity
    tally = Tally()
    kept = keep_declared(apply_checks(rows, row_checks(complexity), tally), tally)
    assert (len(kept), tally.facts()) == (3000, {})
    assert set(bands_of(complexity)) == {"low", "medium", "high"}


def test_openings_are_varied(rows):
    """data/README.md: no opening (first two words) in more than 4 % of a topic's answers, kanka in at most a fifth."""
    openings = Counter(" ".join(tokens(row.example.response)[:2]) for row in rows)
    assert openings.most_common(1)[0][1] <= 0.04 * len(rows)
    assert sum("kanka" in tokens(row.example.response) for row in rows) <= 0.2 * len(rows)


def test_small_talk_stays_short(rows):
    lengths = sorted(len(row.example.response) for row in rows)
    assert lengths[len(lengths) // 2] <= 120
    assert lengths[-1] <= 260


def test_every_combination_of_the_shipped_template_is_a_clean_sentence(intents):
    """No slot left open, no doubled space or punctuation, no answer that begins in lower case."""
    for intent in intents:
        keys = [
            dict(zip(intent.slots, items, strict=True))
            for items in itertools.islice(itertools.product(*(t.items for t in intent.slots.values())), 40)
        ]
        for items in keys or [{}]:
            for line in [*intent.openings, *intent.alone, *intent.follows]:
                text = line.render(items, itertools.repeat(0))
                assert not set("{}[]|") & set(text), (intent.name, text)
                assert text[0].isupper() or text[0] == '"', (intent.name, text)
                assert text[-1] in '.?!"', (intent.name, text)
                assert not any(bad in text for bad in ("..", " ,", " .", "?.", "!.", "  ")), (intent.name, text)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(intents):
    def first(seed):
        return [row.example for row in itertools.islice(composed(intents, "turkish", "casual", seed), 200)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def write(project, text, **tables):
    folder = project.root / "templates" / "examples"
    folder.mkdir(parents=True)
    (folder / "turkish.casual.j2").write_text(text, "utf-8")
    lexicon = project.root / "data" / "lexicon"
    lexicon.mkdir(parents=True)
    for name, table in tables.items():
        (lexicon / f"{name}.tsv").write_text(table, "utf-8")


FRUIT = "base\tacc\nelma\telmayı\nincir\tinciri\n"
MISTAKES = {
    "unknown slot": (
        "== a | f: fruit\n? {{ g }} aldım\n= Afiyet olsun sana.\n",
        "turkish.casual.j2:2: the intent has no slot `g`",
    ),
    "unknown column": (
        "== a | f: fruit\n? {{ f.dat }} aldım\n= Afiyet olsun sana.\n",
        "turkish.casual.j2:2: the table `fruit` has no column `dat`",
    ),
    "no intent": ("? naber\n", "turkish.casual.j2:1: a line before the first `== intent`"),
    "no answer": ("== a\n? naber\n", "the intent `a` needs at least one question and one answer"),
    "unknown line": ("== a\n! naber\n", "turkish.casual.j2:2: the line begins with none of"),
    "unknown word": ("== a | lvl low\n", "turkish.casual.j2:1: unknown word `lvl`"),
    "unknown table": ("== a | f: nofruit\n", "there is no word table `nofruit`"),
    "table outside": ("== a | f: ../../etc/passwd\n", "is no name for a word table"),
    "open choice": ("== a\n? [of naber\n= Afiyet olsun sana.\n", "turkish.casual.j2:2: `[` stands alone"),
    "twice": ("== a\n? x\n= Afiyet olsun.\n== a\n", "turkish.casual.j2:4: the intent `a` is there already"),
    "iterations": ("== a | iterations ²\n", "turkish.casual.j2:1: iterations takes a number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_file_and_line(project, name):
    text, expected = MISTAKES[name]
    write(project, text, fruit=FRUIT)
    with pytest.raises(DatasetError) as caught:
        load_intents(project.root, "turkish", "casual")
    assert expected in caught.value.message


def test_a_template_answers_with_json_as_often_as_it_fits(project):
    """Braces ended a template, and no answer came more than twice, so that a label could not be composed."""
    text = '== a | f: fruit\n? {{ f }} [geldi|bozuk|nerede|kayıp]\n=. {"queue":"fruit","name":"{{ f }}","n":null}\n'
    write(project, text, fruit=FRUIT)
    made = list(composed(load_intents(project.root, "turkish", "casual"), "turkish", "casual", 1))
    said = Counter(row.example.response for row in made)
    assert min(said.values()) > MAX_SAME_ANSWER
    assert {json.loads(answer)["queue"] for answer in said} == {"fruit"}


def test_a_table_with_a_ragged_line_is_told_with_file_and_line(project):
    write(project, "== a | f: fruit\n", fruit=FRUIT + "armut\n")
    with pytest.raises(DatasetError, match=r"fruit\.tsv:4: 1 columns, not 2"):
        load_intents(project.root, "turkish", "casual")


PAYLOADS = [
    "{{ f.__class__ }}",
    "{{ f.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ f['acc'] }}",
    "{{ 'a' * 10**9 }}",
    "{{ range(10**9) | list }}",
    "{{ f | attr('x') }}",
    "{{ f() }}",
    "{{ f | cap(1) }}",
    "{{ f if f else f }}",
    "{% for i in range(9) %}x{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{{ f ~ f }}",
    "{{ lipsum }}",
    "{{ config }}",
    "{{ f.acc.upper }}",
    "{{ f | map('upper') }}",
    "{{ [f] }}",
    "{{",
    "}}",
    "{{ f }",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_template_runs_no_code(project, payload):
    """A slot is a name, a column and two filters: whatever else Jinja could do is a mistake, never evaluated."""
    write(project, f"== a | f: fruit\n? {payload}\n= Afiyet olsun sana.\n", fruit=FRUIT)
    with pytest.raises(DatasetError, match=r"turkish\.casual\.j2:2: "):
        load_intents(project.root, "turkish", "casual")


def test_slots_choices_and_filters_are_filled(project):
    write(
        project,
        "== a | f: fruit | iterations 2 | tags persona emotional\n? [of ]{{ f.acc }} yedim\n"
        "=. {{ f | cap }}, {{ f.acc | low }} mi?\n",
        fruit=FRUIT,
    )
    made = list(composed(load_intents(project.root, "turkish", "casual"), "turkish", "casual", 1))
    examples = {row.example.response: row.example for row in made}
    assert set(examples) == {"Elma, elmayı mi?", "İncir, inciri mi?"}
    assert {(e.iterations_needed, e.tags, e.source) for e in examples.values()} == {
        (2, ("persona", "emotional"), "template")
    }
    assert all(row.place == "templates/examples/turkish.casual.j2:2" for row in made)


def test_a_projects_own_template_comes_before_the_shipped_one(project, root):
    assert template_path(project.root, "turkish", "casual").is_relative_to(root)
    write(project, "== a\n? x\n= Afiyet olsun.\n")
    assert template_path(project.root, "turkish", "casual").is_relative_to(project.root)
    assert template_path(project.root, "turkish", "nothing") is None


def test_a_slot_without_a_column_is_the_tables_first(project):
    assert Slot("f", None, ()).fill({"f": {"base": "elma", "acc": "elmayı"}}) == "elma"


def test_a_composed_question_has_the_other_wordings_of_its_intent_with_its_own_words(intents, rows):
    found = {row.id: other_wordings(row, intents, random.Random(row.id)) for row in rows[:600]}
    assert sum(bool(others) for others in found.values()) > 550
    named = {intent.name: intent for intent in intents}
    for row in rows[:600]:
        assert normal(row.example.query) not in map(normal, found[row.id])
        _, _, name, words = row.group.split("/", 3)
        for table in named[name].slots.values():
            others = {next(iter(item.values())) for item in table.items} - {words}
            said = {word for text in found[row.id] for word in others if len(word) > 8 and word in text}
            assert not {word for word in said if word not in words}
    assert found == {row.id: other_wordings(row, intents, random.Random(row.id)) for row in rows[:600]}


def test_a_row_that_no_template_made_has_no_other_wording(intents, row):
    assert other_wordings(row(group="turkish/casual"), intents, random.Random(0)) == []
    assert other_wordings(row(), intents, random.Random(0)) == []
