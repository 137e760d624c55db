"""What an automation would have done: the rule over the last days of the log and of the records, before it is switched on.

The past is asked with what is known today: conditions look at records as they are now, and only ``before`` at the values of that time. The
page says so. Nothing is written.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, bindparam, func, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.services.automation import automations, flow_rules, steps
from crm_core.services.automation.engine import EVENTS
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.taking_up import before_test
from crm_core.services.automation.upkeep import on_day
from crm_core.vocabulary import Action, Reentry, TriggerKind, Via

DAYS = 90
MOST_EVENTS = 200_000
MOST_AT_ONCE = flow_rules.MOST_AN_HOUR + 1
"""Records of one day that are counted: more are too many for any limit."""
_PART = 5_000


@dataclass(frozen=True)
class Replay:
    """``starts``: how often it would have begun; ``per_day``: the same by day; ``examples``: (instant, record, name); ``mails``: steps that write to
    customers per run, at most; ``busiest``: most starts within one hour, without those of imports, which keep a pace of their own (``imported``: how
    many); ``looked_at``: events or records that were examined."""

    days: int
    starts: int
    records: int
    looked_at: int
    per_day: Mapping[date, int] = field(default_factory=dict)
    examples: Sequence[tuple[datetime, int, str]] = ()
    mails: int = 0
    busiest: int = 0
    over_cap: bool = False
    cut: bool = False
    today_only: bool = False
    imported: int = 0
    hourly_cap: int = 200


Report = Callable[[float], object]


def run(
    session: Session,
    actor: Actor,
    flow: Mapping[str, Any],
    *,
    hourly_cap: int = 200,
    days: int = DAYS,
    report: Report = lambda _share: None,
) -> Replay:
    """Try a flow on the past. ``report`` hears how much is done, from 0 to 1. Raises Invalid while it could not be switched on either."""
    require(actor, "automation", Action.READ)
    tidy = flow_rules.tidy(flow)
    wrong = automations.problems(session, actor, tidy)
    if wrong:
        raise Invalid("Finish the automation first: " + " ".join(dict.fromkeys(wrong.values())), fields=wrong)
    kind = tidy["trigger"]["kind"]
    if kind in (TriggerKind.EVENT.value, TriggerKind.CHANGED.value):
        found, looked, cut = _of_events(session, actor, tidy, days, report)
    elif kind == TriggerKind.DATE.value:
        found, looked, cut = _of_dates(session, actor, tidy, days, report)
    else:
        found, looked, cut = _of_today(session, actor, tidy)
    return _told(session, actor, tidy, found, looked, cut, hourly_cap, days, kind)


Starts = list[tuple[datetime, int, bool]]
"""Instant, record, and whether an import would have brought it about."""


def _of_events(session: Session, actor: Actor, flow: Mapping[str, Any], days: int, report: Report) -> tuple[Starts, int, bool]:
    since, listens = utcnow() - timedelta(days=days), flow_rules.listens(flow)
    clause = [EVENTS.c.entity == flow["entity"], EVENTS.c.at >= since]
    clause += [EVENTS.c.type.in_(listens["types"])] if listens["types"] else [EVENTS.c.type.not_like("%.created")]
    if not flow["trigger"].get("imports"):
        clause.append(EVENTS.c.via != Via.IMPORT)
    columns = [EVENTS.c[name] for name in ("id", "type", "at", "via", "record_id", "changes", "data")]
    rows = session.execute(select(*columns).where(*clause).order_by(EVENTS.c.id.desc()).limit(MOST_EVENTS)).all()
    heard = [row for row in reversed(rows) if flow_rules.starts(flow, row.type, row.changes, row.data)]
    report(0.4)
    allowed = _allowed(session, actor, flow, {row.record_id for row in heard}, lambda share: report(0.4 + share * 0.3))
    kept = [row for row in heard if row.record_id in allowed]
    if flow.get("before") and kept:
        kept = _before(session, actor, flow, kept, lambda share: report(0.7 + share * 0.3))
    return _rested(flow, [(row.at, row.record_id, row.via == Via.IMPORT) for row in kept]), len(rows), len(rows) == MOST_EVENTS


def _allowed(session: Session, actor: Actor, flow: Mapping[str, Any], ids: set[int], report: Report) -> set[int]:
    """Those records that the actor sees and that match the conditions now."""
    found = entity(flow["entity"])
    clause = wanted(session, actor, found.key, flow.get("if"))
    ordered, allowed = sorted(ids), set[int]()
    for at in range(0, len(ordered), _PART):
        part = found.table.c.id.in_(_inline(ordered[at : at + _PART]))
        allowed |= set(session.execute(select(found.table.c.id).where(part, *clause)).scalars())
        report(min(1.0, (at + _PART) / len(ordered)))
    return allowed


def _inline(ids: Sequence[int]) -> Any:
    """Numbers of records as they are written into a statement: naming thousands of parameters takes longer than the query."""
    return bindparam(None, [int(one) for one in ids], expanding=True, literal_execute=True)


def _before(session: Session, actor: Actor, flow: Mapping[str, Any], rows: Sequence[Any], report: Report) -> list[Any]:
    """Those events before which the record was as the flow wants it: each record walked back from today through its log."""
    table, test = entity(flow["entity"]).table, before_test(session, actor, flow)
    asked = {row.id for row in rows}
    first, kept = min(asked), set[int]()
    ids = sorted({row.record_id for row in rows})
    for at in range(0, len(ids), _PART // 10):
        part = _inline(ids[at : at + _PART // 10])
        now = {record.id: record for record in session.execute(select(table).where(table.c.id.in_(part)))}
        log = select(EVENTS.c.id, EVENTS.c.record_id, EVENTS.c.changes).where(
            EVENTS.c.entity == flow["entity"], EVENTS.c.record_id.in_(part), EVENTS.c.id >= first
        )
        back: dict[int, list[Mapping[str, Any]]] = {}
        for event in session.execute(log.order_by(EVENTS.c.id.desc())):
            back.setdefault(event.record_id, []).append(event.changes)
            if event.id in asked and test(now[event.record_id], back[event.record_id]):
                kept.add(event.id)
        report(min(1.0, (at + _PART // 10) / len(ids)))
    return [row for row in rows if row.id in kept]


def _rested(flow: Mapping[str, Any], starts: Starts) -> Starts:
    """Without those that re-entry forbids. How long a run would have taken is not known: ``idle`` counts as free again after its waits."""
    reentry, rest = flow.get("reentry"), timedelta(days=int(flow.get("rest_days") or 0))
    pause = max(rest, _waits(flow) if reentry == Reentry.IDLE.value else timedelta())
    last: dict[int, datetime] = {}
    kept: Starts = []
    for at, record_id, imported in starts:
        before = last.get(record_id)
        if before is not None and (reentry == Reentry.ONCE.value or at - before < pause):
            continue
        last[record_id] = at
        kept.append((at, record_id, imported))
    return kept


def _waits(flow: Mapping[str, Any]) -> timedelta:
    total = timedelta()
    for step, _ in flow_rules.walk(flow["steps"]):
        if step["kind"] == "wait":
            unit = str(step.get("unit") or "days")
            total += timedelta(**{"hours" if unit == "business_hours" else unit: int(step.get("amount") or 0)})
    return total


def _of_dates(session: Session, actor: Actor, flow: Mapping[str, Any], days: int, report: Report) -> tuple[Starts, int, bool]:
    trigger, found = flow["trigger"], entity(flow["entity"])
    spec = registry(session, found.key)[trigger["field"]]
    zone = ZoneInfo(actor.timezone)
    today = utcnow().astimezone(zone).date()
    clause = wanted(session, actor, found.key, flow.get("if"))
    starts: Starts = []
    for back in range(days, -1, -1):
        day = today - timedelta(days=back)
        meant = on_day(
            spec, found.table, day - timedelta(days=int(trigger.get("days") or 0)), bool(trigger.get("yearly")), actor.timezone
        )
        at = datetime(day.year, day.month, day.day, flow_rules.hour_of(trigger), tzinfo=zone)
        ids = session.execute(select(found.table.c.id).where(and_(meant, *clause)).limit(MOST_AT_ONCE)).scalars()
        starts += [(at, record_id, False) for record_id in ids]
        report((days - back + 1) / (days + 1))
    return _rested(flow, starts), days + 1, False


def _of_today(session: Session, actor: Actor, flow: Mapping[str, Any]) -> tuple[Starts, int, bool]:
    found = entity(flow["entity"])
    clause = wanted(session, actor, found.key, flow.get("if"))
    ids = list(session.execute(select(found.table.c.id).where(*clause).limit(MOST_AT_ONCE + 1)).scalars())
    total = session.execute(select(func.count()).select_from(found.table).where(clause[0])).scalar_one()
    return [(utcnow(), record_id, False) for record_id in ids[:MOST_AT_ONCE]], int(total), len(ids) > MOST_AT_ONCE


def _told(
    session: Session, actor: Actor, flow: Mapping[str, Any], found: Starts, looked: int, cut: bool, cap: int, days: int, kind: str
) -> Replay:
    zone = ZoneInfo(actor.timezone)
    hours = Counter(at.replace(minute=0, second=0, microsecond=0) for at, _, imported in found if not imported)
    latest = found[-12:][::-1]
    names = lists.titles(session, actor, flow["entity"], {record_id for _, record_id, _ in latest})
    today_only = kind in (TriggerKind.SCHEDULE.value, TriggerKind.MANUAL.value)
    busiest = max(hours.values(), default=0)
    return Replay(
        days, len(found), len({record_id for _, record_id, _ in found}), looked, dict(Counter(at.astimezone(zone).date() for at, _, _ in found)),
        [(at, record_id, names.get(record_id, "")) for at, record_id, _ in latest], _mails(flow["steps"]), busiest, busiest > cap, cut, today_only,
        sum(imported for _, _, imported in found), cap,
    )  # fmt: skip


def _mails(sequence: Sequence[Mapping[str, Any]]) -> int:
    """Messages to customers on the way that writes most."""
    total = 0
    for step in sequence:
        if step["kind"] == "branch":
            total += max(_mails(step.get("yes") or ()), _mails(step.get("no") or ()))
        else:
            total += 1 if steps.kind(step["kind"]).mails else 0
    return total
