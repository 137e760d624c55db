"""The shape of an automation: trigger, conditions, goal and steps as plain data, and how to walk them. Pure.

A flow is ``{"entity", "trigger": {"kind", …}, "if": filter|None, "before": filter|None, "goal": filter|None, "reentry", "rest_days",
"steps": [...]}``. A step is ``{"id", "kind", …parameters}``; a branch also has ``"if"``, ``"yes"`` and ``"no"`` with steps of their own.
``before`` is asked of the values as they were before the change.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.kit.week import WEEKDAYS
from crm_core.vocabulary import Reentry, SurveyKind, TriggerKind

Flow = Mapping[str, Any]
Step = Mapping[str, Any]

ENTITIES = ("lead", "contact", "account", "deal", "ticket", "order", "task")
ARMS = ("yes", "no")
MAX_STEPS = 40
MAX_NESTING = 3
MOST_AN_HOUR = 10_000
"""The highest limit of runs an hour that somebody may choose."""
MAX_CHAIN = 5
"""Automations that start each other end after so many links."""
_SURVEYS = {
    "survey.answered": "A customer answers a survey",
    "survey.detractor": "A customer gives an unhappy answer (NPS to 6, CSAT to 2, CES to 3)",
}
EVENTS: dict[str, dict[str, str]] = {
    "lead": {
        "lead.created": "A lead is created", "lead.qualified": "A lead is qualified", "lead.converted": "A lead is converted",
        "lead.disqualified": "A lead is disqualified", "lead.reopened": "A lead is taken up again", "lead.owner_changed": "A lead gets another owner",
        "lead.segment_entered": "A lead comes into a segment", "lead.segment_left": "A lead leaves a segment",
        "lead.price_asked": "A lead asks for a price", "lead.consent_changed": "The consent of a lead changes",
        "lead.no_show": "A lead does not come to a booked meeting", "lead.attended": "A lead comes to a booked meeting",
    },
    "contact": {
        "contact.created": "A contact is created", "contact.segment_entered": "A contact comes into a segment",
        "contact.segment_left": "A contact leaves a segment", "contact.price_asked": "A contact asks for a price",
        "contact.cart_abandoned": "A contact leaves a cart behind", "contact.consent_changed": "The consent of a contact changes",
        "contact.owner_changed": "A contact gets another owner", "contact.no_show": "A contact does not come to a booked meeting",
        "contact.attended": "A contact comes to a booked meeting", **_SURVEYS,
    },
    "account": {
        "account.created": "An account is created", "account.owner_changed": "An account gets another owner",
        "account.segment_entered": "An account comes into a segment", "account.segment_left": "An account leaves a segment",
        "account.handover_accepted": "A hand-over is accepted",
    },
    "deal": {
        "deal.created": "A deal is created", "deal.stage_moved": "A deal moves to another stage", "deal.won": "A deal is won",
        "deal.lost": "A deal is lost", "deal.reopened": "A deal is re-opened", "deal.owner_changed": "A deal gets another owner",
        **_SURVEYS,
    },
    "ticket": {
        "ticket.created": "A ticket is created", "ticket.message_received": "The customer writes", "ticket.replied": "We answer the customer",
        "ticket.solved": "A ticket is solved", "ticket.reopened": "A ticket is re-opened", "ticket.sla_warned": "The time for a promise runs short",
        "ticket.sla_breached": "A promise is broken", "ticket.owner_changed": "A ticket gets another owner", **_SURVEYS,
    },
    "order": {"order.created": "An order is created", **_SURVEYS},
    "task": {"task.created": "A task is created"},
}  # fmt: skip
"""What an automation can wait for, per entity, in the words of the menu."""


def new_id() -> str:
    """A name for a step."""
    return uuid.uuid4().hex[:8]


def walk(steps: Sequence[Step], depth: int = 0) -> Iterator[tuple[Step, int]]:
    """Every step with its depth, in the order of reading."""
    for step in steps:
        yield step, depth
        for arm in ARMS:
            yield from walk(step.get(arm) or (), depth + 1)


def find(steps: Sequence[Step], step_id: str) -> Step | None:
    """The step of that name."""
    return next((step for step, _ in walk(steps) if step.get("id") == step_id), None)


def first(steps: Sequence[Step]) -> str:
    """The name of the first step, "" when there is none."""
    return str(steps[0]["id"]) if steps else ""


def after(steps: Sequence[Step], step_id: str, following: str = "") -> str:
    """The step that follows: the next one beside it, else the one behind the branch it stands in; "" at the end."""
    for at, step in enumerate(steps):
        behind = str(steps[at + 1]["id"]) if at + 1 < len(steps) else following
        if step.get("id") == step_id:
            return behind
        for arm in ARMS:
            inner = step.get(arm) or ()
            if find(inner, step_id) is not None:
                return after(inner, step_id, behind)
    return following


def into(steps: Sequence[Step], step_id: str, arm: str) -> str:
    """Where a branch leads: the first step of its arm, or what stands behind the branch."""
    step = find(steps, step_id)
    return first(step.get(arm) or ()) if step is not None and step.get(arm) else after(steps, step_id)


def listens(flow: Flow) -> dict[str, list[str]]:
    """Which events the trigger wants to hear of: by type, or by the fields that changed."""
    trigger = flow.get("trigger") or {}
    if trigger.get("kind") == TriggerKind.EVENT.value:
        return {"types": list(trigger.get("events") or ()), "fields": []}
    if trigger.get("kind") == TriggerKind.CHANGED.value:
        return {"types": [], "fields": [one["field"] for one in trigger.get("fields") or ()]}
    return {"types": [], "fields": []}


def starts(flow: Flow, event_type: str, changes: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether an event starts the flow, before any condition. ``changes``: field → [old, new] as the log keeps them; ``data``: what else it says."""
    trigger = flow.get("trigger") or {}
    if trigger.get("kind") == TriggerKind.EVENT.value:
        return event_type in (trigger.get("events") or ()) and _asked(trigger, event_type, data)
    if trigger.get("kind") == TriggerKind.CHANGED.value:
        return any(_changed(one, changes) for one in trigger.get("fields") or ())
    return False


