"""Automations of the demo company: what happened lately is handed to the engine at the hour when it happened, and the engine does the rest.

They wait, tell colleagues, and call a webhook that is switched off: nothing leaves the demo, and tasks come with the days that follow.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.kit import clock
from crm_core.models import Automation, AutomationVersion, Event, Webhook
from crm_core.services.automation import engine, flow_rules, moving, recipes, taking_up
from crm_core.vocabulary import AutomationState, Reentry

SINCE_DAYS = 60
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]


_OPEN = "whsec_" + base64.b64encode(b"a webhook of the demo: no secret").decode()


def _step(name: str, kind: str, **params: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, **params}


def _task(name: str, subject: str) -> dict[str, Any]:
    return _step(name, "task", subject=subject, who="owner", days=1)


def _on(entity: str, event: str, *steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"entity": entity, "trigger": {"kind": "event", "events": [event]}, "steps": list(steps), **more}


NEW_LEAD = _on(
    "lead", "lead.created",
    _step(
        "web", "branch", **{"if": {"field": "source", "cmp": "in", "value": ["Website", "Referral", "Partner"]}},
        yes=[_step("call", "tell", who="owner", text="A new lead that came to us by itself: call today.")],
        no=[_step("think", "wait", amount=1, unit="days"), _step("look", "tell", who="owner", text="A new lead since yesterday: is it worth a call?")],
    ),
    reentry=Reentry.ONCE.value,
)  # fmt: skip
WON = _on(
    "deal", "deal.won", _step("thanks", "tell", who="owner", text="Won. Thank the customer today."), _step("month", "wait", amount=30, unit="days"),
    _task("ask", "Ask how it goes"), reentry=Reentry.ONCE.value,
)  # fmt: skip
HAND = {
    "entity": "lead", "trigger": {"kind": "manual"},
    "steps": [
        _step("pause", "wait", amount=3, unit="days", hour=9), _task("write", "Send something worth reading"),
        _step("longer", "wait", amount=14, unit="days"), _task("call", "Call and ask where they stand"),
    ],
}  # fmt: skip
BY_HAND = "Keep in touch"
FLOWS: tuple[tuple[str, str, str, Mapping[str, Any], int, int], ...] = (
    ("Greet new leads", "", "marketer", NEW_LEAD, 4, 30),
    ("Thank new customers", "", "administrator", WON, 3, 28),
    ("Ask again after a lost deal", "lost_deal", "administrator", recipes.of("lost_deal").flow, 2, 55),
    ("Look after solved tickets", "after_solved", "administrator", recipes.of("after_solved").flow, 2, 6),
    (BY_HAND, "", "marketer", HAND, 0, 0),
)
"""Name, recipe, whose rights, flow, how many runs at most, and how many days back."""


def add(session: Session, people: Mapping[str, int]) -> None:
    """Write the automations and let the engine live through the last weeks. The last thing of a build: its own events start nothing."""
    now = clock.utcnow()
    flows = [*FLOWS, ("Tell the warehouse of orders", "", "administrator", _warehouse(session, people, now), 1, 20)]
    begun: list[tuple[datetime, int, Any]] = []
    for name, recipe, role, flow, most, days in flows:
        if role in people:
            made = _automation(session, name, recipe, people[role], flow, now)
            begun += [(event.at, made, event) for event in _lately(session, flow, now, days, most)]
    known = {one.row.id: one for one in engine.active(session)}
    for at, automation_id, event in sorted(begun, key=lambda one: (one[0], one[1])):
        with clock.frozen(min(at + timedelta(seconds=20), now)):
            taking_up.begin(session, known[automation_id], event.record_id, f"event:{event.id}", event=event)
            moving.advance(session)
    for hand in (one for one in known.values() if one.row.name == BY_HAND):
        for event in _lately(session, NEW_LEAD, now, 30, 1):
            taking_up.begin(session, hand, event.record_id, f"hand:demo-{event.record_id}", now=now)
    moving.advance(session)
    session.info.pop("automations", None)
    session.info.pop("owners", None)


def _automation(session: Session, name: str, recipe: str, owner_id: int, flow: Mapping[str, Any], now: datetime) -> int:
    tidy, since = flow_rules.tidy(flow), now - timedelta(days=SINCE_DAYS)
    row = Automation(
        name=name, entity=tidy["entity"], state=AutomationState.ACTIVE, owner_id=owner_id, current=1, listens=flow_rules.listens(tidy), recipe=recipe,
        active_since=since, checked_at=since, created_at=since, updated_at=since,
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add(
        AutomationVersion(automation_id=row.id, number=1, flow=tidy, author_id=owner_id, created_at=since, updated_at=since)
    )
    session.flush()
    return row.id


def _lately(session: Session, flow: Mapping[str, Any], now: datetime, days: int, most: int) -> list[Any]:
    """The latest events that the flow waits for."""
    types = flow_rules.listens(flow)["types"]
    since = now - timedelta(days=days)
    query = select(_EVENTS).where(_EVENTS.c.type.in_(types), _EVENTS.c.at > since).order_by(_EVENTS.c.id.desc()).limit(most)
    return list(session.execute(query).all()) if most else []


def _warehouse(session: Session, people: Mapping[str, int], now: datetime) -> dict[str, Any]:
    """A webhook that is off, so that its automation shows what a failure looks like."""
    hook = Webhook(
        name="Warehouse", url="https://warehouse.example/orders", secret=_OPEN, owner_id=people["administrator"],
        is_active=False, off_reason="the receiver answered 410, which means that it wants no more", since_at=now,
    )  # fmt: skip
    session.add(hook)
    session.flush()
    return _on("order", "order.created", _step("tell", "webhook", webhook=hook.id, note="New order"), reentry=Reentry.ALWAYS.value)
