"""Reports over any kind of record: rows × columns × a measure, grouped in SQL, within what the reader may see; every cell has its list."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Integer, case, cast, func, literal, select
from sqlmodel import Session

from crm_core import filters, lists
from crm_core.access import Actor, require, visible
from crm_core.entities import RECORDS, entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec
from crm_core.kit.numerals import written
from crm_core.services.analytics import breakdowns, dimensions
from crm_core.services.analytics.dimensions import Dimension
from crm_core.services.analytics.metric_rules import within
from crm_core.services.analytics.metric_slots import Selection, beginning
from crm_core.services.analytics.metric_sql import step_of
from crm_core.services.analytics.periods import add_months, unit_start
from crm_core.vocabulary import Action, FieldKind, Grain, Measure

MAX_GROUPS = 5_000
MAX_COLUMNS = 12
MAX_STEPS = 120
_MONTHS = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}
_VERBS = {Measure.SUM: "Sum of", Measure.AVERAGE: "Average", Measure.LOWEST: "Lowest", Measure.HIGHEST: "Highest"}


@dataclass(frozen=True)
class Cell:
    """One number of a report: None where no record has a value; ``cases`` records; the list behind it."""

    value: float | int | None
    cases: int
    filter: dict[str, Any]


@dataclass(frozen=True)
class Pivot:
    """A report. ``cells[row][column]``; totals cover all records, also those beyond the shown rows and columns. ``unit``: the kind of number."""

    title: str
    unit: FieldKind
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    row_totals: tuple[Cell, ...]
    column_totals: tuple[Cell, ...]
    whole: Cell
    row_label: str
    column_label: str
    left_out: int = 0
    additive: bool = True


@dataclass
class _Sum:
    """What adds up: records, records with a value, their sum, the lowest and highest."""

    cases: int = 0
    filled: int = 0
    amount: Any = 0
    low: Any = None
    high: Any = None

    def add(self, other: "_Sum") -> "_Sum":
        self.cases += other.cases
        self.filled += other.filled
        self.amount += other.amount
        self.low = min((v for v in (self.low, other.low) if v is not None), default=None)
        self.high = max((v for v in (self.high, other.high) if v is not None), default=None)
        return self

    def value(self, measure: Measure) -> float | int | None:
        match measure:
            case Measure.COUNT:
                return self.cases
            case Measure.SUM:
                return self.amount
            case Measure.AVERAGE:
                return self.amount / self.filled if self.filled else None
            case Measure.LOWEST:
                return self.low
        return self.high


def entities(actor: Actor) -> dict[str, str]:
    """The kinds of records that this person may report on."""
    return {key: entity(key).plural for key in RECORDS if actor.can("analytics", Action.READ) and actor.can(key, Action.READ)}


def base_filter(spec: dict[str, Any], selection: Selection) -> dict[str, Any]:
    """The filter of all records of a report: its own, the chosen owner and pipeline, and the period where it names a day."""
    items: list[dict[str, Any]] = [spec["filter"]] if spec["filter"] else []
    columns = entity(spec["entity"]).table.c
    for name, chosen in (("owner_id", selection.owner_id), ("pipeline_id", selection.pipeline_id)):
        if chosen is not None and name in columns:
            items.append({"field": name, "cmp": "eq", "value": chosen})
    if spec["date"]:
        items += [dict(leaf) for leaf in within(spec["date"], selection.period)]
    return {"op": "and", "items": items}


def pivot(session: Session, actor: Actor, spec: dict[str, Any], selection: Selection) -> Pivot:
    """Compute a report. Raises Invalid for fields that don't exist, are hidden, or fall into too many groups."""
    require(actor, "analytics", Action.READ)
    key = spec["entity"]
    require(actor, key, Action.READ)
    measure = Measure(spec["measure"])
    number = _number(session, actor, key, spec["field"]) if measure is not Measure.COUNT else None
    base = base_filter(spec, selection)
    across = [_axis(session, actor, key, axis, base) for axis in (spec["rows"], spec["columns"]) if axis]
    found = _groups(session, actor, key, base, across, number)
    return _arranged(session, actor, spec, measure, number, base, across, found)


def _number(session: Session, actor: Actor, key: str, name: str) -> FieldSpec:
    found = dimensions.numbers(session, actor, key).get(name)
    if found is None:
        raise Invalid("The number of this report does not exist any more, or your role hides it.")
    return found


# --- axes ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axis:
    dimension: Dimension
    grain: Grain | None
    steps: tuple[tuple[date, date], ...] = ()

    @property
    def label(self) -> str:
        return self.dimension.label + (f" by {self.grain.label.lower()}" if self.grain else "")


