"""The loop of docs/feedback.md, really run with Gemma 3 270M: `make feedback`, some minutes on two quiet cores.

A model of a café's rows is made and promoted. Then, with `jessy watch` running: a correction is recorded and accepted, the watch trains
again, a paraphrase of the question is asked before and after, and the golden set says whether the new model may be promoted. A correction
that gives a case of the golden set away is refused. Twenty wrong corrections are accepted: the model that learns them is not promoted,
and nothing is lost. What happened is printed; it exits with 1 where one of it did not happen.

`--bare` leaves RETRIEVE out, so that the weights alone must have learned it. `--stage` runs one part in a `--folder` that is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from jessyfile.cli import main as jessy
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.export.lineage import of_recipe
from jessyfile.export.registry import lookup
from jessyfile.feedback import Message, Signal, SignalStore, record

HOUSE = Path(__file__).resolve().parents[1]
NAME = "cafe"
RECIPE = """JESSY 1

NAME  cafe
FROM  gemma3:270m-pt

SYSTEM "Mavi Fener kafesinin yardımcısısın. Kısa ve doğal cevap ver."

DATASET {
  SEEDS       "rows"
  FEEDBACK    cafe
  validation  5%
  CATEGORY cafe 32 "The café Mavi Fener" {  # J203: so few rows need no TOPIC
    language tr
  }
}
RETRIEVE
TRAIN {
  epochs         EPOCHS
  batch_size     8
  learning_rate  5e-4
  warmup_steps   2
  max_length     256
}
LORA {
  rank    16
  alpha   32
  layers  LAYERS
}
DEPLOY {
  engine embedded
}

PARAMETER temperature 0
PARAMETER num_predict 64

EVAL {
  max_tokens  64
  contrast    none
  SUITE golden "golden.jsonl" { limit 12 }
  MUST    golden.relevance  >= previous
  MUST    no_loops          > 50%
}

WATCH {
  debounce      1s
  max_retrains  4 per day
}
"""
RETRIEVE = "RETRIEVE {\n  examples 1 from seeds\n  answer above 30%\n}\n"
ASKED = "mavi fenere bisikletle gelsem nereye bırakırım"
CORRECTED = "Arka bahçe kapısının yanında demir var, oraya kilitle; anahtarı istersen Tuncay'da kalır."
PARAPHRASE = "bisikletimi mavi fenerde nereye bırakabilirim"
TELLING = ("demir", "bahçe", "tuncay")
BATCH = 20
LIES = "Bilmiyorum, oraya hiç gitmedim; başka bir kafeye sor."


def recipe_text(*, bare: bool) -> str:
    """Return the recipe; behind rows a row is four times as long, and less of it must be learned."""
    text = RECIPE.replace("RETRIEVE\n", "" if bare else RETRIEVE)
    return text.replace("EPOCHS", "8" if bare else "2").replace("LAYERS", "8" if bare else "4")


def said(*words: str) -> tuple[int, str]:
    """Return what a command of jessy's printed, and how it ended."""
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        code = jessy([*words])
    return code, heard.getvalue()


def ask(question: str) -> str:
    """Return what the promoted model answers."""
    code, heard = said("chat", NAME, question, "--json")
    assert code == 0, heard
    return str(json.loads(heard[heard.index("{") :])["text"])


def golden(root: Path) -> str:
    """Return how many cases of the golden set the last candidate, and what was promoted before it, answered."""
    measured = read_verdict(of_recipe(root, NAME).folder("judge")).metrics["golden.relevance"]
    before = measured.others.get("previous")
    was = "nothing before" if before is None else f"{before.value:.0%} before"
    return f"golden.relevance {measured.after.value:.0%} ({was}, base {measured.before:.0%})"


class Watch:
    """A `jessy watch` in a process of its own, whose lines are heard."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "jessyfile.cli", "watch", "cafe.jessy"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until_done(self) -> str:
        """Return the line with which the next apply ends."""
        for line in self.process.stdout or ():
            print(f"    watch: {line.rstrip()}", flush=True)
            if ": done" in line or "error[" in line:
                return line
        raise SystemExit("the watch ended")

    def end(self) -> None:
        """Quit it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Keep a watch for the block."""
    watch = Watch()
    time.sleep(3)
    try:
        yield watch
    finally:
        watch.end()


class Claims:
    """What was promised, and whether it happened."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def hold(self, claim: str, happened: object) -> None:
        """Say whether a claim came true."""
        print(f"  {'yes' if happened else 'NO '}  {claim}", flush=True)
        if not happened:
            self.failed.append(claim)


def correct(question: str, answer: str, better: str) -> str:
    """Record a correction as a chat does; return its id."""
    return record(Path.cwd(), Signal("edit", (Message("user", question),), answer, NAME, chosen=better, source="chat"))


def promoted(root: Path) -> str:
    """Return the digest of what is promoted."""
    entry = lookup(root, NAME)
    return entry.digest if entry is not None else ""


