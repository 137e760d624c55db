"""What one should know about a group before addressing it: who can be contacted, what they bought, whom else it meets, what a test could show."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, and_, cast, func, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.kit import clock
from crm_core.kit.text import sort_key
from crm_core.lists import ListQuery
from crm_core.models import AnalysisMark, Campaign, CampaignMember, Segment, SegmentMember
from crm_core.ordering import alphabetical
from crm_core.services.customers import consent
from crm_core.services.marketing import segments
from crm_core.services.marketing.segments import Rule
from crm_core.vocabulary import SOLD, Action, CampaignStatus, SegmentKind

_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
_CAMPAIGN_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]
WINDOW_DAYS = 30
MAX_OTHERS = 12
_LEFT = {SegmentKind.LIVE: "Matches no longer", SegmentKind.STATIC: "Taken out by hand"}


@dataclass(frozen=True)
class Worth:
    """What a group means, as far as the reader may see. ``contactable``: people by e-mail for marketing, of accounts the contacts there; None where
    the role sees nobody who could be written to. Money in minor units; None where the role hides it. ``buyers``: who ordered in the last
    ``WINDOW_DAYS`` days."""

    count: int
    contactable: int | None
    revenue_minor: int | None
    buyers: int | None


def worth(session: Session, actor: Actor, entity_key: str, rule: Rule | None) -> Worth:
    """Count, contactable people, revenue of the last twelve months, and how many bought lately."""
    table = entity(entity_key).table
    clause = lists.condition(session, actor, entity_key, ListQuery(filter=rule or None))
    count = session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
    reachable = None
    if entity_key in ("contact", "lead"):
        may = consent.contactable(session, actor, entity_key, table)
        reachable = session.execute(select(func.count()).select_from(table).where(clause, may)).scalar_one()
    elif actor.can("contact", Action.READ):
        people = entity("contact").table
        may = and_(
            consent.contactable(session, actor, "contact", people), people.c.account_id.in_(select(table.c.id).where(clause))
        )
        reachable = session.execute(select(func.count()).select_from(people).where(may)).scalar_one()
    revenue, buyers = _orders(session, actor, entity_key, select(table.c.id).where(clause))
    return Worth(count, reachable, revenue, buyers)


def _orders(session: Session, actor: Actor, entity_key: str, ids: Any) -> tuple[int | None, int | None]:
    if entity_key == "lead" or not actor.can("order", Action.READ):
        return None, None
    order, now = entity("order").table, clock.utcnow()
    link = order.c[f"{entity_key}_id"]
    counted = and_(visible(actor, "order", order), order.c.status.in_(SOLD), link.in_(ids))
    year = select(func.coalesce(func.sum(order.c.total_minor), 0)).where(counted, order.c.ordered_at >= now - timedelta(days=365))
    recent = select(func.count(func.distinct(link))).where(counted, order.c.ordered_at >= now - timedelta(days=WINDOW_DAYS))
    revenue = None if actor.masked("order", "total_minor") else int(session.execute(year).scalar_one())
    return revenue, session.execute(recent).scalar_one()


@dataclass(frozen=True)
class Meeting:
    """Another segment or a running campaign: how many it has that the reader may see, and how many of them are in the group too."""

    kind: str
    id: int
    name: str
    size: int
    shared: int


def meetings(session: Session, actor: Actor, entity_key: str, rule: Rule | None, *, without: int | None = None) -> list[Meeting]:
    """Other segments of the same kind of record and campaigns that run or are planned, those that share most first."""
    table = entity(entity_key).table
    mine = select(table.c.id).where(lists.condition(session, actor, entity_key, ListQuery(filter=rule or None)))
    everybody = select(table.c.id).where(visible(actor, entity_key, table))
    found = []
    if actor.can("segment", Action.READ):
        open_now, other = _MEMBERS.c.left_at.is_(None), _MEMBERS.c.segment_id != (without or 0)
        seen = select(_SEGMENTS.c.id, _SEGMENTS.c.name).where(
            visible(actor, "segment", _SEGMENTS), _SEGMENTS.c.entity == entity_key, _SEGMENTS.c.id != (without or 0)
        )
        sizes = _grouped(session, _MEMBERS.c.segment_id, _MEMBERS.c.record_id, and_(open_now, other), everybody)
        shared = _grouped(session, _MEMBERS.c.segment_id, _MEMBERS.c.record_id, and_(open_now, other), mine)
        found += [
            Meeting("segment", row.id, row.name, sizes.get(row.id, 0), shared.get(row.id, 0)) for row in session.execute(seen)
        ]
    if actor.can("campaign", Action.READ):
        found += _campaigns(session, actor, entity_key, everybody, mine)
    return sorted((item for item in found if item.shared), key=lambda item: (-item.shared, sort_key(item.name), item.id))[
        :MAX_OTHERS
    ]


def _campaigns(session: Session, actor: Actor, entity_key: str, everybody: Any, mine: Any) -> list[Meeting]:
    running = and_(
        visible(actor, "campaign", _CAMPAIGNS), _CAMPAIGNS.c.status.in_((CampaignStatus.RUNNING, CampaignStatus.SCHEDULED))
    )
    names = dict(session.execute(select(_CAMPAIGNS.c.id, _CAMPAIGNS.c.name).where(running)).tuples().all())
    of = _CAMPAIGN_MEMBERS.c.campaign_id
    inside = of.in_(names)
    if entity_key == "account":
        sizes, shared = (_companies(session, actor, inside, companies) for companies in (everybody, mine))
    else:
        link = _CAMPAIGN_MEMBERS.c[f"{entity_key}_id"]
        sizes, shared = (_grouped(session, of, link, inside, people) for people in (everybody, mine))
    return [Meeting("campaign", key, name, sizes.get(key, 0), shared.get(key, 0)) for key, name in names.items()]


def _companies(session: Session, actor: Actor, clause: ColumnElement[bool], companies: Any) -> dict[int, int]:
    """Companies whose people, as far as the actor may see them, are in a campaign."""
    people, of = entity("contact").table, _CAMPAIGN_MEMBERS.c.campaign_id
    rows = (
        select(of, func.count(func.distinct(people.c.account_id)))
        .join(people, people.c.id == _CAMPAIGN_MEMBERS.c.contact_id)
        .where(clause, people.c.account_id.in_(companies), visible(actor, "contact", people))
        .group_by(of)
    )
    return dict(session.execute(rows).tuples().all())


def _grouped(session: Session, of: Any, record: Any, clause: ColumnElement[bool], people: Any) -> dict[int, int]:
    rows = select(of, func.count()).where(clause, record.in_(people)).group_by(of)
    return dict(session.execute(rows).tuples().all())


def detectable_points(people: int, base_pct: float, holdout_pct: float) -> float | None:
    """The smallest rise of a rate, in percentage points, that a campaign to ``people`` with a hold-out would show, reckoned as the campaign itself does:
    two-sided 5%, power 80%. None when it would show none."""
    from ml import lift  # here: numpy and scipy are only needed when somebody asks

    found = lift.detectable_lift(base_pct / 100, people, holdout_pct / 100)
    return None if found >= 1 else 100 * found


def holdout_pct(session: Session, actor: Actor) -> int:
    """The share that campaigns of this workspace hold out by default."""
    require(actor, "segment", Action.READ)
    return consent.rules(session, actor).holdout_pct


def sql_text(session: Session, actor: Actor, entity_key: str, rule: Rule | None) -> str:
    """The statement behind the count as the database gets it, its values written in by the database's own rules: to read, not to run elsewhere."""
    table = entity(entity_key).table
    clause = lists.condition(session, actor, entity_key, ListQuery(filter=rule or None))
    statement = select(table.c.id).where(clause)
    dialect = session.get_bind().dialect
    try:
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    except (NotImplementedError, CrmError, ValueError, TypeError):
        bare = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        return f"{bare}\n-- {dict(bare.params)!r}"


