"""Show what preferences do to a real model: the tuned quickstart beside DPO, KTO and more training on the wanted answers.

python benchmarks/preferences.py PROJECT --work FOLDER       from a project in which the quickstart was applied; what is in FOLDER is
                                                             not made again, so that a run can go on where it was
... --ways dpo kto more    what is made beside the adapter as trained; `more` trains on the wanted answers for as long as dpo took
... --pairs 96 --held-out 64 --seed 1
... --set beta=0.2 learning_rate=1e-4 epochs=2     PREFER's settings
... --more-rate 5e-5       the rate of more training
... --answers 12           asks so many cases of a suite, and so many for `fits`; 0 for pairs alone

Pairs are a good and a bad reference answer of the suites' development split, of about the same length. Cases are dealt out once: those
that pairs are trained of are in no figure. Held-out pairs, `fits` and what is asked come from the others.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from contrast_shuffled import TOGETHER, change, share
from exports import QUIET, Applied

from jessyfile.dataset.preferences import JudgedAnswer, Preference, answered, judged
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import described, loaded
from jessyfile.errors import Interrupted
from jessyfile.evaluation.answer_likelihood import CaseLikelihood, layout_of, likelihoods
from jessyfile.evaluation.answers import Answered, Asker, answer_all
from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.contrast import contrasts
from jessyfile.evaluation.contrast_steps import read_likelihoods
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.reference_pairs import reference_pairs
from jessyfile.evaluation.references import References, read_references
from jessyfile.evaluation.suite_inputs import REFERENCES, even_sample
from jessyfile.evaluation.verdict import score_all
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.merge import merge
from jessyfile.fsops import append_line, hash_file, make_folder, remove_tree
from jessyfile.language.recipe import Prefer, Suite
from jessyfile.models.chat_format import chat_format
from jessyfile.models.load import load_model, loaded_folder
from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.readings import put_on
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import PreferFacts
from jessyfile.results.quality import Estimate
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as
from jessyfile.text.json_lines import write_jsonl
from jessyfile.text.printable import json_text
from jessyfile.training import adapter, checkpoint, encoded
from jessyfile.training.encode import Encoder, MaskProof, encoder_of
from jessyfile.training.likelihood import reader
from jessyfile.training.prefer_step import lora_of, preferences_of, run_prefer, settings_of
from jessyfile.training.preference_encode import encode_preferences
from jessyfile.training.trainer import Trainer

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

SUITES = ("turkish", "personality", "emotional", "iteration_control")
ALIKE = 1.25  # how many times as long one answer of a pair may be as the other
PREFER = Prefer("dpo", (), "development", 0.0, 0.1, 1, 8, 5e-5, 0, "cosine", 128, 42, 1.0, 1.0)
EVAL = Path(__file__).resolve().parents[1] / "data" / "eval"


@dataclass(frozen=True)
class Split:
    """The pairs that are trained and held out, and the cases that nothing is trained of, with their references."""

    trained: list[Preference]
    held_out: list[Preference]
    cases: list[tuple[Case, References]]


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
        return encoder_of(self.recipe, self.base, preferences_of(self.recipe).max_length, marker_given=True)


TOLD: Any = SimpleNamespace(update=lambda *_, **__: None, note=lambda text: print(text, file=sys.stderr))


def split_of(recipe: Recipe, encoder: Encoder, count: int, held_out: int, seed: int) -> Split:
    """Deal the cases of the development split to training and to measuring, and pair their answers."""
    suites = tuple(Suite(name, str(EVAL / f"{name}.jsonl"), None) for name in SUITES)
    asked = replace(recipe, evaluation=replace(recipe.evaluation, suites=suites))
    pairs = [pair for pair in reference_pairs(asked, EVAL.parents[1]) if alike(pair) and fits(pair, encoder)]
    places = sorted({pair.place for pair in pairs})
    chance = random.Random(seed)
    chance.shuffle(places)
    measured = set(places[: len(places) // 3])
    chance.shuffle(pairs)
    cases = [case for suite in SUITES for case in untouched(suite, set(places) - measured)]
    return Split(
        [pair for pair in pairs if pair.place not in measured][:count],
        [pair for pair in pairs if pair.place in measured][:held_out],
        cases,
    )


def alike(pair: Preference) -> bool:
    """Whether both answers have about the same length."""
    lengths = sorted(len(answer) for answer, _ in pair.answers)
    return lengths[1] <= ALIKE * lengths[0]


def fits(pair: Preference, encoder: Encoder) -> bool:
    """Whether neither answer is cut."""
    proof = MaskProof()
    encoder.encode([answered(pair, answer, encoder.marker) for answer, _ in pair.answers], proof)
    return not proof.cut


def untouched(suite: str, trained: set[str]) -> Iterator[tuple[Case, References]]:
    """Yield a suite's cases that no pair is trained of."""
    cases = {case.id: case for case in read_cases(EVAL / f"{suite}.jsonl")[0]}
    found, faults = read_references(EVAL / REFERENCES / f"{suite}.jsonl", cases)
    if faults:
        raise SystemExit("\n".join(map(str, faults)))
    for line, one in enumerate(found, start=1):
        if not any(place.endswith(f"{suite}.jsonl:{line}") for place in trained):
            yield cases[one.case], one


