"""The large demo company for measurements: built once, kept in data/local/bench (or RAPPORT_BENCH_DIR), brought up to date by migrations."""

import os
import sqlite3
import time
from pathlib import Path

from crm_core import schema, summaries
from crm_core.db import write_session
from tests.tools.app import workspace

ROOT = Path(__file__).resolve().parents[2]
SCALE = os.environ.get("RAPPORT_BENCH_SCALE", "large")


def folder() -> Path:
    """The folder of the finished company; building it the first time takes minutes."""
    given = os.environ.get("RAPPORT_BENCH_DIR")
    target = Path(given) if given else ROOT / "data" / "local" / "bench" / SCALE
    if given and (target / "built").exists() and _revision(target / "rapport.db") != schema.newest():
        return _copy(target)
    done = target / "built"
    if not done.exists():
        print(f"Building the {SCALE} demo company once …", flush=True)
        (target / "rapport.db").unlink(missing_ok=True)
        began = time.monotonic()
        with workspace(target, scale=SCALE):
            pass
        done.write_text(f"{time.monotonic() - began:.0f} s\n")
    return target


def settle() -> None:
    """Bring the kept figures up to date as the worker does: none runs beside the measurements, and a migrated company waits for it."""
    done = 1
    while done:
        with write_session() as session:
            done = summaries.refresh_batch(session)


def _revision(path: Path) -> str:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute("select version_num from alembic_version").fetchone()[0]
    finally:
        connection.close()


def _copy(given: Path) -> Path:
    """A company that was built elsewhere, by an older version: a copy is migrated, the given one stays as it is."""
    target = ROOT / "data" / "local" / "bench" / f"{SCALE}-copy"
    target.mkdir(parents=True, exist_ok=True)
    path, done = target / "rapport.db", target / "built"
    if done.exists() and path.exists() and path.stat().st_mtime > (given / "rapport.db").stat().st_mtime:
        return target
    print(f"Copying the company of {given}, to migrate the copy …", flush=True)
    done.unlink(missing_ok=True)
    for left in target.glob("rapport.db*"):
        left.unlink()
    source, copy = sqlite3.connect(given / "rapport.db"), sqlite3.connect(path)
    try:
        source.backup(copy, pages=65_536)
    finally:
        source.close()
        copy.close()
    done.write_text("copied\n")
    return target