@dataclass(frozen=True)
class Size:
    """How many members the reader may see at the end of a day, and who came and went on it."""

    day: date
    members: int
    entered: int
    left: int


def history(session: Session, actor: Actor, segment_id: int) -> list[Size]:
    """The size of a segment on each day on which it changed, within what the reader may see. Days are those of the reader's time zone."""
    segment = segments.get(session, actor, segment_id)
    table = entity(segment.entity).table
    seen = _MEMBERS.c.record_id.in_(select(table.c.id).where(visible(actor, segment.entity, table, with_deleted=True)))

    zone = ZoneInfo(actor.timezone)

    def per_day(column: Any) -> Counter[date]:
        minute = func.min(column)  # members come and go in batches, so there are few minutes however many members
        clause = and_(_MEMBERS.c.segment_id == segment.id, column.is_not(None), seen)
        found = session.execute(select(minute, func.count()).where(clause).group_by(func.substr(cast(column, String), 1, 16)))
        days: Counter[date] = Counter()
        for at, number in found.tuples():
            days[at.astimezone(zone).date()] += number
        return days

    entered, left = per_day(_MEMBERS.c.entered_at), per_day(_MEMBERS.c.left_at)
    sizes, members = [], 0
    for day in sorted({*entered, *left}):
        members += entered[day] - left[day]
        sizes.append(Size(day, members, entered[day], left[day]))
    return sizes


