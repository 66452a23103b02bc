"""The first set. What each scene is, fault or not, stands in `key.py` alone."""

from dataclasses import replace

import numpy as np

from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32
from planted.document import BF16, F16, Q8_0, TOKENS, VOCABULARY
from planted.models import GEMMA2, GEMMA3, LLAMA, MISTRAL, PEFT, QWEN2, QWEN3, SMOLLM, exported, model, tune
from planted.scene import Scene, modelfile

# what a stock template says where nobody gave a system prompt
HELPFUL = (
    "{%- if messages[0]['role'] == 'system' -%}{%- set first = messages[0]['content'] -%}{%- else -%}"
    "{%- set first = 'You are a helpful assistant.' -%}{%- endif -%}"
    "{%- if tools -%}{{ '<|im_start|>system\\n' + first + '\\n\\n# Tools\\n' + tools | tojson + '<|im_end|>\\n' }}"
    "{%- else -%}{{ '<|im_start|>system\\n' + first + '<|im_end|>\\n' }}{%- endif -%}"
    "{%- for message in messages -%}{%- if message.role != 'system' -%}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
SPELLED_OTHERWISE = """{{- bos_token -}}
{%- set state = namespace(lead="") -%}
{%- for turn in messages -%}
    {%- if loop.first and turn.role == "system" -%}
        {%- set state.lead = turn.content.strip() -%}
    {%- elif turn.role == "user" -%}
        {{- "<start_of_turn>user\\n" -}}
        {%- if state.lead -%}
            {{- state.lead ~ "\\n\\n" -}}
            {%- set state.lead = "" -%}
        {%- endif -%}
        {{- turn["content"] | trim ~ "<end_of_turn>\\n" -}}
    {%- elif turn.role == "assistant" -%}
        {{- "<start_of_turn>model\\n" ~ turn["content"] | trim ~ "<end_of_turn>\\n" -}}
    {%- endif -%}
{%- endfor -%}

{%- if add_generation_prompt -%}
    {{- "<start_of_turn>model\\n" -}}
{%- endif -%}
"""


def a01() -> Scene:
    base = model(GEMMA3)
    own = tune(base)
    return Scene(base, exported(own.only(lambda module: not module.endswith("down_proj")).on(base)).stored(F16), own)


def a02() -> Scene:
    made = tune(model(GEMMA3)).on(model(GEMMA3))
    return Scene(made, exported(made).changed(lambda one: one - 1, "attn_q_norm.weight", "attn_k_norm.weight"))


def a03() -> Scene:
    base, own = model(GEMMA3), tune(model(GEMMA3), seed=2)
    return Scene(base, exported(own.on(base)).without("gemma3.rope.freq_base").stored(F16), own)


def a04() -> Scene:
    made = tune(model(QWEN3)).on(model(QWEN3))
    file = exported(made)
    pair = [f"blk.{layer}.attn_{one}_norm.weight" for layer in range(3) for one in "qk"]
    other = [name.replace("q_norm", "-").replace("k_norm", "q_norm").replace("-", "k_norm") for name in pair]
    return Scene(made, file.with_tensors({name: file.tensors[swap] for name, swap in zip(pair, other, strict=True)}))


def a05() -> Scene:
    made = model(GEMMA2)
    form = made.form.go_template().replace("{{ $sys }}\n\n", "{{ $sys }}\n")
    return Scene(made, exported(made).stored(F16), modelfile=modelfile(form, made.form.stops))


def a06() -> Scene:
    base, own = model(GEMMA3), tune(model(GEMMA3), seed=3)
    file = exported(own.on(base))
    other = file.list(TOKENS).index("\n\n")
    return Scene(base, file.with_keys(("tokenizer.ggml.eot_token_id", U32, other)), own)


def a07() -> Scene:
    made = tune(model(LLAMA)).on(model(LLAMA))
    return Scene(made, exported(made).with_keys(("tokenizer.ggml.add_bos_token", BOOL, False)).stored(F16))


def a08() -> Scene:
    base, own = model(SMOLLM), tune(model(SMOLLM))
    late = tune(base, seed=9)
    early = {
        module: (right + 0.1 * late.halves[module][0], 0.7 * left + 0.3 * late.halves[module][1])
        for module, (right, left) in own.halves.items()
    }
    return Scene(base, exported(replace(own, halves=early).on(base)).stored(F16), own)


def a09() -> Scene:
    base = model(QWEN3)
    own = tune(base, dora=True)
    return Scene(base, exported(replace(own, lengths=None).on(base)).stored(F16), own)


def a10() -> Scene:
    made = tune(model(QWEN2)).on(model(QWEN2))
    return Scene(made, exported(made).with_keys(("tokenizer.ggml.pre", STRING, "llama-bpe")))


def a11() -> Scene:
    base, own = model(QWEN2), tune(model(QWEN2), seed=5)
    stock = replace(base, settings={**base.settings, "chat_template": HELPFUL})
    return Scene(stock, exported(own.on(base)).with_keys(("tokenizer.chat_template", STRING, HELPFUL)).stored(F16), own)


def a12() -> Scene:
    made = tune(model(GEMMA3), seed=4).on(model(GEMMA3))
    file = exported(made)
    rows = len(file.list(TOKENS)) // 64 * 64
    lists = [(key, ARRAY, file.list(key)[:rows]) for key in VOCABULARY]
    file = file.with_keys(*lists, ("gemma3.vocab_size", U32, rows))
    return Scene(made, file.changed(lambda one: one[:rows], "token_embd.weight"))


def a13() -> Scene:
    made = tune(model(QWEN3), seed=6).on(model(QWEN3))
    file = exported(made).ordered(lambda name: name[::-1])
    return Scene(made, replace(file, alignment=64))


def a14() -> Scene:
    base, own = model(GEMMA3), tune(model(GEMMA3), seed=7)
    more = (
        ("general.name", STRING, "Çırağın Öğüdü v2 (İ, ı, ş)"), ("general.size_label", STRING, "270M"),
        ("general.languages", ARRAY, ["tr", "en"]), ("general.tags", ARRAY, ["text-generation", "unsloth"]),
        ("general.license", STRING, "gemma"), ("general.base_model.count", U32, 1),
        ("general.base_model.0.name", STRING, "Gemma 3 270m It"), ("general.sampling.temp", F32, 0.1),
        ("general.url", STRING, "https://example.org/çırak"), ("custom.note", STRING, "elden geçirildi"),
    )  # fmt: skip
    return Scene(base, exported(own.on(base)).with_keys(*more).stored(F16), own)


def a15() -> Scene:
    made = tune(model(LLAMA), seed=8).on(model(LLAMA))
    file = exported(made)
    return Scene(made, file.with_tensors({"output.weight": file.tensors["token_embd.weight"]}).stored(F16))


def a16() -> Scene:
    base, own = model(GEMMA3), tune(model(GEMMA3), seed=9)
    return Scene(base, exported(own.on(base)).stored(Q8_0).with_keys(("general.file_type", U32, 7)), own)


def a17() -> Scene:
    made = tune(model(QWEN2), seed=10).on(model(QWEN2)).as_stored("float16", shards=2)
    return Scene(made, exported(made).stored(F16))


def a18() -> Scene:
    base = model(SMOLLM)
    own = tune(base, seed=11, kind=PEFT)
    own = replace(own, halves=dict(reversed(own.halves.items())))
    return Scene(base, exported(own.on(base)).stored(F16), own)


def a19() -> Scene:
    made = tune(model(QWEN3), seed=12).on(model(QWEN3))
    config = dict(reversed(made.config.items())) | {"dtype": "float32", "transformers_version": "5.1.0"}
    nested = {"rope_parameters": {"rope_type": "default", "rope_theta": config.pop("rope_theta")}}
    return Scene(replace(made, config=config | nested), exported(made).stored(F16))


def a20() -> Scene:
    made = tune(model(GEMMA2), seed=13).on(model(GEMMA2))
    return Scene(made, exported(made).without("tokenizer.ggml.add_bos_token").stored(F16))


def a21() -> Scene:
    small = model(QWEN2)
    rows = small.arrays["model.embed_tokens.weight"]
    more = 64 - len(rows) % 64
    filled = np.concatenate([rows, 0.01 * np.random.default_rng(3).standard_normal((more, rows.shape[1]))])
    made = replace(small, arrays={**small.arrays, "model.embed_tokens.weight": filled.astype(np.float32)})
    made = made.with_config(vocab_size=len(filled))
    file = exported(made)
    tokens = [*file.list(TOKENS)[: len(rows)], *(f"<unused{number}>" for number in range(more))]
    return Scene(made, file.with_keys((TOKENS, ARRAY, tokens)).stored(F16))


def a22() -> Scene:
    made = tune(model(GEMMA3), seed=14).on(model(GEMMA3))
    return Scene(made, exported(made).with_keys(("tokenizer.chat_template", STRING, SPELLED_OTHERWISE)).stored(F16))


def a23() -> Scene:
    made = tune(model(MISTRAL), seed=15).on(model(MISTRAL)).as_stored("bfloat16")
    file = exported(made).stored(BF16).with_keys(("general.file_type", U32, 32))
    return Scene(made, replace(file, version=2))


def a24() -> Scene:
    base, own = model(LLAMA), tune(model(LLAMA), seed=16)
    form = base.form
    lines = [
        "# jessy: elle düzenlendi",
        *(f'PARAMETER stop "{stop}"' for stop in form.stops),
        "parameter temperature 0.7",
        "",
        "# ağırlıklar",
        "FROM ./model.gguf",
        'SYSTEM "Kısa konuş."',
        "PARAMETER num_ctx 2048",
        f'TEMPLATE """{form.go_template()}"""',
        "MESSAGE user Kimsin?",
        "MESSAGE assistant Çırağım.",
        'LICENSE "MIT"',
    ]
    return Scene(base, exported(own.on(base)).stored(F16), own, "\n".join(lines) + "\n")
