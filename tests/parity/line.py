"""The steps from a tiny base to the gate, with an adapter that changes what the model says."""

from types import SimpleNamespace

from doubles import write_double
from tiny import tiny_adapter
from world import context, recipe

from jessyfile.dataset.formatted import FormattedRow, write_formatted
from jessyfile.export.export_steps import run_gguf, run_merge, run_modelfile
from jessyfile.language.recipe import Message
from jessyfile.models.base_step import run_base
from jessyfile.models.chat_format import chat_format
from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.models.weights import Weights
from jessyfile.parity.step import run_parity
from jessyfile.training import encoded
from jessyfile.training.encode import Encoder, MaskProof

SAID = (("selam", "sana da selam"), ("napıyon", "iyiyim, sen nasılsın"), ("ne haber", "kanka ne olsun"))


class Gate:
    """One tiny project; every step can be run alone, and what lies in its folder changed before the next."""

    def __init__(self, root, double="Gemma 3, text", scale=0.05, quantize="f32"):
        self.root = root
        write_double(root / "model", double)
        self.recipe = recipe(root, export=SimpleNamespace(format="gguf", quantize=quantize))
        self.inputs, self.facts, self.contexts = {}, {}, {}
        self.step("base", run_base)
        self.inputs["train"] = self.adapter("adapter", scale)
        self._data()

    def adapter(self, name, scale=0.05, seed=1):
        weights = Weights(self.inputs["base"])
        modules = {
            one.removesuffix(".weight"): weights.shape(one)
            for one in weights.names
            if one.endswith("_proj.weight") and ".layers." in one
        }
        return tiny_adapter(self.root / name, modules, scale=scale, seed=seed)

    def _data(self):
        folder = self.root / "dataset"
        folder.mkdir()
        rows = [
            FormattedRow(
                (Message("user", asked), Message("assistant", said)),
                "chat", "turkish", "casual", "low", 1, "tr", (), str(number), (("low", 1),),
            )
            for number, (asked, said) in enumerate(SAID)
        ]  # fmt: skip
        write_formatted(folder / "valid.jsonl", rows)
        form = chat_format(read_json(self.inputs["base"] / "source.json")["chat_format"])
        encoder = Encoder(load_tokenizer(self.inputs["base"]), form, None, 200)
        ids = encoder.encode(rows, MaskProof())
        (self.root / "encode").mkdir()
        encoded.save(encoded.pack(ids, encoded.common_prefix(ids)), self.root / "encode" / "valid.safetensors")
        self.inputs |= {"dataset": folder, "encode": self.root / "encode"}

    def step(self, name, run):
        inputs = {key: one for key, one in self.inputs.items() if (name, key) != ("gguf", "encode")}  # no rows weigh
        made = context(self.root, self.recipe, inputs, self.facts, step=name)
        self.facts[name] = run(made)
        self.inputs[name], self.contexts[name] = made.output, made
        return self.facts[name]

    def packed(self):
        for name, run in (("merge", run_merge), ("gguf", run_gguf), ("modelfile", run_modelfile)):
            self.step(name, run)
        return self

    def proved(self):
        return self.step("parity", run_parity)
