"""Reminders: what falls due, told once per due time. A moved due time is a new key, so it is told again; what is done is told no more."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, extract, false, func, or_, select
from sqlmodel import Session

from crm_core import idleness
from crm_core.access import system
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.filters import where
from crm_core.jobs import Job, job
from crm_core.kit.clock import today, utcnow
from crm_core.models import Activity, Article, Contact, Deal, Lead, Organisation, Task, UserPreference
from crm_core.services.collaboration.incoming import came_in
from crm_core.services.collaboration.notifications import NOTES, News, notify, notify_many
from crm_core.vocabulary import ActivityKind, ArticleState, FieldKind, TaskStatus

TASK_KINDS = ("reminder.task", "reminder.overdue")
LOOK_BACK = timedelta(hours=24)
"""What fell due while no worker ran is told within a day; what is older would only be noise."""

LONGEST_LEAD = timedelta(days=1)
RENEWAL_DAYS = (60, 30, 7)
RENEWAL_WORDS = ("contract", "renewal", "subscription")
RENEWAL_FIELDS = {"account": ("renews_on",)}
"""Built-in dates on which a contract can end, besides the custom ones that are called so."""
LEAD_HOURS = 24
_PART = 1_000
_TASK = Task.__table__  # type: ignore[attr-defined]
_ACTIVITY = Activity.__table__  # type: ignore[attr-defined]
_CONTACT = Contact.__table__  # type: ignore[attr-defined]
_LEAD = Lead.__table__  # type: ignore[attr-defined]
_DEAL = Deal.__table__  # type: ignore[attr-defined]
_ARTICLE = Article.__table__  # type: ignore[attr-defined]
_PREFERENCE = UserPreference.__table__  # type: ignore[attr-defined]


# --- each minute ------------------------------------------------------------------------------------------------------------


def _due_tasks(now: datetime, start: datetime) -> Any:
    return and_(
        _TASK.c.status == TaskStatus.OPEN, _TASK.c.due_at > start, _TASK.c.due_at <= now, _TASK.c.deleted_at.is_(None),
        _TASK.c.owner_id.is_not(None),
    )  # fmt: skip


def _coming_meetings(now: datetime) -> Any:
    return and_(
        _ACTIVITY.c.kind == ActivityKind.MEETING, _ACTIVITY.c.at > now, _ACTIVITY.c.at <= now + LONGEST_LEAD,
        _ACTIVITY.c.deleted_at.is_(None), _ACTIVITY.c.owner_id.is_not(None),
    )  # fmt: skip


def _something_due(session: Session) -> bool:
    now = utcnow()
    tasks = select(exists(select(_TASK.c.id).where(_due_tasks(now, now - 2 * LOOK_BACK))))
    meetings = select(exists(select(_ACTIVITY.c.id).where(_coming_meetings(now))))
    return bool(session.execute(tasks).scalar_one() or session.execute(meetings).scalar_one())


@job("collaboration.remind", title="Remind people of tasks and meetings", cron="* * * * *", when=_something_due, keep_days=2)
def remind(job: Job) -> None:
    """Tell what is due now, what has been due for a day, and which meetings begin soon."""
    with job.transaction() as session:
        job.report(remind_now(session, utcnow()))


def remind_now(session: Session, now: datetime) -> int:
    """Tell everything that is due at an instant and was not told yet; gives how much that was."""
    columns = (_TASK.c.id, _TASK.c.owner_id, _TASK.c.due_at)
    told = 0
    for kind, word, due in (
        ("reminder.task", "due", _due_tasks(now, now - LOOK_BACK)),
        ("reminder.overdue", "overdue", _due_tasks(now - LOOK_BACK, now - 2 * LOOK_BACK)),
    ):
        rows = session.execute(select(*columns).where(due).order_by(_TASK.c.due_at)).all()
        told += _tell_all(session, kind, "task", [(row.owner_id, row.id, f"{word}:{row.id}:{_stamp(row.due_at)}") for row in rows])
    return told + _meetings(session, now)


def _meetings(session: Session, now: datetime) -> int:
    lead = func.coalesce(_PREFERENCE.c.meeting_minutes, 15)
    query = (
        select(_ACTIVITY.c.id, _ACTIVITY.c.owner_id, _ACTIVITY.c.at, lead.label("lead"))
        .outerjoin(_PREFERENCE, _PREFERENCE.c.user_id == _ACTIVITY.c.owner_id)
        .where(_coming_meetings(now))
    )
    soon = [row for row in session.execute(query).all() if row.lead and row.at - timedelta(minutes=row.lead) <= now]
    return _tell_all(
        session, "reminder.meeting", "activity", [(row.owner_id, row.id, f"meeting:{row.id}:{_stamp(row.at)}") for row in soon]
    )


def _tell_all(session: Session, kind: str, key: str, found: Sequence[tuple[int, int, str]]) -> int:
    """Tell each person (user, record, dedupe key) what was not told yet: each minute asks again about everything of two days."""
    told: set[tuple[int, str]] = set()
    for at in range(0, len(found), _PART):
        ids = [record_id for _, record_id, _ in found[at : at + _PART]]
        known = select(NOTES.c.user_id, NOTES.c.dedupe_key).where(
            NOTES.c.entity == key, NOTES.c.record_id.in_(ids), NOTES.c.kind == kind
        )
        told |= set(session.execute(known).tuples())
    fresh = [News(user_id, kind, once, {}, key, record_id) for user_id, record_id, once in found if (user_id, once) not in told]
    return notify_many(session, fresh) if fresh else 0


def _tell(session: Session, user_id: int, kind: str, key: str, record_id: int, dedupe: str, **params: Any) -> bool:
    return notify(session, user_id, kind=kind, params=params, entity=key, record_id=record_id, dedupe_key=dedupe)


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S}"


# --- each morning -----------------------------------------------------------------------------------------------------------


@job(
    "collaboration.remind_daily",
    title="Remind people of birthdays, contracts, next steps and articles to read again",
    cron="40 6 * * *",
    keep_days=7,
)
def remind_daily(job: Job) -> None:
    """Every morning, in the workspace's time."""
    for part in (birthdays, renewals, idle_deals, unanswered_leads, articles_to_review):
        with job.transaction() as session:
            zone = session.execute(select(Organisation.timezone)).scalar() or "UTC"  # type: ignore[call-overload]
            part(session, today(zone))


