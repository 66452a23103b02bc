"""`jessy data show --mask` shows the tokens that are trained, from the encoding that is trained on."""

import json

import pytest
from click.testing import CliRunner

from jessyfile import TrainingDataset, TrainingExample, apply
from jessyfile.commands.data import data
from jessyfile.errors import ProjectError
from jessyfile.training import encoded
from tests.models.tiny import tiny_model

RECIPE = """JESSY 1
NAME tiny
FROM "./model"
SYSTEM "Kısa konuş."
DATASET {
  SEEDS "seeds"
  validation 20%
  CATEGORY turkish 6 "Small talk" {
    language tr
    level low
    TOPIC casual 6
  }
}
TRAIN {
  max_length 256
  end_weight 4
  level_weight 8
}
DEPLOY { engine embedded }
"""
ASKED = ("selam", "bugün ne yapsak", "film önersene", "hava nasıl", "iyi geceler", "canım sıkıldı")


def shown(*words):
    return CliRunner().invoke(data, ["show", *words], catch_exceptions=False)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A project with a tiny model and six rows, to which a recipe is written; the folder."""
    tiny_model(tmp_path / "model")
    (tmp_path / "seeds" / "turkish").mkdir(parents=True)
    rows = [
        TrainingExample(asked, f"{asked.capitalize()} dedin, buradayım {n}.", "low", 1, "turkish", "tr", topic="casual")
        for n, asked in enumerate(ASKED)
    ]
    TrainingDataset(rows).save(tmp_path / "seeds" / "turkish" / "casual.jsonl", "jessy")
    (tmp_path / "tiny.jessy").write_text(RECIPE, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("tiny")
def test_tokens_are_shown_by_what_they_train_and_weigh(monkeypatch):
    with pytest.raises(ProjectError, match="never encoded") as caught:
        shown("--mask", "tiny.jessy")
    assert "--only encode" in caught.value.hint
    result = apply("tiny.jessy", only=["encode"])
    text = shown("--mask", "tiny.jessy", "-n", "1").stdout
    assert "\x1b" not in text
    for line in ('  level   ×8   "low"', "  end     ×4   ", "  trained ×1   ", "  given        ", "  prefix       "):
        assert line in text
    assert "Kısa konuş." in next(line for line in text.splitlines() if line.startswith("  prefix"))
    lines = shown("--mask", "tiny.jessy", "--json", "-n", "99").stdout.splitlines()
    kept = encoded.load(result.step("encode").folder / "train.safetensors")
    assert len(lines) == len(kept)
    for row, line in enumerate(map(json.loads, lines)):
        own = line["tokens"][len(kept.prefix) :]
        assert [one["id"] for one in own] == kept.row(row)[0].tolist()
        assert [one["weight"] > 0 for one in own] == kept.row(row)[1].tolist()
    monkeypatch.setattr("jessyfile.commands.mask._coloured", lambda: True)
    assert "\x1b[32m" in CliRunner().invoke(data, ["show", "--mask", "tiny.jessy"], color=True).stdout
    for words in (["rows.jsonl", "--mask", "tiny.jessy"], ["--json"]):
        with pytest.raises(ProjectError, match="--"):
            shown(*words)


def test_preferences_are_shown_as_they_are_compared(tiny):
    """What of a pair is compared could be read nowhere: the marker before it, a given line, is not."""
    pair = {"chosen": "Buyur, sendeyim.", "rejected": "Talebiniz alındı.", "level": "low", "iterations": 1}
    lines = [pair | {"messages": [{"role": "user", "content": f"sana {n} şey soracağım"}]} for n in ("bir", "iki")]
    (tiny / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (tiny / "tiny.jessy").write_text(RECIPE + 'PREFER dpo "pairs.jsonl" { batch_size 2 }\n', "utf-8")
    apply("tiny.jessy", only=["encode", "preferences"])
    text = shown("--mask", "tiny.jessy", "-n", "1").stdout
    good, bad = text[text.index("pairs.jsonl:1 good") :].split("pairs.jsonl:1 bad")
    assert 'trained ×1   "Buyur, sendeyim."' in good
    assert 'trained ×1   "Talebiniz alındı."' in bad
    assert [[line.split()[0] for line in one.splitlines() if "[low 1]" in line] for one in (good, bad)] == [
        ["level"],
        ["given"],
    ]
    (_, _, *compared) = map(json.loads, shown("--mask", "tiny.jessy", "--json", "-n", "2").stdout.splitlines())
    assert [one["row"] for one in compared] == [f"pairs.jsonl:{n} {kind}" for n in (1, 2) for kind in ("good", "bad")]
    assert all(one["tokens"][-1]["part"] in ("end", "given") for one in compared)
