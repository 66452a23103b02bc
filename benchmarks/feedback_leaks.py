"""How many paraphrases of a case `jessy feedback accept` refuses, and how many unrelated questions: docs/feedback.md's figures.

Paraphrases are those of `benchmarks/retrieval_paraphrases.tsv`, and some of the shipped rows' own, each against its original among the
cases of the shipped suites. Unrelated are the shipped rows' questions, none of which is a case.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from jessyfile.feedback.learnable import DOUBTFUL
from jessyfile.retrieval.index import Index

HOUSE = Path(__file__).resolve().parents[1]
DRAWN = 1000


def objects(folder: str) -> list[dict[str, object]]:
    """Return every object of every file of JSON lines below a folder of data/."""
    files = sorted((HOUSE / "data" / folder).rglob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]


def main() -> None:
    """Measure and print."""
    draw = random.Random(1)
    cases = sorted({str(one["prompt"]) for one in objects("eval") if one.get("prompt")})
    rows = [one for one in objects("seeds") if not one.get("turns")]
    told = (HOUSE / "benchmarks" / "retrieval_paraphrases.tsv").read_text("utf-8").splitlines()
    hard = [(one, other) for one, other in (line.split("\t")[:2] for line in told if "\t" in line)]
    pairs = [(str(row["query"]), str(text)) for row in rows for text in row.get("paraphrases", [])]  # type: ignore[attr-defined]
    own = draw.sample(pairs, min(DRAWN, len(pairs)))
    unrelated = draw.sample(sorted({str(row["query"]) for row in rows}), DRAWN)
    for name, found in (("hard paraphrases", hard), ("paraphrases of rows", own)):
        index = Index.build([*cases, *(asked for asked, _ in found)])
        near = np.array([index.scores(text)[len(cases) + place] for place, (_, text) in enumerate(found)])
        print(f"{name}: {(near >= DOUBTFUL).mean():.0%} of {len(found)} refused")
    index = Index.build(cases)
    far = np.array([index.scores(text).max() for text in unrelated])
    print(
        f"unrelated questions: {(far >= DOUBTFUL).mean():.1%} of {len(unrelated)} refused, against {len(cases)} cases"
    )


if __name__ == "__main__":
    main()
