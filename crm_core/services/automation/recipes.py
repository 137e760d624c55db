"""Automations to begin with: good habits that can be tried on the past and switched on with one click."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from crm_core.access import Actor, require
from crm_core.models import Automation
from crm_core.services.automation import automations
from crm_core.vocabulary import Action

Flow = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A ready automation: its name, what it is good for, what it does."""

    key: str
    name: str
    words: str
    icon: str
    flow: Flow


def _task(name: str, subject: str, days: int, priority: str = "normal", count: str = "days") -> dict[str, Any]:
    return {"id": name, "kind": "task", "subject": subject, "who": "owner", "days": days, "count": count, "priority": priority}


def _tell(text: str) -> dict[str, Any]:
    return {"id": "tell", "kind": "tell", "who": "owner", "text": text}


def _days(name: str, amount: int) -> dict[str, Any]:
    return {"id": name, "kind": "wait", "amount": amount, "unit": "days"}


def _on(entity: str, event: str, *steps: Flow, **more: Any) -> Flow:
    return {"entity": entity, "trigger": {"kind": "event", "events": [event]}, "steps": list(steps), **more}


def _and(*leaves: tuple[Any, ...]) -> Flow:
    return {"op": "and", "items": [dict(zip(("field", "cmp", "value"), leaf, strict=False)) for leaf in leaves]}


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "new_lead", "Call new leads today", "Whoever answers first often wins. Each new lead becomes a task of its owner, due the same day.", "call",
        _on("lead", "lead.created", _task("call", "Call the new lead", 0, "high"), reentry="once"),
    ),
    Recipe(
        "big_deal", "Three steps for large deals",
        "A deal of ten thousand or more comes into a late stage: three tasks of its owner, counted in working days. Adapt the amount and the stages.",
        "diamond",
        {
            "entity": "deal", "trigger": {"kind": "event", "events": ["deal.stage_moved", "deal.created"]}, "reentry": "once",
            "if": _and(("amount_minor", "ge", 10_000_00), ("outcome", "eq", "open"), ("probability_pct", "ge", 50)),
            "steps": [
                _task("plan", "Agree on the next steps with the decision maker", 1, "high", "working"),
                _task("offer", "Go through the offer with your manager", 3, count="working"),
                _task("ask", "Ask what is missing for a decision", 5, count="working"),
            ],
        },
    ),
    Recipe(
        "won_deal", "Welcome new customers", "After a deal is won: a welcome call, a kick-off, and a look after a month.", "celebration",
        _on(
            "deal", "deal.won", _task("welcome", "Welcome call", 1), _task("kickoff", "Kick-off", 7), _task("look", "Ask how it goes", 30),
            reentry="once",
        ),
    ),
    Recipe(
        "lost_deal", "Ask again after a lost deal", "A no is often a not now. Ninety days later its owner is asked to call, unless the deal was re-opened.",
        "replay",
        _on(
            "deal", "deal.lost", _days("wait", 90), _task("again", "Ask whether things have changed", 3),
            goal=_and(("outcome", "in", ["open", "won"])),
        ),
    ),
    Recipe(
        "idle_deal", "Wake idle deals", "Open deals without contact for as many working days as their stage allows: their owner is told, at most every two weeks.", "bedtime",
        {
            "entity": "deal", "trigger": {"kind": "schedule", "every": "day", "hour": 8}, "reentry": "idle", "rest_days": 14,
            "if": _and(("outcome", "eq", "open"), ("idle", "eq", True)),
            "steps": [_tell("This deal has gone quiet. What is the next step?")],
        },
    ),
    Recipe(
        "next_step", "Ask for the next step", "Every Monday, owners hear of open deals without a next step.", "footprint",
        {
            "entity": "deal", "trigger": {"kind": "schedule", "every": "week", "weekday": 0, "hour": 8}, "reentry": "idle", "rest_days": 6,
            "if": _and(("outcome", "eq", "open"), ("next_step", "empty"), ("next_step_on", "empty")), "steps": [_tell("This deal has no next step. Agree on one.")],
        },
    ),
    Recipe(
        "birthday", "Remember birthdays", "On the day, the owner of the contact gets a task.", "cake",
        {
            "entity": "contact", "trigger": {"kind": "date", "field": "birthday", "days": 0, "yearly": True, "hour": 7}, "reentry": "always",
            "steps": [_task("wish", "Say happy birthday", 0)],
        },
    ),
    Recipe(
        "broken_promise", "Tell of broken promises", "When a ticket is overdue by its service level, its owner is told and gets a task for today.", "timer_off",
        _on("ticket", "ticket.sla_breached", _tell("A promise to this customer is broken"), _task("now", "Answer now", 0, "urgent")),
    ),
    Recipe(
        "after_solved", "Look after solved tickets", "A week after a ticket was solved: ask whether all is well, unless the customer came back.", "verified",
        _on(
            "ticket", "ticket.solved", _days("wait", 7), _task("ask", "Ask whether everything works", 1),
            goal=_and(("status", "in", ["open", "waiting_customer", "waiting_third"])),
        ),
    ),
    Recipe(
        "renewal", "Prepare renewals", "Sixty days before a contract renews, the owner of the account gets a task to talk about it.", "autorenew",
        {
            "entity": "account", "trigger": {"kind": "date", "field": "renews_on", "days": -60, "hour": 7}, "reentry": "always",
            "steps": [_task("talk", "Talk about the renewal of the contract", 7, "high")],
        },
    ),
    Recipe(
        "price_question", "Answer price questions", "Who asks for a price is close to buying: an offer today, and a call two days later.", "request_quote",
        _on("lead", "lead.price_asked", _task("offer", "Send an offer", 0, "high"), _days("wait", 2), _task("call", "Ask whether the offer fits", 0)),
    ),
    Recipe(
        "no_show", "Ask who did not come", "A lead did not come to a booked meeting: its owner calls the next day, before the interest is cold.", "event_busy",
        _on("lead", "lead.no_show", _task("call", "Call: did not come to the meeting", 1, "high"), rest_days=7),
    ),
    Recipe(
        "left_cart", "Ask after left carts", "A customer left a cart in the shop: the owner of the contact asks the next day whether help is needed.",
        "shopping_cart", _on("contact", "contact.cart_abandoned", _task("ask", "Ask whether help with the order is needed", 1), rest_days=14),
    ),
    Recipe(
        "unhappy", "Win unhappy customers back", "Two weeks after an unhappy answer to a survey: ask whether things are better now.", "sentiment_dissatisfied",
        _on("contact", "survey.detractor", _days("wait", 14), _task("better", "Ask whether things are better now", 0), rest_days=60),
    ),
)  # fmt: skip


def open_to(session: Session, actor: Actor) -> Sequence[Recipe]:
    """The recipes that no automation was made of yet."""
    require(actor, "automation", Action.READ)
    used = set(session.execute(select(col(Automation.recipe))).scalars())
    return [recipe for recipe in RECIPES if recipe.key not in used]


def of(key: str) -> Recipe:
    """The recipe of a key."""
    return next(recipe for recipe in RECIPES if recipe.key == key)


def switch_on(session: Session, actor: Actor, key: str) -> Automation:
    """Make an automation of a recipe and switch it on; a second click changes nothing. Events: automation.saved, automation.activated."""
    require(actor, "automation", Action.MANAGE)
    recipe = of(key)
    earlier = session.execute(select(Automation).where(col(Automation.recipe) == key)).scalars().first()
    row = earlier or automations.save(session, actor, None, name=recipe.name, flow=recipe.flow, recipe=key)
    return automations.activate(session, actor, row.id)
