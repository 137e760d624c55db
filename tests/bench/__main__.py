"""``make bench``: measures the app on the large demo and writes docs/benchmarks.md.

``--quick`` takes about six minutes once the demo is built and writes the page too; ``--only`` prints a part; ``--patient`` measures automations,
replays and service levels alone and writes docs/benchmarks-automations.md, which a whole run does at its end. RAPPORT_BENCH_DIR names a folder with a
demo that was built elsewhere (``rapport.db`` and a file ``built``).
"""

import argparse
import asyncio
import os
import platform
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from crm_core.access import load, visible
from crm_core.db import read_session
from crm_core.entities import entity
from crm_core.models import Base, User
from crm_core.services.admin import demo
from crm_core.services.analytics import dashboards
from tests.bench import analyses, large, measure, patient, patient_report, promises, report
from tests.bench import imports as importing
from tests.bench.cases import ANALYSES, RECORDS, Case, cases
from tests.bench.client import Tab
from tests.bench.measure import Figure
from tests.bench.serving import served
from tests.tools.app import App, workspace
from ui.navigation import PAGES

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "benchmarks.md"
PATIENT = ROOT / "docs" / "benchmarks-automations.md"
TABLES = ("account", "contact", "lead", "deal", "sales_order", "order_line", "ticket")


@dataclass
class Results:
    """Everything that was measured in one run."""

    rows: dict[str, int]
    empty: Figure
    alone: list[Figure] = field(default_factory=list)
    days: dict[int, dict[str, Figure]] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    busy: dict[int, float] = field(default_factory=dict)
    imports: list[importing.Figure] = field(default_factory=list)
    cold: dict[str, float] = field(default_factory=dict)
    computed: list[analyses.Computed] = field(default_factory=list)
    heavy: list[analyses.Heavy] = field(default_factory=list)
    processes: int = 1
    cores: int = os.cpu_count() or 1
    memory_gib: float = 0.0
    load_before: float = 0.0
    python: str = platform.python_version()
    database: str = "SQLite"


def main() -> int:
    wanted = _arguments()
    if wanted.patient:
        return _patient(wanted.seconds)
    repeats, seconds = (15, 40.0) if wanted.quick else (wanted.repeats, wanted.seconds)
    where = large.folder()
    results = Results(rows={}, empty=Figure("empty"), memory_gib=_memory_gib(), load_before=os.getloadavg()[0])
    with measure.empty_app() as url:
        results.empty = asyncio.run(measure.empty(url, repeats=repeats))
    with workspace(where):
        large.settle()
        results.computed = analyses.made(where)
        results.heavy = [] if wanted.only else analyses.heavy()
        results.start = {} if wanted.only else _start(where, 2 if wanted.quick else 3)
    with served(where) as serving:
        app, results.processes = serving.app, len(serving.pids)
        results.rows = _rows()
        people = app.people()
        token = app.token(people["administrator"])
        mine = [case for case in cases_of(people["administrator"]) if _wanted(case.name, wanted.only)]
        results.memory["after the start"] = serving.memory_mb()
        pages = [case for case in mine if case.needs in (*ANALYSES, "dashboard")]
        results.cold = asyncio.run(measure.first_opens(app.url, token, pages))
        results.alone = asyncio.run(measure.alone(app.url, token, mine, spent=serving.cpu_seconds, repeats=repeats))
        for users in [] if wanted.only else [int(n) for n in wanted.users.split(",")]:
            print(f"  a day of {users} people …", flush=True)
            began, spent = time.perf_counter(), serving.cpu_seconds()
            results.days[users] = asyncio.run(measure.day(app.url, _people(app, users), seconds=seconds))
            results.busy[users] = (serving.cpu_seconds() - spent) / (time.perf_counter() - began)
            results.memory[f"after {users} people"] = serving.memory_mb()
    if not wanted.only and not wanted.no_imports and not wanted.quick:
        results.imports = _imports()
    text = report.write(results)
    if wanted.only or (wanted.quick and wanted.dry):
        print(text)
    else:
        TARGET.write_text(text, encoding="utf-8")
        print(f"Written to {TARGET.relative_to(ROOT)}")
    return 0 if wanted.only or wanted.quick else _patient(seconds)


