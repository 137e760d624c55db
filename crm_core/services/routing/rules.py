"""Assignment rules: an administrator says who gets which leads, deals and tickets, in which order the rules are tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.filters import in_words, tells, unaskable, where
from crm_core.kit.text import clean
from crm_core.models import RoutingRule, RoutingTurn, Team, User, WorkQueue
from crm_core.records import refuse_stale
from crm_core.services.routing.choice_rules import TOP_SKILL, WEIGHTS
from crm_core.services.routing.standing import KINDS
from crm_core.veil import MASK
from crm_core.vocabulary import Action, RouteMethod, Scope

MOST_WEIGHT = 100


@dataclass(frozen=True)
class RuleView:
    """A rule as screens show and edit it. Nothing in ``people``, ``team_id`` and ``territory``: it only fills its queue. ``broken``: why its filter can't
    be asked any more; it then fits nothing."""

    id: int
    version: int
    name: str
    entity: str
    is_active: bool
    filter: Mapping[str, Any] | None
    method: RouteMethod
    people: tuple[tuple[int, int], ...] = ()
    team_id: int | None = None
    queue_id: int | None = None
    territory: Mapping[str, Any] = field(default_factory=dict)
    skill: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    turns: int = 0
    broken: str = ""


def find(session: Session, actor: Actor, *, entity: str | None = None) -> list[RuleView]:
    """The rules in the order in which they are tried."""
    require(actor, "assignment", Action.READ)
    turns = {row.rule_id: row.turns for row in session.exec(select(RoutingTurn))}
    return [_view(session, row, turns.get(row.id, 0)) for row in _ordered(session) if entity in (None, row.entity)]


def save(
    session: Session,
    actor: Actor,
    rule_id: int | None,
    *,
    name: str,
    entity: str,
    method: RouteMethod,
    filter: Mapping[str, Any] | None = None,
    people: Sequence[tuple[int, int]] = (),
    team_id: int | None = None,
    queue_id: int | None = None,
    territory: Mapping[str, Any] | None = None,
    skill: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
    is_active: bool = True,
    base_version: int | None = None,
) -> RoutingRule:
    """Create a rule or change it; turns that were given stay counted. Events: assignment.saved."""
    require_all(actor)
    made = draft(
        session, actor, rule_id, name=name, entity=entity, method=method, filter=filter, people=people, team_id=team_id, queue_id=queue_id,
        territory=territory, skill=skill, weights=weights,
    )  # fmt: skip
    row = _get(session, rule_id) if rule_id else made
    refuse_stale("this rule", row, base_version, lambda: _view(session, row, 0))
    if rule_id:
        for key in ("name", "filter", "method", "people", "team_id", "queue_id", "territory", "skill", "weights"):
            setattr(row, key, getattr(made, key))
    else:
        row.rank = len(_ordered(session)) + 1
    row.is_active = is_active
    session.add(row)
    session.flush()
    if session.exec(select(RoutingTurn).where(RoutingTurn.rule_id == row.id)).first() is None:
        session.add(RoutingTurn(rule_id=row.id))
    _changed(session, actor, row, "assignment.saved")
    return row


def draft(
    session: Session,
    actor: Actor,
    rule_id: int | None,
    *,
    name: str,
    entity: str,
    method: RouteMethod,
    filter: Mapping[str, Any] | None = None,
    people: Sequence[tuple[int, int]] = (),
    team_id: int | None = None,
    queue_id: int | None = None,
    territory: Mapping[str, Any] | None = None,
    skill: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
) -> RoutingRule:
    """A checked rule that is not stored: to be tried on the past, or to be saved. Raises Invalid with a sentence per field."""
    require(actor, "assignment", Action.READ)
    if entity not in KINDS:
        raise Invalid(fields={"entity": "Leads, deals and tickets can be assigned by rules."})
    made = RoutingRule(
        name=clean(name)[:80], entity=entity, method=method, filter=dict(filter) if filter else None,
        people=[{"user_id": user_id, "weight": weight} for user_id, weight in people], team_id=team_id, queue_id=queue_id,
        territory=_territory(territory) if method is RouteMethod.TERRITORY else {}, skill=_skill(skill),
        weights={key: float((weights or WEIGHTS).get(key, 0)) for key in WEIGHTS} if method is RouteMethod.CAPABLE else {},
    )  # fmt: skip
    wrong = _wrong(session, made, rule_id)
    if wrong:
        raise Invalid(fields=wrong)
    where(session, entity, made.filter, actor)  # raises Invalid with the sentence
    return made


def move(session: Session, actor: Actor, rule_id: int, *, up: bool) -> None:
    """Try a rule earlier or later than its neighbour of the same kind of record. Events: assignment.saved."""
    require_all(actor)
    row = _get(session, rule_id)
    rows = [one for one in _ordered(session) if one.entity == row.entity]
    at = rows.index(row)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(rows):
        return
    rows[at], rows[to] = rows[to], rows[at]
    for rank, one in enumerate(rows, start=1):
        one.rank = rank
        session.add(one)
    session.flush()
    _changed(session, actor, row, "assignment.saved")


def switch(session: Session, actor: Actor, rule_id: int, *, on: bool) -> None:
    """Let a rule take part, or rest. Events: assignment.saved."""
    require_all(actor)
    row = _get(session, rule_id)
    row.is_active = on
    session.add(row)
    session.flush()
    _changed(session, actor, row, "assignment.saved")


def remove(session: Session, actor: Actor, rule_id: int) -> None:
    """Take a rule away. What it decided stays in the log; what waits is offered by the next rule that fits. Events: assignment.removed."""
    require_all(actor)
    row = _get(session, rule_id)
    turns = session.exec(select(RoutingTurn).where(RoutingTurn.rule_id == row.id)).first()
    if turns is not None:
        session.delete(turns)
        session.flush()
    session.delete(row)
    session.flush()
    _changed(session, actor, row, "assignment.removed")


def words(session: Session, actor: Actor, entity: str, filter: Mapping[str, Any] | None) -> str:
    """A rule's filter as a sentence."""
    require(actor, "assignment", Action.READ)
    return in_words(session, entity, filter)


