"""The next step of a deal, where it is a task: a deal without one takes the task that somebody plans for it, and follows what becomes of that.

Events: deal.step_followed, for the audit trail; a timeline tells of the task.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.errors import NotFound, NotPermitted
from crm_core.models import Deal, Task
from crm_core.vocabulary import StageKind, TaskStatus, Via

FIELDS = ("next_step", "next_step_on")


def take(session: Session, actor: Actor, task: Task) -> None:
    """Write a task into its open deal as the next step, where the deal has none and a person is at work who may write it there."""
    deal = _deal(session, actor, task)
    if deal is not None and not deal.next_step and deal.next_step_on is None and task.status is TaskStatus.OPEN:
        _write(session, actor, deal, task.subject, _day(actor, task.due_at))


def follow(session: Session, actor: Actor, task: Task, subject: str, due_at: datetime | None) -> None:
    """After a task changed: the deal whose next step it was (by its ``subject`` and ``due_at`` until now) has it as it is now, or none once it is over."""
    deal = _deal(session, actor, task)
    if deal is None or (deal.next_step, deal.next_step_on) != (subject, _day(actor, due_at)):
        return
    if task.status is TaskStatus.OPEN:
        _write(session, actor, deal, task.subject, _day(actor, task.due_at))
    else:
        _write(session, actor, deal, None, None)


def _deal(session: Session, actor: Actor, task: Task) -> Deal | None:
    """The open deal that a task hangs on, for a person who may write its next step; what automations do leaves it alone."""
    at_work = actor.user_id is not None and actor.via in (Via.SCREEN, Via.API)
    if task.deal_id is None or not at_work or any(actor.locked("deal", key) for key in FIELDS):
        return None
    deal = session.get(Deal, task.deal_id)
    return deal if deal is not None and deal.outcome is StageKind.OPEN else None


def _day(actor: Actor, due_at: datetime | None) -> date | None:
    return due_at.astimezone(ZoneInfo(actor.timezone)).date() if due_at is not None else None


def _write(session: Session, actor: Actor, deal: Deal, step: str | None, day: date | None) -> None:
    try:
        changes = {"next_step": step, "next_step_on": day}
        records.update(session, actor, "deal", deal.id, changes, event_type="deal.step_followed")
    except (NotFound, NotPermitted):
        return  # a task may be planned for a deal that its planner only sees
