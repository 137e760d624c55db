"""Giving a record to somebody by the rules: the first rule that fits, the people who are free, one decision with everybody who was considered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import exists, select
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core import records
from crm_core.access import Actor, system
from crm_core.entities import entity, label_of
from crm_core.errors import Conflict, Invalid
from crm_core.filters import first_fitting
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Event, QueueItem, RoutingDecision, RoutingRule, RoutingTurn, User
from crm_core.services.collaboration import notifications
from crm_core.services.helpdesk import tickets
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.services.routing import choice_rules, standing
from crm_core.services.routing.choice_rules import Candidate
from crm_core.services.routing.rules import told
from crm_core.services.routing.standing import KINDS, Need
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import Action, RouteMethod, RouteOutcome


def _assign_deal(session: Session, actor: Actor, deal_id: int, owner_id: int | None) -> Any:
    return deals.update(session, actor, deal_id, {"owner_id": owner_id})


_ASSIGN: dict[str, Callable[..., Any]] = {"lead": leads.assign, "deal": _assign_deal, "ticket": tickets.assign}


@dataclass(frozen=True)
class Proposal:
    """What the rules say about a record at this moment, before anything is written. ``user_id`` None: nobody is free, or no rule fits."""

    rule: RoutingRule | None
    user_id: int | None
    candidates: tuple[Candidate, ...] = ()
    state: Mapping[str, int] | None = None


def route(
    session: Session, actor: Actor, entity_key: str, record_id: int, *, why: str = "", replace_owner: bool = False
) -> RoutingDecision | None:
    """Give a record to somebody by the rules, or let it wait in a queue. None when it has an owner already or is done.

    ``replace_owner`` takes it from who has it (they are away); when nobody else is free, it stays there.
    """
    record = _workable(session, actor, entity_key, record_id)
    if record is None:
        return None
    lock(session)
    session.refresh(record)
    if record.owner_id is not None and not replace_owner:
        _leave_queue(session, entity_key, record_id)
        return None
    found = propose(session, entity_key, record, avoid=record.owner_id)
    if found.rule is None and not _any_rule(session, entity_key):
        return None
    return _carry_out(session, actor, entity_key, record, found, why)


def explain(session: Session, actor: Actor, entity_key: str, record_id: int) -> Proposal:
    """Who would get a record now and why, without giving it to anybody. Whether it has an owner plays no part."""
    record = records.get(session, actor, _known(entity_key), record_id)
    return propose(session, entity_key, record)


def propose(session: Session, entity_key: str, record: Any, *, avoid: int | None = None) -> Proposal:
    """The first rule that fits and its choice. Rules are read as the product itself: who gets work depends on nobody's rights but their own."""
    rule = rule_for(session, entity_key, record.id)
    if rule is None:
        return Proposal(None, None)
    return weigh(session, rule, record, avoid=avoid)


def weigh(session: Session, rule: RoutingRule, record: Any, *, avoid: int | None = None) -> Proposal:
    """Everybody whom a rule may give this record to, with the one who is next."""
    everybody = members(session, rule)
    if not everybody:
        return Proposal(rule, None)
    capable = rule.method is RouteMethod.CAPABLE
    found = standing.candidates(session, rule.entity, everybody, need_of(rule, record), utcnow(), success=capable)
    found = [replace(one, why_not="absent", detail="") if one.user_id == avoid and one.free else one for one in found]
    if rule.method is RouteMethod.TERRITORY:
        at_home = choice_rules.territory_of(rule.territory.get("rows", ()), place_of(session, rule, record))
        found = [one if one.user_id in at_home else replace(one, why_not="elsewhere", detail="") for one in found]
    weights = rule.weights or choice_rules.WEIGHTS
    made = choice_rules.choose(rule.method, found, _state(session, rule), weights)
    return Proposal(rule, made.user_id, made.candidates, made.state)


def members(session: Session, rule: RoutingRule) -> dict[int, int]:
    """Person → weight: who is named, who has a territory, and the active people of the team."""
    found = {int(row["user_id"]): 1 for row in rule.territory.get("rows", ())} if rule.method is RouteMethod.TERRITORY else {}
    if rule.team_id is not None:
        query = fetch(User.id).where(User.team_id == rule.team_id, col(User.is_active))
        found |= dict.fromkeys(session.exec(query), 1)
    return found | {int(row["user_id"]): max(1, int(row.get("weight") or 1)) for row in rule.people}


