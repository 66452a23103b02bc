"""How likely a model finds answers that are given to it: what it says of every token of them.

An answer's worth is its mean log-probability a token behind the question, less its mean log-probability without a question, in nats.
The latter is the answer's own likelihood: how common, short and well spelled it is anyway (`contrast` says whose it is).

The text is laid out as in training, with the system prompt where the recipe trains with it; without a question means no earlier
turns and an empty last one. The marker of the case's own level, with the iterations in the middle of its band, stands before every
answer, with the question and without, and is given, not counted. The token that ends a turn is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import marked
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answers import conversation
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.language.recipe import Message
from jessyfile.training.encoded import EncodedRow, common_prefix, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References
    from jessyfile.language.recipe import Complexity, Recipe
    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.tokenizer import Tokenizer
    from jessyfile.training.encoded import Encoded
    from jessyfile.training.likelihood import ModelReader

GOOD = "good"
_PLACES = 4  # of an answer, whose log-probabilities are kept one by one: what a served file is asked


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """What a model says of an answer's tokens: their mean log-probability in nats, and that of a few places."""

    mean: float
    places: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AnswerLikelihood:
    """How likely a model finds an answer of a kind behind its question, and without one."""

    kind: str
    tokens: int
    asked: TokenLogprobs
    alone: TokenLogprobs


@dataclass(frozen=True, slots=True)
class CaseLikelihood:
    """How likely a model finds the answers to a case, in the order of `texts`."""

    case: str
    answers: tuple[AnswerLikelihood, ...]


def texts(references: References) -> list[tuple[str, str]]:
    """Return every answer with its kind, in the order in which values are kept."""
    kinds: Mapping[str, tuple[str, ...]] = {GOOD: references.good, **references.bad}
    return [(kind, answer) for kind, answers in kinds.items() for answer in answers]


@dataclass(frozen=True, slots=True)
class AnswerLayout:
    """How questions and answers are laid out for one model: see the module's text."""

    tokenizer: Tokenizer
    form: ChatFormat
    system: str | None
    complexity: Complexity

    def asked(self, case: Case, answers: Sequence[str]) -> Encoded:
        """Return answers behind their question, as rows whose counted tokens are the trained ones."""
        return self._rows(case, conversation(case, self.complexity), answers)

    def alone(self, case: Case, answers: Sequence[str]) -> Encoded:
        """Return answers without their question."""
        return self._rows(case, [Message("user", "")], answers)

    def longest(self, case: Case, answers: Sequence[str]) -> int:
        """Return how many tokens the longest of the answers has together with what stands before it."""
        split = self.asked(case, answers)
        return len(split.prefix) + int(split.lengths().max())

    def _rows(self, case: Case, before: Sequence[Message], answers: Sequence[str]) -> Encoded:
        opening = self.form.render(before, self.system) + self.form.reply_lead + self._marker(case)
        rows = [self._row(case, opening, answer) for answer in answers]
        return pack(rows, common_prefix(rows))

    def _row(self, case: Case, opening: str, answer: str) -> EncodedRow:
        ids, labels = self.tokenizer.encode_parts([(opening, 0), (answer, 1)])
        if not any(labels):
            raise EvaluationError(f"a reference answer to `{case.id}` has no token", hint="delete it")
        return EncodedRow(tuple(ids), tuple(map(bool, labels)), case.suite, case.language, persona=False)

    def _marker(self, case: Case) -> str:
        bands = {level.name: level.iterations for level in self.complexity.levels}
        if case.level not in bands:
            return ""
        return marked(self.complexity.marker, case.level, sum(bands[case.level]) // 2, "").lstrip()


def layout_of(recipe: Recipe, tokenizer: Tokenizer, form: ChatFormat) -> AnswerLayout:
    """Return the layout that a recipe trains with."""
    return AnswerLayout(tokenizer, form, recipe.system if recipe.train.include_system else None, recipe.complexity)


def likelihoods(
    read: ModelReader, layout: AnswerLayout, cases: Sequence[tuple[Case, References]]
) -> Iterator[CaseLikelihood]:
    """Yield how likely a model finds the answers to some cases, which it reads together."""
    answers = [texts(references) for _, references in cases]
    plain = [(case, [answer for _, answer in some]) for (case, _), some in zip(cases, answers, strict=True)]
    found = read.logprobs([layout.asked(*one) for one in plain] + [layout.alone(*one) for one in plain])
    for (case, _), some, *both in zip(cases, answers, found[: len(cases)], found[len(cases) :], strict=True):
        rows = zip(some, *both, strict=True)
        yield CaseLikelihood(
            case.id,
            tuple(AnswerLikelihood(kind, len(asked), _said(asked), _said(alone)) for (kind, _), asked, alone in rows),
        )


def places(tokens: int) -> list[int]:
    """Return the places of an answer whose log-probabilities are kept."""
    return even_sample(range(tokens), _PLACES)


def _said(logprobs: NDArray[np.float32]) -> TokenLogprobs:
    at = logprobs[places(len(logprobs))]
    return TokenLogprobs(round(float(logprobs.mean(dtype="float64")), 5), tuple(round(float(one), 4) for one in at))
