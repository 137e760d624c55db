"""Fetching mail: each minute, every mailbox whose turn it is, one message per transaction. A worker that dies loses nothing and doubles nothing."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, require
from crm_core.channels import imap
from crm_core.errors import CrmError, Unavailable
from crm_core.jobs import Job, enqueue, job
from crm_core.jobs.run import Cancelled, Superseded
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import InboundMail, Mailbox
from crm_core.services.collaboration import notifications
from crm_core.services.inbox import intake, mailboxes, raws
from crm_core.settings import settings
from crm_core.vocabulary import Action, InboundState, MailSource

log = logging.getLogger("rapport.mail")
BOXES: Any = Mailbox.__table__  # type: ignore[attr-defined]
ROWS: Any = InboundMail.__table__  # type: ignore[attr-defined]
LEASE = timedelta(minutes=3)
PAUSES_MINUTES = (1, 2, 5, 15, 30, 60)
"""Waits after one failure, two, three …; then every hour."""

TELL_AT = 3
"""Failures in a row after which administrators hear of it."""

KEEP_RAW_DAYS = 90
FOLDER = "mail-in"
_READ = (MailSource.IMAP, MailSource.FILES)


def _due() -> Any:
    now = utcnow()
    free = or_(BOXES.c.lease_until.is_(None), BOXES.c.lease_until < now)
    ready = or_(BOXES.c.next_pull_at.is_(None), BOXES.c.next_pull_at <= now)
    return and_(BOXES.c.is_active, BOXES.c.source.in_(_READ), free, ready)


def anything_due(session: Session) -> bool:
    """True when a mailbox waits to be read."""
    return session.execute(select(BOXES.c.id).where(_due()).limit(1)).first() is not None


@job("mailbox.pull", title="Fetch mail", cron="* * * * *", when=anything_due, keep_days=2)
def pull_due(job: Job) -> None:
    """Read every mailbox whose turn it is."""
    done = 0
    while (box := _lease(job)) is not None:
        done += _pull(job, box)
        job.report(done)


def now(session: Session, actor: Actor, mailbox_id: int) -> None:
    """Read a mailbox right away, whatever its pause."""
    require(actor, "mailbox", Action.MANAGE)
    box = mailboxes.get(session, mailbox_id)
    box.next_pull_at = utcnow()
    session.add(box)
    session.flush()
    enqueue(session, "mailbox.pull", unless_waiting=True, user_id=actor.user_id)


def _lease(job: Job) -> Mailbox | None:
    """A mailbox that nobody reads, for this job alone."""
    with job.transaction() as session:
        wanted = select(BOXES.c.id).where(_due()).order_by(BOXES.c.next_pull_at.nulls_first(), BOXES.c.id).limit(1)
        box_id = session.execute(wanted.with_for_update(skip_locked=True)).scalar()
        if box_id is None:
            return None
        session.execute(update(BOXES).where(BOXES.c.id == box_id).values(lease_until=utcnow() + LEASE, last_pull_at=utcnow()))
        db.bump(session, BOXES.name)
        return session.get_one(Mailbox, box_id, populate_existing=True)


def _pull(job: Job, box: Mailbox) -> int:
    """Read one mailbox; what goes wrong is written on it for the one who set it up."""
    try:
        done = _pull_imap(job, box) if box.source is MailSource.IMAP else _pull_files(job, box)
    except (Superseded, Cancelled):
        raise
    except CrmError as error:
        _note(job, box, error.message)
        return 0
    except Exception:
        log.exception("mailbox %s could not be read", box.id)
        _note(job, box, "Something unforeseen happened while reading. The worker's log holds the details.")
        return 0
    _note(job, box, "")
    return done


def _note(job: Job, box: Mailbox, trouble: str) -> None:
    with job.transaction() as session:
        row = session.get(Mailbox, box.id, populate_existing=True)
        if row is None:
            return
        now = utcnow()
        failures = row.failures + 1 if trouble else 0
        wait = PAUSES_MINUTES[min(failures, len(PAUSES_MINUTES)) - 1] if trouble else 0
        values = {
            "failures": failures,
            "message": clip(trouble, 500),
            "lease_until": None,
            "next_pull_at": now + timedelta(minutes=wait),
        }
        values |= {} if trouble else {"last_good_at": now}
        if not trouble:
            values["next_pull_at"] = now + timedelta(seconds=50)
        session.execute(update(BOXES).where(BOXES.c.id == box.id).values(**values))
        db.bump(session, BOXES.name)
        if failures == TELL_AT:
            _tell(session, row, trouble)


def _tell(session: Session, box: Mailbox, trouble: str) -> None:
    """Whoever may mend it hears of it once per row of failures."""
    begun = box.last_good_at.isoformat() if box.last_good_at else "never"
    notifications.notify_managers(
        session, "mailbox", kind="mailbox.failing", params={"name": box.name, "reason": trouble}, dedupe_key=f"mailbox.failing:{box.id}:{begun}"
    )  # fmt: skip


# --- IMAP -------------------------------------------------------------------------------------------------------------------


def _pull_imap(job: Job, box: Mailbox) -> int:
    done = 0
    with imap.opened(mailboxes.account_of(box)) as found:
        last = _begin(job, box, found)
        while uids := found.after(last):
            for uid in uids:
                done += _take_one(job, box, found, uid)
            last = uids[-1]
    return done


def _begin(job: Job, box: Mailbox, found: imap.Box) -> int:
    """Where to go on. A box whose numbers were given anew is read again from a while back; what is known by then is not taken twice."""
    if box.uid_validity == found.uid_validity:
        return box.last_uid
    from_day = (
        (box.last_good_at - timedelta(days=2))
        if box.uid_validity is not None and box.last_good_at
        else utcnow() - timedelta(days=box.first_days)
    )
    last = found.since(from_day.date())
    _move(job, box, found.uid_validity, last)
    return last


def _move(job: Job, box: Mailbox, validity: int, uid: int) -> None:
    with job.transaction() as session:
        _step(session, box, validity, uid)


def _step(session: Session, box: Mailbox, validity: int, uid: int) -> None:
    values = {"uid_validity": validity, "last_uid": uid, "lease_until": utcnow() + LEASE}
    session.execute(update(BOXES).where(BOXES.c.id == box.id).values(**values))
    db.bump(session, BOXES.name)


def _take_one(job: Job, box: Mailbox, found: imap.Box, uid: int) -> int:
    """One message and the step past it, in one transaction."""
    size = found.size(uid)
    raw = found.fetch(uid, head_only=size is not None and size > intake.MAX_BYTES) if size is not None else None
    if raw is None:
        _move(job, box, found.uid_validity, uid)
        return 0
    too_large = f"Larger than {intake.MAX_BYTES >> 20} MB: only its head was fetched." if size and size > intake.MAX_BYTES else ""
    return store(job, box, raw, lambda session: _step(session, box, found.uid_validity, uid), aside=too_large)


def store(job: Job, box: Mailbox, raw: bytes, step: Callable[[Session], None], *, aside: str = "", tries: int = 2) -> int:
    """Take a message in and go past it. What fails in a way that nobody foresaw goes into the tray as it is: one message never stops the others."""
    try:
        with job.transaction() as session:
            row = session.get_one(Mailbox, box.id)
            taken = intake.keep_aside(session, row, raw, aside) if aside else intake.take(session, row, raw)
            step(session)
            return int(taken.new)
    except (Superseded, Cancelled, Unavailable):
        raise
    except Exception as error:
        if aside:
            raise
        log.exception("a message for mailbox %s could not be taken in", box.id)
        words = "" if tries > 1 else f"Something unforeseen happened ({type(error).__name__}). The source of the message is kept."
        return store(job, box, raw, step, aside=words, tries=tries - 1)


# --- a folder ---------------------------------------------------------------------------------------------------------------


def folder_of(box: Mailbox) -> Path:
    """Where messages for a mailbox are laid down as files: by another program, or by whoever tries Rapport out."""
    return settings().data_dir / FOLDER / (box.folder if box.folder.isidentifier() else f"box{box.id}")


def _pull_files(job: Job, box: Mailbox) -> int:
    """Take every ``.eml`` of the folder in, the oldest first, and lay it aside into ``done``."""
    done = 0
    for path in _files(folder_of(box)):
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"{path.name} can't be read ({error.strerror or error}).") from error
        too_large = f"Larger than {intake.MAX_BYTES >> 20} MB." if len(raw) > intake.MAX_BYTES else ""
        done += store(job, box, raw[:100_000] if too_large else raw, lambda _session: None, aside=too_large)
        target = path.parent / "done" / path.name
        try:
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        except OSError as error:
            raise Unavailable(f"{path.name} can't be laid aside ({error.strerror or error}).") from error
    return done


def _files(folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = [path for path in folder.iterdir() if path.suffix.lower() == ".eml" and path.is_file()]
        yield from sorted(found, key=lambda path: (path.stat().st_mtime, path.name))
    except OSError as error:
        raise Unavailable(f"The folder {folder} can't be read ({error.strerror or error}).") from error


# --- clearing up ------------------------------------------------------------------------------------------------------------


@job("mailbox.clear", title="Clear old sources of mail away", cron="40 3 * * *")
def clear(job: Job) -> None:
    """Sources of messages that were settled long ago. What waits in the tray keeps its own."""
    old = and_(ROWS.c.raw != "", ROWS.c.state != InboundState.TRAY, ROWS.c.updated_at < utcnow() - timedelta(days=KEEP_RAW_DAYS))
    while True:
        with job.transaction() as session:
            rows = session.execute(select(ROWS.c.id, ROWS.c.raw).where(old).limit(200)).all()
            session.execute(update(ROWS).where(ROWS.c.id.in_([row.id for row in rows])).values(raw=""))
        for row in rows:
            raws.forget(row.raw)
        if not rows:
            return
