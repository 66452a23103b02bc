"""Makes the fakes of the evaluation importable here."""

import sys
from pathlib import Path

EVALUATION = Path(__file__).resolve().parent.parent / "evaluation"
if str(EVALUATION) not in sys.path:
    sys.path.insert(0, str(EVALUATION))
