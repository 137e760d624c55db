"""Points of leads by rules: fit and behaviour, kept per lead for lists, exact at the moment of reading on the lead, tried on the past."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select, update
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core import events, jobs, records
from crm_core.access import Actor, require, system, visible
from crm_core.db import bump
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.filters import unaskable, where
from crm_core.jobs import Job, job
from crm_core.jobs.tables import DONE, RUNS, statuses
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.models import Activity, LeadPoints, PointRule, RoutingSetting, Touchpoint
from crm_core.records import refuse_stale
from crm_core.services.routing import point_rules
from crm_core.services.routing.point_rules import SIGNALS, START, Signal
from crm_core.services.routing.rules import require_all
from crm_core.services.routing.standing import open_clause
from crm_core.vocabulary import Action, ActivityKind, LeadPointKind

LIMIT = 1_000
OUTCOME_DAYS = 90
LOOK_DAYS = 7
LATE_DAYS = 7
FEW = 20
MOST_PAST = 5_000
_BATCH = 200
FRESH = "routing.points_fresh"
_LEADS: Any = entity("lead").table


@dataclass(frozen=True)
class PointRuleView:
    """A rule as screens show and edit it."""

    id: int
    version: int
    name: str
    kind: LeadPointKind
    points: int
    filter: Mapping[str, Any] | None
    signal: str
    cap: int | None
    half_life_days: int | None
    is_active: bool


@dataclass(frozen=True)
class Part:
    """What one rule gives a lead now. ``times``: how often its signal was seen."""

    name: str
    kind: LeadPointKind
    points: float
    times: int


@dataclass(frozen=True)
class Points:
    """The points of a lead as they stand at this moment."""

    fit: float
    behaviour: float
    grade: str
    ready: bool
    parts: tuple[Part, ...]

    @property
    def total(self) -> float:
        return self.fit + self.behaviour


@dataclass(frozen=True)
class Band:
    """Leads of the past within a band of points, and how many of them were converted. ``few``: too few to say anything."""

    label: str
    leads: int
    converted: int
    low: float
    high: float

    @property
    def few(self) -> bool:
        return self.leads < FEW


def find(session: Session, actor: Actor) -> list[PointRuleView]:
    """All rules: fit first, the most points first."""
    require(actor, "assignment", Action.READ)
    rows = session.exec(fetch(PointRule).order_by(col(PointRule.kind).desc(), col(PointRule.points).desc(), col(PointRule.id)))
    return [
        PointRuleView(row.id, row.version, row.name, row.kind, row.points, row.filter, row.signal, row.cap, row.half_life_days, row.is_active)
        for row in rows
    ]  # fmt: skip


def save(
    session: Session,
    actor: Actor,
    rule_id: int | None,
    *,
    name: str,
    kind: LeadPointKind,
    points: int,
    filter: Mapping[str, Any] | None = None,
    signal: str = "",
    cap: int | None = None,
    half_life_days: int | None = None,
    is_active: bool = True,
    base_version: int | None = None,
) -> PointRule:
    """Create a rule or change it; all open leads are counted anew. Events: assignment.points_saved."""
    require_all(actor)
    row = _get(session, rule_id) if rule_id else PointRule(name="", kind=kind, points=points)
    refuse_stale("this rule", row, base_version)
    fit, wrong = kind is LeadPointKind.FIT, dict[str, str]()
    if not clean(name):
        wrong["name"] = "Give the rule a name."
    if any(one.id != row.id and one.name.casefold() == clean(name).casefold() for one in session.exec(fetch(PointRule))):
        wrong["name"] = f"There is a rule called “{clean(name)}” already."
    if not points or not -LIMIT <= points <= LIMIT:
        wrong["points"] = f"Points are a whole number from −{written(LIMIT)} to {written(LIMIT)}, and not 0."
    if not fit and signal not in SIGNALS:
        wrong["signal"] = "Choose what has to happen."
    if (cap is not None and not 1 <= cap <= 100 * LIMIT) or (half_life_days is not None and not 1 <= half_life_days <= 3_650):
        wrong["cap"] = "A limit and a half-life are at least 1."
    if fit and not filter:
        wrong["filter"] = "Say which leads get these points."
    if wrong:
        raise Invalid(fields=wrong)
    where(session, "lead", filter, actor)  # raises Invalid with the sentence
    row.name, row.kind, row.points, row.is_active = clean(name)[:120], kind, points, is_active
    row.filter, row.signal = dict(filter) if filter and fit else None, "" if fit else signal
    row.cap, row.half_life_days = (None, None) if fit else (cap, half_life_days)
    session.add(row)
    session.flush()
    _changed(session, actor, row.name)
    return row


def remove(session: Session, actor: Actor, rule_id: int) -> None:
    """Take a rule away. Events: assignment.points_saved."""
    require_all(actor)
    row = _get(session, rule_id)
    session.delete(row)
    session.flush()
    _changed(session, actor, row.name)


def bands(session: Session, actor: Actor) -> dict[str, Any]:
    """Where the grades begin and the threshold."""
    require(actor, "lead", Action.READ)
    return _bands(session)


def set_bands(session: Session, actor: Actor, *, fit: Sequence[int], behaviour: Sequence[int], threshold: int) -> None:
    """Move the grades and the threshold. Events: assignment.points_saved."""
    require_all(actor)
    if any(len(one) != 3 or list(one) != sorted(one, reverse=True) for one in (fit, behaviour)):
        raise Invalid("Grades begin at three falling numbers, such as 60, 40, 20.")
    row = session.exec(fetch(RoutingSetting).where(RoutingSetting.key == "points")).first() or RoutingSetting(key="points")
    row.value = {"fit": list(fit), "behaviour": list(behaviour), "threshold": int(threshold)}
    session.add(row)
    _changed(session, actor, "grades")


def why(session: Session, actor: Actor, lead_id: int) -> Points | None:
    """The points of a lead at this moment with what each rule gives; None while there is no rule."""
    records.get(session, actor, "lead", lead_id)
    rules, at = _active(session), utcnow()
    return _points(session, rules, [lead_id], {lead_id: at})[lead_id] if rules else None


def past(session: Session, actor: Actor) -> list[Band]:
    """How many leads of each band were converted within 90 days, for leads of the last year that had so long.

    Points as of a week after a lead came in, or its conversion if that was earlier: only behaviour until then counts. Fit is judged by today's facts,
    as older ones are not kept.
    """
    import numpy as np

    from ml.kpis import wilson  # here: pandas is only needed when somebody asks

    require(actor, "assignment", Action.READ)
    now, rules, threshold = utcnow(), _active(session), _bands(session)["threshold"]
    columns = [_LEADS.c[name] for name in ("id", "created_at", "converted_at")]
    window = and_(
        _LEADS.c.created_at >= now - timedelta(days=365 + OUTCOME_DAYS), _LEADS.c.created_at < now - timedelta(days=OUTCOME_DAYS)
    )
    query = select(*columns).where(visible(actor, "lead", _LEADS), window).order_by(_LEADS.c.created_at.desc()).limit(MOST_PAST)
    rows = list(session.execute(query))
    edges = sorted({0, threshold // 4, threshold // 2, threshold, threshold * 3 // 2})
    counted: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        at = {row.id: min(row.created_at + timedelta(days=LOOK_DAYS), row.converted_at or now) for row in part}
        found = _points(session, rules, list(at), at)
        for row in part:
            band = max((edge for edge in edges if found[row.id].total >= edge), default=-1)
            counted[band][0] += 1
            counted[band][1] += row.converted_at is not None and row.converted_at <= row.created_at + timedelta(days=OUTCOME_DAYS)
    made = []
    for edge in sorted(counted, reverse=True):
        number, converted = counted[edge]
        low, high = (float(end) for end in wilson(np.asarray(converted), np.asarray(number)))
        upper = next((other for other in edges if other > edge), None)
        label = "below 0" if edge < 0 else f"{edge} or more" if upper is None else f"{edge} to {upper - 1}"
        made.append(Band(label, number, converted, low, high))
    return made


# --- counting ---------------------------------------------------------------------------------------------------------------


def _points(session: Session, rules: Sequence[PointRule], ids: Sequence[int], at: Mapping[int, datetime]) -> dict[int, Points]:
    """The points of each lead at its instant."""
    fits = {rule.id: _fitting(session, rule, ids) for rule in rules if rule.kind is LeadPointKind.FIT}
    seen, limits = _signals(session, ids), _bands(session)
    made: dict[int, Points] = {}
    for lead_id in ids:
        parts = [part for rule in rules if (part := _part(rule, lead_id, fits, seen.get(lead_id, ()), at[lead_id])) is not None]
        fit = sum(part.points for part in parts if part.kind is LeadPointKind.FIT)
        behaviour = sum(part.points for part in parts if part.kind is LeadPointKind.BEHAVIOUR)
        ready = fit + behaviour >= limits["threshold"]
        shown = tuple(sorted(parts, key=lambda part: -abs(part.points)))
        made[lead_id] = Points(fit, behaviour, point_rules.grade(fit, behaviour, limits), ready, shown)
    return made


def _part(rule: PointRule, lead_id: int, fits: Mapping[int, set[int]], seen: Sequence[Signal], at: datetime) -> Part | None:
    if rule.kind is LeadPointKind.FIT:
        return Part(rule.name, rule.kind, float(rule.points), 1) if lead_id in fits[rule.id] else None
    instants = [instant for signal, instant in seen if point_rules.matches(rule.signal, signal) and instant <= at]
    if not instants:
        return None
    return Part(rule.name, rule.kind, point_rules.faded(rule.points, instants, at, rule.half_life_days, rule.cap), len(instants))


def _fitting(session: Session, rule: PointRule, ids: Sequence[int]) -> set[int]:
    if unaskable(session, "lead", rule.filter):  # a field of it is gone, which its card says; the other rules count on
        return set()
    clause = where(session, "lead", rule.filter, system())
    return set(session.execute(select(_LEADS.c.id).where(_LEADS.c.id.in_(list(ids)), clause)).scalars())


def _signals(session: Session, ids: Sequence[int]) -> dict[int, list[Signal]]:
    touches, log = Touchpoint.__table__, Activity.__table__  # type: ignore[attr-defined]
    found: dict[int, list[Signal]] = defaultdict(list)
    for lead_id, kind, at in session.execute(
        select(touches.c.lead_id, touches.c.kind, touches.c.at).where(touches.c.lead_id.in_(list(ids)))
    ):
        found[lead_id].append((f"touch.{kind}", at))
    query = select(log.c.lead_id, log.c.kind, log.c.at).where(log.c.lead_id.in_(list(ids)), log.c.deleted_at.is_(None))
    for lead_id, kind, at in session.execute(query):
        found[lead_id].append((f"activity.{kind}", at))
    return found


def _active(session: Session) -> list[PointRule]:
    return list(session.exec(fetch(PointRule).where(col(PointRule.is_active)).order_by(col(PointRule.id))))


def _bands(session: Session) -> dict[str, Any]:
    row = session.exec(fetch(RoutingSetting).where(RoutingSetting.key == "points")).first()
    return dict(row.value) if row else dict(START)


def _changed(session: Session, actor: Actor, name: str) -> None:
    events.record(session, actor, "assignment.points_saved", entity="assignment", data={"name": name})
    jobs.enqueue(session, "routing.points_all", unless_waiting=True)


def _get(session: Session, rule_id: int) -> PointRule:
    row = session.get(PointRule, rule_id)
    if row is None:
        raise NotFound("This rule no longer exists.")
    return row


# --- keeping ----------------------------------------------------------------------------------------------------------------


def _keep(session: Session, ids: Sequence[int]) -> None:
    """Write the points of leads where lists sort by them; no change that anybody made, so their versions stay."""
    rules, now = _active(session), utcnow()
    found = _points(session, rules, ids, dict.fromkeys(ids, now)) if rules else {}
    kept = {row.lead_id: row for row in session.exec(fetch(LeadPoints).where(col(LeadPoints.lead_id).in_(list(ids))))}
    before = {
        row.id: (row.points, row.grade)
        for row in session.execute(select(_LEADS.c.id, _LEADS.c.points, _LEADS.c.grade).where(_LEADS.c.id.in_(list(ids))))
    }
    for lead_id in ids:
        points = found.get(lead_id)
        row = kept.get(lead_id) or LeadPoints(lead_id=lead_id, computed_at=now)
        if points is not None:
            row.fit, row.behaviour, row.computed_at = points.fit, points.behaviour, now
            row.reached_at = row.reached_at or (now if points.ready else None)
            session.add(row)
        shown = (round(points.total), points.grade) if points is not None else (None, None)
        if shown != before.get(lead_id):
            session.execute(
                update(_LEADS).where(_LEADS.c.id == lead_id).values(points=shown[0], grade=shown[1], updated_at=_LEADS.c.updated_at)
            )
    session.flush()
    bump(session, "lead")


def count_all(session: Session) -> None:
    """Every open lead at once, for a workspace that is being built."""
    ids = list(session.execute(select(_LEADS.c.id).where(open_clause("lead")).order_by(_LEADS.c.id)).scalars())
    for start in range(0, len(ids), _BATCH):
        _keep(session, ids[start : start + _BATCH])


def _any_rule(session: Session) -> bool:
    table = PointRule.__table__  # type: ignore[attr-defined]
    return bool(session.execute(select(exists(select(table.c.id).where(table.c.is_active)))).scalar_one())


def _since(session: Session, job_id: str | None = None) -> datetime:
    """Since when something may have happened that was not counted yet: shortly before the last run that came to its end was asked for.

    A run may wait long for its turn, so that its own row, and those of runs that failed, say nothing about what was counted. A day at most.
    """
    now, status = utcnow(), statuses(session)
    own = session.execute(select(RUNS.c.created_at).where(RUNS.c.job_id == job_id)).scalar() or now
    counted = select(RUNS.c.created_at).join(status, status.c.workflow_uuid == RUNS.c.job_id)
    counted = counted.where(RUNS.c.name == FRESH, RUNS.c.created_at < own, status.c.status == DONE)
    last = session.execute(counted.order_by(RUNS.c.created_at.desc()).limit(1)).scalar()
    return max(now - timedelta(days=1), last - timedelta(minutes=2)) if last else now - timedelta(days=1)


def _happened(since: datetime) -> Any:
    """Leads that came in, changed, were touched or worked on. What happened within a week before it was written down counts, too.

    Meetings are written down before they happen, calls and mail after it.
    """
    touches, log = Touchpoint.__table__, Activity.__table__  # type: ignore[attr-defined]
    by_index = log.c.kind.in_(list(ActivityKind))  # every kind: there is an index by kind and instant, none by instant alone
    touched = select(touches.c.lead_id).where(_news(touches, since), touches.c.lead_id.is_not(None))
    worked = select(log.c.lead_id).where(by_index, _news(log, since), log.c.lead_id.is_not(None))
    return or_(_LEADS.c.updated_at >= since, _LEADS.c.id.in_(touched), _LEADS.c.id.in_(worked))


def _news(table: Any, since: datetime) -> Any:
    late = table.c.at >= since - timedelta(days=LATE_DAYS)
    return and_(late, or_(table.c.updated_at >= since, table.c.at.between(since, utcnow())))


def _anything_new(session: Session) -> bool:
    return _any_rule(session) and bool(
        session.execute(select(exists(select(_LEADS.c.id).where(_happened(_since(session)))))).scalar_one()
    )


@job(FRESH, title="Count the points of leads where something happened", cron="* * * * *", when=_anything_new, keep_days=2)
def fresh(job: Job) -> None:
    """Within a minute or two of whatever happened to a lead, its points say so in lists and filters, too."""
    with job.transaction() as session:
        job.cursor = {"since": _since(session, job.id).isoformat(), **job.cursor}  # one that was cut off keeps its own
    _walk(job, _happened(datetime.fromisoformat(job.cursor["since"])))


@job("routing.points_all", title="Count the points of all open leads", cron="35 2 * * *", when=_any_rule, keep_days=7)
def everything(job: Job) -> None:
    """Behaviour fades by itself: every open lead once a day, and after a rule changed."""
    _walk(job, open_clause("lead"))


def _walk(job: Job, clause: Any) -> None:
    while True:
        with job.transaction() as session:
            last = job.cursor.get("last", 0)
            query = (
                select(_LEADS.c.id)
                .where(_LEADS.c.id > last, _LEADS.c.deleted_at.is_(None), clause)
                .order_by(_LEADS.c.id)
                .limit(_BATCH)
            )
            ids = list(session.execute(query).scalars())
            if ids:
                _keep(session, ids)
                job.cursor = {**job.cursor, "last": ids[-1], "done": job.cursor.get("done", 0) + len(ids)}
                job.report(job.cursor["done"])
        if len(ids) < _BATCH:
            return
