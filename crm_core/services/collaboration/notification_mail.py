"""Notifications by mail: each one at once, or many in a summary; nothing goes out twice, whatever dies in between.

A summary takes what is due for a person in one transaction: the rows are marked and the message is queued together, under a key made of the
person and the youngest row in it.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import and_, exists, select, update
from sqlmodel import Session

from crm_core import access, db
from crm_core.access import Actor, system
from crm_core.errors import NotPermitted
from crm_core.format import instant, plural
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.services.collaboration import notifications, outbox
from crm_core.services.collaboration.notifications import NOTES, Told
from crm_core.settings import settings
from crm_core.vocabulary import MailWay

_PEOPLE, _LONGEST = 50, 60


def _due() -> Any:
    return and_(NOTES.c.mail_due_at <= utcnow(), NOTES.c.mailed_at.is_(None))


def _something_due(session: Session) -> bool:
    return bool(session.execute(select(exists(select(NOTES.c.id).where(_due())))).scalar_one())


@job("collaboration.notification_mail", title="Mail notifications", cron="* * * * *", when=_something_due, keep_days=2)
def send(job: Job) -> None:
    """Queue what is due, person by person."""
    done = 0
    while True:
        with job.transaction() as session:
            ids = list(session.execute(select(NOTES.c.user_id).where(_due()).distinct().limit(_PEOPLE)).scalars())
            for user_id in ids:
                done += _send(session, user_id)
            job.report(done)
        if not ids:
            return


def _send(session: Session, user_id: int) -> int:
    """Everything that is due for one person: singles each as a message, the rest as one summary. What was read meanwhile stays out."""
    rows = session.execute(select(NOTES).where(_due(), NOTES.c.user_id == user_id).order_by(NOTES.c.at, NOTES.c.id)).all()
    session.execute(update(NOTES).where(NOTES.c.id.in_([row.id for row in rows])).values(mailed_at=utcnow(), mail_due_at=None))
    db.bump(session, NOTES.name)
    try:
        actor = access.load(session, user_id)
    except NotPermitted:
        return 0
    fresh = [row for row in rows if row.read_at is None]
    single = [row for row in fresh if row.mail is MailWay.NOW]
    for row, told in zip(single, notifications.told(session, actor, single), strict=False):
        _queue(session, actor, [told], f"notify:{row.id}")
    many = [row for row in fresh if row.mail is not MailWay.NOW]
    if many:
        _queue(session, actor, notifications.told(session, actor, many), f"digest:{user_id}:{max(row.id for row in many)}")
    return len(single) + bool(many)


def _queue(session: Session, actor: Actor, told: Sequence[Told], key: str) -> None:
    if not told:
        return
    subject = told[0].text() if len(told) == 1 else f"{plural(len(told), 'notification')} for you"
    outbox.queue(
        session,
        system(),
        to=actor.email,
        name=actor.name,
        subject=clip(subject, 150),
        text=_text(actor, told),
        kind="notification",
        dedupe_key=key,
        headers={"Auto-Submitted": "auto-generated"},
    )


def _text(actor: Actor, told: Sequence[Told]) -> str:
    parts = [f"Hello {actor.name},", ""]
    for one in told[:_LONGEST]:
        parts += [f"{one.text()}", f"  {instant(actor, one.at)}", *([f"  {link}"] if (link := _link(one)) else []), ""]
    if len(told) > _LONGEST:
        parts += [f"… and {len(told) - _LONGEST} more.", ""]
    settings_link = _absolute("/notifications?tab=settings")
    return "\n".join(
        [
            *parts,
            f"How you are told is yours to choose{f': {settings_link}' if settings_link else ' on the page of notifications'}.",
            "",
        ]
    )


def _link(one: Told) -> str:
    if not one.page:
        return ""
    query = urlencode(dict(one.query))
    return _absolute(f"/{one.page}{f'?{query}' if query else ''}")


def _absolute(path: str) -> str:
    base = settings().public_url.rstrip("/")
    return base + path if base else ""