def birthdays(session: Session, day: date) -> int:
    """Contacts whose birthday it is; somebody of the 29th of February is congratulated on the 28th in other years."""
    days = [day, day + timedelta(days=1)] if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3 else [day]
    pairs = [(2, 29) if one.month == 3 else (one.month, one.day) for one in days]
    born = [and_(extract("month", _CONTACT.c.birthday) == month, extract("day", _CONTACT.c.birthday) == on) for month, on in pairs]
    clause = and_(_CONTACT.c.birthday.is_not(None), _CONTACT.c.owner_id.is_not(None), _CONTACT.c.deleted_at.is_(None), or_(*born))
    rows = session.execute(select(_CONTACT.c.id, _CONTACT.c.owner_id).where(clause)).all()
    return sum(
        _tell(session, row.owner_id, "reminder.birthday", "contact", row.id, f"birthday:{row.id}:{day.year}") for row in rows
    )


def renewals(session: Session, day: date) -> int:
    """Accounts and deals whose date field says that a contract, subscription or renewal falls due in 60, 30 or 7 days."""
    told = 0
    for key in ("account", "deal"):
        for field in _contract_fields(session, key):
            for days in RENEWAL_DAYS:
                told += _renewing(session, key, field, day + timedelta(days=days), days)
    return told


