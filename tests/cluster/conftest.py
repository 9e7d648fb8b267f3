"""Paths for the tests of this folder; they need root and a build (ME_BUILD)."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
