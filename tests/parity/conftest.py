"""Makes the tiny models of tests/models and the embedded engine of tests/export importable."""

import sys
from pathlib import Path

for folder in ("models", "export"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
sys.path.insert(0, str(Path(__file__).parent))
