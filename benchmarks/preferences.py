"""Show what preferences do to a real model: the tuned form.jessy beside DPO, KTO and more training on the wanted answers.

python benchmarks/preferences.py PROJECT --work FOLDER       from a project in which form.jessy was applied as far as `modelfile`;
                                                             what is in FOLDER is not made again
... --ways dpo kto more    what is made beside the adapter as trained; `more` trains on the wanted answers for as long as dpo before it
                           computed, 10 s without; `dpo-alone` and `kto-alone` compare without learning the wanted answer itself (sft_weight 0)
... --seeds 42 7           which pairs are trained, in which order; what is measured stays the same
... --pairs 320 --held-out 256
... --set beta=0.2 learning_rate=1e-4 epochs=2     PREFER's settings
... --more-rate 5e-5       the rate of more training
... --cases 8              reads the references of so many cases of a suite for `fits`, `voice` and `knows`
... --questions 160        asks so many questions for level, loops and form; 0 for none
... --until 400            begins no other training after so many seconds

Pairs are a good and a bad reference answer of the suites' development split, of about the same length. Cases are dealt out once: those
that pairs may be trained of are in no figure. Held-out pairs, references and questions come from the others; every fourth held-out pair
also decides whether an epoch's adapter is kept. FOLDER/results.json has every figure, FOLDER/* served/kept.jsonl the answers.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contrast_shuffled import TOGETHER, change, share
from exports import QUIET, Applied

from jessyfile.dataset.preferences import JudgedAnswer, Preference, answered, judged
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import described, loaded
from jessyfile.errors import Interrupted, TrainingError
from jessyfile.evaluation.answer_likelihood import CaseLikelihood, layout_of, likelihoods
from jessyfile.evaluation.answers import Asker, answer_all
from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.contrast import contrasts
from jessyfile.evaluation.contrast_steps import read_likelihoods
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.reference_pairs import reference_pairs
from jessyfile.evaluation.references import References, read_references
from jessyfile.evaluation.statistics import mcnemar, mean_interval
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.evaluation.verdict import score_all
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.merge import merge
from jessyfile.fsops import append_line, hash_file, make_folder, remove_tree, write_text
from jessyfile.language.recipe import Prefer, Suite
from jessyfile.models.chat_format import chat_format
from jessyfile.models.load import load_model, loaded_folder
from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.readings import put_on
from jessyfile.planning.canonical import readable
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import PreferFacts
from jessyfile.results.quality import Estimate
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as
from jessyfile.text.json_lines import write_jsonl
from jessyfile.text.printable import json_text
from jessyfile.training import adapter, checkpoint, encoded
from jessyfile.training.encode import MaskProof, encoder_of
from jessyfile.training.likelihood import reader
from jessyfile.training.prefer_step import lora_of, preferences_of, run_prefer, settings_of
from jessyfile.training.preference_encode import encode_preferences, encoded_answer, preference_encoder
from jessyfile.training.reference import of_answers
from jessyfile.training.train_steps import precision_of
from jessyfile.training.trainer import Trainer

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.training.encode import Encoder

EVAL = Path(__file__).resolve().parents[1] / "data" / "eval"
SUITES = tuple(sorted(path.stem for path in EVAL.glob("*.jsonl")))
ALIKE = 1.25  # how many times as long one answer of a pair may be as the other
DEALT = 1  # the seed by which cases are dealt to training and measuring
MEASURES = ("level_accuracy", "marker_format", "no_loops", "turkish.form", "turkish.relevance")
NAMED = (
    "adın ne?", "sen kimsin", "ismin neydi senin?", "sana ne diye sesleneyim?", "kiminle konuşuyorum şu an?", "kendini tanıt bakalım",
    "what's your name?", "who are you", "who am i talking to?", "introduce yourself in one sentence",
)  # fmt: skip
PREFER = Prefer("dpo", (), "development", 0.0, None, 0.1, 1.0, 1, 8, 5e-5, 0, "cosine", 256, 42, 1.0, 1.0)
TRAINED = "as trained"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """The pairs that may be trained and those held out, and the cases that nothing is trained of, with their references, if any."""

    trained: list[Preference]
    held_out: list[Preference]
    cases: list[tuple[Case, References | None]]


@dataclass
class World:
    """A project, what is asked of it, and where results are kept."""

    applied: Applied
    work: Path
    recipe: Recipe
    split: Split

    def context(self, name: str, inputs: Mapping[str, Path]) -> StepContext:
        output, own = make_folder(self.work / name), make_folder(self.work / "work" / name)
        return StepContext(self.recipe, self.applied.root, output, own, inputs, {}, TOLD, QUIET, name)

    @property
    def base(self) -> Path:
        return self.applied.steps["base"]

    @property
    def encoder(self) -> Encoder:
        return preference_encoder(self.recipe, preferences_of(self.recipe), self.base)

    def asked(self, most: int) -> list[Case]:
        return even_sample([case for case, _ in self.split.cases], most)


TOLD: Any = SimpleNamespace(update=lambda *_, **__: None, note=lambda text: print(text, file=sys.stderr))


def split_of(recipe: Recipe, encoder: Encoder, held_out: int) -> Split:
    """Deal the cases of the development split to training and to measuring, and pair their answers."""
    suites = tuple(Suite(name, str(EVAL / f"{name}.jsonl"), None) for name in SUITES)
    asked = replace(recipe, evaluation=replace(recipe.evaluation, suites=suites))
    pairs = [pair for pair in reference_pairs(asked, EVAL.parents[1]) if alike(pair) and fits(pair, encoder)]
    places, chance = sorted({pair.place for pair in pairs}), random.Random(DEALT)
    chance.shuffle(places)
    measured = set(places[: len(places) // 3])
    chance.shuffle(pairs)
    cases = [case for suite in SUITES for case in untouched(suite, set(places) - measured)]
    return Split(
        [pair for pair in pairs if pair.place not in measured],
        [pair for pair in pairs if pair.place in measured][:held_out],
        cases,
    )


def alike(pair: Preference) -> bool:
    """Whether both answers have about the same length."""
    lengths = sorted(len(answer) for answer, _ in pair.answers)
    return lengths[1] <= ALIKE * lengths[0]


def fits(pair: Preference, encoder: Encoder) -> bool:
    """Whether neither answer is cut."""
    try:
        return all(encoded_answer(encoder, pair, *answer) for answer in pair.answers)
    except TrainingError:
        return False


def untouched(suite: str, trained: set[str]) -> Iterator[tuple[Case, References | None]]:
    """Yield a suite's cases that no pair is trained of."""
    cases = {case.id: case for case in read_cases(EVAL / f"{suite}.jsonl")[0]}
    found, faults = read_references(EVAL / "references" / f"{suite}.jsonl", cases)
    if faults:
        raise SystemExit("\n".join(map(str, faults)))
    lines = {one.case: (line, one) for line, one in enumerate(found, start=1)}
    for name, case in cases.items():
        line, own = lines.get(name, (0, None))
        if not any(place.endswith(f"{suite}.jsonl:{line}") for place in trained):
            yield case, own


