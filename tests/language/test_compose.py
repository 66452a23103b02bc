"""EXTENDS, INCLUDE, VARIANT, DROP, ARG, LET, FILE and --set come together as the language says, with where each value came from."""

from __future__ import annotations

import pytest

from jessyfile.language import load_recipe, render_diagnostics

BASE = """JESSY 1
NAME base
FROM gemma3:270m
PARAMETER stop "a"
PARAMETER stop "b"
PARAMETER top_k 40
MESSAGE user "one"
COMPLEXITY {
  LEVEL low 1-2 iterations within 5s
  LEVEL high 3-9 iterations
}
DATASET {
  CATEGORY talk 40 "Talk" {
    language tr
    TOPIC small 30
    TOPIC big 10
  }
  CATEGORY work 10 {
    TOPIC code 10
  }
}
LORA {
  rank 8
  alpha 8
}
EVAL {
  MUST no_loops > 95%
  SHOULD latency.low < 5s
}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "base.jessy").write_text(BASE, "utf-8")

    def write(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write


def load(path, **options):
    found = load_recipe(path, root=path.parent if path.parent.name != "sub" else path.parent.parent, **options)
    assert found.recipe, render_diagnostics(found.diagnostics, color=False)
    return found.recipe


def test_unnamed_blocks_merge_line_by_line(project):
    recipe = load(project("child.jessy", 'JESSY 1\nEXTENDS "base.jessy"\nNAME child\nLORA {\n  rank 4\n}\n'))
    assert (recipe.name, recipe.lora.rank, recipe.lora.alpha) == ("child", 4, 8.0)
    assert str(recipe.source("lora.rank")) == "child.jessy:5"
    assert str(recipe.source("lora.alpha")) == "base.jessy:24"


def test_a_named_thing_replaces_whole_and_keeps_its_place(project):
    child = 'JESSY 1\nEXTENDS "base.jessy"\nDATASET {\n  CATEGORY talk 5 {\n    TOPIC tiny 5\n  }\n}\nCOMPLEXITY {\n  LEVEL low 1-2 iterations\n}\nEVAL {\n  MAY no_loops > 50%\n}\n'
    recipe = load(project("child.jessy", child))
    talk, work = recipe.dataset.categories
    assert (talk.title, talk.language, [t.name for t in talk.topics], work.name) == ("", None, ["tiny"], "work")
    assert recipe.complexity.levels[0].within is None
    assert [(c.rank, c.metric) for c in recipe.evaluation.criteria] == [("may", "no_loops"), ("should", "latency.low")]


def test_a_list_given_again_replaces_the_list(project):
    recipe = load(project("child.jessy", 'JESSY 1\nEXTENDS "base.jessy"\nPARAMETER stop "c"\nMESSAGE user "two"\n'))
    assert recipe.document["parameter"] == {"top_k": 40, "stop": ["c"]}
    assert [m.content for m in recipe.messages] == ["two"]


@pytest.mark.parametrize(
    ("drop", "address"),
    [
        ("DROP CATEGORY work", ("dataset", "category", "work")),
        ("DATASET {\n  DROP CATEGORY work\n}", ("dataset", "category", "work")),
        ("DROP PARAMETER top_k", ("parameter", "top_k")),
        ("DROP SHOULD latency.low", ("eval", "criterion", "latency.low")),
    ],
)
def test_drop_removes_what_lies_below(project, drop, address):
    recipe = load(project("child.jessy", f'JESSY 1\nEXTENDS "base.jessy"\n{drop}\n'))
    inside = recipe.document
    for part in address[:-1]:
        inside = inside[part]
    assert address[-1] not in inside


def test_drop_of_a_list_empties_it(project):
    recipe = load(project("child.jessy", 'JESSY 1\nEXTENDS "base.jessy"\nDROP MESSAGE\n'))
    assert recipe.messages == ()


def test_an_extends_chain_of_three(project):
    project("middle.jessy", 'JESSY 1\nEXTENDS "base.jessy"\nLORA {\n  rank 4\n  alpha 2\n}\n')
    recipe = load(project("child.jessy", 'JESSY 1\nEXTENDS "middle.jessy"\nLORA {\n  rank 2\n}\n'))
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.name) == (2, 2.0, "base")
    assert [p.name for p in recipe.read_files] == ["child.jessy", "middle.jessy", "base.jessy"]


def test_include_adds_and_points_into_the_part(project):
    project("sub/lora.jessy", "LORA {\n  rank 4\n}\n")
    recipe = load(project("child.jessy", BASE.replace("LORA {\n  rank 8\n  alpha 8\n}", 'INCLUDE "sub/lora.jessy"')))
    assert str(recipe.source("lora.rank")) == "sub/lora.jessy:2"


def test_paths_count_from_the_file_that_names_them(project):
    project("sub/prompt.md", "Sen JESSY'sin.\n\nKısa yaz.\n")
    project("sub/cases.jsonl", "{}\n")
    project("sub/part.jessy", 'SYSTEM FILE "prompt.md"\nEVAL {\n  SUITE mine "cases.jsonl"\n}\n')
    recipe = load(project("child.jessy", BASE + 'INCLUDE "sub/part.jessy"\n'))
    assert recipe.system == "Sen JESSY'sin.\n\nKısa yaz."
    assert recipe.evaluation.suites[0].file == "sub/cases.jsonl"
    assert "prompt.md" in {p.name for p in recipe.read_files}


@pytest.mark.parametrize(
    "written", ["./models/base.gguf", "models/base.gguf", '"models/base.gguf"', "../sub/models/base.gguf"]
)
def test_a_local_model_counts_from_the_root_and_keeps_its_mark(project, written):
    project("sub/models/base.gguf", "x")
    recipe = load(project("sub/child.jessy", BASE.replace("FROM gemma3:270m", f"FROM {written}")))
    assert recipe.base == "./sub/models/base.gguf"


def test_a_model_outside_the_project_is_refused(project, tmp_path):
    path = project("sub/child.jessy", BASE.replace("FROM gemma3:270m", "FROM a/../../../outside.gguf"))
    assert [d.code for d in load_recipe(path, root=tmp_path).diagnostics] == ["J041"]


VARIANTS = 'VARIANT small "for laptops" {\n  LORA { rank 2 }\n  DROP CATEGORY work\n}\n'


def test_a_variant_lies_over_everything(project):
    path = project("child.jessy", BASE + VARIANTS)
    assert load(path).lora.rank == 8
    small = load(path, variant="small")
    assert (small.lora.rank, small.lora.alpha, [c.name for c in small.dataset.categories]) == (2, 8.0, ["talk"])


def test_a_variant_makes_a_model_of_its_own_name(project):
    """Two personalities of one recipe were registered under one name, and the second took the place of the first."""
    named = "VARIANT big {\n  NAME huge\n}\n"
    path = project("child.jessy", BASE + VARIANTS + named)
    assert load(path, variant="small").name == f"{load(path).name}-small"
    assert load(path, variant="big").name == "huge"
    assert load(path, variant="small", sets={"name": "other"}).name == "other"
    assert load_recipe(path, variant="small").variants == ("small", "big")
    child = project("grandchild.jessy", 'JESSY 1\nEXTENDS "child.jessy"\nNAME grand\n')
    assert load(child, variant="small").name == "grand-small"


def test_a_parents_variant_lies_over_the_child_too(project):
    project("parent.jessy", BASE + VARIANTS)
    path = project(
        "child.jessy", 'JESSY 1\nEXTENDS "parent.jessy"\nLORA {\n  rank 16\n}\nVARIANT small {\n  LORA { alpha 1 }\n}\n'
    )
    small = load(path, variant="small")
    assert (small.lora.rank, small.lora.alpha) == (2, 1.0)


def test_names_are_visible_before_they_are_declared(project):
    text = (
        BASE.replace("rank 8", "rank ${rank}")
        + 'SYSTEM """\n  ${who}, ${greeting} $${who}\n  """\nLET greeting = "merhaba ${who}"\nLET who = "Ayşe Hanım"\nLET rank = 3\n'
    )
    recipe = load(project("child.jessy", text))
    assert recipe.lora.rank == 3
    assert recipe.system == "Ayşe Hanım, merhaba Ayşe Hanım ${who}"


def test_a_name_inside_a_word(project):
    recipe = load(project("child.jessy", BASE.replace("gemma3:270m", "gemma3:${size}") + "ARG size = 270m\n"))
    assert recipe.base == "gemma3:270m"


def test_arg_takes_the_command_line_then_the_environment_then_its_own_value(project, monkeypatch):
    path = project("child.jessy", BASE.replace("rank 8", "rank ${rank}") + "ARG rank = 3 FROM ENV JESSY_TEST_RANK\n")
    monkeypatch.delenv("JESSY_TEST_RANK", raising=False)
    assert load(path).lora.rank == 3
    monkeypatch.setenv("JESSY_TEST_RANK", "5")
    assert load(path).lora.rank == 5
    assert load(path, args={"rank": "6"}).lora.rank == 6


def test_the_environment_is_read_only_where_the_line_says_so(project, monkeypatch):
    monkeypatch.setenv("rank", "5")
    assert load(project("child.jessy", BASE.replace("rank 8", "rank ${rank}") + "ARG rank = 3\n")).lora.rank == 3


def test_an_outside_value_with_spaces_is_text_and_is_not_read_again(project):
    path = project("child.jessy", BASE + 'ARG who = "x"\nSYSTEM "Sen ${who}"\n')
    assert load(path, args={"who": "iki söz ${who}"}).system == "Sen iki söz ${who}"


def test_variables_cannot_grow_without_end(project):
    doubling = (
        "".join(f'LET v{i} = "${{v{i + 1}}}${{v{i + 1}}}"\n' for i in range(40)) + 'LET v40 = "jessy"\nSYSTEM "${v0}"\n'
    )
    found = load_recipe(project("child.jessy", BASE + doubling))
    assert {d.code for d in found.diagnostics} == {"J007"}


@pytest.mark.parametrize(
    ("address", "value", "expected"),
    [
        ("lora.rank", "4", 4),
        ("lora.targets", "q_proj v_proj", ["q_proj", "v_proj"]),
        ("lora.layers", "all", None),
        ("train.learning_rate", "5e-4", 5e-4),
        ("dataset.validation", "20%", 0.2),
        ("dataset.category.talk.language", "en", "en"),
        ("eval.criterion.latency.low.value", "9s", 9.0),
        ("eval.criterion.no_loops.value", "80%", 0.8),
        ("parameter.temperature", "1", 1.0),
        ("parameter.stop", "<end of turn>", ["<end of turn>"]),
        ("system", "iki söz", "iki söz"),
        ("name", "other", "other"),
        ("complexity.level.low.iterations", "1-2", [1, 2]),
        ("complexity.marker", "none", None),
    ],
)
def test_set_gives_one_value_from_outside(project, address, value, expected):
    recipe = load(project("child.jessy", BASE), sets={address: value})
    assert recipe.values([address]) == {address: expected}
    assert recipe.source(address).file == "--set"


def test_a_value_is_the_same_however_it_is_written(project):
    """The plan compares values: `10%` and `0.1`, `60s` and `1m` must not make a retrain."""
    first = load(
        project(
            "a.jessy",
            BASE + "TRAIN {\n  learning_rate 1e-4\n}\nDATASET {\n  validation 10%\n}\nWATCH { debounce 60s }\n",
        )
    )
    second = load(
        project("b.jessy", BASE + "WATCH { debounce 1m }\nDATASET { validation 0.1 }\nTRAIN { learning_rate 0.0001 }\n")
    )
    assert first.document == second.document


def test_several_settings_may_share_a_one_line_block(project):
    recipe = load(project("child.jessy", BASE + "WATCH { debounce 1s  max_retrains 3 per hour }\n"))
    assert (recipe.watch.debounce, recipe.watch.max_retrains, recipe.watch.per) == (1.0, 3, 3600.0)


def test_topics_inherit_language_and_level(project):
    recipe = load(project("child.jessy", BASE.replace("TOPIC big 10", "TOPIC big 10 { language en }")))
    small, big = recipe.dataset.categories[0].topics
    assert (small.language, big.language) == ("tr", "en")


def test_retrieve_is_set_one_by_one_and_dropped_as_a_whole(tmp_path):
    """An empty block of what may be left out counted as left out, whatever it requires."""
    (tmp_path / "base.jessy").write_text(BASE + "RETRIEVE {\n  examples 3 from seeds\n  answer above 80%\n}\n", "utf-8")
    child = tmp_path / "child.jessy"
    child.write_text(
        'JESSY 1\nEXTENDS "base.jessy"\nNAME child\nRETRIEVE { answer above none }\n'
        'VARIANT bare "no rows" { DROP RETRIEVE }\nVARIANT more { RETRIEVE { examples 5 from seeds } }\n',
        "utf-8",
    )

    def retrieve(variant=None):
        recipe = load_recipe(child, root=tmp_path, variant=variant).recipe
        assert recipe is not None
        return recipe.retrieve and (recipe.retrieve.examples, recipe.retrieve.answer)

    assert retrieve() == (3, None)
    assert retrieve("bare") is None
    assert retrieve("more") == (5, None)
