"""Mail that waits, went out, or did not: queue it in the transaction that causes it, look at it, try again.

The same ``dedupe_key`` is the same message: queued twice it goes out once. See docs/decisions/0014-campaigns.md for what happens when a
sender dies in the middle.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, require
from crm_core.channels import email
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.jobs import enqueue
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.text import clean, clip, email_key
from crm_core.models import MailDelivery
from crm_core.vocabulary import Action, MailState, Purpose

MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
AGAIN = (MailState.FAILED, MailState.BOUNCED, MailState.CANCELLED, MailState.HANDED)
"""States from which a person may send a message again."""


def queue(
    session: Session,
    actor: Actor,
    *,
    to: str,
    subject: str,
    text: str,
    kind: str,
    dedupe_key: str,
    html: str = "",
    name: str = "",
    headers: Mapping[str, str] | None = None,
    batch: str | None = None,
    secret: bool = False,
    keep: bool = True,
    purpose: Purpose | None = None,
    contact_id: int | None = None,
    lead_id: int | None = None,
    not_before: datetime | None = None,
    attachments: Sequence[Mapping[str, str]] = (),
    start: bool = True,
) -> int:
    """Put a message into the queue when the session commits; gives its id (of the earlier one, for a key that is known).

    ``secret``: its words are never shown and are forgotten once it is sent; ``keep=False``: forgotten likewise, but shown until then.
    ``purpose``: the reader's consent is needed for it, and asked for once more when the message's turn comes.
    ``batch`` names messages that are held back or cancelled together. ``start=False``: the caller sends it. ``attachments``:
    {sha256, name, media_type} of files that are kept, or {text, name, media_type} of what is written for this message. The caller has asked for permission.
    """
    if "@" not in to:
        raise Invalid(fields={"to": "This is not an e-mail address."})
    now = utcnow()
    values: dict[str, Any] = {
        "dedupe_key": dedupe_key, "kind": kind, "state": MailState.PENDING, "batch": batch, "address": to.strip(),
        "address_key": email_key(to), "name": clean(name)[:300], "subject": clip(clean(subject), 500), "content": text, "html": html,
        "headers": dict(headers or {}), "message_id": "", "secret": secret, "keep": keep, "purpose": purpose, "attempts": 0, "next_at": not_before or now,
        "attachments": [dict(one) for one in attachments] or None, "file": "", "message": "", "contact_id": contact_id, "lead_id": lead_id, "user_id": actor.user_id,
        "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    made = session.execute(
        insert(MAIL).values(**values).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(MAIL.c.id)
    ).scalar()
    if made is None:
        return int(session.execute(select(MAIL.c.id).where(MAIL.c.dedupe_key == dedupe_key)).scalar_one())
    db.bump(session, MAIL.name)
    if start:
        wait = (not_before - now).total_seconds() if not_before is not None else 0
        enqueue(session, "mail.send", job_id=f"mail.send:{made}", delay_seconds=max(0.0, wait))
    return int(made)


def fingerprint(text: str) -> str:
    """A short hash, for keys made of something that must not be stored itself."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# --- look -------------------------------------------------------------------------------------------------------------------


