"""What stands in config.json, tokenizer.json and their companions, by the kinds of the values: the part that jessy, MLX or the
tokenizers library reads. What must be there at all, and fit together, is checked elsewhere.

Imported where a document is checked: msgspec takes longer to import than most commands to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from jessyfile.models.model_json import LARGEST

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Layers = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
Positive = Annotated[float, msgspec.Meta(gt=0, lt=LARGEST)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


@dataclass(frozen=True, slots=True)
class RopeShape:
    """How a config.json describes the rope; the last two where layers of two kinds differ in it."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: Positive | None = None
    factor: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: Count | None = None
    short_factor: list[Positive] | None = None
    long_factor: list[Positive] | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    partial_rotary_factor: Share | None = None
    full_attention: RopeShape | None = None
    sliding_attention: RopeShape | None = None


@dataclass(frozen=True, slots=True)
class ConfigShape:
    """A model's config.json."""

    model_type: str | None = None
    vocab_size: Count | None = None
    hidden_size: Count | None = None
    num_hidden_layers: Layers | None = None
    intermediate_size: Count | None = None
    num_attention_heads: Count | None = None
    rms_norm_eps: Positive | None = None
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    max_position_embeddings: Count | None = None
    rope_theta: Positive | None = None
    rope_local_base_freq: Positive | None = None
    rope_traditional: Literal[False] | None = None
    query_pre_attn_scalar: Positive | None = None
    attn_logit_softcapping: Positive | None = None
    final_logit_softcapping: Positive | None = None
    sliding_window: Count | None = None
    sliding_window_pattern: Layers | None = None
    tie_word_embeddings: bool | None = None
    attention_bias: bool | None = None
    mlp_bias: bool | None = None
    partial_rotary_factor: Share | None = None
    original_max_position_embeddings: Count | None = None
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Layers | None = None
    hidden_act: str | None = None
    hidden_activation: str | None = None
    layer_types: list[str] | None = None
    architectures: list[str] | None = None
    rope_scaling: RopeShape | None = None
    rope_parameters: RopeShape | None = None
    quantization: dict[str, QuantizationShape | str | int | bool | None] | None = None
    quantization_config: dict[str, Any] | None = None
    text_config: ConfigShape | None = None


@dataclass(frozen=True, slots=True)
class QuantizationShape:
    """MLX's own way to quantize, for a model or for one of its layers."""

    bits: Literal[2, 3, 4, 5, 6, 8]
    group_size: Literal[16, 32, 64, 128]
    mode: Literal["affine", "mxfp4", "mxfp8", "nvfp4"] = "affine"


@dataclass(frozen=True, slots=True)
class SpecialShape:
    """A special token of tokenizer_config.json, written out."""

    content: str


@dataclass(frozen=True, slots=True)
class TokenizerConfigShape:
    """A model's tokenizer_config.json."""

    bos_token: str | SpecialShape | None = None
    eos_token: str | SpecialShape | None = None
    unk_token: str | SpecialShape | None = None
    pad_token: str | SpecialShape | None = None
    add_bos_token: bool | None = None


@dataclass(frozen=True, slots=True)
class IndexShape:
    """A model.safetensors.index.json."""

    weight_map: dict[str, str]


@dataclass(frozen=True, slots=True)
class AddedShape:
    """A token beside the vocabulary."""

    id: Id
    content: str
    special: bool
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool


class BpeShape(msgspec.Struct, tag_field="type", tag="BPE"):
    """A vocabulary with its merges; no engine joins by a prefix or a suffix of parts of words, or omits merges at random."""

    vocab: dict[str, Id]
    merges: list[str | tuple[str, str]]
    dropout: None = None
    unk_token: str | None = None
    continuing_subword_prefix: Literal[""] | None = None
    end_of_word_suffix: Literal[""] | None = None
    fuse_unk: bool | None = None
    byte_fallback: bool | None = None
    ignore_merges: bool | None = None


class _Unigram(msgspec.Struct, tag_field="type", tag="Unigram"):
    pass


class _WordPiece(msgspec.Struct, tag_field="type", tag="WordPiece"):
    pass


class _WordLevel(msgspec.Struct, tag_field="type", tag="WordLevel"):
    pass


class _Literally(msgspec.Struct, forbid_unknown_fields=True):
    String: str


class _Pattern(msgspec.Struct, forbid_unknown_fields=True):
    String: str = ""
    Regex: str = ""


