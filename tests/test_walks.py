"""The four walks of docs/architecture.md are walked: the stations in this order, and no more hand-overs than stand there."""

import os
import re
from pathlib import Path

import pytest

from tests.walks import project, walks

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "architecture.md").read_text("utf-8")
WALKS = re.findall(r"^### (.+)\n[^#]*?```\n([^`]+)```\n[^#]*?at most (\d+) functions", PAGE, re.M)
THINGS = {"value": "A recipe's value", "system": "SYSTEM", "row": "A seed row", "case": "A case"}
ENDS = {
    "value": "training/",
    "system": "export/modelfile.modelfile_text",
    "row": "training/",
    "case": "fsops.read_bytes",
}


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    root = tmp_path_factory.mktemp("walk")
    recipe, before = project(root), Path.cwd()
    os.chdir(root)
    try:
        return walks(["apply", recipe.name])
    finally:
        os.chdir(before)


def test_four_walks_are_written_down() -> None:
    assert len(WALKS) == len(THINGS)


@pytest.mark.parametrize("thing", THINGS)
def test_a_walk_is_as_it_is_written(walked: dict[str, list[str]], thing: str) -> None:
    written = next((text, int(most)) for title, text, most in WALKS if title.startswith(THINGS[thing]))
    stations = re.findall(r"[a-z_]+(?:/[a-z_]+)*\.[A-Za-z_.]+", written[0])
    end = next(place for place, name in enumerate(walked[thing]) if name.startswith(ENDS[thing]))
    until = walked[thing][: end + (thing != "case")]
    assert [name for name in until if name in stations] == stations, until
    assert len(until) <= written[1], until
