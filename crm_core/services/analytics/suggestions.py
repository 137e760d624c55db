"""Products that a published basket run suggests on a deal or for a customer; taking or turning one down is counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.models import AnalysisRun, ProductSuggestion
from crm_core.services.analytics import marks, offer_worth
from crm_core.services.analytics.marks import MarkRow
from crm_core.services.analytics.offer_worth import Limits, Worth
from crm_core.services.sales import deals
from crm_core.services.sales.lines import given, shown_name
from crm_core.vocabulary import Action, StageKind

_ROWS: Any = ProductSuggestion.__table__  # type: ignore[attr-defined]
SHOWN = 3
DECAY_AFTER, DECAY_DAYS = 5, 180
"""A rule that was turned down so often within so many days, and never taken, is not shown any more."""


@dataclass(frozen=True)
class Suggestion:
    """One product to offer. ``because``: the product from which it follows; ``dearer``: instead of it rather than beside it; ``lift``: how many times
    as often as among all, where it is known. ``price_minor``: None where it is masked. ``worth``: its margin and stock as far as they are known and not masked; ``asked_stock``: whether
    the run asked for what is in stock."""

    product_id: int
    name: str
    price_minor: int | None
    because_id: int
    because: str
    confidence: float
    count: int
    run_id: int | None
    dearer: bool = False
    lift: float | None = None
    worth: Worth | None = None
    asked_stock: bool = False


@dataclass(frozen=True)
class Taken:
    """How often suggestions of a pair of products were taken and turned down."""

    because_id: int | None
    product_id: int
    taken: int
    declined: int


def for_deal(session: Session, actor: Actor, deal_id: int) -> list[Suggestion]:
    """What goes with the products of an open deal; on one without products, the next offer for its contact or account."""
    deal = records.get(session, actor, "deal", deal_id)
    if deal.outcome is not StageKind.OPEN:
        return []
    inside = [line.product_id for line in deals.lines(session, actor, deal_id) if line.product_id is not None]
    if inside:
        found = _beside(session, actor, inside)
    else:
        found = _next_of(session, actor, "contact", deal.contact_id) or _next_of(session, actor, "account", deal.account_id)
    return _shown(session, actor, "deal", deal_id, found, set(inside))


def for_customer(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[Suggestion]:
    """The next offer for a person or a company; of a company's people when it has none itself."""
    records.get(session, actor, entity_key, record_id)
    found = _next_of(session, actor, entity_key, record_id)
    if not found and entity_key == "account" and actor.can("contact", Action.READ):
        people = entity("contact").table
        ids = session.execute(
            select(people.c.id)
            .where(people.c.account_id == record_id, visible(actor, "contact", people))
            .order_by(people.c.id)
            .limit(50)
        ).scalars()
        offers = marks.of_records(session, actor, "contact", list(ids), kinds=("next_offer",))
        found = _once(offer for each in offers.values() for mark in each for offer in [_offer(mark)])
    return _shown(session, actor, entity_key, record_id, found, set())


def _beside(session: Session, actor: Actor, inside: list[int]) -> list[dict[str, Any]]:
    found = []
    for product_id, each in marks.of_records(session, actor, "product", inside, kinds=("goes_with",)).items():
        for mark in each:
            found += [{**one, "because": product_id, "run": mark.run_id} for one in mark.detail.get("with", ())]
            found += [
                {**one, "because": product_id, "run": mark.run_id, "confidence": one["share"], "count": 0, "dearer": True}
                for one in (() if actor.masked("product", "price_minor") else mark.detail.get("dearer", ()))
            ]
    return _once(sorted(found, key=lambda one: (bool(one.get("dearer")), -one["confidence"])))


def _next_of(session: Session, actor: Actor, entity_key: str, record_id: int | None) -> list[dict[str, Any]]:
    if record_id is None or not actor.can(entity_key, Action.READ):
        return []
    found = marks.of_records(session, actor, entity_key, [record_id], kinds=("next_offer",)).get(record_id, [])
    return [_offer(mark) for mark in found]


def _offer(mark: MarkRow) -> dict[str, Any]:
    return {**mark.detail, "confidence": mark.number or 0.0, "run": mark.run_id}