def of_surveys(trigger: Mapping[str, Any]) -> bool:
    """Whether a trigger waits for answers to surveys, which have kinds."""
    return any(one in _SURVEYS for one in trigger.get("events") or ())


def _asked(trigger: Mapping[str, Any], event_type: str, data: Mapping[str, Any]) -> bool:
    """Whether an answer is one to a survey of the kinds that were chosen; without a choice it is."""
    kinds = trigger.get("surveys")
    return not kinds or event_type not in _SURVEYS or data.get("kind") in kinds


def _changed(watched: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    pair = changes.get(watched["field"])
    if pair is None or pair[0] == pair[1]:
        return False
    return all(not watched.get(side) or pair[at] in watched[side] for at, side in enumerate(("from", "to")))


def when(flow: Flow, labels: Mapping[str, str], values: Callable[[str, Any], str] = lambda _field, value: str(value)) -> str:
    """What starts the flow, as a sentence. ``labels``: field → its name; ``values(field, value)``: what a value is called."""
    trigger = flow.get("trigger") or {}
    kind = trigger.get("kind")
    if kind == TriggerKind.EVENT.value:
        words = " or ".join(EVENTS[flow["entity"]].get(one, one) for one in trigger.get("events") or ())
        kinds = [kind.label for kind in SurveyKind if kind.value in (trigger.get("surveys") or ()) and of_surveys(trigger)]
        return words + (f"; of surveys only {' or '.join(kinds)}" if kinds else "")
    if kind == TriggerKind.CHANGED.value:
        return "Changed: " + ", ".join(_watched(one, labels, values) for one in trigger.get("fields") or ())
    if kind == TriggerKind.DATE.value:
        days, label = int(trigger.get("days") or 0), labels.get(str(trigger.get("field")), "a date")
        shift = (
            "On the day of"
            if not days
            else f"{abs(days)} {'day' if abs(days) == 1 else 'days'} {'before' if days < 0 else 'after'}"
        )
        return f"{shift} {label}" + (", every year" if trigger.get("yearly") else "")
    if kind == TriggerKind.SCHEDULE.value:
        day = f"Every {WEEKDAYS[int(trigger.get('weekday') or 0)]}" if trigger.get("every") == "week" else "Every day"
        return f"{day} at {hour_of(trigger):02}:00"
    return "Started by hand"


def _watched(one: Mapping[str, Any], labels: Mapping[str, str], values: Callable[[str, Any], str]) -> str:
    sides = [
        f" {side} " + " or ".join(values(one["field"], value) for value in one[side]) for side in ("from", "to") if one.get(side)
    ]
    return labels.get(one["field"], one["field"]) + "".join(sides)


def hour_of(trigger: Mapping[str, Any]) -> int:
    """The hour of the day at which a date or a schedule is looked at; eight unless it says otherwise."""
    given = trigger.get("hour")
    return 8 if given in (None, "") else max(0, min(int(given), 23))


def problems(flow: Flow) -> dict[str, str]:
    """What keeps a flow from running, as sentences per place: ``entity``, ``trigger``, ``steps`` or the name of a step."""
    wrong: dict[str, str] = {}
    if flow.get("entity") not in ENTITIES:
        return {"entity": "Choose what the automation is about."}
    _check_trigger(flow, wrong)
    steps = list(walk(flow.get("steps") or ()))
    if not steps:
        wrong["steps"] = "Add at least one step."
    if len(steps) > MAX_STEPS:
        wrong["steps"] = f"An automation has at most {MAX_STEPS} steps. Split it in two."
    if any(depth > MAX_NESTING for _, depth in steps):
        wrong["steps"] = f"Branches can be nested {MAX_NESTING} deep."
    if len({step.get("id") for step, _ in steps}) != len(steps):
        wrong["steps"] = "Two steps have the same name; remove one and add it again."
    if not (1 <= int(flow.get("hourly_cap") or 200) <= MOST_AN_HOUR):
        wrong["hourly_cap"] = f"Allow between 1 and {written(MOST_AN_HOUR)} runs an hour."
    return wrong


def _check_trigger(flow: Flow, wrong: dict[str, str]) -> None:
    trigger, known = flow.get("trigger") or {}, EVENTS[flow["entity"]]
    kind = trigger.get("kind")
    if kind == TriggerKind.EVENT.value:
        if not trigger.get("events") or not set(trigger["events"]) <= set(known):
            wrong["trigger"] = "Choose what has to happen."
        elif not set(trigger.get("surveys") or ()) <= {one.value for one in SurveyKind}:
            wrong["trigger"] = "Choose kinds of surveys that there are."
    elif kind == TriggerKind.CHANGED.value:
        if not trigger.get("fields"):
            wrong["trigger"] = "Choose the field to watch."
    elif kind == TriggerKind.DATE.value:
        if not trigger.get("field"):
            wrong["trigger"] = "Choose the date to count from."
        elif abs(int(trigger.get("days") or 0)) > 730:
            wrong["trigger"] = "Stay within two years of the date."
    elif kind == TriggerKind.SCHEDULE.value:
        if not flow.get("if"):
            wrong["trigger"] = "By the clock without a condition means every record there is. Add a condition."
    elif kind != TriggerKind.MANUAL.value:
        wrong["trigger"] = "Choose when the automation starts."


def tidy(flow: Flow) -> dict[str, Any]:
    """The flow as it is kept: texts without control characters, a name for every step, nothing that belongs to no place."""
    return {
        "entity": str(flow.get("entity") or ""),
        "trigger": _plain(flow.get("trigger") or {}),
        "if": flow.get("if") or None,
        "before": flow.get("before") or None,
        "goal": flow.get("goal") or None,
        "reentry": str(flow.get("reentry") or Reentry.IDLE.value),
        "rest_days": max(0, min(int(flow.get("rest_days") or 0), 3650)),
        "steps": [_tidy_step(step) for step in flow.get("steps") or ()],
    }


def _tidy_step(step: Step) -> dict[str, Any]:
    found = {key: _plain(value) for key, value in step.items() if key not in (*ARMS, "if", "id")}
    found["id"] = str(step.get("id") or new_id())[:40]
    if step.get("kind") == "branch":
        found["if"] = step.get("if") or None
        found |= {arm: [_tidy_step(inner) for inner in step.get(arm) or ()] for arm in ARMS}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return "\n".join(clean(line) for line in value.splitlines())
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
