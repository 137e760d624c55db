"""Promises that run out, taken further by themselves: the priority raised, the ticket given to somebody else, people told.

The watch over promises (``helpdesk/sla_watch``) calls for each deed once: it notes the threshold on the clock in the transaction that queues
the deed. Here each deed is a transaction of its own, whose end is noted with it. A priority that is raised here moves no due time
(``slas.hold``), so that no escalation can bring about the next one.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, system
from crm_core.errors import CrmError
from crm_core.jobs import Job, job
from crm_core.models import SlaClock, SlaPolicy, Team, Ticket, User
from crm_core.services.collaboration import incoming, notifications
from crm_core.services.helpdesk import escalation_rules, sla_rules, sla_watch, slas, ticket_rules, tickets
from crm_core.services.routing import assign
from crm_core.vocabulary import RouteOutcome, Via

log = logging.getLogger("rapport.helpdesk")
Step = Mapping[str, Any]


@job(sla_watch.ESCALATE, title="Escalate promises that run out", keep_days=7)
def escalate(job: Job, called: list[list[Any]]) -> None:
    """Do what thresholds call for: clock and step of each, in order."""
    for place in range(int(job.cursor.get("done", 0)), len(called)):
        clock_id, step = called[place]
        with job.transaction() as session:
            try:
                with session.begin_nested():
                    _do(session, clock_id, step)
            except CrmError as error:  # somebody left, a rule is broken: the others go on
                log.warning("step %s of the escalation of clock %s: %s", step.get("do"), clock_id, error.message)
            job.cursor = {"done": place + 1}
            job.report(place + 1, len(called))


def _do(session: Session, clock_id: int, step: Step) -> None:
    clock = session.get(SlaClock, clock_id)
    ticket = session.get(Ticket, clock.ticket_id) if clock is not None else None
    if (
        clock is None
        or ticket is None
        or ticket.deleted_at is not None
        or ticket.status in ticket_rules.DONE
        or not sla_rules.running(clock)
    ):
        return  # kept meanwhile, or there is nothing left to do
    actor, why = system(Via.WORKER), {"pct": step["pct"], "target": clock.target.label.lower()}
    said = _DEEDS[step["do"]](session, actor, ticket, clock, step, why)
    if said:
        events.record(session, actor, "ticket.escalated", ticket, data={"what": said, "do": step["do"], **why})


def _raise(session: Session, actor: Actor, ticket: Ticket, clock: SlaClock, step: Step, why: Mapping[str, Any]) -> str:
    impact, urgency = ticket_rules.raised(ticket.impact, ticket.urgency)
    wanted = ticket_rules.priority_of(impact, urgency)
    if wanted is ticket.priority:
        return ""
    slas.hold(session, ticket.id, wanted)
    tickets.update(session, actor, ticket.id, {"impact": impact.value, "urgency": urgency.value})
    return f"raised the priority to {wanted.label.lower()}"


def _give(session: Session, actor: Actor, ticket: Ticket, clock: SlaClock, step: Step, why: Mapping[str, Any]) -> str:
    if step["to"] == escalation_rules.RULES:
        return _by_rule(session, actor, ticket, why)
    team_id = escalation_rules.team_of(step["to"])
    if team_id is not None:
        return _to_team(session, actor, ticket, team_id)
    user = session.get(User, int(step["to"]))
    if user is None or not user.is_active or ticket.owner_id == user.id:
        return ""
    tickets.assign(session, actor, ticket.id, user.id)
    return f"gave it to {user.name}"


def _by_rule(session: Session, actor: Actor, ticket: Ticket, why: Mapping[str, Any]) -> str:
    words = f"{why['pct']}% of the time for the {why['target']} was used up"
    made = assign.route(session, actor, "ticket", ticket.id, why=words, replace_owner=True)
    if made is None or made.outcome is not RouteOutcome.GIVEN:
        return "found nobody else by the assignment rules" if made is not None and made.outcome is RouteOutcome.STAYS else ""
    user = session.get(User, made.user_id or 0)
    return f"gave it to {user.name} by an assignment rule" if user is not None else ""


def _to_team(session: Session, actor: Actor, ticket: Ticket, team_id: int) -> str:
    team, owner = session.get(Team, team_id), session.get(User, ticket.owner_id or 0)
    if team is None or (ticket.team_id == team_id and (owner is None or owner.team_id == team_id)):
        return ""
    tickets.update(session, actor, ticket.id, {"team_id": team_id, "owner_id": None})
    incoming.route_later(session, "ticket", ticket)
    return f"gave it to the team {team.name}"


def _notify(session: Session, actor: Actor, ticket: Ticket, clock: SlaClock, step: Step, why: Mapping[str, Any]) -> str:
    team_id = escalation_rules.team_of(step["to"])
    if team_id is not None:
        people = list(session.exec(select(User.id).where(User.team_id == team_id, col(User.is_active)).order_by(col(User.id))))
        team = session.get(Team, team_id)
        name = f"the team {team.name}" if team is not None else ""
    else:
        user = session.get(User, (ticket.owner_id or 0) if step["to"] == escalation_rules.OWNER else int(step["to"]))
        people, name = [user.id] if user is not None else [], user.name if user is not None else ""
    told = [_tell(session, one, "sla.escalated", ticket, clock, why) for one in people]
    return f"told {name}" if any(told) else ""


def _page(session: Session, actor: Actor, ticket: Ticket, clock: SlaClock, step: Step, why: Mapping[str, Any]) -> str:
    owner, policy = session.get(User, ticket.owner_id or 0), session.get(SlaPolicy, clock.policy_id or 0)
    for user_id in (owner.manager_id if owner else None, policy.escalate_to_id if policy else None):
        user = session.get(User, user_id or 0)
        if user is not None and user.is_active:
            return f"paged {user.name}" if _tell(session, user.id, "sla.paged", ticket, clock, why) else ""
    return ""


def _tell(session: Session, user_id: int, kind: str, ticket: Ticket, clock: SlaClock, why: Mapping[str, Any]) -> bool:
    key = f"{kind}:{clock.id}:{why['pct']}"
    return bool(
        notifications.notify(session, user_id, kind=kind, params=dict(why), entity="ticket", record_id=ticket.id, dedupe_key=key)
    )


_DEEDS = {
    escalation_rules.RAISE: _raise, escalation_rules.REASSIGN: _give, escalation_rules.NOTIFY: _notify, escalation_rules.MANAGER: _page,
}  # fmt: skip
