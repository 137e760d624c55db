"""Calling from a list: one person at a time, whom nobody else has before them, at an hour that suits them; what came of the call is logged as any
call is, and settles what becomes of them on the list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, and_, case, cast, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import db, events, lists, reads, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import phone_zones
from crm_core.models import Activity, ContactPoint, DialAttempt, DialClaim, DialEntry, DialList, Organisation, Task, User
from crm_core.services.collaboration import activities, suppressions, tasks
from crm_core.services.customers import consent, reach_rules
from crm_core.services.customers.reach_rules import Reach, Wishes
from crm_core.services.marketing import handouts
from crm_core.services.telephony import dial_lists, dial_people, dial_rules
from crm_core.services.telephony.dial_rules import NOBODY_THERE, OUTCOMES, Hours
from crm_core.vocabulary import (
    Action,
    ActivityKind,
    CallOutcome,
    ContactWay,
    DialState,
    DialWait,
    MemberStatus,
    PointKind,
    PreferredChannel,
    SuppressionReason,
    TaskStatus,
    Way,
)

CLAIM_MINUTES = 20
"""So long somebody has a person for themselves; who is still talking then keeps them unless a colleague takes them over."""
CALLBACK_GRACE = timedelta(minutes=30)
"""So long a promised call back waits for whoever promised it."""
TAKE_BACK = timedelta(minutes=30)
LATER = timedelta(hours=1)
GONE = "gone"
_BATCH = 50
_ENTRIES: Any = DialEntry.__table__  # type: ignore[attr-defined]
_CLAIMS: Any = DialClaim.__table__  # type: ignore[attr-defined]
_TRIED: Any = DialAttempt.__table__  # type: ignore[attr-defined]
_CALLS: Any = Activity.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Call:
    """The person to call now. ``value`` is what put them where they stand; ``reach``: whether they want the call at this moment, and their local time."""

    entry_id: int
    key: str
    record_id: int
    name: str
    company: str
    job_title: str
    phone: str
    account_id: int | None
    value: float | None
    wait: DialWait | None
    attempts: int
    outcome: CallOutcome | None
    last_at: datetime | None
    reach: Reach


@dataclass(frozen=True)
class Slip:
    """The call that somebody logged last, as long as it can be taken back."""

    attempt_id: int
    name: str
    outcome: CallOutcome


# --- whom to call -----------------------------------------------------------------------------------------------------------


def take_next(session: Session, actor: Actor, list_id: int) -> int | None:
    """The entry of the person to call now, kept from colleagues for a while; None when nobody is due. Who may not be called, sleeps or was called today is
    put where they belong on the way."""
    dial = _open(session, actor, list_id)
    release(session, actor, list_id)
    region = _region(session)
    while batch := _candidates(session, actor, dial):
        moved: list[dict[str, Any]] = []
        taken = None
        for row in batch:
            change = _hindered(actor, dial, row, region)
            if change:
                moved.append({"b_id": row.entry_id, **change})
            elif _claim(session, actor, row):
                taken = int(row.entry_id)
                break
        _move(session, moved)
        if taken is not None or (not moved and len(batch) < _BATCH):
            return taken
    return None


def _open(session: Session, actor: Actor, list_id: int) -> DialList:
    dial = dial_lists.get(session, actor, list_id)
    if dial.closed_at is not None:
        raise Conflict("This list was closed. Fill it again to go on calling.")
    for key in consent.PEOPLE if not dial.entity else (dial.entity,):
        if actor.masked(key, "phone"):
            raise Conflict("Your role does not see phone numbers, so it can't call people.")
    return dial


def release(session: Session, actor: Actor, list_id: int) -> None:
    """Let go of whoever the actor has before them on this list."""
    require(actor, "activity", Action.CREATE)
    session.execute(delete(_CLAIMS).where(_CLAIMS.c.user_id == actor.user_id, _CLAIMS.c.list_id == list_id))


def _move(session: Session, moved: Iterable[dict[str, Any]]) -> None:
    for change in moved:
        key = change.pop("b_id")
        session.execute(update(_ENTRIES).where(_ENTRIES.c.id == key).values(**change, updated_at=utcnow()))


def _candidates(session: Session, actor: Actor, dial: DialList) -> list[Any]:
    """The next ones that are due, promised calls first; with what decides whether they can be called."""
    found: list[Any] = []
    for key in consent.PEOPLE if not dial.entity else (dial.entity,):
        if actor.can(key, Action.READ):
            found += session.execute(_due(session, actor, dial, key))
    return sorted(found, key=lambda row: (row.first, row.rank))[:_BATCH]


def _due(session: Session, actor: Actor, dial: DialList, key: str) -> Any:
    table, now = entity(key).table, utcnow()
    promised = _ENTRIES.c.wait == DialWait.CALLBACK
    reserved = and_(
        promised,
        _ENTRIES.c.callback_by_id.is_not(None),
        _ENTRIES.c.callback_by_id != actor.user_id,
        _ENTRIES.c.due_at > now - CALLBACK_GRACE,
    )
    person = literal(f"{key}:").concat(cast(table.c.id, String))
    others = exists().where(_CLAIMS.c.person == person, _CLAIMS.c.until > now)
    shut = consent.first_closed(dial_people.gates(session, actor, key, table, dial.purpose, now))
    wishes = [table.c[name] for name in ("preferred_channel", "preferred_hours", "timezone", "do_not")] if key == "contact" else []
    columns = (
        _ENTRIES.c.id.label("entry_id"), _ENTRIES.c.rank, _ENTRIES.c.wait, literal(key).label("key"), table.c.id.label("record_id"), table.c.name,
        table.c.phone, table.c.deleted_at, case((promised, 0), else_=1).label("first"), shut.label("shut"), _called_today(actor, key, table).label("called"),
    )  # fmt: skip
    return (
        select(*columns, *wishes)
        .select_from(_ENTRIES.join(table, table.c.id == _ENTRIES.c[f"{key}_id"]))
        .where(
            _ENTRIES.c.list_id == dial.id,
            _ENTRIES.c.state == DialState.WAITING,
            or_(_ENTRIES.c.due_at.is_(None), _ENTRIES.c.due_at <= now),
        )
        .where(or_(table.c.deleted_at.is_not(None), visible(actor, key, table)), ~func.coalesce(reserved, False), ~others)
        .order_by(case((promised, 0), else_=1), _ENTRIES.c.rank, _ENTRIES.c.id)
        .limit(_BATCH)
    )


def _called_today(actor: Actor, key: str, table: Any) -> Any:
    """Whether somebody called them today, otherwise than from this very entry."""
    since = _midnight(actor)
    ours = select(_TRIED.c.activity_id).where(_TRIED.c.entry_id == _ENTRIES.c.id, _TRIED.c.activity_id == _CALLS.c.id)
    mine = (
        _CALLS.c[f"{key}_id"] == table.c.id,
        _CALLS.c.kind == ActivityKind.CALL,
        _CALLS.c.at >= since,
        _CALLS.c.deleted_at.is_(None),
    )
    return exists().where(*mine, ~ours.exists())


def _hindered(actor: Actor, dial: DialList, row: Any, region: str) -> dict[str, Any]:
    """What keeps somebody from being called now, as a change of their entry; nothing when they can be."""
    if row.deleted_at is not None or row.shut:
        return {"state": DialState.LEFT_OUT, "left_out": row.shut or GONE}
    if row.wait is DialWait.CALLBACK:
        return {}
    if row.called:
        return {"wait": DialWait.CALLED, "due_at": _midnight(actor, 1)}
    hours = Hours(dial.from_minute, dial.until_minute, dial.weekdays_only)
    opens = dial_rules.opens_at(_wishes(row._mapping, region), utcnow(), hours, fallback_zone=actor.timezone)
    return {"wait": DialWait.HOURS, "due_at": opens} if opens is not None else {}


def _wishes(row: Mapping[str, Any], region: str) -> Wishes:
    zone, phone = row.get("timezone") or "", row["phone"] or ""
    zones = (zone,) if zone else phone_zones(phone, region) if phone else ()
    return Wishes(
        row["name"],
        row.get("preferred_channel") or PreferredChannel.ANY,
        row.get("preferred_hours") or "",
        zones,
        do_not=row.get("do_not") or "",
    )


def _region(session: Session) -> str:
    return session.exec(pick(Organisation.phone_region)).first() or "US"


def _midnight(actor: Actor, days: int = 0) -> datetime:
    """When the actor's day begins, or one that many days later."""
    zone = ZoneInfo(actor.timezone)
    return datetime.combine(utcnow().astimezone(zone).date() + timedelta(days=days), time(), zone)


