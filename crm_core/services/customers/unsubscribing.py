"""The one way out of marketing: whichever door somebody takes, their address is blocked and their consent by e-mail is withdrawn.

Both, since they say different things: the block is about an address, whoever it belongs to, and can be lifted after a typing error; the
consent is the person's word, so that lifting a block alone lets nobody be written to.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, select, update
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid
from crm_core.kit.numerals import written
from crm_core.kit.text import email_key
from crm_core.models import CampaignMember, Contact
from crm_core.services.collaboration import suppressions
from crm_core.services.customers import consent, withdrawing
from crm_core.services.customers.consent import CONSENT, OWN_WORD
from crm_core.services.customers.withdrawing import Person
from crm_core.vocabulary import Action, ConsentStatus, ContactWay, LegalBasis, PreferredChannel, Purpose, SuppressionReason

MAX_ADDRESSES = 2_000
NO_FIELDS = ("do_not_email", "preferred_channel")
"""Fields of a contact by which it says that they want no e-mail."""
STAYS_ENDED = "Consent by e-mail that ended with it stays ended; ask these people again."
"""What is told where such a change is taken back."""
_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]


def leave(
    session: Session, actor: Actor, address: str, *, reason: SuppressionReason, source: str, also: Sequence[Person] = ()
) -> None:
    """Nothing for marketing goes to this address any more, and whoever has it as their main one (and ``also``) agrees to nothing by e-mail any
    more. Twice is as good as once. The caller has asked, or speaks for the person themselves. Events: <entity>.consent_changed."""
    suppressions.note(session, actor, address, reason, source=source)
    no(session, actor, address, also=also, source=source)


def no(
    session: Session, actor: Actor, *addresses: str, source: str, also: Sequence[Person] = (), purposes: Iterable[Purpose] = tuple(Purpose)
) -> int:  # fmt: skip
    """Who has one of these addresses as their main one, and ``also``, takes their consent by e-mail back; gives how many had given it. The
    caller has asked, or speaks for the person themselves. Events: <entity>.consent_changed."""
    people = withdrawing.converted(session, [*also, *withdrawing.at_address(session, addresses)])
    silence = not consent.rules(session, actor).needs_consent
    return withdrawing.withdraw(session, actor, people, purposes=purposes, source=source, silence=silence)


def agrees(session: Session, actor: Actor, entity_key: str, record_id: int, purpose: Purpose) -> bool:
    """Whether a person may be written to for a purpose as far as their own word goes: their last one, on whichever record with
    their address, or that none is needed."""
    said = and_(
        CONSENT.c[f"{entity_key}_id"] == record_id, CONSENT.c.purpose == purpose, CONSENT.c.way == ContactWay.EMAIL,
        CONSENT.c.is_latest,
    )  # fmt: skip
    last = session.execute(select(CONSENT.c.status, CONSENT.c.basis).where(said)).first()
    if last is not None and (last.status == ConsentStatus.WITHDRAWN or last.basis in consent.OPENING):
        return bool(last.status == ConsentStatus.GRANTED)
    if consent.rules(session, actor).needs_consent:
        return False
    table = entity(entity_key).table
    no = and_(table.c.id == record_id, consent.key_of(table.c.email).in_(consent.refused(purpose)))
    return session.execute(select(table.c.id).where(no)).first() is None


# --- by hand ----------------------------------------------------------------------------------------------------------------


def block(session: Session, actor: Actor, addresses: str, *, reason: SuppressionReason = SuppressionReason.MANUAL) -> int:
    """Block addresses by hand, one or a whole list; gives how many were new. Where the people themselves said so, their consent goes too.
    Events: suppression.added, <entity>.consent_changed."""
    require(actor, "campaign", Action.EDIT)
    wanted = _addresses(addresses)
    source = f"Written down by {actor.name}"
    new = [one for one in wanted if suppressions.note(session, actor, one, reason, source=source)]
    stopped = no(session, actor, *wanted, source=f"{reason.label}. {source}") if reason in OWN_WORD else 0
    if not new and not stopped:
        raise Conflict("This address is on the list already." if len(wanted) == 1 else "All of these are on the list already.")
    if new:
        told = new[0] if len(new) == 1 else f"{written(len(new))} addresses"
        events.record(session, actor, "suppression.added", entity="campaign", data={"address": told})
    return len(new)


def _addresses(text: str) -> list[str]:
    """The addresses of a text: one per line, or parted by commas, semicolons or blanks. The first that is none is named."""
    parts = [one.strip("<>\"'") for one in re.split(r"[\s,;]+", text) if one.strip("<>\"'")]
    wrong = next((one for one in parts if not re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", one) or len(one) > 254), None)
    if not parts or (wrong is not None and len(parts) == 1):
        raise Invalid(fields={"address": "This is not an e-mail address."})
    if wrong is not None:
        raise Invalid(fields={"address": f"“{wrong[:80]}” is not an e-mail address. Nothing was blocked."})
    if len(parts) > MAX_ADDRESSES:
        raise Invalid(fields={"address": f"At most {written(MAX_ADDRESSES)} addresses at once. Block these in parts."})
    return list(dict.fromkeys(email_key(one) for one in parts))


# --- what follows from other words ------------------------------------------------------------------------------------------


def objects(contact: Contact | dict[str, Any]) -> bool:
    """Whether a contact's record says that they want no e-mail."""
    get = contact.get if isinstance(contact, dict) else lambda name: getattr(contact, name)
    return bool(get("do_not_email")) or get("preferred_channel") == PreferredChannel.NONE


def objected(session: Session, actor: Actor, contact_ids: Sequence[int]) -> None:
    """It was noted on their records that these contacts want no e-mail: their consent ends with it, on every record with their address, and
    does not come back when the tick is taken away. The caller has asked."""
    if contact_ids:
        people = withdrawing.everywhere(session, [("contact", one) for one in contact_ids])
        source = f"“Do not e-mail” was set by {actor.name or 'the system'}"
        silence = not consent.rules(session, actor).needs_consent
        withdrawing.withdraw(session, actor, people, source=source, silence=silence)


def carry_over(session: Session, actor: Actor, lead_id: int, contact_id: int) -> None:
    """What a lead said holds for the contact it becomes, with its legal basis, unless they said something else there later or it would take back a no
    that only their own agreement takes back. The caller has asked."""
    mine = and_(CONSENT.c.lead_id == lead_id, CONSENT.c.is_latest)
    for row in session.execute(select(CONSENT).where(mine).order_by(CONSENT.c.id)).all():
        same = and_(CONSENT.c.contact_id == contact_id, CONSENT.c.purpose == row.purpose, CONSENT.c.way == row.way)
        there = session.execute(select(CONSENT.c.at, CONSENT.c.status).where(same, CONSENT.c.is_latest)).first()
        agrees = row.status is ConsentStatus.WITHDRAWN or row.basis is LegalBasis.CONSENT
        if there is None or (there.at < row.at and there.status != row.status and agrees):
            consent.append(
                session, actor, "contact", contact_id, row.purpose, row.way, row.status, row.source, row.at, basis=row.basis
            )


def note_left(session: Session, actor: Actor, mail_id: int, at: Any) -> None:
    """The campaign's figures count whoever left because of its message."""
    mine = and_(_MEMBERS.c.mail_id == mail_id, _MEMBERS.c.unsubscribed_at.is_(None))
    session.execute(update(_MEMBERS).where(mine).values(unsubscribed_at=at))
    db.bump(session, _MEMBERS.name)
