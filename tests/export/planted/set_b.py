"""The second set, held back: other forms of what the first one holds. What each scene is stands in `key.py` alone."""

from dataclasses import replace

import numpy as np

from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32
from planted.document import BF16, F16, Q5_1, Q8_0, SCORES, TOKENS, TYPES
from planted.models import GEMMA2, GEMMA3, LLAMA, MISTRAL, PEFT, PHI, QWEN2, QWEN3, SCALE, SMOLLM, exported, model, tune
from planted.scene import Scene, modelfile

NORMAL, CONTROL, UNUSED = 1, 3, 5
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
    "{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role'])"
    " + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
BY_MACRO = """
{%- macro opened(who) -%}
    <|start_header_id|>{{ who }}<|end_header_id|>{{ "\\n\\n" }}
{%- endmacro -%}
{{- bos_token -}}
{%- for message in messages -%}
    {%- if message.role in ["user", "assistant"] or (loop.first and message.content.strip()) -%}
        {{- opened(message.role) + message.content.strip() + "<|eot_id|>" -}}
    {%- endif -%}
{%- endfor -%}
{{- opened("assistant") if add_generation_prompt else "" -}}
"""
SPACED = """{{ if .System -}}
<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ range .Messages }}{{ if eq .Role "user" -}}
<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" -}}
<|im_start|>assistant
{{ .Content }}<|im_end|>
{{ end }}{{ end }}<|im_start|>assistant
"""


def b01() -> Scene:
    base = model(QWEN2)
    own = tune(base, seed=21, kind=PEFT, config={"use_rslora": True, "lora_alpha": SCALE * 2})
    return Scene(base, exported(own.on(base, scale=SCALE / 2)).stored(F16), own)


def b02() -> Scene:
    made = tune(model(GEMMA2), seed=22).on(model(GEMMA2))
    return Scene(made, exported(made).changed(lambda one: one - 1, "output_norm.weight").stored(F16))


def b03() -> Scene:
    base, own = model(LLAMA), tune(model(LLAMA), seed=23)
    return Scene(base, exported(own.on(base)).dropped("rope_freqs.weight").stored(F16), own)


def b04() -> Scene:
    made = tune(model(SMOLLM), seed=24).on(model(SMOLLM))

    def regrouped(rows: np.ndarray) -> np.ndarray:
        plain = rows.reshape(2, 16, 2, -1).swapaxes(1, 2).reshape(rows.shape)
        return plain.reshape(4, 2, 8, -1).swapaxes(1, 2).reshape(rows.shape)

    return Scene(made, exported(made).changed(regrouped, "attn_k.weight").stored(F16))


def b05() -> Scene:
    made = tune(model(QWEN3), seed=25).on(model(QWEN3))
    form = made.form.go_template()
    at = form.index("assistant\n{{ .Content }}<|im_end|>") + len("assistant\n{{ .Content }}<|im_end|>")
    return Scene(made, exported(made).stored(F16), modelfile=modelfile(form[:at] + form[at + 1 :], made.form.stops))


def b06() -> Scene:
    made = tune(model(MISTRAL), seed=26).on(model(MISTRAL))
    return Scene(made, exported(made).with_keys(("tokenizer.ggml.add_eos_token", BOOL, True)).stored(F16))


def b07() -> Scene:
    base, own = model(GEMMA2), tune(model(GEMMA2), seed=27)
    return Scene(base, exported(own.on(base)).without("tokenizer.ggml.bos_token_id").stored(F16), own)


def b08() -> Scene:
    base, own, other = model(GEMMA3), tune(model(GEMMA3), seed=28), tune(model(GEMMA3), seed=29)
    new, old = exported(own.on(base)), exported(other.on(base))
    mixed = {name: one for name, one in old.tensors.items() if name.startswith("blk.5.")}
    return Scene(base, new.with_tensors(mixed).stored(Q8_0).with_keys(("general.file_type", U32, 7)), own)


def b09() -> Scene:
    base = model(QWEN3)
    own = tune(base, seed=30, dora=True, kind=PEFT, config={"use_dora": True})
    made = own.on(base)
    arrays = dict(made.arrays)
    for module, (right, left) in own.halves.items():
        if module.endswith("k_proj"):
            found = base.arrays[f"{module}.weight"] + SCALE * (left @ right)
            arrays[f"{module}.weight"] = found * (own.lengths[module] / np.linalg.norm(found, axis=0))[None, :]
    return Scene(base, exported(replace(made, arrays=arrays)).stored(F16), own)


def b10() -> Scene:
    made = tune(model(GEMMA2), seed=31).on(model(GEMMA2))
    file = exported(made)
    turns = ("<start_of_turn>", "<end_of_turn>")
    types = [
        NORMAL if token in turns else kind for token, kind in zip(file.list(TOKENS), file.list(TYPES), strict=True)
    ]
    return Scene(made, file.with_keys((TYPES, ARRAY, types)).stored(F16))


def b11() -> Scene:
    base, own = model(GEMMA2), tune(model(GEMMA2), seed=32)
    stock = replace(base, settings={**base.settings, "chat_template": NO_SYSTEM})
    return Scene(
        stock, exported(own.on(base)).with_keys(("tokenizer.chat_template", STRING, NO_SYSTEM)).stored(F16), own
    )


