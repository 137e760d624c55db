"""Mailboxes: the addresses that customers write to. Their passwords are kept sealed and never shown again."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.channels import imap
from crm_core.errors import Invalid, NotFound
from crm_core.fields import registry
from crm_core.kit import sealed
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, clip, email_key
from crm_core.models import InboundMail, Mailbox, Team, User
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.helpdesk import answer_rules
from crm_core.services.inbox import writing
from crm_core.vocabulary import Action, InboundState, Level, MailBecomes, MailSource, MailTls, UnknownSender

SEAL, SIGN = "mailbox", "mailbox-signing"
LOST = "The password was kept with the key of another installation and can't be read here. Type it in again."
_CHOICES: dict[str, Any] = {
    "source": MailSource, "tls": MailTls, "becomes": MailBecomes, "unknown": UnknownSender, "impact": Level, "urgency": Level
}  # fmt: skip
_TEXTS = {"name": 80, "host": 253, "username": 254, "folder": 200, "signature": 2000, "ack_subject": 200, "ack_body": 4000}
MAX_FIRST_DAYS = 30


@dataclass(frozen=True)
class MailboxView:
    """A mailbox as its card shows it, without its secrets. ``taken``: messages of the last 30 days by what became of them."""

    box: Mailbox
    has_secret: bool
    has_signing: bool
    taken: Mapping[InboundState, int]


def find(session: Session, actor: Actor) -> list[MailboxView]:
    """All mailboxes by name."""
    require(actor, "mailbox", Action.READ)
    since = utcnow() - timedelta(days=30)
    counts: dict[int, dict[InboundState, int]] = {}
    query = select(InboundMail.mailbox_id, InboundMail.state, func.count()).where(InboundMail.created_at >= since)
    for box_id, state, n in session.exec(query.group_by(col(InboundMail.mailbox_id), col(InboundMail.state))):
        counts.setdefault(box_id or 0, {})[InboundState(state)] = n
    rows = session.exec(select(Mailbox).order_by(alphabetical(Mailbox.name), col(Mailbox.id)))
    return [
        MailboxView(_bare(session, row), bool(row.secret_sealed), bool(row.signing_sealed), counts.get(row.id, {})) for row in rows
    ]


def _bare(session: Session, row: Mailbox) -> Mailbox:
    """A copy without what must not reach a screen."""
    return Mailbox(**{**row.model_dump(), "secret_sealed": "", "signing_sealed": ""})


def get(session: Session, mailbox_id: int) -> Mailbox:
    """The mailbox, or NotFound. For services that have asked."""
    found = session.get(Mailbox, mailbox_id) if 0 < mailbox_id < 2**31 else None
    if found is None:
        raise NotFound("This mailbox does not exist any more.")
    return found


def save(
    session: Session, actor: Actor, mailbox_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> Mailbox:
    """Create a mailbox or change it. ``values``: its columns; ``secret`` and ``signing`` replace what is kept, left out they stay. Events: mailbox.saved."""
    require(actor, "mailbox", Action.MANAGE)
    box = get(session, mailbox_id) if mailbox_id else Mailbox(name="", address="", address_key="")
    refuse_stale("this mailbox", box, base_version)
    place = (box.source, box.host, box.port, box.username, box.folder)
    for key, value in _checked(session, box, values).items():
        setattr(box, key, value)
    if place != (box.source, box.host, box.port, box.username, box.folder):
        box.uid_validity, box.last_uid = None, 0
    box.failures, box.message, box.next_pull_at = 0, "", utcnow()
    session.add(box)
    session.flush()
    events.record(session, actor, "mailbox.saved", entity="mailbox", record_id=box.id, data={"name": box.name})
    return box


def _checked(session: Session, box: Mailbox, values: Mapping[str, Any]) -> dict[str, Any]:
    given = {**box.model_dump(), **values}
    made: dict[str, Any] = {key: clip(clean(str(given[key] or "")), most) for key, most in _TEXTS.items()}
    made["signature"] = str(given["signature"] or "").replace("\r\n", "\n").strip()[:2000]
    wrong: dict[str, str] = {}
    for key, kind in _CHOICES.items():
        try:
            made[key] = kind(given[key])
        except ValueError:
            wrong[key] = "Choose one of the list."
    made |= _address(session, box, given, wrong)
    if not made["name"]:
        made["name"] = made.get("address", "")[:80]
    made |= {key: bool(given[key]) for key in ("plus_address", "acknowledge", "is_active")}
    made |= _numbers(given, wrong)
    made |= _links(session, given, wrong)
    _check_server(made, given, box, wrong)
    _check_words(made, wrong)
    for key, purpose in (("secret", SEAL), ("signing", SIGN)):
        if key in values and values[key] is not None:
            made[f"{key}_sealed"] = sealed.seal(purpose, str(values[key]))
    if wrong:
        raise Invalid(fields=wrong)
    return made


def _address(session: Session, box: Mailbox, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, str]:
    try:
        found = answer_rules.people(str(given["address"] or ""))
    except ValueError as error:
        wrong["address"] = str(error)
        return {}
    if len(found) != 1:
        wrong["address"] = "Say which address customers write to."
        return {}
    key = email_key(found[0])[:254]
    taken = session.exec(select(Mailbox.id).where(Mailbox.address_key == key)).first()
    if taken is not None and taken != box.id:
        wrong["address"] = "There is a mailbox with this address already."
    return {"address": found[0][:254], "address_key": key}


def _numbers(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, int]:
    found = {}
    for key, low, high, words in (
        ("port", 1, 65_535, "A port is a number from 1 to 65535."),
        ("first_days", 0, MAX_FIRST_DAYS, f"At most {MAX_FIRST_DAYS} days."),
    ):
        try:
            found[key] = int(given[key])
        except (TypeError, ValueError):
            found[key] = -1
        if not low <= found[key] <= high:
            wrong[key] = words
    return found


def _links(session: Session, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    team, owner, category = given.get("team_id"), given.get("owner_id"), given.get("category") or None
    if team is not None and session.get(Team, team) is None:
        wrong["team_id"] = "This team does not exist any more."
    person = session.get(User, owner) if owner is not None else None
    if owner is not None and (person is None or not person.is_active):
        wrong["owner_id"] = "This person does not exist any more, or left."
    options = (registry(session, "ticket")["category"].options or {}).values()
    if category is not None and options and category not in options:
        wrong["category"] = "This category does not exist any more."
    return {"team_id": team, "owner_id": owner, "category": category}


def _check_server(made: dict[str, Any], given: Mapping[str, Any], box: Mailbox, wrong: dict[str, str]) -> None:
    if made.get("source") is not MailSource.IMAP:
        return
    for key, words in (("host", "Say which mail server holds this mailbox."), ("username", "Say with which user name to sign in.")):
        if not made[key]:
            wrong[key] = words
    if not box.secret_sealed and not given.get("secret"):
        wrong["secret"] = "The password is needed to sign in."  # noqa: S105
    elif box.host and made["host"] != box.host and not given.get("secret"):
        wrong["secret"] = "Type the password again: it is not sent to another server than before."  # noqa: S105
    if made.get("tls") is MailTls.NONE and made["host"] not in imap.LOOPBACK:
        wrong["tls"] = "Without TLS the password could be read on the way. That is allowed on this machine only."
    made["folder"] = made["folder"] or "INBOX"


def _check_words(made: Mapping[str, Any], wrong: dict[str, str]) -> None:
    for key, known in (
        ("signature", ("agent", "workspace")),
        ("ack_subject", writing.ACK_FIELDS),
        ("ack_body", writing.ACK_FIELDS),
    ):
        strange = [one for one in answer_rules.fields_of(made[key]) if one not in known]
        if strange:
            wrong[key] = f"There is no field “{strange[0]}” here. There are: {', '.join(known)}."


def remove(session: Session, actor: Actor, mailbox_id: int) -> None:
    """Remove a mailbox. What came in through it stays. Events: mailbox.removed."""
    require(actor, "mailbox", Action.MANAGE)
    box = get(session, mailbox_id)
    events.record(session, actor, "mailbox.removed", entity="mailbox", record_id=box.id, data={"name": box.name})
    session.delete(box)
    session.flush()


def pause(session: Session, actor: Actor, mailbox_id: int, *, paused: bool) -> None:
    """Stop taking mail in, or go on. Nothing is lost meanwhile: it waits on the server. Events: mailbox.saved."""
    require(actor, "mailbox", Action.MANAGE)
    box = get(session, mailbox_id)
    box.is_active, box.failures, box.message, box.next_pull_at = not paused, 0, "", utcnow()
    session.add(box)
    session.flush()
    events.record(session, actor, "mailbox.saved", entity="mailbox", record_id=box.id, data={"name": box.name})


def new_key(session: Session, actor: Actor, mailbox_id: int) -> str:
    """A new key for the web address of a mailbox; the one before stops working. Shown only now. Events: mailbox.key_made."""
    require(actor, "mailbox", Action.MANAGE)
    box = get(session, mailbox_id)
    made = secrets.token_urlsafe(32)
    box.key_sha256 = hashlib.sha256(made.encode()).hexdigest()
    session.add(box)
    session.flush()
    events.record(session, actor, "mailbox.key_made", entity="mailbox", record_id=box.id, data={"name": box.name})
    return made


def account_of(box: Mailbox) -> imap.Account:
    """How to get into a mailbox. Raises ImapError when its password can't be opened here."""
    secret = sealed.unseal(SEAL, box.secret_sealed)
    if secret is None:
        raise imap.ImapError(LOST, permanent=True)
    return imap.Account(box.host, box.port, MailTls(box.tls), box.username, secret, box.folder)


