"""Dashboards by e-mail, by the clock: once per due instant and address, drawn as their owner on the day they go out.

Three nets keep a report from going out twice: the schedule's ``next_at`` moves in the transaction that queues the job, the job's id names the
due instant, and each message has a key made of schedule, instant and address.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select as core_select
from sqlmodel import Session, col, select

from crm_core import lists
from crm_core.access import Actor, load, require
from crm_core.errors import CrmError, Invalid, NotFound, NotPermitted
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.kit.secret import is_signed, signature
from crm_core.kit.text import email_key
from crm_core.kit.week import WEEKDAYS
from crm_core.models import ReportRecipient, ReportSchedule, User
from crm_core.services.analytics import dashboards, report_mail, shared_pages, sharing
from crm_core.services.collaboration import outbox
from crm_core.settings import settings
from crm_core.vocabulary import Action, ReportEvery, Via

MAX_RECIPIENTS = 50
GONE = "The report that it belonged to no longer exists, or the link is not complete. There is nothing that you have to do."
_PURPOSE = "report"
_SCHEDULES = ReportSchedule.__table__  # type: ignore[attr-defined]
_USERS = User.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ScheduleRow:
    """A report as a list shows it. ``when``: in words; ``message``: why the last one did not go out."""

    id: int
    dashboard_id: int
    dashboard: str
    owner: str
    mine: bool
    every: ReportEvery
    day: int
    hour: int
    when: str
    is_active: bool
    next_at: datetime
    last_at: datetime | None
    message: str
    recipients: tuple[tuple[str, bool], ...]


# --- for owners ----------------------------------------------------------------------------------------------------------


def create(
    session: Session,
    actor: Actor,
    dashboard_id: int,
    *,
    every: ReportEvery,
    recipients: Sequence[str],
    day: int = 1,
    hour: int = 7,
    filters: Mapping[str, Any] | None = None,
) -> int:
    """Mail a dashboard by the clock, from the next due instant on. To anybody but oneself it needs the right to manage analytics.

    ``day``: of the week (1 Monday) or of the month, by ``every``; ``hour`` is in the actor's time zone.
    """
    found = dashboards.get(session, actor, dashboard_id)
    if actor.user_id is None or not 0 <= hour <= 23 or not 1 <= day <= (7 if every is ReportEvery.WEEK else 28):
        raise Invalid("Choose a day and an hour that exist.")
    addresses = _addresses(recipients)
    if not dashboards.may_publish(actor) and any(email_key(address) != email_key(actor.email) for address in addresses):
        raise NotPermitted("Your role allows to send reports to yourself only.")
    row = ReportSchedule(
        dashboard_id=found.id, owner_id=actor.user_id, every=every, day=day, hour=hour, filters=dict(filters or {}),
        next_at=next_due(every, day, hour, utcnow(), actor.timezone),
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add_all(
        ReportRecipient(schedule_id=row.id, email=address, email_key=email_key(address), public_id=secrets.token_urlsafe(12))
        for address in addresses
    )
    session.flush()
    return row.id


def _addresses(raw: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for text in raw:
        if not text.strip():
            continue
        try:
            address = validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError as error:
            raise Invalid(fields={"recipients": f"“{text.strip()[:80]}” is not an e-mail address."}) from error
        found.setdefault(email_key(address), address)
    if not found:
        raise Invalid(fields={"recipients": "Enter at least one e-mail address."})
    if len(found) > MAX_RECIPIENTS:
        raise Invalid(fields={"recipients": f"A report goes to at most {MAX_RECIPIENTS} addresses."})
    return list(found.values())


def next_due(every: ReportEvery, day: int, hour: int, after: datetime, timezone: str) -> datetime:
    """The first instant after ``after`` at which a report is due: that hour of the clock on the wall, summer time included."""
    zone = ZoneInfo(timezone)
    here: date = after.astimezone(zone).date()
    for offset in range(70):
        wanted = here + timedelta(days=offset)
        fits = {
            ReportEvery.DAY: True,
            ReportEvery.WEEK: wanted.isoweekday() == day,
            ReportEvery.MONTH: wanted.day == day,
        }[every]
        due = datetime(wanted.year, wanted.month, wanted.day, hour, tzinfo=zone).astimezone(after.tzinfo)
        if fits and due > after:
            return due
    raise Invalid("Choose a day and an hour that exist.")


def when_words(every: ReportEvery, day: int, hour: int) -> str:
    """The clock of a report in words."""
    words = {
        ReportEvery.DAY: "Every day",
        ReportEvery.WEEK: f"Every {WEEKDAYS[min(day, 7) - 1]}",
        ReportEvery.MONTH: f"On day {day} of every month",
    }
    return f"{words[every]} at {hour:02d}:00"


def find(session: Session, actor: Actor) -> list[ScheduleRow]:
    """One's own reports; who manages people sees everybody's."""
    require(actor, "analytics", Action.READ)
    statement = select(ReportSchedule).order_by(col(ReportSchedule.id).desc())
    if not actor.can("user", Action.MANAGE):
        statement = statement.where(ReportSchedule.owner_id == actor.user_id)
    rows = session.exec(statement.limit(200)).all()
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    names = {board.id: board.name for board in dashboards.find(session, actor)}
    to: dict[int, list[tuple[str, bool]]] = {}
    for one in session.exec(select(ReportRecipient).where(col(ReportRecipient.schedule_id).in_([row.id for row in rows]))):
        to.setdefault(one.schedule_id, []).append((one.email, one.unsubscribed_at is None))
    return [
        ScheduleRow(
            row.id, row.dashboard_id, names.get(row.dashboard_id, "A dashboard that you don’t see"), people.get(row.owner_id, ""),
            row.owner_id == actor.user_id, row.every, row.day, row.hour, when_words(row.every, row.day, row.hour), row.is_active,
            row.next_at, row.last_at, row.message, tuple(to.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip


def _own(session: Session, actor: Actor, schedule_id: int) -> ReportSchedule:
    require(actor, "analytics", Action.READ)
    row = session.get(ReportSchedule, schedule_id)
    if row is None or (row.owner_id != actor.user_id and not actor.can("user", Action.MANAGE)):
        raise NotFound("This report does not exist, or belongs to somebody else.")
    return row


def pause(session: Session, actor: Actor, schedule_id: int, *, active: bool) -> None:
    """Stop sending a report, or go on with the next due instant: what fell due meanwhile is not sent after all."""
    row = _own(session, actor, schedule_id)
    row.is_active = active
    if active:
        row.next_at = next_due(row.every, row.day, row.hour, utcnow(), actor.timezone)
    session.add(row)
    session.flush()


def remove(session: Session, actor: Actor, schedule_id: int) -> None:
    """End a report for good."""
    session.delete(_own(session, actor, schedule_id))
    session.flush()


def send_now(session: Session, actor: Actor, schedule_id: int) -> None:
    """Send a report at once besides; the same minute again sends nothing more."""
    row = _own(session, actor, schedule_id)
    _enqueue(session, row, utcnow().replace(second=0, microsecond=0), actor.user_id)


# --- by the clock --------------------------------------------------------------------------------------------------------


def _due(session: Session) -> bool:
    return session.execute(core_select(_SCHEDULES.c.id).where(*_is_due()).limit(1)).first() is not None


def _is_due() -> tuple[Any, ...]:
    return (_SCHEDULES.c.is_active, _SCHEDULES.c.next_at <= utcnow())


@job("reports.due", title="Look which reports are due", cron="*/5 * * * *", when=_due, keep_days=1)
def due_job(job: Job) -> None:
    """Every five minutes, if a report is due: one job for each. After a break only the latest due instant is sent."""
    with job.transaction() as session:
        ids = list(session.execute(core_select(_SCHEDULES.c.id).where(*_is_due()).with_for_update(skip_locked=True)).scalars())
        for schedule_id in ids:
            row = session.get(ReportSchedule, schedule_id)
            if row is not None:
                _advance(session, row)


def _advance(session: Session, row: ReportSchedule) -> None:
    timezone = _zone(session, row.owner_id)
    due, now = row.next_at, utcnow()
    following = next_due(row.every, row.day, row.hour, due, timezone)
    while following <= now:
        due, following = following, next_due(row.every, row.day, row.hour, following, timezone)
    row.next_at = following
    session.add(row)
    session.flush()
    _enqueue(session, row, due, row.owner_id)


def _zone(session: Session, owner_id: int) -> str:
    try:
        return load(session, owner_id).timezone
    except CrmError:
        return "UTC"


def _enqueue(session: Session, row: ReportSchedule, due: datetime, user_id: int | None) -> None:
    job_id = f"reports.send:{row.id}@{due:%Y-%m-%dT%H:%M}Z"
    enqueue(session, "reports.send", row.id, due.isoformat(), job_id=job_id, title="Send a report", user_id=user_id)


@job("reports.send", title="Send a report")
def send_job(job: Job, schedule_id: int, due: str) -> None:
    """Draw a dashboard as its owner and queue a message per address; an owner who lost the right ends the report with a word about it."""
    with job.transaction() as session:
        row = session.get(ReportSchedule, schedule_id)
        if row is None:
            return
        try:
            count = _send(session, row, due)
            row.message = ""
            row.last_at = utcnow()
            job.report(count, count, f"{count} messages queued")
        except CrmError as error:
            row.message, row.is_active = error.message[:300], False
            job.report(0, 0, error.message)
        session.add(row)
        session.flush()


def _send(session: Session, row: ReportSchedule, due: str) -> int:
    owner = load(session, row.owner_id, via=Via.WORKER)
    found = dashboards.get(session, owner, row.dashboard_id)
    look = sharing.look_of(session, owner, row.filters, found.settings)
    to = session.exec(
        select(ReportRecipient).where(ReportRecipient.schedule_id == row.id, col(ReportRecipient.unsubscribed_at).is_(None))
    ).all()
    if not dashboards.may_publish(owner):
        to = [one for one in to if one.email_key == email_key(owner.email)]
    inside = _colleagues(session, [one.email_key for one in to])
    sheets = {
        shielded: shared_pages.sheet_of(
            session, owner, found.id, look, title=found.name, lead=found.description, foot=_foot(owner, shielded), shielded=shielded
        )
        for shielded in {one.email_key not in inside for one in to}
    }
    for one in to:
        made = report_mail.message(owner, sheets[one.email_key not in inside], leave=address_of(one.public_id))
        outbox.queue(
            session, owner, to=one.email, subject=made.subject, text=made.text, html=made.html, kind="report",
            dedupe_key=f"report:{row.id}:{due}:{one.id}", headers=made.headers,
        )  # fmt: skip
    return len(to)


def _colleagues(session: Session, keys: Sequence[str]) -> set[str]:
    """Addresses of active people of the workspace: they get all numbers, everybody else none about fewer than five records."""
    return set(session.execute(core_select(_USERS.c.email_key).where(_USERS.c.email_key.in_(keys), _USERS.c.is_active)).scalars())


def _foot(owner: Actor, shielded: bool) -> tuple[str, ...]:
    words = f"Sent by {owner.name}; only what {owner.name} may see."
    return (words + " Groups of fewer than five records are not shown.",) if shielded else (words,)


# --- for recipients -------------------------------------------------------------------------------------------------------


def address_of(public_id: str) -> str:
    """Where a recipient ends a report; empty when the settings name no public address, since a message can't know the server's."""
    base = settings().public_url.rstrip("/")
    return f"{base}/r/{token_of(public_id)}" if base else ""


def token_of(public_id: str) -> str:
    """The end of that address: a name and the signature of it."""
    return f"{public_id}.{signature(_PURPOSE, public_id)}"


def recipient(session: Session, token: str) -> ReportRecipient:
    """The recipient behind the link of a message. Raises NotFound with one sentence for whatever is wrong with it."""
    public_id, _, given = token.partition(".")
    if len(token) > 80 or not token.isascii() or not is_signed(_PURPOSE, public_id, given):
        raise NotFound(GONE)
    row = session.exec(select(ReportRecipient).where(ReportRecipient.public_id == public_id)).first()
    if row is None:
        raise NotFound(GONE)
    return row


def leave(session: Session, token: str) -> None:
    """End a report for one address; twice is once."""
    row = recipient(session, token)
    row.unsubscribed_at = row.unsubscribed_at or utcnow()
    session.add(row)
    session.flush()
