"""Follows four things through one real apply of a tiny model: which of jessy's functions hand them on, in what order.

A function hands a thing on when it returns it: the thing itself, a text that holds it, or a small value one level around it (a
field of a dataclass, an entry of a list or mapping). A check, which returns a verdict, does not count; nor does the whole
`Recipe`, which every step is given, nor the look ahead before the first step, nor what is said while a step is under way.
"""

import contextlib
import dataclasses
import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.models.tiny import tiny_model

HOUSE = Path(__file__).resolve().parents[1]
PACKAGE = HOUSE / "jessyfile"
RATE = 0.0012345
THINGS = {"value": RATE, "system": "zerdali", "row": "Erguvan, nerede acaba: 0?", "case": "menekse"}
RECIPE = f"""JESSY 1
NAME walk
FROM "./model"
SYSTEM "Kısa konuş, zerdali."
DATASET {{
  validation 10%
  CATEGORY turkish 12 "Small talk" {{
    language tr
    level low
    TOPIC greetings 12
  }}
}}
LORA {{ rank 4 }}
TRAIN {{
  epochs 1
  batch_size 4
  learning_rate {RATE}
  max_length 128
}}
EXPORT gguf {{ quantize f16 }}
DEPLOY {{ engine embedded }}
EVAL {{
  max_tokens 8
  SUITE own {{ limit 2 }}
  MAY no_loops > 10%
}}
"""
SAID = (".update", ".note")  # of what shows how far a step is: how often it speaks depends on the machine
WORDS = ["erguvan", "kedi", "köpek", "ağaç", "deniz", "masa", "kalem", "bulut", "çiçek", "yağmur", "kitap", "akşam"]
SEASONS = ("bahar", "yaz", "güz", "kış")


def project(root: Path) -> Path:
    """Fill a folder with a base model, twelve seed rows, a suite of two cases and a recipe; return the recipe."""
    tiny_model(root / "model")
    rows = [
        {
            "query": f"{word.capitalize()}, nerede acaba: {number}?",
            "response": f"{word} için {SEASONS[number % 4]} bekle, {number} gün sonra sor yine.",
            "complexity": "low", "iterations": 1, "category": "turkish", "topic": "greetings", "language": "tr",
            "tags": [], "source": "hand",
        }
        for number, word in enumerate(WORDS)
    ]  # fmt: skip
    shipped = (HOUSE / "data" / "eval" / "turkish.jsonl").read_text("utf-8").split("\n")[:2]
    cases = [
        {**json.loads(line), "id": f"{name}-001"} for name, line in zip(("menekse", "kamelya"), shipped, strict=True)
    ]
    for path, lines in {"seeds/turkish/greetings": rows, "eval/own": cases}.items():
        file = root / "data" / f"{path}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    recipe = root / "walk.jessy"
    recipe.write_text(RECIPE, "utf-8")
    return recipe


def jessy(*words: str, expect: int = 0) -> str:
    """Run one command and return what it says."""
    from jessyfile.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(words)
    assert code == expect, out.getvalue()
    return out.getvalue()


@contextlib.contextmanager
def applied_walk(root: Path, more: str) -> Iterator[None]:
    """Fill a folder as `project` does, with more lines in the recipe, apply it and stay there for the block."""
    recipe = project(root)
    recipe.write_text(recipe.read_text("utf-8") + more, "utf-8")
    with contextlib.chdir(root):
        jessy("apply", recipe.name)
        yield


def result(root: Path, step: str) -> Path:
    """Return the folder of a step's result."""
    from jessyfile.planning.state import load_state
    from jessyfile.planning.store import Store

    return Store(root).verified(load_state(root, "walk").steps[step].object)


def holds(found: object, thing: object, depth: int = 1) -> bool:
    if isinstance(found, str | bytes):
        text = str(thing)
        return (text.encode() if isinstance(found, bytes) else text) in found
    if isinstance(found, float):
        return found == thing
    if depth == 0 or type(found).__name__ == "Recipe":
        return False
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        parts = [getattr(found, field.name, None) for field in dataclasses.fields(found)]
    elif isinstance(found, dict):
        parts = list(found.values())
    elif isinstance(found, list | tuple):
        parts = list(found)
    else:
        return False
    return len(parts) < 200 and any(holds(part, thing, depth - 1) for part in parts)


def walks(command: list[str]) -> dict[str, list[str]]:
    """Run one command and return, for each thing, the functions that handed it on, in the order of their first sight."""
    from jessyfile.cli import main

    seen: dict[str, dict[str, None]] = {name: {} for name in THINGS}
    start, ahead = f"{PACKAGE}/", []

    def look(frame, event, value) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(start) or code.co_name.startswith("<"):
            return
        name = f"{code.co_filename[len(start) : -3]}.{code.co_qualname}"
        if name == "planning/preflight.preflight" or code.co_qualname.endswith(SAID):
            ahead.append(name) if event == "call" else ahead.pop()
        if event == "call" or ahead:
            return
        for thing, mark in THINGS.items():
            if name not in seen[thing] and holds(value, mark):
                seen[thing][name] = None

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        code = main(command)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert code == 0
    return {name: list(functions) for name, functions in seen.items()}
