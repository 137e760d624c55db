"""The key that signs links in messages: made once, kept in the database."""

import secrets

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db
from crm_core.models import SigningKey

_KEYS = SigningKey.__table__  # type: ignore[attr-defined]
PURPOSE = "campaign_links"


def key(session: Session, purpose: str = PURPOSE) -> str:
    """The key; empty when none was ever made, and then nothing that it signed exists."""
    return session.execute(select(_KEYS.c.key).where(_KEYS.c.purpose == purpose)).scalar() or ""


def ensure(session: Session, purpose: str = PURPOSE) -> str:
    """The key, made if need be."""
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    values = {"purpose": purpose, "key": secrets.token_hex(32)}
    session.execute(insert(_KEYS).values(**values).on_conflict_do_nothing())
    return key(session, purpose)
