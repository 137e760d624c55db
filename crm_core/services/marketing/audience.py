"""Whom a campaign addresses: the people of its segments, gate by gate, within what the acting person may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, false, func, literal, null, or_, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.kit.clock import utcnow
from crm_core.models import CampaignMember, CampaignPlan, OutreachRules
from crm_core.services.customers import consent
from crm_core.services.marketing import segments
from crm_core.vocabulary import Action, ContactWay, Gate, MemberStatus, Outlet, Purpose

MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
WAYS = {
    Outlet.EMAIL: ContactWay.EMAIL, Outlet.CALL_LIST: ContactWay.PHONE, Outlet.MAIL_MERGE: ContactWay.POST, Outlet.AD_AUDIENCE: ContactWay.ADS,
    Outlet.EVENT: ContactWay.EMAIL,
}  # fmt: skip
BY_ADDRESS = (ContactWay.EMAIL, ContactWay.ADS)
_PRIME = 2_147_483_647


@dataclass(frozen=True)
class Aim:
    """Whom one way of a campaign addresses. ``by_hand``: people who were put in by hand are among them."""

    campaign_id: int
    outlet: Outlet
    purpose: Purpose
    segment_ids: tuple[int, ...]
    exclude_ids: tuple[int, ...]
    seed: int
    holdout_pct: int
    by_hand: bool = True


Aimed = CampaignPlan | Aim
"""A plan alone is its one way."""


@dataclass(frozen=True)
class Funnel:
    """From everybody in the segments to those who will receive. ``lost``: gate → people, in the order in which the gates are asked."""

    total: int
    lost: dict[Gate, int]
    eligible: int
    held_out: int

    @property
    def receive(self) -> int:
        return self.eligible - self.held_out

    def kept(self) -> list[Any]:
        """As plans keep it."""
        return [self.total, {gate.value: count for gate, count in self.lost.items()}, self.eligible, self.held_out]

    @classmethod
    def of_members(cls, total: int, lost: dict[Gate, int], members: int, held_out: int) -> "Funnel":
        """The funnel of a launch, from those at each gate and those who became members: the rest shared an address."""
        found = {**lost, Gate.SAME_ADDRESS: max(0, total - sum(lost.values()) - members)}
        return cls(total, {gate: count for gate, count in found.items() if count}, members, held_out)


def draw(column: Any, seed: int) -> Any:
    """A pseudo-random number below 2³¹ for an id: three rounds of a quadratic map modulo a prime, the same on both databases and in Python
    (``draw_of``), so that anybody can check who was held out and why."""
    value = cast(column, BigInteger) * 48_271 + (seed % _PRIME)
    for add, times in ((seed * 7 + 1_013_904_223, 16_807), (seed * 31 + 374_761_393, 69_621), (seed * 127 + 668_265_263, 39_373)):
        value = value % _PRIME
        value = (value * ((value + add % _PRIME) % _PRIME)) % _PRIME + value * times
    return value % _PRIME


def draw_of(record_id: int, seed: int) -> int:
    """``draw`` in Python."""
    value = record_id * 48_271 + seed % _PRIME
    for add, times in ((seed * 7 + 1_013_904_223, 16_807), (seed * 31 + 374_761_393, 69_621), (seed * 127 + 668_265_263, 39_373)):
        value %= _PRIME
        value = (value * ((value + add % _PRIME) % _PRIME)) % _PRIME + value * times
    return value % _PRIME


def held_out_of(people: int, pct: int) -> int:
    """How many of so many are held out: the share rounded, but at least one as soon as a share was asked for and there are two people."""
    return min(max(1, (people * pct + 50) // 100), people - 1) if pct and people >= 2 else 0


def funnel(session: Session, actor: Actor, plan: Aimed, *, at: datetime | None = None) -> Funnel:
    """The way from the segments to the recipients, with the number of people at each gate."""
    require(actor, "campaign", Action.READ)
    total, lost, eligible = 0, dict.fromkeys(Gate, 0), 0
    for key in consent.PEOPLE:
        base = _base(session, actor, plan, key, at or utcnow())
        if base is None:
            continue
        found = _numbered(session, actor, plan, key, base.subquery(), at or utcnow()).subquery()
        again = case((found.c.nth > 1, 1), else_=0).label("again")
        for closed, doubled, count in session.execute(select(found.c.closed, again, func.count()).group_by(found.c.closed, again)):
            total += count
            if closed:
                lost[Gate(closed)] += count
            elif doubled:
                lost[Gate.SAME_ADDRESS] += count
            else:
                eligible += count
    return Funnel(total, {gate: count for gate, count in lost.items() if count}, eligible, held_out_of(eligible, plan.holdout_pct))


def closed(session: Session, actor: Actor, plan: Aimed, *, at: datetime) -> tuple[int, dict[Gate, int]]:
    """Everybody in the segments, and how many stop at each gate; who shares an address with another is not told apart here."""
    require(actor, "campaign", Action.READ)
    total, lost = 0, dict.fromkeys(Gate, 0)
    for key in consent.PEOPLE:
        base = _base(session, actor, plan, key, at)
        if base is None:
            continue
        rows = base.subquery()
        for gate, count in session.execute(select(rows.c.closed, func.count()).group_by(rows.c.closed)):
            total += count
            if gate:
                lost[Gate(gate)] += count
    return total, lost


def gates(plan: Aimed, key: str, table: Any, at: datetime, workspace: OutreachRules) -> dict[Gate, ColumnElement[bool]]:
    """What a person of a campaign must pass, when the audience is chosen and again when their message is written or handed out."""
    was = {Gate.CONVERTED: table.c.converted_at.is_(None)} if key == "lead" else {}
    return was | consent.gates(key, table, way=WAYS[plan.outlet], purpose=plan.purpose, at=at, workspace=workspace)


def _base(session: Session, actor: Actor, plan: Aimed, key: str, at: datetime) -> Any:
    """SELECT id, address, closed of everybody in the audience who is a contact (or a lead); None when nobody can be."""
    table = entity(key).table
    inside = inside_clause(session, actor, plan, key, table)
    if inside is None or not actor.can(key, Action.READ):
        return None
    way = WAYS[plan.outlet]
    shut: dict[Gate, ColumnElement[bool]] = {}
    out = clauses(session, actor, plan.exclude_ids, key, table)
    if out:
        shut[Gate.EXCLUDED] = ~or_(*out)
    shut |= gates(plan, key, table, at, consent.rules(session, actor))
    address = table.c.phone if way is ContactWay.PHONE else table.c.email
    columns = (table.c.id, address.label("address"), consent.first_closed(shut).label("closed"))
    return select(*columns).where(visible(actor, key, table), inside)


def inside_clause(session: Session, actor: Actor, plan: Aimed, key: str, table: Any) -> Any:
    """In a segment, or put in by hand before the launch; None when nobody can be."""
    chosen = clauses(session, actor, plan.segment_ids, key, table)
    if isinstance(plan, Aim) and not plan.by_hand:
        return or_(*chosen) if chosen else None
    column = MEMBERS.c[f"{key}_id"]
    by_hand = select(column).where(
        MEMBERS.c.campaign_id == plan.campaign_id,
        column.is_not(None),
        MEMBERS.c.step.is_(None),
        MEMBERS.c.skip_reason.is_(None),
        MEMBERS.c.status == MemberStatus.PLANNED,
    )
    return or_(table.c.id.in_(by_hand), *chosen)


def clauses(session: Session, actor: Actor, segment_ids: Sequence[int], key: str, table: Any) -> list[Any]:
    """One clause per segment: its members, or for a segment of accounts the contacts of its members."""
    found: list[Any] = []
    for segment_id in segment_ids:
        segment = segments.get(session, actor, segment_id)
        if segment.entity == key:
            found.append(segments.clause(session, actor, segment_id, table))
        elif segment.entity == "account" and key == "contact":
            accounts = entity("account").table
            found.append(table.c.account_id.in_(select(accounts.c.id).where(segments.clause(session, actor, segment_id, accounts))))
    return found


def _numbered(session: Session, actor: Actor, plan: Aimed, key: str, rows: Any, at: datetime) -> Any:
    """SELECT id, address, closed, nth: with an address that several share who pass the gates, only the first one (nth = 1) is written to."""
    way = WAYS[plan.outlet]
    nth: Any = literal(1)
    if way in BY_ADDRESS:
        same = func.lower(func.trim(rows.c.address))
        nth = func.row_number().over(partition_by=(rows.c.closed, same), order_by=rows.c.id)
        if key == "lead" and (contacts := _base(session, actor, plan, "contact", at)) is not None:
            others = contacts.subquery("others")
            taken = select(func.lower(func.trim(others.c.address))).where(others.c.closed.is_(None))
            nth = case((same.in_(taken), 2), else_=nth)
    return select(rows.c.id, rows.c.address, rows.c.closed, nth.label("nth"))


def recipients(session: Session, actor: Actor, plan: Aimed, key: str, at: datetime) -> Any:
    """SELECT id, address, chance of the contacts (or leads) who pass every gate; ``chance`` orders them at random by the plan's seed."""
    require(actor, "campaign", Action.READ)
    base = _base(session, actor, plan, key, at)
    if base is None:
        return select(literal(0).label("id"), literal("").label("address"), literal(0).label("chance")).where(false())
    every = base.subquery()
    rows = select(every.c.id, every.c.address, null().label("closed")).where(every.c.closed.is_(None)).subquery()
    found = _numbered(
        session, actor, plan, key, rows, at
    ).subquery()  # numbered behind the gates: SQLite asks them again for each mention
    seed = plan.seed if key == "contact" else plan.seed + 1
    return select(found.c.id, found.c.address, draw(found.c.id, seed).label("chance")).where(found.c.nth == 1)


