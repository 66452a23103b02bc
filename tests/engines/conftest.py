"""Makes the fakes of the evaluation importable here."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
for folder in ("evaluation", "report", "commands"):
    if str(TESTS / folder) not in sys.path:
        sys.path.insert(0, str(TESTS / folder))