def need_of(rule: RoutingRule, record: Any) -> Need:
    """The skill that a rule asks for: one by name, or the one called like the value of a field."""
    asked = rule.skill or {}
    category = getattr(record, standing.CATEGORY[rule.entity], None)
    name = asked.get("name") or (getattr(record, asked["field"], None) if asked.get("field") else "")
    return Need(str(name or ""), int(asked.get("min") or 1), category)


def place_of(session: Session, rule: RoutingRule, record: Any) -> Any:
    """The value by which a rule of territories tells records apart; None for other methods."""
    return value_of(session, record, rule.territory.get("field", "")) if rule.method is RouteMethod.TERRITORY else None


def value_of(session: Session, record: Any, path: str) -> Any:
    """The value of a field of a record or of its account (``account.country``)."""
    head, _, tail = path.partition(".")
    if tail:
        account_id = getattr(record, f"{head}_id", None)
        above = session.get(entity(head).model, account_id) if account_id is not None else None
        return value_of(session, above, tail) if above is not None else None
    return getattr(record, path, None) if path in type(record).model_fields else (record.extra or {}).get(path)


def lock(session: Session, *, nowait: bool = False) -> None:
    """One decision after another: turns are exact and nobody is given more than their capacity, whatever runs at once."""
    table = RoutingTurn.__table__  # type: ignore[attr-defined]
    session.execute(select(table.c.id).order_by(table.c.id).with_for_update(nowait=nowait))


def _known(entity_key: str) -> str:
    if entity_key not in KINDS:
        raise Invalid("Only leads, deals and tickets are assigned by rules.")
    return entity_key


def _workable(session: Session, actor: Actor, entity_key: str, record_id: int) -> Any:
    record = records.get(session, actor, _known(entity_key), record_id, action=Action.EDIT)
    table = entity(entity_key).table
    clause = (table.c.id == record_id) & standing.open_clause(entity_key)
    return record if session.execute(select(exists(select(table.c.id).where(clause)))).scalar_one() else None


def rule_for(session: Session, entity_key: str, record_id: int) -> RoutingRule | None:
    """The first active rule whose filter a record matches."""
    query = fetch(RoutingRule).where(RoutingRule.entity == entity_key, col(RoutingRule.is_active))
    return first_fitting(session, entity_key, record_id, session.exec(query.order_by(col(RoutingRule.rank), col(RoutingRule.id))))


def _any_rule(session: Session, entity_key: str) -> bool:
    query = fetch(RoutingRule.id).where(RoutingRule.entity == entity_key, col(RoutingRule.is_active))
    return session.exec(query).first() is not None


def _state(session: Session, rule: RoutingRule) -> dict[str, int]:
    table = RoutingTurn.__table__  # type: ignore[attr-defined]
    return dict(session.execute(select(table.c.state).where(table.c.rule_id == rule.id)).scalar() or {})


# --- writing ----------------------------------------------------------------------------------------------------------------


def _carry_out(session: Session, actor: Actor, key: str, record: Any, found: Proposal, why: str) -> RoutingDecision:
    rule, before = found.rule, record.owner_id
    outcome = RouteOutcome.GIVEN if found.user_id is not None else RouteOutcome.WAITS if rule is not None else RouteOutcome.NO_RULE
    if found.user_id is None and before is not None:
        outcome = RouteOutcome.STAYS
    made = _note(session, actor, key, record.id, outcome, found, why)
    if found.user_id is not None and rule is not None:
        _take_turn(session, rule, found)
        _ASSIGN[key](session, system(actor.via), record.id, found.user_id)
        _leave_queue(session, key, record.id)
        receiver = notifications.reader(session, found.user_id)
        called = told(session, receiver, rule) if receiver is not None else rule.name
        notifications.notify(
            session, found.user_id, kind="assigned.rule", params={"rule": called}, entity=key, record_id=record.id, dedupe_key=f"assigned:{_told_by(session, key, record.id)}"
        )  # fmt: skip
    elif outcome is RouteOutcome.WAITS and rule is not None:
        _join_queue(session, key, record.id, rule)
    return made


