"""Runs the steps from an adapter to a promoted model, as the pipeline does."""

from tiny import tiny_adapter
from world import context, recipe

from jessyfile.export.export_steps import run_gguf, run_merge, run_modelfile, run_promote
from jessyfile.language.recipe import Criterion
from jessyfile.models.base_step import run_base
from jessyfile.results.facts import JudgeFacts
from jessyfile.results.outcome import Outcome

Q_PROJ = {"model.layers.1.self_attn.q_proj": (128, 64)}


class Line:
    """Runs the steps of one recipe in one project, as the pipeline does."""

    def __init__(self, root, seed=1, **settings):
        self.root, self.recipe = root, recipe(root, **settings)
        self.inputs, self.facts = {"train": tiny_adapter(root / f"adapter-{seed}", Q_PROJ, seed=seed)}, {}
        self.contexts, self.seed = {}, seed

    def step(self, name, run):
        made = context(self.root, self.recipe, self.inputs, self.facts, step=f"{name}-{self.seed}")
        self.facts[name] = run(made)
        self.inputs[name], self.contexts[name] = made.output, made
        return self.facts[name]

    def packed(self):
        for name, run in (("base", run_base), ("merge", run_merge), ("gguf", run_gguf), ("modelfile", run_modelfile)):
            self.step(name, run)
        return self

    def promoted(self, passed=True):
        criterion = Criterion("must", "turkish_accuracy", ">", 0.9, None)
        self.facts["judge"] = JudgeFacts((Outcome(criterion, "share", 0.95, 40, 0.8, 0.99, passed),), {})
        return self.step("promote", run_promote)