def _contract_fields(session: Session, key: str) -> Iterable[str]:
    called_so = [
        name
        for name, spec in registry(session, key).items()
        if spec.custom and spec.kind is FieldKind.DATE and any(word in spec.label.casefold() for word in RENEWAL_WORDS)
    ]
    return [*RENEWAL_FIELDS.get(key, ()), *called_so]


def _renewing(session: Session, key: str, field: str, on: date, days: int) -> int:
    table = entity(key).table
    fits = [where(session, key, {"field": field, "cmp": "eq", "value": on.isoformat()}, system())]
    if "customer_until" in table.c:  # who is no customer by then has nothing to renew
        fits.append(or_(table.c.customer_until.is_(None), table.c.customer_until >= on))
    query = select(table.c.id, table.c.owner_id).where(*fits, table.c.owner_id.is_not(None), table.c.deleted_at.is_(None))
    return sum(
        _tell(session, row.owner_id, "reminder.renewal", key, row.id, f"renewal:{key}:{row.id}:{field}:{on}:{days}", days=days)
        for row in session.execute(query).all()
    )


def idle_deals(session: Session, day: date) -> int:
    """Open deals that have become idle within the last two working days, by the rule of ``idleness``: once per stretch of silence."""
    now = utcnow()
    limits, calendar = idleness.limits(session, now), idleness.working_hours(session)
    earlier = {limit: idleness.back(calendar, limit, [2])[2] for limit in set(limits.values())}
    lately = [
        and_(_DEAL.c.stage_id == stage_id, or_(_DEAL.c.stage_since > earlier[limit], _DEAL.c.last_contact_at > earlier[limit]))
        for stage_id, limit in limits.items()
    ]
    query = select(_DEAL.c.id, _DEAL.c.owner_id, _DEAL.c.stage_id, _DEAL.c.stage_since, _DEAL.c.last_contact_at).where(
        idleness.clause(_DEAL, limits), or_(false(), *lately), _DEAL.c.deleted_at.is_(None), _DEAL.c.owner_id.is_not(None)
    )
    told = 0
    for row in session.execute(query).all():
        latest = idleness.since(row)
        if latest > earlier[limits[row.stage_id]]:  # older silence was told, or is no news
            days = idleness.quiet_days(calendar, latest, now)
            told += _tell(session, row.owner_id, "reminder.follow_up", "deal", row.id, f"idle:{row.id}:{_stamp(latest)}", days=days)
    return told


def unanswered_leads(session: Session, day: date) -> int:
    """Leads that have waited for a first answer for a day."""
    now = utcnow()
    clause = and_(
        _LEAD.c.created_at <= now - timedelta(hours=LEAD_HOURS), _LEAD.c.created_at > now - timedelta(hours=3 * LEAD_HOURS),
        _LEAD.c.first_response_at.is_(None), _LEAD.c.converted_at.is_(None), _LEAD.c.disqualified_reason.is_(None),
        _LEAD.c.owner_id.is_not(None), _LEAD.c.deleted_at.is_(None), came_in("lead", _LEAD),
    )  # fmt: skip
    rows = session.execute(select(_LEAD.c.id, _LEAD.c.owner_id).where(clause)).all()
    return sum(_tell(session, row.owner_id, "reminder.follow_lead", "lead", row.id, f"unanswered:{row.id}") for row in rows)


def articles_to_review(session: Session, day: date) -> int:
    """Published articles that should be read again by today, or should have been: their owner hears of it once per day that was set."""
    clause = and_(
        _ARTICLE.c.state == ArticleState.PUBLISHED, _ARTICLE.c.deleted_at.is_(None), _ARTICLE.c.review_by <= day,
        _ARTICLE.c.owner_id.is_not(None),
    )  # fmt: skip
    rows = session.execute(select(_ARTICLE.c.id, _ARTICLE.c.owner_id, _ARTICLE.c.review_by).where(clause)).all()
    return sum(
        _tell(session, row.owner_id, "reminder.article", "article", row.id, f"review:{row.id}:{row.review_by}") for row in rows
    )
