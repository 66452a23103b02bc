"""Questions to documents: is the right passage found, is it named and its answer given, and is it said when nothing says the answer?

Run `python benchmarks/documents.py MODEL [--format chatml] [--set final] [--top 4] [--quote 0.2]`. MODEL is a GGUF file, or the name of a
model that is registered in the project where the command is run; without one, what is found is counted alone. `benchmarks/documents/final`
holds twenty documents and sixty questions, Turkish and English, twenty of which no document answers; they were written before anything was
measured with them. What was tried was tried on `--set development`, ten other documents with forty questions, and the bound was chosen
there. `--set second` is another twenty and sixty-six, of other subjects. The bound of 20 % is that of `recipes/notes.jessy`, whose model has
learned to judge; a base as it comes wants a higher one. With `--quote 0` the model answers in its own words behind all passages.

An answer is right when it names the passage and holds the fact, and a refusal when jessy says that the notes do not say it; of a model's
own words, when they say so in one of a few ways (`_NO`). The goals: of what was found at least 80 % is right, and of what no document
answers at least 80 % is refused; docs/retrieval.md says by which models they were missed.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.engines.engine import GenerationSettings, Reply, ServedModel
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.passages import ServedNotes
from jessyfile.engines.promoted import find
from jessyfile.engines.retriever import Retriever
from jessyfile.engines.serving import served_model
from jessyfile.language.recipe import Message
from jessyfile.project import find_root
from jessyfile.retrieval.documents import read_documents
from jessyfile.retrieval.examples import Examples
from jessyfile.retrieval.levels import Voting
from jessyfile.retrieval.passage_index import PassageIndex
from jessyfile.text.turkish import lower

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 0.8
BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_NO = re.compile(
    r"\byok\b|bulamad|belirtilme|yazmıyor|not (?:in|mention|say|state|specif)|do(?:es)?n['’]t (?:say|mention)|no information"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the passage that answers it (None: none does), and texts of which an answer holds one."""

    question: str
    language: str
    passage: str | None
    fact: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A question with its answer: whether retrieval found the passage, whether it is the one named, and whether the fact was said."""

    asked: Question
    reply: Reply
    found: bool
    named: bool
    fact: bool

    @property
    def likeliest(self) -> float:
        """How likely the likeliest passage says the answer."""
        assert self.reply.retrieved is not None
        return max((one.says or 0.0 for one in self.reply.retrieved.passages), default=0.0)

    @property
    def refused(self) -> bool:
        """Whether the answer is that the notes do not say it."""
        assert self.reply.retrieved is not None
        if self.reply.retrieved.quoted:
            return self.reply.retrieved.leans_on is None
        return _NO.search(lower(self.reply.text)) is not None

    @property
    def right(self) -> bool:
        """Whether the right passage is named and the fact said."""
        return self.named and self.fact and not self.refused


def model_of(options: argparse.Namespace) -> ServedModel:
    """Return what to ask: a file in a chat format, or a registered model."""
    if options.model.endswith(".gguf"):
        settings = GenerationSettings(num_ctx=4096, max_tokens=80)
        return ServedModel("model", Path(options.model).resolve(), options.format, settings=settings)
    return served_model(find(find_root(Path.cwd() / "x"), options.model).entry, 80)


def questions(folder: Path) -> list[Question]:
    """Return a set's questions."""
    lines = (json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines())
    return [Question(one["question"], one["language"], one["passage"], tuple(one["fact"])) for one in lines]


def given(question: Question, reply: Reply) -> Given:
    """Return how good an answer is."""
    assert reply.retrieved is not None
    name = question.passage and f"notes/{question.passage}"
    found = any(one.id == name for one in reply.retrieved.passages)
    named = name is not None and reply.retrieved.leans_on == name
    said = lower(reply.text)
    return Given(question, reply, found, named, any(lower(fact) in said for fact in question.fact))


def found_alone(held: PassageIndex, asked: Sequence[Question], top: int) -> None:
    """Print how often the passage that answers a question is the nearest, and among the nearest."""
    can = [one for one in asked if one.passage is not None]
    near = [[each.passage.id for each in held.nearest(one.question, top)] for one in can]
    first = sum(names[:1] == [f"notes/{one.passage}"] for one, names in zip(can, near, strict=True))
    among = sum(f"notes/{one.passage}" in names for one, names in zip(can, near, strict=True))
    print(f"{len(held.passages)} passages; of {len(can)} questions {first} find theirs first, {among} among {top}")


def table(answers: Sequence[Given]) -> None:
    """Print what other bounds would have made of the same likelihoods; an answer that was refused is not known to hold its fact."""
    print("\nquote above   right passage likeliest   refused")
    can, not_there = [one for one in answers if one.found], [one for one in answers if one.asked.passage is None]
    for bound in BOUNDS:
        named = sum(_likeliest(one) == f"notes/{one.asked.passage}" and one.likeliest > bound for one in can)
        refused = sum(one.likeliest <= bound for one in not_there)
        print(f"{bound:>11.0%}   {named:>9} of {len(can):<11}   {refused:>4} of {len(not_there)}")


def _likeliest(one: Given) -> str:
    assert one.reply.retrieved is not None
    return max(one.reply.retrieved.passages, key=lambda each: each.says or 0.0).id


def main() -> None:
    """Ask every question of a set, and print the shares."""
    parser = argparse.ArgumentParser(description="Questions to documents.")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--format", default="chatml")
    parser.add_argument("--set", default="final", choices=("final", "development", "second"))
    parser.add_argument("--top", type=int, default=4)
    parser.add_argument("--quote", type=float, default=0.2)
    options = parser.parse_args()
    folder = Path(__file__).parent / "documents" / options.set
    held = PassageIndex.build(read_documents("notes", folder).passages)
    found_alone(held, questions(folder), options.top)
    if options.model is None:
        return
    engine = Retriever(
        LlamaCpp(), Examples.build(()), Voting(()), 0, None, ServedNotes(held, options.top, options.quote or None)
    )
    engine.load(model_of(options))
    started, answers = time.perf_counter(), []
    for question in questions(folder):
        answers.append(given(question, engine.chat([Message("user", question.question)])))
        one = answers[-1]
        good = one.refused if question.passage is None else one.right
        print(
            f"{'ok  ' if good else 'FAIL'} {one.likeliest:4.0%}  {question.question}  ->  {one.reply.text}", flush=True
        )
    seconds = (time.perf_counter() - started) / len(answers)
    engine.unload()
    can = [one for one in answers if one.asked.passage is not None]
    found, not_there = [one for one in can if one.found], [one for one in answers if one.asked.passage is None]
    right, refused = sum(one.right for one in found), sum(one.refused for one in not_there)
    named = sum(one.named for one in found)
    print(
        f"\nfound {len(found)} of {len(can)}; of these passage named {named}, named and right {right} ({right / len(found):.0%})"
    )
    print(f"refused {refused} of {len(not_there)} ({refused / len(not_there):.0%}); {seconds:.1f} s a question")
    if options.quote:
        table(answers)
    assert right >= LEAST * len(found), "too few answers are right"
    assert refused >= LEAST * len(not_there), "too few questions without an answer are refused"


if __name__ == "__main__":
    main()
