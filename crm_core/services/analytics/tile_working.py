"""How a tile is computed: the very SQL, and a piece of Python that runs it, for whoever wants to check or to go on."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.services.analytics import as_of, backlog, metrics, pivots, tile_facts
from crm_core.services.analytics.backlog import AGE
from crm_core.services.analytics.metric_measure import steps_of
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.tile_facts import Cut
from crm_core.services.analytics.tile_rules import TIME, checked
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Action, TileKind


def sql(session: Session, actor: Actor, kind: TileKind, spec: dict[str, Any], seen: Look) -> str:
    """The statement behind a tile, run against the records, as the database gets it. Figures that a summary answers give the same numbers."""
    require(actor, "analytics", Action.READ)
    spec = checked(kind, spec)
    collected: list[str] = []

    def collect(state: ORMExecuteState) -> None:
        if state.is_select:
            collected.append(_text(session, state.statement))

    event.listen(session, "do_orm_execute", collect)
    try:
        _run(session, actor, kind, spec, seen)
    finally:
        event.remove(session, "do_orm_execute", collect)
    table = entity(spec["entity"] if kind is TileKind.PIVOT else METRICS[spec["metric"]].entity).table.name
    found = [text for text in collected if f"FROM {table}" in text]
    if not found:
        raise Invalid("This tile is put together from several figures; its definition stands beside it.")
    return found[-1] if kind is TileKind.PIVOT else found[0] if seen.as_of else found[-1]


def _run(session: Session, actor: Actor, kind: TileKind, spec: dict[str, Any], seen: Look) -> None:
    if kind is TileKind.PIVOT:
        pivots.pivot(session, actor, spec, seen.selection)
        return
    metric, chosen = METRICS[spec["metric"]], seen.selection
    if not metrics.readable(actor, metric):
        raise NotFound("There is no such figure.")
    if reason := metrics.hidden_reason(actor, metric):
        raise Invalid(reason)
    if spec["by"] == AGE:
        only = filters.where(session, "ticket", spec["filter"], actor) if spec["filter"] else None
        backlog.by_age(session, actor, chosen, only)
        return
    by = "" if spec["by"] == TIME else spec["by"]
    steps = steps_of(session, actor, metric.area, chosen, chosen.period) if spec["by"] == TIME and not metric.now else ()
    cut = Cut(chosen.period, chosen.owner_id, chosen.pipeline_id, spec["filter"], by, steps)
    if seen.as_of is not None:
        as_of.grouped(session, actor, metric, cut, as_of.moment(actor, seen.as_of))
    else:
        tile_facts.grouped(session, actor, metric, cut)


def _text(session: Session, statement: Any) -> str:
    dialect = session.get_bind().dialect
    try:
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    except Exception:  # a type without a literal form: the parameters are listed below the statement
        compiled = statement.compile(dialect=dialect)
        return f"{compiled}\n-- parameters: {compiled.params}"


def python(statement: str, title: str) -> str:
    """A script that runs a statement and shows its rows."""
    return _SCRIPT.format(title=" ".join(title.split()), statement=repr(statement))


_SCRIPT = """# {title}
import os

import pandas as pd
from sqlalchemy import create_engine, event

STATEMENT = (
    {statement}
)

engine = create_engine(os.environ["RAPPORT_DATABASE_URL"])  # for example sqlite:///data/local/rapport.db
if engine.dialect.name == "sqlite":  # text is lowered the same way on both databases; SQLite has to be taught how
    event.listen(engine, "connect", lambda raw, _: raw.create_function("rapport_lower", 1, lambda t: t and t.lower()))

with engine.connect() as connection:
    result = connection.exec_driver_sql(STATEMENT.replace("%", "%%") if engine.dialect.name != "sqlite" else STATEMENT)
    frame = pd.DataFrame(result.all(), columns=list(result.keys()))
print(frame)
"""
