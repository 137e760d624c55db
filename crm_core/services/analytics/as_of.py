"""Figures as they stood at the end of a past day, rebuilt from the records' own days and the log of changes. What can't be rebuilt is refused.

A record that changed since then (a row in the event log) is taken back, change by change, to its values of that day. All others are read as
they are, with their own days: opened by then, not closed before. Only records that the reader may see *today* count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Text, and_, cast, func, or_, select
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.filters import Context
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.models import Deal, Event, StageEvent
from crm_core.services.analytics import tile_facts
from crm_core.services.analytics.metric_rules import Facts, Metric
from crm_core.services.analytics.metric_slots import Grouped
from crm_core.services.analytics.tile_facts import Cut
from crm_core.vocabulary import DONE, Action, FieldKind, StageKind, Via

MAX_CHANGED = 20_000
_EVENT = Event.__table__  # type: ignore[attr-defined]
_MOVES = StageEvent.__table__  # type: ignore[attr-defined]
_DEAL = Deal.__table__  # type: ignore[attr-defined]

CANNOT = {
    "weighted_pipeline": "Win probabilities of the past are not kept for every deal, so this figure can't be rebuilt for a past day.",
    "campaign_cost": "Costs of campaigns are kept as they are now, so this figure can't be rebuilt for a past day.",
    "acquisition_cost": "Costs of campaigns are kept as they are now, so this figure can't be rebuilt for a past day.",
    "campaign_return": "Costs of campaigns are kept as they are now, so this figure can't be rebuilt for a past day.",
    **dict.fromkeys(
        (
            "first_response_work", "first_response_work_p90", "resolution_work", "resolution_work_p90", "response_kept", "resolution_kept",
            "reopen_rate", "first_contact", "satisfaction",
        ),
        "What followed a ticket (answers, kept promises, coming back) is kept as it is now, so this figure can't be rebuilt for a past day.",
    ),
    "open_handovers": "Hand-overs are kept as they are now, so this figure can't be rebuilt for a past day.",
}  # fmt: skip
"""Figures that nothing kept would rebuild, with the reason for people."""
PIVOT = "A report reads the records as they are now. It can't be rebuilt for a past day; key figures can."
FAR = "For a past day, filters and splits must be fields of the records themselves: linked records are known only as they are now."
_BORN = {"deal": "created_on", "lead": "created_at", "order": "ordered_at", "ticket": "opened_at"}


@dataclass(frozen=True)
class Moment:
    """The end of a calendar day of the reader."""

    day: date
    end: datetime


def moment(actor: Actor, day: date) -> Moment:
    """The end of a day. Raises Invalid for days to come."""
    require(actor, "analytics", Action.READ)
    if day > clock.today(actor.timezone):
        raise Invalid("The day to look back to lies ahead. Choose one that has passed.")
    return Moment(day, Context(actor).start_of(day + timedelta(days=1)))


def grouped(session: Session, actor: Actor, metric: Metric, cut: Cut, at: Moment) -> Grouped:
    """Facts by group as they stood. Raises Invalid with the reason where that can't be known."""
    if metric.key in CANNOT:
        raise Invalid(CANNOT[metric.key])
    if "." in cut.by or any("." in path for path in _paths(tile_facts.listed(metric, cut))):
        raise Invalid(FAR)
    table = entity(metric.entity).table
    changed = _changed(metric.entity, at)
    group = _stage_then(at) if cut.by == "stage_id" and metric.now else None
    found = tile_facts.grouped(
        session, actor, metric, _plain(metric, cut), clause=and_(table.c.id.not_in(changed), *_then(metric, table, at, cut)),
        group=group, leaves=not metric.now,
    )  # fmt: skip
    for key, facts in _rewound(session, actor, metric, cut, at, changed):
        found.setdefault(key, Facts()).add(facts)
    if metric.key == "lead_conversion":
        _not_yet_converted(session, actor, metric, cut, at, changed, found)
    return found


