"""Who belongs on a list to call, in which order, and who is kept off it by their own word: read with the eyes of whoever makes the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, literal, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity, label_of
from crm_core.errors import Conflict, Invalid
from crm_core.fields import registry
from crm_core.filters.words import MARKS, mark_label
from crm_core.kit.clock import utcnow
from crm_core.lists import ListQuery
from crm_core.models import Activity, AnalysisMark, DialList, OutreachRules
from crm_core.services.collaboration import views
from crm_core.services.customers import consent
from crm_core.services.marketing import handouts, plans, segments, ways
from crm_core.services.marketing.audience import MEMBERS
from crm_core.vocabulary import SOLD, Action, ContactWay, DialSource, Gate, Outlet, PlanState, Purpose, Scope

MOST = 1_000
"""So many people a list takes, the first by its order."""
_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_ACTIVITIES: Any = Activity.__table__  # type: ignore[attr-defined]
_FIELDS = {
    "lead": {"points": "Points", "score": "Score", "estimated_minor": "Estimated value", "created_at": "Newest first"},
    "contact": {},
}
_COMMON = {"quiet": "Longest without contact", "name": "Name"}


@dataclass(frozen=True)
class Person:
    """Somebody of a list: what ranks them, and the gate that keeps them off it (empty: none)."""

    key: str
    id: int
    value: float | None
    closed: str


def from_list(session: Session, actor: Actor, made: Mapping[str, Any]) -> dict[str, Any]:
    """What a list keeps of the saved view or the filtered list that it is made of. Raises Invalid for lists of other things than people."""
    layout: Mapping[str, Any] = made
    name, key = "", made["entity"]
    if made["source"] is DialSource.VIEW:
        view = views.get(session, actor, made["source_id"])
        layout, name, key = view.layout, view.name, view.entity
    if key not in consent.PEOPLE:
        raise Invalid(fields={"source": "Only contacts and leads can be called."})
    ast, q = dict(layout["filter"]) if layout.get("filter") else None, str(layout.get("q") or "")
    lists.condition(session, actor, key, ListQuery(filter=ast, q=q))
    return {"filter": ast, "q": q, "entity": key, "source_name": name or label_of(key, plural=True)}


def orders(session: Session, actor: Actor, entity_key: str) -> dict[str, str]:
    """By what a list of these people can be ordered: key → words. A campaign (empty ``entity_key``) has contacts and leads."""
    require(actor, "activity", Action.CREATE)
    if not entity_key:
        return {"bought": "Bought most first", **_COMMON}
    specs = registry(session, entity_key)
    found = {key: words for key, words in _FIELDS[entity_key].items() if key in specs and not actor.masked(entity_key, key)}
    about = ("contact", "account") if entity_key == "contact" else ("lead",)
    keys = [f"mark:{of}:{kind}" for of in about for kind in MARKS if _published(session, kind, of)]
    found |= {key: order_label(session, actor, entity_key, key) for key in keys}
    if entity_key == "contact" and _sees_orders(actor):
        found["bought"] = "Bought most first"
    numbers = ("integer", "decimal", "money", "percent")
    found |= {
        f"field:{key}": spec.label
        for key, spec in specs.items()
        if spec.custom and spec.kind.value in numbers and not actor.masked(entity_key, key)
    }
    return found | _COMMON


def may_know_order(session: Session, actor: Actor, dial: DialList) -> bool:
    """Whether the actor may know the value by which a list orders its people, which whoever filled it knew. What somebody bought adds up the orders
    that the owner sees."""
    if dial.order_by == "bought":
        return _sees_orders(actor) and (dial.owner_id == actor.user_id or Scope.ALL in actor.scopes("order", Action.READ))
    return dial.order_by in orders(session, actor, dial.entity)


def order_label(session: Session, actor: Actor, entity_key: str, order: str) -> str:
    """The words for what a list is ordered by; empty for something that is no longer there."""
    if order.startswith("mark:"):
        _, of, kind = order.split(":", 2)
        return mark_label(kind) + (" of the account" if of == "account" else "")
    if order.startswith("field:"):
        require(actor, entity_key, Action.READ)
        spec = registry(session, entity_key).get(order.removeprefix("field:"))
        return spec.label if spec is not None else ""
    return {**_FIELDS.get(entity_key, {}), **_COMMON, "bought": "Bought most first"}.get(order, "")


def _published(session: Session, kind: str, of: str) -> bool:
    """Whether some run of this kind was published with numbers: one look into an index."""
    there = (_MARKS.c.kind == kind, _MARKS.c.entity == of, _MARKS.c.number.is_not(None))
    return session.execute(select(_MARKS.c.id).where(*there).limit(1)).first() is not None


def _sees_orders(actor: Actor) -> bool:
    return actor.can("order", Action.READ) and not actor.masked("order", "total_minor")


def gates(session: Session, actor: Actor, key: str, table: Any, purpose: Purpose | None, at: datetime) -> dict[Gate, Any]:
    """What somebody must pass to be called. Without a purpose it is a matter of theirs: no consent is needed, but objections and blocks hold."""
    was: dict[Gate, Any] = {Gate.CONVERTED: table.c.converted_at.is_(None)} if key == "lead" else {}
    rules = consent.rules(session, actor) if purpose else OutreachRules(needs_consent=False)
    found = consent.gates(key, table, way=ContactWay.PHONE, purpose=purpose or Purpose.MARKETING, at=at, workspace=rules)
    if purpose is None:
        found.pop(Gate.NO_CONSENT)
    return was | found


def _of(session: Session, actor: Actor, dial: DialList) -> list[tuple[str, Any, Any]]:
    """(contact or lead, its table, who of it is meant)."""
    if dial.source is DialSource.CAMPAIGN:
        plan = plans.get(session, actor, dial.source_id or 0)
        ways.of(session, actor, plan, Outlet.CALL_LIST)
        if plan.launched_at is None or plan.state is PlanState.STOPPED:
            raise Conflict("Only the call list of a launched campaign can be called.")
        listed = and_(MEMBERS.c.campaign_id == dial.source_id, handouts.listed(Outlet.CALL_LIST))
        return [
            (key, entity(key).table, entity(key).table.c.id.in_(select(MEMBERS.c[f"{key}_id"]).where(listed)))
            for key in consent.PEOPLE
        ]
    table = entity(dial.entity).table
    if dial.source is not DialSource.SEGMENT:
        return [(dial.entity, table, lists.condition(session, actor, dial.entity, ListQuery(filter=dial.filter, q=dial.q)))]
    segment = segments.get(session, actor, dial.source_id)
    if segment.entity != "account":
        return [(dial.entity, table, segments.clause(session, actor, segment.id, table))]
    accounts = entity("account").table
    inside = select(accounts.c.id).where(segments.clause(session, actor, segment.id, accounts))
    return [("contact", table, table.c.account_id.in_(inside))]


def closed(session: Session, actor: Actor, dial: DialList) -> dict[str, int]:
    """How many people stop at each gate; under the empty key those who can be called."""
    found: dict[str, int] = {}
    for key, table, clause in _of(session, actor, dial):
        shut = consent.first_closed(gates(session, actor, key, table, dial.purpose, utcnow())).label("shut")
        inner = select(shut).where(visible(actor, key, table), clause).subquery()
        for gate, count in session.execute(select(inner.c.shut, func.count()).group_by(inner.c.shut)):
            found[gate or ""] = found.get(gate or "", 0) + count
    return found


def ranked(session: Session, actor: Actor, dial: DialList) -> list[Person]:
    """The people of a list in its order, at most ``MOST``: first those who can be called."""
    found: list[tuple[Any, Person]] = []
    for key, table, clause in _of(session, actor, dial):
        shut = consent.first_closed(gates(session, actor, key, table, dial.purpose, utcnow())).label("shut")
        value, upwards = _value(session, actor, key, table, dial.order_by)
        inner = (
            select(table.c.id, table.c.name_sort, value.label("value"), shut).where(visible(actor, key, table), clause).subquery()
        )
        by = inner.c.value.asc().nulls_first() if upwards else inner.c.value.desc().nulls_last()
        order = (inner.c.shut.is_not(None), by, inner.c.name_sort, inner.c.id)
        for n, row in enumerate(session.execute(select(inner).order_by(*order).limit(MOST))):
            number = float(row.value) if isinstance(row.value, (int, float)) else None
            found.append(((row.shut is not None, n), Person(key, row.id, number, row.shut or "")))
    return [person for _, person in sorted(found, key=lambda one: one[0])][:MOST]


def _value(session: Session, actor: Actor, key: str, table: Any, order: str) -> tuple[Any, bool]:
    """SQL of what ranks somebody, and whether the smallest comes first."""
    if order == "quiet":
        column = _ACTIVITIES.c[f"{key}_id"]
        last = select(func.max(_ACTIVITIES.c.at)).where(column == table.c.id, _ACTIVITIES.c.deleted_at.is_(None))
        return last.correlate(table).scalar_subquery(), True
    if order == "bought" and key == "contact" and _sees_orders(actor):
        sold = entity("order").table
        mine = (sold.c.contact_id == table.c.id, sold.c.status.in_(SOLD), visible(actor, "order", sold))
        return select(func.sum(sold.c.total_minor)).where(*mine).correlate(table).scalar_subquery(), False
    if order.startswith("mark:"):
        _, of, kind = order.split(":", 2)
        about = table.c.account_id if of == "account" and key == "contact" else table.c.id
        mine = (_MARKS.c.kind == kind, _MARKS.c.entity == of, _MARKS.c.record_id == about)
        return select(_MARKS.c.number).where(*mine).correlate(table).scalar_subquery(), False
    if order.startswith("field:"):
        spec = registry(session, key).get(order.removeprefix("field:"))
        return (spec.expression(table) if spec is not None else literal(None)), False
    if order in _FIELDS[key]:
        return table.c[order], False
    return literal(None), False
