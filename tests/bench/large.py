"""The large demo company for measurements: built once, kept in data/local/bench (or RAPPORT_BENCH_DIR), brought up to date by migrations."""

import os
import time
from pathlib import Path

from tests.tools.app import workspace

ROOT = Path(__file__).resolve().parents[2]
SCALE = os.environ.get("RAPPORT_BENCH_SCALE", "large")


def folder() -> Path:
    """The folder of the finished company; building it the first time takes minutes."""
    given = os.environ.get("RAPPORT_BENCH_DIR")
    target = Path(given) if given else ROOT / "data" / "local" / "bench" / SCALE
    done = target / "built"
    if not done.exists():
        print(f"Building the {SCALE} demo company once …", flush=True)
        (target / "rapport.db").unlink(missing_ok=True)
        began = time.monotonic()
        with workspace(target, scale=SCALE):
            pass
        done.write_text(f"{time.monotonic() - began:.0f} s\n")
    return target