def _claim(session: Session, actor: Actor, row: Any) -> bool:
    """Keep somebody for the actor; False when a colleague has them. One statement, so that two who press at the same instant never both have them."""
    now = utcnow()
    values = {
        "person": dial_rules.name_of(row.key, row.record_id),
        "entry_id": row.entry_id,
        "user_id": actor.user_id,
        "until": now + timedelta(minutes=CLAIM_MINUTES),
    }
    values["list_id"] = select(_ENTRIES.c.list_id).where(_ENTRIES.c.id == row.entry_id).scalar_subquery()
    make = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    statement: Any = make(_CLAIMS).values(**values)
    fresh = {key: statement.excluded[key] for key in ("entry_id", "list_id", "user_id", "until")}
    statement = statement.on_conflict_do_update(index_elements=[_CLAIMS.c.person], set_=fresh, where=_CLAIMS.c.until <= now)
    return session.execute(statement.returning(_CLAIMS.c.person)).first() is not None


def current(session: Session, actor: Actor, list_id: int) -> Call | None:
    """Whom the actor has before them on this list."""
    dial = dial_lists.get(session, actor, list_id)
    entry_id = _held(session, actor, list_id)
    entry = session.get(DialEntry, entry_id) if entry_id else None
    if entry is None:
        return None
    key, record_id = person_of(entry)
    try:
        record = records.get(session, actor, key, record_id)
    except NotFound:
        return None
    reads.looked(session, actor, key, record_id)
    company = "" if actor.masked(key, "company") else getattr(record, "company", None) or ""
    if key == "contact" and record.account_id and actor.can("account", Action.READ) and not actor.masked("account", "name"):
        accounts = entity("account").table
        company = (
            session.execute(
                select(accounts.c.name).where(accounts.c.id == record.account_id, visible(actor, "account", accounts))
            ).scalar()
            or ""
        )
    name = lists.titles(session, actor, key, [record_id]).get(record_id, "")
    wishes = replace(_wishes(record.model_dump(), _region(session)), name=name)
    reach = reach_rules.may_reach(wishes, Way.CALL, utcnow(), fallback_zone=actor.timezone)
    value = entry.value if dial_people.may_know_order(session, actor, dial) else None
    return Call(
        entry.id, key, record_id, name, company, "" if actor.masked(key, "job_title") else record.job_title or "", record.phone or "", getattr(record, "account_id", None), value,
        entry.wait, entry.attempts, entry.outcome, entry.last_at, reach,
    )  # fmt: skip


