"""All automations go on again after somebody stopped them: what waits, and whether it is worked off or skipped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from crm_core import access, db
from crm_core.access import Actor, require
from crm_core.automation_inbox import call_worker
from crm_core.errors import CrmError
from crm_core.kit.clock import utcnow
from crm_core.services.automation import taking_up, upkeep
from crm_core.services.automation.engine import AUTOMATIONS, INBOX, RUNS, Known, programs
from crm_core.services.automation.picking import due_runs
from crm_core.services.automation.taking_up import Cause
from crm_core.services.collaboration import halts, webhook_rules
from crm_core.services.collaboration.webhooks import DELIVERIES
from crm_core.vocabulary import Action, FlowState, HaltKind, HookState, TriggerKind, Via

PASSED = "Passed over: automations were stopped then"
_HELD = (DELIVERIES.c.type == webhook_rules.BY_HAND, DELIVERIES.c.state == HookState.WAITING)
CUT = "Ended: its turn came while automations were stopped"


@dataclass(frozen=True)
class Waiting:
    """What came while automations stood still. ``events``: things that happened and that somebody waits for, before conditions are asked; ``dates``:
    records whose date came; ``slots``: automations by the clock whose hour passed; ``runs``: runs under way whose next step is due; ``messages``: what
    steps told webhooks and has not left yet."""

    events: int
    dates: int
    slots: int
    runs: int
    messages: int = 0

    @property
    def starts(self) -> int:
        return self.events + self.dates + self.slots


def waiting(session: Session, actor: Actor) -> Waiting:
    """What begins or goes on as soon as automations are switched on again."""
    require(actor, "automation", Action.MANAGE)
    now = utcnow()
    events = session.execute(select(func.count()).select_from(INBOX)).scalar_one()
    runs = session.execute(select(func.count()).select_from(due_runs(RUNS.c.id).subquery())).scalar_one()
    dates = sum(len(taking_up.new(session, known, causes)) for known, causes in _by_date(session, now))
    messages = session.execute(select(func.count()).where(*_HELD)).scalar_one()
    return Waiting(int(events), dates, len(_missed(session, now)), int(runs), int(messages))


def _on(session: Session, kind: TriggerKind) -> Iterator[Known]:
    """The automations of a kind that are on, but those whose owner is gone: the worker pauses them."""
    for row in programs(session):
        if row.flow["trigger"].get("kind") == kind.value:
            try:
                yield Known(row, row.flow, access.load(session, row.owner_id or 0, via=Via.WORKER))
            except CrmError:
                continue


def _by_date(session: Session, now: datetime) -> Iterator[tuple[Known, list[Cause]]]:
    for known in _on(session, TriggerKind.DATE):
        try:
            yield known, list(upkeep.by_date(session, known, now))
        except CrmError:  # what is wrong with it is told when the worker looks at it
            continue


def _missed(session: Session, now: datetime) -> list[int]:
    """Automations by the clock whose hour has come since they were looked at."""
    return [
        known.row.id
        for known in _on(session, TriggerKind.SCHEDULE)
        if upkeep.slot_of(known.flow["trigger"], known.row.checked_at or now, now, known.actor.timezone) is not None
    ]


def resume(session: Session, actor: Actor, *, events: bool = True, runs: bool = True) -> Waiting:
    """Let all automations go on; gives what waited. ``events``: what happened meanwhile (dates and hours too) starts what it would have started,
    else it starts nothing; ``runs``: runs whose turn came go on where they stood, else they end. Messages to webhooks leave. Events: halt.ended."""
    require(actor, "automation", Action.MANAGE)
    now, found = utcnow(), waiting(session, actor)
    halts.end(session, actor, HaltKind.AUTOMATIONS, kept=events and runs, outcome=_outcome(found, events, runs))
    if not runs:
        over = {"state": FlowState.STOPPED, "message": CUT, "due_at": None, "ended_at": now, "version": RUNS.c.version + 1}
        session.execute(update(RUNS).where(RUNS.c.id.in_(due_runs(RUNS.c.id))).values(**over))
        db.bump(session, RUNS.name)
    if not events:
        _skip(session, now)
    call_worker(session)
    return found


def _outcome(found: Waiting, events: bool, runs: bool) -> dict[str, int]:
    begun, went_on = (found.starts if events else 0), (found.runs if runs else 0)
    return {"begun": begun, "skipped": found.starts - begun, "went_on": went_on, "ended": found.runs - went_on}


def _skip(session: Session, now: datetime) -> None:
    session.execute(delete(INBOX))
    for known, causes in _by_date(session, now):
        taking_up.pass_over(session, known, causes, PASSED)
    missed = _missed(session, now)
    if missed:
        session.execute(update(AUTOMATIONS).where(AUTOMATIONS.c.id.in_(missed)).values(checked_at=now))
