import sys
from pathlib import Path

if (place := str(Path(__file__).parents[1] / "export")) not in sys.path:
    sys.path.insert(0, place)
