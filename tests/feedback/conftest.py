import sys
from pathlib import Path

for folder in ("models", "hostile", "watch"):
    if (place := str(Path(__file__).parents[1] / folder)) not in sys.path:
        sys.path.insert(0, place)
