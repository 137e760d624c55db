"""The next step of a deal, where it is a task: a deal without one takes the task that somebody plans for it, and follows what becomes of that.

Events: deal.step_followed, for the audit trail; a timeline tells of the task.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.models import Deal, Task
from crm_core.vocabulary import StageKind, TaskStatus, Via

FIELDS = ("next_step", "next_step_on")


def take(session: Session, actor: Actor, task: Task) -> None:
    """Write a task into its open deal as the next step, where the deal has none and a person is at work who may write it there."""
    deal = _deal(session, actor, task.deal_id)
    if deal is not None and not deal.next_step and deal.next_step_on is None and task.status is TaskStatus.OPEN:
        _write(session, actor, deal, task.subject, _day(actor, task.due_at))


def follow(session: Session, actor: Actor, task: Task, *, subject: str, due_at: datetime | None, deal_id: int | None) -> None:
    """After an open task changed: the deal ``deal_id`` whose next step it was (by its ``subject`` and ``due_at`` until now) has it as it is now, or none
    once it is over, in the bin, or hangs on another deal."""
    deal = _deal(session, actor, deal_id)
    if deal is None or deal.next_step != subject or not _same_day(deal.next_step_on, _day(actor, due_at)):
        return
    if task.status is TaskStatus.OPEN and task.deal_id == deal_id and task.deleted_at is None:
        day = deal.next_step_on if task.due_at == due_at else _day(actor, task.due_at)
        _write(session, actor, deal, task.subject, day)
    else:
        _write(session, actor, deal, None, None)


def _same_day(one: date | None, other: date | None) -> bool:
    """Whether two days may be those of one instant: whoever took the task lives in another time zone, perhaps."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= timedelta(days=1)


def _deal(session: Session, actor: Actor, deal_id: int | None) -> Deal | None:
    """An open deal that a task hangs on, for a person who may write its next step; what automations do leaves it alone."""
    at_work = actor.user_id is not None and actor.via in (Via.SCREEN, Via.API)
    if deal_id is None or not at_work or any(actor.locked("deal", key) for key in FIELDS):
        return None
    deal = session.get(Deal, deal_id)
    return deal if deal is not None and deal.outcome is StageKind.OPEN else None


def _day(actor: Actor, due_at: datetime | None) -> date | None:
    return due_at.astimezone(ZoneInfo(actor.timezone)).date() if due_at is not None else None


def _write(session: Session, actor: Actor, deal: Deal, step: str | None, day: date | None) -> None:
    changes = {"next_step": step, "next_step_on": day}
    try:
        with session.begin_nested():
            records.update(session, actor, "deal", deal.id, changes, event_type="deal.step_followed")
    except CrmError:
        return  # a task may be planned for a deal that its planner only sees, or that can't be saved as it is