# the adapters -------------------------------------------------------------------------------------------------------------


def made(world: World, way: str, seconds: float, rate: float) -> tuple[Path, float]:
    """Return an adapter's folder and the seconds of its training."""
    folder = world.work / way
    if way == "as trained":
        return world.applied.steps["train"], 0.0
    if not (folder / "facts.json").is_file():
        found = more(world, way, seconds, rate) if way == "more" else preferred(world, way)
        (folder / "facts.json").write_text(json.dumps(found), "utf-8")
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    print(f"{way}: {facts}", file=sys.stderr)
    return folder, float(facts["training_seconds"])


def preferred(world: World, way: str) -> dict[str, Any]:
    """Train the step `prefer`."""
    data = make_folder(world.work / f"{way} preferences")
    for name, pairs in (("train", world.split.trained), ("valid", world.split.held_out)):
        rows: Sequence[Preference | JudgedAnswer] = (
            pairs if way == "dpo" else [one for pair in pairs for one in judged(pair)]
        )
        write_jsonl(data / f"{name}.jsonl", map(asdict, rows))
    recipe = replace(world.recipe, prefer=replace(preferences_of(world.recipe), method=way))  # type: ignore[arg-type]
    inputs = {"base": world.base, "train": world.applied.steps["train"], "preferences": data}
    facts: PreferFacts = run_prefer(replace(world.context(way, inputs), recipe=recipe))
    return asdict(facts)


