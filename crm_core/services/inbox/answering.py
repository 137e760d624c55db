"""Answers to mail that people wrote from records: onto the same record, and told to whoever wrote and to whoever owns it."""

from sqlmodel import Session, select

from crm_core import records
from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.kit.text import clip
from crm_core.models import Activity, Interaction, MailDelivery
from crm_core.services.collaboration import notifications, timeline_rules
from crm_core.services.inbox import writing
from crm_core.services.inbox.message_rules import Incoming


def is_there(session: Session, actor: Actor, asked: Interaction) -> bool:
    """Whether the record of a mail can still be written on."""
    try:
        records.get(session, actor, asked.entity, asked.record_id)
    except CrmError:
        return False
    return True


def take(session: Session, actor: Actor, asked: Interaction, found: Incoming) -> Activity:
    """Put an answer onto the record of the mail that it answers, and tell its people. Events: activity.created."""
    record = records.get(session, actor, asked.entity, asked.record_id)
    activity = writing.log(session, actor, asked.entity, asked.record_id, found, asked=asked)
    who = clip(found.sender_name or found.sender or "The customer", 80)
    for user_id in dict.fromkeys((asked.user_id, getattr(record, "owner_id", None))):
        notifications.notify(
            session, user_id, kind="mail.reply", params={"who": who}, entity=asked.entity, record_id=asked.record_id, dedupe_key=f"mail.reply:{activity.id}"
        )  # fmt: skip
    return activity


def unreachable(session: Session, mail: MailDelivery) -> int | None:
    """Tell the writer of a mail that it did not arrive; gives its entry on the timeline, which says so too."""
    activity_id = timeline_rules.activity_of(mail.batch)
    talk = session.exec(select(Interaction).where(Interaction.activity_id == activity_id)).first() if activity_id else None
    if talk is None:
        return None
    notifications.notify(
        session, talk.user_id, kind="mail.unreachable", entity=talk.entity, record_id=talk.record_id, dedupe_key=f"mail.unreachable:{mail.id}"
    )  # fmt: skip
    return activity_id
