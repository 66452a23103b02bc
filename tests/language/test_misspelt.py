"""A misspelt instruction is one mistake, not two."""

from pathlib import Path

from jessyfile.language import load_recipe


def test_a_misspelt_from_is_not_also_missing(tmp_path: Path) -> None:
    """`FORM gemma3:270m` was told twice: as an unknown word and as a missing FROM."""
    recipe = tmp_path / "x.jessy"
    recipe.write_text('JESSY 1\nNAME x\nFORM gemma3:270m\nDATASET {\n  CATEGORY a 4 "A" {\n    TOPIC b 4\n  }\n}\n')
    errors = [d for d in load_recipe(recipe).diagnostics if d.severity == "error"]
    assert [d.code for d in errors] == ["J001"]
