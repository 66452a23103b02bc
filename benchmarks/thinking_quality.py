"""What iterating changes: answers of one iteration, of as many as the marker says, and always of nine, by measurements and by blind readers.

    python benchmarks/thinking_quality.py ask FOLDER PROJECT MODEL [MODEL ...] [--prompts 20] [--ways one marked nine] [--bare] [--at-once 4]
    python benchmarks/thinking_quality.py figures FOLDER
    python benchmarks/thinking_quality.py blind FOLDER [--items 20]
    python benchmarks/thinking_quality.py score FOLDER

`ask` puts the questions of the evaluation suites, so many of each level, to the project's registered models and keeps every answer in FOLDER as
soon as it is there: the same command again goes on where it was stopped. `one` is one iteration, `marked` what is served: the marker's number
within the level's seconds; `nine` is nine, however long they take. `--bare` asks without the rows of RETRIEVE, so that no answer is a row's.
Seconds are latencies where one question is asked at a time, which `--at-once 1` does. Two models of one project are held against each other as
well: `benchmarks/unrefined.jessy` makes the default one without the rows that teach a second look.

`figures` scores the answers as `jessy eval` does, and holds each against the answers that people wrote for its question: whether it leans to
the good ones rather than to the wrong (`knows`), those that answer something else (`fits`), those in another voice and the cold ones. Ways are
held against `one` on the same questions (exact McNemar test). Nothing is claimed, so nothing is asserted.

`blind` writes `reader_1.md` and `reader_2.md`, each with a sheet to fill in (`reader_1.tsv`): questions with the ways' answers in an order of
each reader's own, without a word of whose they are, and one answer to another question among them; `key.json` says whose they are. `score`
reads both sheets: preferences, how often the decoy was seen through, and how far the readers agree.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any

from jessyfile.engines.adaptive import read_marker
from jessyfile.engines.serving import engine_of, loaded, served_model, served_of
from jessyfile.errors import ContextFullError
from jessyfile.evaluation.answers import FULL, Answered, conversation
from jessyfile.evaluation.ask_model import chosen_suites, recipe_of
from jessyfile.evaluation.cases import Case, load_suites
from jessyfile.evaluation.contrast import KINDS
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.nearness import leaning
from jessyfile.evaluation.references import References, suite_references
from jessyfile.evaluation.statistics import mcnemar
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.evaluation.verdict import score_all
from jessyfile.export.registry import Registration, registered
from jessyfile.fsops import append_line, write_text
from jessyfile.language.recipe import Complexity, Recipe
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log
from jessyfile.thinking.thinker import Thinker
from jessyfile.thinking.thought import Thought, Wishes

ANSWERS, ABOUT, KEY = "answers.jsonl", "about.json", "key.json"
NINE = 9
NO_ROOM = "no room"  # for the question itself; `full` is what a loop says that spent all its iterations
UNHURRIED = 3600.0  # seconds: longer than nine drafts of the slowest
WAYS: Mapping[str, Wishes] = {
    "one": Wishes(iterations=1, max_seconds=UNHURRIED),
    "marked": Wishes(),
    "nine": Wishes(iterations=NINE, max_seconds=UNHURRIED),
}
METRICS = ("marker_format", "level_accuracy", "no_loops", "language")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
READERS = (1, 2)


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer of a model to a case in one of the ways. `level` and `said` are those of the first draft's marker, `drafts` all drafts'
    texts, `ended` why there were no more; `cached` tokens of all prompts were not read again. `alone` says that `seconds` is a latency.
    """

    case: str
    model: str
    digest: str
    way: str
    text: str
    level: str | None
    said: int | None
    asked: int
    iterations: int
    ended: str
    drafts: tuple[str, ...]
    seconds: float
    first_token_seconds: float | None
    prompt_tokens: int
    cached_tokens: int
    tokens: int
    stands: bool
    alone: bool
    bare: bool

    @property
    def speaker(self) -> str:
        """The model, and whether it was asked without rows."""
        return f"{self.model} bare" if self.bare else self.model

    @property
    def name(self) -> str:
        """The model and the way, as figures and the key name them."""
        return f"{self.speaker} {self.way}"

    def answered(self) -> Answered:
        """Return it as the evaluation scores answers."""
        stopped = FULL if self.ended == NO_ROOM else "stop"
        return Answered(
            self.case, self.text, self.level, self.said, self.prompt_tokens, self.tokens, self.seconds,
            self.first_token_seconds, stopped, self.alone, self.digest,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """What was asked, so that figures can be made of answers anywhere: project, recipe's model, suites, prompts a level."""

    project: str
    model: str
    suites: tuple[str, ...]
    prompts: int


def prompts(recipe: Recipe, root: Path, most: int) -> list[Case]:
    """Return so many cases of each level, spread evenly over the suites; the same ones every time."""
    cases = load_suites(recipe, root)
    levels = dict.fromkeys(case.level for case in cases)
    return [case for level in levels for case in even_sample([one for one in cases if one.level == level], most)]


def asked_recipe(about: About) -> Recipe:
    """Return the recipe whose suites and rules are used, those suites alone."""
    return chosen_suites(recipe_of(Path(about.project), about.model), about.suites)


def kept_answers(folder: Path) -> list[Kept]:
    """Return the answers so far; a torn last line is passed over."""
    return [read_as(Kept, value, f"an answer of `{folder / ANSWERS}`") for value in read_log(folder / ANSWERS)]


def registration(root: Path, model: str) -> Registration:
    """Return a model's registration by NAME or NAME:TAG, the candidate's where no tag is said."""
    name, _, tag = model.partition(":")
    return registered(root, name, tag or "candidate")


def current(folder: Path, root: Path) -> list[Kept]:
    """Return the answers of the models as they are registered now; those of a model made anew since are left aside."""
    answers = kept_answers(folder)
    digests = {model: registration(root, model).digest for model in {one.model for one in answers}}
    return [one for one in answers if one.digest == digests[one.model]]


def ask(folder: Path, about: About, models: Sequence[str], ways: Sequence[str], at_once: int, *, bare: bool) -> None:
    """Ask every model every question in every way that has no answer yet."""
    root = Path(about.project)
    cases = prompts(asked_recipe(about), root, about.prompts)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / ABOUT, json.dumps(asdict(about), indent=1) + "\n")
    for name in models:
        entry = registration(root, name)
        done = {(one.digest, one.way, one.case) for one in kept_answers(folder) if one.bare == bare}
        left = [(way, case) for case in cases for way in ways if (entry.digest, way, case.id) not in done]
        if not left:
            continue
        recipe, served = asked_recipe(about), served_of(entry)
        model = served_model(entry, recipe.evaluation.max_tokens)
        engine = engine_of(entry, evaluating=at_once > 1, retrieving=not bare)
        thinker = Thinker(engine, served.complexity, model.settings, name, entry.digest)
        with loaded(engine, model), ThreadPoolExecutor(at_once) as pool:
            asked = [pool.submit(_asked, thinker, way, case, alone=at_once == 1, bare=bare) for way, case in left]
            for number, one in enumerate((future.result() for future in as_completed(asked)), 1):
                append_line(folder / ANSWERS, json.dumps(asdict(one), ensure_ascii=False))
                print(
                    f"{number} of {len(left)}: {one.name} {one.case} {one.iterations} iterations {one.seconds:.1f} s",
                    flush=True,
                )