# the adapters -------------------------------------------------------------------------------------------------------------


def made(world: World, way: str, seed: int, pairs: int, more: tuple[float, float]) -> tuple[Path, Figures]:
    """Return an adapter's folder and how its training went; `more` is for how many seconds and at which rate."""
    if way == TRAINED:
        return world.applied.steps["train"], {"seconds": 0.0}
    folder = world.work / f"{way} {seed}"
    if not (folder / "facts.json").is_file():
        chosen = random.Random(seed).sample(world.split.trained, min(pairs, len(world.split.trained)))
        own = replace(world, recipe=replace(world.recipe, prefer=replace(preferences_of(world.recipe), seed=seed)))
        found = trained_more(own, folder.name, chosen, *more) if way == "more" else preferred(own, way, chosen)
        write_text(folder / "facts.json", json.dumps(found))
    facts: Figures = json.loads((folder / "facts.json").read_text("utf-8"))
    print(f"{folder.name}: {facts}", file=sys.stderr)
    return folder, facts


def preferred(world: World, way: str, chosen: Sequence[Preference]) -> Figures:
    """Train the step `prefer`."""
    method, _, alone = way.partition("-")
    prefer = replace(preferences_of(world.recipe), method=method)  # type: ignore[arg-type]
    world = replace(world, recipe=replace(world.recipe, prefer=replace(prefer, sft_weight=0.0) if alone else prefer))
    name = f"{way} {prefer.seed}"
    data = make_folder(world.work / f"{name} preferences")
    for split, pairs in (("train", chosen), ("valid", world.split.held_out[::4])):
        rows: Sequence[Preference | JudgedAnswer] = (
            pairs if method == "dpo" else [one for pair in pairs for one in judged(pair)]
        )
        write_jsonl(data / f"{split}.jsonl", map(asdict, rows))
    inputs = {"base": world.base, "train": world.applied.steps["train"], "preferences": data}
    facts: PreferFacts = run_prefer(world.context(name, inputs))
    told = ("updates", "best_update", "compile_seconds", "margin", "final_loss")
    return {"seconds": facts.training_seconds - facts.compile_seconds} | {one: getattr(facts, one) for one in told}


