"""People as far as work goes: skills, most open records, shift, absences. An administrator edits everybody, a manager those below."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import or_
from sqlmodel import Session, col, select

from crm_core import events, jobs
from crm_core.access import Actor, owned_within, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, sort_key
from crm_core.models import Absence, ServiceCalendar, Team, User, WorkProfile
from crm_core.ordering import alphabetical
from crm_core.services.routing import standing
from crm_core.services.routing.choice_rules import TOP_SKILL
from crm_core.services.routing.standing import KINDS
from crm_core.vocabulary import Action

MOST_OPEN = 10_000
MOST_SKILLS = 50


@dataclass(frozen=True)
class AbsenceView:
    """A stretch of days on which somebody is away."""

    id: int
    first_on: date
    last_on: date
    note: str
    hand_on: bool


@dataclass(frozen=True)
class PersonView:
    """Somebody who may get work. ``away``: the last day of an absence that holds today; ``load``: entity → open records."""

    id: int
    name: str
    team: str
    takes_work: bool
    skills: Mapping[str, int]
    capacity: Mapping[str, int]
    calendar_id: int | None
    shift: str
    on_shift: bool
    away: str
    load: Mapping[str, int]
    absences: tuple[AbsenceView, ...] = field(default=())
    may_edit: bool = False
    version: int = 0


@dataclass(frozen=True)
class ProfileView:
    """What is entered about somebody's work, as it stands. ``version``: 0 while nothing is."""

    takes_work: bool
    skills: Mapping[str, int]
    capacity: Mapping[str, int]
    calendar_id: int | None
    version: int


def find(session: Session, actor: Actor) -> list[PersonView]:
    """The active people whom the actor looks after, with what is open now and the absences to come."""
    require(actor, "assignment", Action.READ)
    reach = owned_within(actor, col(User.id), actor.scopes("assignment", Action.MANAGE) or actor.scopes("assignment", Action.READ))
    users = list(
        session.exec(
            select(User).where(col(User.is_active), or_(reach, col(User.id) == actor.user_id)).order_by(alphabetical(User.name))
        )
    )
    ids = [user.id for user in users]
    profiles = {row.user_id: row for row in session.exec(select(WorkProfile).where(col(WorkProfile.user_id).in_(ids)))}
    teams = {team.id: team.name for team in session.exec(select(Team))}
    calendars = {row.id: row for row in session.exec(select(ServiceCalendar))}
    away, now = standing.away(session, ids, utcnow()), utcnow()
    open_ = {key: standing.loads(session, key, ids) for key in KINDS}
    absences = _coming(session, ids)
    editable = _editable(session, actor)
    made = []
    for user in users:
        profile = profiles.get(user.id)
        calendar = calendars.get(profile.calendar_id) if profile and profile.calendar_id else None
        made.append(
            PersonView(
                user.id, user.name, teams.get(user.team_id or 0, ""), profile.takes_work if profile else True, dict(profile.skills) if profile else {},
                dict(profile.capacity) if profile else {}, calendar.id if calendar else None, calendar.name if calendar else "",
                standing.hours_of(calendar).is_open(now) if calendar else True, away.get(user.id, ""),
                {key: found.get(user.id, 0) for key, found in open_.items()}, tuple(absences.get(user.id, ())), user.id in editable,
                profile.version if profile else 0,
            )
        )  # fmt: skip
    return made


def save(
    session: Session,
    actor: Actor,
    user_id: int,
    *,
    takes_work: bool,
    skills: Mapping[str, int],
    capacity: Mapping[str, int | None],
    calendar_id: int | None,
    base_version: int | None = None,
) -> WorkProfile:
    """Say what somebody can, how much they may have open and when they work. ``base_version``: the version that was drawn, 0 while there was none;
    another one is a Conflict whose ``details["rows"]`` holds the profile as it stands. Events: assignment.person_saved."""
    user = _get(session, actor, user_id)
    wrong = _wrong(session, skills, capacity, calendar_id)
    if wrong:
        raise Invalid(fields=wrong)
    known = session.exec(select(WorkProfile).where(WorkProfile.user_id == user_id)).first()
    row = known or WorkProfile(user_id=user_id)
    version = known.version if known else 0
    if base_version is not None and base_version != version:
        now = ProfileView(row.takes_work, dict(row.skills), dict(row.capacity), row.calendar_id, version)
        raise Conflict(f"Somebody else changed {user.name} meanwhile. Look at the new state and repeat your change.", rows=[now])
    row.takes_work, row.calendar_id = takes_work, calendar_id
    row.skills = {clean(name)[:60]: int(level) for name, level in skills.items() if clean(name)}
    row.capacity = {key: int(value) for key, value in capacity.items() if value is not None}
    session.add(row)
    session.flush()
    events.record(session, actor, "assignment.person_saved", entity="assignment", record_id=user_id, data={"name": user.name})
    return row


