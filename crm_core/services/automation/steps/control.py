"""Steps that steer the run itself: wait, branch, end."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.fields import registry
from crm_core.services.automation import flow_rules
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.base import Branched, Context, Exit, Names, Param, Result, Skipped, StepKind, Waited
from crm_core.services.helpdesk import calendars
from crm_core.vocabulary import FieldKind

Step = Mapping[str, Any]
UNITS = {"minutes": "minutes", "hours": "hours", "days": "days", "business_hours": "working hours"}
LONGEST = timedelta(days=730)


def _wait(context: Context, step: Step) -> Result:
    amount = max(0, int(step.get("amount") or 0))
    unit = step.get("unit") or "days"
    if unit == "business_hours":
        until = calendars.of_the_workspace(context.session).add(context.now, amount * 3600)
    else:
        until = context.now + timedelta(**{unit: amount})
    return Waited(_at_hour(until, step.get("hour"), context.actor.timezone))


def _at_hour(at: datetime, hour: Any, timezone: str) -> datetime:
    """The first instant from ``at`` on at that full hour of the day, if one is wanted."""
    if hour in (None, "", -1):
        return at
    local = at.astimezone(ZoneInfo(timezone))
    wanted = datetime.combine(local.date(), time(int(hour)), local.tzinfo)
    return (wanted if wanted >= local else wanted + timedelta(days=1)).astimezone(at.tzinfo)


def _wait_words(step: Step, names: Names) -> str:
    amount = int(step.get("amount") or 0)
    unit = UNITS.get(str(step.get("unit") or "days"), "days")
    hour = "" if step.get("hour") in (None, "", -1) else f", then until {int(step['hour']):02}:00"
    return f"Wait {amount} {unit if amount != 1 else unit.removesuffix('s')}{hour}"


def _until(context: Context, step: Step) -> Result:
    spec = registry(context.session, context.entity)[step["field"]]
    day = spec.value(context.record)
    if day is None:
        return Skipped(f"{spec.label} is empty")
    moment = day if isinstance(day, datetime) else _morning(day, context.actor.timezone)
    moment += timedelta(days=int(step.get("days") or 0))
    return Waited(moment) if moment > context.now else Skipped(f"{spec.label} is past")


def _morning(day: date, timezone: str) -> datetime:
    return datetime.combine(day, time(8), ZoneInfo(timezone))


def _until_words(step: Step, names: Names) -> str:
    spec = registry(names.session, names.entity).get(str(step.get("field") or ""))
    days = int(step.get("days") or 0)
    shift = "" if not days else f"{abs(days)} days {'before' if days < 0 else 'after'} "
    return f"Wait until {shift}{spec.label if spec else 'a date'}"


def _until_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    spec = registry(session, flow["entity"]).get(str(step.get("field") or ""))
    return "" if spec is not None and spec.kind in (FieldKind.DATE, FieldKind.DATETIME) else "Choose a date."


def matches(context: Context, ast: Mapping[str, Any] | None) -> bool:
    """Whether the record matches a filter now, as the automation's owner sees it."""
    if not ast:
        return True
    table = entity(context.entity).table
    clauses = wanted(context.session, context.actor, context.entity, ast, context.now)
    return context.session.execute(select(table.c.id).where(table.c.id == context.record.id, *clauses)).first() is not None


def _branch_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    if not step.get("if"):
        return "Say what the branch asks for."
    try:
        filters.bind(session, flow["entity"], step["if"], filters.Context(actor))
    except CrmError as error:
        return error.message
    return "" if step.get("yes") or step.get("no") else "Put a step into one of the arms."


STEPS = (
    StepKind(
        "wait", "Wait", "hourglass", 50, _wait, _wait_words,
        (
            Param("amount", "How long", "number", default=1, low=0, high=5000), Param("unit", "Unit", "choice", default="days", options=UNITS),
            Param("hour", "Then until this hour of the day", "hour"),
        ),
    ),
    StepKind(
        "until", "Wait for a date", "event", 52, _until, _until_words,
        (Param("field", "Date", "date_field", required=True), Param("days", "Days after it (negative: before)", "number", low=-730, high=730)),
        problem=_until_problem,
    ),
    StepKind(
        "branch", "If … else …", "call_split", 54, lambda context, step: Branched(matches(context, step.get("if"))),
        lambda step, names: "If " + (filters.in_words(names.session, names.entity, step["if"]) if step.get("if") else "…"),
        problem=_branch_problem,
    ),
    StepKind("end", "End here", "stop_circle", 90, lambda context, step: Exit("Ended as planned"), lambda step, names: "End here"),
)  # fmt: skip
