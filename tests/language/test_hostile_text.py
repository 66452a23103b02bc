"""Hostile recipes: files outside the project, circles, links, floods. Each is refused with a message, in bounded time and memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from jessyfile.language import load_recipe, render_diagnostics
from jessyfile.language.diagnostics import has_errors

SECONDS = 4.0  # the promise is one second; test machines share their processors
MEGABYTES = 200
GOOD = "JESSY 1\nNAME test\nFROM gemma3:270m\nDATASET {\n  CATEGORY talk 10 {\n    TOPIC small 10\n  }\n}\nEVAL {\n  MUST no_loops > 95%\n}\n"


def codes(path: Path, root: Path | None = None) -> list[str]:
    return [d.code for d in load_recipe(path, root=root or path.parent).diagnostics]


def bounded(path: Path) -> list[str]:
    """Load a file and hold time and memory against the limits."""
    tracemalloc.start()
    started = time.process_time()
    found = load_recipe(path, root=path.parent)
    render_diagnostics(found.diagnostics)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEGABYTES << 20
    assert seconds < SECONDS * 4  # tracing memory slows Python down about as much
    return [d.code for d in found.diagnostics]


# files


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret\n", "utf-8")
    (tmp_path / "outside.jessy").write_text(GOOD, "utf-8")
    return root


@pytest.mark.parametrize(
    "line",
    ['SYSTEM FILE "../secret.txt"', 'SYSTEM FILE "link.txt"', 'SYSTEM FILE "folder/secret.txt"', 'INCLUDE "../outside.jessy"', 'EXTENDS "../outside.jessy"',
     'INCLUDE "sub/../../outside.jessy"', 'ADAPTER "../secret.txt"', "FROM2 x\nSYSTEM FILE ../secret.txt", 'EVAL {\n  SUITE mine "../secret.txt"\n}', 'LET p = "../secret.txt"\nSYSTEM FILE "${p}"',
     'DEPLOY {\n  dotenv "link_to_env" "X"\n}'],
)  # fmt: skip
def test_a_path_out_of_the_project_is_refused_and_nothing_there_is_read(project, line):
    (project / "link.txt").symlink_to(project.parent / "secret.txt")
    (project / "folder").symlink_to(project.parent)
    (project / "link_to_env").symlink_to(project.parent / "secret.txt")
    (project / "sub").mkdir()
    path = project / "recipe.jessy"
    path.write_text(GOOD + line + "\n", "utf-8")
    found = load_recipe(path, root=project)
    assert found.recipe is None
    assert "J041" in {d.code for d in found.diagnostics}
    assert "secret\n" not in render_diagnostics(found.diagnostics, color=False)


AUDITED = """
import os, sys
root, recipe = sys.argv[1:]
opened = []
watching = False
def hook(event, args):
    if not watching:
        return
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(args[0]))
    elif event.startswith(("socket.", "subprocess.", "os.exec", "os.system", "os.spawn", "os.fork", "compile_recipe")):
        opened.append(event)
