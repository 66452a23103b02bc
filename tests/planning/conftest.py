"""Makes the fakes beside this file importable, and gives each test a project of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text("JESSY 1\n")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "one.jsonl").write_text('{"query": "selam"}\n')
    return tmp_path
