"""Sending what is queued: claim, hand over, note the outcome; each message once, whatever dies in between.

A claim may be taken over by anybody once its holder seems dead, since only the holder of the claim can take the last step: it turns the row
to "handed" in a transaction of its own right before the closing dot. A sender that was only asleep finds the row gone from it and lets go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, not_, or_, select, true, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import system
from crm_core.channels import email
from crm_core.channels.email import Enclosure, Letter, MailError, Receipt, Transport
from crm_core.errors import CrmError, Unavailable
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Consent, Contact, Lead, Suppression
from crm_core.services.collaboration import files, halts, quiet_hours, suppressions
from crm_core.services.collaboration.outbox import MAIL
from crm_core.vocabulary import ConsentStatus, ContactWay, HaltKind, MailState, PreferredChannel, SuppressionReason

BATCH = 50
PAUSES_MINUTES = (1, 2, 5, 15, 30, 60, 120, 240, 480)
"""Waits before the next try; after the last one a message has failed."""

_DEAD_AFTER = timedelta(minutes=5)
_CONSENT: Any = Consent.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_LEADS: Any = Lead.__table__  # type: ignore[attr-defined]
_BLOCKS: Any = Suppression.__table__  # type: ignore[attr-defined]


class _Taken(CrmError):
    """Somebody else holds this message now, or it was cancelled."""


def _due() -> Any:
    now = utcnow()
    left_behind = and_(MAIL.c.state == MailState.SENDING, MAIL.c.claimed_at < now - _DEAD_AFTER)
    return or_(and_(MAIL.c.state == MailState.PENDING, MAIL.c.next_at <= now), left_behind)


def anything_due(session: Session) -> bool:
    """True when a message waits whose time has come, and may leave."""
    return (
        not halts.halted(session, HaltKind.MAIL) and session.execute(select(MAIL.c.id).where(_due()).limit(1)).first() is not None
    )


@job("mail.send", title="Send mail", cron="* * * * *", when=anything_due, keep_days=2)
def send_due(job: Job) -> None:
    """Send everything whose time has come. Also started by the clock, for messages that wait for another try."""
    sent = 0
    while rows := claim(job):
        sent += deliver(job, rows).sent
        job.report(sent)


def claim(job: Job, batch: str | None = None) -> list[Any]:
    """Take up to a handful of due messages (of one batch, if named) for this job."""
    token = f"{job.id}:{job.attempt}"
    with job.transaction() as session:
        mine_before = and_(
            MAIL.c.state == MailState.SENDING, MAIL.c.claim.startswith(f"{job.id}:", autoescape=True), MAIL.c.claim != token
        )
        clause = or_(_due(), mine_before)
        if batch is not None:
            clause = and_(clause, MAIL.c.batch == batch)
        if halts.halted(session, HaltKind.MAIL):
            return []
        _drop_unwanted(session, or_(_due(), mine_before))
        ids = _pick(session, clause)
        if not ids:
            return []
        now = utcnow()
        taken = {"state": MailState.SENDING, "claim": token, "claimed_at": now, "attempts": MAIL.c.attempts + 1, "updated_at": now}
        session.execute(update(MAIL).where(MAIL.c.id.in_(ids)).values(**taken))
        db.bump(session, MAIL.name)
        return list(session.execute(select(MAIL).where(MAIL.c.id.in_(ids)).order_by(MAIL.c.next_at, MAIL.c.id)))


def _pick(session: Session, clause: Any) -> list[int]:
    """The next handful whose hour it is. News that waited for a server or was held back may have come into the night meanwhile: it waits on."""
    while True:
        wanted = select(MAIL.c.id, MAIL.c.purpose, MAIL.c.contact_id).where(clause).order_by(MAIL.c.next_at, MAIL.c.id).limit(BATCH)
        rows = list(session.execute(wanted.with_for_update(skip_locked=True)))
        late = _put_off(session, [row for row in rows if row.purpose is not None])
        if not rows or len(late) < len(rows):
            return [row.id for row in rows if row.id not in late]


def _put_off(session: Session, rows: Sequence[Any]) -> set[int]:
    """News whose reader is not to be disturbed now gets the first instant at which they may be; gives which."""
    if not rows:
        return set()
    now = utcnow()
    quiet = quiet_hours.of_workspace(session)
    asked = select(_CONTACTS.c.id, _CONTACTS.c.preferred_hours, _CONTACTS.c.timezone).where(
        _CONTACTS.c.id.in_({row.contact_id for row in rows if row.contact_id is not None})
    )
    theirs = {row.id: (row.preferred_hours, row.timezone) for row in session.execute(asked)}
    late: dict[datetime, list[int]] = {}
    for row in rows:
        until = quiet.from_when(now, *theirs.get(row.contact_id, (None, None)))
        if until > now:
            late.setdefault(until, []).append(row.id)
    for until, ids in late.items():
        waits = {"state": MailState.PENDING, "claim": None, "next_at": until, "updated_at": now}
        session.execute(update(MAIL).where(MAIL.c.id.in_(ids)).values(**waits))
    if late:
        db.bump(session, MAIL.name)
    return {one for ids in late.values() for one in ids}


def _drop_unwanted(session: Session, which: Any) -> int:
    """Somebody may have unsubscribed, objected or gone while a message waited that their consent is needed for, also while a sender that died
    had it; gives how many don't go out."""
    dropped = 0
    for unwanted, words in _reasons():
        gone = {"state": MailState.CANCELLED, "claim": None, "message": words, "updated_at": utcnow()}
        mine = and_(which, MAIL.c.purpose.is_not(None), unwanted)
        dropped += session.execute(update(MAIL).where(mine).values(**gone)).rowcount  # type: ignore[attr-defined]
    if dropped:
        db.bump(session, MAIL.name)
    return dropped


