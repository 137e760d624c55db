"""The links of booked meetings, the hour at which a form was drawn, and what stands for a network address: all signed with one key."""

import hashlib
import hmac

from sqlmodel import Session

from crm_core.errors import NotFound
from crm_core.kit.clock import utcnow
from crm_core.models import Booking
from crm_core.services.marketing import signing

PURPOSE = "bookings"
GONE = "This link is not complete. Open it once more from the message."
QUICKEST = 2
"""Seconds within which nobody fills the form in."""


def make(session: Session, booking_id: int) -> str:
    """The token of a booking."""
    return f"{booking_id:x}-{mac(session, f'booking.{booking_id}')}"


def read(session: Session, token: str) -> Booking:
    """The booking that a token means; NotFound for one that is altered, cut or of nobody."""
    number, _, given = token.partition("-")
    key = signing.key(session, PURPOSE)
    if key and 0 < len(number) <= 8 and number.isascii() and all(c in "0123456789abcdef" for c in number):
        booking_id = int(number, 16)
        if hmac.compare_digest(given.encode("utf-8", "replace"), _mac(key, f"booking.{booking_id}").encode()):
            found = session.get(Booking, booking_id) if booking_id < 2**31 else None
            if found is not None:
                return found
    raise NotFound(GONE)


def stamp(session: Session, page_id: int) -> str:
    """When a form was drawn; it comes back with the sending."""
    at = int(utcnow().timestamp())
    return f"{at}.{mac(session, f'{page_id}.{at}')}"


def waited(session: Session, page_id: int, text: str) -> bool:
    """True when the form was drawn by us long enough ago for somebody to fill it in."""
    at, _, given = text.partition(".")
    if (
        not at.isdecimal()
        or len(at) > 12
        or not hmac.compare_digest(given.encode("utf-8", "replace"), mac(session, f"{page_id}.{at}").encode())
    ):
        return False
    return utcnow().timestamp() - int(at) >= QUICKEST


def mac(session: Session, text: str) -> str:
    """A short signature; the key is made if need be."""
    return _mac(signing.ensure(session, PURPOSE), text)


def _mac(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
