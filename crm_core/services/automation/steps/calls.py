"""A step that tells another program: a message to one of the webhooks, sent and signed as every other one."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Conflict, NotFound
from crm_core.models import Webhook
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps.base import Context, Done, Names, Param, Result, Skipped, StepKind
from crm_core.services.collaboration import webhooks
from crm_core.vocabulary import Action

Step = Mapping[str, Any]


def _call(context: Context, step: Step) -> Result:
    hook = context.session.get(Webhook, int(step.get("webhook") or 0))
    if hook is None:
        raise NotFound("The webhook of this step was removed. Choose another one.")
    if not hook.is_active:
        raise Conflict(f"The webhook “{hook.name}” is switched off. Switch it on, then try this run again.")
    made = webhooks.enqueue(
        context.session, context.actor, hook.id, dedupe_key=f"automation:{context.key}", entity=context.entity, record_id=context.record.id,
        data={"automation": {"id": context.automation_id, "name": context.automation}, "note": str(step.get("note") or "")},
    )  # fmt: skip
    return Done(f"Told “{hook.name}”") if made else Skipped(f"“{hook.name}” was told of it before")


def _problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    if not actor.can("integration", Action.READ):
        return "Your role may not call webhooks."
    hook = session.get(Webhook, int(step.get("webhook") or 0))
    if hook is None:
        return "Choose a webhook. Administrators add them under Admin → API and webhooks."
    return "" if hook.is_active else f"The webhook “{hook.name}” is switched off."


def _words(step: Step, names: Names) -> str:
    hook = names.session.get(Webhook, int(step.get("webhook") or 0)) if names.actor.can("integration", Action.READ) else None
    note = f", with the note “{step['note']}”" if step.get("note") else ""
    return (f"Call the webhook “{hook.name}”" if hook else "Call a webhook") + note


STEPS = (
    StepKind(
        "webhook", "Call a webhook", "webhook", 75, _call, _words,
        (
            Param("webhook", "Webhook", "webhook", required=True, choices=webhooks.choices),
            Param("note", "Note for the receiver", help="Goes along with the record, so that one webhook can serve several automations"),
        ),
        problem=_problem,
    ),
)  # fmt: skip
