"""How the clock of a promise runs: started, paused, met, late, planned anew. Decided on loaded rows and a calendar alone.

Breaking a promise and keeping it later are two facts: ``breached_at`` stays once it is set, whatever is planned anew afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crm_core.kit.business_calendar import DAY_MINUTES, BusinessCalendar, NoWorkingTime
from crm_core.models import SlaClock, Ticket, TicketMessage
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.vocabulary import MessageDirection, SlaState, SlaTarget

ALWAYS = BusinessCalendar("UTC", (((0, DAY_MINUTES),),) * 7)
"""Round the clock, for promises without working hours."""

WARN_AT = (50, 75, 100)
"""Per cent of a promise used up at which somebody is told, once each."""


@dataclass(frozen=True)
class Promise:
    """What a ticket is owed by its own facts, whether or not a clock runs for it yet."""

    target: SlaTarget
    seq: int
    started_at: datetime
    met_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def over(self) -> bool:
        return self.met_at is not None or self.cancelled_at is not None


def promises(ticket: Ticket, messages: Sequence[TicketMessage]) -> list[Promise]:
    """First response, each next response that the customer waited or waits for, and the resolution."""
    done_at = (ticket.solved_at or ticket.closed_at) if ticket.status in DONE else None
    unanswered = done_at if ticket.first_response_at is None else None
    found = [Promise(SlaTarget.FIRST, 1, ticket.opened_at, ticket.first_response_at, unanswered)]
    found += _next_responses(ticket, messages, done_at)
    return [*found, Promise(SlaTarget.RESOLVE, 1, ticket.opened_at, done_at)]


def _next_responses(ticket: Ticket, messages: Sequence[TicketMessage], done_at: datetime | None) -> list[Promise]:
    """One per run of messages of the customer after the first response; a solved ticket waits for no answer."""
    if ticket.first_response_at is None:
        return []
    found: list[Promise] = []
    asked: datetime | None = None
    for message in messages:
        if message.at < ticket.first_response_at or message.direction is MessageDirection.INTERNAL:
            continue
        if message.direction is MessageDirection.INBOUND:
            asked = asked or message.at
        elif asked is not None:
            found.append(Promise(SlaTarget.NEXT, len(found) + 1, asked, message.at))
            asked = None
    if asked is not None:
        found.append(Promise(SlaTarget.NEXT, len(found) + 1, asked, None, done_at))
    return found


def start(ticket_id: int, promise: Promise, policy_id: int | None, minutes: int, calendar: BusinessCalendar) -> SlaClock:
    """A new clock from the instant at which the promise began."""
    clock = SlaClock(
        ticket_id=ticket_id,
        target=promise.target,
        seq=promise.seq,
        policy_id=policy_id,
        minutes=minutes,
        started_at=promise.started_at,
        due_at=promise.started_at,
    )
    _plan(clock, calendar)
    return clock


def hush(clock: SlaClock, now: datetime, calendar: BusinessCalendar) -> None:
    """Raise no alarm for what was late before the promise was made: a new level would otherwise tell about every old ticket at once."""
    warn(clock, now, calendar)


def running(clock: SlaClock) -> bool:
    """True while the promise is neither kept nor dropped, paused or not."""
    return clock.met_at is None and clock.cancelled_at is None


def pause(clock: SlaClock, now: datetime) -> None:
    """Stop counting; what is late stays late."""
    if running(clock) and clock.paused_at is None:
        _note_breach(clock, now)
        clock.paused_at, clock.next_warn_at = now, None


def resume(clock: SlaClock, now: datetime, calendar: BusinessCalendar) -> None:
    """Count on: the due time moves by the working time that the pause took."""
    if clock.paused_at is not None:
        clock.paused_seconds += calendar.between(clock.paused_at, now)
        clock.paused_at = None
        _plan(clock, calendar)


def meet(clock: SlaClock, at: datetime, calendar: BusinessCalendar) -> None:
    """The promise is kept, in time or late. Keeping it ends a pause."""
    resume(clock, at, calendar)
    _note_breach(clock, at)
    clock.met_at, clock.next_warn_at = at, None


def reopen(clock: SlaClock, now: datetime, calendar: BusinessCalendar) -> None:
    """A resolution was taken back: the time in between does not count."""
    if clock.met_at is not None:
        clock.paused_at, clock.met_at = clock.met_at, None
        resume(clock, now, calendar)


def cancel(clock: SlaClock, at: datetime) -> None:
    """The promise holds no longer."""
    _note_breach(clock, at)
    clock.cancelled_at, clock.next_warn_at = at, None


def replan(clock: SlaClock, now: datetime, policy_id: int | None, minutes: int, calendar: BusinessCalendar) -> None:
    """Another promise holds from the original start on. What was broken by the old one stays broken."""
    _note_breach(clock, now)
    clock.policy_id, clock.minutes = policy_id, minutes
    _plan(clock, calendar)


def state_at(clock: Any, now: datetime) -> SlaState:
    """Where the promise stands at an instant; no job has to run for it to be true. ``clock``: the record, or a row with its instants."""
    late = clock.breached_at is not None
    if clock.cancelled_at is not None:
        return SlaState.CANCELLED
    if clock.met_at is not None:
        return SlaState.MET_LATE if late else SlaState.MET
    if late or (clock.paused_at is None and clock.due_at <= now):
        return SlaState.BREACHED
    return SlaState.PAUSED if clock.paused_at is not None else SlaState.RUNNING


def warn(clock: Any, now: datetime, calendar: BusinessCalendar) -> list[int]:
    """The thresholds reached since the last look, each told once; the clock remembers them and knows when to look again.

    Of working hours that left too little time meanwhile only the due time counts, which stands.
    """
    if not running(clock) or clock.paused_at is not None:
        clock.next_warn_at = None
        return []
    ahead = {pct: _known_at(clock, pct, calendar) for pct in WARN_AT if pct > clock.warned_pct}
    reached = [pct for pct, at in ahead.items() if at <= now]
    clock.warned_pct = max([clock.warned_pct, *reached])
    _note_breach(clock, now)
    clock.next_warn_at = min((at for pct, at in ahead.items() if pct > clock.warned_pct), default=None)
    return reached


def _known_at(clock: SlaClock, pct: int, calendar: BusinessCalendar) -> datetime:
    if pct >= 100:
        return clock.due_at
    try:
        return _at(clock, pct, calendar)
    except NoWorkingTime:
        return clock.due_at


def fits(clock: SlaClock, calendar: BusinessCalendar) -> bool:
    """Whether a clock that runs is due when these working hours say so: they may have changed, or got a holiday."""
    return clock.paused_at is not None or clock.due_at == _at(clock, 100, calendar)


def _plan(clock: SlaClock, calendar: BusinessCalendar) -> None:
    clock.due_at = _at(clock, 100, calendar)
    _next_warning(clock, calendar)


def _next_warning(clock: SlaClock, calendar: BusinessCalendar) -> None:
    ahead = [_at(clock, pct, calendar) for pct in WARN_AT if pct > clock.warned_pct]
    clock.next_warn_at = min(ahead) if ahead and running(clock) and clock.paused_at is None else None


def _at(clock: SlaClock, pct: int, calendar: BusinessCalendar) -> datetime:
    return calendar.add(clock.started_at, clock.minutes * 60 * pct / 100 + clock.paused_seconds)


def _note_breach(clock: SlaClock, now: datetime) -> None:
    if clock.breached_at is None and clock.paused_at is None and clock.due_at < now:
        clock.breached_at = clock.due_at


def late_by(clock: SlaClock, now: datetime, calendar: BusinessCalendar) -> timedelta:
    """Working time since the due time, of a promise that is late."""
    return timedelta(seconds=calendar.between(clock.due_at, clock.met_at or now))
