"""Signed-in browsers: one row each, found by the hash of the cookie's token. Deleting the row signs out, in every tab, on the next click."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlmodel import Session

from crm_core.access import Actor, load
from crm_core.db import versions
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import AuthSession, User
from crm_core.settings import settings
from crm_core.vocabulary import SigninMethod, Via

_SESSIONS = AuthSession.__table__  # type: ignore[attr-defined]
_USERS = User.__table__  # type: ignore[attr-defined]

_LIVING = (
    select(_SESSIONS.c.id, _SESSIONS.c.user_id, _SESSIONS.c.last_seen_at, _SESSIONS.c.expires_at)
    .join(_USERS, _USERS.c.id == _SESSIONS.c.user_id)
    .where(_USERS.c.is_active)
)

TOUCH_AFTER = timedelta(minutes=5)
"""``last_seen_at`` is written at most this often, so that reading a page costs no write."""

ACTOR_TABLES = ("app_user", "organisation", "role", "role_field_mask", "role_permission", "user_role")
"""What an actor is made of; a changed version of one of them loads it anew."""

_KEEP_SECONDS = 60.0
"""Backstop of the actor cache: on PostgreSQL a process that dies between a commit and its version bump must not freeze a right."""

_actors: WeakKeyDictionary[Any, dict[tuple[int, int], tuple[tuple[tuple[str, int], ...], float, Actor]]] = WeakKeyDictionary()
"""Engine → session and person → versions, until when, actor."""

_lock = Lock()


@dataclass(frozen=True)
class SignedIn:
    """A living session of an active person."""

    session_id: int
    user_id: int
    last_seen_at: datetime
    expires_at: datetime


def token_hash(token: str) -> str:
    """What is stored of a token: without it the database gives nobody's session away."""
    return hashlib.sha256(token.encode()).hexdigest()


def start(session: Session, user_id: int, method: SigninMethod, *, address: str = "", browser: str = "") -> str:
    """Sign a person in on one more browser; returns the new token for its cookie. An earlier token is never taken over (no fixation)."""
    token = secrets.token_urlsafe(32)
    now = utcnow()
    session.add(
        AuthSession(
            token_sha256=token_hash(token),
            user_id=user_id,
            method=method,
            expires_at=now + timedelta(days=settings().session_days),
            last_seen_at=now,
            address=clip(address, 64),
            browser=clip(browser, 200),
        )
    )
    session.connection().execute(update(_USERS).where(_USERS.c.id == user_id).values(last_seen_at=now))
    session.flush()
    return token


def lookup(session: Session, token: str | None) -> SignedIn | None:
    """The living session of a cookie's token, or None. One indexed statement."""
    if not token or len(token) > 200:
        return None
    return _find(session, _SESSIONS.c.token_sha256 == token_hash(token))


def recheck(session: Session, session_id: int, user_id: int) -> SignedIn | None:
    """The same session while it still lives: it may have been revoked, or its person deactivated, since the tab connected."""
    return _find(session, and_(_SESSIONS.c.id == session_id, _SESSIONS.c.user_id == user_id))


def came_by(session: Session, found: SignedIn, method: SigninMethod) -> bool:
    """True when this session was opened through that door."""
    return session.execute(select(_SESSIONS.c.method).where(_SESSIONS.c.id == found.session_id)).scalar() == method


def _find(session: Session, clause: ColumnElement[bool]) -> SignedIn | None:
    row = session.execute(_LIVING.where(clause, _SESSIONS.c.expires_at > utcnow())).first()
    return SignedIn(*row) if row is not None else None


def actor_of(session: Session, found: SignedIn, *, via: Via = Via.SCREEN) -> Actor:
    """The actor behind a living session. Roles and masks are read again only after one of them changed."""
    now, key = time.monotonic(), (found.session_id, found.user_id)
    current, here = versions(session, ACTOR_TABLES), _actors.setdefault(session.get_bind().engine, {})
    kept = here.get(key)
    if kept is not None and kept[0] == current and kept[1] > now:
        return kept[2] if kept[2].via is via else kept[2].through(via)
    actor = load(session, found.user_id, via=via, session_id=found.session_id)
    with _lock:
        if len(here) > 2_000:
            here.clear()
        here[key] = (current, now + _KEEP_SECONDS, actor)
    return actor


def is_stale(signed_in: SignedIn) -> bool:
    """True when the last sign of life is old enough to be written again."""
    return utcnow() - signed_in.last_seen_at > TOUCH_AFTER


def touch(session: Session, signed_in: SignedIn) -> None:
    """Note a sign of life of the session and of its person. Past the ORM: it is no change that a cache or an edit form should notice."""
    now, connection = utcnow(), session.connection()
    connection.execute(update(_SESSIONS).where(_SESSIONS.c.id == signed_in.session_id).values(last_seen_at=now))
    connection.execute(update(_USERS).where(_USERS.c.id == signed_in.user_id).values(last_seen_at=now))


def end(session: Session, token: str | None) -> int | None:
    """Sign the browser with this token out; returns whose it was, or None when there was no such session."""
    if not token:
        return None
    found = session.execute(select(_SESSIONS.c.user_id).where(_SESSIONS.c.token_sha256 == token_hash(token))).scalar()
    session.connection().execute(delete(_SESSIONS).where(_SESSIONS.c.token_sha256 == token_hash(token)))
    return found


def revoke_all(session: Session, user_id: int, *, keep: int | None = None) -> int:
    """Sign a person out everywhere, but for the session ``keep``; returns how many sessions ended."""
    clause = _SESSIONS.c.user_id == user_id
    if keep is not None:
        clause = and_(clause, _SESSIONS.c.id != keep)
    return session.connection().execute(delete(_SESSIONS).where(clause)).rowcount


def purge(session: Session) -> int:
    """Delete the rows of sessions that expired; returns how many."""
    return session.connection().execute(delete(_SESSIONS).where(_SESSIONS.c.expires_at <= utcnow())).rowcount
