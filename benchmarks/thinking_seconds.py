"""What thinking takes on a served model: one answer, the whole loop, its iterations, the first token, loading.

    python benchmarks/thinking_seconds.py jessy-270m:candidate --project /path/to/project
    python benchmarks/thinking_seconds.py jessy-270m:candidate --prompts 10 --bare --json loops.jsonl

Prompts are the shipped suites' cases of each level, spread evenly. A loop is in time when it took no longer than the level allows that
the model held the question for; how many took no longer than the question's own level allows stands beside. Loops are asked first and single
answers after a fresh load, so that neither finds the other's prompts in the cache. `--bare` asks the model itself, without the rows of
RETRIEVE: a row that answers as it stands takes no time. A machine that does something else beside it measures that too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jessyfile.engines.promoted import Registered, find
from jessyfile.engines.serving import engine_of, loaded, served_model
from jessyfile.evaluation.answers import conversation
from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.statistics import percentile, wilson
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.language.recipe import Message
from jessyfile.resources import resource
from jessyfile.thinking.thinker import thinker_of
from jessyfile.thinking.thought import Thought, Wishes

TIMED, LONG = 0.95, 600.0
WARM = "merhaba dünya"
HEAD = (
    *("level", "prompts (a row stands)", "one answer p50 / p95 s", "loop p50 / p95 s", "within", "all iterations"),
    *("in time", "both", "within its own level's", "iterations", "shortened", "first token p95 s"),
)
SUITES = ("turkish", "technical", "philosophical", "iteration_control", "personality", "emotional")


def prompts(level: str, count: int) -> list[Case]:
    """Return so many of the shipped cases of a level."""
    files = (resource("data", "eval") / f"{suite}.jsonl" for suite in SUITES)
    found = [case for file in files for case in read_cases(file)[0] if case.level == level]
    return even_sample(found, count)


def asked(
    found: Registered, root: Path, cases: Sequence[Case], wishes: Wishes, longest: int, *, bare: bool
) -> Iterator[tuple[float, Thought]]:
    """Load the model and think about every case; yield the seconds of loading and the thought."""
    engine = engine_of(found.entry, retrieving=not bare)
    model = served_model(found.entry, longest)
    with loaded(engine, model) as seconds:
        thinker = thinker_of(root, found, engine, model)
        engine.chat([Message("user", WARM)], replace(model.settings, max_tokens=1))
        for case in cases:
            yield seconds, thinker.answer(conversation(case, found.complexity), wishes)


def share(passed: int, of: int) -> str:
    """Return a share with its interval, as `9 of 10 (60 to 98 %)`."""
    low, high = wilson(passed, of)
    return f"{passed} of {of} ({100 * low:.0f} to {100 * high:.0f} %)"


def line(level: str, within: Mapping[str, float | None], ones: Sequence[Thought], loops: Sequence[Thought]) -> str:
    """Return a level's line of the table; `within` are the seconds of every level."""

    def kept(thought: Thought, level: str) -> bool:
        limit = within[level]
        return limit is None or thought.seconds <= limit

    one, loop = ([thought.seconds for thought in side] for side in (ones, loops))
    first = [thought.first_token_seconds or thought.seconds for thought in loops]
    exact = [thought for thought in loops if thought.iterations == thought.asked]
    timely = [thought for thought in loops if kept(thought, thought.level or level)]
    both = sum(thought in timely for thought in exact)
    rows = sum(thought.drafts[0].ended == "stands" for thought in loops)
    cells = (
        level,
        f"{len(loops)} ({rows})",
        f"{percentile(one, 0.5):.1f} / {percentile(one, TIMED):.1f}",
        f"{percentile(loop, 0.5):.1f} / {percentile(loop, TIMED):.1f}",
        "none" if within[level] is None else f"{within[level]:g}",
        share(len(exact), len(loops)),
        share(len(timely), len(loops)),
        share(both, len(loops)),
        share(sum(kept(thought, level) for thought in loops), len(loops)),
        f"{sum(thought.iterations for thought in loops) / len(loops):.1f}",
        f"{sum(thought.shortened for thought in loops)} of {sum(len(thought.drafts) for thought in loops)}",
        f"{percentile(first, TIMED):.2f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure a model of a project and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="NAME or NAME:TAG, as registered")
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--prompts", type=int, default=60, help="of each level")
    parser.add_argument("--max-tokens", type=int, default=1024, help="of a draft, as in `jessy chat`")
    parser.add_argument("--levels", nargs="*", help="these alone")
    parser.add_argument("--bare", action="store_true", help="without the rows of RETRIEVE")
    parser.add_argument("--json", type=Path, help="write every loop as a line there")
    told = parser.parse_args()
    root, (name, _, tag) = told.project.resolve(), told.model.partition(":")
    found = find(root, name, tag or "latest")
    print(f"| {' | '.join(HEAD)} |")
    print("|---" * len(HEAD) + "|")
    loading, cached, read = list[float](), 0, 0
    for level in found.complexity.levels:
        if told.levels and level.name not in told.levels:
            continue
        cases = prompts(level.name, told.prompts)
        loops = list(asked(found, root, cases, Wishes(), told.max_tokens, bare=told.bare))
        alone = Wishes(iterations=1, max_seconds=LONG)
        ones = list(asked(found, root, cases, alone, told.max_tokens, bare=told.bare))
        loading += [seconds for seconds, _ in (*loops[:1], *ones[:1])]
        thoughts = [thought for _, thought in loops]
        cached += sum(thought.cached_tokens for thought in thoughts)
        read += sum(draft.prompt_tokens for thought in thoughts for draft in thought.drafts)
        limits = {one.name: one.within for one in found.complexity.levels}
        print(line(level.name, limits, [thought for _, thought in ones], thoughts), flush=True)
        if told.json:
            with told.json.open("a", encoding="utf-8") as out:
                out.writelines(as_line(case, thought) for case, thought in zip(cases, thoughts, strict=True))
    print(f"\nloading: {', '.join(f'{seconds:.2f} s' for seconds in loading)}")
    print(
        f"prompt tokens of the loops that were not read again: {cached} of {read} ({100 * cached / max(1, read):.0f} %)"
    )


def as_line(case: Case, thought: Thought) -> str:
    """Return a loop as a line of JSON, every draft with it."""
    drafts = [[one.ended, round(one.seconds, 2), one.tokens, one.text] for one in thought.drafts]
    said = {"id": case.id, "prompt": case.prompt, "level": case.level, "marked": thought.marked_level}
    spent = {"asked": thought.asked, "iterations": thought.iterations, "ended": thought.ended}
    return json.dumps({**said, **spent, "seconds": thought.seconds, "drafts": drafts}, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
