"""Service levels: which tickets are promised what, in which working hours, and who hears of it when a promise breaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, jobs
from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound
from crm_core.filters import unaskable, where
from crm_core.kit.text import clean
from crm_core.models import ServiceCalendar, SlaClock, SlaPolicy, Team, User
from crm_core.records import refuse_stale
from crm_core.services.helpdesk import escalation_rules
from crm_core.vocabulary import Action, Priority, SlaTarget

MAX_MINUTES = 60 * 24 * 365
Targets = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class PolicyView:
    """A service level as a screen edits it. ``broken``: why its filter can't be asked any more; it then holds for no ticket."""

    id: int
    version: int
    name: str
    is_active: bool
    filter: dict[str, Any] | None
    calendar_id: int | None
    targets: dict[str, dict[str, int]]
    escalate_to_id: int | None
    broken: str = ""
    escalation: tuple[dict[str, Any], ...] = ()


def find(session: Session, actor: Actor) -> list[PolicyView]:
    """All service levels in the order in which they are tried."""
    require(actor, "ticket", Action.READ)
    return [_view(session, row) for row in _ordered(session)]


def save(
    session: Session,
    actor: Actor,
    policy_id: int | None,
    *,
    name: str,
    targets: Targets,
    filter: Mapping[str, Any] | None = None,
    calendar_id: int | None = None,
    escalate_to_id: int | None = None,
    escalation: Sequence[Mapping[str, Any]] = (),
    is_active: bool = True,
    base_version: int | None = None,
) -> SlaPolicy:
    """Create a service level or change it; open tickets are planned anew. Events: service_level.saved."""
    require(actor, "service_level", Action.MANAGE)
    row = _get(session, policy_id) if policy_id else SlaPolicy(name="", rank=len(_ordered(session)) + 1)
    refuse_stale("this service level", row, base_version, lambda: _view(session, row))
    _check(session, actor, name, targets, filter, calendar_id, escalate_to_id, row.id)
    row.name, row.filter, row.calendar_id = clean(name)[:80], dict(filter) if filter else None, calendar_id
    row.targets = {priority: dict(minutes) for priority, minutes in targets.items() if minutes}
    row.escalate_to_id, row.is_active = escalate_to_id, is_active
    row.escalation = _escalation(session, escalation)
    session.add(row)
    session.flush()
    return _changed(session, actor, row, "service_level.saved")


def move(session: Session, actor: Actor, policy_id: int, *, up: bool) -> None:
    """Try a service level earlier or later than its neighbour. Events: service_level.saved."""
    require(actor, "service_level", Action.MANAGE)
    rows, row = _ordered(session), _get(session, policy_id)
    at = next(place for place, one in enumerate(rows) if one.id == row.id)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(rows):
        return
    rows[at], rows[to] = rows[to], rows[at]
    for rank, one in enumerate(rows, start=1):
        one.rank = rank
        session.add(one)
    session.flush()
    _changed(session, actor, row, "service_level.saved")


def remove(session: Session, actor: Actor, policy_id: int) -> None:
    """Take a service level away; its running clocks end or follow the next one that matches. Events: service_level.removed."""
    require(actor, "service_level", Action.MANAGE)
    row = _get(session, policy_id)
    for clock in session.exec(select(SlaClock).where(SlaClock.policy_id == row.id)):
        clock.policy_id = None
        session.add(clock)
    session.flush()
    session.delete(row)
    session.flush()
    _changed(session, actor, row, "service_level.removed")


def _changed(session: Session, actor: Actor, row: SlaPolicy, event: str) -> SlaPolicy:
    events.record(session, actor, event, entity="service_level", record_id=row.id, data={"name": row.name})
    jobs.enqueue(session, "helpdesk.sla_sweep")
    return row


def _escalation(session: Session, steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    people = set(session.exec(select(User.id).where(col(User.is_active))))
    try:
        return escalation_rules.checked(steps, people, set(session.exec(select(Team.id))))
    except ValueError as error:
        raise Invalid(fields={"escalation": str(error)}) from error


def _check(
    session: Session,
    actor: Actor,
    name: str,
    targets: Targets,
    filter: Mapping[str, Any] | None,
    calendar_id: int | None,
    escalate_to_id: int | None,
    own_id: int | None,
) -> None:
    wrong: dict[str, str] = {}
    if not clean(name):
        wrong["name"] = "Give the service level a name."
    same = [row.name for row in _ordered(session) if row.id != own_id and row.name.casefold() == clean(name).casefold()]
    if same:
        wrong["name"] = f"There is a service level called “{same[0]}” already."
    if calendar_id is not None and session.get(ServiceCalendar, calendar_id) is None:
        wrong["calendar_id"] = "These working hours no longer exist."
    user = session.get(User, escalate_to_id) if escalate_to_id is not None else None
    if escalate_to_id is not None and (user is None or not user.is_active):
        wrong["escalate_to_id"] = "Choose somebody who is active."
    wrong |= _wrong_targets(targets)
    if wrong:
        raise Invalid(fields=wrong)
    where(session, "ticket", filter, actor)  # raises Invalid with the sentence


def _wrong_targets(targets: Targets) -> dict[str, str]:
    known = {priority.value for priority in Priority}, {target.value for target in SlaTarget}
    if not any(targets.values()):
        return {"targets": "Promise something: a time for at least one priority."}
    for priority, minutes in targets.items():
        for target, value in minutes.items():
            if priority not in known[0] or target not in known[1]:
                return {"targets": "That is no priority or no promise."}
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_MINUTES:
                return {"targets": "A promise is a time between one minute and a year."}
    return {}


def _ordered(session: Session) -> list[SlaPolicy]:
    return list(session.exec(select(SlaPolicy).order_by(col(SlaPolicy.rank), col(SlaPolicy.id))))


def _get(session: Session, policy_id: int) -> SlaPolicy:
    row = session.get(SlaPolicy, policy_id)
    if row is None:
        raise NotFound("This service level no longer exists.")
    return row


def _view(session: Session, row: SlaPolicy) -> PolicyView:
    targets = {priority: dict(minutes) for priority, minutes in row.targets.items()}
    return PolicyView(
        row.id, row.version, row.name, row.is_active, row.filter, row.calendar_id, targets, row.escalate_to_id,
        unaskable(session, "ticket", row.filter), tuple(row.escalation or ()),
    )  # fmt: skip
