"""The pipeline as of an evening, and what happened to it between two of them. Whoever may see a deal today sees how it stood."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlmodel import Session

from crm_core import jobs
from crm_core.access import Actor, require, visible
from crm_core.errors import Invalid, NotPermitted
from crm_core.filters import where
from crm_core.models import Deal, PipelineSnapshot, PipelineSnapshotDay, Stage
from crm_core.services.analytics.periods import Period
from crm_core.vocabulary import Action, ForecastCategory, StageKind

_SNAPSHOT: Any = PipelineSnapshot.__table__  # type: ignore[attr-defined]
_DAYS: Any = PipelineSnapshotDay.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]

Rule = Mapping[str, Any] | None
"""A filter of deals: it looks at them as they are today, whichever evening is asked about."""

STEPS = {
    "start": "Open at the start",
    "new": "New",
    "moved_in": "Moved into the period",
    "grown": "Grown",
    "shrunk": "Shrunk",
    "moved_out": "Slipped out of the period",
    "lost": "Lost",
    "won": "Won",
    "other": "Left otherwise",
    "end": "Open at the end",
}
"""What can happen to the pipeline of a period between two evenings, in the order in which it is told."""


@dataclass(frozen=True)
class Covered:
    """What the record covers: the first evening known at all, and the evenings really looked at."""

    known_from: date | None
    taken_from: date | None
    taken_until: date | None
    taken: int


@dataclass(frozen=True)
class Standing:
    """Open deals expected to close in a period, as of an evening. Money in minor units; ``best_minor`` holds the commit too."""

    deals: int
    open_minor: int
    weighted_minor: int
    commit_minor: int
    best_minor: int


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall: signed sum, number of deals, and the largest of them (id, signed amount)."""

    key: str
    amount_minor: int
    deals: int
    largest: tuple[tuple[int, int], ...] = ()

    @property
    def label(self) -> str:
        return STEPS[self.key]


def require_amounts(actor: Actor) -> None:
    """Figures of deals need the right to read deals and analytics, and amounts that are not masked."""
    require(actor, "analytics", Action.READ)
    require(actor, "deal", Action.READ)
    if actor.masked("deal", "amount_minor"):
        raise NotPermitted("Your role hides the amounts of deals that this figure is made of.")


def covered(session: Session, actor: Actor) -> Covered:
    """How far the record of past evenings reaches."""
    require_amounts(actor)
    known = session.execute(select(func.min(_SNAPSHOT.c.from_on))).scalar()
    return Covered(
        known, *session.execute(select(func.min(_DAYS.c.taken_on), func.max(_DAYS.c.taken_on), func.count(_DAYS.c.taken_on))).one()
    )


def standing(
    session: Session,
    actor: Actor,
    period: Period,
    on: date | None = None,
    *,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
    rule: Rule = None,
) -> Standing:
    """The open deals expected to close in a period, as of the evening of a day; None means at this moment."""
    require_amounts(actor)
    if on is None:
        table, category = _DEALS, func.coalesce(_DEALS.c.forecast_category, _STAGES.c.forecast_category)
        source = select(*_sums(table, category)).join(_STAGES, _STAGES.c.id == _DEALS.c.stage_id)
        source = source.where(_DEALS.c.outcome == StageKind.OPEN)
    else:
        table, category = _SNAPSHOT, _SNAPSHOT.c.category
        source = select(*_sums(table, category)).join(_DEALS, _DEALS.c.id == _SNAPSHOT.c.deal_id).where(as_of(_SNAPSHOT, on))
    kept = source.where(*_seen(session, actor, rule), *_of(table, owner_id, pipeline_id), _in(table, period))
    count, *sums = session.execute(kept).one()
    amount, hundredfold, commit, best = (int(value or 0) for value in sums)
    return Standing(count, amount, round(hundredfold / 100), commit, best)


def _sums(table: Any, category: Any) -> list[Any]:
    amount = table.c.amount_minor

    def within(*kinds: ForecastCategory) -> Any:
        return func.sum(case((category.in_(kinds), amount), else_=0))

    counted = case((category == ForecastCategory.OMITTED, 0), else_=amount * table.c.probability_pct)
    return [
        func.count(),
        func.sum(amount),
        func.sum(counted),
        within(ForecastCategory.COMMIT, ForecastCategory.CLOSED),
        within(ForecastCategory.COMMIT, ForecastCategory.CLOSED, ForecastCategory.BEST_CASE),
    ]


def as_of(table: Any, day: date) -> ColumnElement[bool]:
    """The stretches that cover the evening of a day."""
    return and_(table.c.from_on <= day, or_(table.c.until_on.is_(None), table.c.until_on > day))


def _of(table: Any, owner_id: int | None, pipeline_id: int | None) -> list[ColumnElement[bool]]:
    parts = [table.c.owner_id == owner_id] if owner_id is not None else []
    return parts + ([table.c.pipeline_id == pipeline_id] if pipeline_id is not None else [])


def _seen(session: Session, actor: Actor, rule: Rule) -> list[ColumnElement[bool]]:
    """The deals that the actor may see, and of them those that match the filter."""
    return [visible(actor, "deal", _DEALS), *([where(session, "deal", rule, actor)] if rule else [])]


def _in(table: Any, period: Period) -> ColumnElement[bool]:
    return table.c.expected_close_on.between(period.start, period.end)


def won(
    session: Session,
    actor: Actor,
    period: Period,
    until: date | None = None,
    *,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
    rule: Rule = None,
) -> int:
    """What was won in a period (until a day), in minor units, by the day of closing."""
    require_amounts(actor)
    days = [_DEALS.c.closed_on.between(period.start, min(period.end, until) if until and period.end else period.end)]
    statement = select(func.sum(_DEALS.c.amount_minor)).where(
        *_seen(session, actor, rule), _DEALS.c.outcome == StageKind.WON, *days, *_of(_DEALS, owner_id, pipeline_id)
    )
    return int(session.execute(statement).scalar() or 0)


