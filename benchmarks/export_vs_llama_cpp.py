"""Time and memory of writing a GGUF, beside llama.cpp's own programs, in one run on the same folders.

    python benchmarks/export_vs_llama_cpp.py FOLDER [--two-billion DIR]
        --converter .../convert_hf_to_gguf.py --converter-python .../bin/python --quantizer .../llama-quantize

Development only. The three peers come by these options or by JESSY_CONVERTER, JESSY_CONVERTER_PYTHON and
JESSY_LLAMA_QUANTIZE; what is absent is said and left out. A peer's K-quant is its F16 file and llama-quantize after it.
`--two-billion` makes random weights of Gemma 2B's shape in DIR (5 GB, and as much again while it runs) and measures them
too. Each program is a process of its own: its seconds are those of a fresh start, its memory the kernel's highest count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

TYPES = ("f16", "q8_0", "q4_k_m")
_MINE = "import sys; from pathlib import Path; from jessyfile.export.gguf_writer import write_gguf; \
write_gguf(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], lambda *_: None)"
# waits for one child and says what it took: a parent's own count holds that of all children before
_WAIT = "import json, resource, subprocess, sys, time; start = time.perf_counter(); \
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE); \
said = done.stderr.decode('utf-8', 'replace')[-400:]; used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; \
print(json.dumps([done.returncode, time.perf_counter() - start, used, said]))"
GEMMA_2B = {
    "architectures": ["GemmaForCausalLM"], "model_type": "gemma", "vocab_size": 256000, "hidden_size": 2048,
    "num_hidden_layers": 18, "intermediate_size": 16384, "num_attention_heads": 8, "num_key_value_heads": 1,
    "head_dim": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 8192,
    "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True,
    "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "torch_dtype": "bfloat16",
}  # fmt: skip


def measured(*command: object) -> tuple[float, float]:
    """Run a command; return its seconds and the MiB of memory at its peak. Raises RuntimeError with what it said."""
    told = subprocess.run([sys.executable, "-c", _WAIT, *map(str, command)], capture_output=True, check=True)
    code, seconds, peak, said = json.loads(told.stdout)
    if code:
        raise RuntimeError(f"{command[0]} failed: {said}")
    return seconds, peak / (1024 if sys.platform == "linux" else 1 << 20)


def two_billion(folder: Path, like: Path) -> Path:
    """Fill a folder with random weights of Gemma 2B's shape in BF16, with another folder's tokenizer, once."""
    from jessyfile.models.architectures import by_model_type

    if (folder / "model.safetensors").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(GEMMA_2B))
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        if (like / name).is_file():
            (folder / name).write_bytes((like / name).read_bytes())
    shapes, at, header = by_model_type("gemma").shapes(GEMMA_2B), 0, {}
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(0)
    with (folder / "model.safetensors").open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            for start in range(0, shape[0], 1 << 12):
                rows = (min(1 << 12, shape[0] - start), *shape[1:])
                numbers = 0.02 * rng.standard_normal(rows, np.float32)
                handle.write((numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    return folder


def ours(folder: Path, place: Path, kind: str) -> tuple[float, float]:
    """Write the folder as GGUF twice; return the better seconds and the memory, when both are the same bytes."""
    runs, digests = [], set()
    for _ in range(2):
        path = place / f"ours-{kind}.gguf"
        runs.append(measured(sys.executable, "-c", _MINE, folder, path, kind))
        with path.open("rb") as handle:
            digests.add(hashlib.file_digest(handle, "sha256").hexdigest())
    assert len(digests) == 1, f"{kind}: two exports of one folder differ"
    return min(run[0] for run in runs), max(run[1] for run in runs)


def theirs(folder: Path, place: Path, kind: str, peers: argparse.Namespace) -> tuple[float, float] | None:
    """Return the seconds and memory of llama.cpp's programs for the same, None when one of them is not here."""
    python, converter, quantizer = peers.converter_python, peers.converter, peers.quantizer
    if not converter or not python or (kind == "q4_k_m" and not quantizer):
        return None
    path = place / f"theirs-{kind}.gguf"
    first = "f16" if kind == "q4_k_m" else kind
    middle = place / "theirs-first.gguf"
    seconds, peak = measured(python, converter, folder, "--outfile", middle, "--outtype", first)
    if kind != "q4_k_m":
        middle.rename(path)
        return seconds, peak
    more, other = measured(quantizer, middle, path, kind.upper())
    middle.unlink()
    return seconds + more, max(peak, other)


