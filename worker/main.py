"""The worker's life: check the database, take its place, run jobs, beat, sweep, start what the clock wants, stop cleanly."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from crm_core import schema
from crm_core.errors import CrmError, Unavailable
from crm_core.kit.clock import utcnow
from crm_core.settings import settings
from worker import engine, schedule, sweep

log = logging.getLogger("rapport.worker")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # BLAS reads it when the first job loads it

STOP_SECONDS = 8
TICK_SECONDS = 5.0


def run() -> None:
    """Run until SIGTERM or SIGINT. Raises CrmError when this database can't be worked on."""
    logging.basicConfig(level=settings().log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    schema.refuse_newer()
    if not schema.is_current():
        raise Unavailable("The database is not up to date. Run: python -m crm_core migrate.", permanent=True)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with alone():
        name = engine.executor_id()
        sweep.arrive(name)
        specs = engine.launch(name)
        log.info("worker %s is ready, knows %s jobs", name, len(specs))
        live(name, list(specs.values()), stopping)
        finish(name)


@contextmanager
def alone() -> Iterator[None]:
    """On SQLite, hold the one worker's place beside the database file; the lock dies with the process, however it ends."""
    path = make_url(settings().url).database
    if not settings().is_sqlite or not path:
        yield
        return
    import fcntl

    with Path(path + ".worker").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable("A worker is already running for this database; SQLite takes only one.", permanent=True) from error
        yield


def live(name: str, specs: list[Any], stopping: threading.Event) -> None:
    """Housekeeping beside the jobs, until the stop. A database that is away for a while is waited for."""
    started_at = utcnow()
    every = min(TICK_SECONDS, settings().worker_silent_seconds / 3)
    beaten = 0.0
    while not stopping.is_set():
        try:
            if time.monotonic() - beaten >= settings().worker_silent_seconds / 3:
                sweep.beat(name)
                beaten = time.monotonic()
                if not settings().is_sqlite:
                    sweep.sweep()
            schedule.tick(specs, started_at)
        except CrmError as error:
            log.warning("housekeeping waits: %s", error.message)
        except Exception:
            log.exception("housekeeping failed; trying again")
        stopping.wait(every)


def finish(name: str) -> None:
    """Stop taking jobs and go. What still runs after a few seconds goes on from its cursor after the next start."""
    log.info("worker %s stops", name)
    done = engine.stop(STOP_SECONDS)
    try:
        sweep.leave(name)
    except Exception:
        log.exception("the good-bye could not be written")
    if not done:
        logging.shutdown()
        os._exit(0)  # the threads of running jobs would hold the interpreter back for as long as they take


if __name__ == "__main__":
    run()