def require_all(actor: Actor) -> None:
    """Rules, queues and points hold for everybody, so only who manages the whole of it may change them."""
    require(actor, "assignment", Action.MANAGE)
    if Scope.ALL not in actor.scopes("assignment", Action.MANAGE):
        raise NotPermitted("Your role may look after the people below you, but not change the rules for everybody.")


def _changed(session: Session, actor: Actor, row: RoutingRule, event: str) -> None:
    events.record(session, actor, event, entity="assignment", record_id=row.id, data={"name": row.name})


def _wrong(session: Session, made: RoutingRule, own_id: int | None) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if not made.name:
        wrong["name"] = "Give the rule a name."
    if any(row.id != own_id and row.name.casefold() == made.name.casefold() for row in _ordered(session)):
        wrong["name"] = f"There is a rule called “{made.name}” already."
    ids = {row["user_id"] for row in made.people} | {row["user_id"] for row in made.territory.get("rows", ())}
    active = set(session.exec(select(User.id).where(col(User.id).in_(ids), col(User.is_active)))) if ids else set()
    if ids - active:
        wrong["people"] = "Somebody of this rule has left. Choose people who are active."
    if any(not 1 <= int(row["weight"]) <= MOST_WEIGHT for row in made.people):
        wrong["people"] = f"A weight is a whole number from 1 to {MOST_WEIGHT}."
    if made.team_id is not None and session.get(Team, made.team_id) is None:
        wrong["team_id"] = "This team no longer exists."
    if made.queue_id is not None and session.get(WorkQueue, made.queue_id) is None:
        wrong["queue_id"] = "This queue no longer exists."
    if made.method is RouteMethod.TERRITORY and not made.territory.get("rows"):
        wrong["territory"] = "Say who has which territory."
    if not ids and made.team_id is None and made.queue_id is None:
        wrong["people"] = "Choose people, a team or a queue."
    wrong |= _wrong_fields(session, made)
    return wrong


def _wrong_fields(session: Session, made: RoutingRule) -> dict[str, str]:
    specs = registry(session, made.entity)
    asked = made.skill.get("field")
    if asked and asked not in specs:
        return {"skill": "There is no such field that could name the skill."}
    path = made.territory.get("field", "")
    head, _, tail = path.partition(".")
    known = (head == "account" and "account_id" in specs and tail in registry(session, "account")) if tail else path in specs
    return (
        {} if made.method is not RouteMethod.TERRITORY or known else {"territory": "Choose the field that tells territories apart."}
    )


def _territory(given: Mapping[str, Any] | None) -> dict[str, Any]:
    rows = [
        {"values": [clean(str(value)) for value in row["values"] if clean(str(value))][:500], "user_id": int(row["user_id"])}
        for row in (given or {}).get("rows", ())
    ]
    return {"field": str((given or {}).get("field", "")), "rows": [row for row in rows if row["values"]]}


def _skill(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if not given or not (given.get("field") or clean(str(given.get("name") or ""))):
        return {}
    level = min(max(1, int(given.get("min") or 1)), TOP_SKILL)
    return (
        {"field": str(given["field"]), "min": level}
        if given.get("field")
        else {"name": clean(str(given["name"]))[:60], "min": level}
    )


def told(session: Session, actor: Actor, rule: RoutingRule) -> str:
    """The name of one rule as the actor may read it."""
    return MASK if tells(session, actor, rule.entity, rule.filter, *_paths(rule)) else rule.name


def untold(session: Session, actor: Actor) -> set[int] | None:
    """Rules whose name might tell what the actor's role hides, since they go by it; None: nothing is hidden, so that even the name of a rule that is gone
    may be read."""
    if not actor.masks:
        return None
    return {row.id for row in _ordered(session) if tells(session, actor, row.entity, row.filter, *_paths(row))}


def _paths(row: RoutingRule) -> list[str]:
    return [str(one["field"]) for one in (row.territory, row.skill) if one and one.get("field")]


def rule_told(rule_id: int | None, name: str, hidden: set[int] | None) -> str:
    """The name of a rule for a reader to whom ``hidden`` ones are not told; of one that is gone nobody knows what it went by."""
    return MASK if name and hidden is not None and (rule_id is None or rule_id in hidden) else name


def _ordered(session: Session) -> list[RoutingRule]:
    return list(session.exec(select(RoutingRule).order_by(col(RoutingRule.entity), col(RoutingRule.rank), col(RoutingRule.id))))


def _get(session: Session, rule_id: int) -> RoutingRule:
    row = session.get(RoutingRule, rule_id)
    if row is None:
        raise NotFound("This assignment rule no longer exists.")
    return row


def _view(session: Session, row: RoutingRule, turns: int) -> RuleView:
    people = tuple((int(one["user_id"]), int(one.get("weight") or 1)) for one in row.people)
    return RuleView(
        row.id, row.version, row.name, row.entity, row.is_active, row.filter, row.method, people, row.team_id, row.queue_id, row.territory,
        row.skill, row.weights, turns, unaskable(session, row.entity, row.filter),
    )  # fmt: skip