def largest(folder: Path) -> float:
    """Return the MiB that the largest tensor takes in float32."""
    from jessyfile.models.weights import Weights

    weights = Weights(folder)
    return max(4 * int(np.prod(weights.shape(name))) for name in weights.names) / (1 << 20)


def errors(place: Path) -> str:
    """Return the worst ratio of our squared error to llama-quantize's, over the tensors of the two Q4_K_M files."""
    from jessyfile.models.from_gguf import dequantized
    from jessyfile.models.gguf_reader import read_gguf

    files = [read_gguf(place / f"{who}-q4_k_m.gguf") for who in ("ours", "theirs")]
    exact = read_gguf(place / "ours-f16.gguf")
    worst, same = 0.0, 0
    for name, tensor in files[0].tensors.items():
        other = files[1].tensors.get(name)
        if other is None or len(tensor.shape) < 2:
            continue
        true = dequantized(exact, exact.tensors[name]).astype(np.float32)
        mine, peer = (float(np.square(dequantized(file, file.tensors[name]) - true).sum()) for file in files)
        worst, same = max(worst, mine / peer), same + (tensor.kind == other.kind)
        del true
    return (
        f"K-quants: worst ratio of our squared error to llama-quantize's {worst:.4f}, {same} tensors of the same type"
    )


def table(folder: Path, place: Path, peers: argparse.Namespace) -> None:
    """Measure one folder and print a line for each type."""
    room = 1024 + largest(folder)
    print(f"\n{folder}: largest tensor {largest(folder):.0f} MiB in float32")
    print(f"{'type':8} {'jessy':>9} {'peak':>10} {'llama.cpp':>10} {'peak':>10} {'times':>6}")
    for kind in TYPES:
        seconds, peak = ours(folder, place, kind)
        peer = theirs(folder, place, kind, peers)
        said = f"{peer[0]:8.1f} s {peer[1]:6.0f} MiB {peer[0] / seconds:6.1f}" if peer else "       (no peer here)"
        print(f"{kind:8} {seconds:7.1f} s {peak:6.0f} MiB {said}", flush=True)
        assert peak < room, f"{kind}: {peak:.0f} MiB, more than 1 GiB and the largest tensor"
    if (place / "theirs-q4_k_m.gguf").is_file() and not peers.fast:
        print(errors(place))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a model folder, such as a merged model of the store")
    parser.add_argument("--two-billion", type=Path, help="where random weights of Gemma 2B's shape are made")
    parser.add_argument("--place", type=Path, default=Path("export-benchmark"), help="where the files are written")
    parser.add_argument("--converter", default=os.environ.get("JESSY_CONVERTER"))
    parser.add_argument("--converter-python", default=os.environ.get("JESSY_CONVERTER_PYTHON"))
    parser.add_argument("--quantizer", default=os.environ.get("JESSY_LLAMA_QUANTIZE"))
    parser.add_argument("--fast", action="store_true", help="leave the comparison of the errors out")
    peers = parser.parse_args()
    peers.place.mkdir(parents=True, exist_ok=True)
    from jessyfile.machine import cores

    print(f"{platform.processor() or platform.machine()}, {cores()} cores, {datetime.now(UTC):%Y-%m-%d}")
    table(peers.folder, peers.place, peers)
    if peers.two_billion:
        table(two_billion(peers.two_billion, peers.folder), peers.place, peers)
    print(f"own memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
