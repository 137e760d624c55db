"""One-time links: an invitation, or a new password. A link works once, for its person, until it expires; a newer one replaces it."""

import secrets
from datetime import timedelta

from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, load
from crm_core.errors import NotFound
from crm_core.kit.clock import utcnow
from crm_core.models import OneTimeLink, User
from crm_core.services.admin import passwords, sessions
from crm_core.vocabulary import LinkPurpose

LIFETIME = {LinkPurpose.INVITE: timedelta(days=7), LinkPurpose.RESET: timedelta(hours=24)}

GONE = "This link was used already, has expired, or was replaced by a newer one. Ask an administrator for a new link."
"""One sentence for every reason: which one it was is nobody's business."""


def issue(session: Session, actor: Actor, user: User, purpose: LinkPurpose) -> str:
    """Make a link for a person and end all earlier ones of theirs; returns its token, which is stored nowhere."""
    void(session, user.id)
    token = secrets.token_urlsafe(32)
    session.add(
        OneTimeLink(
            token_sha256=sessions.token_hash(token),
            purpose=purpose,
            user_id=user.id,
            expires_at=utcnow() + LIFETIME[purpose],
            created_by_id=actor.user_id,
        )
    )
    session.flush()
    return token


def void(session: Session, user_id: int) -> None:
    """End all links of a person that were not used yet."""
    for link in session.exec(select(OneTimeLink).where(OneTimeLink.user_id == user_id, OneTimeLink.used_at == None)):  # noqa: E711
        link.used_at = utcnow()
    session.flush()


def path_of(token: str, purpose: LinkPurpose) -> str:
    """The link's path on this site."""
    return f"/{purpose.value}/{token}"


def find(session: Session, token: str, purpose: LinkPurpose) -> tuple[OneTimeLink, User]:
    """The link with its person while it works. Raises NotFound with one sentence for unknown, used, expired and deactivated alike."""
    link = session.exec(select(OneTimeLink).where(OneTimeLink.token_sha256 == sessions.token_hash(token[:200]))).first()
    user = session.get(User, link.user_id) if link is not None else None
    if link is None or user is None or link.purpose is not purpose or link.used_at is not None:
        raise NotFound(GONE)
    if link.expires_at <= utcnow() or not user.is_active:
        raise NotFound(GONE)
    return link, user


def redeem(session: Session, token: str, purpose: LinkPurpose, password: str, *, name: str = "") -> User:
    """Set the person's password with a link, which is spent by that; every session they had ends. Events: user.password_changed."""
    link, user = find(session, token, purpose)
    passwords.require_strong(password, email=user.email, name=user.name)
    link.used_at = utcnow()
    user.password_hash = passwords.hash_password(password)
    if name.strip():
        user.name = name.strip()[:200]
    session.flush()
    sessions.revoke_all(session, user.id)
    events.record(session, load(session, user.id), "user.password_changed", user)
    return user
