"""Whole prompts as an engine's own tokenizer reads them, against the ids that training used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jessyfile.parity.faults import Mismatch, Stage
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.tokenizer import Tokenizer

_HINT = "the file's tokenizer is not the trained one's; convert the folder again, its tokenizer.json included"


class Reader(Protocol):
    """An engine that tells how it reads a text."""

    def token_ids(self, text: str, *, bos: bool = False) -> list[int]:
        """Return a text's ids, behind BOS when asked and when the engine puts one."""

    def ends_at(self, prompt: Sequence[int], token: int) -> bool:
        """Return whether an answer ends with this token."""

    def prompt_tokens(self, text: str) -> int:
        """Return how many tokens a prompt has that is sent as text."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """An engine's reading of texts beside the tokenizer that training used, at one stage."""

    reader: Reader
    tokenizer: Tokenizer
    stage: Stage

    def token_faults(self, texts: Iterable[str]) -> Iterator[Mismatch]:
        """Yield the first text whose token ids differ from the tokenizer's, and a BOS that is missing or there twice."""
        for text in texts:
            right, found = self.tokenizer.encode(text, bos=True), self.reader.token_ids(text, bos=True)
            if found != right:
                yield self._other_ids(right, found)
                return

    def _other_ids(self, right: Sequence[int], found: Sequence[int]) -> Mismatch:
        lead = _bos_fault(self.tokenizer.bos, right, found)
        if lead is not None:
            return Mismatch(
                "bos", self.stage, lead, "write tokenizer.ggml.add_bos_token as the trained tokenizer has it"
            )
        pairs = enumerate(zip(right, found, strict=False))
        at = next((at for at, (one, other) in pairs if one != other), min(len(right), len(found)))
        ids = " and ".join(str(list(side[at : at + 4])) for side in (right, found))
        near = brief(self.tokenizer.decode(right[at : at + 4]))
        message = f"the prompt's tokens differ from token {at} on, at {near}: {ids}"
        return Mismatch("token ids", self.stage, message, _HINT)

    def turn_faults(self, form: ChatFormat) -> Iterator[Mismatch]:
        """Yield turn tokens that are not read as one, and an end of turn at which no answer ends."""
        for token in sorted(form.turn_tokens):
            number = self.tokenizer.id_of(token)
            if number is not None and (found := self.reader.token_ids(token)) != [number]:
                message = f"the turn token {token} is read as {found}, and training used {number}"
                yield Mismatch("turn token", self.stage, message, "give it the token type CONTROL (3)")
        end = self.tokenizer.id_of(form.end_of_turn)
        if end is not None and not self.reader.ends_at(self.tokenizer.encode(form.user[0], bos=True), end):
            message = f"answers do not end at {form.end_of_turn} ({end}), with which the trained model ends them"
            hint = f"write tokenizer.ggml.eot_token_id {end}, or its eos_token_id"
            yield Mismatch("end of turn", self.stage, message, hint)

    def prompt_faults(self, texts: Iterable[str]) -> Iterator[Mismatch]:
        """Yield a prompt of which the engine makes more or fewer tokens than the tokenizer, when it is sent as text."""
        for text in texts:
            found, right = self.reader.prompt_tokens(text), len(self.tokenizer.encode(text, bos=True))
            if found != right:
                message = f"a prompt of {right} tokens has {found} when it is sent as text: {brief(text)}"
                yield Mismatch("prompt", self.stage, message, "the engine adds something to it, such as a second BOS")
                return


def _bos_fault(bos: int | None, right: Sequence[int], found: Sequence[int]) -> str | None:
    if bos is not None and list(found) == list(right[1:]):
        return f"no BOS is put before a prompt, and training put {bos} there"
    if bos is not None and list(found) == [bos, *right]:
        return f"BOS ({bos}) is put before a prompt twice"
    if bos is None and list(found[1:]) == list(right):
        return f"a BOS ({found[0]}) is put before a prompt, and training put none there"
    return None