def b12() -> Scene:
    made = tune(model(GEMMA3), seed=33).on(model(GEMMA3))
    file = exported(made)
    tokens, types = file.list(TOKENS), file.list(TYPES)
    for number, token in enumerate(tokens):
        if token in ("▁▁", "▁▁▁", "\n\n"):
            tokens[number], types[number] = f"[PAD{number}]", UNUSED
    return Scene(made, file.with_keys((TOKENS, ARRAY, tokens), (TYPES, ARRAY, types)).stored(F16))


def b13() -> Scene:
    made = tune(model(GEMMA3), seed=34).on(model(GEMMA3))
    return Scene(made, exported(made).with_keys(("gemma3.attention.sliding_window", U32, 512)).stored(F16))


def b14() -> Scene:
    made = tune(model(GEMMA3), seed=35).on(model(GEMMA3))
    return Scene(made, exported(made).with_keys(("gemma3.rope.freq_base_swa", F32, 1e6)).stored(F16))


def b15() -> Scene:
    made = tune(model(GEMMA2), seed=36).on(model(GEMMA2))
    file = exported(made)
    scores = [-3.0 + one / 128 if one > -1e6 else -1e4 for one in file.list(SCORES)]
    return Scene(made, file.with_keys((SCORES, ARRAY, scores)).stored(F16))


def b16() -> Scene:
    base, own = model(LLAMA), tune(model(LLAMA), seed=37)
    file = exported(own.on(base)).stored(Q5_1).stored(Q8_0, "token_embd.weight")
    return Scene(base, file.with_keys(("general.file_type", U32, 9)), own)


def b17() -> Scene:
    base = model(QWEN3)
    own = tune(base, seed=38, dora=True, kind=PEFT, config={"use_dora": True})
    return Scene(base, exported(own.on(base)).stored(F16), own)


def b18() -> Scene:
    made = tune(model(MISTRAL), seed=39).on(model(MISTRAL))
    return Scene(made, exported(made).without("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id").stored(F16))


def b19() -> Scene:
    base, own = model(GEMMA2), tune(model(GEMMA2), seed=40)
    absent = ("gemma2.rope.freq_base", "gemma2.attn_logit_softcapping", "gemma2.final_logit_softcapping")
    return Scene(base, exported(own.on(base)).without(*absent).stored(F16), own)


def b20() -> Scene:
    made = tune(model(SMOLLM), seed=41).on(model(SMOLLM)).as_stored("bfloat16", shards=3)
    return Scene(made, exported(made).stored(BF16).with_keys(("general.file_type", U32, 32)))


def b21() -> Scene:
    made = tune(model(LLAMA), seed=42).on(model(LLAMA))
    return Scene(made, exported(made).with_keys(("tokenizer.chat_template", STRING, BY_MACRO)).stored(F16))


def b22() -> Scene:
    made = tune(model(QWEN2), seed=43).on(model(QWEN2))
    return Scene(made, exported(made).stored(F16), modelfile=modelfile(SPACED, made.form.stops))


def b23() -> Scene:
    base, own = model(QWEN2), tune(model(QWEN2), seed=44)
    absent = [f"qwen2.{key}" for key in ("attention.key_length", "attention.value_length", "vocab_size")]
    absent += [f"general.{key}" for key in ("file_type", "quantization_version", "name", "type")]
    return Scene(base, exported(own.on(base)).without(*absent).stored(F16), own)


def b24() -> Scene:
    made = tune(model(GEMMA3), seed=45).on(model(GEMMA3))
    file = exported(made)
    types = [
        CONTROL if token == "<unk>" else kind for token, kind in zip(file.list(TOKENS), file.list(TYPES), strict=True)
    ]
    return Scene(made, file.with_keys((TYPES, ARRAY, types), ("tokenizer.ggml.unknown_token_id", U32, 3)).stored(F16))


def b25() -> Scene:
    made = tune(model(SMOLLM), seed=46).on(model(SMOLLM))
    return Scene(made, exported(made).with_tensors({"rope_freqs.weight": np.ones(16, np.float32)}).stored(F16))


def b26() -> Scene:
    base = model(GEMMA3)
    own = tune(base, seed=47, dtype="float16").only(lambda module: module.split(".")[2] in ("4", "5"))
    halves = {
        name: tuple(one.astype(np.float16).astype(np.float32) for one in own.halves[name])
        for name in reversed(own.halves)
    }
    own = replace(own, halves=halves)
    return Scene(base, exported(own.on(base)).stored(F16), own)


def b27() -> Scene:
    base, own = model(PHI), tune(model(PHI), seed=48)
    return Scene(base, exported(own.on(base)).stored(Q8_0).with_keys(("general.file_type", U32, 7)), own)


def b28() -> Scene:
    made = tune(model(GEMMA3), seed=49).on(model(GEMMA3))
    mixed = (
        exported(made).stored(F16).stored(Q8_0, "ffn_down.weight", "token_embd.weight").stored(BF16, "attn_v.weight")
    )
    return Scene(made, replace(mixed.ordered(len), alignment=4096))