def _note(
    session: Session, actor: Actor, key: str, record_id: int, outcome: RouteOutcome, found: Proposal, why: str
) -> RoutingDecision:
    """Write a decision down with everybody who was considered."""
    rule = found.rule
    made = RoutingDecision(
        entity=key, record_id=record_id, rule_id=rule.id if rule else None, rule_name=rule.name if rule else "", method=rule.method if rule else None,
        outcome=outcome, user_id=found.user_id if outcome in (RouteOutcome.GIVEN, RouteOutcome.TAKEN) else None,
        queue_id=rule.queue_id if rule and outcome is RouteOutcome.WAITS else None,
        candidates=[plain(one) for one in found.candidates], why=clip(why, 200), at=utcnow(), by_id=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def plain(one: Candidate) -> dict[str, Any]:
    """A candidate as the log keeps it."""
    kept = {
        "user_id": one.user_id, "why_not": one.why_not, "detail": one.detail, "load": one.load, "capacity": one.capacity, "skill": one.skill,
        "success": None if one.success is None else round(one.success, 4), "cases": one.cases, "score": one.score, "parts": dict(one.parts), "weight": one.weight,
    }  # fmt: skip
    return {key: value for key, value in kept.items() if value not in (None, "", {})}


def _told_by(session: Session, key: str, record_id: int) -> int:
    """The event that made somebody the owner: who was told of it by name of the rule is not told again as of any change of owner."""
    query = fetch(Event.id).where(Event.entity == key, Event.record_id == record_id).order_by(col(Event.id).desc())
    return session.exec(query).first() or 0


def _take_turn(session: Session, rule: RoutingRule, found: Proposal) -> None:
    row = session.exec(fetch(RoutingTurn).where(RoutingTurn.rule_id == rule.id).execution_options(populate_existing=True)).one()
    known = {str(one.user_id) for one in found.candidates}
    row.state = {key: value for key, value in (found.state or {}).items() if key in known}
    row.turns += 1
    session.add(row)
    session.flush()


def _join_queue(session: Session, key: str, record_id: int, rule: RoutingRule) -> None:
    row = session.exec(fetch(QueueItem).where(QueueItem.entity == key, QueueItem.record_id == record_id)).first()
    row = row or QueueItem(entity=key, record_id=record_id, since=utcnow())
    row.queue_id, row.rule_id = rule.queue_id, rule.id
    session.add(row)
    session.flush()


def _leave_queue(session: Session, key: str, record_id: int) -> None:
    for row in session.exec(fetch(QueueItem).where(QueueItem.entity == key, QueueItem.record_id == record_id)):
        session.delete(row)
    session.flush()


def take(session: Session, actor: Actor, entity_key: str, record_id: int) -> RoutingDecision:
    """Take a record that waits for somebody. Who comes second is told so."""
    record = records.get(session, actor, _known(entity_key), record_id, action=Action.EDIT)
    lock(session)
    session.refresh(record)
    if record.owner_id is not None:
        raise Conflict(f"Somebody has taken this {label_of(entity_key).lower()} already.")
    _ASSIGN[entity_key](session, actor, record_id, actor.user_id)
    _leave_queue(session, entity_key, record_id)
    return _note(session, actor, entity_key, record_id, RouteOutcome.TAKEN, Proposal(None, actor.user_id), "Taken by hand")


def open_ones(session: Session, key: str, user_id: int) -> list[int]:
    """Tickets that a rule gave to somebody and that are still theirs and unsolved: what is handed on while they are away."""
    table, log = entity(key).table, RoutingDecision.__table__  # type: ignore[attr-defined]
    given = select(log.c.record_id).where(log.c.entity == key, log.c.user_id == user_id)
    live = select(table.c.id).where(
        table.c.owner_id == user_id, table.c.deleted_at.is_(None), table.c.status.not_in(DONE), table.c.id.in_(given)
    )
    return list(session.execute(live.order_by(table.c.id)).scalars())
