"""Steps for colleagues and records: a task, an owner, a field, a notification, an offer."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlmodel import Session
from sqlmodel import select as pick

from crm_core import events
from crm_core import format as fmt
from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.fields import parse_one, registry, to_json
from crm_core.format import money
from crm_core.kit.text import clip
from crm_core.models import Automation, AutomationStep, User
from crm_core.records import lock_reason
from crm_core.services import crud
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps.base import Context, Done, Names, Param, Result, Skipped, StepKind, who
from crm_core.services.automation.steps.codes import no_code
from crm_core.services.automation.steps.notes import write_notes
from crm_core.services.collaboration import notifications, tasks
from crm_core.services.collaboration.activities import links_of
from crm_core.services.collaboration.timeline import LINKS
from crm_core.services.helpdesk import calendars
from crm_core.services.sales import promotion_codes
from crm_core.vocabulary import Priority, StepOutcome

Step = Mapping[str, Any]
WORKING = "working"
WHO = Param("who", "For whom", "user", default="owner")


def _task(context: Context, step: Step) -> Result:
    if context.entity not in LINKS:
        return Skipped("A task can't hang on this kind of record.")
    day = _due_on(context, step)
    values = {
        "subject": clip(str(step["subject"]), 300), "body": step.get("body") or None, "due_at": day,
        "priority": step.get("priority") or Priority.NORMAL.value, "owner_id": who(context, step.get("who")),
        **links_of(context.entity, context.record),
    }  # fmt: skip
    made = tasks.create(
        context.session, context.actor, values
    )  # the step's own key, in this transaction, keeps it from coming twice
    return Done(f"Task “{clip(made.subject, 80)}” for {_user(context.session, made.owner_id)}, due {fmt.day(context.actor, day)}")


def _due_on(context: Context, step: Step) -> date:
    """The day a task is due: so many days from today, or working days of whoever gets it."""
    days = int(step.get("days") or 0)
    if step.get("count") == WORKING:
        return calendars.working_day(context.session, who(context, step.get("who")), context.now, days)
    return context.now.astimezone(ZoneInfo(context.actor.timezone)).date() + timedelta(days=days)


def _user(session: Session, user_id: int | None) -> str:
    names: dict[int | None, str] = session.info.setdefault("names_of_people", {})
    if user_id not in names:
        user = session.get(User, user_id) if user_id else None
        names[user_id] = user.name if user else "nobody"
    return names[user_id]


def _assign(context: Context, step: Step) -> Result:
    wanted = int(step["who"])
    if getattr(context.record, "owner_id", None) == wanted:
        return Skipped(f"{_user(context.session, wanted)} owns it already")
    crud.update(context.session, context.actor, context.entity, context.record.id, {"owner_id": wanted})
    return Done(f"Given to {_user(context.session, wanted)}")


def _set(context: Context, step: Step) -> Result:
    spec = registry(context.session, context.entity)[step["field"]]
    value = parse_one(context.entity, spec.key, step.get("value")) if not spec.custom else step.get("value")
    if to_json(spec.value(context.record)) == to_json(value):
        return Skipped(f"{spec.label} is that already")
    crud.update(context.session, context.actor, context.entity, context.record.id, {spec.key: step.get("value")})
    return Done(f"{spec.label} set")


def _field_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    spec = registry(session, flow["entity"]).get(str(step.get("field") or ""))
    if spec is None or not spec.editable:
        return "Choose a field that can be changed."
    if reason := lock_reason(actor, spec):
        return reason
    if spec.custom:
        return ""
    try:
        parse_one(flow["entity"], spec.key, step.get("value"))
    except CrmError as error:
        return error.message
    return ""


def _field_words(step: Step, names: Names) -> str:
    spec = registry(names.session, names.entity).get(str(step.get("field") or ""))
    if spec is None:
        return "Set a field"
    raw = step.get("value")
    shown = (
        names.of(spec.to, raw)
        if spec.to and raw
        else (spec.options or {}).get(str(raw), str(raw if raw is not None else "nothing"))
    )
    return f"Set {spec.label} to {shown}"


def _tell(context: Context, step: Step) -> Result:
    told = notifications.notify(
        context.session, who(context, step.get("who")), kind="automation.message", params={"text": str(step["text"])},
        entity=context.entity, record_id=context.record.id, dedupe_key=f"auto-{context.key}",
    )  # fmt: skip
    return Done("Told") if told else Skipped("Nobody to tell: the person left, may not see the record, or knows already")


def _offer(context: Context, step: Step) -> Result:
    table = AutomationStep.__table__  # type: ignore[attr-defined]
    # one offer after another: two workers that count at the same moment would both find room in the budget. Not a full lock: each step that
    # was noted already holds the key of this row, and two workers that both want all of it would wait for each other.
    context.session.exec(pick(Automation.id).where(Automation.id == context.automation_id).with_for_update(key_share=True)).first()
    write_notes(context.session)
    made = [table.c.automation_id == context.automation_id, table.c.kind == "offer", table.c.outcome == StepOutcome.DONE]
    budget, rest = int(step.get("budget") or 0), int(step.get("rest_days") or 0)
    worth, money_budget = int(step.get("worth_minor") or 0), int(step.get("budget_minor") or 0)
    count = select(func.count()).select_from(table)
    spent = select(func.coalesce(func.sum(table.c.amount_minor), 0)).where(*made)
    if money_budget and context.session.execute(spent).scalar_one() + worth > money_budget:
        return Skipped(f"The budget of {money(context.actor, money_budget)} for offers is used up")
    if budget and context.session.execute(count.where(*made)).scalar_one() >= budget:
        return Skipped(f"The budget of {budget} offers is used up")
    since = context.now - timedelta(days=rest)
    if (
        rest
        and context.session.execute(count.where(*made, table.c.record_id == context.record.id, table.c.at > since)).scalar_one()
    ):
        return Skipped(f"Had an offer in the last {rest} days")
    text = str(step["text"])
    if step.get("promotion"):
        person = context.person()
        if person is None:
            return Skipped("No code to offer: the record has no contact")
        if without := no_code(context, int(step["promotion"]), "No offer"):
            return without
        code = promotion_codes.draw(context.session, int(step["promotion"]), person[0], [person[1]])[person[1]]
        text = f"{text} ({code})"
    events.record(context.session, context.actor, f"{context.entity}.offer_made", context.record, data={"offer": text})
    return Done(f"Offered: {clip(text, 160)}", worth or None)


def _offer_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    if step.get("budget_minor") and not step.get("worth_minor"):
        return "A budget in money needs to know what one offer costs."
    if step.get("promotion") and flow["entity"] == "account":
        return "Codes are given to people: use this in an automation of contacts, leads or deals."
    return promotion_codes.usable(session, int(step["promotion"]), in_time=True) if step.get("promotion") else ""


def _offer_words(step: Step, names: Names) -> str:
    bounds = [
        f"{step['budget']}" if step.get("budget") else "",
        money(names.actor, int(step["budget_minor"])) if step.get("budget_minor") else "",
    ]
    most = " and ".join(bound for bound in bounds if bound)
    code = f" with a code of {names.of('promotion', step['promotion'])}" if step.get("promotion") else ""
    return f"Offer “{step.get('text') or '…'}”{code}" + (f", at most {most} in all" if most else "")


STEPS = (
    StepKind(
        "task", "Create a task", "add_task", 10, _task,
        lambda step, names: f"Create the task “{step.get('subject') or '…'}” for {names.user(step.get('who'))}, due {_due(step)}",
        (
            Param("subject", "Task", required=True), WHO, Param("days", "Due in", "number", default=1, high=365),
            Param(
                "count", "Counted in", "choice", default="days", options={"days": "days", WORKING: "working days"},
                help="Working days are those of the shift of whoever gets it, else of the workspace",
            ),
            Param("priority", "Priority", "choice", default=Priority.NORMAL.value, options={one.value: one.label for one in Priority}),
            Param("body", "Notes", "long", max_length=2000),
        ),
        entities=tuple(LINKS),
    ),
    StepKind(
        "tell", "Notify a colleague", "notifications", 20, _tell,
        lambda step, names: f"Tell {names.user(step.get('who'))}: “{step.get('text') or '…'}”",
        (WHO, Param("text", "What to say", required=True)),
    ),
    StepKind(
        "assign", "Give it to somebody", "person_add", 30, _assign,
        lambda step, names: f"Give the {names.record} to {names.of('user', step.get('who'))}",
        (Param("who", "To whom", "person", required=True),),
        entities=("lead", "contact", "account", "deal", "ticket", "task"),
    ),
    StepKind(
        "set", "Set a field", "edit", 40, _set, _field_words,
        (Param("field", "Field", "field", required=True), Param("value", "Value", "value")), problem=_field_problem,
    ),
    StepKind(
        "offer", "Make an offer", "redeem", 70, _offer,
        _offer_words,
        (
            Param("text", "The offer", required=True, help="Stands on the timeline, so that everybody knows what was offered"),
            Param("rest_days", "Not again within days", "number", default=90, high=3650),
            Param("budget", "At most so many in all (0: no limit)", "number", default=0, high=1_000_000),
            Param("worth_minor", "What one costs", "money", help="Counts against the budget in money"),
            Param("budget_minor", "At most so much money in all", "money", help="The step is left out once the next offer would cost more. Empty: no limit"),
            Param(
                "promotion", "With a discount code of", "promotion", choices=promotion_codes.choices,
                help="The person's own code stands behind the offer on the timeline",
            ),
        ),
        entities=("lead", "contact", "account", "deal"), problem=_offer_problem,
    ),
)  # fmt: skip


def _due(step: Step) -> str:
    number = int(step.get("days") or 0)
    if step.get("count") == WORKING:
        return "on the same working day" if number == 0 else f"in {number} working {'day' if number == 1 else 'days'}"
    return "today" if number == 0 else "tomorrow" if number == 1 else f"in {number} days"
