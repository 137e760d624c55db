"""A step that asks the customer: a survey with its quiet time, its blocks and its link."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import NotFound
from crm_core.models import Contact, Survey
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps.base import Context, Done, Names, Param, Result, Skipped, StepKind
from crm_core.services.feedback import inviting, survey_rules, surveys
from crm_core.vocabulary import Action

Step = Mapping[str, Any]


def _ask(context: Context, step: Step) -> Result:
    survey = surveys.get(context.session, context.actor, int(step.get("survey") or 0))
    person = context.person()
    contact = context.session.get(Contact, person[1]) if person else None
    if contact is None or contact.deleted_at is not None:
        return Skipped("Nobody to ask: the record has no contact")
    about = None if context.entity == "contact" else context.record.id
    asked = inviting.send(
        context.session, context.actor, survey.id, contact.id, entity_key=context.entity, record_id=about, key=f"auto:{context.key}"
    )
    return Done(f"Sent the survey “{survey.name}” to {contact.name}") if asked.sent else Skipped(f"Not asked: {_lower(asked.why)}")


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:].rstrip(".")


def _problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    if not inviting.may_send(actor):
        return "Your role may not send surveys."
    try:
        survey = surveys.get(session, actor, int(step.get("survey") or 0))
    except NotFound:
        return "Choose a survey. They are made under Service → Surveys."
    return "" if survey.is_active else f"The survey “{survey.name}” is switched off."


def _words(step: Step, names: Names) -> str:
    survey = names.session.get(Survey, int(step.get("survey") or 0)) if names.actor.can("survey", Action.READ) else None
    return f"Send the survey “{survey.name}”" if survey else "Send a survey"


STEPS = (
    StepKind(
        "survey", "Send a survey", "rate_review", 17, _ask, _words,
        (
            Param(
                "survey", "Survey", "survey", required=True, choices=surveys.choices,
                help="Nobody is asked who was asked lately by any survey, objected, or wants no more of them",
            ),
        ),
        entities=tuple(dict.fromkeys(survey_rules.ENTITY_OF.values())), problem=_problem, mails=True,
    ),
)  # fmt: skip
