"""The people of a campaign that goes out by several ways at once: each of them once, whatever reaches them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import String, and_, case, cast, func, literal, or_, select, union_all
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.services.customers import consent
from crm_core.services.marketing import audience
from crm_core.vocabulary import Action, Gate, Outlet


def united(session: Session, actor: Actor, aims: Sequence[audience.Aim], key: str, at: datetime) -> Any:
    """SELECT id, address, chance and a flag per way (named as it) of the contacts (or leads) whom at least one way reaches. ``address``: the one that is
    written to, else what the other ways use. Of several records with the same e-mail address one alone is in, whatever the ways: it is one person, who
    can't be addressed and held out at once."""
    require(actor, "campaign", Action.READ)
    table, email = entity(key).table, Outlet.EMAIL.value
    parts = []
    for aim in aims:
        rows = audience.recipients(session, actor, aim, key, at).cte()  # subqueries in subqueries would be too deep for SQLite
        parts.append(select(rows.c.id, rows.c.address, rows.c.chance, literal(aim.outlet.value).label("way")))
    each = union_all(*parts).cte()
    flags = [func.max(case((each.c.way == aim.outlet.value, 1), else_=0)).label(aim.outlet.value) for aim in aims]
    written = func.max(case((each.c.way == email, each.c.address), else_=None))
    merged = (
        select(
            each.c.id,
            func.coalesce(written, func.max(each.c.address)).label("address"),
            func.max(each.c.chance).label("chance"),
            *flags,
        )
        .group_by(each.c.id)
        .cte()
    )
    same = func.lower(func.trim(func.coalesce(table.c.email, "")))
    who = case((same == "", literal("#").concat(cast(merged.c.id, String))), else_=same)
    nth: Any = func.row_number().over(partition_by=who, order_by=merged.c.id)
    if key == "lead" and actor.can("contact", Action.READ):
        nth = case((and_(same != "", same.in_(_their_addresses(session, actor, aims, at))), 2), else_=nth)
    numbered = select(*merged.c, nth.label("nth")).select_from(merged.join(table, table.c.id == merged.c.id)).cte()
    return select(*(column for column in numbered.c if column.name != "nth")).where(numbered.c.nth == 1)


def _their_addresses(session: Session, actor: Actor, aims: Sequence[audience.Aim], at: datetime) -> Any:
    """SELECT of the e-mail addresses of the contacts whom some way reaches: a lead with one of them is that person."""
    contacts = entity("contact").table
    found = [select(audience.recipients(session, actor, aim, "contact", at).cte().c.id) for aim in aims]
    return select(func.lower(func.trim(contacts.c.email))).where(
        contacts.c.email.is_not(None), contacts.c.id.in_(union_all(*found))
    )


def whole(session: Session, actor: Actor, aims: Sequence[audience.Aim], *, at: datetime | None = None) -> audience.Funnel:
    """The funnel of a campaign over all of its ways: everybody whom one of them means, and whom at least one of them reaches."""
    if len(aims) == 1:
        return audience.funnel(session, actor, aims[0], at=at)
    now, eligible = at or utcnow(), 0
    for key in consent.PEOPLE:
        if actor.can(key, Action.READ):
            rows = united(session, actor, aims, key, now).cte()
            eligible += int(session.execute(select(func.count()).select_from(rows)).scalar_one())
    total = meant(session, actor, aims, at=now)
    lost = {Gate.UNREACHED: total - eligible} if total > eligible else {}
    return audience.Funnel(total, lost, eligible, audience.held_out_of(eligible, aims[0].holdout_pct))


def meant(session: Session, actor: Actor, aims: Sequence[audience.Aim], *, at: datetime) -> int:
    """How many people are in the audience of at least one way."""
    require(actor, "campaign", Action.READ)
    total = 0
    for key in consent.PEOPLE:
        table = entity(key).table
        inside = [found for aim in aims if (found := audience.inside_clause(session, actor, aim, key, table)) is not None]
        if inside and actor.can(key, Action.READ):
            total += int(
                session.execute(
                    select(func.count()).select_from(table).where(visible(actor, key, table), or_(*inside))
                ).scalar_one()
            )
    return total