@dataclass(frozen=True)
class Move:
    """One record that entered or left."""

    record_id: int
    title: str
    at: Any
    entered: bool
    reason: str


def moves(session: Session, actor: Actor, segment_id: int, *, limit: int = 30) -> list[Move]:
    """Who entered and left lately, among the records that the reader may see; the first filling left out."""
    segment = segments.get(session, actor, segment_id)
    table = entity(segment.entity).table
    seen = _MEMBERS.c.record_id.in_(select(table.c.id).where(visible(actor, segment.entity, table, with_deleted=True)))
    mine = and_(_MEMBERS.c.segment_id == segment.id, seen)
    came = select(_MEMBERS).where(mine, _MEMBERS.c.reason != "first").order_by(_MEMBERS.c.entered_at.desc(), _MEMBERS.c.id.desc())
    went = select(_MEMBERS).where(mine, _MEMBERS.c.left_at.is_not(None)).order_by(_MEMBERS.c.left_at.desc(), _MEMBERS.c.id.desc())
    rows = [(row.entered_at, True, row) for row in session.execute(came.limit(limit))]
    rows += [(row.left_at, False, row) for row in session.execute(went.limit(limit))]
    rows = sorted(rows, key=lambda item: item[0], reverse=True)[:limit]
    named = lists.titles(session, actor, segment.entity, (row.record_id for _, _, row in rows))
    return [
        Move(row.record_id, named[row.record_id], at, entered, row.reason.label if entered else _LEFT[segment.kind])
        for at, entered, row in rows
        if row.record_id in named
    ]


def sizes(session: Session, actor: Actor, segment_ids: tuple[int, ...]) -> dict[int, int]:
    """How many members of each segment the reader may see; segments that are hidden are left out."""
    require(actor, "segment", Action.READ)
    found: dict[int, int] = {}
    rows = select(_SEGMENTS.c.id, _SEGMENTS.c.entity).where(
        _SEGMENTS.c.id.in_(segment_ids), visible(actor, "segment", _SEGMENTS, with_deleted=True)
    )
    by_entity: dict[str, list[int]] = {}
    for segment_id, key in session.execute(rows).tuples():
        by_entity.setdefault(key, []).append(segment_id)
    for key, ids in by_entity.items():
        table = entity(key).table
        clause = and_(_MEMBERS.c.segment_id.in_(ids), _MEMBERS.c.left_at.is_(None))
        counts = _grouped(
            session, _MEMBERS.c.segment_id, _MEMBERS.c.record_id, clause, select(table.c.id).where(visible(actor, key, table))
        )
        found |= {segment_id: counts.get(segment_id, 0) for segment_id in ids}
    return found


def results(session: Session, actor: Actor, entity_key: str) -> dict[str, tuple[list[str], bool]]:
    """What analyses published about records that the reader may see: kind → (its groups, largest first; whether it has numbers)."""
    require(actor, entity_key, Action.READ)
    table = entity(entity_key).table
    rows = session.execute(
        select(_MARKS.c.kind, _MARKS.c.label, func.count(), func.count(_MARKS.c.number))
        .join(table, table.c.id == _MARKS.c.record_id)
        .where(_MARKS.c.entity == entity_key, visible(actor, entity_key, table))
        .group_by(_MARKS.c.kind, _MARKS.c.label)
        .order_by(_MARKS.c.kind, func.count().desc(), alphabetical(_MARKS.c.label))
        .limit(2_000)
    ).all()
    found: dict[str, tuple[list[str], bool]] = {}
    for kind, label, _records, numbers in rows:
        groups, numeric = found.get(kind, ([], False))
        found[kind] = ([*groups, label] if label else groups, numeric or bool(numbers))
    return found
