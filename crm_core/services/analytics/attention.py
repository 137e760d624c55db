"""What needs somebody: deals that stand still, leads nobody has, customers who wait. Each reminder is a filter, so it links to its list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func, literal_column, select
from sqlmodel import Session

from crm_core import filters, idleness, lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.kit.paging import Page
from crm_core.lists import ListQuery
from crm_core.models import UserClosure
from crm_core.vocabulary import Action, HandoverState, LeadKind, StageKind, TicketKind

_CLOSURE: Any = UserClosure.__table__  # type: ignore[attr-defined]
Ast = dict[str, Any]


@dataclass(frozen=True)
class Reminder:
    """A kind of record that needs somebody. ``since``: the field that says since when; ``leaves``: the filter of the list."""

    key: str
    entity: str
    one: str
    many: str
    why: str
    icon: str
    tone: str
    since: str
    leaves: Callable[[Session], list[Ast]]


@dataclass(frozen=True)
class Waiting:
    """How many records of a reminder there are, the oldest one's day or instant, the money at stake in minor units, and the list."""

    key: str
    entity: str
    sentence: str
    why: str
    icon: str
    tone: str
    count: int
    oldest: date | datetime | None
    amount_minor: int | None
    filter: Ast


def _leaf(field: str, cmp: str, value: Any = None) -> Ast:
    return {"field": field, "cmp": cmp} if value is None else {"field": field, "cmp": cmp, "value": value}


_IS_OPEN = _leaf("outcome", "eq", StageKind.OPEN.value)


def _fixed(*leaves: Ast) -> Callable[[Session], list[Ast]]:
    return lambda _session: list(leaves)


_NEW = [TicketKind.NEW.value, TicketKind.OPEN.value]
_LIVE_LEADS = [LeadKind.OPEN.value, LeadKind.WORKING.value]

_ALL = (
    Reminder(
        "overdue_close", "deal", "deal is past its closing date", "deals are past their closing date", "Expected to close before today",
        "event_busy", "red", "expected_close_on", _fixed(_IS_OPEN, _leaf("expected_close_on", "lt", "today")),
    ),
    Reminder(
        "overdue_step", "deal", "deal has an overdue next step", "deals have an overdue next step", "The next step was due before today",
        "alarm", "orange", "next_step_on", _fixed(_IS_OPEN, _leaf("next_step_on", "lt", "today")),
    ),
    Reminder(
        "no_next_step", "deal", "deal has no next step", "deals have no next step", "Open, and nobody wrote down what comes next",
        "schedule", "orange", "stage_since", _fixed(_IS_OPEN, idleness.NO_NEXT_STEP),
    ),
    Reminder(
        "idle", "deal", "deal is idle", "deals are idle", "No contact with the customer for as many working days as the stage allows",
        "hotel", "orange", "stage_since", _fixed(_IS_OPEN, idleness.IDLE),
    ),
    Reminder(
        "no_account", "deal", "open deal has no account", "open deals have no account", "They are missing in the figures of every account",
        "domain_disabled", "gray", "created_on", _fixed(_IS_OPEN, _leaf("account_id", "empty")),
    ),
    Reminder(
        "unassigned_leads", "lead", "lead has no owner", "leads have no owner", "New or being worked on, and nobody's",
        "person_off", "blue", "created_at", _fixed(_leaf("owner_id", "empty"), _leaf("status.kind", "in", _LIVE_LEADS)),
    ),
    Reminder(
        "unanswered_tickets", "ticket", "ticket waits for a first answer", "tickets wait for a first answer", "Open, and the customer heard nothing yet",
        "mark_email_unread", "red", "opened_at", _fixed(_leaf("status", "in", _NEW), _leaf("first_response_at", "empty")),
    ),
    Reminder(
        "unassigned_tickets", "ticket", "ticket is nobody's", "tickets are nobody's", "Open, and assigned to nobody",
        "person_off", "blue", "opened_at", _fixed(_leaf("status", "in", _NEW), _leaf("owner_id", "empty")),
    ),
    Reminder(
        "open_handovers", "account", "hand-over is not accepted", "hand-overs are not accepted", "Offered, and neither accepted nor declined",
        "move_down", "orange", "handover_at", _fixed(_leaf("handover_state", "eq", HandoverState.PENDING.value)),
    ),
)  # fmt: skip

REMINDERS: dict[str, Reminder] = {reminder.key: reminder for reminder in _ALL}


def list_filter(session: Session, reminder: Reminder, *, owner_id: int | None = None, pipeline_id: int | None = None) -> Ast:
    """The filter of the list behind a reminder."""
    items = list(reminder.leaves(session))
    if owner_id is not None:
        items.append(_leaf("owner_id", "eq", owner_id))
    if pipeline_id is not None and reminder.entity == "deal":
        items.append(_leaf("pipeline_id", "eq", pipeline_id))
    return {"op": "and", "items": items}


KINDS = tuple(dict.fromkeys(reminder.entity for reminder in _ALL))