def _plain(metric: Metric, cut: Cut) -> Cut:
    """What is open now has no period: owner and pipeline go into the further filter, since its leaves are replaced."""
    if not metric.now:
        return cut
    items: list[dict[str, Any]] = [cut.only] if cut.only else []
    if cut.owner_id is not None:
        items.append({"field": metric.owner_path, "cmp": "eq", "value": cut.owner_id})
    if cut.pipeline_id is not None and metric.pipeline_path:
        items.append({"field": metric.pipeline_path, "cmp": "eq", "value": cut.pipeline_id})
    return Cut(cut.period, only={"op": "and", "items": items} if items else None, by=cut.by, steps=cut.steps)


def _paths(ast: Any) -> Iterable[str]:
    if isinstance(ast, dict):
        if "op" in ast:
            for item in ast.get("items", ()):
                yield from _paths(item)
        else:
            yield str(ast["field"]) if "field" in ast and "agg" not in ast else "."


def _then(metric: Metric, table: Any, at: Moment, cut: Cut) -> list[Any]:
    """What an unchanged record must be to have counted on that day."""
    if metric.key == "open_pipeline":
        left = and_(table.c.outcome != StageKind.OPEN, table.c.closed_on > at.day)
        return [table.c.created_on <= at.day, or_(table.c.outcome == StageKind.OPEN, left)]
    if metric.key == "open_tickets":
        left = and_(table.c.status.in_(DONE), table.c.solved_at >= at.end)
        return [table.c.opened_at < at.end, or_(table.c.status.not_in(DONE), left)]
    if metric.key in ("first_response", "first_response_p90"):
        return [table.c.first_response_at < at.end]
    born = table.c[_BORN[metric.entity]]
    return [born <= at.day if metric.entity == "deal" else born < at.end]


def _changed(entity_key: str, at: Moment) -> Any:
    """Ids of the records that somebody changed after the day. Records that an import or the demo brought in since count by their own days."""
    brought = and_(_EVENT.c.type == f"{entity_key}.created", _EVENT.c.via.in_((Via.IMPORT, Via.DEMO)))
    silent = and_(_EVENT.c.via == Via.DEMO, func.length(cast(_EVENT.c.changes, Text)) <= 2)
    return select(_EVENT.c.record_id).where(_EVENT.c.entity == entity_key, _EVENT.c.at >= at.end, ~brought, ~silent)


def _stage_then(at: Moment) -> Any:
    """The stage of a deal at the end of the day, by its stage history; without one, the stage that it has."""
    latest = select(_MOVES.c.to_stage_id).where(_MOVES.c.deal_id == _DEAL.c.id, _MOVES.c.at < at.end)
    return func.coalesce(latest.order_by(_MOVES.c.at.desc(), _MOVES.c.id.desc()).limit(1).scalar_subquery(), _DEAL.c.stage_id)


def _not_yet_converted(session: Session, actor: Actor, metric: Metric, cut: Cut, at: Moment, changed: Any, found: Grouped) -> None:
    """Leads that were converted after the day had not been converted yet."""
    table = entity("lead").table
    later = tile_facts.grouped(
        session, actor, metric, cut,
        clause=and_(table.c.id.not_in(changed), table.c.created_at < at.end, table.c.converted_at >= at.end),
    )  # fmt: skip
    for key, facts in later.items():
        if key in found:
            found[key].converted -= facts.converted


# --- records that changed since ------------------------------------------------------------------------------------------


def _rewound(session: Session, actor: Actor, metric: Metric, cut: Cut, at: Moment, changed: Any) -> Iterable[tuple[Any, Facts]]:
    """Group and facts of each changed record that counted on the day, by its values of then."""
    rows = _rows(session, actor, metric.entity, at, changed)
    if not rows:
        return
    test = filters.predicate(filters.bind(session, metric.entity, tile_facts.listed(metric, cut), Context(actor, _noon(at))))
    key_of = _key(session, actor, metric, cut)
    for row in rows:
        if _existed(metric, row, at) and test(row) and _solid(metric, row):
            yield key_of(row), tile_facts.of_row(metric, row)