def _held(session: Session, actor: Actor, list_id: int) -> int | None:
    mine = (_CLAIMS.c.user_id == actor.user_id, _CLAIMS.c.list_id == list_id)
    return session.execute(select(_CLAIMS.c.entry_id).where(*mine).order_by(_CLAIMS.c.until.desc()).limit(1)).scalar()


def person_of(entry: DialEntry) -> tuple[str, int]:
    """Whom an entry is about: (contact or lead, id)."""
    return ("contact", entry.contact_id) if entry.contact_id else ("lead", entry.lead_id or 0)


def calling(session: Session, actor: Actor, list_id: int) -> list[str]:
    """Which colleagues have somebody of this list before them now."""
    dial_lists.get(session, actor, list_id)
    query = pick(User.name).where(
        col(User.id).in_(
            select(_CLAIMS.c.user_id).where(
                _CLAIMS.c.list_id == list_id, _CLAIMS.c.until > utcnow(), _CLAIMS.c.user_id != actor.user_id
            )
        )
    )
    return sorted(session.exec(query))


def hidden(session: Session, actor: Actor, list_id: int) -> int:
    """How many of those who are due the actor's role does not show: others can call them."""
    dial = dial_lists.get(session, actor, list_id)
    due = (
        _ENTRIES.c.list_id == list_id,
        _ENTRIES.c.state == DialState.WAITING,
        or_(_ENTRIES.c.due_at.is_(None), _ENTRIES.c.due_at <= utcnow()),
    )
    count = 0
    for key in consent.PEOPLE if not dial.entity else (dial.entity,):
        table = entity(key).table
        theirs = select(table.c.id).where(visible(actor, key, table))
        column = _ENTRIES.c[f"{key}_id"]
        count += session.execute(select(func.count()).where(*due, column.is_not(None), column.not_in(theirs))).scalar_one()
    return int(count)