def _reasons() -> tuple[tuple[Any, str], ...]:
    blocked = (_BLOCKS.c.address_key == MAIL.c.address_key, _BLOCKS.c.way == ContactWay.EMAIL, _BLOCKS.c.lifted_at.is_(None))
    return (
        (exists().where(*blocked), "The address was unsubscribed or blocked meanwhile."),
        (or_(_withdrawn("contact_id"), _withdrawn("lead_id")), "The reader took back their consent meanwhile."),
        (_objected(), "The reader's record says by now that they want no e-mail, or was archived."),
    )


def _withdrawn(who: str) -> Any:
    said = (_CONSENT.c[who] == MAIL.c[who], _CONSENT.c.purpose == MAIL.c.purpose, _CONSENT.c.way == ContactWay.EMAIL)
    return exists().where(*said, _CONSENT.c.is_latest, _CONSENT.c.status == ConsentStatus.WITHDRAWN)


def _objected() -> Any:
    no = or_(_CONTACTS.c.do_not_email, _CONTACTS.c.preferred_channel == PreferredChannel.NONE, _CONTACTS.c.deleted_at.is_not(None))
    contact = exists().where(_CONTACTS.c.id == MAIL.c.contact_id, no)
    return or_(contact, exists().where(_LEADS.c.id == MAIL.c.lead_id, _LEADS.c.deleted_at.is_not(None)))


@dataclass(frozen=True)
class Delivered:
    """How many messages went out, and whether the server went away in between."""

    sent: int
    server_gone: bool = False


def deliver(job: Job, rows: list[Any]) -> Delivered:
    """Send claimed messages. A server that does not answer puts the rest back for later."""
    sent = 0
    try:
        with email.transport() as way:
            for place, row in enumerate(rows):
                if _let_go(job, rows[place:]):
                    return Delivered(sent)
                try:
                    sent += _deliver_one(job, way, row)
                except MailError as error:
                    if error.whole_server:
                        _put_back(job, rows[place + 1 :], error)
                        return Delivered(sent, server_gone=True)
    except MailError as error:
        _put_back(job, rows, error)
        return Delivered(sent, server_gone=True)
    return Delivered(sent)


def _deliver_one(job: Job, way: Transport, row: Any) -> int:
    if row.purpose is not None and _unwanted_by_now(job, row):
        return 0
    try:
        letter = Letter(row.address, row.subject, row.content, row.html, row.name, row.headers or {}, _enclosures(row))
        receipt = way.send(letter, idempotency_key=_key(row), before_handover=lambda: _mark(job, row))
    except _Taken:
        raise MailError("The message was taken back.", whole_server=True) from None  # its half-said words spoil the connection
    except MailError as error:
        _note_failure(job, [row], error)
        raise
    _note_sent(job, row, receipt)
    return 1


