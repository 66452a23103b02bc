"""A closed task beside its rivals: base and tuned, answering freely and held to a JSON schema, and what needs no model at all.

python benchmarks/closed.py                      the table of docs/closed.md, from a project in which recipes/tickets.jessy was applied
python benchmarks/closed.py PROJECT --recipe recipes/x.jessy --schema x.schema.json
... --shots 12           so many training rows stand before the question where the base is shown how it is done
... --ways "base;tuned"  these ways alone
... --work FOLDER        where answers are kept; what is there is not asked again

The commonest answer is that of the training rows. The nearest row is the one whose question shares most runs of letters with the message;
its answer is taken, an order number by a pattern. Rows before a question are spread evenly over the training rows.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exports import QUIET, Applied, silent

from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import described, loaded
from jessyfile.evaluation.answers import Answered, Asker, answer_all
from jessyfile.evaluation.cases import Case, load_suites
from jessyfile.evaluation.fields import FieldTable, field_metrics, field_tables, said_fields
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.nearness import likeness
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.evaluation.verdict import score_all
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.fsops import hash_file, make_folder
from jessyfile.language.recipe import Message
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from jessyfile.engines.engine import ServedModel
    from jessyfile.evaluation.scores import Score

HOUSE = Path(__file__).resolve().parents[1]
ORDER = re.compile(r"(?:TR-)?\d{5,7}")
Row = tuple[str, str]  # a question and its answer


@dataclass(frozen=True)
class World:
    """An applied recipe, its training rows and cases, and where answers are kept."""

    applied: Applied
    rows: Sequence[Row]
    cases: Sequence[Case]
    schema: str
    shots: int
    work: Path

    def base(self) -> Path:
        """Return the base as a GGUF of the recipe's own type."""
        path = self.work / "base.gguf"
        if not path.is_file():
            write_gguf(self.applied.steps["base"], path, self.applied.recipe.export.quantize, silent)
        return path

    def tuned(self) -> Path:
        """Return the GGUF of the tuned model."""
        return next(self.applied.steps["gguf"].glob("*.gguf"))

    def served(self, path: Path) -> ServedModel:
        """Return a file as the recipe serves it."""
        served = load_as(Served, self.applied.steps["modelfile"] / "served.json")
        return described(path.parent.name, path, served, self.applied.recipe.evaluation.max_tokens)

    def examples(self) -> tuple[Message, ...]:
        """Return rows as turns of a conversation."""
        chosen = even_sample(self.rows, self.shots)
        return tuple(
            message for asked, said in chosen for message in (Message("user", asked), Message("assistant", said))
        )


def rows_of(path: Path) -> list[Row]:
    """Return the questions and answers of formatted rows."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(one["messages"][-2]["content"], one["messages"][-1]["content"]) for one in lines]


def asked(world: World, name: str, model: ServedModel) -> dict[str, Answered]:
    """Return a model's answers to every case."""
    engine = LlamaCpp(evaluating=True)
    digest = hash_file(model.path) if model.path is not None else ""
    asker = Asker(engine, world.applied.recipe.complexity, model.settings, None, digest)
    with loaded(engine, model):
        found = answer_all(asker, world.cases, world.work / f"{name}.jsonl", QUIET, QUIET)
    return {answer.id: answer for answer in found}


def told(world: World, answer: Callable[[str], str]) -> dict[str, Answered]:
    """Return the answers of a program."""
    made = dict[str, Answered]()
    for case in world.cases:
        start = time.perf_counter()
        text = answer(case.prompt)
        made[case.id] = Answered(case.id, text, None, None, 0, 0, time.perf_counter() - start, None, "stop")
    return made


def commonest(world: World) -> Callable[[str], str]:
    """Return what answers everything with each field's commonest value."""
    said = [said_fields(answer) or {} for _, answer in world.rows]
    values = {name: Counter(one[name] for one in said).most_common(1)[0][0] for name in said[0]}
    text = "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"
    return lambda _: text


def nearest(world: World) -> Callable[[str], str]:
    """Return what answers as the nearest row does, the order number by a pattern."""

    def answer(prompt: str) -> str:
        _, said = max(world.rows, key=lambda row: likeness(prompt, row[0]))
        number, found = ORDER.search(prompt), json.loads(said)
        return json.dumps(found | {"order": number[0] if number else None} if "order" in found else found)

    return answer