def _once(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each product."""
    kept: dict[int, dict[str, Any]] = {}
    for one in found:
        kept.setdefault(int(one["product_id"]), one)
    return list(kept.values())


def _shown(
    session: Session, actor: Actor, entity_key: str, record_id: int, found: list[dict[str, Any]], inside: set[int]
) -> list[Suggestion]:
    """Without what is there already, was decided here before, nobody ever takes, or can't be sold or seen."""
    if not found or not actor.can("product", Action.READ):
        return []
    decided = set(
        session.execute(select(_ROWS.c.product_id).where(_ROWS.c.entity == entity_key, _ROWS.c.record_id == record_id)).scalars()
    )
    products = _products(session, actor, {int(one["product_id"]) for one in found} | {int(one["because"]) for one in found})
    tired = _tired(session)
    limits = _limits(session, {one.get("run") for one in found})
    decide = offer_worth.everyones(session, actor, set(products))
    shown = offer_worth.worths(session, actor, set(products))
    found = sorted(found, key=lambda one: _rank(limits, decide, one))
    kept = []
    for one in found:
        product_id, because = int(one["product_id"]), int(one["because"])
        row = products.get(product_id)
        if product_id in inside | decided or row is None or not row.is_active or (because, product_id) in tired:
            continue
        limit = limits.get(one.get("run"), Limits())
        if limit.refuses(decide.get(product_id)):
            continue
        because_name = shown_name(actor, because, products[because].name) if because in products else "what they have"
        price = None if actor.masked("product", "price_minor") else row.price_minor
        kept.append(
            Suggestion(
                product_id, shown_name(actor, product_id, row.name), price, because, because_name, float(one["confidence"]), int(one.get("count", 0)), one.get("run"),
                bool(one.get("dearer")), float(one["lift"]) if one.get("lift") else None, shown.get(product_id), limit.in_stock,
            )
        )  # fmt: skip
    return kept[:SHOWN]


def _limits(session: Session, run_ids: set[Any]) -> dict[Any, Limits]:
    """The limits of margin and stock with which each run was asked for."""
    table: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
    wanted = [run_id for run_id in run_ids if run_id is not None]
    rows = session.execute(select(table.c.id, table.c.params).where(table.c.id.in_(wanted)))
    return {row.id: offer_worth.limits_of(row.params or {}) for row in rows}


def _rank(limits: dict[Any, Limits], decide: dict[int, Worth], one: dict[str, Any]) -> Any:
    """Dearer alternatives stay behind; within each the run's order, as found where it has none."""
    limit = limits.get(one.get("run"), Limits())
    if limit.order != offer_worth.WORTHIEST:
        return (bool(one.get("dearer")), 0, 0)
    return (bool(one.get("dearer")), *limit.rank(decide.get(int(one["product_id"])), float(one["confidence"])))


def _products(session: Session, actor: Actor, ids: set[int]) -> dict[int, Any]:
    table = entity("product").table
    columns = (table.c.id, table.c.name, table.c.price_minor, table.c.is_active)
    return {row.id: row for row in session.execute(select(*columns).where(table.c.id.in_(ids), visible(actor, "product", table)))}


def _tired(session: Session) -> set[tuple[int, int]]:
    since = clock.utcnow() - timedelta(days=DECAY_DAYS)
    rows = session.execute(
        select(_ROWS.c.because_id, _ROWS.c.product_id)
        .where(_ROWS.c.at >= since)
        .group_by(_ROWS.c.because_id, _ROWS.c.product_id)
        .having(func.count() >= DECAY_AFTER, func.sum(case((_ROWS.c.taken, 1), else_=0)) == 0)
    )
    return {(row[0], row[1]) for row in rows}


def take(session: Session, actor: Actor, deal_id: int, product_id: int, *, because_id: int | None, base_version: int) -> None:
    """Put a suggested product on the deal, one piece at list price, and count that the suggestion was taken."""
    lines = deals.lines(session, actor, deal_id)
    if any(line.unit_price_minor is None for line in lines):
        raise Invalid("Amounts are hidden from your role, so you can't change the products.")
    kept = [given(line) for line in lines]
    deals.set_lines(session, actor, deal_id, [*kept, {"product_id": product_id, "quantity": 1}], base_version=base_version)
    _decide(session, actor, "deal", deal_id, product_id, because_id, taken=True)


def decline(session: Session, actor: Actor, entity_key: str, record_id: int, product_id: int, *, because_id: int | None) -> None:
    """Don't suggest this product on this record any more, and count it against the rule."""
    records.get(session, actor, entity_key, record_id, action=Action.EDIT)
    records.get(session, actor, "product", product_id)
    _decide(session, actor, entity_key, record_id, product_id, because_id, taken=False)


def _decide(
    session: Session, actor: Actor, entity_key: str, record_id: int, product_id: int, because_id: int | None, *, taken: bool
) -> None:
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    row = {
        "entity": entity_key, "record_id": record_id, "product_id": product_id, "because_id": because_id, "user_id": actor.user_id,
        "taken": taken, "at": clock.utcnow(),
    }  # fmt: skip
    keys = ["entity", "record_id", "product_id"]
    session.execute(insert(_ROWS).values(**row).on_conflict_do_nothing(index_elements=keys))
    db.bump(session, "product_suggestion")


def acceptance(session: Session, actor: Actor) -> list[Taken]:
    """Per pair of products, how often its suggestion was taken and turned down within the last half year, on records that the actor may see."""
    require(actor, "analytics", Action.READ)
    require(actor, "product", Action.READ)
    since = clock.utcnow() - timedelta(days=DECAY_DAYS)
    taken = func.sum(case((_ROWS.c.taken, 1), else_=0))
    rows = session.execute(
        select(_ROWS.c.because_id, _ROWS.c.product_id, taken, func.count() - taken)
        .where(_ROWS.c.at >= since, or_(*(_on_visible(actor, key) for key in ("deal", "account", "contact"))))
        .group_by(_ROWS.c.because_id, _ROWS.c.product_id)
    )
    return [Taken(row[0], row[1], int(row[2]), int(row[3])) for row in rows]


def _on_visible(actor: Actor, entity_key: str) -> Any:
    table = entity(entity_key).table
    return and_(_ROWS.c.entity == entity_key, _ROWS.c.record_id.in_(select(table.c.id).where(visible(actor, entity_key, table))))