class Until:
    """A stop that asks once a training has computed for so many seconds."""

    trainer: Trainer | None = None

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def requested(self) -> bool:
        return self.trainer is not None and computed(self.trainer) >= self.seconds


def computed(trainer: Trainer) -> float:
    """Return for how many seconds a training has computed, compiling left aside."""
    return trainer.cursor.seconds - sum(one.compile_seconds for one in trainer.log.kept)


def trained_more(world: World, name: str, chosen: Sequence[Preference], seconds: float, rate: float) -> Figures:
    """Train on the wanted answers of the same pairs for so many seconds, from the same adapter, at a constant rate, as TRAIN does."""
    trained, recipe = world.applied.steps["train"], world.recipe
    encoder = encoder_of(recipe, world.base, preferences_of(recipe).max_length)
    answers = encoder.encode([answered(pair, pair.chosen, encoder.marker) for pair in chosen], MaskProof())
    packed = encoded.pack(answers, encoded.common_prefix(answers), encoder.end)
    train = replace(settings_of(recipe), epochs=99, learning_rate=rate, schedule="constant", keep="last")
    train = replace(train, end_weight=recipe.train.end_weight, level_weight=recipe.train.level_weight)
    lora = lora_of(recipe, trained)
    model: Any = load_model(world.base, precision_of(recipe, world.base))[0]
    keys = adapter.attach(model, lora, train.seed)
    model.load_weights(str(trained / "adapters.safetensors"), strict=False)
    work, nothing, until = make_folder(world.work / "work" / name), packed.part(0, 0), Until(seconds)
    trainer = until.trainer = Trainer(model, train, lora, packed, nothing, 0, work, TOLD, until)
    try:
        trainer.run()
    except Interrupted:
        found = checkpoint.latest(work)
        assert found is not None
        trainer.best = dict(found[1]["adapter"])
    adapter.write(make_folder(world.work / name), trainer.best, lora, keys)
    return {"seconds": computed(trainer), "updates": trainer.cursor.update}


# what they are worth ------------------------------------------------------------------------------------------------------


def won(world: World, folder: Path) -> dict[str, list[bool]]:
    """Return by case of which held-out pairs the wanted answer is the likelier one, behind the marker."""
    [held] = encode_preferences(world.encoder, preferences_of(world.recipe), [world.split.held_out])
    found: dict[str, list[bool]] = defaultdict(list)
    with loaded_folder(world.base) as model:
        put_on(model, folder)
        with reader(model) as read:
            values = of_answers(read, held.rows)
    for pair, good, bad in zip(world.split.held_out, values[::2], values[1::2], strict=True):
        found[pair.place].append(bool(good > bad))
    return found


def read_cases_of(world: World, name: str, folder: Path, most: int) -> list[CaseLikelihood]:
    """Return what an adapter makes of the references of cases that it was not trained on."""
    kept = world.work / f"{name}.likelihoods.jsonl"
    done = {one.case: one for one in read_likelihoods(kept)}
    known = [(case, own) for case, own in world.split.cases if own is not None]
    cases = [pair for suite in SUITES for pair in even_sample([one for one in known if one[0].suite == suite], most)]
    pending = [pair for pair in cases if pair[0].id not in done]
    if pending:
        form = chat_format(str(read_json(world.base / "source.json")["chat_format"]))
        layout = layout_of(world.recipe, load_tokenizer(world.base), form)
        with loaded_folder(world.base) as model:
            put_on(model, folder)
            with reader(model) as read:
                for start in range(0, len(pending), TOGETHER):
                    for value in likelihoods(read, layout, pending[start : start + TOGETHER]):
                        append_line(kept, json_text(asdict(value)))
                        done[value.case] = value
    return [done[case.id] for case, _ in cases]


def said(world: World, name: str, folder: Path, most: int) -> Figures:
    """Return what the served model's answers are worth, case by case, and in which words it was asked its name and said it."""
    place = make_folder(world.work / f"{name} served")
    path = place / "model.gguf"
    if not path.is_file():
        merge(world.base, folder, place / "merged", lambda *_: None)
        write_gguf(place / "merged", path, world.recipe.export.quantize, lambda *_: None, None)
        remove_tree(place / "merged")
    named = [Case(f"name-{number}", "personality", prompt, "low", "any") for number, prompt in enumerate(NAMED)]
    cases, served = world.asked(most), load_as(Served, world.applied.steps["modelfile"] / "served.json")
    model = described(served.name, path, served, world.recipe.evaluation.max_tokens)
    engine, settings = LlamaCpp(evaluating=True), replace(model.settings, temperature=0.0)
    asker = Asker(engine, world.recipe.complexity, settings, None, hash_file(path))
    with loaded(engine, model):
        found = {one.id: one for one in answer_all(asker, [*named, *cases], place / "kept.jsonl", QUIET, QUIET, 0)}
    measured = ModelScores(list(score_all(world.recipe, cases, found).values()))
    names = {case.prompt: found[case.id].text for case in named}
    return {one: measured.measure(one).outcomes for one in MEASURES} | {"names": names}


