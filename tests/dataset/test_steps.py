"""The data steps give exactly what the recipe asks for, the same bytes every time, or an error that says what is
missing."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from jessyfile.dataset.data_steps import levelled
from jessyfile.dataset.dataset_inputs import category_files, dataset_files
from jessyfile.dataset.formatted import read_formatted
from jessyfile.dataset.similarity import near_pairs
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Category, Replay


def test_the_reference_recipe_gives_every_count(recipe, reference, steps, root):
    made = steps(recipe(root, *reference, markers=56))
    expected = {f"{c.name}/{t.name}": t.count for c in reference for t in c.topics}
    topics = {topic: count for topic, count in made.summary.topics.items() if not topic.startswith("markers/")}
    assert topics == expected
    assert (made.summary.rows, made.summary.markers, made.summary.leaks) == (400, 56, 0)
    kinds = Counter(row["kind"] for row in [*made.rows(), *made.rows("valid")])
    assert kinds == {"chat": 400, "marker": 56}


def test_marker_rows_even_out_the_levels(recipe, reference, steps, root):
    """Drawn evenly, they left a small corpus of small talk with one `high` in seven rows, and it never learned the level."""
    made = steps(recipe(root, *reference, markers=76))
    levels = Counter(row["level"] for row in [*made.rows(), *made.rows("valid")] if row["kind"] == "marker")
    assert levels["low"] == 0
    assert levels["high"] == 54  # all there are
    assert levels["medium"] == 22


def test_the_scarcest_level_is_drawn_first_until_it_runs_out():
    stock = {"low": range(9), "medium": range(9), "high": range(2)}
    assert levelled({"low": 5, "medium": 1, "high": 0}, stock, 6) == {"low": 0, "medium": 4, "high": 2}
    assert levelled({"low": 0, "medium": 0, "high": 0}, stock, 5) == {"low": 2, "medium": 2, "high": 1}


def test_two_runs_give_the_same_bytes(recipe, reference, steps, root):
    one, other = (steps(recipe(root, *reference, markers=30)).folder for _ in range(2))
    for name in ("train.jsonl", "valid.jsonl", "card.json", "card.html"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_every_assistant_turn_begins_with_its_own_marker(recipe, category, steps, root):
    made = steps(recipe(root, category("multi_turn", "mixed", None, friends=30, work=16)))
    answers = [m["content"] for row in made.rows() for m in row["messages"] if m["role"] == "assistant"]
    assert len(answers) > len(made.rows())
    assert all(
        answer.split("\n")[0] in {f"[{level} {n}]" for level in ("low", "medium", "high") for n in range(1, 10)}
        for answer in answers
    )


def test_a_row_with_line_separators_goes_through_every_step_in_one_piece(project, seed, recipe, category, steps):
    """Pasted from a document, a row held U+2028; the step after `dataset` read two torn lines and failed for ever."""
    odd = "Çayı demle,\u2028biraz bekle\u2029ve iç\x85afiyet olsun."
    rows = [seed("çay nasıl olur", odd), seed("hava nasıl bugün", "Bugün biraz serin ama güzel.")]
    project("data/seeds/turkish/casual.jsonl", *rows)
    made = steps(recipe(project.root, category("turkish", "tr", "low", casual=2)), project.root)
    read = [row for name in ("train", "valid") for row in read_formatted(made.folder / f"{name}.jsonl")]
    assert len(read) == 2
    assert f"[low 1]\n{odd}" in {row.messages[-1].content for row in read}
    assert all(row.levels == (("low", 1),) for row in read)


def test_marker_rows_end_after_the_marker_line(recipe, reference, steps, root):
    made = steps(recipe(root, *reference, markers=30))
    marker = next(row for row in made.rows() if row["kind"] == "marker")
    assert marker["messages"][-1]["content"] == f"[{marker['level']} {marker['iterations']}]\n"


def test_without_a_marker_in_the_recipe_no_answer_has_one(recipe, category, steps, root):
    made = steps(recipe(root, category("turkish", "tr", "low", slang=25), marker=None))
    assert not any(row["messages"][-1]["content"].startswith("[") for row in made.rows())


def test_user_text_is_trimmed(project, seed, recipe, category, steps):
    project(
        "data/seeds/turkish/casual.jsonl",
        seed("  naber \n", "İyilik sağlık, senden ne haber?"),
        seed("başka soru", "Başka bir cevap bu."),
    )
    made = steps(recipe(project.root, category("turkish", "tr", "low", casual=2)), project.root)
    queries = {row["messages"][0]["content"] for row in [*made.rows(), *made.rows("valid")]}
    assert queries == {"naber", "başka soru"}


def test_too_few_seeds_say_what_is_missing_and_three_ways_out(recipe, category, steps, root):
    with pytest.raises(DatasetError) as caught:
        steps(recipe(root, category("turkish", "tr", "low", slang=600, questions=80)))
    assert "`turkish/slang` asks for 600 rows and 25 were found: 575 are missing" in caught.value.message
    assert "`turkish/questions` asks for 80 rows and 75 were found: 5 are missing" in caught.value.message
    ways = caught.value.hint.split("; or ")
    assert len(ways) == 3
    assert ways[0] == "write 575 more rows into data/seeds/turkish/slang.jsonl"
    assert ways[1] == "lower the count to 25"
    assert "TEACHER" in ways[2]


def test_rows_of_another_level_or_language_do_not_count(project, seed, recipe, category, steps):
    project(
        "data/seeds/turkish/casual.jsonl",
        seed("biri kolay", "Bu kolay olanın cevabı."),
        seed("biri zor", "Bu zor olanın cevabı.", complexity="high", iterations=7),
        seed("one in english", "This one is the English answer.", language="en"),
    )
    with pytest.raises(DatasetError, match="asks for 2 rows and 1 were found"):
        steps(recipe(project.root, category("turkish", "tr", "low", casual=2)), project.root)


def test_a_malformed_seed_is_named_with_all_others_at_once(project, seed, recipe, category, steps):
    project("data/seeds/turkish/casual.jsonl", {"query": 1}, seed("bir", "Bu düzgün bir cevap."), seed("iki", "kısa"))
    with pytest.raises(DatasetError) as caught:
        steps(recipe(project.root, category("turkish", "tr", "low", casual=1)), project.root)
    assert "data/seeds/turkish/casual.jsonl:1: " in caught.value.message
    assert "data/seeds/turkish/casual.jsonl:3: `response` has 4 characters" in caught.value.message


def test_duplicates_are_dropped_and_counted_with_both_places(project, seed, recipe, category, steps):
    rows = [
        seed("naber nasılsın bugün", "İyiyim, sen nasılsın bakalım?"),
        seed("NABER, nasılsın bugün?", "İyiyim! Sen nasılsın bakalım."),
        seed("su içtim", "Afiyet olsun, bir tane daha iç."),
    ]
    project("data/seeds/turkish/casual.jsonl", *rows)
    made = steps(recipe(project.root, category("turkish", "tr", "low", casual=2)), project.root)
    dropped = made.facts["data.turkish"].dropped["duplicate"]
    assert dropped.dropped == 1
    assert dropped.examples == (
        "data/seeds/turkish/casual.jsonl:2: says the same as data/seeds/turkish/casual.jsonl:1",
    )


def test_two_categories_that_say_the_same_are_refused_with_both_places(project, seed, recipe, category, steps):
    project("data/seeds/turkish/casual.jsonl", seed("naber nasılsın bugün", "İyiyim, sen nasılsın bakalım?"))
    project(
        "data/seeds/friends/casual.jsonl",
        seed("naber nasılsın bugün", "İyiyim, sen nasılsın bakalım!", category="friends"),
    )
    with pytest.raises(
        DatasetError, match=r"friends/casual\.jsonl:1 says the same as data/seeds/turkish/casual\.jsonl:1"
    ):
        steps(
            recipe(
                project.root, category("turkish", "tr", "low", casual=1), category("friends", "tr", "low", casual=1)
            ),
            project.root,
        )


@pytest.fixture
def six_hundred(recipe, category, steps, root, augment):
    return steps(recipe(root, category("turkish", "tr", "low", casual=600), augment=augment(0.2, 0.1, 0.05)))


def test_templates_and_augment_fill_up_to_the_exact_count(six_hundred):
    assert six_hundred.summary.rows == 600
    rows = [*six_hundred.rows(), *six_hundred.rows("valid")]
    assert len({row["id"] for row in rows}) == 600
    texts = ["\n".join(m["content"].split("]\n")[-1] for m in row["messages"]) for row in rows]
    assert near_pairs(texts, 0.85)[0].size == 0


def test_every_augment_share_is_met(six_hundred):
    sources = six_hundred.facts["data.turkish"].topics["turkish/casual"]
    assert {name: count for name, count in sources.items() if name.startswith("augment")} == {
        "augment.asciify": 120,
        "augment.slang": 60,
        "augment.typos": 30,
    }


def test_augment_never_touches_an_answer(six_hundred, recipe, category, steps, root):
    """The answers are those of the same recipe without AUGMENT, letter by letter; a share of Turkish letters passed
    an answer that lost one."""
    plain = steps(recipe(root, category("turkish", "tr", "low", casual=600)))
    augmented, as_written = (
        sorted(row["messages"][-1]["content"] for row in [*made.rows(), *made.rows("valid")])
        for made in (six_hundred, plain)
    )
    assert augmented == as_written


def test_variants_fill_up_where_no_template_is(project, seed, recipe, category, steps, augment):
    words = ["masa", "kalem", "perde", "defter", "bardak", "çanta", "şemsiye", "gözlük", "battaniye", "süpürge"]
    rows = [
        seed(f"şu {word} için güzel bir şey söyler misin bana", f"{word.title()} güzel şey, kıymetini bil.")
        for word in words
    ]
    project("data/seeds/turkish/objects.jsonl", *(row | {"topic": "objects"} for row in rows))
    made = steps(
        recipe(project.root, category("turkish", "tr", "low", objects=14), augment=augment(0.3, 0, 0)), project.root
    )
    assert made.facts["data.turkish"].topics["turkish/objects"] == {"hand": 10, "augment.asciify": 4}


def test_a_variant_stays_on_the_side_of_the_row_it_came_from(six_hundred):
    from jessyfile.text.turkish import folded_normal

    train, valid = (
        {folded_normal(row["messages"][0]["content"]) for row in six_hundred.rows(name)} for name in ("train", "valid")
    )
    assert not train & valid


def test_replay_is_the_asked_share_of_the_training_rows(project, seed, recipe, category, steps):
    words = ["masa", "kalem", "perde", "defter", "bardak"]
    project(
        "data/seeds/turkish/objects.jsonl",
        *(seed(f"{w} ne işe yarar", f"{w.title()} evde lazım olur.", topic="objects") for w in words),
    )
    general = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]}
        for i in range(20)
    ]
    general.append({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]})
    project("general.jsonl", *general)
    made = steps(
        recipe(
            project.root, category("turkish", "tr", "low", objects=5), replay=Replay("general", 0.5, "general.jsonl")
        ),
        project.root,
    )
    replayed = [row for row in made.rows() if row["category"] == "replay"]
    assert len(replayed) == len(made.rows()) / 2
    assert all(row["level"] is None and row["kind"] == "chat" for row in replayed)


def test_replay_without_enough_rows_says_how_many(project, seed, recipe, category, steps):
    project(
        "data/seeds/turkish/objects.jsonl",
        *(seed(f"{w} ne ki", f"{w.title()} evde lazım olur.", topic="objects") for w in ("masa", "perde")),
    )
    project("general.jsonl", {"prompt": "a", "completion": "b"})
    with pytest.raises(DatasetError, match=r"takes 18 rows and `general\.jsonl` holds 1"):
        steps(
            recipe(
                project.root,
                category("turkish", "tr", "low", objects=2),
                replay=Replay("general", 0.9, "general.jsonl"),
            ),
            project.root,
        )


def test_seeds_outside_the_project_are_refused(project, recipe, category, steps, tmp_path, seed):
    (tmp_path / "other" / "turkish").mkdir(parents=True)
    (tmp_path / "other" / "turkish" / "casual.jsonl").write_text(
        json.dumps(seed("a", "Bu dışarıdaki bir satır.")) + "\n", "utf-8"
    )
    from dataclasses import replace

    wanted = recipe(project.root, category("turkish", "tr", "low", casual=1))
    wanted = replace(wanted, dataset=replace(wanted.dataset, seeds="../other"))
    with pytest.raises(DatasetError, match="lies outside the project"):
        steps(wanted, project.root)


def test_one_seed_file_of_ones_own_does_not_hide_the_shipped_topics(project, seed, recipe, category, steps):
    """With `turkish/slang.jsonl` in the project, `turkish/greetings` was said to have no rows at all."""
    own = [seed(f"{w} nbr", f"{w.capitalize()} mi dedin, iyilik valla.", topic="slang") for w in ("kanka", "hocam")]
    project("data/seeds/turkish/slang.jsonl", *own)
    made = steps(recipe(project.root, category("turkish", "tr", "low", slang=2, greetings=20)), project.root)
    assert made.summary.topics == {"turkish/slang": 2, "turkish/greetings": 20}
    asked = {row["messages"][0]["content"] for row in [*made.rows(), *made.rows("valid")] if row["topic"] == "slang"}
    assert asked == {row["query"] for row in own}


def test_a_topic_takes_no_shipped_rows_where_a_file_of_another_name_has_its_rows(
    project, seed, recipe, category, steps
):
    project("data/seeds/turkish/mine.jsonl", seed("selam dostum", "Selam, hoş geldin buraya.", topic="greetings"))
    with pytest.raises(DatasetError) as caught:
        steps(recipe(project.root, category("turkish", "tr", "low", greetings=2)), project.root)
    assert "asks for 2 rows and 1 were found" in caught.value.message


def test_a_shortage_names_what_was_dropped_and_what_is_not_read(project, seed, recipe, steps):
    """Somebody put rows into a .txt file, and nothing said that it is not read."""
    project(
        "data/seeds/turkish/slang.jsonl", seed("nbr", "İyilik, senden naber?"), seed("su", "Kısa yaz: a@b.com olur.")
    )
    (project.root / "data" / "seeds" / "turkish" / "greetings.txt").write_text("selam\n", "utf-8")
    wanted = recipe(project.root, Category("turkish", 5, "", "tr", None, ()))
    with pytest.raises(DatasetError) as caught:
        steps(wanted, project.root)
    for said in (
        "5 rows and 1 were found",
        "1 dropped (personal): data/seeds/turkish/slang.jsonl:2: the text holds an e-mail address",
        "`data/seeds/turkish/greetings.txt` is not read: rows are JSON lines",
        "`data/seeds/turkish` takes the place of the rows that come with jessy",
    ):
        assert said in caught.value.message


def test_the_reference_reads_no_templates_and_no_suites(recipe, reference, root):
    """plan.md: a suite that changes runs `dataset` again, not `data.turkish`, as long as the seeds are enough."""
    files = category_files("turkish")(recipe(root, *reference), root)
    assert not [path for path in files if path.suffix == ".j2" or "eval" in path.parts]
    assert {path for path in files if path.parent.name == "turkish"} == set(
        (root / "data" / "seeds" / "turkish").glob("*.jsonl")
    )


def test_a_topped_up_category_reads_its_template_its_words_and_the_suites(recipe, category, root, project):
    project("data/eval/mine.jsonl", {"prompt": "x"})
    wanted = recipe(project.root, category("turkish", "tr", "low", casual=100))
    names = {path.name for path in category_files("turkish")(wanted, project.root)}
    assert {"turkish.casual.j2", "dishes.tsv", "mine.jsonl"} <= names
    assert "mine.jsonl" in {path.name for path in dataset_files(wanted, project.root)}


def test_rows_of_another_language_are_named_where_a_topic_is_short(project, recipe, category, steps, seed):
    """Of thirty rows about who she is four are in English; `language tr` asked for thirty and was told to write four more."""
    project(
        "data/seeds/identity/who.jsonl",
        *(seed(q, f"{q}: ben JESSY'yim.", topic="who", category="identity") for q in ("kimsin", "adın ne")),
        seed("who are you", "I'm JESSY, glad to meet you.", topic="who", category="identity", language="en"),
    )
    with pytest.raises(DatasetError, match=r"1 of `identity/who` are of another language or level; `language mixed`"):
        steps(recipe(project.root, category("identity", "tr", "low", who=3)), project.root)
