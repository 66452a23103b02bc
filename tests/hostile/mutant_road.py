"""The road of one base model through jessy: what `plan` finds out about it, the step `base`, its tokenizer and its weights in use.

As a program it takes the mutants of a range one after the other and prints a line of JSON before and after each; a signal, a hang or
a leak therefore has a number. Two rules hold for each mutant: every refusal is a JessyError with one readable sentence and a hint, and
what the plan lets pass is brought in, tokenizes, loads and runs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
sys.path.insert(0, str(Path(__file__).parent))

from mutant_seeds import seeds
from mutations import Files, Mutant, mutant
from world import context, recipe

from jessyfile.errors import JessyError
from jessyfile.models.base_checks import base_preflight
from jessyfile.models.base_step import run_base
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.planning.preflight import Outlook

SECONDS, BYTES = 4, 768 << 20
PROSE = ("Merhaba dünya, kış geldi.", "x = [1, 2, 3]  # 42%\n\tyield 'ğ'", "한국어 🙂 \0 \u200d e\u0301", "a" * 64, "")


class Fault(Exception):
    """Something that no file may do."""


def spread(root: Path, files: Files) -> SimpleNamespace:
    """Write a project and return its recipe."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    base = (
        "./model.gguf"
        if "model.gguf" in files
        else "./model"
        if any(n.startswith("model/") for n in files)
        else "stored"
    )
    adapter = "./adapter" if any(name.startswith("adapter/") for name in files) else None
    found = recipe(root, base=base, adapter=adapter)
    found.source = lambda _address: None
    return found


def travel(root: Path, files: Files) -> str:
    """Take a project down the road; return how it ended in words. Raises Fault."""
    asked = spread(root, files)
    os.environ["OLLAMA_MODELS"] = str(root / "ollama")
    errors = _planned(asked, root)
    if errors:
        for message in errors:
            return f"refused: {message}"
    step = context(root, asked)
    try:
        run_base(step)
    except JessyError as error:
        if "not finite" in error.message:  # of the numbers themselves, the plan reads none
            return f"refused: {error.message}"
        raise Fault(f"plan let it pass and the step refuses: {error.message}") from error
    _used(step.output)
    return "passed"


def _planned(asked: SimpleNamespace, root: Path) -> list[str]:
    outlook = Outlook(asked, root, {"base"})
    try:
        findings = list(base_preflight(outlook))
    except JessyError as error:
        _check_words(error.message, error.hint)
        return [error.message]
    for finding in (one for one in findings if one.severity != "note"):
        _check_words(finding.message, finding.help)
    return [finding.message for finding in findings if finding.severity == "error"]


def _check_words(message: str, hint: str | None) -> None:
    if not hint:
        raise Fault(f"no hint: {message!r}")
    for text in (message, hint):
        if not text or len(text) > 700 or not text.isprintable():
            raise Fault(f"not one readable sentence: {text[:800]!r}")


def _used(folder: Path) -> None:
    """Tokenize, load and run; numbers that are no weights may come out, but of the right shape."""
    tokenizer = load_tokenizer(folder)
    model, config = load_model(folder)
    import mlx.core as mx

    rows = config["vocab_size"]
    for text in PROSE:
        ids = tokenizer.encode(text, bos=True)
        tokenizer.decode(ids)
        tokenizer.encode_parts([(text, 1), ("<end_of_turn>\n", 0)])
        if any(not 0 <= number < rows for number in ids):
            raise Fault(f"{text!r} has the token {max(ids)} of {rows}")
    ids = tokenizer.encode(PROSE[0], bos=True)[:8] or [0]
    logits = model(mx.array([ids]))
    mx.eval(logits)
    if logits.shape[:2] != (1, len(ids)) or logits.shape[2] != rows:
        raise Fault(f"logits of the shape {logits.shape} for {rows} tokens")


def judged(root: Path, one: Mutant) -> tuple[str, str]:
    """Return what became of a mutant and, for one that did what no file may do, how."""
    try:
        return travel(root, one.files), ""
    except Fault as error:
        return "fault", str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 (a panic in Rust is no Exception)
        return "fault", "".join(traceback.format_exc())[-3000:]


def bounded() -> None:
    """Let this process have no more address space than it has by now and some for one mutant."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def timed() -> None:
    """Let this process have some seconds of a processor from now on; the system kills it afterwards."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + SECONDS + 1, resource.RLIM_INFINITY))


def peak() -> int:
    """Return the most bytes that this process has held since the last call."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) << 10


def tell(**facts: object) -> None:
    """Print one line at once."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def warmed(place: Path, kinds: Mapping[str, Files]) -> None:
    """Take every seed down the road: what is imported and cached is in memory before the limits begin; each must pass."""
    for name, files in kinds.items():
        (place / "seed").mkdir()
        if travel(place / "seed", files) != "passed":
            raise SystemExit(f"the seed {name} does not pass: {travel(place / 'seed', files)}")
        shutil.rmtree(place / "seed")


def run(first: int, last: int) -> None:
    """Judge the mutants from `first` up to but not including `last`."""
    warnings.simplefilter("ignore")
    os.environ |= {"OLLAMA_HOST": "127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    kinds = seeds()
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=fast) as name:
        os.environ |= {"HOME": name, "HF_HOME": name}
        place = Path(name)
        warmed(place, kinds)
        bounded()
        peak()
        for number in range(first, last):
            one = mutant(number, kinds)
            tell(number=number, seed=one.seed, done=one.done)
            timed()
            start, root = time.process_time(), place / str(number)
            root.mkdir()
            outcome, fault = judged(root, one)
            seconds = time.process_time() - start
            shutil.rmtree(root)
            tell(number=number, outcome=outcome, fault=fault, seconds=round(seconds, 4), peak=peak())


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
