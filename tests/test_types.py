"""A name means one thing, and what passes between stages has a type."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import jessyfile

PACKAGE = Path(jessyfile.__file__).parent

# the Python interface calls its enums as its contract does; the recipe's blocks of the same words are older
TWICE = {"Category", "Complexity"}

# JSON whose shape is not ours, or that is written down and read back in one module
BORDERS = {
    "commands/answer_told.py", "planning/plan_json.py", "planning/command_line.py", "planning/preflight.py",
    "planning/reasons.py",  # what `--json` prints
    "editors/diagnostic_formats.py", "editors/reference.py", "editors/textmate.py", "importing/foreign.py",  # other tools' formats
    "language/build.py", "language/consistency.py", "language/document.py", "language/draft.py", "language/printer.py",
    "language/recipe.py", "language/table.py", "planning/change_text.py",  # the recipe's document and its schema
    "models/adapters/folder.py", "models/adapters/mlx_lm.py", "models/adapters/peft.py", "models/adapters/peft_settings.py",
    "models/adapters/merge.py", "models/config_checks.py", "models/folder_checks.py", "models/folder_config.py", "models/from_folder.py", "models/hub.py",
    "models/json_shapes.py", "models/model_json.py", "models/resolve.py", "models/tokenizer_plain.py",
    "models/architectures.py", "models/from_gguf.py", "models/gguf_config.py", "models/gguf_normalise.py", "models/pre_tokenizers.py", "models/gguf_reader.py", "models/load.py",
    "models/rope.py", "models/safetensors_check.py", "models/safetensors_write.py", "models/tokenizer.py",
    "models/shape.py", "models/tokenizer_build.py", "models/tokenizer_facts.py", "models/weights.py", "export/gguf_metadata.py", "export/gguf_tokenizer.py",
    "export/gguf_writer.py", "export/model_folder.py", "export/model_card.py", "export/adapter_folder.py",  # config.json, tokenizer.json, GGUF metadata and tensors by name
    "engines/llamacpp_engine.py", "engines/ollama_engine.py", "export/ollama_api.py", "export/modelfile.py",
    "parity/truth.py", "parity/vocabulary.py", "parity/go_template.py",  # config.json, what a template is executed with
    "export/move_names.py", "dataset/completions.py", "dataset/teacher.py",  # what servers are sent and answer
    "dataset/shipped_counts.py", "language/automaton.py",  # two files that are made here and read here
    "dataset/formats.py", "dataset/foreign_rows.py", "dataset/parquet.py", "dataset/supply.py", "dataset/rows.py", "dataset/leaks.py",
    "dataset/preference_forms.py", "dataset/preferences.py",
    "feedback/signal.py", "feedback/store.py", "feedback/open_webui.py",  # signals as written, and as another page exports them
    "evaluation/cases.py", "text/json_lines.py", "text/strict_json.py",  # rows and cases as written
    "training/adapter.py", "training/checkpoint.py", "training/config.py", "training/gradient.py",  # arrays by name
    "planning/actions.py", "planning/canonical.py", "planning/fingerprint.py", "planning/forecast.py", "planning/state.py",
    "planning/store.py",  # our own sealed records
    "serve/asked.py", "serve/told.py", "serve/ollama_routes.py", "serve/openapi.py",  # JSON schemas of clients, GGUF metadata, OpenAPI
    "migrations/migration.py", "migrations/old_project.py", "migrations/records.py", "migrations/registrations.py",  # older formats
}  # fmt: skip


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_no_public_class_name_is_defined_twice() -> None:
    """`Run`, `Case`, `Stop` and 23 others each meant two to eight things, and a reader had to look up which."""
    places = defaultdict[str, list[str]](list)
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name for name, found in places.items() if len(found) > 1} <= TWICE


def is_untyped(node: ast.AST) -> bool:
    """Whether it is `dict[str, Any]`, or a mapping of names to anything by another name."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple) or len(node.slice.elts) != 2:
        return False
    key, value = map(ast.unparse, node.slice.elts)
    return ast.unparse(node.value) in ("dict", "Mapping") and key == "str" and value in ("Any", "Json")


def test_untyped_mappings_stay_at_the_border() -> None:
    """A verdict passed through four modules as a dictionary: a renamed key broke the report, at run time only."""
    found = {name for name, tree in modules() if any(is_untyped(node) for node in ast.walk(tree))}
    assert found - BORDERS == set()
    assert BORDERS - found == set()
