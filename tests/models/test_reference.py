"""What FROM may say is one rule: the check of a recipe and the search for the model agree on it."""

from __future__ import annotations

import pytest

from jessyfile.errors import ModelError
from jessyfile.language import load_text
from jessyfile.models.reference import parse_reference

GOOD = ("gemma3:270m", "library/gemma3", "hf.co/bartowski/x-GGUF:Q4_K_M", "localhost:5000/me/x:1", "hf:org/name", "hf:org/name@main",
        "./model.gguf", "folder", "my folder")  # fmt: skip
BAD = (
    "llama3.2 # the small one",
    "two words",
    "hf:nope",
    "https://huggingface.co/org/name",
    "a:b:c",
    "name@main",
    "a;b",
    "ünlü",
)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    (tmp_path / "folder").mkdir()
    (tmp_path / "my folder").mkdir()
    return tmp_path


def checked(project, base):
    text = f'JESSY 1\nNAME x\nFROM "{base}"\nDATASET {{\n  CATEGORY a 9 {{\n    TOPIC b 9\n  }}\n}}\n'
    return load_text(text, project / "x.jessy", root=project)


@pytest.mark.parametrize("base", GOOD)
def test_what_the_check_lets_through_can_be_looked_for(project, base):
    recipe = checked(project, base).recipe
    assert parse_reference(recipe.base, project)


@pytest.mark.parametrize("base", BAD)
def test_what_cannot_be_a_model_is_a_mistake_of_the_recipe(project, base):
    """`FROM "llama3.2 # the small one"` once checked clean and failed when it was applied."""
    loaded = checked(project, base)
    assert [d.code for d in loaded.diagnostics if d.severity == "error"] == ["J021"]
    with pytest.raises(ModelError):
        parse_reference(base, project)


@pytest.mark.parametrize(
    ("base", "help_"),
    [
        ("llama3.2 # the small one", "`FROM llama3.2  # the small one`"),
        ("https://huggingface.co/org/name/tree/main", "`FROM hf:org/name`"),
        ("two words", "`./model.gguf`"),
    ],
)
def test_the_help_says_what_was_meant(project, base, help_):
    mistake = next(d for d in checked(project, base).diagnostics if d.severity == "error")
    assert help_ in mistake.helps[0]