def _let_go(job: Job, rows: list[Any]) -> bool:
    """Whether somebody stopped all mail since these were claimed; they then wait as if nobody had tried."""
    with job.transaction() as session:
        if not halts.halted(session, HaltKind.MAIL):
            return False
        for row in rows:
            mine = and_(MAIL.c.id == row.id, MAIL.c.claim == row.claim, MAIL.c.state == MailState.SENDING)
            waits = {"state": MailState.PENDING, "claim": None, "attempts": row.attempts - 1, "updated_at": utcnow()}
            session.execute(update(MAIL).where(mine).values(**waits))
        db.bump(session, MAIL.name)
        return True


def _unwanted_by_now(job: Job, row: Any) -> bool:
    """The last of a handful leaves minutes after it was claimed, if the server is slow."""
    mine = and_(MAIL.c.id == row.id, MAIL.c.claim == row.claim, MAIL.c.state == MailState.SENDING)
    asked = select(MAIL.c.id).where(mine, or_(*(unwanted for unwanted, _ in _reasons())))
    with job.transaction() as session:
        return session.execute(asked).first() is not None and _drop_unwanted(session, mine) > 0


def _enclosures(row: Any) -> list[Enclosure]:
    try:
        return [
            Enclosure(one["name"], one["media_type"], one["text"].encode() if "text" in one else files.content_of(one["sha256"]))
            for one in row.attachments or []
        ]
    except Unavailable as error:
        raise MailError(error.message, permanent=True) from error


def _key(row: Any) -> str:
    return str(row.dedupe_key)


def _mark(job: Job, row: Any) -> None:
    """Nothing but the mark: whatever else happened between its commit and the dot would be time in which a death loses the message."""
    wanted = not_(or_(*(unwanted for unwanted, _ in _reasons()))) if row.purpose is not None else true()
    with job.transaction() as session:
        _set(session, row, MailState.SENDING, wanted, state=MailState.HANDED, sent_at=utcnow())


def _set(session: Session, row: Any, before: MailState, also: Any = None, **values: Any) -> None:
    mine = and_(MAIL.c.id == row.id, MAIL.c.claim == row.claim, MAIL.c.state == before, true() if also is None else also)
    if session.execute(update(MAIL).where(mine).values(**values, updated_at=utcnow())).rowcount != 1:  # type: ignore[attr-defined]
        raise _Taken("Somebody else holds this message.")


def _note_sent(job: Job, row: Any, receipt: Receipt) -> None:
    words = {"content": "", "html": ""} if row.secret or not row.keep else {}
    with job.transaction() as session:
        _set(
            session, row, MailState.HANDED, state=MailState.SENT, message_id=receipt.message_id, file=receipt.file,
            message="", **words,
        )  # fmt: skip
        db.bump(session, MAIL.name)


def _put_back(job: Job, rows: Iterable[Any], error: MailError) -> None:
    _note_failure(job, list(rows), MailError(error.message))


def _note_failure(job: Job, rows: list[Any], error: MailError) -> None:
    """What became of messages that did not go out: unknown, refused for good, or later again."""
    with job.transaction() as session:
        for row in rows:
            if error.address_refused:
                suppressions.note(session, system(), row.address, SuppressionReason.BOUNCED, source=error.message)
            mine = and_(MAIL.c.id == row.id, MAIL.c.claim == row.claim, MAIL.c.state.in_((MailState.SENDING, MailState.HANDED)))
            session.execute(
                update(MAIL).where(mine).values(**_after(row, error), message=error.message[:1000], updated_at=utcnow())
            )
        if rows:
            db.bump(session, MAIL.name)


def _after(row: Any, error: MailError) -> dict[str, Any]:
    if error.unknown:
        return {"state": MailState.HANDED}
    if error.address_refused:
        return {"state": MailState.BOUNCED, "claim": None, "sent_at": None}
    if (error.permanent and not error.whole_server) or row.attempts > len(PAUSES_MINUTES):
        return {"state": MailState.FAILED, "claim": None, "sent_at": None}
    wait = timedelta(minutes=PAUSES_MINUTES[max(0, row.attempts - 1)])
    return {"state": MailState.PENDING, "claim": None, "sent_at": None, "next_at": utcnow() + wait}