def find(
    session: Session,
    actor: Actor,
    *,
    q: str = "",
    state: MailState | None = None,
    kind: str = "",
    page: int = 1,
    size: int = 50,
) -> Page:
    """One page of messages, the youngest first, without their words."""
    require(actor, "organisation", Action.MANAGE)
    clause = and_(*_conditions(q, state, kind))
    total = session.execute(select(func.count()).select_from(MAIL).where(clause)).scalar_one()
    size = min(max(1, size), 200)
    page = min(max(1, page), max(1, -(-total // size)))
    names = ("id", "kind", "state", "address", "name", "subject", "attempts", "created_at", "sent_at", "next_at", "message")
    found = session.execute(
        select(*(MAIL.c[name] for name in names)).where(clause).order_by(MAIL.c.id.desc()).limit(size).offset((page - 1) * size)
    )
    return Page([dict(row._mapping) for row in found], total, page, size)


def _conditions(q: str, state: MailState | None, kind: str) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = [MAIL.c.id.is_not(None)]
    if text := clean(q):
        parts.append(
            or_(MAIL.c.address_key.contains(text.casefold(), autoescape=True), MAIL.c.subject.icontains(text, autoescape=True))
        )
    if state is not None:
        parts.append(MAIL.c.state == state)
    if kind:
        parts.append(MAIL.c.kind == kind)
    return parts


def get(session: Session, actor: Actor, mail_id: int) -> dict[str, Any]:
    """One message with its words; those of a secret one are left out."""
    require(actor, "organisation", Action.MANAGE)
    row = session.execute(select(MAIL).where(MAIL.c.id == mail_id)).first()
    if row is None:
        raise NotFound("There is no such message.")
    found = dict(row._mapping)
    return found | ({"content": "", "html": ""} if found["secret"] else {})


def source(session: Session, actor: Actor, mail_id: int) -> bytes | None:
    """The ``.eml`` file of a message that went to the outbox folder; None when there is none or its words are secret."""
    found = get(session, actor, mail_id)
    if not found["file"] or found["secret"]:
        return None
    folder = email.outbox_folder().resolve()
    path = (folder / Path(found["file"])).resolve()
    return path.read_bytes() if path.is_relative_to(folder) and path.is_file() else None


def html_of(session: Session, actor: Actor, mail_id: int) -> str:
    """The message as its reader sees it; "" when it has no such part, or its words were not kept."""
    row, file = get(session, actor, mail_id), source(session, actor, mail_id)
    if row["html"] or file is None:
        return str(row["html"])
    part = message_from_bytes(file, policy=policy.default).get_body(("html",))
    return str(part.get_content()) if part is not None else ""


def counts(session: Session, actor: Actor) -> dict[MailState, int]:
    """How many messages are in each state."""
    require(actor, "organisation", Action.MANAGE)
    rows = session.execute(select(MAIL.c.state, func.count()).group_by(MAIL.c.state)).tuples()
    found = {MailState(state): count for state, count in rows}
    return {state: found.get(state, 0) for state in MailState}


def kinds(session: Session, actor: Actor) -> list[str]:
    """The kinds of messages there are."""
    require(actor, "organisation", Action.MANAGE)
    return list(session.execute(select(MAIL.c.kind).distinct().order_by(MAIL.c.kind)).scalars())


# --- act --------------------------------------------------------------------------------------------------------------------


def may_go_again(row: Mapping[str, Any]) -> bool:
    """Whether a message can be sent once more. News that was called back can't, as its reader left or was taken out of the campaign: such a row
    says why. What somebody took out of the queue by hand says nothing, and can."""
    return row["state"] in AGAIN and not (row["state"] is MailState.CANCELLED and row["purpose"] is not None and row["message"])


def retry(session: Session, actor: Actor, mail_id: int) -> None:
    """Send a message again that failed, was cancelled, or was never confirmed. Events: mail.retried."""
    row = get(session, actor, mail_id)
    if row["state"] not in AGAIN:
        raise Conflict("This message waits already or was sent.")
    if not may_go_again(row):
        raise Conflict(
            "This was news for somebody who has left it since, or was taken out. Write to them in a new campaign, if they agree."
        )
    if not session.execute(select(MAIL.c.content).where(MAIL.c.id == mail_id)).scalar():
        raise Conflict("The words of this message were not kept, so it can't be sent again.")
    _again(session, MAIL.c.id == mail_id)
    events.record(session, actor, "mail.retried", entity="organisation", data={"count": 1})


def retry_failed(session: Session, actor: Actor) -> int:
    """Send everything again that failed for want of a working server; addresses that do not exist stay out. Events: mail.retried."""
    require(actor, "organisation", Action.MANAGE)
    count = _again(session, and_(MAIL.c.state == MailState.FAILED, MAIL.c.content != ""))
    if count:
        events.record(session, actor, "mail.retried", entity="organisation", data={"count": count})
    return count


def _again(session: Session, clause: Any) -> int:
    now = utcnow()
    fresh = {"state": MailState.PENDING, "attempts": 0, "next_at": now, "claim": None, "message": "", "updated_at": now}
    batches = session.execute(update(MAIL).where(clause).values(**fresh).returning(MAIL.c.kind, MAIL.c.batch)).all()
    db.bump(session, MAIL.name)
    campaigns = sorted({int(batch.partition(":")[2]) for kind, batch in batches if kind == "campaign" and batch})
    for campaign_id in campaigns:  # its own job also notes with the campaign's people what went out
        enqueue(session, "campaign.send", campaign_id)
    if any(kind != "campaign" for kind, _ in batches):
        enqueue(session, "mail.send", unless_waiting=True)
    return len(batches)


def cancel(session: Session, actor: Actor, mail_id: int) -> None:
    """Take a message out of the queue that did not go out yet; it can be sent again later. Events: mail.cancelled."""
    get(session, actor, mail_id)
    waiting = and_(MAIL.c.id == mail_id, MAIL.c.state.in_((MailState.PENDING, MailState.HELD)))
    done = session.execute(update(MAIL).where(waiting).values(state=MailState.CANCELLED, message="", updated_at=utcnow()))
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("This message is on its way or was sent already.")
    db.bump(session, MAIL.name)
    events.record(session, actor, "mail.cancelled", entity="organisation", data={"count": 1})


def shift(session: Session, actor: Actor, batch: str, before: MailState, after: MailState) -> int:
    """Move the waiting messages of a batch (a paused or stopped campaign) to another state; gives how many. The caller has asked."""
    moved = session.execute(
        update(MAIL).where(MAIL.c.batch == batch, MAIL.c.state == before).values(state=after, updated_at=utcnow())
    ).rowcount  # type: ignore[attr-defined]
    db.bump(session, MAIL.name)
    return int(moved)


def recall(
    session: Session, actor: Actor, why: str, *, batch: str | None = None, ids: Sequence[int] = (), only: ColumnElement[bool] | None = None
) -> list[int]:  # fmt: skip
    """Take messages out of the queue whose turn hasn't come: of a batch (``only`` those), or these; gives which. News that failed for want of a
    server goes too: it could be sent again. What left already has left. The caller has asked."""
    mine = MAIL.c.batch == batch if batch is not None else MAIL.c.id.in_(list(ids))
    mine = mine if only is None else and_(mine, only)
    again = and_(MAIL.c.state == MailState.FAILED, MAIL.c.content != "", MAIL.c.purpose.is_not(None))
    waiting = and_(mine, or_(MAIL.c.state.in_((MailState.PENDING, MailState.HELD)), again))
    gone = {"state": MailState.CANCELLED, "message": clip(why, 1000), "updated_at": utcnow()}
    found = list(session.execute(update(MAIL).where(waiting).values(**gone).returning(MAIL.c.id)).scalars())
    by_hand = and_(mine, MAIL.c.state == MailState.CANCELLED, MAIL.c.purpose.is_not(None), MAIL.c.message == "")
    session.execute(
        update(MAIL).where(by_hand).values(message=gone["message"])
    )  # was taken out before, and is now past sending again
    if found:
        db.bump(session, MAIL.name)
    return found


def try_out(session: Session, actor: Actor) -> int:
    """Send oneself a message, to see whether mail gets through."""
    require(actor, "organisation", Action.MANAGE)
    text = f"Hello {actor.name},\n\nif you can read this, Rapport can send mail.\n"
    key = f"try:{actor.user_id}:{utcnow():%Y%m%d%H%M%S}"
    return queue(
        session,
        actor,
        to=actor.email,
        name=actor.name,
        subject="A message to try out the mail server",
        text=text,
        kind="test",
        dedupe_key=key,
    )
