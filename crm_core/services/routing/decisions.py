"""What was decided and why: the log of assignments, for one record and for all that the reader may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlmodel import Session

from crm_core import lists, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.models import RoutingDecision
from crm_core.services.routing import assign
from crm_core.services.routing.choice_rules import WHY_NOT, Candidate
from crm_core.services.routing.rules import rule_told, told, untold
from crm_core.services.routing.standing import KINDS
from crm_core.veil import MASK
from crm_core.vocabulary import Action, RouteMethod, RouteOutcome

_LOG: Any = RoutingDecision.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Considered:
    """Somebody who was considered. ``why_not``: why they were passed over, empty for who was free."""

    name: str
    chosen: bool
    why_not: str
    load: int
    capacity: int | None
    score: float | None
    parts: Mapping[str, float]
    cases: int
    weight: int


@dataclass(frozen=True)
class DecisionView:
    """One decision as its reader may see it."""

    id: int
    entity: str
    record_id: int
    title: str
    rule: str
    method: RouteMethod | None
    outcome: RouteOutcome
    who: str
    why: str
    at: datetime
    considered: tuple[Considered, ...]


def of_record(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[DecisionView]:
    """Why a record is where it is, the latest decision first. Whoever may see the record may see it."""
    records.get(session, actor, entity_key, record_id)
    query = select(_LOG).where(_LOG.c.entity == entity_key, _LOG.c.record_id == record_id).order_by(_LOG.c.id.desc()).limit(10)
    return _views(session, actor, session.execute(query).all())


def find(
    session: Session,
    actor: Actor,
    *,
    entity_key: str | None = None,
    user_id: int | None = None,
    outcome: RouteOutcome | None = None,
    rule_id: int | None = None,
    page: int = 1,
    size: int = 25,
) -> tuple[list[DecisionView], int]:
    """One page of the decisions about records that the actor may see, the latest first, and how many there are."""
    require(actor, "assignment", Action.READ)
    seen = [_seen(actor, key) for key in KINDS if entity_key in (None, key) and actor.can(key, Action.READ)]
    parts = [or_(*seen)] if seen else [_LOG.c.id < 0]
    given = {"user_id": user_id, "outcome": outcome, "rule_id": rule_id}
    parts += [_LOG.c[key] == value for key, value in given.items() if value is not None]
    total = int(session.execute(select(func.count()).select_from(_LOG).where(*parts)).scalar_one())
    size = min(max(1, size), 100)
    page = min(max(1, page), max(1, -(-total // size)))
    rows = session.execute(select(_LOG).where(*parts).order_by(_LOG.c.id.desc()).limit(size).offset((page - 1) * size)).all()
    return _views(session, actor, rows), total


def preview(session: Session, actor: Actor, entity_key: str, record_id: int) -> DecisionView:
    """Who would get a record now, as if it had just come in."""
    require(actor, "assignment", Action.READ)
    found = assign.explain(session, actor, entity_key, record_id)
    rule = found.rule
    outcome = RouteOutcome.GIVEN if found.user_id else RouteOutcome.WAITS if rule else RouteOutcome.NO_RULE
    names = lists.titles(session, actor, "user", [one.user_id for one in found.candidates])
    title = lists.titles(session, actor, entity_key, [record_id]).get(record_id, "")
    who = names.get(found.user_id or 0, "")
    at = assign.utcnow()
    said = told(session, actor, rule) if rule else ""
    shown = tuple(_considered(assign.plain(one), names, found.user_id, said) for one in _in_order(found.candidates, found.user_id))
    return DecisionView(0, entity_key, record_id, title, said, rule.method if rule else None, outcome, who, "", at, shown)


def _seen(actor: Actor, key: str) -> Any:
    table = entity(key).table
    return and_(_LOG.c.entity == key, _LOG.c.record_id.in_(select(table.c.id).where(visible(actor, key, table))))


def _views(session: Session, actor: Actor, rows: Sequence[Any]) -> list[DecisionView]:
    titles = {
        key: lists.titles(session, actor, key, {row.record_id for row in rows if row.entity == key})
        for key in {row.entity for row in rows}
    }
    people = {one["user_id"] for row in rows for one in row.candidates} | {row.user_id for row in rows if row.user_id}
    names, hidden = lists.titles(session, actor, "user", people), untold(session, actor)
    said = {row.id: rule_told(row.rule_id, row.rule_name, hidden) for row in rows}
    return [
        DecisionView(
            row.id, row.entity, row.record_id, titles[row.entity].get(row.record_id, ""), said[row.id], row.method, row.outcome,
            names.get(row.user_id or 0, ""), row.why, row.at,
            tuple(_considered(one, names, row.user_id, said[row.id]) for one in sorted(row.candidates, key=lambda one: _rank(one, row.user_id))),
        )
        for row in rows
    ]  # fmt: skip


def _in_order(candidates: Sequence[Candidate], chosen: int | None) -> list[Candidate]:
    return sorted(candidates, key=lambda one: _rank(assign.plain(one), chosen))


def _rank(one: Mapping[str, Any], chosen: int | None) -> tuple[bool, bool, float]:
    return one["user_id"] != chosen, bool(one.get("why_not")), -float(one.get("score") or 0)


def _considered(one: Mapping[str, Any], names: Mapping[int, str], chosen: int | None, rule: str) -> Considered:
    """``rule``: the rule's name as it is told; where it is hidden, why somebody does not fit would tell what the rule goes by."""
    code = one.get("why_not", "")
    code = "not for this one" if rule == MASK and code in ("skill", "elsewhere") else code
    sentence = WHY_NOT.get(code, code).format(detail=one.get("detail") or "further notice") if code else ""
    return Considered(
        names.get(one["user_id"], "Somebody who has left"), one["user_id"] == chosen, sentence, int(one.get("load", 0)), one.get("capacity"),
        one.get("score"), one.get("parts", {}), int(one.get("cases", 0)), int(one.get("weight", 1)),
    )  # fmt: skip
