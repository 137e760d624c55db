"""Fetching leads: every source whose turn it is, page by page, the end of each page in one transaction with the place where the next one begins. A
worker that dies loses nothing, and what was fetched before comes in no second time.
"""

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import LeadSource
from crm_core.services.collaboration import notifications
from crm_core.services.marketing import capture, lead_sources, pull_rules
from crm_core.services.marketing.pull_rules import UnreadableError
from crm_core.vocabulary import SubmissionState

log = logging.getLogger("rapport.marketing")
SOURCES: Any = LeadSource.__table__  # type: ignore[attr-defined]
LEASE = timedelta(minutes=10)
MOST_PAGES = 20
"""Pages of one look; what is left comes with the next minute."""
AT_ONCE = 50
"""Entries of one transaction: others can write between them."""
BROKEN = "Something in the answer could not be taken in; the log of the server says what. What came before it is kept."
PAUSES_MINUTES = (5, 15, 60, 180, 360)
TELL_AT = 3
"""Failures in a row after which whoever runs the forms hears of it."""


def _due() -> Any:
    now = utcnow()
    free = or_(SOURCES.c.lease_until.is_(None), SOURCES.c.lease_until < now)
    return and_(SOURCES.c.is_active, free, or_(SOURCES.c.next_pull_at.is_(None), SOURCES.c.next_pull_at <= now))


def anything_due(session: Session) -> bool:
    """True when a source waits to be asked."""
    return session.execute(select(SOURCES.c.id).where(_due()).limit(1)).first() is not None


@job(lead_sources.JOB, title="Fetch leads", cron="* * * * *", when=anything_due, keep_days=2)
def pull_due(job: Job) -> None:
    """Ask every source whose turn it is."""
    done = 0
    while (source := _lease(job)) is not None:
        done += _pull(job, source)
        job.report(done)


def _lease(job: Job) -> LeadSource | None:
    """A source that nobody asks, for this job alone."""
    with job.transaction() as session:
        wanted = select(SOURCES.c.id).where(_due()).order_by(SOURCES.c.next_pull_at.nulls_first(), SOURCES.c.id).limit(1)
        source_id = session.execute(wanted.with_for_update(skip_locked=True)).scalar()
        if source_id is None:
            return None
        begun = {"lease_until": utcnow() + LEASE, "last_pull_at": utcnow(), "new_count": 0, "known_count": 0, "failed_count": 0}
        _write(session, source_id, begun)
        return session.get_one(LeadSource, source_id, populate_existing=True)


def _write(session: Session, source_id: int, values: dict[str, Any]) -> None:
    session.execute(update(SOURCES).where(SOURCES.c.id == source_id).values(**values))
    db.bump(session, SOURCES.name)


def _pull(job: Job, source: LeadSource) -> int:
    """Ask one source until nothing new comes, from where a look that broke off had come to; what goes wrong is written on it."""
    cursor, done, more, trouble = source.cursor, 0, True, ""
    front = not source.keeps_cursor and not cursor  # from the front: behind what is known all is known
    try:
        secret = lead_sources.secret_of(source)
        for _ in range(MOST_PAGES):
            whole, entries = pull_rules.entries_of(lead_sources.ask(source, secret, cursor), source.items_path)
            following = pull_rules.next_cursor(whole, entries, source.cursor_in, source.cursor_path)
            fresh = _take(job, source, entries, following or cursor)
            done += fresh
            more = bool(entries and following and following != cursor and (fresh or not front))
            if not more:
                break
            cursor = following
    except UnreadableError as error:
        trouble = str(error)
    except Exception:
        log.exception("source %s could not be taken in", source.id)
        trouble = BROKEN
    _note(job, source, trouble, soon=more and (source.keeps_cursor or done > 0))
    return done


def _take(job: Job, source: LeadSource, entries: list[Any], cursor: str) -> int:
    """One page; gives how many of its entries are new. The place moves on with the last of them."""
    return sum(
        _take_some(job, source, entries[at : at + AT_ONCE], cursor if at + AT_ONCE >= len(entries) else None)
        for at in range(0, len(entries), AT_ONCE)
    )


def _take_some(job: Job, source: LeadSource, entries: list[Any], cursor: str | None) -> int:
    with job.transaction() as session:
        row = session.get(LeadSource, source.id, populate_existing=True)
        if row is None:
            return 0
        states = [capture.take_pulled(session, row, entry) for entry in entries]
        known, failed = states.count(SubmissionState.TWICE), states.count(SubmissionState.FAILED)
        fresh = len(states) - known - failed
        counts = {
            "new_count": row.new_count + fresh,
            "known_count": row.known_count + known,
            "failed_count": row.failed_count + failed,
        }
        place = {"cursor": cursor} if cursor is not None else {}
        _write(session, row.id, {**counts, **place, "new_total": row.new_total + fresh, "lease_until": utcnow() + LEASE})
        return fresh + failed


def _note(job: Job, source: LeadSource, trouble: str, *, soon: bool = False) -> None:
    with job.transaction() as session:
        row = session.get(LeadSource, source.id, populate_existing=True)
        if row is None:
            return
        now, failures = utcnow(), row.failures + 1 if trouble else 0
        wait = PAUSES_MINUTES[min(failures, len(PAUSES_MINUTES)) - 1] if trouble else 1 if soon else row.every_minutes
        values = {
            "failures": failures,
            "message": clip(trouble, 500),
            "lease_until": None,
            "next_pull_at": now + timedelta(minutes=wait),
        }
        over = {} if soon or row.keeps_cursor else {"cursor": ""}
        _write(session, row.id, values if trouble else {**values, **over, "last_good_at": now})
        if failures == TELL_AT:
            _tell(session, row, trouble)


def _tell(session: Session, source: LeadSource, trouble: str) -> None:
    """Whoever may mend it hears of it once per row of failures."""
    begun = source.last_good_at.isoformat() if source.last_good_at else "never"
    notifications.notify_managers(
        session, "lead_form", kind="lead_source.failing", params={"name": source.name, "reason": clip(trouble, 200)},
        dedupe_key=f"lead_source.failing:{source.id}:{begun}",
    )  # fmt: skip