def unseen(
    session: Session,
    actor: Actor,
    period: Period,
    on: date,
    *,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
    rule: Rule = None,
) -> int:
    """What was won after an evening by deals that existed then and yet do not stand in the record: a rehearsal without them would be unfair."""
    require_amounts(actor)
    stood = select(_SNAPSHOT.c.deal_id).where(as_of(_SNAPSHOT, on))
    statement = select(func.sum(_DEALS.c.amount_minor)).where(
        *_seen(session, actor, rule),
        _DEALS.c.outcome == StageKind.WON,
        _DEALS.c.closed_on > on,
        _DEALS.c.closed_on <= period.end,
        _DEALS.c.created_on <= on,
        _DEALS.c.id.not_in(stood),
        *_of(_DEALS, owner_id, pipeline_id),
    )
    return int(session.execute(statement).scalar() or 0)


def look_now(session: Session, actor: Actor) -> str:
    """Ask the worker to remember the pipeline now instead of tonight; once while it waits. Needs the right to manage analytics."""
    require(actor, "analytics", Action.MANAGE)
    return jobs.enqueue(
        session, "pipeline.snapshot", unless_waiting=True, user_id=actor.user_id, title="Remember how the pipeline stands"
    )


# --- between two evenings -----------------------------------------------------------------------------------------------------


def waterfall(
    session: Session,
    actor: Actor,
    period: Period,
    start: date,
    end: date,
    *,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
    rule: Rule = None,
    largest: int = 8,
) -> list[Step]:
    """How the open pipeline of a period came from one evening to another; the steps add up exactly. Steps without a deal are left out."""
    require_amounts(actor)
    if end <= start:
        raise Invalid("The second day must lie after the first one.")
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in session.execute(_between(period, start, end, owner_id, pipeline_id).where(*_seen(session, actor, rule))):
        for key, amount in _told(row, period, start, end):
            found[key].append((row.id, amount))
    return [_step(key, found[key], largest) for key in STEPS if found[key] or key in ("start", "end")]


def _step(key: str, rows: Sequence[tuple[int, int]], largest: int) -> Step:
    top = sorted(rows, key=lambda row: (-abs(row[1]), row[0]))[:largest]
    return Step(key, sum(amount for _, amount in rows), len(rows), tuple(top))


def _between(period: Period, start: date, end: date, owner_id: int | None, pipeline_id: int | None) -> Select[Any]:
    """Every deal of the period that stood open on one of the evenings or was closed between them, with how it stood on both."""
    before, after = _SNAPSHOT.alias("before"), _SNAPSHOT.alias("after")
    joined = _DEALS.outerjoin(before, (before.c.deal_id == _DEALS.c.id) & as_of(before, start)).outerjoin(
        after, (after.c.deal_id == _DEALS.c.id) & as_of(after, end)
    )
    mine = [_mine(before, owner_id, pipeline_id), _mine(after, owner_id, pipeline_id)]
    closed = and_(_DEALS.c.closed_on > start, _DEALS.c.closed_on <= end, *_of(_DEALS, owner_id, pipeline_id))
    inside = [and_(_in(side, period), own) for side, own in zip((before, after), mine, strict=True)]
    return (
        select(
            _DEALS.c.id,
            _DEALS.c.outcome,
            _DEALS.c.closed_on,
            _DEALS.c.amount_minor.label("closed_minor"),
            case((inside[0], before.c.amount_minor)).label("before_minor"),
            case((inside[1], after.c.amount_minor)).label("after_minor"),
            before.c.id.is_not(None).label("stood_before"),
            after.c.id.is_not(None).label("stood_after"),
        )
        .select_from(joined)
        .where(or_(*inside, closed))
    )


def _mine(side: Any, owner_id: int | None, pipeline_id: int | None) -> Any:
    return and_(true(), *_of(side, owner_id, pipeline_id))


def _told(row: Any, period: Period, start: date, end: date) -> list[tuple[str, int]]:
    """What one deal contributes to which steps; the signed amounts of a deal always lead from its start to its end."""
    told: list[tuple[str, int]] = []
    if row.before_minor is not None:
        told.append(("start", row.before_minor))
    if row.after_minor is not None:
        told.append(("end", row.after_minor))
    return told + _changes(row, period, start, end)


def _changes(row: Any, period: Period, start: date, end: date) -> list[tuple[str, int]]:
    closed_here = row.closed_on is not None and start < row.closed_on <= end and row.outcome is not StageKind.OPEN
    if row.before_minor is not None:
        if row.after_minor is not None:
            return _resized(row.after_minor - row.before_minor)
        if row.stood_after:
            return [("moved_out", -row.before_minor)]
        if closed_here and row.outcome is StageKind.WON:
            return [*_resized(row.closed_minor - row.before_minor), ("won", -row.closed_minor)]
        return [("lost" if closed_here else "other", -row.before_minor)]
    entered = "moved_in" if row.stood_before else "new"
    if row.after_minor is not None:
        return [(entered, row.after_minor)]
    if row.stood_after or not closed_here or not period.holds(row.closed_on):
        return []
    left = "won" if row.outcome is StageKind.WON else "lost"
    return [(entered, row.closed_minor), (left, -row.closed_minor)] if left == "won" or not row.stood_before else []


def _resized(difference: int) -> list[tuple[str, int]]:
    return [("grown" if difference > 0 else "shrunk", difference)] if difference else []
