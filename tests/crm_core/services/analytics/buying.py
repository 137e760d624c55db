"""Companies and people who buy, for tests of analyses: two kinds of buyers that nobody could mix up."""

from datetime import UTC, datetime, timedelta

import numpy as np

from crm_core import jobs
from crm_core.db import bump, read_session, write_session
from crm_core.models import Account, Contact, Order
from crm_core.services.analytics import runs
from crm_core.vocabulary import OrderStatus

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Noon of today: pages draw in a thread of their own, which the frozen clock of a test does not reach."""


def two_kinds(cast, count=80, owner="alice"):
    """Half of the people buy often and much, half bought little and long ago; returns their ids, the good ones first."""
    rng = np.random.default_rng(5)
    with write_session() as session:
        account = Account(name="Buyers Ltd", owner_id=cast[owner].user_id)
        session.add(account)
        session.flush()
        people = [Contact(name=f"Person {n}", account_id=account.id, owner_id=cast[owner].user_id) for n in range(count)]
        session.add_all(people)
        session.flush()
        for n, person in enumerate(people):
            good = n < count // 2
            for _ in range(int(rng.integers(12, 20)) if good else int(rng.integers(1, 3))):
                days = float(rng.uniform(1, 40)) if good else float(rng.uniform(300, 500))
                session.add(
                    Order(
                        number=f"{owner}{n}-{rng.integers(10**12)}", account_id=account.id, contact_id=person.id, owner_id=cast[owner].user_id,
                        status=OrderStatus.FULFILLED, ordered_at=NOW - timedelta(days=days),
                        total_minor=int(rng.uniform(80_000, 120_000) if good else rng.uniform(1_000, 3_000)),
                    )
                )  # fmt: skip
        bump(session, "sales_order")
        return [person.id for person in people]


def ask(actor, kind="segmentation", params=None, **more):
    """Ask for a run; returns its id. Two clusters unless told otherwise: trying eight numbers takes eight times as long."""
    given = {"clusters": "2"} if kind == "segmentation" else {}
    with write_session() as session:
        return runs.request(session, actor, kind, {**given, **(params or {})}, **more)


def work(run_id):
    """Do the worker's part of a run here."""
    from crm_core.models import AnalysisRun
    from crm_core.services.analytics import run_work  # noqa: F401  (declares the job)

    with read_session() as session:
        job_id = session.get(AnalysisRun, run_id).job_id
    jobs.execute(job_id, "analysis.run", (run_id,))
    return run_id


def look(actor, run_id):
    """The run as somebody sees it."""
    with read_session() as session:
        return runs.get(session, actor, run_id)
