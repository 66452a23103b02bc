"""Is a GGUF the model of a folder? Asked of any file and any folder, without a project or a recipe.

The files are compared first: keys by their meaning, tokens by number, every tensor's numbers. Where they show nothing, the
answers decide: the folder's model is run by MLX, the file by llama.cpp, at the same places of the same conversations.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import EngineError, ModelError
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.faults import Mismatch
from jessyfile.parity.keys import key_faults
from jessyfile.parity.parts import opened_gguf
from jessyfile.parity.passages import plain_passage
from jessyfile.parity.readings import read_engine, read_folder
from jessyfile.parity.stages import Trained, stage_faults
from jessyfile.parity.suspects import tensor_faults
from jessyfile.parity.templates import CHATS, modelfile_faults, template_faults
from jessyfile.parity.tensors import compare_tensors
from jessyfile.parity.tokens import Prompts
from jessyfile.parity.truth import Truth
from jessyfile.parity.vocabulary import vocabulary_faults

if TYPE_CHECKING:
    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.gguf_reader import GgufFile
    from jessyfile.models.tokenizer import Tokenizer
    from jessyfile.parity.faults import Stage
    from jessyfile.parity.tensors import Comparison, TensorFigures
    from jessyfile.results.facts import StageFacts

Note = Callable[[str], None]
_FLOATS = ("F32", "F16", "BF16")
_ROOM = 8
_WORDS = 400
_REPLY = "Bence önce küçük bir örnekle başla; sonra adım adım büyüt. I think that works best."
_ODD = ("  iki boşluk  ve\ttab\n\n\nsatır", "İIıi ĞğŞş Çç Öö Üü 🤽\u200d♀️ 日本語 don't 3.14159 x=[1,2];")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: faults, the worst first, and figures. `answers` is None where the files alone decided."""

    faults: tuple[Mismatch, ...]
    tensors: int = 0
    worst: TensorFigures | None = None
    weights: float | None = None
    answers: StageFacts | None = None

    @property
    def verified(self) -> bool:
        """Whether they are one model."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be verified: a file, the folder that it is said to be the model of, the adapter that is said to be merged
    into it, and the Modelfile that is said to serve it.
    """

    gguf: Path
    folder: Path
    adapter: Path | None = None
    modelfile: Path | None = None


def verify(claim: Claim, note: Note = lambda _: None) -> Verification:
    """Compare a GGUF with a model folder. Raises ModelError when the folder or the adapter itself cannot be used."""
    with tempfile.TemporaryDirectory(prefix="jessy-verify-") as name:
        work = Path(name)
        base, model = work / "base", work / "model"
        try:
            path, file = opened_gguf(claim.gguf, work)
        except ModelError as error:
            return Verification((Mismatch("damaged", "gguf", error.message, error.hint or ""),))
        fsops.make_folder(base)
        form = bring_folder(claim.folder, base, lambda *_: None)
        truth = Truth(base, claim.adapter)
        note("comparing keys, tokens and numbers")
        found = _files(claim, file, truth, form)
        if found.faults:
            return found
        if claim.adapter is not None:
            fsops.make_folder(model)
            merge_folder(base, claim.adapter, model, lambda *_: None)
        note("asking both models")
        return _answers(found, path, (base if claim.adapter else None, model if claim.adapter else base), form)


def _files(claim: Claim, file: GgufFile, truth: Truth, form: ChatFormat) -> Verification:
    """Compare all that can be compared without running a model."""
    tokenizer, rows = load_tokenizer(truth.folder), int(truth.config["vocab_size"])
    faults = list(key_faults(file, truth))
    if any(fault.kind == "architecture" for fault in faults):
        return Verification(tuple(faults))
    faults += vocabulary_faults(file, truth.folder, form, rows)
    compared = _compared(file, truth, faults)
    faults += template_faults(file, claim.folder, form, tokenizer, tuned=claim.adapter is not None)
    if claim.modelfile is not None:
        faults += modelfile_faults(claim.modelfile, claim.gguf, file, form)
    return Verification(tuple(faults), len(compared.figures), compared.worst, compared.survival)


def _compared(file: GgufFile, truth: Truth, faults: list[Mismatch]) -> Comparison:
    compared = compare_tensors(file, truth)
    faults += [*compared.faults, *tensor_faults(file, truth, compared.figures)]
    return compared


def _answers(found: Verification, path: Path, folders: tuple[Path | None, Path], form: ChatFormat) -> Verification:
    """Run both models; `folders` are the base, where an adapter was given, and the model."""
    from jessyfile.engines.engine import GenerationSettings, ServedModel
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.engines.serving import loaded

    base, model = folders
    tokenizer = load_tokenizer(model)
    texts = [_whole(form, number) for number in range(len(CHATS))]
    passages = [plain_passage(tokenizer.encode(text, bos=True)) for text in texts]
    before = None if base is None else read_folder(base, passages)
    subject = Trained(passages, read_folder(model, passages), before)
    kind = "f32" if found.worst is None else _type_of(path)
    stage: Stage = "gguf" if kind.upper() in _FLOATS else "quantized"
    longest = max(len(passage.ids) for passage in passages)
    served = ServedModel(path.name, path, form.name, settings=GenerationSettings(num_ctx=max(longest, 2048) + _ROOM))
    engine = LlamaCpp(parallel=1)
    try:
        with loaded(engine, served):
            prompts = Prompts(engine, tokenizer, "gguf")
            faults = [
                *prompts.token_faults([*texts, *_ODD, *_words(tokenizer)]),
                *prompts.turn_faults(form),
                *Prompts(engine, tokenizer, "served").prompt_faults(texts[:2]),
            ]
            figures = subject.facts(stage, kind, read_engine(engine.next_logprobs, passages), found.weights)
    except EngineError as error:
        return replace(found, faults=(Mismatch("load", "gguf", error.message, error.hint or ""),))
    faults += stage_faults(figures, stage)
    return replace(found, faults=tuple(faults), answers=figures)


def _whole(form: ChatFormat, number: int) -> str:
    messages, system = CHATS[number]
    return form.render(messages, system) + form.reply_lead + _REPLY + form.end_of_turn


def _type_of(path: Path) -> str:
    """Return the coarsest type that much of a file is stored in."""
    from gguf.constants import GGMLQuantizationType

    from jessyfile.models.gguf_reader import read_gguf

    tensors = list(read_gguf(path).tensors.values())
    much = sum(tensor.nbytes for tensor in tensors) / 20
    sizes: dict[int, tuple[int, int]] = {}  # bytes and numbers
    for tensor in tensors:
        size, count = sizes.get(tensor.kind, (0, 0))
        sizes[tensor.kind] = (size + tensor.nbytes, count + math.prod(tensor.shape))
    coarsest = min((size / count, kind) for kind, (size, count) in sizes.items() if size >= much)
    return str(GGMLQuantizationType(coarsest[1]).name).lower()


def _words(tokenizer: Tokenizer) -> Sequence[str]:
    """Return words from all over the vocabulary, some dozen a text: tokens that changed places show in the ids."""
    step = max(1, tokenizer.size // _WORDS)
    words = [tokenizer.decode([number]).strip() for number in range(0, tokenizer.size, step)]
    plain = [word for word in words if word.isascii() and word.isalpha()]
    return [" ".join(plain[at : at + 40]) for at in range(0, len(plain), 40)]
