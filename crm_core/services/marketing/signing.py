"""The key that signs links in messages: made once, kept in the database."""

import secrets

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db
from crm_core.models import SigningKey

_KEYS = SigningKey.__table__  # type: ignore[attr-defined]
PURPOSE = "campaign_links"


def key(session: Session) -> str:
    """The key; empty when no campaign was ever launched, and then no link of ours exists."""
    return session.execute(select(_KEYS.c.key).where(_KEYS.c.purpose == PURPOSE)).scalar() or ""


def ensure(session: Session) -> str:
    """The key, made if need be."""
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    values = {"purpose": PURPOSE, "key": secrets.token_hex(32)}
    session.execute(insert(_KEYS).values(**values).on_conflict_do_nothing())
    return key(session)