def _patient(seconds: float) -> int:
    """What the worker does while nobody looks; needs no demo company."""
    loads = {"replay": os.getloadavg()[0]}
    replayed = list(promises.replays())
    loads["clocks"] = os.getloadavg()[0]
    watched = list(promises.clocks())
    loads["events"] = os.getloadavg()[0]
    answered = list(patient.events(min(20.0, seconds)))
    PATIENT.write_text(patient_report.write(answered, replayed, watched, loads), encoding="utf-8")
    print(f"Written to {PATIENT.relative_to(ROOT)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, shorter days, no imports")
    parser.add_argument("--dry", action="store_true", help="with --quick: print, don't write")
    parser.add_argument("--only", default="", help="only cases whose name holds this word; printed, not written")
    parser.add_argument("--patient", action="store_true", help="automations, replays and service levels alone (five minutes)")
    parser.add_argument("--users", default="25,50", help="how many people at once, such as 25,50")
    parser.add_argument("--repeats", type=int, default=40, help="measured runs of each case")
    parser.add_argument("--seconds", type=float, default=90.0, help="length of a day of many people")
    parser.add_argument("--no-imports", action="store_true", help="leave the imports out")
    return parser.parse_args()


def _wanted(name: str, only: str) -> bool:
    return only in name


def _rows() -> dict[str, int]:
    with read_session() as session:
        return {name: session.execute(select(func.count()).select_from(Base.metadata.tables[name])).scalar_one() for name in TABLES}


def cases_of(user_id: int) -> list[Case]:
    """Cases of the screens that exist and that this person has, with records that this person may see."""
    with read_session() as session:
        actor = load(session, user_id)
        ids = {}
        for _, key in RECORDS.values():
            table = entity(key).table
            ids[key] = list(
                session.execute(
                    select(table.c.id).where(visible(actor, key, table)).order_by(table.c.id.desc()).limit(2_000)
                ).scalars()
            )
        ids["dashboard"] = [row.id for row in dashboards.find(session, actor)]
    there = {screen.url for screen in PAGES if screen.allowed(actor)}
    return [case for case in cases(ids) if case.needs in there]


def _people(app: App, users: int) -> list[tuple[str, list[Case]]]:
    """Sessions of many people: administrators and managers aside, everybody who works in the demo company, in turn."""
    with read_session() as session:
        office = set(demo.people(session).values())
        everybody = [row for row in session.execute(select(User.__table__.c.id)).scalars() if row not in office]  # type: ignore[attr-defined]
    chosen = [everybody[n % len(everybody)] for n in range(users)]
    known = {user_id: cases_of(user_id) for user_id in set(chosen)}
    return [(app.token(user_id), known[user_id]) for user_id in chosen]


def _start(folder: Path, times: int) -> dict[str, float]:
    """Seconds from the command to an answering server, and to the first drawn page; the best of a few starts, as a second start is."""
    token = None
    best: dict[str, float] = {}
    with read_session() as session:
        someone = demo.people(session)["administrator"]
    for _ in range(times):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        token = token or App(f"http://127.0.0.1:{port}", folder, 0, folder).token(someone)
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "crm_core", "serve", "--port", str(port)],
            cwd=ROOT,
            env={
                name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
            },  # a second start has compiled files
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            measure.until_up(f"http://127.0.0.1:{port}")
            answered = time.perf_counter() - began
            asyncio.run(_first_page(f"http://127.0.0.1:{port}", token))
            drawn = time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(30)
        best = {"answers": min(answered, best.get("answers", answered)), "first page": min(drawn, best.get("first page", drawn))}
    return best


async def _first_page(url: str, token: str) -> None:
    async with Tab(url, token) as tab:
        await tab.open("deals")


def _imports() -> list[importing.Figure]:
    found = []
    for name, case in importing.cases().items():
        print(f"  {name} …", flush=True)
        with importing.empty_database():
            found.append(case())
    return found


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return 0.0


if __name__ == "__main__":
    raise SystemExit(main())
