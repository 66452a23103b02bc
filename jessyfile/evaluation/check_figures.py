"""Measure the checks themselves on answers whose worth is known: `python -m jessyfile.evaluation.check_figures`.

The good and bad references of the split `final` are scored as a model's answers are, by words alone and each without its
own help. Distances are left out: references of one case are written against each other, good ones of different ideas and
bad ones out of good ones, so what a left-out one is nearest to says nothing. The figures go to `data/eval/quality.json`,
and the report shows them beside every share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.scores import form_misses, misses
from jessyfile.evaluation.voice import voice_faults
from jessyfile.fsops import write_text
from jessyfile.planning.canonical import normal, readable
from jessyfile.resources import resource
from jessyfile.results.quality import QUALITY_FILE, CheckQuality, ChecksQuality, Estimate
from jessyfile.text.answer_language import in_language
from jessyfile.text.json_lines import Line, read_jsonl
from jessyfile.text.repetition import find_loop

_MEASURED = (
    "Good and bad reference answers of the split final, which nobody read who wrote the checks; "
    "each was judged without its own help, by words alone."
)
Labelled = tuple[bool, bool]
"""Whether an answer was accepted, and whether it is good."""


def accepted(case: Case, text: str) -> bool:
    """Return whether an answer has the shape and the content that its case asks for; its marker is left aside."""
    voiced = in_language(text, case.language) and find_loop(text) is None
    return (
        voiced
        and not any(voice_faults(text, case.prompt, case.language))
        and not (form_misses(case, text) or misses(case, text))
    )


def quality(suite: str, labelled: Sequence[Labelled]) -> CheckQuality:
    """Return how a suite's checks agree with the labels of some answers."""
    taken, good = [label for label in labelled if label[0]], [label for label in labelled if label[1]]
    both = sum(label[0] and label[1] for label in labelled)
    return CheckQuality(suite, len(labelled), _estimate(both, len(taken)), _estimate(both, len(good)))


def _estimate(part: int, whole: int) -> Estimate | None:
    return Estimate.of_share(part, whole) if whole else None


def labelled_references(suite: Path, split: str = "final") -> Iterator[tuple[Case, str, str]]:
    """Yield a suite's references of one split: the case, the kind (`good`, `wrong`, …) and the text."""
    cases = {case.id: replace(case, bad=(), profiles=None) for case in read_cases(suite)[0]}
    for item in read_jsonl(suite.parent / "references" / suite.name):
        if isinstance(item, Line) and item.value["split"] == split:
            kinds = {"good": item.value["good"], **item.value["bad"]}
            case = replace(cases[item.value["case"]], good=tuple(kinds["good"]))
            yield from ((case, kind, text) for kind, texts in kinds.items() for text in texts)


def main() -> None:
    """Measure every shipped suite that has references, and write the figures."""
    folder = resource("data", "eval")
    found = tuple(_measured(folder / path.name) for path in sorted((folder / "references").glob("*.jsonl")))
    write_text(folder / QUALITY_FILE, readable(normal(ChecksQuality(found, _MEASURED))))
    for one in found:
        print(one.suite, one.answers, one.precision, one.recall)  # noqa: T201 (a command for who writes checks)


def _measured(suite: Path) -> CheckQuality:
    return quality(
        suite.stem, [(accepted(case, text), kind == "good") for case, kind, text in labelled_references(suite)]
    )


if __name__ == "__main__":
    main()
