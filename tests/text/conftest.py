"""The fakes of the evaluation's tests, whose rows are texts of known languages."""

import sys
from pathlib import Path

EVALUATION = str(Path(__file__).parents[1] / "evaluation")
if EVALUATION not in sys.path:
    sys.path.insert(0, EVALUATION)
