"""Bounces that come back as messages (RFC 3464), into a mailbox or handed in as files: the message they tell of is marked, a dead address blocked."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message

from sqlalchemy import and_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip, email_key
from crm_core.services.collaboration import suppressions
from crm_core.services.collaboration.outbox import MAIL
from crm_core.vocabulary import Action, MailState, SuppressionReason

_DEAD = re.compile(r"5\.(1\.\d+|2\.1)")
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Bounce:
    """What a delivery report says. ``dead``: the address does not exist or was given up."""

    address: str
    status: str
    message_id: str
    words: str

    @property
    def dead(self) -> bool:
        return bool(_DEAD.fullmatch(self.status))


def read(raw: bytes) -> Bounce | None:
    """The report in a message; None when it is none, or tells of a delay or of success."""
    message = message_from_bytes(raw[:MAX_BYTES], policy=policy.compat32)
    fields: dict[str, str] = {}
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            for block in part.get_payload() if part.is_multipart() else []:
                fields |= {name.lower(): str(value) for name, value in block.items()}  # type: ignore[union-attr]
    address = fields.get("final-recipient", fields.get("original-recipient", "")).split(";")[-1].strip()
    status = fields.get("status", "").split(" ")[0]
    if fields.get("action", "").lower() != "failed" or "@" not in address or not status.startswith("5"):
        return None
    return Bounce(email_key(address), status, _original_id(message), fields.get("diagnostic-code", status))


def _original_id(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            text = part.as_string()
            found = re.search(r"(?im)^message-id:\s*(<[^>\s]+>)", text)
            if found:
                return found[1]
    return ""


def take_in(session: Session, actor: Actor, raw: bytes) -> Bounce:
    """Note a bounce that somebody hands in as a file."""
    require(actor, "organisation", Action.MANAGE)
    found = read(raw)
    if found is None:
        raise Invalid("This is not a report about a message that could not be delivered.")
    if note(session, actor, found) is None:
        raise Invalid("No message of ours went to this address, so nothing was noted.")
    return found


def note(session: Session, actor: Actor, found: Bounce) -> int | None:
    """Mark the message that came back and give its id: only one that we really sent to this address, and only then is a dead address blocked. The
    caller has asked, or read it from a mailbox of ours."""
    mine = and_(MAIL.c.address_key == found.address, MAIL.c.state.in_((MailState.SENT, MailState.HANDED, MailState.BOUNCED)))
    mine = and_(mine, MAIL.c.message_id == found.message_id) if found.message_id else mine
    mail_id = session.execute(select(MAIL.c.id).where(mine).order_by(MAIL.c.id.desc()).limit(1)).scalar()
    if mail_id is None:
        return None
    words = clip(f"Bounced: {found.words}", 1000)
    session.execute(update(MAIL).where(MAIL.c.id == mail_id).values(state=MailState.BOUNCED, message=words, updated_at=utcnow()))
    db.bump(session, MAIL.name)
    if found.dead:
        suppressions.note(session, actor, found.address, SuppressionReason.BOUNCED, source=found.words)
        suppressions.mark_points(session, found.address, invalid=True)
    return int(mail_id)
