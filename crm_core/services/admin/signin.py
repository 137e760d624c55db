"""Signing in with a password: throttled before anything is computed, the same answer for a wrong password and for nobody.

Three steps, because hashing takes longer than any transaction should stay open: ``begin`` (counts the try), ``passwords.fits`` (no database
at all), then ``succeed`` or ``fail``. web/signin.py takes them in this order.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, load, system
from crm_core.errors import NotPermitted, TooMany
from crm_core.kit.clock import utcnow
from crm_core.kit.text import email_key
from crm_core.models import SigninAttempt, User
from crm_core.services.admin import passwords, sessions
from crm_core.vocabulary import SigninMethod, Via

log = logging.getLogger("rapport.signin")

WINDOW = timedelta(minutes=15)
LIMITS = {"pair": 8, "address": 40, "account": 60}
"""Tries per window: of one address on one account, of one address on all, of all addresses on one account.

The last one is far wider, or else anybody could lock a colleague out by guessing badly on purpose.
"""

WRONG = "This e-mail address and password don't belong together. Check both, or ask an administrator for a reset link."

_ATTEMPTS = SigninAttempt.__table__  # type: ignore[attr-defined]
_USERS = User.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Attempt:
    """A counted try. ``user_id`` and ``password_hash`` are None when nobody active has this address."""

    keys: tuple[str, ...]
    user_id: int | None
    password_hash: str | None


def begin(session: Session, email: str, *, address: str = "") -> Attempt:
    """Count a try to sign in, and find whom it is about. Raises TooMany when the window's tries are used up."""
    keys = _keys(email, address)
    _serialise(session, keys)
    since = utcnow() - WINDOW
    for kind, key in keys.items():
        tries, first = session.execute(
            select(func.count(), func.min(_ATTEMPTS.c.at)).where(_ATTEMPTS.c.key == key, _ATTEMPTS.c.at > since)
        ).one()
        if tries >= LIMITS[kind]:
            minutes = max(1, round(((first + WINDOW) - utcnow()).total_seconds() / 60))
            raise TooMany(
                f"Too many tries. Wait {minutes} minute{'s' if minutes > 1 else ''}, or ask an administrator for a reset link."
            )
    session.add_all(SigninAttempt(key=key, at=utcnow()) for key in keys.values())
    row = session.execute(
        select(_USERS.c.id, _USERS.c.password_hash).where(_USERS.c.email_key == email_key(email)[:254], _USERS.c.is_active)
    ).first()
    return Attempt(tuple(keys.values()), row.id if row else None, row.password_hash if row else None)


def _keys(email: str, address: str) -> dict[str, str]:
    """Hashed, since people now and then type a password where the e-mail address belongs."""
    account = hashlib.sha256(email_key(email).encode()).hexdigest()[:32]
    return {"pair": f"p:{account}:{address}"[:300], "address": f"a:{address}"[:300], "account": f"u:{account}"}


def _serialise(session: Session, keys: dict[str, str]) -> None:
    """Let tries on one account line up, so that a hundred at once don't all pass the count. SQLite has one writer anyway."""
    if not db.is_sqlite(session):
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": keys["account"]})


def succeed(session: Session, attempt: Attempt, *, password: str = "", address: str = "", browser: str = "") -> str:
    """Open the session of a try whose password fitted; returns the cookie's token. Events: user.signed_in."""
    if attempt.user_id is None:
        raise NotPermitted(WRONG)
    session.connection().execute(
        delete(_ATTEMPTS).where(_ATTEMPTS.c.key.in_([key for key in attempt.keys if not key.startswith("a:")]))
    )
    if password and attempt.password_hash and passwords.is_outdated(attempt.password_hash):
        user = session.get(User, attempt.user_id)
        if user is not None:
            user.password_hash = passwords.hash_password(password)
    return enter(session, attempt.user_id, SigninMethod.LOCAL, address=address, browser=browser)


def fail(session: Session, attempt: Attempt, *, address: str = "") -> None:
    """Leave a trace of a try that failed. Events: user.signin_failed, when there is such a person."""
    purge(session)
    if attempt.user_id is not None:
        events.record(
            session, system(Via.SCREEN), "user.signin_failed", entity="user", record_id=attempt.user_id, data={"address": address}
        )


def enter(session: Session, user_id: int, method: SigninMethod, *, address: str = "", browser: str = "") -> str:
    """Sign a person in who proved who they are, by whatever method; returns the cookie's token. Raises NotPermitted when deactivated."""
    actor = load(session, user_id)
    token = sessions.start(session, user_id, method, address=address, browser=browser)
    events.record(
        session, actor, "user.signed_in", entity="user", record_id=user_id, data={"method": method.label, "address": address}
    )
    return token


def leave(session: Session, token: str | None) -> bool:
    """Sign a browser out; False when it was not signed in. Events: user.signed_out."""
    user_id = sessions.end(session, token)
    if user_id is None:
        return False
    actor = Actor(user_id=user_id, name="")
    events.record(session, actor, "user.signed_out", entity="user", record_id=user_id)
    return True


def purge(session: Session) -> None:
    """Delete tries that no longer count, and sessions that expired."""
    session.connection().execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.at < utcnow() - WINDOW))
    sessions.purge(session)
