"""Lets benchmarks share a module whether pytest or the interpreter starts them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
