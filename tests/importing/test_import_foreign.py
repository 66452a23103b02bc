"""What another tool wrote is told by its name and never becomes a recipe for a base that it does not name."""

from __future__ import annotations

import json
import re

import pytest

from jessyfile.cli import main
from jessyfile.importing.foreign import tool_of
from jessyfile.importing.from_mlx_lm import KEYS
from jessyfile.importing.yaml_strict import YamlValue

AXOLOTL = """base_model: NousResearch/Llama-3.2-1B
datasets:
  - path: teknium/GPT4-LLM-Cleaned
    type: alpaca
adapter: lora
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
learning_rate: 0.0002
lr_scheduler: cosine
sequence_len: 2048
val_set_size: 0.125
load_in_8bit: true
"""
LLAMA_FACTORY = """### model
model_name_or_path: Qwen/Qwen2.5-0.5B-Instruct
stage: sft
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: identity
cutoff_len: 2048
learning_rate: 1.0e-4
num_train_epochs: 3.0
"""
TRL = """model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_name: trl-lib/Capybara
use_peft: true
lora_r: 32
per_device_train_batch_size: 8
max_length: 1024
"""
UNSLOTH = "model_name: unsloth/gemma-3-270m-it\nload_in_4bit: true\nmax_seq_length: 2048\nr: 16\nlora_alpha: 16\n"
TORCHTUNE = """model:
  _component_: torchtune.models.llama3_2.lora_llama3_2_1b
  lora_rank: 64
checkpointer:
  _component_: torchtune.training.FullModelHFCheckpointer
  checkpoint_dir: /tmp/Llama-3.2-1B-Instruct/
optimizer:
  _component_: torch.optim.AdamW
  lr: 3e-4
epochs: 1
batch_size: 4
"""
MERGEKIT = "merge_method: slerp\nbase_model: a/b\nslices:\n  - sources: [x]\n"
PEFT = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 8, "lora_alpha": 16})
TRANSFORMERS = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64})
OPENAI = json.dumps({"model": "gpt-4o-mini", "training_file": "file-abc", "hyperparameters": {"n_epochs": 3}})


@pytest.mark.parametrize(
    ("name", "text", "tool", "says"),
    [
        ("c.yaml", AXOLOTL, "axolotl", "jessy init --base hf:NousResearch/Llama-3.2-1B"),
        ("c.yaml", AXOLOTL, "axolotl", "`LORA { rank 16 alpha 32 dropout 0.05 }`"),
        ("c.yaml", AXOLOTL, "axolotl", "`TRAIN { epochs 1 batch_size 2 grad_accumulation 4 learning_rate 0.0002 schedule cosine max_length 2048 }`"),
        ("c.yaml", AXOLOTL, "axolotl", "`DATASET { validation 12.5% }`"),
        ("lf.yml", LLAMA_FACTORY, "LLaMA-Factory", "hf:Qwen/Qwen2.5-0.5B-Instruct"),
        ("lf.yml", LLAMA_FACTORY, "LLaMA-Factory", "epochs 3 learning_rate 0.0001 max_length 2048"),
        ("t.yaml", TRL, "TRL", "`LORA { rank 32 }`, `TRAIN { batch_size 8 max_length 1024 }`"),
        ("u.yaml", UNSLOTH, "Unsloth", "hf:unsloth/gemma-3-270m-it"),
        ("tt.yaml", TORCHTUNE, "torchtune", "jessy init --base /tmp/Llama-3.2-1B-Instruct/"),
        ("tt.yaml", TORCHTUNE, "torchtune", "`LORA { rank 64 }`, `TRAIN { epochs 1 batch_size 4 learning_rate 0.0003 }`"),
        ("m.yaml", MERGEKIT, "mergekit", "merge first"),
        ("adapter_config.json", PEFT, "PEFT", "named with ADAPTER"),
        ("config.json", TRANSFORMERS, "Transformers", "named with FROM"),
        ("job.json", OPENAI, "an OpenAI fine-tuning job", "`TRAIN { epochs 3 }`"),
        ("c.yaml", "base_model: a/b\nlora_r: 99999\nlearning_rate: fast\nnum_epochs: 2\n", "axolotl", "write `TRAIN { epochs 2 }` into"),
    ],
)  # fmt: skip
def test_another_tools_configuration_is_refused_by_name(tmp_path, capsys, name, text, tool, says):
    """It once became a recipe for mlx-lm's default base, which the file never names."""
    (tmp_path / name).write_text(text)
    assert main(["import", str(tmp_path / name), "-o", str(tmp_path / "out.jessy")]) == 1
    said = capsys.readouterr()
    assert f"is a configuration of {tool}, which jessy does not import" in said.err
    assert says in said.err
    assert said.err.count("error[") == 1
    assert "Qwen3" not in said.err + said.out
    assert not (tmp_path / "out.jessy").exists()