def _noon(at: Moment) -> datetime:
    """The present of relative days in filters is that of the day."""
    return at.end - timedelta(hours=12)


def _existed(metric: Metric, row: dict[str, Any], at: Moment) -> bool:
    born = row[_BORN[metric.entity]]
    return (
        not row["_gone"]
        and born is not None
        and (born <= at.day if isinstance(born, date) and not isinstance(born, datetime) else born < at.end)
    )


def _solid(metric: Metric, row: dict[str, Any]) -> bool:
    return metric.key != "sales_cycle" or row["created_on"] is not None


def _key(session: Session, actor: Actor, metric: Metric, cut: Cut) -> Any:
    if cut.by:
        return lambda row: row[cut.by]
    if not cut.steps:
        return lambda _row: None
    name, start = tile_facts.day_field(metric), Context(actor).start_of
    starts = [step.start for step in cut.steps]

    def step(row: dict[str, Any]) -> int:
        value = row[name]
        begins = [start(day) for day in starts] if isinstance(value, datetime) else starts
        return max(0, sum(begin <= value for begin in begins) - 1)

    return step


def _rows(session: Session, actor: Actor, entity_key: str, at: Moment, changed: Any) -> list[dict[str, Any]]:
    """The changed records with their values of the day; those that were entered later are left out."""
    table, specs = entity(entity_key).table, registry(session, entity_key)
    names = {key: spec.expression(table).label(key) for key, spec in specs.items()}
    statement = select(table.c.id.label("_id"), table.c.deleted_at.label("_deleted"), *names.values()).where(
        table.c.id.in_(changed), visible(actor, entity_key, table, with_deleted=True)
    )
    found = {
        row._mapping["_id"]: {
            **{key: _typed(specs[key], row._mapping[key]) for key in names},
            "_gone": row._mapping["_deleted"] is not None,
        }
        for row in session.execute(statement.limit(MAX_CHANGED + 1))
    }
    if len(found) > MAX_CHANGED:
        raise Invalid(
            f"More than {written(MAX_CHANGED)} {entity(entity_key).plural.lower()} changed since that day. Choose a later one."
        )
    later = _take_back(session, entity_key, at, changed, found, specs)
    return [row for record_id, row in found.items() if record_id not in later]


def _take_back(
    session: Session, entity_key: str, at: Moment, changed: Any, found: dict[int, dict[str, Any]], specs: Any
) -> set[int]:
    """Undo the logged changes, newest first; gives the ids of records that did not exist yet."""
    log = select(_EVENT.c.record_id, _EVENT.c.type, _EVENT.c.via, _EVENT.c.changes).where(
        _EVENT.c.entity == entity_key, _EVENT.c.at >= at.end, _EVENT.c.record_id.in_(changed)
    )
    later: set[int] = set()
    for record_id, event_type, via, changes in session.execute(log.order_by(_EVENT.c.id.desc())):
        row = found.get(record_id)
        if row is None:
            continue
        verb = event_type.split(".", 1)[1]
        if verb in ("archived", "restored"):
            row["_gone"] = verb == "restored"
        elif verb == "created" and via not in (Via.IMPORT, Via.DEMO):
            later.add(record_id)
        for key, change in (changes or {}).items():
            if key in specs:
                row[key] = _typed(specs[key], change[0])
    return later


def _typed(spec: FieldSpec, raw: Any) -> Any:
    """A value as the predicate of a filter wants it: own fields typed, custom ones as they stand in JSON."""
    if raw is None or spec.custom:
        return to_json(raw)
    if spec.enum is not None:
        return spec.enum(raw)
    if isinstance(raw, str) and spec.kind is FieldKind.DATE:
        return date.fromisoformat(raw)
    if isinstance(raw, str) and spec.kind is FieldKind.DATETIME:
        return datetime.fromisoformat(raw)
    return raw