def add_absence(
    session: Session, actor: Actor, user_id: int, *, first_on: date, last_on: date, note: str = "", hand_on: bool = True
) -> Absence:
    """Enter days on which somebody is away. From the first of them on they get no work; ``hand_on``: others get their open tickets.
    Events: assignment.absence_saved."""
    user = _get(session, actor, user_id, own=True)
    if last_on < first_on:
        raise Invalid(fields={"last_on": "An absence can't end before it begins."})
    if last_on - first_on > timedelta(days=366 * 2):
        raise Invalid(fields={"last_on": "An absence is at most two years long. Deactivate who has left."})
    row = Absence(user_id=user_id, first_on=first_on, last_on=last_on, note=clean(note)[:120], hand_on=hand_on)
    session.add(row)
    session.flush()
    events.record(session, actor, "assignment.absence_saved", entity="assignment", record_id=user_id, data={"name": user.name})
    if hand_on:
        jobs.enqueue(session, "routing.hand_on", unless_waiting=True)
    return row


def remove_absence(session: Session, actor: Actor, absence_id: int) -> None:
    """Take an absence back: the person gets work again. Events: assignment.absence_removed."""
    row = session.get(Absence, absence_id)
    if row is None:
        raise NotFound("This absence no longer exists.")
    user = _get(session, actor, row.user_id, own=True)
    session.delete(row)
    session.flush()
    events.record(session, actor, "assignment.absence_removed", entity="assignment", record_id=user.id, data={"name": user.name})


def skill_names(session: Session, actor: Actor) -> list[str]:
    """Every skill that somebody has, to choose from."""
    require(actor, "assignment", Action.READ)
    return sorted({name for row in session.exec(select(WorkProfile)) for name in row.skills}, key=sort_key)


def _editable(session: Session, actor: Actor) -> set[int]:
    scopes = actor.scopes("assignment", Action.MANAGE)
    return set(session.exec(select(User.id).where(owned_within(actor, col(User.id), scopes)))) if scopes else set()


def _get(session: Session, actor: Actor, user_id: int, *, own: bool = False) -> User:
    """The person, if the actor looks after them; ``own``: everybody may enter their own absences."""
    if not (own and user_id == actor.user_id):
        require(actor, "assignment", Action.MANAGE)
    user = session.get(User, user_id)
    mine = own and user_id == actor.user_id
    if user is None or not (mine or user_id in _editable(session, actor)):
        raise NotFound("This person does not exist, or is not one of yours.")
    return user


def _coming(session: Session, ids: list[int]) -> dict[int, list[AbsenceView]]:
    since = utcnow().date() - timedelta(days=1)
    found: dict[int, list[AbsenceView]] = {}
    rows = session.exec(
        select(Absence).where(col(Absence.user_id).in_(ids), Absence.last_on >= since).order_by(col(Absence.first_on))
    )
    for row in rows:
        found.setdefault(row.user_id, []).append(AbsenceView(row.id, row.first_on, row.last_on, row.note, row.hand_on))
    return found


def _wrong(session: Session, skills: Mapping[str, Any], capacity: Mapping[str, Any], calendar_id: int | None) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if len(skills) > MOST_SKILLS:
        wrong["skills"] = f"At most {MOST_SKILLS} skills."
    if any(isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= TOP_SKILL for level in skills.values()):
        wrong["skills"] = f"A skill has a level from 1 to {TOP_SKILL}."
    given = [value for value in capacity.values() if value is not None]
    if set(capacity) - set(KINDS) or any(
        isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_OPEN for value in given
    ):
        wrong["capacity"] = f"The most open records are a whole number up to {written(MOST_OPEN)}, or empty for no limit."
    if calendar_id is not None and session.get(ServiceCalendar, calendar_id) is None:
        wrong["calendar_id"] = "These working hours no longer exist."
    return wrong
