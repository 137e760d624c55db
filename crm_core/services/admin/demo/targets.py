"""Quotas of the demo's reps, and the pipeline of past evenings as the log of changes tells it."""

from datetime import date, timedelta

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core.models import Deal, Quota
from crm_core.services.analytics import snapshots
from crm_core.services.analytics.periods import add_months
from crm_core.vocabulary import StageKind

ROUND = 100_000
MONTHS = range(-12, 13)


def add(session: Session, today: date) -> None:
    """A year of quotas before and after today, each a tenth above the person's monthly average; then the evenings until today."""
    deals = Deal.__table__  # type: ignore[attr-defined]
    won = (
        select(deals.c.owner_id, func.sum(deals.c.amount_minor))
        .where(deals.c.outcome == StageKind.WON, deals.c.closed_on > today - timedelta(days=365), deals.c.owner_id.is_not(None))
        .group_by(deals.c.owner_id)
    )
    month = today.replace(day=1)
    for owner_id, total in session.execute(won):
        amount = max(ROUND, round(int(total) * 1.1 / 12 / ROUND) * ROUND)
        session.add_all(Quota(owner_id=owner_id, month_on=add_months(month, shift), amount_minor=amount) for shift in MONTHS)
    ids = list(session.execute(select(deals.c.id).order_by(deals.c.id)).scalars())
    for start in range(0, len(ids), 2_000):
        snapshots.backfill(session, ids[start : start + 2_000])
    snapshots.take(session)
