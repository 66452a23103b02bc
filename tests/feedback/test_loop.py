"""The loop of docs/feedback.md over the real pipeline on a tiny real model; `benchmarks/feedback_loop.py` runs it with Gemma 3 270M.

The tiny model's own answers are noise, so the rows that stand before a question answer: what is learned, and what a wrong correction
breaks, is decided by them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import real_world as world

from jessyfile.cli import main
from jessyfile.commands.watch import load_quietly
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.export.lineage import of_recipe
from jessyfile.export.registry import lookup
from jessyfile.feedback import Message, Signal, SignalStore, record
from jessyfile.pipeline import compile_steps
from jessyfile.planning.command_line import Call
from jessyfile.watch.session import Session

ASKED, BETTER = "bisikletimi nereye bağlasam acaba", "Arka bahçedeki demire bağla, orası güvenli."
PARAPHRASE = "bisikletimi nereye bağlayayım ki"
GOLDEN = (("selam naber dostum", "iyiyim"), ("bugün ne yapsak ki", "yürüyüş"), ("hava nasıl bugün", "güneşli"))
CASE = {"suite": "golden", "level": "low", "language": "tr", "form": []}


def project(root: Path) -> Path:
    world.fresh(root)
    text = (root / "tiny.jessy").read_text()
    text = text.replace("  markers 0\n", "  markers 0\n  FEEDBACK turkish\n")
    text = text.replace('SUITE small "small.jsonl"', 'contrast none\n  SUITE golden "golden.jsonl"')
    text = text.replace("MUST training_time < 60m", "MUST golden.relevance >= previous")
    text = text.replace("LORA {", "RETRIEVE {\n  examples 1 from seeds\n  answer above 50%\n}\nLORA {", 1)
    (root / "tiny.jessy").write_text(
        text.replace("WATCH", "") + "WATCH {\n  debounce 0s\n  max_retrains 2 per day\n}\n"
    )
    cases = [
        {**CASE, "id": f"g-{n}", "prompt": asked, "relevance": [{"check": "any_of", "words": [word]}]}
        for n, (asked, word) in enumerate(GOLDEN)
    ]
    (root / "golden.jsonl").write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases))
    return root


def edit(root: Path, asked: str, better: str) -> str:
    return record(root, Signal("edit", (Message("user", asked),), "bilmem ki", "tiny", chosen=better, source="chat"))


def golden(root: Path) -> tuple[float | None, float | None]:
    """Return the golden set's relevance of the last candidate, and of what was promoted before it."""
    metric = read_verdict(of_recipe(root, "tiny").folder("judge")).metrics["golden.relevance"]
    before = metric.others.get("previous")
    return metric.after.value, before.value if before is not None else None


def ask(capsys, question: str) -> str:
    capsys.readouterr()
    assert main(["chat", "tiny", question, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["text"]


def watched(root: Path, said: list[str]) -> Session:
    call = Call("tiny.jessy")
    return Session(root, call, lambda: load_quietly(call), compile_steps, say=said.append, draw=lambda _: None)


def until(session: Session, said: list[str], text: str) -> None:
    end = time.monotonic() + 120
    while not any(text in line for line in said):
        assert time.monotonic() < end, said
        session.turn(0.05)


def test_a_correction_is_learned_a_bad_batch_is_not(tmp_path, monkeypatch, capsys):
    """Correct, accept, train, promote; then a batch that makes the golden set worse, which is withheld, rejected, and gone."""
    root = project(tmp_path / "p")
    monkeypatch.chdir(root)
    assert main(["apply", "tiny.jessy"]) == 0
    assert golden(root) == (1.0, None), "nothing was promoted before, so nothing could fall behind"
    first, said = lookup(root, "tiny"), list[str]()
    assert BETTER not in ask(capsys, PARAPHRASE)
    session = watched(root, said)
    try:
        session.look()
        assert session.quiet(), "nothing was said yet"
        assert main(["feedback", "accept", "tiny.jessy", edit(root, ASKED, BETTER)]) == 0
        until(session, said, ": done")
    finally:
        session.close()
    assert golden(root) == (1.0, 1.0)
    second = lookup(root, "tiny")
    assert second.served != first.served or second.digest != first.digest
    assert ask(capsys, PARAPHRASE) == BETTER

    leak = edit(root, GOLDEN[0][0], "İyiyim ben de, sağ ol.")
    assert main(["feedback", "accept", "tiny.jessy", leak]) == 1
    assert "golden.jsonl:1" in capsys.readouterr().err

    lies = [
        edit(root, asked, f"Orasını kimse bilemez, {n} kişiye sordum.")
        for n, asked in enumerate(("selam naber", "bugün ne yapsak", "hava nasıl"))
    ]
    assert main(["feedback", "accept", "tiny.jessy", *lies, "--another-question"]) == 0
    assert main(["apply", "tiny.jessy"]) == 3
    assert golden(root) == (0.0, 1.0)
    assert lookup(root, "tiny") == second
    assert ask(capsys, PARAPHRASE) == BETTER
    assert [one.status for one in SignalStore(root).read().signals] == ["accepted", "open", *["accepted"] * 3]

    assert main(["feedback", "reject", *lies]) == 0
    left = world.changes(root)
    assert "train" not in left and "import" in left, "only the good model is to be put back in the candidate's place"