def ways(world: World) -> Mapping[str, Callable[[], dict[str, Answered]]]:
    """Return every way of answering by its name."""

    def model(name: str, file: Callable[[], Path], schema: bool, examples: bool) -> Callable[[], dict[str, Answered]]:
        def ask() -> dict[str, Answered]:
            made = world.served(file())
            room = 4096 if examples else made.settings.num_ctx
            settings = replace(made.settings, schema=world.schema if schema else "", num_ctx=room)
            before = world.examples() if examples else made.messages
            return asked(world, name, replace(made, settings=settings, messages=before))

        return ask

    shown = f"base behind {world.shots} rows"
    return {
        "commonest": lambda: told(world, commonest(world)),
        "nearest row": lambda: told(world, nearest(world)),
        "base": model("base", world.base, False, False),
        "base, schema": model("base-schema", world.base, True, False),
        shown: model(f"base-{world.shots}", world.base, False, True),
        f"{shown}, schema": model(f"base-{world.shots}-schema", world.base, True, True),
        "tuned": model("tuned", world.tuned, False, False),
        "tuned, schema": model("tuned-schema", world.tuned, True, False),
    }


def line(name: str, suite: str, scores: Sequence[Score]) -> str:
    """Return one row of the table: all fields right, JSON at all, each field, and the seconds of an answer."""
    found = ModelScores(scores)
    parts = [found.measure(metric) for metric in (f"{suite}.relevance", *field_metrics(one.case for one in scores))]
    shares = [f"{one.value or 0:.1%} ({one.low or 0:.1%} to {one.high or 0:.1%})" for one in parts]
    read = sum(said_fields(one.answer.text) is not None for one in scores) / len(scores)
    seconds = median(one.answer.seconds for one in scores if one.answer.alone)
    return f"| {name} | {suite} | {' | '.join([shares[0], f'{read:.0%}', *shares[1:]])} | {seconds:.2f} |"


def matrix(table: FieldTable) -> str:
    """Return a confusion as Markdown."""
    head = f"| {table.field} | {' | '.join(table.columns)} |\n|---|{'---|' * len(table.columns)}"
    rows = [f"| {name} | {' | '.join(str(count or '') for count in counts)} |" for name, counts, _ in table.rows]
    return "\n".join([head, *rows])


def main() -> None:
    """Ask every way and print the table, the tuned model's confusions and its mistakes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("project", nargs="?", type=Path, default=HOUSE)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/tickets.jessy"))
    parser.add_argument("--schema", type=Path, default=HOUSE / "docs" / "examples" / "ticket.schema.json")
    parser.add_argument("--shots", type=int, default=12)
    parser.add_argument("--ways", default="")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "jessy-closed")
    given = parser.parse_args()
    applied = Applied.of(given.project.resolve(), given.recipe)
    rows, cases = rows_of(applied.steps["dataset"] / "train.jsonl"), load_suites(applied.recipe, applied.root)
    world = World(applied, rows, cases, given.schema.read_text("utf-8"), given.shots, make_folder(given.work))
    suites = dict.fromkeys(case.suite for case in cases)
    names = [
        name.rpartition(".")[2] for name in field_metrics(case for case in cases if case.suite == next(iter(suites)))
    ]
    print(f"| way | suite | all right | JSON | {' | '.join(names)} | s |")
    print(f"|---|---|---|---|{'---|' * len(names)}---|")
    for name, answers in ways(world).items():
        if given.ways and name not in given.ways.split(";"):
            continue
        scores = list(score_all(applied.recipe, cases, answers()).values())
        for suite in suites:
            print(line(name, suite, [one for one in scores if one.case.suite == suite]), flush=True)
        if name == "tuned":
            show(scores)


def show(scores: Sequence[Score]) -> None:
    """Print the confusions, and every case that is not right."""
    print(*(f"\n{table.suite}\n\n{matrix(table)}" for table in field_tables(scores)), "", sep="\n")
    for one in scores:
        if not one.relevant:
            print(f"- {one.case.id} `{one.case.prompt}`: {'; '.join(one.failed_relevance)}")


if __name__ == "__main__":
    main()