def _axis(session: Session, actor: Actor, key: str, raw: dict[str, str], base: dict[str, Any]) -> _Axis:
    dimension = dimensions.one(session, actor, key, raw["field"], days=True)
    if not dimension.is_day:
        return _Axis(dimension, None)
    grain = Grain(raw["grain"] or Grain.MONTH.value)
    return _Axis(dimension, grain, _steps(session, actor, key, dimension, grain, base))


def _steps(
    session: Session, actor: Actor, key: str, dimension: Dimension, grain: Grain, base: dict[str, Any]
) -> tuple[tuple[date, date], ...]:
    """The calendar steps from the first to the last day that occurs."""
    if dimension.spec.custom:
        raise Invalid("Days of own fields can be filtered by, but not be put in rows or columns yet. Choose another field.")
    table = entity(key).table
    column = dimension.spec.expression(table)
    where = (visible(actor, key, table), filters.where(session, key, base, actor), column.is_not(None))
    ends = session.execute(select(func.min(column), func.max(column)).where(*where)).one()
    if ends[0] is None:
        return ()
    zone = filters.Context(actor).zone
    first, last = (value.astimezone(zone).date() if isinstance(value, datetime) else value for value in ends)
    steps: list[tuple[date, date]] = []
    day = _begin(first, grain, actor.first_weekday)
    while day <= last:
        following = _next(day, grain)
        steps.append((day, following - timedelta(days=1)))
        day = following
        if len(steps) > MAX_STEPS:
            raise Invalid(f"That would be more than {MAX_STEPS} steps. Choose a shorter period or larger steps.")
    return tuple(steps)


def _begin(day: date, grain: Grain, first_weekday: int) -> date:
    if grain is Grain.DAY:
        return day
    return day - timedelta(days=(day.weekday() - first_weekday) % 7) if grain is Grain.WEEK else unit_start(day, _MONTHS[grain])


def _next(day: date, grain: Grain) -> date:
    if grain in (Grain.DAY, Grain.WEEK):
        return day + timedelta(days=1 if grain is Grain.DAY else 7)
    return add_months(day, _MONTHS[grain])


def _expression(session: Session, actor: Actor, key: str, axis: _Axis) -> Any:
    if not axis.grain:
        return dimensions.column(session, actor, key, axis.dimension.path).expression
    column = axis.dimension.spec.expression(entity(key).table)
    begin = beginning(actor, axis.dimension.spec.kind)
    stepped = step_of(column, [begin(first) for first, _ in axis.steps])
    return case((column.is_(None), None), else_=stepped)


# --- groups --------------------------------------------------------------------------------------------------------------

Groups = dict[tuple[Any, Any], _Sum]


def _groups(
    session: Session, actor: Actor, key: str, base: dict[str, Any], across: list[_Axis], number: FieldSpec | None
) -> Groups:
    table = entity(key).table
    value = number.expression(table) if number is not None else literal(0)
    links = {n: link for n, axis in enumerate(across) if (link := _link(session, actor, key, axis)) is not None}
    columns = [(links[n] if n in links else _expression(session, actor, key, axis)).label(f"g{n}") for n, axis in enumerate(across)]
    amount = _whole(func.coalesce(func.sum(value), 0), value)
    statement = (
        select(
            *columns,
            func.count().label("cases"),
            func.count(value).label("filled"),
            amount.label("amount"),
            func.min(value).label("low"),
            func.max(value).label("high"),
        )
        .where(visible(actor, key, table), filters.where(session, key, base, actor))
        .group_by(*(column.name for column in columns))
    )
    if links:
        far = [axis.dimension.path if n in links else None for n, axis in enumerate(across)]
        statement = _looked_up(session, actor, key, statement, far)
    rows = session.execute(statement.limit(MAX_GROUPS + 1)).all()
    if len(rows) > MAX_GROUPS:
        raise Invalid(
            f"That would be more than {written(MAX_GROUPS)} groups. Choose fields with fewer values, or filter the report."
        )
    found: Groups = {}
    for row in rows:
        keys = tuple(row[: len(across)]) + (None,) * (2 - len(across))
        found.setdefault((_folded(keys[0]), _folded(keys[1])), _Sum()).add(_Sum(*row[len(across) :]))
    return found


def _link(session: Session, actor: Actor, key: str, axis: _Axis) -> Any | None:
    return None if axis.grain else dimensions.link(session, actor, key, axis.dimension.path)


def _looked_up(session: Session, actor: Actor, key: str, statement: Any, far: list[str | None]) -> Any:
    """Groups by link as groups by a field of what is linked: that is looked up once per record pointed at, not once per record that points."""
    inner = statement.subquery()
    source, groups = inner, []
    for n, path in enumerate(far):
        group = inner.c[f"g{n}"]
        if path is not None:
            made = dimensions.column(session, actor, key, path, source, by=group)
            group, source = made.expression, made.source
        groups.append(group.label(f"k{n}"))
    sums = (_whole(func.sum(inner.c[name]), inner.c[name]) for name in ("cases", "filled", "amount"))
    return (
        select(*groups, *sums, func.min(inner.c.low), func.max(inner.c.high))
        .select_from(source)
        .group_by(*(group.name for group in groups))
    )