# --- what came of it --------------------------------------------------------------------------------------------------------


def settle(
    session: Session,
    actor: Actor,
    entry_id: int,
    *,
    outcome: str,
    note: str = "",
    minutes: int | None = None,
    call_back_at: datetime | None = None,
    follow_up: str = "",
    follow_up_on: Any = None,
    submit_key: str,
) -> int | None:
    """Log a call and take the next person in the same step; gives their entry, None when nobody is due. The same ``submit_key`` again logs nothing.

    Nobody there: again after a while, at most as often as the list says. A promised call back is a task of whoever promised it. Who wants no calls is
    not called by anybody any more; a wrong number is marked. Members of a campaign get their response. Raises Conflict when a colleague took the
    person over meanwhile. Events: those of the activity.
    """
    entry = session.get(DialEntry, entry_id)
    if entry is None:
        raise NotFound("This list was filled anew, and the person is no longer on it. Log the call on their own page.")
    dial = dial_lists.get(session, actor, entry.list_id)
    if session.exec(pick(DialAttempt.id).where(DialAttempt.submit_key == submit_key)).first() is None:
        said = CallOutcome(outcome) if outcome in OUTCOMES else None
        _check(said, call_back_at)
        assert said is not None
        key, record_id = person_of(entry)
        _hold(session, actor, key, record_id)
        activity = activities.log(
            session, actor, key, record_id, kind=ActivityKind.CALL, text=note or "", subject="" if note.strip() else f"Call from the list “{dial.name}”"[:300],
            minutes=minutes, outcome=said.value, follow_up=follow_up, follow_up_on=follow_up_on, submit_key=submit_key,
        )  # fmt: skip
        _settled(session, actor, dial, entry, said, activity, call_back_at, submit_key)
    elif (before := _held(session, actor, dial.id)) is not None:
        return before
    return take_next(session, actor, dial.id) if dial.closed_at is None else None


def _check(outcome: CallOutcome | None, call_back_at: datetime | None) -> None:
    if outcome is None:
        raise Invalid(fields={"outcome": "Say what came of the call."})
    if outcome is CallOutcome.CALL_BACK and call_back_at is None:
        raise Invalid(fields={"call_back_at": "Say when they want to be called back."})
    if call_back_at is not None and call_back_at <= utcnow():
        raise Invalid(fields={"call_back_at": "The call back lies in the past."})


