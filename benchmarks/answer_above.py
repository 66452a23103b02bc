"""How near a row must be before its answer can be given as it stands: RETRIEVE's `answer above`.

Run `python benchmarks/answer_above.py [FOLDER OF SEEDS]`. Every wording that a person wrote for a shipped row (`paraphrases`) is taken
out of the index once and asked; the rows' other wordings stay. Shown by how near the nearest row is: how many were asked, how many found
their own row, and how many any row of the same level. Another row's answer may fit as well (`moralim çok bozuk` finds `moralim bozuk`,
not its own `moralim sıfır`), so the first share is the least that fits. The claims: own rows are found more often the nearer the nearest
is, and above half (`BOUND`) at least six in ten.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jessyfile.retrieval.examples import Example, Examples

SEEDS = Path(__file__).parents[1] / "data" / "seeds"
BOUND, LEAST, MOST = 0.5, 0.6, 4000
# orders to a house, and other rows' questions in two other voices: for recipes of their own
NOT_ASKED = ("home", "voice")
BINS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def shipped(folder: Path) -> Iterator[Example]:
    """Yield the rows of one question and one answer."""
    for file in sorted(folder.glob("*/*.jsonl")):
        if file.parent.name in NOT_ASKED:
            continue
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            row = json.loads(line)
            if "response" in row and not row.get("turns"):
                wordings = tuple(row.get("paraphrases", ()))
                yield Example(f"{file}:{number}", row["query"], row["response"], row["complexity"], 1, wordings)


def held_out(examples: Examples) -> Iterator[tuple[float, bool, bool]]:
    """Yield of each wording, taken out of the index and asked: how near the nearest row is, whether it is its own, whether its level is."""
    owners = [number for number, row in enumerate(examples.rows) for _ in range(1 + len(row.paraphrases))]
    texts = [text for row in examples.rows for text in (row.question, *row.paraphrases)]
    first = np.searchsorted(owners, np.arange(len(examples.rows)))
    asked = [place for place in range(len(texts)) if place != first[owners[place]]]
    for place in np.random.default_rng(24).permutation(asked)[:MOST].tolist():
        own = owners[place]
        scores = examples.nearness.by_row(texts[place], without=place)
        best = int(scores.argmax())
        yield float(scores[best]), best == own, examples.rows[best].level == examples.rows[own].level


def table(found: Sequence[tuple[float, bool, bool]]) -> None:
    """Print the shares by bin, and from each bound on."""
    print("nearest is        asked   own row   its level  |  from there on: asked   own row")
    for low, high in zip(BINS, (*BINS[1:], 1.01), strict=True):
        inside = [one for one in found if low <= one[0] < high]
        above = [one for one in found if one[0] >= low]
        own, level, all_own = (
            sum(values) / max(1, len(values))
            for values in ([one[1] for one in inside], [one[2] for one in inside], [one[1] for one in above])
        )
        print(
            f"{low:.0%} to {min(high, 1):.0%}".ljust(16)
            + f"{len(inside):7d}{own:10.1%}{level:12.1%}  | {len(above) / len(found):19.0%}{all_own:10.1%}"
        )


def main(folder: Path) -> None:
    """Measure and compare with the claims."""
    examples = Examples.build(shipped(folder))
    found = list(held_out(examples))
    wordings = sum(len(row.paraphrases) for row in examples.rows)
    print(f"{len(examples.rows)} rows, {wordings} other wordings, {len(found)} of them asked")
    table(found)
    above, below = ([own for near, own, _ in found if (near > BOUND) is side] for side in (True, False))
    assert sum(above) / len(above) >= LEAST > sum(below) / len(below), (
        sum(above) / len(above),
        sum(below) / len(below),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
