"""Claim: 100,000 rows are generated, filtered and deduplicated in under 60 s and 2 GB on two cores, and growth is
near linear.

Beside it, datasketch's own MinHash and LSH look for near duplicates of the same rows, as many permutations, same
4-grams, same bound. One row in ten is a slightly changed copy of an earlier one, so that there is something to find.

    python benchmarks/dataset_scale.py                      100,000 rows
    python benchmarks/dataset_scale.py --rows 1000000       a million, without datasketch (it would take most of an
    hour)
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jessyfile.dataset.collect import distinct
from jessyfile.dataset.filters import Tally, apply_checks, row_checks
from jessyfile.dataset.from_templates import composed
from jessyfile.dataset.language import keep_declared
from jessyfile.dataset.rows import Row, with_query
from jessyfile.dataset.settings import plain_recipe
from jessyfile.dataset.similarity import GRAM
from jessyfile.dataset.templates import load_intents
from jessyfile.text.turkish import normal

BOUND = 0.85
PERMUTATIONS = 256
SYLLABLES = "ka le mi so tu ra ne de bi yo gü şe çı ör il an er uz ak el dır mak lık sız cı ler da"
PATTERNS = 64
COMMON = (
    "bugün dün yarın akşam sabah çok az biraz güzel tuhaf bence aslında belki sonra önce hemen ile için kadar gibi "
    "annem babam komşu çarşı ev okul yol deniz aldım verdim gördüm buldum sevdim kaldı geldi gitti oldu bitti istiyor"
)


def words(count: int, rng: random.Random) -> list[str]:
    syllables = SYLLABLES.split()
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(syllables, k=rng.randint(3, 5)))] = None
    return list(found)


def pattern(rng: random.Random) -> tuple[str, str]:
    """Return a question and an answer whose frame is everyday words and whose slots are two to three words each."""
    common = COMMON.split()

    def sentence(slots: list[str], frame: int) -> str:
        parts = [*slots, *rng.sample(common, frame)]
        rng.shuffle(parts)
        return " ".join(parts)

    question = sentence(["{{ a }}", "{{ b }}"], rng.randint(2, 4))
    answer = sentence(["{{ a }}", "{{ b }}", "{{ c }}"], rng.randint(5, 8))
    return question, "Bence " + answer + "."


def write_project(root: Path, rows: int) -> None:
    """Write a template of many intents over tables large enough for the asked number of distinct rows."""
    rng = random.Random(1)
    for name in "abc":
        table = root / "data" / "lexicon" / f"table_{name}.tsv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("base\n" + "\n".join(words(max(500, rows // 30), rng)) + "\n", "utf-8")
    made = (pattern(rng) for _ in range(PATTERNS))
    blocks = [f"== i{i} | a: table_a, b: table_b, c: table_c\n? {q}\n= {a}\n" for i, (q, a) in enumerate(made)]
    template = root / "templates" / "examples" / "bench.words.j2"
    template.parent.mkdir(parents=True)
    template.write_text("\n".join(blocks), "utf-8")


def generate(root: Path, count: int) -> list[Row]:
    """Return rows of which every tenth is an earlier one with a word added."""
    rng = random.Random(2)
    made: list[Row] = []
    for row in composed(load_intents(root, "bench", "words"), "bench", "words", 42):
        made.append(row)
        if len(made) % 10 == 9:
            copied = rng.choice(made)
            made.append(with_query(copied, f"{copied.example.query} ya", "template"))
        if len(made) >= count:
            break
    return made[:count]


def timed(name: str, function: Callable[..., Any], *arguments: object) -> tuple[Any, float]:
    start, worked = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  {name:<28} {seconds:8.2f} s ({worked:7.2f} s of processor)   peak so far {peak:5.2f} GB", flush=True)
    return result, seconds


def datasketch_duplicates(texts: list[str]) -> int:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=BOUND, num_perm=PERMUTATIONS)
    dropped = 0
    template = MinHash(num_perm=PERMUTATIONS, seed=1)
    for index, text in enumerate(texts):
        padded = f" {normal(text)} ".ljust(GRAM)
        sketch = template.copy()
        sketch.update_batch({padded[i : i + GRAM].encode("utf-8") for i in range(len(padded) - GRAM + 1)})
        if lsh.query(sketch):
            dropped += 1
        else:
            lsh.insert(index, sketch)
    return dropped


def run(count: int, compare: bool) -> float:
    print(f"{count} rows", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, count)
        tally = Tally()
        rows, made = timed("generated", generate, root, count)
        checks = row_checks(plain_recipe(root).complexity)
        rows, checked = timed("filtered, row by row", apply_checks, rows, checks, tally)
        rows, spoken = timed("filtered by language", keep_declared, rows, tally)
        kept, deduplicated = timed("deduplicated", distinct, rows, BOUND, tally)
    total = made + checked + spoken + deduplicated
    print(f"  kept {len(kept)} of {count}; dropped {dict(tally.counts)}")
    print(f"  total {total:.1f} s ({count / total:.0f} rows/s)", flush=True)
    if compare:
        dropped, seconds = timed("datasketch on the same rows", datasketch_duplicates, [row.text for row in rows])
        print(f"  datasketch dropped {dropped}; ours is {seconds / deduplicated:.1f} times as fast")
    return float(total)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--no-datasketch", action="store_true")
    parsed = parser.parse_args()
    small = run(max(parsed.rows // 10, 1000), False)
    large = run(parsed.rows, not parsed.no_datasketch and parsed.rows <= 200_000)
    print(f"ten times the rows took {large / small:.1f} times as long")


if __name__ == "__main__":
    main()
