"""What came in by a channel that no machine reads (a call, a chat, a message in a social network, somebody at the door), entered in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, clip
from crm_core.models import SubmitKey
from crm_core.services.collaboration import activities, incoming, interactions
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, ActivityKind, InboundChannel, MessageDirection

TICKET, LEAD, TIMELINE = "ticket", "lead", "timeline"
CHANNELS = (
    InboundChannel.PHONE, InboundChannel.CHAT, InboundChannel.SOCIAL, InboundChannel.PERSON, InboundChannel.EMAIL, InboundChannel.LETTER,
)  # fmt: skip
MAX_TEXT = tickets.MAX_BODY
_KINDS = {
    InboundChannel.PHONE: ActivityKind.CALL,
    InboundChannel.EMAIL: ActivityKind.EMAIL,
    InboundChannel.PERSON: ActivityKind.MEETING,
}


@dataclass(frozen=True)
class Logged:
    """What it became: an entity and the record to open."""

    entity: str
    record_id: int


def becomes(actor: Actor) -> tuple[str, ...]:
    """What this person may make of something that came in, the likeliest first."""
    may = {
        TICKET: actor.can("ticket", Action.CREATE) and actor.can("ticket", Action.EDIT),
        LEAD: actor.can("lead", Action.CREATE),
        TIMELINE: actor.can("activity", Action.CREATE) and actor.can("contact", Action.READ),
    }
    return tuple(key for key, allowed in may.items() if allowed)


def ruled(session: Session, actor: Actor, into: str) -> bool:
    """Whether rules give tickets or leads (``into``) to somebody. Without any, a ticket that nobody takes waits without an owner, and a lead is its writer's."""
    require(actor, into, Action.CREATE)
    return incoming.any_rule(session, into)


def log(
    session: Session,
    actor: Actor,
    *,
    channel: InboundChannel,
    text: str,
    into: str,
    contact_id: int | None = None,
    name: str = "",
    reach: str = "",
    waits: bool = True,
    take: bool = False,
    submit_key: str | None = None,
) -> Logged:
    """Enter what somebody said or wrote. ``into``: a ticket, a lead, or the timeline of a contact; ``name`` and ``reach`` (address or number) of
    whoever is not known yet; ``waits``: they wait for an answer; ``take``: the writer takes the ticket or lead, else the assignment rules are asked. The same ``submit_key`` again enters it once.
    """
    _check(text, into, contact_id, name, becomes(actor))
    seen = session.get(SubmitKey, f"{submit_key}-in") if submit_key else None
    if seen is not None:
        return Logged(seen.result["entity"], seen.result["id"])
    key = f"{submit_key}-r" if submit_key else None
    if into == TICKET:
        person = contact_id or _new_contact(session, actor, name, reach)
        made = Logged("ticket", _ticket(session, actor, channel, text, person, name, take, key))
    elif into == LEAD:
        owner_id = actor.user_id if take or not ruled(session, actor, LEAD) else None
        lead = leads.create(session, actor, {"name": clean(name), "owner_id": owner_id, **_reach(reach)}, submit_key=key)
        # what its writer says of a lead belongs to it, though they may not see it any more
        _enter(session, replace(actor, is_system=True), "lead", lead.id, channel, text, waits)
        made = Logged("lead", lead.id)
    else:
        person = contact_id or _new_contact(session, actor, name, reach)
        if person is None:
            raise Invalid(fields={"who": "Your role can't enter new contacts. Choose one of the list."})
        _enter(session, actor, "contact", person, channel, text, waits)
        made = Logged("contact", person)
    if submit_key:
        session.add(SubmitKey(key=f"{submit_key}-in", at=utcnow(), result={"entity": made.entity, "id": made.record_id}))
        session.flush()
    return made


def _check(text: str, into: str, contact_id: int | None, name: str, allowed: tuple[str, ...]) -> None:
    wrong: dict[str, str] = {}
    if not text.strip():
        wrong["text"] = "Write a word about what they want."
    elif len(text) > tickets.MAX_BODY:
        wrong["text"] = f"At most {written(tickets.MAX_BODY)} characters."
    if into not in allowed:
        wrong["into"] = "Choose what becomes of it."
    if into == LEAD and not clean(name):
        wrong["who"] = "Say how the new lead is called."
    if into == TIMELINE and contact_id is None and not clean(name):
        wrong["who"] = "Say who it was."
    if wrong:
        raise Invalid(fields=wrong)


def _reach(reach: str) -> Mapping[str, str]:
    given = clean(reach)
    return {("email" if "@" in given else "phone"): given} if given else {}


def _new_contact(session: Session, actor: Actor, name: str, reach: str) -> int | None:
    """Somebody who is not known yet, if they left a name and the writer may enter contacts."""
    if not clean(name) or not actor.can("contact", Action.CREATE):
        return None
    return contacts.create(session, actor, {"name": clean(name), **_reach(reach)}).id


def _ticket(
    session: Session,
    actor: Actor,
    channel: InboundChannel,
    text: str,
    contact_id: int | None,
    name: str,
    take: bool,
    key: str | None,
) -> int:
    subject = clip(text.strip().split("\n", 1)[0], 120)
    values: dict[str, Any] = {"subject": subject, "contact_id": contact_id, "channel": channel.value}
    values["owner_id"] = actor.user_id if take else None
    return tickets.create(session, actor, values, message=text, author_name=clean(name), submit_key=key).id


def _enter(
    session: Session, actor: Actor, entity_key: str, record_id: int, channel: InboundChannel, text: str, waits: bool
) -> None:
    activity = activities.log(
        session,
        actor,
        entity_key,
        record_id,
        kind=_KINDS.get(channel, ActivityKind.NOTE),
        text=clip(text.strip(), 20_000),
        incoming=True,
    )
    interactions.note(
        session, activity, entity_key=entity_key, record_id=record_id, channel=channel, direction=MessageDirection.INBOUND, user_id=actor.user_id,
        settled=not waits,
    )  # fmt: skip