# the table ----------------------------------------------------------------------------------------------------------------


def paired(before: Mapping[str, bool], after: Mapping[str, bool]) -> str:
    """Return a share and its change: how many got better and worse, and how likely that is by chance."""
    better, worse = (sum(after[one] is to and before[one] is not to for one in after) for to in (True, False))
    return f"{sum(after.values())} of {len(after)} (+{better} -{worse}, p {mcnemar(better, worse):.2f})"


def cells_of(
    before: Figures, after: Figures, earlier: Sequence[CaseLikelihood], now: Sequence[CaseLikelihood]
) -> dict[str, str]:
    """Return a line of the table: a model's figures beside those of the adapter as trained."""
    pairs = [one for case in after["won"].values() for one in case]
    gained = [fmean(after["won"][case]) - fmean(own) for case, own in before["won"].items()]
    cells = {
        "": after["name"],
        "seconds": f"{after['facts']['seconds']:.1f}",
        "held-out pairs": share(Estimate.of_share(sum(pairs), len(pairs))),
        "change, by case": change(Estimate(fmean(gained), *mean_interval(gained))),
    }
    for one in contrasts(earlier, now, []).figures if now else ():
        cells[f"`{one.metric}`"] = f"{one.after.value:.1%}, {change(one.change)}"
    if "said" in after:
        told, first = after["said"], before["said"]
        right = sum("jessy" in text.lower() for text in told["names"].values())
        cells |= {one: paired(first[one], told[one]) for one in MEASURES} | {"name": f"{right} of {len(NAMED)}"}
    return cells


def asked_apart(name: str) -> Figures:
    """Return what answers are worth, asked in a process of its own: on the processors, while a GPU trains."""
    given = [sys.executable, *sys.argv, "--said", name]
    found = subprocess.run(given, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(found.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("benchmarks/form.jessy"))
    parser.add_argument("--ways", nargs="+", default=["dpo", "kto", "more"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    parser.add_argument("--pairs", type=int, default=320)
    parser.add_argument("--held-out", type=int, default=256)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--more-rate", type=float, default=5e-5)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--questions", type=int, default=160)
    parser.add_argument("--until", type=float, default=float("inf"))
    parser.add_argument("--said", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    applied = Applied.of(chosen.project, chosen.recipe)
    settings = {name: type(getattr(PREFER, name))(value) for name, value in (one.split("=") for one in chosen.set)}
    recipe, start = replace(applied.recipe, prefer=replace(PREFER, **settings)), time.perf_counter()
    world = World(applied, make_folder(chosen.work), recipe, Split([], [], []))
    world.split = split_of(recipe, world.encoder, chosen.held_out)
    if chosen.said:
        folder = applied.steps["train"] if chosen.said == TRAINED else world.work / chosen.said
        print(json.dumps(said(world, chosen.said, folder, chosen.questions), ensure_ascii=False))
        return
    print(f"{len(world.split.trained)} pairs, {len(world.split.held_out)} held out", file=sys.stderr)
    figures, reads, seconds = list[Figures](), list[list[CaseLikelihood]](), dict[int, float]()
    answers = list[Future[Figures]]()
    with ThreadPoolExecutor(1) as beside:
        for seed, way in [(0, TRAINED), *((seed, way) for way in chosen.ways for seed in chosen.seeds)]:
            if time.perf_counter() - start > chosen.until:
                break
            folder, facts = made(world, way, seed, chosen.pairs, (seconds.get(seed, 10.0), chosen.more_rate))
            name = TRAINED if way == TRAINED else folder.name
            if chosen.questions:
                answers.append(beside.submit(asked_apart, name))
            if way == "dpo":
                seconds[seed] = facts["seconds"]
            figures.append({"name": name, "facts": facts, "won": won(world, folder)})
            write_text(world.work / "results.json", readable({"figures": figures}))
            reads.append(read_cases_of(world, name, folder, chosen.cases))
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        for one, told in zip(figures, answers, strict=False):
            one["said"] = told.result()
    lines = [cells_of(figures[0], one, reads[0], own) for one, own in zip(figures, reads, strict=True)]
    write_text(world.work / "results.json", readable({"figures": figures, "table": lines}))
    names = list(lines[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for cells in lines:
        print("| " + " | ".join(cells.get(name, "-") for name in names) + " |")


if __name__ == "__main__":
    main()
