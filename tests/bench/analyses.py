"""Analyses of the bench's company: each computed once by the worker's own job in a process of its own, then kept in the bench folder for the pages.

``python -m tests.bench.analyses KIND FOLDER`` computes one. Also here: the freeze of a large campaign and the count of a segment, without screens.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text

from crm_core import access, jobs, lists
from crm_core.access import Actor
from crm_core.db import read_engine, read_session, write_session
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import AnalysisRun, Contact, OutreachRules
from crm_core.services.admin import demo
from crm_core.services.analytics import runs
from crm_core.services.marketing import campaigns, launching, plans, segments
from tests.bench.cases import THREE, THREE_BARE
from tests.tools.app import workspace

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    "segmentation", "personas", "basket", "forecast", "outlook", "attribution", "lead_score", "deal_score", "value", "churn", "drivers",
)  # fmt: skip
RECIPIENTS = 100_000
FREEZE_GOAL_S, COUNT_GOAL_MS = 5.0, 200.0


@dataclass
class Computed:
    """What one analysis cost the worker. ``memory_mb``: the most that its process held."""

    kind: str
    state: str
    seconds: float
    cpu: float
    memory_mb: float
    verdict: str


@dataclass
class Heavy:
    """Work without a screen: what it took, its goal, and the bare SQL beside it where there is one; all in milliseconds."""

    name: str
    ms: float
    cpu_ms: float
    goal_ms: float
    bare_ms: float | None = None


def made(folder: Path) -> list[Computed]:
    """All analyses of the company, computed now unless they are kept in the folder already."""
    kept = folder / "analyses.json"
    known = {one["kind"]: one for one in json.loads(kept.read_text())} if kept.exists() else {}
    for kind in KINDS:
        if kind not in known:
            print(f"  computing {kind} …", flush=True)
            known[kind] = _apart(kind, folder)
            kept.write_text(json.dumps(list(known.values()), indent=1))
    return [Computed(**known[kind]) for kind in KINDS]


def _apart(kind: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.analyses", kind, str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def compute(kind: str) -> Computed:
    """Ask as the administrator and do the worker's part here."""
    from crm_core.services.analytics import run_work  # noqa: F401  (declares the job)

    actor = administrator()
    with write_session() as session:
        run_id = runs.request(session, actor, kind)
    began, spent = time.perf_counter(), time.process_time()
    with read_session() as session:
        jobs.execute(session.get_one(AnalysisRun, run_id).job_id, "analysis.run", (run_id,))
    with read_session() as session:
        run = runs.get(session, actor, run_id)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Computed(kind, run.state.value, time.perf_counter() - began, time.process_time() - spent, memory, run.verdict)


def administrator() -> Actor:
    """The demo company's administrator."""
    with read_session() as session:
        return access.load(session, demo.people(session)["administrator"])


def heavy() -> list[Heavy]:
    """The count of a segment beside its SQL, and the freeze of a campaign, which is taken back."""
    return [_count(), _freeze()]


def _count(repeats: int = 9) -> Heavy:
    actor, taken, spent, bare = administrator(), [], [], []
    with read_session() as session, read_engine().connect() as connection:
        for _ in range(repeats):
            began, cpu = time.perf_counter(), time.process_time()
            table = entity("contact").table
            clause = lists.condition(session, actor, "contact", ListQuery(filter=THREE))
            session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
            taken.append((time.perf_counter() - began) * 1_000)
            spent.append((time.process_time() - cpu) * 1_000)
            began = time.perf_counter()
            connection.execute(text(THREE_BARE)).all()
            bare.append((time.perf_counter() - began) * 1_000)
    middle = statistics.median
    return Heavy("count of a segment, three conditions", middle(taken), middle(spent), COUNT_GOAL_MS, middle(bare))


class _Back(Exception):
    """Nothing of it stays."""


def _freeze() -> Heavy:
    actor, found = administrator(), Heavy(f"freeze of a campaign for {RECIPIENTS:,} people", 0.0, 0.0, FREEZE_GOAL_S * 1_000)
    try:
        with write_session() as session:
            campaign_id, people = _planned(session, actor)
            began, cpu = time.perf_counter(), time.process_time()
            funnel = launching.launch(session, actor, campaign_id, base_url="http://localhost:8501")
            found.ms, found.cpu_ms = (time.perf_counter() - began) * 1_000, (time.process_time() - cpu) * 1_000
            if funnel.eligible != people:
                raise RuntimeError(f"{funnel.eligible:,} of {people:,} people would receive it: {funnel}")
            raise _Back
    except _Back:
        return found


def _planned(session: Any, actor: Actor) -> tuple[int, int]:
    """A campaign by e-mail to new people who agreed to nothing special: the workspace needs no consent here, and knows no quiet hours."""
    now = clock.utcnow()
    common = {"created_at": now, "updated_at": now, "version": 1, "extra": {}, "city": "Benchmark"}
    for start in range(0, RECIPIENTS, 10_000):
        numbers = range(start, start + 10_000)
        rows = [{"name": f"Reader {n}", "email": f"reader{n}@bench.example", **common} for n in numbers]
        session.execute(insert(Contact), rows)
    rules = session.execute(select(OutreachRules)).scalars().first() or OutreachRules()
    rules.needs_consent, rules.quiet_from, rules.quiet_until, rules.postal_address = False, "", "", "1 Road, Town"
    session.add(rules)
    session.flush()
    rule = {"field": "city", "cmp": "eq", "value": "Benchmark"}
    segment = segments.create(session, actor, name="Benchmark", entity="contact", rule=rule)
    made = campaigns.create(session, actor, {"name": "Benchmark"})
    plans.save(session, actor, made.id, {"segment_ids": [segment], "holdout_pct": 10})
    plans.set_variants(
        session, actor, made.id, [{"subject": "Hello {{first_name|there}}", "body": "[News](https://www.example.com)"}]
    )
    return made.id, RECIPIENTS


def main() -> None:
    """Compute one kind on a folder, and tell what it took as one line of JSON."""
    kind, folder = sys.argv[1:3]
    with workspace(Path(folder)):
        print(json.dumps(asdict(compute(kind))))


if __name__ == "__main__":
    main()
