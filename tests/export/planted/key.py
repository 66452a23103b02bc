"""The key: which scene is a fault, what it is, and what a right naming of it contains. Opened when every verdict is in.

`names` is searched in what the command says, without regard to case.
"""

from dataclasses import dataclass

TUNED = r"blk\.\d|layers\.\d|attn_|ffn_|_proj|merge"


@dataclass(frozen=True)
class Truth:
    """What one scene is; a harmless one has no names."""

    what: str
    names: str | None = None

    @property
    def fault(self) -> bool:
        """Return whether the file is another model than the folder."""
        return self.names is not None


KEY = {
    "a01": Truth("the tune is left out of every down_proj: unmerged there", r"ffn_down|down_proj"),
    "a02": Truth("the norms of queries and keys without their one, all others with it", r"attn_[qk]_norm|[qk]_norm"),
    "a03": Truth("no rope base: an engine takes 10,000 for the layers that see everything", r"rope\.freq_base|rope_theta"),
    "a04": Truth("the norms of queries and keys swapped", r"attn_[qk]_norm|[qk]_norm"),
    "a05": Truth("TEMPLATE has one line break behind the system prompt, not two", r"template"),
    "a06": Truth("the id that ends a turn is that of a blank line", r"eot|end.of.turn|eog|\bends?\b"),
    "a07": Truth("no BOS where the model was trained with one", r"\bbos|add_bos"),
    "a08": Truth("the file of an earlier state of the same training", TUNED),
    "a09": Truth("DoRA merged as LoRA: without its rows' lengths", TUNED),
    "a10": Truth("words are split as Llama 3 does it, in a Qwen", r"\bpre\b|ggml\.pre|tokeni[sz]er|token ids"),
    "a11": Truth("the base's own Jinja: a system prompt that nobody gave", r"chat_template|template|jinja"),
    "a12": Truth("vocabulary and embeddings cut to a multiple of 64", r"vocab|token_embd|embed_tokens|ggml\.tokens|rows"),
    "a13": Truth("keys and tensors in another order, aligned to 64"),
    "a14": Truth("more general keys, a name in Turkish"),
    "a15": Truth("a tied output written a second time"),
    "a16": Truth("Q8_0"),
    "a17": Truth("a folder of two F16 shards"),
    "a18": Truth("the adapter as PEFT writes it, in another order"),
    "a19": Truth("config.json in another order, the rope as transformers 5 says it"),
    "a20": Truth("no add_bos_token where it is the default"),
    "a21": Truth("rows without a token called <unusedN>"),
    "a22": Truth("a chat template spelled otherwise that renders the same"),
    "a23": Truth("GGUF version 2, BF16 from a BF16 folder, a head of its own"),
    "a24": Truth("a Modelfile with comments, a system prompt and parameters in another order"),
    "b01": Truth("rsLoRA merged by alpha/r: with half its scale", TUNED),
    "b02": Truth("the last norm alone without its one", r"output_norm|model\.norm"),
    "b03": Truth("the factors of Llama 3's rope are missing", r"rope"),
    "b04": Truth("keys permuted by the number of heads of queries", r"attn_k|k_proj"),
    "b05": Truth("TEMPLATE has no line break behind an answer: from the second question on", r"template"),
    "b06": Truth("EOS behind every prompt", r"\beos|add_eos"),
    "b07": Truth("no id of BOS: an engine takes 1, which is EOS", r"\bbos|bos_token"),
    "b08": Truth("the last layer of another tune, in Q8_0", r"(blk|layers)\.5\b"),
    "b09": Truth("DoRA's lengths given to columns, in the square k_proj alone", r"attn_k|k_proj"),
    "b10": Truth("the tokens around turns are ordinary text", r"start_of_turn|token_type|type"),
    "b11": Truth("the base's own Jinja, which refuses a system prompt", r"chat_template|template|jinja"),
    "b12": Truth("the added tokens are padding", r"ggml\.tokens|vocab|tokens?\b"),
    "b13": Truth("a window of 512 tokens for one of 128", r"sliding_window"),
    "b14": Truth("the rope base of all layers in those that see a window", r"freq_base_swa|rope_local_base_freq"),
    "b15": Truth("scores of another scale in the same order"),
    "b16": Truth("Q5_1, embeddings in Q8_0"),
    "b17": Truth("DoRA as PEFT writes it, merged as it should be"),
    "b18": Truth("no ids of BOS and EOS where they are the defaults"),
    "b19": Truth("no soft caps and no rope base where they are the defaults"),
    "b20": Truth("a folder of three BF16 shards, BF16 in the file"),
    "b21": Truth("a chat template by a macro that renders the same"),
    "b22": Truth("TEMPLATE with other white space that renders the same"),
    "b23": Truth("no file type, name, vocabulary size and head sizes, which follow from the rest"),
    "b24": Truth("the unknown token is a control token"),
    "b25": Truth("factors of the rope that are all one"),
    "b26": Truth("an adapter of two layers in F16, in another order"),
    "b27": Truth("a Phi with fused layers in Q8_0"),
    "b28": Truth("types mixed tensor by tensor, aligned to 4,096"),
    "r01": Truth("the tune is left out of every down_proj, Q8_0", r"ffn_down|down_proj"),
    "r02": Truth("the tune merged with six tenths of its scale, Q8_0", TUNED),
    "r03": Truth("no rope base", r"rope\.freq_base|rope_theta"),
    "r04": Truth("the id that ends a turn is Gemma 2's, here a line break", r"eot|end.of.turn|eog|\bends?\b"),
    "r05": Truth("the norms of queries and keys without their one", r"attn_[qk]_norm|[qk]_norm"),
    "r06": Truth("the base, Q5_1", TUNED),
    "r07": Truth("the tokens around turns are ordinary text", r"start_of_turn|token_type|type"),
    "r08": Truth("F16, another order, a name in Turkish"),
    "r09": Truth("Q8_0"),
    "r10": Truth("Q5_1, embeddings in Q8_0"),
    "r11": Truth("BF16, no add_bos_token"),
}  # fmt: skip