def _whole(total: Any, of: Any) -> Any:
    """The sum of a column; of whole numbers a whole one, where PostgreSQL would give a Decimal."""
    return cast(total, BigInteger) if isinstance(of.type, Integer) else total


def _folded(value: Any) -> Any:
    """Empty text is the same as nothing."""
    return None if value == "" and type(value) is str else value


# --- the table -----------------------------------------------------------------------------------------------------------


def _arranged(
    session: Session,
    actor: Actor,
    spec: dict[str, Any],
    measure: Measure,
    number: FieldSpec | None,
    base: dict[str, Any],
    across: list[_Axis],
    found: Groups,
) -> Pivot:
    found = _spelled(found)
    by_row: dict[Any, _Sum] = defaultdict(_Sum)
    by_column: dict[Any, _Sum] = defaultdict(_Sum)
    for (row, column), each in found.items():
        by_row[row].add(each)
        by_column[column].add(each)
    whole = _Sum()
    for each in by_row.values():
        whole.add(each)
    rows = _chosen(across[0], by_row, measure, spec["limit"])
    columns = _chosen(across[1], by_column, measure, MAX_COLUMNS) if len(across) > 1 else []

    def cell(each: _Sum, *keys: tuple[int, Any]) -> Cell:
        ast = base
        for n, value in keys:
            ast = _narrowed(ast, across[n], value)
        return Cell(each.value(measure), each.cases, ast)

    noun = entity(spec["entity"])
    title = noun.plural if number is None else f"{_VERBS[measure]} {number.label.lower()}"
    return Pivot(
        f"{title} by {across[0].label[:1].lower()}{across[0].label[1:]}",
        number.kind if number is not None else FieldKind.INTEGER,
        _names(session, actor, across[0], rows),
        _names(session, actor, across[1], columns) if columns else (),
        tuple(tuple(cell(found.get((r, c), _Sum()), (0, r), (1, c)) for c in columns) for r in rows),
        tuple(cell(by_row[r], (0, r)) for r in rows),
        tuple(cell(by_column[c], (1, c)) for c in columns),
        cell(whole),
        across[0].label,
        across[1].label if len(across) > 1 else "",
        len(by_row) - len(rows),
        measure in (Measure.COUNT, Measure.SUM),
    )


def _spelled(found: Groups) -> Groups:
    """Texts that differ by case only are one group, as filters do not tell them apart."""
    names: dict[Any, Any] = {}
    made: Groups = {}
    for keys, each in sorted(found.items(), key=lambda item: str(item[0])):
        plain = tuple(names.setdefault((n, value.lower()), value) if type(value) is str else value for n, value in enumerate(keys))
        made.setdefault((plain[0], plain[1]), _Sum()).add(each)
    return made


def _chosen(axis: _Axis, sums: dict[Any, _Sum], measure: Measure, limit: int) -> list[Any]:
    """Days in their order (the latest ones when there are too many), everything else by size."""
    if axis.grain:
        days = sorted(value for value in sums if value is not None)
        return [*days[-max(limit, MAX_COLUMNS) :], *([None] if None in sums else [])]
    return sorted(sums, key=lambda value: (-(sums[value].value(measure) or 0), str(value)))[:limit]


def _names(session: Session, actor: Actor, axis: _Axis, values: list[Any]) -> tuple[str, ...]:
    if axis.grain is None:
        named = breakdowns.labels(session, actor, axis.dimension.spec, values)
        return tuple(named[value] for value in values)
    return tuple(f"No {axis.dimension.label.lower()}" if n is None else _step_name(axis.steps[n], axis.grain) for n in values)


def _step_name(step: tuple[date, date], grain: Grain) -> str:
    first = step[0]
    match grain:
        case Grain.YEAR:
            return f"{first.year}"
        case Grain.QUARTER:
            return f"{first.year} Q{(first.month - 1) // 3 + 1}"
        case Grain.MONTH:
            return f"{first:%Y-%m}"
    return first.isoformat()


def _narrowed(ast: dict[str, Any], axis: _Axis, value: Any) -> dict[str, Any]:
    path = axis.dimension.path
    if axis.grain is None or value is None:
        return breakdowns.narrowed(ast, path, value)
    first, last = axis.steps[value]
    leaf = {"field": path, "cmp": "between", "value": [first.isoformat(), last.isoformat()]}
    return {"op": "and", "items": [*ast["items"], leaf]}


def rows_behind(session: Session, actor: Actor, spec: dict[str, Any], selection: Selection) -> int:
    """Number of records that a report is made of."""
    return lists.count(session, actor, spec["entity"], lists.ListQuery(filter=base_filter(spec, selection)))
