"""Teams: who works together. The scope "own team" and territories of figures follow them."""

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.text import clean
from crm_core.models import Team, User
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.vocabulary import Action


@dataclass(frozen=True)
class TeamRow:
    """A team as the list shows it."""

    id: int
    name: str
    office: str | None
    people: int
    version: int


def find(session: Session, actor: Actor) -> list[TeamRow]:
    """All teams with the number of their active people, by name."""
    require(actor, "user", Action.MANAGE)
    count = select(func.count()).where(User.team_id == Team.id, User.is_active).correlate(Team).scalar_subquery()  # type: ignore[arg-type]
    found = session.exec(select(Team, count).order_by(alphabetical(Team.name)))
    return [TeamRow(team.id, team.name, team.office, people, team.version) for team, people in found]


def create(session: Session, actor: Actor, *, name: str, office: str = "") -> Team:
    """Add a team. Events: team.created."""
    require(actor, "user", Action.MANAGE)
    team = Team(name=_free_name(session, name), office=clean(office)[:300] or None)
    session.add(team)
    session.flush()
    events.record(session, actor, "team.created", team)
    return team


def update(session: Session, actor: Actor, team_id: int, *, name: str, office: str = "", base_version: int | None = None) -> Team:
    """Rename a team or move its office. Events: team.updated."""
    require(actor, "user", Action.MANAGE)
    team = _get(session, team_id)
    refuse_stale("this team", team, base_version)
    before = (team.name, team.office)
    team.name, team.office = _free_name(session, name, of=team.id), clean(office)[:300] or None
    changed = {"name": (before[0], team.name), "office": (before[1], team.office)}
    changed = {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
    if changed:
        session.flush()
        events.record(session, actor, "team.updated", team, changes=changed)
    return team


def remove(session: Session, actor: Actor, team_id: int) -> None:
    """Delete a team that nobody belongs to any more, deactivated people included. Events: team.removed."""
    require(actor, "user", Action.MANAGE)
    team = _get(session, team_id)
    people = session.exec(select(func.count()).where(User.team_id == team.id)).one()
    if people:
        raise Conflict(
            f"{people} {'person belongs' if people == 1 else 'people belong'} to {team.name}. Move them to another team first."
        )
    session.delete(team)
    session.flush()
    events.record(session, actor, "team.removed", entity="team", record_id=team_id, data={"name": team.name})


def _get(session: Session, team_id: int) -> Team:
    team = session.get(Team, team_id) if isinstance(team_id, int) and 0 < team_id < 2**31 else None
    if team is None:
        raise NotFound("This team does not exist any more.")
    return team


def _free_name(session: Session, name: str, *, of: int | None = None) -> str:
    wanted = clean(name)[:200]
    if not wanted:
        raise Invalid(fields={"name": "Give the team a name."})
    other = session.exec(select(Team).where(func.lower(Team.name) == wanted.lower())).first()
    if other is not None and other.id != of:
        raise Conflict(f"There is already a team called {other.name}.")
    return wanted
