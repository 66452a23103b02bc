"""Scenes of a real Gemma 3 and its real tune, for a benchmark: the same faults at the size at which they are made."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.merge import merge
from jessyfile.models.gguf_container import ARRAY, STRING, U32
from planted.document import BF16, F16, Q5_1, Q8_0, TOKENS, TYPES, Document, read_document

Q_AND_K = ("attn_q_norm.weight", "attn_k_norm.weight")
EMBEDDINGS = "token_embd.weight"


@dataclass(frozen=True)
class Gemma:
    """A base's folder and its adapter's, and the numbers of both GGUFs: what is linear in the tune lies between them."""

    base: Path
    adapter: Path

    @cached_property
    def plain(self) -> Document:
        """Return the base's."""
        return _document(self.base)

    @cached_property
    def tuned(self) -> Document:
        """Return the tuned model's."""
        with tempfile.TemporaryDirectory() as place:
            merge(self.base, self.adapter, Path(place), lambda *_: None)
            return _document(Path(place))

    def part(self, share: Callable[[str], float]) -> Document:
        """Return the tuned model's with a share of the tune in each tensor."""
        own, new = self.plain.tensors, self.tuned.tensors
        mixed = {name: own[name] + np.float32(share(name)) * (new[name] - own[name]) for name in new}
        return self.tuned.with_tensors(mixed)


def _document(folder: Path) -> Document:
    with tempfile.TemporaryDirectory() as place:
        write_gguf(folder, Path(place) / "model.gguf", "f32", lambda *_: None)
        return read_document(Path(place) / "model.gguf")


@dataclass(frozen=True)
class RealScene:
    """One scene; its file is made when it is put."""

    gemma: Gemma
    made: Callable[[Gemma], Document]

    def put(self, place: Path) -> list[str]:
        """Write the file and return the command's arguments."""
        place.mkdir(parents=True)
        path = self.made(self.gemma).write(place / "model.gguf")
        return [str(path), "--against", str(self.gemma.base), "--adapter", str(self.gemma.adapter)]


def _ordinary_turns(file: Document) -> Document:
    turns = ("<start_of_turn>", "<end_of_turn>")
    kinds = zip(file.list(TOKENS), file.list(TYPES), strict=True)
    return file.with_keys((TYPES, ARRAY, [1 if token in turns else kind for token, kind in kinds]))


MADE: dict[str, Callable[[Gemma], Document]] = {
    "r01": lambda own: own.part(lambda name: float("ffn_down" not in name)).stored(Q8_0),
    "r02": lambda own: own.part(lambda _: 0.6).stored(Q8_0),
    "r03": lambda own: own.tuned.without("gemma3.rope.freq_base").stored(F16),
    "r04": lambda own: own.tuned.with_keys(("tokenizer.ggml.eot_token_id", U32, 107)).stored(F16),
    "r05": lambda own: own.tuned.changed(lambda one: one - 1, *Q_AND_K).stored(F16),
    "r06": lambda own: own.plain.stored(Q5_1).stored(Q8_0, EMBEDDINGS),
    "r07": lambda own: _ordinary_turns(own.tuned).stored(F16),
    "r08": lambda own: own.tuned.with_keys(("general.name", STRING, "Çırağın Öğüdü")).stored(F16).ordered(len),
    "r09": lambda own: own.tuned.stored(Q8_0),
    "r10": lambda own: own.tuned.stored(Q5_1).stored(Q8_0, EMBEDDINGS),
    "r11": lambda own: own.tuned.without("tokenizer.ggml.add_bos_token").stored(BF16),
}


def real_set(base: Path, adapter: Path) -> SimpleNamespace:
    """Return the set of a base's folder and its adapter's."""
    gemma = Gemma(base, adapter)
    return SimpleNamespace(**{name: partial(RealScene, gemma, made) for name, made in MADE.items()})
