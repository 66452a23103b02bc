"""Show that the contrasts tell content from form: the tuned form.jessy beside a twin that learned the same answers under other questions.

python benchmarks/contrast_shuffled.py PROJECT               four metrics of base, tuned and shuffled, from a project in which the
                                                             form.jessy was applied; trains the twin (minutes on two cores)
... --work FOLDER    keep the twin and every value that was read: called again, it goes on where it was
... --eval FOLDER    suites and their references from another folder than data/eval
... --most 100       read at most so many cases of a suite, spread evenly
... --characters 900 leave out cases whose answers have more characters together: the long ones take most of the time
... --split all      the suites' whole reference answers, final and development
... --recipe recipes/jessy-270m.jessy    another recipe that was applied there

The twin's rows keep their questions, levels and markers; the answers change places among rows of one level and language. So it
hears the same voice at the same lengths, and no answer to its question: it should gain in `voice` and not in `fits`.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exports import QUIET, Applied

from jessyfile.dataset.formatted import FormattedRow, read_formatted, write_formatted
from jessyfile.dataset.places import reference_paths
from jessyfile.evaluation.answer_likelihood import AnswerLayout, CaseLikelihood, layout_of, likelihoods, texts
from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.contrast import contrasts
from jessyfile.evaluation.contrast_steps import read_likelihoods
from jessyfile.evaluation.references import References, read_references
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.fsops import append_line, make_folder
from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import chat_format
from jessyfile.models.load import loaded_folder
from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.readings import put_on
from jessyfile.planning.steps import StepContext
from jessyfile.text.json_lines import write_jsonl
from jessyfile.text.printable import json_text
from jessyfile.training.likelihood import reader
from jessyfile.training.train_steps import run_encode, run_train

if TYPE_CHECKING:
    from jessyfile.results.quality import Contrast, Estimate

SEED, TOGETHER = 2024, 8
Pair = tuple[Case, References]


def shuffled(rows: Sequence[FormattedRow]) -> list[FormattedRow]:
    """Return the rows with the texts of their last answers moved on by one within each level and language; markers stay."""
    chance, groups = random.Random(SEED), defaultdict[tuple[str | None, str], list[int]](list)
    for number, row in enumerate(rows):
        if row.kind == "chat":
            groups[row.level, row.language].append(number)
    found = list(rows)
    for members in groups.values():
        chance.shuffle(members)
        for own, other in zip(members, [*members[1:], members[0]], strict=True):
            marker = rows[own].messages[-1].content.partition("\n")[0]
            said = rows[other].messages[-1].content.partition("\n")[2]
            found[own] = replace(
                rows[own], messages=(*rows[own].messages[:-1], Message("assistant", f"{marker}\n{said}"))
            )
    return found


def twin(applied: Applied, work: Path) -> Path:
    """Train the twin as the recipe trains, and return its adapter's folder."""
    adapter = work / "train"
    if (adapter / "adapters.safetensors").is_file():
        return adapter
    for name in ("train.jsonl", "valid.jsonl"):
        write_formatted(work / "dataset" / name, shuffled(read_formatted(applied.steps["dataset"] / name)))
    inputs = {"base": applied.steps["base"], "dataset": work / "dataset"}
    run_encode(context(applied, work, "encode", inputs))
    start = time.perf_counter()
    facts = run_train(context(applied, work, "train", {**inputs, "encode": work / "encode"}))
    print(
        f"the twin: {facts.updates} updates in {time.perf_counter() - start:.0f} s, loss {facts.final_loss:.2f}",
        file=sys.stderr,
    )
    return adapter


def context(applied: Applied, work: Path, name: str, inputs: dict[str, Path]) -> StepContext:
    """Return what a step is given."""
    output, own = make_folder(work / name), make_folder(work / "work" / name)
    return StepContext(applied.recipe, applied.root, output, own, inputs, {}, QUIET, QUIET, name)