@dataclass(frozen=True)
class Probe:
    """What trying a mailbox out gave."""

    good: bool
    words: str


def probe(session: Session, actor: Actor, mailbox_id: int | None, values: Mapping[str, Any]) -> Probe:
    """Try the settings of a form without keeping anything; says what was found or what is wrong."""
    require(actor, "mailbox", Action.MANAGE)
    box = get(session, mailbox_id) if mailbox_id else Mailbox(name="", address="", address_key="")
    secret = str(values.get("secret") or "") or sealed.unseal(SEAL, box.secret_sealed)
    if not secret:
        return Probe(False, LOST if secret is None else "The password is needed to sign in.")
    host = clean(str(values.get("host") or ""))
    if mailbox_id and not values.get("secret") and host != box.host:
        return Probe(False, "Type the password again: it is not sent to another server than before.")
    tls, user, folder = (
        MailTls(values.get("tls") or MailTls.TLS),
        clean(str(values.get("username") or "")),
        str(values.get("folder") or "INBOX"),
    )
    try:
        with imap.opened(imap.Account(host, int(values.get("port") or 0), tls, user, secret, folder)) as found:
            return Probe(True, f"It works: {user} is signed in, and “{folder}” holds {written(found.count)} messages.")
    except imap.ImapError as error:
        return Probe(False, error.message)
