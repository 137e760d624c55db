"""Facts of deals: won and lost by closing day, days from opening to close, what is open now and what stood open then.

Read from the records: ``ix_deal_figures`` and its sisters hold every column asked for, and a day holds few deals of one owner, product and
source, so that a daily summary would be as long as the table.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, literal_column, or_, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.filters import is_choice
from crm_core.models import Deal
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, collect, days_within, histogram, key_of_day, pieces, reach
from crm_core.spans import days_between, packed
from crm_core.vocabulary import StageKind

_DEAL = Deal.__table__  # type: ignore[attr-defined]
_CLOSED = (StageKind.WON, StageKind.LOST)


def closed_deals(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Won and lost deals by closing day. Read from the records: one index holds all that is asked for, and days hold few deals each."""
    group = _DEAL.c[slot.by or "closed_on"]
    rows = session.execute(
        select(group, _DEAL.c.outcome, func.count(), func.sum(_DEAL.c.amount_minor))
        .where(reach(actor, "deal", _DEAL, slot), _DEAL.c.outcome.in_(_CLOSED), days_within(_DEAL.c.closed_on, slot.period))
        .group_by(_DEAL.c.outcome, group)
    )
    day_key = key_of_day(slot)

    def put(facts: Facts, row: Any) -> None:
        if row[1] is StageKind.WON:
            facts.won += row[2]
            facts.won_minor += int(row[3])
        else:
            facts.lost += row[2]

    return collect(rows, put, (lambda row: row[0]) if slot.by else (lambda row: day_key(row[0])))


def cycles(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """How many won deals took how many days from opening to close."""
    days = days_between(_DEAL.c.closed_on, _DEAL.c.created_on)
    kept = (reach(actor, "deal", _DEAL, slot), _DEAL.c.outcome == StageKind.WON)
    parts: list[Any] = [
        select(literal_column(str(index)), packed(days)).where(*kept, inside)
        for index, inside in pieces(_DEAL.c.closed_on, slot, lambda day: day)
    ]
    return histogram(session, parts, "cycle_days")


def open_deals(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Open deals of this moment; the period plays no part. Without a grouping column all stand under None."""
    # Grouped by stage too, although nobody asks for it: that is the order of the index which holds all of these columns.
    columns = list(dict.fromkeys([_DEAL.c[slot.by or "stage_id"], _DEAL.c.stage_id, _DEAL.c.probability_pct]))
    rows = session.execute(
        select(*columns, _DEAL.c.probability_pct.label("pct"), func.count(), func.sum(_DEAL.c.amount_minor))
        .where(reach(actor, "deal", _DEAL, slot), is_choice(_DEAL.c.outcome, StageKind.OPEN))
        .group_by(*columns)
    )

    def put(facts: Facts, row: Any) -> None:
        probability, count, amount = row[-3], row[-2], int(row[-1])
        facts.open_deals += count
        facts.open_minor += amount
        facts.open_weighted += amount * probability

    return collect(rows, put, lambda row: row[0] if slot.by else None)


def pipeline_at(session: Session, actor: Actor, slot: Slot, now: Facts, ends: Sequence[date]) -> list[Facts]:
    """Open deals as they stood at the end of each of some days (in rising order), at today's amounts.

    Walked back from now: what was opened since is taken off, what was closed since comes back. A deal that was closed on no day, or on one
    before its opening, was never seen standing open: it counts on neither side.
    """
    if not ends:
        return []
    first, sane = ends[0], _DEAL.c.closed_on >= _DEAL.c.created_on
    counted = (func.count(), func.sum(_DEAL.c.amount_minor))
    mine = reach(actor, "deal", _DEAL, slot)
    opened = session.execute(
        select(_DEAL.c.created_on, *counted)
        .where(mine, _DEAL.c.created_on > first, or_(_DEAL.c.outcome == StageKind.OPEN, sane))
        .group_by(_DEAL.c.created_on)
    ).all()
    closed = session.execute(
        select(_DEAL.c.closed_on, *counted)
        .where(mine, _DEAL.c.outcome.in_(_CLOSED), _DEAL.c.closed_on > first, sane)
        .group_by(_DEAL.c.outcome, _DEAL.c.closed_on)
    ).all()
    found = [Facts(open_deals=now.open_deals, open_minor=now.open_minor) for _ in ends]
    for rows, sign in ((opened, -1), (closed, 1)):
        for day, count, amount in rows:
            for facts in found[: bisect_left(ends, day)]:
                facts.open_deals += sign * int(count)
                facts.open_minor += sign * int(amount)
    return found
