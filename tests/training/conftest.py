"""Makes the tiny models of tests/models importable, and an embedded llama.cpp with a muted log."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
sys.path.insert(0, str(Path(__file__).parent))
