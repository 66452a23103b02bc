"""What precedence a project's own rows must have over those that come with jessy: `OWN_FIRST` in `jessyfile/retrieval/examples.py`.

Run `python benchmarks/own_rows.py`. The café of `recipes/mine` stands for a project of 32 rows beside all that are shipped. Every other
wording of a café's row, and 4,000 of shipped rows, are taken out of the index once and asked. By the share of a shipped row's nearness that
a row of the café needs to come first, it is shown how often the café's questions find the café, and their own row of it; how often
shipped questions are taken by the café, and how often one is that had found its own row. The thirty questions of
`recipes/mine/questions.jsonl` chose nothing: they are read beside.

The claims, at the share that is used: the café's questions find their own row half as often again as without it, of the shipped
ones at most one in a hundred is taken, and at most one in two hundred that had found its own row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jessyfile.retrieval.examples import OWN_FIRST, Example, Examples
from jessyfile.text.turkish import lower

HOUSE = Path(__file__).parents[1]
MINE = HOUSE / "recipes" / "mine"
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
SHIPPED_ASKED = 4000


@dataclass(frozen=True, slots=True)
class Found:
    """How near the nearest row of the project and the nearest other one are, and whether each is the one that was asked for."""

    own: float
    other: float
    own_right: bool
    other_right: bool

    def takes(self, share: float) -> bool:
        """Return whether the project's row comes first."""
        return self.own > 0 and self.own >= share * self.other


def rows(folder: Path, own: bool) -> Iterator[Example]:
    """Yield the answered rows of a single question below a folder."""
    for file in sorted(folder.glob("*/*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            row = json.loads(line)
            if "response" in row and not row.get("turns") and file.parent.name not in ("tickets", "home", "voice"):
                wordings = tuple(row.get("paraphrases", ()))
                yield Example(
                    f"{file}:{number}", row["query"], row["response"], row["complexity"], 1, wordings, own=own
                )


def found(scores: np.ndarray, own: np.ndarray, right: Sequence[bool] | np.ndarray) -> Found:
    """Return what these scores of rows come to."""
    mine, others = np.where(own, scores, -1), np.where(own, -1, scores)
    return Found(mine.max(), others.max(), bool(right[int(mine.argmax())]), bool(right[int(others.argmax())]))


def held_out(examples: Examples, own: np.ndarray) -> tuple[list[Found], list[Found]]:
    """Return what the wordings of the project's rows find, and what those of others find, each taken out of the index."""
    owners = np.repeat(np.arange(len(examples.rows)), [1 + len(row.paraphrases) for row in examples.rows])
    texts = [text for row in examples.rows for text in (row.question, *row.paraphrases)]
    first = np.searchsorted(owners, np.arange(len(examples.rows)))
    asked = np.flatnonzero(first[owners] != np.arange(len(texts)))
    mine, others = asked[own[owners[asked]]], asked[~own[owners[asked]]]

    def without(place: int) -> Found:
        owner = owners[place]
        scores = examples.nearness.by_row(texts[place], without=place)
        return found(scores, own, np.arange(len(first)) == owner)

    drawn = np.random.default_rng(24).permutation(others)[:SHIPPED_ASKED]
    return [without(place) for place in mine.tolist()], [without(place) for place in drawn.tolist()]


def thirty(examples: Examples, own: np.ndarray) -> list[Found]:
    """Return what the café's questions find; a row is right that says what is looked for."""
    asked = [json.loads(line) for line in (MINE / "questions.jsonl").read_text("utf-8").splitlines()]
    said = [lower(row.said) for row in examples.rows]
    words = [[lower(word) for word in one["relevance"][0]["words"]] for one in asked]
    return [
        found(
            examples.nearness.by_row(one["prompt"]),
            own,
            [any(word in text for word in some) for text in said],
        )
        for one, some in zip(asked, words, strict=True)
    ]


def main() -> None:
    """Measure and compare with the claims."""
    examples = Examples.build([*rows(HOUSE / "data" / "seeds", False), *rows(MINE, True)])
    own = np.array([row.own for row in examples.rows])
    mine, others = held_out(examples, own)
    read = thirty(examples, own)
    print(
        f"{own.sum()} rows of a project among {len(own)}; {len(mine)} of its wordings asked, {len(others)} of the others', {len(read)} questions"
    )
    print("needs   own row   any of its rows   taken of others   that had theirs   of the questions")
    counts = {
        share: (
            sum(one.takes(share) and one.own_right for one in mine),
            sum(one.takes(share) for one in mine),
            sum(one.takes(share) for one in others),
            sum(one.takes(share) and one.other_right for one in others),
            sum(one.own_right if one.takes(share) else one.other_right for one in read),
        )
        for share in dict.fromkeys((*SHARES, OWN_FIRST))
    }
    for share, (right, any_, taken, lost, asked) in counts.items():
        print(f"{share:5.0%}{right:10}{any_:18}{taken:18}{lost:18}{asked:19}")
    right, _, taken, lost, _ = counts[OWN_FIRST]
    assert right >= 1.5 * counts[1.0][0], (right, counts[1.0][0])
    assert taken <= 0.01 * len(others) and lost <= 0.005 * len(others), (taken, lost)


if __name__ == "__main__":
    main()
