"""Where a recipe's seeds are looked for, and where messages send a person to write more."""

from __future__ import annotations

from pathlib import Path

from jessyfile.dataset.places import file_to_write
from jessyfile.language import load_text

RECIPE = """JESSY 1
NAME tiny
FROM gemma3:270m-pt
DATASET {
  SEEDS "mine"
  CATEGORY cafe 3 "A café"
  CATEGORY turkish 3 "Turkish" { TOPIC slang 3 }
}
"""


def test_more_rows_are_sent_into_the_folder_that_the_recipe_names(tmp_path: Path) -> None:
    """`data/seeds/cafe/cafe.jsonl` was named to whoever keeps rows elsewhere; what is written there is not read then."""
    (tmp_path / "recipes" / "mine").mkdir(parents=True)
    own = load_text(RECIPE, tmp_path / "recipes" / "tiny.jessy", root=tmp_path).recipe
    plain = load_text(RECIPE.replace('  SEEDS "mine"\n', ""), tmp_path / "recipes" / "tiny.jessy", root=tmp_path).recipe
    assert own is not None
    assert plain is not None
    assert file_to_write(plain, tmp_path, "turkish", "slang") == "data/seeds/turkish/slang.jsonl"
    assert file_to_write(own, tmp_path, "turkish", "slang") == "recipes/mine/turkish/slang.jsonl"
    assert file_to_write(own, tmp_path, "markers", "<level>") == "recipes/mine/markers/<level>.jsonl"
    (tmp_path / "recipes" / "mine" / "cafe").mkdir()
    assert file_to_write(own, tmp_path, "cafe") == "recipes/mine/cafe/cafe.jsonl"
    (tmp_path / "recipes" / "mine" / "cafe" / "fener.jsonl").write_text("{}\n")
    assert file_to_write(own, tmp_path, "cafe") == "recipes/mine/cafe/fener.jsonl"
