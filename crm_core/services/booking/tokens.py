"""The links of booked meetings, the hour at which a form was drawn, and what stands for a network address: all signed with one key."""

from sqlmodel import Session

from crm_core.errors import NotFound
from crm_core.models import Booking
from crm_core.services.marketing import signing

PURPOSE, NOUN = "bookings", "booking"
GONE = "It is not complete. Open it once more from the message."
QUICKEST = 2
"""Seconds within which nobody fills the form in."""


def make(session: Session, booking_id: int) -> str:
    """The token of a booking."""
    return signing.numbered(session, PURPOSE, NOUN, booking_id)


def read(session: Session, token: str) -> Booking:
    """The booking that a token means; NotFound for one that is altered, cut or of nobody."""
    number = signing.number_of(session, PURPOSE, NOUN, token)
    found = session.get(Booking, number) if number is not None else None
    if found is None:
        raise NotFound(GONE)
    return found


def stamp(session: Session, page_id: int) -> str:
    """When a form was drawn; it comes back with the sending."""
    return signing.stamp(session, PURPOSE, page_id)


def waited(session: Session, page_id: int, text: str) -> bool:
    """True when the form was drawn by us long enough ago for somebody to fill it in."""
    return signing.waited(session, PURPOSE, page_id, text, QUICKEST)


def mac(session: Session, text: str) -> str:
    """A short signature; the key is made if need be."""
    return signing.mac(session, PURPOSE, text)
