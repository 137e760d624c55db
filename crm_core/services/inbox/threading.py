"""Which conversation a message belongs to: by what it answers first, then a signed address, then the number in its subject, the sender last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core.kit.clock import utcnow
from crm_core.kit.text import domain_key, email_key
from crm_core.models import (
    Account,
    AccountPoint,
    Contact,
    ContactPoint,
    Interaction,
    Mailbox,
    MailDelivery,
    Ticket,
    TicketMessage,
    User,
)
from crm_core.services.helpdesk import answer_rules
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.services.inbox import mark_rules, message_rules
from crm_core.services.inbox.message_rules import Incoming
from crm_core.vocabulary import PointKind

FREE_MAIL = frozenset(
    {
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net",
        "web.de", "t-online.de", "freenet.de", "mail.ru", "yandex.ru", "proton.me", "protonmail.com", "orange.fr", "free.fr", "libero.it", "qq.com", "163.com",
    }
)  # fmt: skip
"""Domains that say nothing about a company."""
SAME_SUBJECT_DAYS = 14
_HOPS = 10


@dataclass(frozen=True)
class Match:
    """The ticket that a message continues, and by which sign."""

    ticket: Ticket
    by: str


def ticket_of(session: Session, found: Incoming, person: Contact | None) -> Match | None:
    """The ticket that a message continues; a merged one leads on to the one it became."""
    by_answer = _by_references(session, found.references)
    if by_answer is not None:
        return _match(session, by_answer, "answer")
    by_mark = answer_rules.marked(message_rules.known_addresses(found))
    if by_mark is not None:
        return _match(session, session.get(Ticket, by_mark), "reply address")
    number = answer_rules.tagged(found.subject)
    named = session.exec(select(Ticket).where(Ticket.number == number)).first() if number else None
    if named is not None and _takes_part(session, named, found):
        return _match(session, named, "number in the subject")
    return _match(session, _by_sender(session, found, person), "sender and subject")


def _match(session: Session, ticket: Ticket | None, by: str) -> Match | None:
    for _ in range(_HOPS):
        if ticket is None or ticket.merged_into_id is None:
            break
        ticket = session.get(Ticket, ticket.merged_into_id)
    return Match(ticket, by) if ticket is not None and ticket.deleted_at is None else None


def _by_references(session: Session, ids: Sequence[str]) -> Ticket | None:
    """The newest message that this one refers to wins: long conversations name their beginnings too."""
    if not ids:
        return None
    rows = session.exec(select(TicketMessage.message_id, TicketMessage.ticket_id).where(col(TicketMessage.message_id).in_(ids)))
    known = dict(rows.all())
    hit = next((known[one] for one in reversed(ids) if one in known), None)
    return session.get(Ticket, hit) if hit is not None else None


def _takes_part(session: Session, ticket: Ticket, found: Incoming) -> bool:
    """A number alone proves nothing: its sender must have been in the conversation already."""
    contact = session.get(Contact, ticket.contact_id) if ticket.contact_id else None
    known = {email_key(contact.email)} if contact is not None and contact.email else set()
    known |= {point.value_key for point in _points(session, ticket.contact_id)}
    for mail in session.exec(
        select(TicketMessage.mail).where(TicketMessage.ticket_id == ticket.id, col(TicketMessage.mail).is_not(None))
    ):
        people = [mail.get("from"), *mail.get("to", ()), *mail.get("cc", ())] if mail else []
        known |= {email_key(str(one)) for one in people if one}
    return found.certain and found.sender_key in known


def _points(session: Session, contact_id: int | None) -> list[ContactPoint]:
    if contact_id is None:
        return []
    return list(
        session.exec(select(ContactPoint).where(ContactPoint.contact_id == contact_id, ContactPoint.kind == PointKind.EMAIL))
    )


def _by_sender(session: Session, found: Incoming, person: Contact | None) -> Ticket | None:
    """Some programs drop what they answer to. One open ticket of this person with this subject is then meant."""
    if person is None or not message_rules.is_answer(found.subject):
        return None
    since = utcnow() - timedelta(days=SAME_SUBJECT_DAYS)
    query = select(Ticket).where(
        Ticket.contact_id == person.id,
        col(Ticket.status).not_in(DONE),
        col(Ticket.deleted_at).is_(None),
        Ticket.updated_at >= since,
    )
    plain = message_rules.plain_subject(found.subject)
    same = [ticket for ticket in session.exec(query.limit(50)) if message_rules.plain_subject(ticket.subject) == plain]
    return same[0] if len(same) == 1 and plain else None


def contact_of(session: Session, address_key: str) -> Contact | None:
    """The person with this address, the one whom it belongs to first; the youngest when several share it."""
    if not address_key:
        return None
    query = (
        select(Contact)
        .join(ContactPoint, col(ContactPoint.contact_id) == Contact.id)
        .where(ContactPoint.kind == PointKind.EMAIL, ContactPoint.value_key == address_key, col(Contact.deleted_at).is_(None))
    )
    found = session.exec(query.order_by(col(ContactPoint.is_primary).desc(), col(Contact.id).desc())).first()
    if found is not None:
        return found
    plain = select(Contact).where(func.lower(Contact.email) == address_key, col(Contact.deleted_at).is_(None))
    return session.exec(plain.order_by(col(Contact.id).desc())).first()


def account_of(session: Session, address_key: str) -> Account | None:
    """The company that has this address, or to which it belongs by its domain; None for the domains of the big mail providers."""
    listed = (
        select(Account)
        .join(AccountPoint, col(AccountPoint.account_id) == Account.id)
        .where(AccountPoint.kind == PointKind.EMAIL, AccountPoint.value_key == address_key, col(Account.deleted_at).is_(None))
    )
    own = list(session.exec(listed.order_by(col(Account.id)).limit(2)))
    if len(own) == 1:
        return own[0]
    domain = domain_key(address_key)
    if not domain or domain in FREE_MAIL:
        return None
    query = select(Account).where(Account.domain == domain, col(Account.deleted_at).is_(None)).order_by(col(Account.id))
    hits = list(session.exec(query.limit(2)))
    return hits[0] if len(hits) == 1 else None


def colleague(session: Session, address_key: str) -> User | None:
    """The person of ours with this address."""
    return session.exec(select(User).where(User.email_key == address_key, User.is_active)).first()


def own_addresses(session: Session, extra: str = "") -> set[str]:
    """Addresses that are ours: what comes from them has gone round in a circle."""
    found = set(session.exec(select(Mailbox.address_key)))
    return found | ({email_key(extra)} if extra else set())


def talk_of(session: Session, found: Incoming, person: Contact | None = None) -> Interaction | None:
    """The mail on the timeline of a record that a message answers: by what it refers to, the newest of it, or by the signed address. A mail that stands
    on several people is answered where the sender is one of them."""
    if found.references:
        rows = session.exec(
            select(Interaction).where(col(Interaction.message_id).in_(found.references)).order_by(col(Interaction.id))
        )
        known: dict[str, list[Interaction]] = {}
        for row in rows:
            known.setdefault(str(row.message_id), []).append(row)
        hits = next((known[one] for one in reversed(found.references) if one in known), [])
        theirs = [one for one in hits if person is not None and (one.entity, one.record_id) == ("contact", person.id)]
        if hits:
            return (theirs or hits)[0]
    number = mark_rules.marked(message_rules.known_addresses(found), mark_rules.ANSWER)
    return session.get(Interaction, number) if number is not None else None


def letter_of(session: Session, ids: Sequence[str]) -> MailDelivery | None:
    """The letter of a campaign that a message answers."""
    if not ids:
        return None
    query = select(MailDelivery).where(col(MailDelivery.message_id).in_(ids), MailDelivery.kind == "campaign")
    return session.exec(query.order_by(col(MailDelivery.id).desc())).first()
