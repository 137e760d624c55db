"""What came of a call from a list: logged as any call is, it settles what becomes of the person on the list; a slip of the hand is taken back."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import lists, records
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.models import Activity, DialAttempt, DialEntry, DialList, Task, User
from crm_core.services.collaboration import activities, suppressions, tasks
from crm_core.services.customers import contacts
from crm_core.services.marketing import handouts
from crm_core.services.sales import leads
from crm_core.services.telephony import dial_lists, dial_rules
from crm_core.services.telephony.dial_due import CLAIMS
from crm_core.services.telephony.dial_rules import NOBODY_THERE, OUTCOMES
from crm_core.services.telephony.dialling import CLAIM_MINUTES, before_me, opened, person_of, release, take_next
from crm_core.vocabulary import (
    Action,
    ActivityKind,
    CallOutcome,
    ContactWay,
    DialState,
    DialWait,
    MemberStatus,
    SuppressionReason,
    TaskStatus,
)

TAKE_BACK = timedelta(minutes=30)
LATER = timedelta(hours=1)


@dataclass(frozen=True)
class Slip:
    """The call that somebody logged last, as long as it can be taken back."""

    attempt_id: int
    name: str
    outcome: CallOutcome


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
    entry, dial = _on_a_list(session, actor, entry_id, dial_lists.get)
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
    elif (before := before_me(session, actor, dial.id)) is not None:
        return before
    return take_next(session, actor, dial.id) if dial.closed_at is None else None


def _on_a_list(session: Session, actor: Actor, entry_id: int, list_of: Callable[..., DialList]) -> tuple[DialEntry, DialList]:
    """The entry with its list; that of a list which the actor does not see looks like one that is gone."""
    require(actor, "activity", Action.CREATE)
    entry = session.get(DialEntry, entry_id)
    with suppress(NotFound):
        if entry is not None:
            return entry, list_of(session, actor, entry.list_id)
    raise NotFound(
        "This list was filled anew or is no longer shared with you, and the person is no longer on it. Log the call on their own page."
    )


def _check(outcome: CallOutcome | None, call_back_at: datetime | None) -> None:
    if outcome is None:
        raise Invalid(fields={"outcome": "Say what came of the call."})
    if outcome is CallOutcome.CALL_BACK and call_back_at is None:
        raise Invalid(fields={"call_back_at": "Say when they want to be called back."})
    if call_back_at is not None and call_back_at <= utcnow():
        raise Invalid(fields={"call_back_at": "The call back lies in the past."})


def _hold(session: Session, actor: Actor, key: str, record_id: int) -> None:
    """The actor has this person before them, alone; whoever is still talking when their time is over does too, unless somebody took over."""
    claim = session.execute(select(CLAIMS).where(CLAIMS.c.person == dial_rules.name_of(key, record_id)).with_for_update()).first()
    if claim is not None and claim.user_id == actor.user_id:
        session.execute(delete(CLAIMS).where(CLAIMS.c.person == claim.person))
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
    if outcome is CallOutcome.WRONG_NUMBER:
        owner = contacts if key == "contact" else leads
        owner.number_is_wrong(session, actor, record_id)
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
    entry, _ = _on_a_list(session, actor, entry_id, opened)
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
    found = slip(session, actor, row.list_id) if row is not None and row.user_id == actor.user_id else None
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
    other = session.execute(select(CLAIMS.c.person).where(CLAIMS.c.person == claim["person"])).first()
    if other is None:
        session.execute(insert(CLAIMS).values(**claim, until=utcnow() + timedelta(minutes=CLAIM_MINUTES)))
