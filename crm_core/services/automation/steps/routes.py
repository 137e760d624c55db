"""A step that gives a record to somebody by the rules of assignment, as if it were new."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.models import RoutingDecision, RoutingRule, User
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps.base import Context, Done, Names, Param, Result, Skipped, StepKind
from crm_core.services.routing import assign
from crm_core.services.routing.standing import KINDS
from crm_core.vocabulary import RouteOutcome

Step = Mapping[str, Any]
OWNED = {"keep": "stays with its owner", "move": "goes to somebody else"}


def _route(context: Context, step: Step) -> Result:
    move, owner_id = step.get("owned") == "move", context.record.owner_id
    if owner_id is not None and not move:
        return Skipped(f"{_name(context.session, owner_id)} owns it already")
    why = f"Automation “{context.automation}”"
    made = assign.route(context.session, context.actor, context.entity, context.record.id, why=why, replace_owner=move)
    if made is None:
        return Skipped("No rule is on for it, or nothing is left to do on it")
    return _told(context.session, made, owner_id)


def _told(session: Session, made: RoutingDecision, owner_id: int | None) -> Result:
    if made.outcome is RouteOutcome.GIVEN:
        return Done(f"Given to {_name(session, made.user_id)} by an assignment rule")
    if made.outcome is RouteOutcome.WAITS:
        return Done("Nobody is free: it waits" + (" in a queue" if made.queue_id else ""))
    if made.outcome is RouteOutcome.STAYS:
        return Skipped(f"Nobody else is free: it stays with {_name(session, owner_id)}")
    return Skipped("No rule fits it")


def _name(session: Session, user_id: int | None) -> str:
    user = session.get(User, user_id) if user_id else None
    return user.name if user else "nobody"


def _problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    rules = select(RoutingRule.id).where(RoutingRule.entity == flow["entity"], col(RoutingRule.is_active))
    if session.exec(rules.limit(1)).first() is not None:
        return ""
    return f"There is no assignment rule for {entity(flow['entity']).plural.lower()} yet. Make one under Admin → Assignment."


def _words(step: Step, names: Names) -> str:
    return f"Give the {names.record} to somebody by the assignment rules" + (
        ", also when it has an owner" if step.get("owned") == "move" else ""
    )


STEPS = (
    StepKind(
        "route", "Assign by rule", "alt_route", 32, _route, _words,
        (Param("owned", "When it has an owner", "choice", default="keep", options=OWNED),), entities=KINDS, problem=_problem,
    ),
)  # fmt: skip