def _asked(thinker: Thinker, way: str, case: Case, *, alone: bool, bare: bool) -> Kept:
    try:
        thought = thinker.answer(conversation(case, thinker.complexity), WAYS[way])
    except ContextFullError as error:
        return Kept(
            case.id, thinker.speaker, thinker.digest, way, "", None, None, 0, 0, NO_ROOM, (), 0.0, None, error.tokens, 0, 0,
            False, alone, bare,
        )  # fmt: skip
    return _kept(thinker, thought, way, case, alone=alone, bare=bare)


def _kept(thinker: Thinker, thought: Thought, way: str, case: Case, *, alone: bool, bare: bool) -> Kept:
    first = read_marker(thought.drafts[0].reply.text, thinker.complexity)
    return Kept(
        case=case.id,
        model=thought.speaker,
        digest=thought.digest,
        way=way,
        text=thought.text,
        level=first.level,
        said=first.iterations,
        asked=thought.asked,
        iterations=thought.iterations,
        ended=thought.ended,
        drafts=tuple(one.text for one in thought.drafts),
        seconds=round(thought.seconds, 3),
        first_token_seconds=thought.first_token_seconds,
        prompt_tokens=sum(one.prompt_tokens for one in thought.drafts),
        cached_tokens=thought.cached_tokens,
        tokens=sum(one.tokens for one in thought.drafts),
        stands=thought.stands,
        alone=alone,
        bare=bare,
    )