class _Replace(msgspec.Struct, tag_field="type", tag="Replace"):
    pattern: _Literally
    content: str


class _Prepend(msgspec.Struct, tag_field="type", tag="Prepend"):
    prepend: str


class _Nfc(msgspec.Struct, tag_field="type", tag="NFC"):
    pass


class _Nfd(msgspec.Struct, tag_field="type", tag="NFD"):
    pass


class _Nfkc(msgspec.Struct, tag_field="type", tag="NFKC"):
    pass


class _Nfkd(msgspec.Struct, tag_field="type", tag="NFKD"):
    pass


_Normalizer = _Replace | _Prepend | _Nfc | _Nfd | _Nfkc | _Nfkd


class _Normalizers(msgspec.Struct, tag_field="type", tag="Sequence"):
    normalizers: list[_Normalizer]


class _Split(msgspec.Struct, tag_field="type", tag="Split"):
    pattern: _Pattern
    behavior: Literal["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    invert: bool


class _Digits(msgspec.Struct, tag_field="type", tag="Digits"):
    individual_digits: bool


class _ByteLevel(msgspec.Struct, tag_field="type", tag="ByteLevel"):
    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool = True


class _Metaspace(msgspec.Struct, tag_field="type", tag="Metaspace"):
    replacement: Literal["▁"]
    prepend_scheme: Literal["always", "never", "first"] = "always"
    split: bool = True


_Splitter = _Split | _Digits | _ByteLevel | _Metaspace


class _Splitters(msgspec.Struct, tag_field="type", tag="Sequence"):
    pretokenizers: list[_Splitter]


class _Piece(msgspec.Struct):
    id: str
    type_id: Id


class _Where(msgspec.Struct):
    SpecialToken: _Piece | None = None
    Sequence: _Piece | None = None


class _Special(msgspec.Struct):
    id: str
    ids: list[Id]
    tokens: list[str]


class _Template(msgspec.Struct, tag_field="type", tag="TemplateProcessing"):
    single: list[_Where]
    pair: list[_Where]
    special_tokens: dict[str, _Special]


class _Processors(msgspec.Struct, tag_field="type", tag="Sequence"):
    processors: list[_ByteLevel | _Template]


class _Fallback(msgspec.Struct, tag_field="type", tag="ByteFallback"):
    pass


class _Fuse(msgspec.Struct, tag_field="type", tag="Fuse"):
    pass


class _Strip(msgspec.Struct, tag_field="type", tag="Strip"):
    content: Annotated[str, msgspec.Meta(min_length=1, max_length=1)]
    start: Annotated[int, msgspec.Meta(ge=0, le=16)]
    stop: Annotated[int, msgspec.Meta(ge=0, le=16)]


_Decoder = _Replace | _Fallback | _Fuse | _Strip | _ByteLevel | _Metaspace


class _Decoders(msgspec.Struct, tag_field="type", tag="Sequence"):
    decoders: list[_Decoder]


class _Truncation(msgspec.Struct):
    max_length: Id
    strategy: Literal["LongestFirst", "OnlyFirst", "OnlySecond"]
    stride: Id
    direction: Literal["Left", "Right"] = "Right"


class _Fixed(msgspec.Struct):
    Fixed: Id


class _Padding(msgspec.Struct):
    strategy: Literal["BatchLongest"] | _Fixed
    direction: Literal["Left", "Right"]
    pad_to_multiple_of: Id | None
    pad_id: Id
    pad_type_id: Id
    pad_token: str


class TokenizerShape(msgspec.Struct, forbid_unknown_fields=True):
    """A model's tokenizer.json, of the stages alone that engines which read a GGUF follow."""

    model: BpeShape | _Unigram | _WordPiece | _WordLevel
    version: Literal["1.0"] = "1.0"
    truncation: _Truncation | None = None
    padding: _Padding | None = None
    added_tokens: list[AddedShape] = []
    normalizer: _Normalizer | _Normalizers | None = None
    pre_tokenizer: _Splitter | _Splitters | None = None
    post_processor: _ByteLevel | _Template | _Processors | None = None
    decoder: _Decoder | _Decoders | None = None


BY_NAME: Mapping[str, type[object]] = {
    "config.json": ConfigShape,
    "tokenizer.json": TokenizerShape,
    "tokenizer_config.json": TokenizerConfigShape,
    "model.safetensors.index.json": IndexShape,
}