def _hold(session: Session, actor: Actor, key: str, record_id: int) -> None:
    """The actor has this person before them, alone; whoever is still talking when their time is over does too, unless somebody took over."""
    claim = session.execute(select(_CLAIMS).where(_CLAIMS.c.person == dial_rules.name_of(key, record_id)).with_for_update()).first()
    if claim is not None and claim.user_id == actor.user_id:
        session.execute(delete(_CLAIMS).where(_CLAIMS.c.person == claim.person))
        return
    if claim is not None and claim.until > utcnow():
        name = session.exec(pick(User.name).where(User.id == claim.user_id)).first() or "A colleague"
        raise Conflict(f"{name} took this person over meanwhile. If you talked to them, log it on their own page.")
    raise Conflict("You don’t have this person before you any more. If you talked to them, log it on their own page.")


def _settled(
    session: Session,
    actor: Actor,
    dial: DialList,
    entry: DialEntry,
    outcome: CallOutcome,
    activity: Activity,
    call_back_at: datetime | None,
    submit_key: str,
) -> None:
    now = utcnow()
    before = {
        "state": entry.state.value,
        "wait": entry.wait.value if entry.wait else None,
        "outcome": entry.outcome.value if entry.outcome else None,
    }
    before |= {name: value.isoformat() if (value := getattr(entry, name)) else None for name in ("due_at", "last_at")}
    session.add(
        DialAttempt(
            list_id=dial.id, entry_id=entry.id, user_id=actor.user_id, at=now, outcome=outcome, activity_id=activity.id, before=before,
            submit_key=submit_key,
        )
    )  # fmt: skip
    entry.attempts += 1
    entry.outcome, entry.last_at = outcome, now
    then = dial_rules.after(
        outcome, entry.attempts, now=now, retry_hours=dial.retry_hours, most=dial.max_attempts, call_back_at=call_back_at
    )
    entry.state, entry.wait, entry.due_at = then.state, then.wait, then.due_at
    if outcome not in NOBODY_THERE:
        _promise(session, actor, entry, call_back_at, submit_key)
    session.add(entry)
    session.flush()
    key, record_id = person_of(entry)
    _follow(session, actor, dial, key, record_id, outcome)


def _promise(session: Session, actor: Actor, entry: DialEntry, call_back_at: datetime | None, submit_key: str) -> None:
    """The task of an earlier promise is done, since they were on the phone; a new promise gets its own."""
    everybody = replace(actor, is_system=True)
    task = session.get(Task, entry.task_id) if entry.task_id else None
    if task is not None and task.status is TaskStatus.OPEN and task.deleted_at is None:
        tasks.complete(session, everybody, task.id)
    entry.task_id = entry.callback_by_id = None
    if call_back_at is None or entry.wait is not DialWait.CALLBACK:
        return
    key, record_id = person_of(entry)
    record = records.get(session, actor, key, record_id)
    entry.callback_by_id = actor.user_id
    if actor.can("task", Action.CREATE):
        name = lists.titles(session, actor, key, [record_id]).get(record_id, "")
        values = {"subject": f"Call back {name}"[:300], "due_at": call_back_at, **activities.links_of(key, record)}
        entry.task_id = tasks.create(session, actor, values, submit_key=f"{submit_key}-c").id


def _follow(session: Session, actor: Actor, dial: DialList, key: str, record_id: int, outcome: CallOutcome) -> None:
    """What an outcome means beyond the list: for the campaign, for a number that is wrong, for somebody who wants no calls."""
    if dial.campaign_id:
        handouts.called(session, dial.campaign_id, key, record_id, dial_rules.RESPONSES.get(outcome, MemberStatus.SENT))
    if outcome is CallOutcome.WRONG_NUMBER and key == "contact":
        points: Any = ContactPoint.__table__  # type: ignore[attr-defined]
        theirs = and_(points.c.contact_id == record_id, points.c.kind == PointKind.PHONE, points.c.is_primary)
        session.execute(update(points).where(theirs).values(invalid=True, updated_at=utcnow()))
        db.bump(session, points.name)
        events.record(session, actor, "contact.points_changed", entity="contact", record_id=record_id)
    if outcome is CallOutcome.DO_NOT_CALL:
        record = records.get(session, actor, key, record_id)
        if key == "contact" and not record.do_not_call:  # their word counts whoever may change the record
            records.update(session, replace(actor, is_system=True), key, record_id, {"do_not_call": True})
        if record.phone and not _shared(session, key, record):
            words = "Asked on the phone not to be called"
            suppressions.note(session, actor, record.phone, SuppressionReason.UNSUBSCRIBED, way=ContactWay.PHONE, source=words)


