"""What automations do with one record, for its page: the runs with what comes next and when, and those that can be started by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.errors import NotFound, NotPermitted
from crm_core.models import AutomationRun
from crm_core.services.automation import automations, flow_rules, steps
from crm_core.services.automation.engine import AUTOMATIONS, OPEN, RUNS, VERSIONS, stop_run
from crm_core.services.automation.steps.base import Names
from crm_core.vocabulary import Action, AutomationState, FlowState

BY_HAND = "hand:"
"""How the trigger key of a run begins that somebody started."""


@dataclass(frozen=True)
class Line:
    """One run. ``next``: the step that comes, as a sentence; ``at``: when it comes, or when the run ended; ``rests``: its automation is paused."""

    run_id: int
    name: str
    state: FlowState
    began_at: datetime
    at: datetime | None
    next: str
    message: str
    rests: bool
    may_leave: bool
    may_retry: bool


@dataclass(frozen=True)
class Start:
    """An automation that somebody can start. ``does``: its steps as sentences."""

    id: int
    name: str
    does: tuple[str, ...]


@dataclass(frozen=True)
class OnRecord:
    """Everything that automations are to one record; empty for most."""

    lines: tuple[Line, ...] = ()
    more: bool = False
    starts: tuple[Start, ...] = ()


def on_record(session: Session, actor: Actor, entity_key: str, record_id: int, *, limit: int = 5) -> OnRecord:
    """The runs of a record, those under way first, and what can be started by hand. Nothing for whoever may not see automations."""
    if not actor.can("automation", Action.READ):
        return OnRecord()
    record = records.get(session, actor, entity_key, record_id)
    where = (RUNS.c.entity == entity_key, RUNS.c.record_id == record.id, RUNS.c.state != FlowState.SKIPPED)
    flow = and_(VERSIONS.c.automation_id == RUNS.c.automation_id, VERSIONS.c.number == RUNS.c.version_number)
    query = (
        select(RUNS, AUTOMATIONS.c.name, AUTOMATIONS.c.state.label("switch"), VERSIONS.c.flow)
        .join(AUTOMATIONS, AUTOMATIONS.c.id == RUNS.c.automation_id)
        .join(VERSIONS, flow)
        .where(*where)
        .order_by(RUNS.c.ended_at.is_not(None), RUNS.c.id.desc())
        .limit(limit + 1)
    )
    rows = session.execute(query).all()
    lines = tuple(_line(session, actor, row) for row in rows[:limit])
    starts = tuple(_start_of(session, actor, entity_key, row) for row in automations.manual(session, actor, entity_key))
    return OnRecord(lines, len(rows) > limit, starts)


def _line(session: Session, actor: Actor, row: Any) -> Line:
    manages, live = actor.can("automation", Action.MANAGE), row.state in OPEN
    following = flow_rules.find(row.flow["steps"], row.step_id) if row.step_id and live else None
    return Line(
        row.id, row.name, row.state, row.created_at, row.due_at if live else row.ended_at,
        _words(session, actor, row.entity, following) if following else "", row.message, live and row.switch is not AutomationState.ACTIVE,
        live and (manages or _own(actor, row)), row.state is FlowState.FAILED and manages,
    )  # fmt: skip


def _words(session: Session, actor: Actor, entity_key: str, step: Mapping[str, Any]) -> str:
    return steps.kind(step["kind"]).describe(step, Names(session, actor, entity_key))


def _own(actor: Actor, row: Any) -> bool:
    """Whether whoever may change the record may take it out again: a run that was started by hand."""
    return row.trigger_key.startswith(BY_HAND) and actor.can(row.entity, Action.EDIT)


def _start_of(session: Session, actor: Actor, entity_key: str, row: Any) -> Start:
    return Start(
        row.id, row.name, tuple(_words(session, actor, entity_key, step) for step, _ in flow_rules.walk(row.flow["steps"]))
    )


def start(session: Session, actor: Actor, automation_id: int, record_id: int, *, submit_key: str) -> str:
    """Start an automation by hand for a record; gives why it did not begin, "" when it did."""
    if automations.start(session, actor, automation_id, record_id, submit_key=submit_key):
        return ""
    row = automations.get(session, actor, automation_id)
    if row.state is not AutomationState.ACTIVE:
        return "It has started too often within the last hour and is paused until somebody looks."
    mine = (RUNS.c.automation_id == automation_id, RUNS.c.entity == row.entity, RUNS.c.record_id == record_id)
    if session.execute(select(RUNS.c.id).where(*mine, RUNS.c.state.in_(OPEN)).limit(1)).first() is not None:
        return "It is under way for this record already."
    return "It did not begin: its conditions do not hold for this record, or it was here lately and rests."


def leave(session: Session, actor: Actor, run_id: int) -> None:
    """Take a record out of a run that is under way: whoever manages automations, or, where it was started by hand, whoever may change the
    record. What was done stays. Events: automation.run_stopped."""
    run = session.get(AutomationRun, run_id)
    if run is None or not (actor.can("automation", Action.READ) or _own(actor, run)):
        raise NotFound("This run no longer exists.")
    if not actor.can("automation", Action.MANAGE):
        if not _own(actor, run):
            raise NotPermitted("Only who manages automations may end this run.")
        records.get(session, actor, run.entity, run.record_id, action=Action.EDIT)
    name = session.execute(select(AUTOMATIONS.c.name).where(AUTOMATIONS.c.id == run.automation_id)).scalar_one()
    stop_run(session, actor, run, name)
