"""How often the level of a row's answer is the question's: the nearest row's, the one that the rows vote for, and the one that answers.

Run `python benchmarks/levels.py [FOLDER]`: every question of the rows that come with jessy (closed tasks and other voices aside) is
asked of the index without what its own row answers, and the level of the row that answers is held against its own. The rows lie in
FOLDER, data/seeds unless said otherwise. How a vote is weighed is calibrated on a fifth of them, and the figures are of the others. The
claim: the row that answers (`retrieval.levels.of_its_level`) has the question's level more often than the nearest one has.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path

from answer_above import SEEDS, shipped  # the benchmark beside this one

from jessyfile.evaluation.statistics import mcnemar
from jessyfile.retrieval.examples import Examples
from jessyfile.retrieval.levels import CLEARLY, Vote, calibrated, of_its_level

LEVELS, BOUND, MOST = ("low", "medium", "high"), 0.3, 4000


def main(folder: Path) -> None:
    """Print how often each is right, and on which votes."""
    rows = [row for row in shipped(folder) if "/tickets/" not in row.id]  # answered in JSON
    random.Random(0).shuffle(rows)
    held, rest = rows[: len(rows) // 5], rows[len(rows) // 5 :]
    voting = calibrated(Examples.build(rest), held, LEVELS)
    examples = Examples.build(rows)
    right, votes = Counter[str](), Counter[str]()
    asked = better = worse = 0
    for row in rest[:MOST]:
        found = [one for one in examples.neighbours(row.question, 40) if one.example.said != row.said][: voting.count]
        if not found or found[0].score <= BOUND:
            continue
        shares = voting.shares(found)
        level = max(shares, key=lambda name: shares[name])
        near, taken = found[0], of_its_level(found, Vote(level, shares[level]), LEVELS, BOUND)
        asked += 1
        right.update(
            {
                "nearest": near.example.level == row.level,
                "vote": level == row.level,
                "answers": taken.example.level == row.level,
            }
        )
        better += near.example.level != row.level == taken.example.level
        worse += near.example.level == row.level != taken.example.level
        more = LEVELS.index(level) - LEVELS.index(near.example.level)
        kind = "more" if more > 0 else "less, clearly" if shares[level] >= CLEARLY else "less"
        if more:
            votes.update({f"{kind}: votes": 1, f"{kind}: right": level == row.level})
            votes.update({f"{kind}: the nearest right": near.example.level == row.level})
    print(json.dumps({"asked": asked, **{name: round(count / asked, 4) for name, count in right.items()}}))
    print(json.dumps({**votes, "better": better, "worse": worse, "p": round(mcnemar(better, worse), 4)}))
    assert right["answers"] > right["nearest"], "the nearest row's level is right as often"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
