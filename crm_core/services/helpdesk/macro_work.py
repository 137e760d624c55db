"""The step of a macro that gives somebody a task: checked when the macro is saved, said in words with its day, done, taken back."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from crm_core import format as fmt
from crm_core import lists, records
from crm_core.access import Actor, require
from crm_core.errors import Conflict
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Task, Ticket, User
from crm_core.services.collaboration import tasks
from crm_core.services.helpdesk import answer_rules, calendars
from crm_core.vocabulary import Action, Priority

ME, OWNER = "me", "owner"
WHO = {ME: "Whoever uses the macro", OWNER: "The owner of the ticket"}
COUNTED = {"working": "working days", "days": "days"}
MOST_DAYS = 365


def checked(session: Session, actor: Actor, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any] | None:
    """The step as it is kept; what is wrong with it goes into ``wrong``."""
    require(actor, "task", Action.CREATE)
    subject, who, days = clip(clean(str(given.get("subject") or "")), 300), given.get("who") or ME, given.get("days", 1)
    if not subject:
        wrong["task"] = "Say what is to be done."
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= MOST_DAYS:
        wrong["task"] = f"A task of a macro is due within {MOST_DAYS} days."
    person = session.get(User, who) if isinstance(who, int) else None
    if who not in WHO and (person is None or not person.is_active):
        wrong["task"] = "Choose somebody who is active."
    priority = str(given.get("priority") or Priority.NORMAL.value)
    if priority not in Priority.options() or given.get("count", "working") not in COUNTED:
        wrong["task"] = "Choose a priority and how its days are counted."
    step = {
        "do": "task",
        "subject": subject,
        "who": who,
        "days": days,
        "count": given.get("count", "working"),
        "priority": priority,
    }
    return None if "task" in wrong else step


def words(session: Session, actor: Actor, step: Mapping[str, Any], ticket: Ticket | None, values: Mapping[str, str] | None) -> str:
    """The step in words; for one ticket with its fields and the day."""
    subject = answer_rules.fill(str(step["subject"]), values) if values is not None else str(step["subject"])
    person = WHO.get(step["who"]) or lists.titles(session, actor, "user", [step["who"]]).get(step["who"], "somebody who left")
    if ticket is not None:
        return f"“{subject}” · {person} · due {fmt.day(actor, _due_on(session, actor, step, ticket))}"
    unit = COUNTED[step["count"]]
    return f"“{subject}” · {person} · due in {fmt.plural(step['days'], unit.removesuffix('s'), unit)}"


def _due_on(session: Session, actor: Actor, step: Mapping[str, Any], ticket: Ticket) -> date:
    """The day on which the task is due if the macro is used now."""
    if step["count"] == "working":
        return calendars.working_day(session, _who(actor, step, ticket), utcnow(), int(step["days"]))
    return utcnow().astimezone(ZoneInfo(actor.timezone)).date() + timedelta(days=int(step["days"]))


def _who(actor: Actor, step: Mapping[str, Any], ticket: Ticket) -> int | None:
    if step["who"] == OWNER:
        return ticket.owner_id or actor.user_id
    return actor.user_id if step["who"] == ME else int(step["who"])


def do(session: Session, actor: Actor, step: Mapping[str, Any], ticket: Ticket, values: Mapping[str, str]) -> list[int]:
    """Create the task; gives its id and version."""
    made = tasks.create(
        session, actor,
        {
            "subject": clip(answer_rules.fill(str(step["subject"]), values), 300), "owner_id": _who(actor, step, ticket), "ticket_id": ticket.id,
            "account_id": ticket.account_id, "priority": step["priority"], "due_at": _due_on(session, actor, step, ticket),
        },
    )  # fmt: skip
    return [made.id, made.version]


def take_back(session: Session, actor: Actor, made: Sequence[Sequence[int]]) -> None:
    """Move the tasks into the bin that a macro made. Raises Conflict for one that somebody worked on since."""
    for task_id, version in made:
        task = session.get(Task, int(task_id))
        if task is None or task.deleted_at is not None:
            continue
        if task.version != version:
            raise Conflict("Somebody worked on the task of this macro since.")
        records.discard(session, actor, "task", task)