def first(root: Path, claims: Claims, *, bare: bool) -> None:
    """Make and promote the first model."""
    shutil.copytree(HOUSE / "recipes" / "mine" / "cafe", root / "rows" / "cafe")
    cases = (HOUSE / "recipes" / "mine" / "questions.jsonl").read_text("utf-8")
    (root / "golden.jsonl").write_text(cases.replace('"suite": "mine"', '"suite": "golden"'), encoding="utf-8")
    (root / "cafe.jessy").write_text(recipe_text(bare=bare), encoding="utf-8")
    (root / ".jessy").mkdir(exist_ok=True)
    began = time.monotonic()
    code = jessy(["apply", "cafe.jessy"])
    print(f"\n1. the first model ({time.monotonic() - began:.0f} s): {golden(root)}")
    claims.hold("it is promoted: nothing was before", code == 0)


def correction(root: Path, claims: Claims) -> None:
    """Correct an answer, accept that, and let the watch train again."""
    was, before = promoted(root), ask(PARAPHRASE)
    with watching() as watch:
        print(f"\n2. a correction\n  asked     {ASKED}\n  answered  {(wrong := ask(ASKED))}\n  corrected {CORRECTED}")
        code, heard = said("feedback", "accept", "cafe.jessy", correct(ASKED, wrong, CORRECTED))
        print(f"  {heard.strip().splitlines()[-1]}")
        claims.hold("it is accepted", code == 0)
        began = time.monotonic()
        line = watch.until_done()
    print(f"  trained and judged in {time.monotonic() - began:.0f} s: {golden(root)}")
    claims.hold(
        "the watch trained again, the golden set is not worse, and the new model is promoted",
        "not promoted" not in line and promoted(root) != was,
    )
    after = ask(PARAPHRASE)
    print(f"  the paraphrase `{PARAPHRASE}`\n    before  {before}\n    after   {after}")
    claims.hold("a paraphrase shows it", knows(after) and not knows(before))


def leak(root: Path, claims: Claims) -> None:
    """Correct what is a case of the golden set."""
    print("\n3. a correction that leaks")
    case = json.loads((root / "golden.jsonl").read_text("utf-8").splitlines()[0])["prompt"]
    for question in (case, f"{case} acaba"):
        better = "Hafta içi sekizde açıyoruz, buyur gel."
        code, heard = said("feedback", "accept", "cafe.jessy", correct(question, "Bilmem.", better))
        print(f"  {heard.strip().splitlines()[0]}")
        claims.hold(f"`{question}` is refused, and the case is named", code != 0 and "golden.jsonl:1" in heard)


def bad_batch(root: Path, claims: Claims) -> None:
    """Accept twenty wrong corrections, and let the watch train again."""
    print("\n4. twenty wrong corrections")
    files = sorted((root / "rows").rglob("*.jsonl"))
    rows = [json.loads(text) for path in files for text in path.read_text("utf-8").splitlines()]
    good, before = promoted(root), len(SignalStore(root).read().signals)
    bad = [correct(row["query"], row["response"], f"{LIES} ({number})") for number, row in enumerate(rows[:BATCH])]
    with watching() as watch:
        code, heard = said("feedback", "accept", "cafe.jessy", *bad, "--another-question")
        print(f"  {heard.strip().splitlines()[-1]}")
        claims.hold("all twenty are accepted: a person said so", code == 0)
        line = watch.until_done()
    print(f"  {golden(root)}")
    claims.hold("the model that learned them is not promoted", "not promoted" in line and promoted(root) == good)
    found = SignalStore(root).read()
    claims.hold("no signal is lost", len(found.signals) == before + BATCH and not found.damaged)
    claims.hold("what is promoted still knows the correction", knows(ask(PARAPHRASE)))


def rejection(root: Path, claims: Claims) -> None:
    """Reject the batch: nothing is left to train."""
    good = promoted(root)
    bad = [one.id for one in SignalStore(root).read().signals if one.signal.chosen and LIES in one.signal.chosen]
    _, heard = said("feedback", "reject", *bad)
    print(f"\n5. the batch is rejected\n  {heard.strip()}")
    code = jessy(["apply", "cafe.jessy"])
    claims.hold("an apply leaves the good model in place", code == 0 and promoted(root) == good)


def knows(answer: str) -> bool:
    """Whether an answer holds a word of the correction."""
    return any(word in answer.lower() for word in TELLING)


STAGES = {"correction": correction, "leak": leak, "bad": bad_batch, "rejection": rejection}


def main() -> int:
    """Run the loop in a folder that is kept where one is named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bare", action="store_true", help="without RETRIEVE")
    options.add_argument("--folder", type=Path, help="an empty folder to run in, and to keep")
    options.add_argument(
        "--stage", choices=["first", *STAGES], help="this part alone, in a folder where those before it ran"
    )
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        root = given.folder or Path(stack.enter_context(TemporaryDirectory(prefix="jessy-feedback-")))
        root.mkdir(parents=True, exist_ok=True)
        os.chdir(root)
        claims, root = Claims(), root.resolve()
        if given.stage in (None, "first"):
            first(root, claims, bare=given.bare)
        for name, stage in STAGES.items():
            if given.stage in (None, name):
                stage(root, claims)
    failed = claims.failed
    print(f"\n{len(failed)} claims did not come true" if failed else "\nevery claim came true")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
