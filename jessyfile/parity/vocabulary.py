"""A GGUF's tokenizer keys against the folder's tokenizer: tokens by number, what begins and ends a text, how words are split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.export.gguf_tokenizer import tokenizer_pairs
from jessyfile.models.model_json import read_json
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.faults import Mismatch
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.gguf_reader import GgufFile
    from jessyfile.models.tokenizer import Tokenizer

_NORMAL, _CONTROL, _USER, _UNUSED = 1, 3, 4, 5
_KEY = "tokenizer.ggml"
_OTHER_TOKENIZER = "the GGUF has another model's tokenizer; convert it again, tokenizer.json included"
# the texts that llama.cpp takes for ends of a turn, whatever the metadata say
_KNOWN_ENDS = (
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "< EOT >", "_<EOT>", "</s>",
)  # fmt: skip


def vocabulary_faults(file: GgufFile, folder: Path, form: ChatFormat, rows: int) -> Iterator[Mismatch]:
    """Yield what the tokenizer in a GGUF has other than a folder's.

    Args:
        file: the GGUF.
        folder: the model folder, its tokenizer.json as llama.cpp reads it.
        form: the chat format that the model is asked in.
        rows: the rows of its embeddings.

    Returns:
        The faults, the worst first.
    """
    right = {key: value for key, _, value in tokenizer_pairs(folder, rows)}
    kind, tokens = file.metadata.get(f"{_KEY}.model"), file.metadata.get(f"{_KEY}.tokens")
    if kind != right[f"{_KEY}.model"] or not isinstance(tokens, list):
        yield _fault(
            "tokenizer", f"'{_KEY}.model' is {brief(kind)}, and the folder's tokenizer is {right[f'{_KEY}.model']!r}"
        )
        return
    wanted, types = right[f"{_KEY}.tokens"], right[f"{_KEY}.token_type"]
    if len(tokens) != len(wanted):
        yield _fault("vocabulary", f"the GGUF has {len(tokens)} tokens, and the folder's model {len(wanted)}")
    yield from _token_faults(tokens, wanted, types)
    yield from _type_faults(file, form, wanted, types)
    yield from _splitting_faults(file, right)
    yield from _begin_faults(file, load_tokenizer(folder), right)
    yield from _end_faults(file, folder, form, tokens)


def _fault(kind: str, message: str, hint: str = _OTHER_TOKENIZER) -> Mismatch:
    return Mismatch(kind, "gguf", message, hint)


def _token_faults(tokens: Sequence[str], wanted: Sequence[str], types: Sequence[int]) -> Iterator[Mismatch]:
    """Numbers that no text has (`[PAD7]`) may be called anything."""
    other = [
        number
        for number, (one, right) in enumerate(zip(tokens, wanted, strict=False))
        if one != right and types[number] != _UNUSED and one.replace(" ", "▁") != right.replace(" ", "▁")
    ]
    if other:
        first = other[0]
        message = f"token {first} is {brief(tokens[first])} in the GGUF and {brief(wanted[first])} in the folder"
        yield _fault("token ids", f"{message}; {len(other)} of {len(wanted)} tokens differ")


def _type_faults(file: GgufFile, form: ChatFormat, wanted: Sequence[str], types: Sequence[int]) -> Iterator[Mismatch]:
    stored = file.metadata.get(f"{_KEY}.token_type")
    given: Sequence[int] = [_NORMAL] * len(wanted) if stored is None else list(map(int, stored))
    hint = "write tokenizer.ggml.token_type as the tokenizer has it: 3 for control tokens"
    for number, (found, right) in enumerate(zip(given, types, strict=False)):
        token = wanted[number]
        if token in form.turn_tokens and found not in (_CONTROL, _USER):
            yield _fault(
                "token type", f"the turn token {token} ({number}) has the type {found}, no control token's", hint
            )
        elif right == _NORMAL and found == _CONTROL and token not in _KNOWN_ENDS:
            yield _fault("token type", f"token {number}, {brief(token)}, is a control token in the GGUF alone", hint)
            return


def _splitting_faults(file: GgufFile, right: Mapping[str, Any]) -> Iterator[Mismatch]:
    if right[f"{_KEY}.model"] == "llama":
        prefix, wanted = file.metadata.get(f"{_KEY}.add_space_prefix", True), right[f"{_KEY}.add_space_prefix"]
        if prefix != wanted:
            yield _fault(
                "space prefix", f"'{_KEY}.add_space_prefix' is {prefix}, and the folder's tokenizer has {wanted}"
            )
        return
    pre, own = str(file.metadata.get(f"{_KEY}.pre", "default")), right[f"{_KEY}.pre"]
    rule = PRE_TOKENIZERS.get(pre)
    if rule is None or rule.expressions != PRE_TOKENIZERS[own].expressions:
        yield _fault(
            "word splitting", f"'{_KEY}.pre' is {brief(pre)}, and the folder's tokenizer splits words by {own!r}"
        )
    merges, joined = file.metadata.get(f"{_KEY}.merges"), right[f"{_KEY}.merges"]
    if merges != joined:
        many = len(merges) if isinstance(merges, list) else 0
        at = next(
            (at for at, (a, b) in enumerate(zip(merges or (), joined, strict=False)) if a != b), min(many, len(joined))
        )
        yield _fault(
            "merges", f"the GGUF joins other pairs from merge {at} on: {many} merges, the folder has {len(joined)}"
        )


def _begin_faults(file: GgufFile, tokenizer: Tokenizer, right: Mapping[str, Any]) -> Iterator[Mismatch]:
    sentencepiece = right[f"{_KEY}.model"] == "llama"
    rule = PRE_TOKENIZERS.get(str(file.metadata.get(f"{_KEY}.pre", "default")))
    usual = sentencepiece or (rule is not None and rule.add_bos)
    bos = file.metadata.get(f"{_KEY}.bos_token_id", 1 if sentencepiece else 11)
    begins = bool(file.metadata.get(f"{_KEY}.add_bos_token", usual))
    hint = "write tokenizer.ggml.add_bos_token and bos_token_id as the folder's tokenizer has them"
    if begins and tokenizer.bos is None:
        yield _fault("bos", f"BOS ({bos}) is put before a prompt, and the folder's tokenizer puts none there", hint)
    elif not begins and tokenizer.bos is not None:
        yield _fault(
            "bos", f"no BOS is put before a prompt, and the folder's tokenizer puts {tokenizer.bos} there", hint
        )
    elif begins and bos != tokenizer.bos:
        yield _fault("bos", f"the BOS token is {bos}, and the folder's is {tokenizer.bos}", hint)
    if file.metadata.get(f"{_KEY}.add_eos_token"):
        yield _fault("eos", "an end-of-text token is put behind every prompt ('tokenizer.ggml.add_eos_token')", hint)


def _end_faults(file: GgufFile, folder: Path, form: ChatFormat, tokens: Sequence[str]) -> Iterator[Mismatch]:
    tokenizer = load_tokenizer(folder)
    end, allowed = tokenizer.id_of(form.end_of_turn), _ends_of(folder, tokenizer)
    default = 2 if file.metadata.get(f"{_KEY}.model") == "llama" else 11
    own = {"eos": file.metadata.get(f"{_KEY}.eos_token_id", default)}
    own |= {
        name: file.metadata[f"{_KEY}.{name}_token_id"]
        for name in ("eot", "eom")
        if f"{_KEY}.{name}_token_id" in file.metadata
    }
    allowed |= {end} if end is not None else set()
    for name, number in own.items():
        if allowed and number not in allowed:
            text = brief(tokens[number]) if isinstance(number, int) and 0 <= number < len(tokens) else "no token"
            message = f"answers end at token {number}, {text} ('{_KEY}.{name}_token_id'), and the folder's at"
            yield _fault(
                "end of text", f"{message} {', '.join(map(str, sorted(allowed)))}", "write the folder's eos_token"
            )
    if end is not None and end not in own.values() and form.end_of_turn not in _KNOWN_ENDS:
        message = f"no answer ends at {form.end_of_turn} ({end}), with which the trained model ends its turn"
        yield _fault("end of turn", message, f"write tokenizer.ggml.eot_token_id {end}")


def _ends_of(folder: Path, tokenizer: Tokenizer) -> set[int]:
    """Return the tokens that end a text by what the folder's files say."""
    found = {tokenizer.eos} if tokenizer.eos is not None else set()
    for name in ("config.json", "generation_config.json"):
        said = read_json(folder / name).get("eos_token_id")
        found |= {one for one in (said if isinstance(said, list) else [said]) if type(one) is int}
    return found
