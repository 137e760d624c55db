"""What works by itself and asks for a field: it would stop, or ask for nothing any more, once the field is out of use."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_
from sqlmodel import Session, col, select

from crm_core.access import Actor, require
from crm_core.entities import relations
from crm_core.errors import Invalid
from crm_core.fields import resolve
from crm_core.models import (
    Automation,
    AutomationVersion,
    LeadForm,
    PointRule,
    RoutingRule,
    Segment,
    SlaPolicy,
    Stage,
    Survey,
    Webhook,
)
from crm_core.services.automation import flow_rules
from crm_core.services.collaboration import webhook_rules
from crm_core.services.feedback import survey_rules
from crm_core.vocabulary import Action, AutomationState, SegmentKind

Ast = Mapping[str, Any] | None


@dataclass(frozen=True)
class _Asker:
    """Something that works by itself. ``fields``: what it reads besides its filters, as paths; ``flow``: all that it does."""

    words: str
    entity: str
    filters: Iterable[Ast] = ()
    fields: Iterable[Any] = ()
    flow: Ast = None


def uses(session: Session, actor: Actor, entity_key: str, key: str) -> list[str]:
    """What asks for a field, in words: ``the service level “Gold”``."""
    require(actor, "custom_field", Action.READ)
    wanted = (entity_key, key)
    return [
        one.words
        for one in _askers(session)
        if wanted in {found for path in one.fields if path for found in _ends(session, one.entity, str(path))}
        or any(wanted in set(_asked(session, one.entity, ast)) for ast in one.filters)
    ]


def _askers(session: Session) -> Iterator[_Asker]:
    for level in session.exec(select(SlaPolicy).where(SlaPolicy.is_active)):
        yield _Asker(f"the service level “{level.name}”", "ticket", [level.filter])
    for rule in session.exec(select(RoutingRule).where(RoutingRule.is_active)):
        also = (rule.territory.get("field"), (rule.skill or {}).get("field"))
        yield _Asker(f"the assignment rule “{rule.name}”", rule.entity, [rule.filter], also)
    for points in session.exec(select(PointRule).where(PointRule.is_active)):
        yield _Asker(f"the lead points “{points.name}”", "lead", [points.filter])
    for survey in session.exec(select(Survey).where(Survey.is_active)):
        yield _Asker(f"the survey “{survey.name}”", survey_rules.ENTITY_OF[survey.trigger], [survey.filter])
    for form in session.exec(select(LeadForm).where(LeadForm.is_active)):
        yield _Asker(f"the form “{form.name}”", "lead", (), [row["key"] for row in form.fields])
    for hook in session.exec(select(Webhook).where(Webhook.is_active)):
        for key in webhook_rules.entities_of(hook.events):
            yield _Asker(f"the webhook “{hook.name}”", key, [hook.filter])
    for stage in session.exec(select(Stage).where(col(Stage.gate_message).is_not(None))):
        yield _Asker(f"the stage “{stage.name}”", "deal", [stage.gate])
    for segment in session.exec(select(Segment).where(Segment.kind == SegmentKind.LIVE, col(Segment.deleted_at).is_(None))):
        yield _Asker(f"the segment “{segment.name}”", segment.entity.value, [segment.rule])
    yield from _automations(session)


def _automations(session: Session) -> Iterator[_Asker]:
    current = and_(col(AutomationVersion.automation_id) == Automation.id, col(AutomationVersion.number) == Automation.current)
    rows = select(Automation.name, AutomationVersion.flow).join(AutomationVersion, current)
    for name, flow in session.exec(rows.where(Automation.state == AutomationState.ACTIVE)):
        trigger, steps = flow["trigger"], [step for step, _ in flow_rules.walk(flow["steps"])]
        read = [
            trigger.get("field"),
            *(one["field"] for one in trigger.get("fields") or ()),
            *(step.get("field") for step in steps),
        ]
        asked = [flow.get("if"), flow.get("before"), flow.get("goal"), *(step.get("if") for step in steps)]
        yield _Asker(f"the automation “{name}”", flow["entity"], asked, read, flow)


def _asked(session: Session, entity_key: str, ast: Any) -> Iterator[tuple[str, str]]:
    """Every field of a filter, with the kind of record that it belongs to."""
    if not isinstance(ast, Mapping):
        return
    for item in ast.get("items") or ():
        yield from _asked(session, entity_key, item)
    if "agg" in ast:
        relation = relations(entity_key).get(str(ast.get("rel")))
        if relation is not None:
            yield from _ends(session, relation.child, str(ast.get("field") or ""))
            yield from _asked(session, relation.child, ast.get("where"))
    elif ast.get("field"):
        yield from _ends(session, entity_key, str(ast["field"]))


def _ends(session: Session, entity_key: str, path: str) -> Iterator[tuple[str, str]]:
    try:
        spec, _ = resolve(session, entity_key, path)
    except Invalid:
        return
    yield spec.entity, spec.key


def uses_of_value(session: Session, actor: Actor, key: str, value: int) -> list[str]:
    """What works by itself and asks for this value of a field that only one kind of record has, or sets it: words as of ``uses``."""
    require(actor, "pipeline", Action.READ)
    found = (one.words for one in _askers(session) if _names_value([*one.filters, one.flow], key, value))
    return list(dict.fromkeys(found))


def _names_value(told: Any, key: str, value: int) -> bool:
    """Whether something written as JSON names the field together with the value, at any depth."""
    if isinstance(told, Mapping):
        if str(told.get("field") or "").rsplit(".", 1)[-1] == key and any(
            str(value) in {str(one) for one in (held if isinstance(held, list) else [held])}
            for name, held in told.items()
            if name != "field"
        ):
            return True
        return any(_names_value(item, key, value) for item in told.values())
    return isinstance(told, list) and any(_names_value(item, key, value) for item in told)