def test_the_settings_that_are_named_are_ones_that_a_recipe_takes(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(AXOLOTL)
    main(["import", str(tmp_path / "c.yaml")])
    blocks = re.findall(r"`([A-Z]+ \{ .*? \})`", capsys.readouterr().err)
    assert len(blocks) == 3
    recipe = "JESSY 1\nNAME a\nFROM a\n" + "\n".join(blocks).replace(
        "validation 12.5% }", "validation 12.5%\n CATEGORY technical 20 {\n  TOPIC debugging 20\n }\n}"
    ).replace("DATASET { ", "DATASET {\n ")
    (tmp_path / "r.jessy").write_text(recipe)
    assert main(["check", str(tmp_path / "r.jessy")]) == 0


@pytest.mark.parametrize("text", ["batch_size: 2\n", "", "iters: 100\nlearning_rate: 1e-5\n"])
def test_a_configuration_without_a_model_becomes_no_recipe(tmp_path, capsys, text):
    (tmp_path / "lora.yaml").write_text(text)
    assert main(["import", str(tmp_path / "lora.yaml")]) == 1
    assert "add the line `model: organization/name`" in capsys.readouterr().err


def test_no_key_of_mlx_lm_is_taken_for_another_tools():
    assert tool_of({key: YamlValue(1, 1) for key in KEYS}) is None


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("bird.jessy", b"JESSY 1\n", "`jessy plan "),
        ("bird.txt", b"# mine\nJESSY 1\n", "is a Jessyfile already"),
        ("rows.jsonl", b'{"messages": []}\n', "holds rows"),
        ("rows.txt", b'{"messages": []}\n', "holds rows"),
        ("rows.json", b'[{"instruction": "a"}]', "holds rows"),
        ("long.jsonl", b'{"a": 1}\n' * 200_000, "holds rows"),
        ("m.gguf", b"GGUF" + b"\0" * (2 << 20), "jessy init --base"),
        ("m.safetensors", b"\0\0", "jessy init --base"),
        ("big.txt", b"#" * (2 << 20), "no Modelfile or configuration is so long"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path, capsys, name, data, says):
    (tmp_path / name).write_bytes(data)
    assert main(["import", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("error[") == 1


def test_a_folder_or_a_misspelt_name_points_to_the_file(tmp_path, capsys):
    (tmp_path / "Modelfile").write_text("FROM a:1\n")
    assert main(["import", str(tmp_path)]) == 1
    assert f"`jessy import {tmp_path}/Modelfile`" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "modelfil")]) == 1
    assert f"did you mean `{tmp_path}/Modelfile`" in capsys.readouterr().err


# comments on an instruction's line


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("FROM llama3.2 # the small one", "FROM would be `llama3.2 # the small one`"),
        ("FROM llama3.2 #small", "FROM would be `llama3.2 #small`"),
        ("FROM a:1\nPARAMETER temperature 0.3 # cold", "PARAMETER temperature would be `0.3 # cold`"),
        ("FROM a:1\nPARAMETER stop <end> # last", "PARAMETER stop would be `<end> # last`"),
        ("FROM a:1\nADAPTER ./lora # mine", "ADAPTER would be `./lora # mine`"),
        ("FROM a:1\nREQUIRES 0.17.1 # new", "REQUIRES would be `0.17.1 # new`"),
        ("FROM a:1\nSYSTEM You are kind # persona", "SYSTEM would be `You are kind # persona`"),
        ('FROM a:1\nSYSTEM "You are kind" # persona\nPARAMETER stop "x"', "the text runs on to line 3"),
        ('FROM a:1\nSYSTEM """You are kind""" # persona\n"""', "the text runs on to line 3"),
        ('FROM a:1\nSYSTEM "You are kind" # persona', "Ollama has no inline comments"),
    ],
)
def test_a_comment_on_the_line_of_an_instruction_is_named(tmp_path, capsys, line, says):
    """Ollama takes it for a part of the value, and the import kept quiet about that."""
    (tmp_path / "Modelfile").write_text(line + "\n")
    main(["import", str(tmp_path / "Modelfile")])
    said = capsys.readouterr().err
    assert says in said
    assert "on a line of its own" in said


@pytest.mark.parametrize(
    "line",
    [
        "SYSTEM Use ### for headings, and C#",
        "SYSTEM answer issue #12 first",
        'SYSTEM """\n# Heading\ntext # more\n"""',
        'PARAMETER stop "a # b"',
        "# a comment of its own",
        "PARAMETER stop a#b",
        "MESSAGE user hello # not a comment",
    ],
)
def test_a_sign_that_belongs_to_the_text_is_no_comment(tmp_path, capsys, line):
    (tmp_path / "Modelfile").write_text(f"FROM a:1\n{line}\n")
    assert main(["import", str(tmp_path / "Modelfile")]) == 0
    assert "inline" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "base"), [('FROM "gemma3:270m"', "gemma3:270m"), ("from gemma3:270m", "gemma3:270m"), ("FROM   a/b:1  ", "a/b:1")]
)  # fmt: skip
def test_a_base_is_read_as_ollama_reads_it(tmp_path, capsys, line, base):
    (tmp_path / "Modelfile").write_text(line)
    assert main(["import", str(tmp_path / "Modelfile")]) == 0
    assert f"FROM {base}\n" in capsys.readouterr().out


def test_a_base_in_a_path_with_spaces_loads(tmp_path, capsys):
    (tmp_path / "my model.gguf").write_bytes(b"GGUF")
    (tmp_path / "Modelfile").write_text("FROM ./my model.gguf")
    assert main(["import", str(tmp_path / "Modelfile"), "-o", str(tmp_path / "m.jessy")]) == 0
    assert main(["check", str(tmp_path / "m.jessy")]) == 0