def by_way(outlet: Outlet) -> ColumnElement[bool]:
    """Members whom one of several ways reaches, or would."""
    found: ColumnElement[bool] = MEMBERS.c.ways.like(f"%,{outlet.value},%")
    return found


def sample(session: Session, actor: Actor, plan: Aimed, *, size: int = 5, turn: int = 0) -> list[tuple[str, int]]:
    """Some people of the audience, (contact or lead, id), for a preview; another ``turn`` gives others."""
    found: list[tuple[str, int]] = []
    for key in consent.PEOPLE:
        rows = recipients(session, actor, plan, key, utcnow()).subquery()
        order = draw(rows.c.id, plan.seed + 1_000 + turn)
        found += [
            (key, record_id) for record_id in session.execute(select(rows.c.id).order_by(order).limit(size - len(found))).scalars()
        ]
        if len(found) >= size:
            break
    return found


def missing_shares(session: Session, actor: Actor, plan: Aimed, key: str, columns: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """How many recipients there are, and for how many of them each SQL value is empty."""
    require(actor, "campaign", Action.READ)
    table = entity(key).table
    ids = recipients(session, actor, plan, key, utcnow()).subquery()
    empty = [func.sum(case((func.coalesce(func.trim(value), "") == "", 1), else_=0)).label(name) for name, value in columns.items()]
    row = session.execute(select(func.count(), *empty).select_from(table.join(ids, ids.c.id == table.c.id))).one()
    return int(row[0]), {name: int(row[n + 1] or 0) for n, name in enumerate(columns)}


def inside_column(session: Session, actor: Actor, key: str, column: Any, segment_ids: Sequence[int]) -> Any:
    """SQL: the segments of these in which a contact (or lead) is, as ``,12,15,``; null without any that could be asked for."""
    table = entity(key).table.alias()
    found: Any = literal(",")
    for segment_id in segment_ids:
        asked = clauses(session, actor, [segment_id], key, table)
        if asked:
            members = select(table.c.id).where(or_(*asked))
            found = found.concat(case((column.in_(members), literal(f"{segment_id},")), else_=literal("")))
    return found


def inside_from(kept: str | None) -> frozenset[int]:
    """The segments that ``inside_column`` wrote down."""
    return frozenset(int(one) for one in (kept or "").split(",") if one)


def by_segments(session: Session, actor: Actor, plan: Aimed, key: str, segment_ids: Sequence[int]) -> dict[frozenset[int], int]:
    """How many recipients are in which of some segments."""
    require(actor, "campaign", Action.READ)
    ids = recipients(session, actor, plan, key, utcnow()).subquery()
    rows = select(inside_column(session, actor, key, ids.c.id, segment_ids).label("inside")).subquery()
    found = session.execute(select(rows.c.inside, func.count()).group_by(rows.c.inside))
    return {inside_from(inside): int(count) for inside, count in found}


def problem(session: Session, actor: Actor, *plans: Aimed) -> str:
    """Why an audience can't be counted (a segment was deleted or is not shared any more); empty when all can."""
    try:
        for segment_id in (one for plan in plans for one in (*plan.segment_ids, *plan.exclude_ids)):
            segments.get(session, actor, segment_id)
    except CrmError:
        return "One of the chosen segments was deleted or is not shared with you any more. Choose the audience again."
    return ""
