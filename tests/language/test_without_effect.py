"""A setting that changes nothing where it stands is told, once, at its own line; with an effect, or with its code accepted, it is not."""

from __future__ import annotations

import pytest

from jessyfile.language import load_text

HEAD = """JESSY 1
NAME x
FROM gemma3:270m
DATASET {{
  validation {validation}
  CATEGORY talk 40 "Talk" {{
    language tr
    level low
    TOPIC small 40
  }}
}}
EVAL {{
  MUST no_loops > 95%
}}
"""

# what is written, with what is idle in it, and what gives it an effect
IDLE = {
    "early_stop": ("TRAIN {\n  early_stop 3\n}", "TRAIN {\n  early_stop 2\n}", "10%", "J210"),
    "early_stop without rows held out": ("TRAIN {\n  early_stop 1\n}", None, "1%", "J213"),
    "keep": ("TRAIN {\n  keep best\n}", "TRAIN {\n  keep last\n}", "1%", "J213"),
    "validate_every": ("TRAIN {\n  validate_every 16\n}", "TRAIN {\n  validate_every 15\n}", "10%", "J213"),
    "validate_every without rows": ("TRAIN {\n  validate_every 2\n}", "TRAIN {\n  validate_every 0\n}", "1%", "J213"),
    "checkpoint_every": ("TRAIN {\n  checkpoint_every 15\n}", "TRAIN {\n  checkpoint_every 14\n}", "10%", "J213"),
    "level_weight": (
        "TRAIN {\n  level_weight 8\n}\nCOMPLEXITY {\n  marker none\n}", "TRAIN {\n  level_weight 8\n}", "10%", "J212",
    ),
    "batch_size": ("TRAIN {\n  batch_size 37\n}", "TRAIN {\n  batch_size 36\n}", "10%", "J213"),
    "grad_accumulation": ("TRAIN {\n  grad_accumulation 16\n}", "TRAIN {\n  grad_accumulation 15\n}", "10%", "J213"),
    "pack": ("TRAIN {\n  batch_size 1\n  pack no\n}", "TRAIN {\n  batch_size 2\n  pack no\n}", "10%", "J213"),
    "include_system": (
        "TRAIN {\n  include_system no\n}", 'TRAIN {\n  include_system no\n}\nSYSTEM "Kısa konuş."', "10%", "J213",
    ),
    "on_memory": (
        "TRAIN {\n  on_memory shrink_rank\n}\nLORA {\n  rank 7\n}",
        "TRAIN {\n  on_memory shrink_rank\n}\nLORA {\n  rank 8\n}", "10%", "J213",
    ),
    "imatrix": (
        "EXPORT gguf {\n  imatrix yes\n}", "EXPORT gguf {\n  quantize q6_k\n  imatrix yes\n}", "10%", "J213",
    ),
    "rslora": ("LORA {\n  rank 1\n  rslora yes\n}", "LORA {\n  rank 2\n  rslora yes\n}", "10%", "J213"),
}  # fmt: skip


def told(tmp_path, text, validation):
    found = load_text(HEAD.format(validation=validation) + text + "\n", tmp_path / "x.jessy", root=tmp_path)
    assert found.recipe is not None, found.diagnostics
    return [one for one in found.diagnostics if one.code in ("J210", "J212", "J213")]


@pytest.mark.parametrize("name", IDLE)
def test_a_setting_without_effect_is_told_at_its_line_and_one_with_effect_is_not(tmp_path, name):
    idle, working, validation, code = IDLE[name]
    (found,) = told(tmp_path, idle, validation)
    assert (found.code, found.severity) == (code, "warning")
    assert found.message.startswith(name.split(" ")[0])
    assert found.helps
    line = next(i for i, one in enumerate(idle.splitlines()) if one.strip().startswith(name.split(" ")[0]))
    assert found.place.line == HEAD.count("\n") + line + 1
    accepted = idle.replace(idle.splitlines()[line], f"{idle.splitlines()[line]}  # {code}: known")
    assert told(tmp_path, accepted, validation) == []
    assert working is None or told(tmp_path, working, validation) == []


def test_defaults_are_never_blamed(tmp_path):
    """A small recipe ends before the default's twentieth update; nobody wrote that number."""
    assert told(tmp_path, "TRAIN {\n  epochs 1\n}", "10%") == []
    assert told(tmp_path, "TRAIN {\n  epochs 1\n}", "1%") == []


def test_updates_are_counted_as_training_makes_them(tmp_path):
    """An epoch's last batch may be small: 36 rows in batches of 8 are 5 an epoch, not four and a half."""
    found = load_text(
        HEAD.format(validation="10%") + "TRAIN {\n  epochs 2\n  warmup_steps 10\n}\n",
        tmp_path / "x.jessy",
        root=tmp_path,
    )
    assert [one.code for one in found.diagnostics] == []
