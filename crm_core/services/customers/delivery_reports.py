"""What comes back about our mail: reports of mail servers (RFC 3464) and complaints that mail providers pass on (ARF, RFC 5965).

Both are believed only about messages that we really sent. A complaint is a reader's own word: they get nothing for marketing any more.
"""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message

from sqlalchemy import select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.kit.clock import utcnow
from crm_core.services.collaboration import bounces
from crm_core.services.collaboration.outbox import MAIL
from crm_core.services.customers import unsubscribing
from crm_core.vocabulary import Action, MailState, SuppressionReason


@dataclass(frozen=True)
class Report:
    """What was noted: of which message, about whom, and in words."""

    mail_id: int
    address: str
    words: str
    complaint: bool


def take_in(session: Session, actor: Actor, raw: bytes) -> Report:
    """Note a report that somebody hands in as a file."""
    require(actor, "organisation", Action.MANAGE)
    found = note(session, actor, raw)
    if found is not None:
        return found
    if _complained_about(raw):
        raise Invalid("This complaint is about a message that this workspace did not send, or knows no more. Nothing was changed.")
    bounce = bounces.take_in(session, actor, raw)  # says what is wrong with it
    return Report(0, bounce.address, bounce.words, complaint=False)


def note(session: Session, actor: Actor, raw: bytes) -> Report | None:
    """Note a report about a message of ours; None when it is none. The caller has asked, or read it from a mailbox of ours."""
    bounce = bounces.read(raw)
    if bounce is not None:
        mail_id = bounces.note(session, actor, bounce)
        return None if mail_id is None else Report(mail_id, bounce.address, bounce.words, complaint=False)
    message_id = _complained_about(raw)
    return _complaint(session, actor, message_id) if message_id else None


def _complained_about(raw: bytes) -> str:
    """The message id in a complaint; "" when the message is none."""
    message = message_from_bytes(raw[: bounces.MAX_BYTES], policy=policy.compat32)
    parts: dict[str, Message] = {}
    for part in message.get_payload() if message.is_multipart() else ():  # not what the message complained about has inside
        parts.setdefault(part.get_content_type(), part)  # type: ignore[union-attr, arg-type]
    about = parts.get("message/feedback-report")
    original = parts.get("message/rfc822") or parts.get("text/rfc822-headers")
    if about is None or original is None or not re.search(r"(?im)^feedback-type:\s*(abuse|opt-out|opt-out-list)\b", _text(about)):
        return ""
    found = re.search(r"(?im)^message-id:\s*(<[^>\s]+>)", _text(original))
    return found[1] if found else ""


def _text(part: Message) -> str:
    return part.as_string()


def _complaint(session: Session, actor: Actor, message_id: str) -> Report | None:
    mine = (MAIL.c.message_id == message_id, MAIL.c.state.in_((MailState.SENT, MailState.HANDED)))
    row = session.execute(select(MAIL.c.id, MAIL.c.address, MAIL.c.contact_id, MAIL.c.lead_id).where(*mine).limit(1)).first()
    if row is None:
        return None
    words = "The reader marked it as unwanted at their mail provider."
    session.execute(update(MAIL).where(MAIL.c.id == row.id).values(message=words, updated_at=utcnow()))
    db.bump(session, MAIL.name)
    also = [(key, found) for key, found in (("contact", row.contact_id), ("lead", row.lead_id)) if found is not None]
    source = "Marked a message as unwanted at their mail provider"
    unsubscribing.leave(session, actor, row.address, reason=SuppressionReason.COMPLAINED, source=source, also=also)
    unsubscribing.note_left(session, actor, row.id, utcnow())
    return Report(row.id, row.address, words, complaint=True)
