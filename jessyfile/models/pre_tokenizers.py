"""How llama.cpp splits a text into words before it joins bytes, by the name under `tokenizer.ggml.pre`.

The expressions are applied one after the other, each to what the ones before have left whole; what lies between two
matches is a word too. They are llama.cpp's, so that token ids equal those of the engines; where a published
tokenizer.json spells the same rule otherwise, that spelling stands beside it.

Not covered: names whose words are no runs of bytes (`gemma4`, `sarvam-moe`, `whitespace`, `granite-embed-multi-311m`)
or follow from code instead of an expression (`kimi-k2`, `afmoe`, `superbpe`), where the expression gives other words than
llama.cpp's reading of it (`deepseek-coder`, `deepseek-llm`, `youtu`), and those of models that only embed.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Expressions = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """One way to split.

    add_bos        whether a text begins with BOS when the metadata do not say
    ignore_merges  whether a word that is a token is taken whole, without joining
    published      the expressions of the tokenizer.json files that are converted under this name, where they differ
    """

    expressions: Expressions
    add_bos: bool = False
    ignore_merges: bool = False
    published: Expressions = ()


_REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SUFFIX_PLAIN = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_LLAMA3 = rf"{_SUFFIX}|{_WORD}|\p{{N}}{{1,3}}|{_SIGNS}|{_REST}"
_QWEN2 = rf"{_SUFFIX}|{_WORD}|\p{{N}}|{_SIGNS}|{_REST}"
_UPPER, _LOWER = r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))"
_UPPER_SETS, _LOWER_SETS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PATHS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_CJK = r"[一-龥぀-ゟ゠-ヿ]+"
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
_DEEPSEEK3_WORDS = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
    + _REST
)


def _cased(upper: str, lower: str, suffix: str, digits: str) -> str:
    """Return an expression that also splits before a capital letter inside a word."""
    lead = r"[^\r\n\p{L}\p{N}]?"
    return f"{lead}{upper}*{lower}+{suffix}|{lead}{upper}+{lower}*{suffix}|{digits}|{_PATHS}|{_REST}"


_TEKKEN = PreTokenizer(
    (_cased(_UPPER, _LOWER, "", r"\p{N}"),),
    add_bos=True,
    ignore_merges=True,
    published=(_cased(_UPPER_SETS, _LOWER_SETS, "", r"\p{N}"),),
)
_GPT4O = PreTokenizer(
    (_cased(_UPPER, _LOWER, _SUFFIX_PLAIN + "?", r"\p{N}{1,3}"),),
    published=(_cased(_UPPER_SETS, _LOWER_SETS, _SUFFIX + "?", r"\p{N}{1,3}"),),
)
_OF_GPT2, _OF_SMOLLM = PreTokenizer((_GPT2,)), PreTokenizer((r"\p{N}", _GPT2))
_OF_LLAMA3, _OF_QWEN2 = PreTokenizer((_LLAMA3,), add_bos=True, ignore_merges=True), PreTokenizer((_QWEN2,))
_OF_DBRX, _OF_BLOOM = PreTokenizer((_LLAMA3,)), PreTokenizer((_BLOOM,))
_OF_DEEPSEEK3 = PreTokenizer((r"\p{N}{1,3}", _CJK, _DEEPSEEK3_WORDS))
_OF_BAILING = PreTokenizer(
    (r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" + _WORD + r"|\p{N}|" + _SIGNS + r"|\s*[\r\n]|\s+(?!\S)|\s+",),
    published=(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    ),
)

# of several names for the same rule, the first is the one that an exported GGUF gets
PRE_TOKENIZERS: Mapping[str, PreTokenizer] = MappingProxyType({
    **dict.fromkeys((
        "llama-bpe", "llama3", "llama-v3", "falcon3",
        "falcon-h1", "pixtral", "midm-2.0", "lfm2",
    ), _OF_LLAMA3),
    **dict.fromkeys((
        "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez",
        "stablelm2", "hunyuan", "solar-open", "grok-2",
    ), _OF_QWEN2),
    **dict.fromkeys((
        "gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum",
        "mpt", "olmo", "jais", "trillion", "granite-docling",
    ), _OF_GPT2),
    "exaone4": _OF_GPT2,
    **dict.fromkeys((
        "smollm", "starcoder", "refact", "command-r",
        "codeshell", "exaone", "minerva-7b", "mellum2",
    ), _OF_SMOLLM),
    **dict.fromkeys(("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), _OF_DBRX),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), _GPT4O),
    **dict.fromkeys(("bloom", "poro-chat", "gpt3-finnish"), _OF_BLOOM),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm"), _OF_DEEPSEEK3),
    **dict.fromkeys(("bailingmoe", "bailingmoe2", "llada-moe"), _OF_BAILING),
    "tekken": _TEKKEN,
    "qwen35": PreTokenizer(((
        rf"{_SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_REST}"
    ),)),
    "viking": PreTokenizer((_BLOOM, r"\p{N}")),
    "falcon": PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, r"[0-9][0-9][0-9]")),
    "chameleon": PreTokenizer((r"([\t\n]|    |  )", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", _GPT2), add_bos=True),
    "seed-coder": PreTokenizer((rf"{_SUFFIX}|{_WORD}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_REST}",)),
    "laguna": PreTokenizer((r"[^\n]+|[\n]+", _QWEN2)),
    "minicpm5": PreTokenizer((r"\p{N}{1,3}", rf"{_SUFFIX}|{_WORD}|\p{{N}}+|{_SIGNS}|{_REST}"), ignore_merges=True),
    "exaone-moe": PreTokenizer((
        (
            rf"{_SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+"
            rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]?"
            r"|\s*[\r\n]|\s+(?!\S)|\s+"
        ),
    )),
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
})  # fmt: skip


def pre_tokenizer(name: str, where: str) -> PreTokenizer:
    """Return the rule of this name. Raises ModelError, naming the file, for one that is not known."""
    found = PRE_TOKENIZERS.get(name)
    if found is None:
        raise ModelError(
            f"`{where}` splits words by {brief(name)}, which jessy does not know",
            hint="take the model's hub folder instead",
        )
    return found


def splitting_name(document: Mapping[str, Any]) -> str:
    """Return llama.cpp's name of a byte-level tokenizer.json's way to split; a wrong one would give other tokens without
    a word.

    Raises ModelError when it has none.
    """
    expressions, whole = tuple(_expressions(document)), bool(document["model"].get("ignore_merges"))
    for name, rule in PRE_TOKENIZERS.items():
        if expressions in (rule.expressions, rule.published) and whole == rule.ignore_merges:
            return name
    raise ModelError(
        "the base's tokenizer splits words in a way that llama.cpp has no known name for",
        hint="start from a GGUF of the base",
    )


def _expressions(document: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield a tokenizer.json's expressions in their order, None for a stage that is none; behind `ByteLevel` there are no letters."""
    pre = document.get("pre_tokenizer") or {}
    for stage in pre.get("pretokenizers", [pre]):
        kind = stage.get("type")
        if kind == "Split":
            isolated = stage.get("behavior") == "Isolated" or (
                stage.get("behavior") == "Removed" and stage.get("invert")
            )
            yield stage["pattern"].get("Regex") if isolated else None
        elif kind == "Digits":
            yield r"\p{N}" if stage.get("individual_digits") else r"\p{N}+"
        elif kind != "ByteLevel":
            yield None
        else:
            yield from [_GPT2] if stage.get("use_regex", True) else []
            return
