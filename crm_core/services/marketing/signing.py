"""The keys that sign links in messages and forms on public pages: made once, kept in the database; and what is signed with them."""

import hashlib
import hmac
import secrets

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db
from crm_core.kit.clock import utcnow
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


def mac(session: Session, purpose: str, text: str) -> str:
    """A short signature; the key is made if need be."""
    return _mac(key(session, purpose) or ensure(session, purpose), text)


def numbered(session: Session, purpose: str, noun: str, number: int) -> str:
    """The token of a record of which the link is the whole permission. ``noun``: what the number counts."""
    return f"{number:x}-{mac(session, purpose, f'{noun}.{number}')}"


def number_of(session: Session, purpose: str, noun: str, token: str) -> int | None:
    """The number in a token; None for a token that is altered, cut, or longer than keys are. Makes no key: without one nothing was signed."""
    digits, _, given = token.partition("-")
    known = key(session, purpose)
    if not known or not 0 < len(digits) <= 8 or set(digits) - set("0123456789abcdef"):
        return None
    number = int(digits, 16)
    return number if number < 2**31 and _same(given, _mac(known, f"{noun}.{number}")) else None


def stamp(session: Session, purpose: str, form_id: int) -> str:
    """When a form was drawn, signed: it comes back with the sending."""
    at = int(utcnow().timestamp())
    return f"{at}.{mac(session, purpose, f'{form_id}.{at}')}"


def waited(session: Session, purpose: str, form_id: int, text: str, seconds: int) -> bool:
    """True when the form was drawn by us long enough ago for somebody to fill it in."""
    at, _, given = text.partition(".")
    if not (at.isascii() and at.isdecimal()) or len(at) > 12 or not _same(given, mac(session, purpose, f"{form_id}.{at}")):
        return False
    return utcnow().timestamp() - int(at) >= seconds


def _mac(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), made.encode())