def figures(folder: Path) -> dict[str, Any]:
    """Score all answers; print the table and write `figures.json`. Only questions are counted that every model and way has answered."""
    about = read_as(About, json.loads((folder / ABOUT).read_text("utf-8")), ABOUT)
    recipe, root = asked_recipe(about), Path(about.project)
    by_name: dict[str, dict[str, Kept]] = defaultdict(dict)
    for one in current(folder, root):
        by_name[one.name][one.case] = one
    shared = set.intersection(*(set(answers) for answers in by_name.values()))
    cases = [case for case in prompts(recipe, root, about.prompts) if case.id in shared]
    known = {one.case: one for suite in recipe.evaluation.suites for one in suite_references(suite, recipe, root)}
    found: dict[str, Any] = {
        "questions": dict(Counter(case.level for case in cases)),
        "suites": dict(Counter(case.suite for case in cases)),
    }
    outcomes: dict[str, dict[str, dict[str, bool]]] = {}
    for name, answers in by_name.items():
        complexity = served_of(registration(root, next(iter(answers.values())).model)).complexity
        outcomes[name] = _outcomes(recipe, complexity, cases, answers, known)
        found[name] = {
            "measured": {metric: _share(passed.values()) for metric, passed in outcomes[name].items()},
            "by level": {
                level: _share(outcomes[name]["fitting"][case.id] for case in cases if case.level == level)
                for level in found["questions"]
            },
            "took": {
                level: _took([answers[case.id] for case in cases if case.level == level])
                for level in found["questions"]
            },
        }
    for first, second in combinations(by_name, 2):  # two ways of a model, or two models in one way
        (speaker, _, way), (other, _, other_way) = first.rpartition(" "), second.rpartition(" ")
        if speaker == other or way == other_way:
            found[f"{second} beside {first}"] = {
                metric: _beside(passed, outcomes[second][metric]) for metric, passed in outcomes[first].items()
            }
    write_text(folder / "figures.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return found


def _outcomes(
    recipe: Recipe,
    complexity: Complexity,
    cases: Sequence[Case],
    answers: Mapping[str, Kept],
    known: Mapping[str, References],
) -> dict[str, dict[str, bool]]:
    """Return by metric which questions passed: those of the evaluation, then what the answers lean to."""
    judged = replace(recipe, complexity=complexity)
    scores = score_all(judged, cases, {case.id: answers[case.id].answered() for case in cases})
    model = ModelScores(tuple(scores.values()), None, recipe.personality.often)
    found = {metric: dict(model.measure(metric).outcomes) for metric in METRICS}
    found["shape"] = {name: one.shape for name, one in scores.items()}
    found["relevance"] = {name: one.relevant for name, one in scores.items() if one.case.relevance}
    found["fitting"] = {name: one.shape and one.relevant for name, one in scores.items()}
    for metric, kind in KINDS.items():
        found[metric] = {
            case.id: leaning(answers[case.id].text, known[case.id].good, known[case.id].bad[kind]) > 0
            for case in cases
            if case.id in known and known[case.id].bad.get(kind)
        }
    return found


def _share(passed: Iterable[bool]) -> dict[str, float | int]:
    values = [*passed]
    return {"share": round(fmean(values), 4) if values else 0.0, "n": len(values)}


def _took(answers: Sequence[Kept]) -> dict[str, Any]:
    seconds = sorted(one.seconds for one in answers)
    return {
        "median seconds": round(median(seconds), 2),
        "p95 seconds": round(seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 2),
        "a latency": all(one.alone for one in answers),
        "iterations": round(fmean(one.iterations for one in answers), 2),
        "as many as asked": round(fmean(one.iterations == one.asked for one in answers), 4),
        "ended": dict(Counter(one.ended for one in answers)),
        "a row's answer": sum(one.stands for one in answers),
        "tokens read again": round(
            1 - sum(one.cached_tokens for one in answers) / max(1, sum(one.prompt_tokens for one in answers)), 3
        ),
    }


def _beside(before: Mapping[str, bool], after: Mapping[str, bool]) -> dict[str, float | int]:
    """Return how many questions became right and wrong, and how often chance alone would part them so far."""
    both = before.keys() & after.keys()
    better = sum(after[case] and not before[case] for case in both)
    worse = sum(before[case] and not after[case] for case in both)
    return {"better": better, "worse": worse, "p": round(mcnemar(better, worse), 4)}


def blind(folder: Path, items: int) -> None:
    """Write what two readers read, what they fill in, and the key."""
    about = read_as(About, json.loads((folder / ABOUT).read_text("utf-8")), ABOUT)
    cases = {case.id: case for case in prompts(asked_recipe(about), Path(about.project), about.prompts)}
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in current(folder, Path(about.project)):
        if one.text and one.case in cases:
            said[one.case][one.text].append(one.name)
    telling = [
        cases[name] for name, texts in said.items() if len(texts) > 1
    ]  # where all say the same nobody can choose
    levels = dict.fromkeys(case.level for case in telling)
    chosen = [case for level in levels for case in even_sample([one for one in telling if one.level == level], items)]
    key: dict[str, Any] = {}
    for reader in READERS:
        rng = random.Random(f"reader {reader}")
        pages, sheet, own = [], ["item\tbest\tanswers something else"], {}
        for number, case in enumerate(rng.sample(chosen, len(chosen)), 1):
            answers = [(text, names) for text, names in said[case.id].items()]
            decoy = _decoy(case, cases, said, rng)
            answers += [(decoy, ["decoy"])] if decoy else []
            rng.shuffle(answers)
            own[str(number)] = {
                "case": case.id,
                "level": case.level,
                "answers": {letter: names for letter, (_, names) in zip(LETTERS, answers, strict=False)},
            }
            pages.append(_page(number, case, [text for text, _ in answers]))
            sheet.append(f"{number}\t\t")
        key[str(reader)] = own
        write_text(folder / f"reader_{reader}.md", _RULES + "\n".join(pages))
        write_text(folder / f"reader_{reader}.tsv", "\n".join(sheet) + "\n")
    write_text(folder / KEY, json.dumps(key, ensure_ascii=False, indent=1) + "\n")
    print(
        f"{len(chosen)} questions for each reader; of {len(said)} that were answered {len(said) - len(telling)} got one answer alone"
    )


_RULES = """\
Under each question stand several answers. In the sheet, write the letter of the best one (several letters where they are equally good, in any
order), and the letters of those that answer another question. Judge what a person who asked would have of it: right, to the point, warm where
that is called for, no longer than it need be. Which answers come from where is not said, and differs from question to question.

"""


def _page(number: int, case: Case, texts: Sequence[str]) -> str:
    turns = "".join(f"> {turn.role}: {turn.content}\n" for turn in case.turns)
    shown = "\n".join(f"**{letter}** {text}\n" for letter, text in zip(LETTERS, texts, strict=False))
    return f"## {number}\n\n{turns}> {case.prompt}\n\n{shown}"


def _decoy(
    case: Case, cases: Mapping[str, Case], said: Mapping[str, Mapping[str, list[str]]], rng: random.Random
) -> str | None:
    """Return an answer to another question of the same level and language."""
    others = [
        name
        for name in said
        if name != case.id and (cases[name].level, cases[name].language) == (case.level, case.language)
    ]
    texts = [text for name in others for text in said[name] if text not in said[case.id]]
    return rng.choice(texts) if texts else None


def score(folder: Path) -> dict[str, Any]:
    """Read both sheets by the key; print and write `blind.json`. A question with no letter is passed over."""
    key = json.loads((folder / KEY).read_text("utf-8"))
    found: dict[str, Any] = {}
    best: dict[str, dict[str, frozenset[str]]] = {}
    for reader, items in key.items():
        wins, seen, decoys, chosen = Counter[str](), Counter[str](), Counter[str](), dict[str, frozenset[str]]()
        for number, good, unfit in _sheet(folder / f"reader_{reader}.tsv"):
            answers: dict[str, list[str]] = items[number]["answers"]
            named = frozenset(name for letter in good for name in answers[letter])
            chosen[items[number]["case"]] = named
            decoys["chosen as best"] += "decoy" in named
            decoys["seen through"] += any("decoy" in answers[letter] for letter in unfit)
            decoys["there"] += any("decoy" in names for names in answers.values())
            decoys["others called unfit"] += sum("decoy" not in answers[letter] for letter in unfit)
            for letter, names in answers.items():
                for name in names:
                    seen[name] += 1
                    wins[name] += letter in good
        best[reader] = chosen
        found[f"reader {reader}"] = {
            "best": {name: f"{wins[name]} of {seen[name]}" for name in sorted(seen) if name != "decoy"},
            "decoys": dict(decoys),
        }
        found[f"reader {reader}"]["pairs"] = dict(_pairs(items, chosen))
    one, two = (best[str(reader)] for reader in READERS)
    both = [case for case in one if case in two]
    found["readers agree on a best answer"] = f"{sum(bool(one[case] & two[case]) for case in both)} of {len(both)}"
    write_text(folder / "blind.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return found


def _sheet(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for line in path.read_text("utf-8").splitlines()[1:]:
        number, good, unfit = [*line.split("\t"), "", ""][:3]
        letters = [[letter for letter in cell.upper() if letter.isalpha()] for cell in (good, unfit)]
        if letters[0]:
            yield number, letters[0], letters[1]


def _pairs(items: Mapping[str, Any], chosen: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """Yield of each two how often one was among the best and the other was not, on questions where their answers differ."""
    names = sorted(
        {name for item in items.values() for names in item["answers"].values() for name in names} - {"decoy"}
    )
    for one, other in combinations(names, 2):
        apart = [
            item["case"]
            for item in items.values()
            if item["case"] in chosen and not any({one, other} <= set(held) for held in item["answers"].values())
        ]
        first = sum(one in chosen[case] and other not in chosen[case] for case in apart)
        second = sum(other in chosen[case] and one not in chosen[case] for case in apart)
        if apart:
            yield f"{one} : {other}", f"{first} : {second} of {len(apart)}, p {mcnemar(first, second):.3f}"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("ask", "figures", "blind", "score"):
        commands.add_parser(name).add_argument("folder", type=Path)
    asking = commands.choices["ask"]
    asking.add_argument("project", type=Path)
    asking.add_argument("models", nargs="+", help="NAME or NAME:TAG; the candidate unless said")
    asking.add_argument("--prompts", type=int, default=20, help="of each level")
    asking.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    asking.add_argument("--suites", nargs="+", default=[], help="the recipe's own unless named")
    asking.add_argument("--bare", action="store_true", help="without the rows of RETRIEVE")
    asking.add_argument("--at-once", type=int, default=1, help="questions; only one at a time is a latency")
    commands.choices["blind"].add_argument("--items", type=int, default=20, help="questions of each level")
    given = parser.parse_args()
    if given.command == "ask":
        about = About(
            str(given.project.resolve()), given.models[0].partition(":")[0], tuple(given.suites), given.prompts
        )
        ask(given.folder, about, given.models, given.ways, given.at_once, bare=given.bare)
    elif given.command == "blind":
        blind(given.folder, given.items)
    else:
        {"figures": figures, "score": score}[given.command](given.folder)


if __name__ == "__main__":
    main()