def pairs_of(folder: Path, split: str, most: int | None, longest: int) -> list[Pair]:
    """Return every case of a folder's suites that has references in a split, or in any. Raises SystemExit for a mistake in them."""
    found: list[Pair] = []
    for path in sorted(reference_paths(folder.glob("*.jsonl"))):
        cases = {case.id: case for case in read_cases(folder / path.name)[0]}
        own, faults = read_references(path, cases)
        if faults:
            raise SystemExit("\n".join(map(str, faults)))
        chosen = [
            one for one in own if split in ("all", one.split) and sum(len(text) for _, text in texts(one)) <= longest
        ]
        found += even_sample([(cases[one.case], one) for one in chosen], most)
    return found


@contextmanager
def model_of(applied: Applied, name: str, work: Path) -> Iterator[Any]:
    """Hold one of the three models."""
    with loaded_folder(applied.steps["merge" if name == "tuned" else "base"]) as model:
        if name == "shuffled":
            put_on(model, twin(applied, work))
        yield model


def read(applied: Applied, name: str, cases: Sequence[Pair], work: Path) -> list[CaseLikelihood]:
    """Return what a model makes of the cases' answers; what was read before is not read again."""
    kept = work / f"{name}.jsonl"
    done = {one.case: one for one in read_likelihoods(kept)}
    write_jsonl(kept, map(asdict, done.values()))  # a last line torn by a crash would swallow the next one
    pending = [pair for pair in cases if pair[0].id not in done]
    if pending:
        base, since = applied.steps["base"], time.perf_counter()
        form = chat_format(str(read_json(base / "source.json")["chat_format"]))
        layout: AnswerLayout = layout_of(applied.recipe, load_tokenizer(base), form)
        with model_of(applied, name, work) as model, reader(model) as one:
            for start in range(0, len(pending), TOGETHER):
                for value in likelihoods(one, layout, pending[start : start + TOGETHER]):
                    append_line(kept, json_text(asdict(value)))
                    done[value.case] = value
        tokens = sum(answer.tokens for case, _ in pending for answer in done[case.id].answers)
        seconds = time.perf_counter() - since
        print(f"{name}: {len(pending)} cases, {tokens} tokens of answers in {seconds:.0f} s", file=sys.stderr)
    return [done[case.id] for case, _ in cases]


def line(tuned: Contrast, other: Contrast) -> str:
    """Return a metric's row of the table."""
    cells = [f"`{tuned.metric}`", str(tuned.cases), str(tuned.pairs), share(tuned.before)]
    for one in (tuned, other):
        cells += [share(one.after), change(one.change)]
    return f"| {' | '.join(cells)} |"


def share(found: Estimate | None) -> str:
    """Return a share with its interval."""
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})" if found else "-"


def change(found: Estimate | None) -> str:
    """Return a difference in points with its interval."""
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})" if found else "-"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("benchmarks/form.jessy"))
    parser.add_argument("--work", type=Path)
    parser.add_argument("--eval", type=Path, default=Path(__file__).resolve().parents[1] / "data" / "eval")
    parser.add_argument("--most", type=int)
    parser.add_argument("--characters", type=int, default=sys.maxsize)
    parser.add_argument("--split", choices=("final", "development", "all"), default="final")
    chosen = parser.parse_args()
    applied = Applied.of(chosen.project, chosen.recipe)
    with tempfile.TemporaryDirectory(prefix="contrast-") as name:
        work = make_folder(chosen.work or Path(name))
        cases = pairs_of(chosen.eval, chosen.split, chosen.most, chosen.characters)
        base, tuned, other = (read(applied, model, cases, work) for model in ("base", "tuned", "shuffled"))
    print("| metric | cases | pairs | base | tuned | change | shuffled | change |")
    print("|---|---:|---:|---|---|---|---|---|")
    for one, two in zip(contrasts(base, tuned, []).figures, contrasts(base, other, []).figures, strict=True):
        print(line(one, two))


if __name__ == "__main__":
    main()