class Until:
    """A stop that asks after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    def requested(self) -> bool:
        return time.perf_counter() > self.end


def more(world: World, way: str, seconds: float, rate: float) -> dict[str, Any]:
    """Train on the wanted answers of the same pairs for so many seconds, from the same adapter, at a constant rate."""
    trained = world.applied.steps["train"]
    lora, encoder = lora_of(world.recipe, trained), world.encoder
    rows = [answered(pair, pair.chosen, encoder.marker) for pair in world.split.trained]
    answers = encoder.encode(rows, MaskProof())
    packed = encoded.pack(answers, encoded.common_prefix(answers), encoder.end)
    train = replace(settings_of(world.recipe), epochs=99, learning_rate=rate, schedule="constant", keep="last")
    model: Any = load_model(world.base)[0]
    keys = adapter.attach(model, lora, train.seed)
    model.load_weights(str(trained / "adapters.safetensors"), strict=False)
    work, nothing = make_folder(world.work / "work" / way), packed.part(0, 0)
    trainer = Trainer(model, train, lora, packed, nothing, 0, work, QUIET, Until(seconds))
    try:
        trainer.run()
    except Interrupted:
        found = checkpoint.latest(work)
        assert found is not None
        trainer.best = dict(found[1]["adapter"])
    adapter.write(make_folder(world.work / way), trainer.best, lora, keys)
    return {"training_seconds": trainer.cursor.seconds, "updates": trainer.cursor.update}


# what they are worth ------------------------------------------------------------------------------------------------------


def likelier(world: World, folder: Path) -> Estimate:
    """Return in which share of held-out pairs the wanted answer is the likelier one: of the answer, behind its marker."""
    pairs = replace(preferences_of(world.recipe), method="dpo")
    [held] = encode_preferences(world.encoder, pairs, [world.split.held_out])
    with loaded_folder(world.base) as model:
        put_on(model, folder)
        with reader(model) as read:
            found = held.share(np.array([one.sum(dtype="float64") for one in read.logprobs([held.rows])[0]]))
    assert found is not None
    return found


def read_cases_of(world: World, way: str, folder: Path, most: int) -> list[CaseLikelihood]:
    """Return what an adapter makes of the references of cases that it was not trained on."""
    kept = world.work / f"{way}.likelihoods.jsonl"
    done = {one.case: one for one in read_likelihoods(kept)}
    cases = [
        pair for suite in SUITES for pair in even_sample([p for p in world.split.cases if p[0].suite == suite], most)
    ]
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


def said(world: World, way: str, folder: Path, most: int) -> dict[str, str]:
    """Return what the served model's answers are worth: the level, loops, the name, the form."""
    place = make_folder(world.work / f"{way} served")
    path = place / "model.gguf"
    if not path.is_file():
        merge(world.base, folder, place / "merged", lambda *_: None)
        write_gguf(place / "merged", path, world.recipe.export.quantize, lambda *_: None, None)
        remove_tree(place / "merged")
    cases = [
        case for suite in SUITES for case in even_sample([c for c, _ in world.split.cases if c.suite == suite], most)
    ]
    served = load_as(Served, world.applied.steps["modelfile"] / "served.json")
    model, engine = described(served.name, path, served, world.recipe.evaluation.max_tokens), LlamaCpp(parallel=2)
    asker = Asker(engine, world.recipe.complexity, model.settings, None, hash_file(path))
    with loaded(engine, model):
        answers: list[Answered] = answer_all(asker, cases, place / "kept.jsonl", QUIET, QUIET, 0)
    scores = list(score_all(world.recipe, cases, {one.id: one for one in answers}).values())
    measured = ModelScores(scores)
    names = ("level_accuracy", "marker_format", "no_loops", "personality", "turkish.form", "turkish.relevance")
    found = {name: measured.measure(name) for name in names}
    return {name: f"{one.value:.0%} of {one.n}" if one.value is not None else "-" for name, one in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.jessy"))
    parser.add_argument("--ways", nargs="+", default=["dpo", "kto", "more"])
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--more-rate", type=float, default=5e-5)
    parser.add_argument("--answers", type=int, default=12)
    chosen = parser.parse_args()
    applied = Applied.of(chosen.project, chosen.recipe)
    settings = {name: type(getattr(PREFER, name))(value) for name, value in (one.split("=") for one in chosen.set)}
    recipe = replace(applied.recipe, prefer=replace(PREFER, seed=chosen.seed, **settings))
    world = World(applied, make_folder(chosen.work), recipe, Split([], [], []))
    world.split = split_of(recipe, world.encoder, chosen.pairs, chosen.held_out, chosen.seed)
    trained = {pair.place for pair in world.split.trained}
    print(
        f"{len(world.split.trained)} pairs of {len(trained)} cases, {len(world.split.held_out)} held out",
        file=sys.stderr,
    )
    seconds, before, figures = 0.0, list[CaseLikelihood](), []
    for way in ("as trained", *chosen.ways):
        folder, took = made(world, way, seconds, chosen.more_rate)
        seconds = seconds or took
        cells = {"": way, "seconds": f"{took:.0f}", "held-out pairs": share(likelier(world, folder))}
        if chosen.answers:
            after = read_cases_of(world, way, folder, chosen.answers)
            before = before or after
            for one in contrasts(before, after, []).figures:
                cells[one.metric] = f"{one.after.value:.1%}, {change(one.change)}"
            cells |= said(world, way, folder, chosen.answers)
        figures.append(cells)
        print(json.dumps(cells, ensure_ascii=False), file=sys.stderr)
    names = list(figures[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for cells in figures:
        print("| " + " | ".join(cells.get(name, "-") for name in names) + " |")


if __name__ == "__main__":
    main()