def _shared(session: Session, key: str, record: Any) -> bool:
    """Whether other contacts have this contact's number, as behind a switchboard: the word of one is not that of all."""
    contacts = entity("contact").table
    others = (contacts.c.phone == record.phone, contacts.c.id != record.id, contacts.c.deleted_at.is_(None))
    return key == "contact" and session.execute(select(contacts.c.id).where(*others).limit(1)).first() is not None


def put_off(session: Session, actor: Actor, entry_id: int) -> int | None:
    """Not now: the person comes again in an hour; gives the next entry."""
    entry = session.get(DialEntry, entry_id)
    if entry is None:
        raise NotFound("This list was filled anew, and the person is no longer on it.")
    _open(session, actor, entry.list_id)
    _hold(session, actor, *person_of(entry))
    if entry.wait is not DialWait.CALLBACK:
        entry.wait = DialWait.LATER
    entry.due_at = utcnow() + LATER
    session.add(entry)
    session.flush()
    return take_next(session, actor, entry.list_id)


# --- a slip -----------------------------------------------------------------------------------------------------------------


def slip(session: Session, actor: Actor, list_id: int) -> Slip | None:
    """The actor's last call from this list when nobody was there, as long as it can be taken back."""
    dial_lists.get(session, actor, list_id)
    mine = (DialAttempt.list_id == list_id, DialAttempt.user_id == actor.user_id)
    row = session.exec(pick(DialAttempt).where(*mine).order_by(col(DialAttempt.id).desc()).limit(1)).first()
    if row is None or row.outcome not in NOBODY_THERE or row.at < utcnow() - TAKE_BACK:
        return None
    entry = session.get_one(DialEntry, row.entry_id)
    key, record_id = person_of(entry)
    name = lists.titles(session, actor, key, [record_id]).get(record_id, "") if actor.can(key, Action.READ) else ""
    return Slip(row.id, name, row.outcome) if name and entry.last_at == row.at else None


def take_back(session: Session, actor: Actor, attempt_id: int) -> None:
    """Undo the call that was logged by a slip of the hand: the activity goes to the bin, and the person is before the actor again."""
    row = session.get(DialAttempt, attempt_id)
    found = slip(session, actor, row.list_id) if row is not None else None
    if row is None or found is None or found.attempt_id != attempt_id:
        raise Conflict("This call can’t be taken back any more. Correct it on the person’s own page.")
    entry = session.get_one(DialEntry, row.entry_id)
    activity = session.get(Activity, row.activity_id) if row.activity_id else None
    if activity is not None and activity.deleted_at is None:
        records.discard(session, actor, "activity", activity)
    was = row.before
    entry.attempts -= 1
    entry.state = DialState(was["state"])
    entry.wait = DialWait(was["wait"]) if was["wait"] else None
    entry.outcome = CallOutcome(was["outcome"]) if was["outcome"] else None
    entry.due_at, entry.last_at = (datetime.fromisoformat(was[name]) if was[name] else None for name in ("due_at", "last_at"))
    session.add(entry)
    session.delete(row)
    session.flush()
    release(session, actor, entry.list_id)
    key, record_id = person_of(entry)
    claim = {"person": dial_rules.name_of(key, record_id), "entry_id": entry.id, "list_id": entry.list_id, "user_id": actor.user_id}
    other = session.execute(select(_CLAIMS.c.person).where(_CLAIMS.c.person == claim["person"])).first()
    if other is None:
        session.execute(insert(_CLAIMS).values(**claim, until=utcnow() + timedelta(minutes=CLAIM_MINUTES)))