import jessyfile.language as language
from jessyfile.resources import resource
from pathlib import Path
language.load_recipe(Path(root) / "warm.jessy", root=Path(root))  # imports and the table are read here
sys.addaudithook(hook)
watching = True
found = language.load_recipe(Path(recipe), root=Path(root))
watching = False
shipped = str(resource("grammar").parent)
print("\\n".join(p for p in opened if not p.startswith((root, shipped, sys.prefix, sys.base_prefix)) or not os.path.isabs(p)))
"""


def test_checking_opens_nothing_outside_the_project_runs_nothing_and_connects_nowhere(project):
    """An audit hook sees every file that Python opens, every socket and every process."""
    (project / "warm.jessy").write_text(GOOD + "LORA {\n  rank 0\n}\n", "utf-8")
    (project / "prompt.md").write_text("Sen JESSY'sin.", "utf-8")
    (project / "link.txt").symlink_to(project.parent / "secret.txt")
    path = project / "recipe.jessy"
    lines = [
        'SYSTEM FILE "prompt.md"',
        'LICENSE FILE "link.txt"',
        'TEMPLATE FILE "/etc/hostname"',
        'INCLUDE "../outside.jessy"',
        "DEPLOY { ollama http://192.0.2.1:1 }",
    ]
    path.write_text(GOOD + "\n".join(lines) + "\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(project), str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert done.stdout.strip() == ""


def test_a_pipe_and_a_folder_are_no_recipes(project):
    os.mkfifo(project / "pipe.jessy")
    (project / "folder.jessy").mkdir()
    (project / "recipe.jessy").write_text(GOOD + 'INCLUDE "pipe.jessy"\nINCLUDE "folder.jessy"\n', "utf-8")
    assert codes(project / "recipe.jessy") == ["J040", "J040"]
    assert codes(project / "pipe.jessy") == ["J040"]
    assert codes(project / "missing.jessy") == ["J040"]


def test_a_suite_that_is_a_pipe_is_not_waited_for(project):
    os.mkfifo(project / "cases.jsonl")
    claim = '  SUITE turkish "cases.jsonl"\n  MUST turkish_accuracy > 90% at 95%\n'
    (project / "recipe.jessy").write_text(GOOD.replace("  MUST no_loops > 95%\n", claim), "utf-8")
    assert codes(project / "recipe.jessy") == []


def test_a_name_with_nul_or_strange_characters_is_only_missing(project):
    (project / "recipe.jessy").write_text(GOOD + 'ARG f = "x"\nSYSTEM FILE "${f}"\n', "utf-8")
    for name in ("a\0b", "a" * 5000, "\ud800", "\n"):
        found = load_recipe(project / "recipe.jessy", root=project, args={"f": name})
        assert [d.code for d in found.diagnostics] == ["J040"], name


def test_ten_thousand_includes_are_the_limit(project):
    (project / "empty.jessy").write_text("", "utf-8")
    (project / "recipe.jessy").write_text(GOOD + 'INCLUDE "empty.jessy"\n' * 10_001, "utf-8")
    assert codes(project / "recipe.jessy") == ["J043"]


def test_a_chain_of_includes_has_an_end(project):
    for at in range(80):
        (project / f"p{at}.jessy").write_text(f'INCLUDE "p{at + 1}.jessy"\n', "utf-8")
    (project / "recipe.jessy").write_text(GOOD + 'INCLUDE "p0.jessy"\n', "utf-8")
    assert codes(project / "recipe.jessy") == ["J043"]


# floods

FLOODS = {
    "million lines": "\n" * 1_000_000,
    "lines of words": "a\n" * 90_000,
    "open braces": "{" * 1_000_000,
    "nested blocks": "a {\n" * 90_000,
    "open quotes": '"' * 1_000_000,
    "open texts": 'S """\n' * 90_000,
    "texts without end": '"""\n' * 90_000,
    "variables": "${" * 500_000,
    "named variables": "${a" * 300_000,
    "one long word": "-" * 1_000_000,
    "one long number": "LORA {\n  rank " + "1" * 1_000_000 + "\n}",
    "many values": "1 " * 500_000,
    "closing braces": "}\n" * 90_000,
    "comments": "# x\n" * 90_000,
    "control characters": "\x00" * 1_000_000,
    "back slashes": '" \\' * 300_000,
    "addresses": "x://${" * 150_000,
    "unknown names": "".join(f"LORA {{\n  a{i} 1\n}}\n" for i in range(15_000)),
    "same setting": "LORA {\n" + "  rank 1\n" * 20_000 + "}\n",
    "categories": "DATASET {\n" + "".join(f"CATEGORY a{i} 1 {{\nTOPIC t 1\n}}\n" for i in range(7_000)) + "}\n",
    "undeclared names": "LORA {\n" + "".join(f"  rank ${{x{i}}}\n" for i in range(15_000)) + "}\n",
    "drops": "DROP CATEGORY a\n" * 15_000,
    "levels": "COMPLEXITY {\n" + "".join(f"LEVEL l{i} 1-99 iterations\n" for i in range(10_000)) + "}\n",
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_in_time(tmp_path, name):
    path = tmp_path / "recipe.jessy"
    path.write_text(FLOODS[name][: 1 << 20], "utf-8", newline="")
    started = time.process_time()
    found = load_recipe(path, root=tmp_path)
    text = render_diagnostics(found.diagnostics)
    assert time.process_time() - started < SECONDS
    assert has_errors(found.diagnostics)
    assert len(text) < 200_000


@pytest.mark.parametrize(
    "name", ["many values", "categories", "undeclared names", "texts without end", "nested blocks"]
)
def test_a_flood_stays_in_memory(tmp_path, name):
    path = tmp_path / "recipe.jessy"
    path.write_text(FLOODS[name][: 1 << 20], "utf-8", newline="")
    assert bounded(path)


@pytest.mark.parametrize("seed", range(4))
def test_a_mebibyte_of_anything_ends_in_time_and_memory(tmp_path, seed):
    chance = random.Random(seed)
    pieces = [
        bytes([chance.randrange(256)]),
        *(
            w.encode()
            for w in ("LORA {\n", "}\n", '"', '"""\n', "${a}", "rank 1\n", " ", "\n", "ç", "1-2", "10%", "{", "}")
        ),
    ]
    data = (
        chance.randbytes(1 << 20)
        if seed == 0
        else b"".join(chance.choices(pieces[1:] if seed > 1 else pieces, k=300_000))[: 1 << 20]
    )
    path = tmp_path / "recipe.jessy"
    path.write_bytes(data)
    assert bounded(path)


def test_a_file_beyond_a_mebibyte_is_refused_unread(tmp_path):
    path = tmp_path / "recipe.jessy"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert codes(path) == ["J007"]


def test_ten_thousand_lines_load_in_two_seconds(tmp_path):
    topics = "".join(f"    TOPIC t{i} 1  # row {i}\n" for i in range(9_980))
    path = tmp_path / "recipe.jessy"
    path.write_text(
        GOOD.replace("CATEGORY talk 10 {\n    TOPIC small 10\n", "CATEGORY talk 9980 {\n" + topics), "utf-8"
    )
    started = time.process_time()
    found = load_recipe(path, root=tmp_path)
    assert time.process_time() - started < 2 * SECONDS / 2
    assert found.recipe is not None
    assert len(found.recipe.dataset.categories[0].topics) == 9_980


def test_sixty_four_levels_are_read_and_sixty_five_are_not(tmp_path):
    path = tmp_path / "recipe.jessy"
    for depth, expected in ((64, "J001"), (65, "J008")):
        path.write_text(GOOD + "a {\n" * depth + "}\n" * depth, "utf-8")
        assert codes(path) == [expected]