def find(
    session: Session, actor: Actor, *, kinds: Sequence[str] = KINDS, owner_id: int | None = None, pipeline_id: int | None = None
) -> tuple[Waiting, ...]:
    """All reminders with something behind them, within what the person may see; one statement per kind of record."""
    require(actor, "analytics", Action.READ)
    found: list[Waiting] = []
    for key in kinds:
        if actor.can(key, Action.READ):
            asts = {r: list_filter(session, r, owner_id=owner_id, pipeline_id=pipeline_id) for r in _ALL if r.entity == key}
            # A filter over a field that the role hides would be refused: such a reminder does not exist for this person.
            shown = {r: ast for r, ast in asts.items() if not any(actor.masked(key, name) for name in (r.since, *fields_of(ast)))}
            found += _count(session, actor, key, list(shown), list(shown.values())) if shown else []
    order = list(REMINDERS)
    return tuple(sorted(found, key=lambda waiting: order.index(waiting.key)))


def in_team(session: Session, actor: Actor) -> tuple[Waiting, ...]:
    """As ``find``, for whoever somebody reports to, directly or not; nothing for everybody else."""
    below = select(_CLOSURE.c.depth).where(_CLOSURE.c.ancestor_id == actor.user_id, _CLOSURE.c.depth > 0).limit(1)
    may = actor.can("analytics", Action.READ) and session.execute(below).first() is not None
    return find(session, actor) if may else ()


def fields_of(ast: Ast) -> set[str]:
    """The fields that a filter reads."""
    if "field" in ast:
        return {ast["field"]}
    return {name for item in ast.get("items", ()) for name in fields_of(item)}


def records(session: Session, actor: Actor, key: str, *, page: int = 1, size: int = 20) -> Page:
    """One page of the records behind a reminder, those that wait longest first. Raises NotFound for an unknown reminder."""
    reminder = REMINDERS.get(key)
    if reminder is None:
        raise NotFound("There is no such reminder.")
    query = ListQuery(filter=list_filter(session, reminder), sort=(reminder.since, False), page=page, size=size)
    return lists.find(session, actor, reminder.entity, query)


def _count(session: Session, actor: Actor, key: str, reminders: list[Reminder], asts: list[Ast]) -> list[Waiting]:
    """One walk over the candidates: each is put to the reminders that hold for it (a set written as the bits of a number), and sets are added up."""
    table = entity(key).table
    money = key == "deal" and not actor.masked("deal", "amount_minor")
    clauses = [filters.where(session, key, ast, actor) for ast in asts]
    held = sum((case((clause, 1 << n), else_=0) for n, clause in enumerate(clauses)), literal_column("0")).label("held")
    days = [func.min(table.c[since]).label(since) for since in {reminder.since for reminder in reminders}]
    stake = func.coalesce(func.sum(table.c.amount_minor), 0) if money else literal_column("0")
    columns = (held, func.count().label("number"), stake.label("stake"), *days)
    statement = select(*columns).where(visible(actor, key, table), _candidates(key, table)).group_by(literal_column("held"))
    sets = session.execute(statement).mappings().all()
    found = []
    for n, (reminder, ast) in enumerate(zip(reminders, asts, strict=True)):
        mine = [row for row in sets if row["held"] & 1 << n]
        if not mine:
            continue
        count = sum(row["number"] for row in mine)
        oldest = min((row[reminder.since] for row in mine if row[reminder.since] is not None), default=None)
        at_stake = sum(int(row["stake"]) for row in mine) if money else None
        words = f"{written(count)} {reminder.one if count == 1 else reminder.many}"
        found.append(Waiting(reminder.key, key, words, reminder.why, reminder.icon, reminder.tone, count, oldest, at_stake, ast))
    return found


def _candidates(key: str, table: Any) -> Any:
    """What all reminders of an entity have in common, so that an index leads to it."""
    if key == "deal":
        return filters.is_choice(table.c.outcome, StageKind.OPEN)
    if key == "ticket":
        return table.c.status.in_((TicketKind.NEW, TicketKind.OPEN))
    if key == "account":
        return table.c.handover_state == HandoverState.PENDING
    return table.c.owner_id.is_(None)


def closing(
    session: Session, actor: Actor, *, owner_id: int | None = None, pipeline_id: int | None = None, size: int = 8
) -> tuple[Page, Ast]:
    """Open deals that are expected to close in the running month, the next ones first, with the filter of the whole list."""
    first = clock.today(actor.timezone).replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    items = [_IS_OPEN, _leaf("expected_close_on", "between", [first.isoformat(), last.isoformat()])]
    if owner_id is not None:
        items.append(_leaf("owner_id", "eq", owner_id))
    if pipeline_id is not None:
        items.append(_leaf("pipeline_id", "eq", pipeline_id))
    ast: Ast = {"op": "and", "items": items}
    columns = ("name", "account_id", "owner_id", "stage_id", "amount_minor", "probability_pct", "expected_close_on")
    query = ListQuery(filter=ast, columns=columns, sort=("expected_close_on", False), size=size)
    return lists.find(session, actor, "deal", query), ast
