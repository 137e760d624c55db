"""Signed tokens in the links of campaign messages: what they are for, whom they name, when they were made. Pure.

A token carries numbers, no address and no name, and is bound to its use by the signature: a click token opens no preference page.
"""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import date, timedelta

CLICK, OPEN, LEAVE = b"t", b"o", b"u"
CLICK_DAYS = 400
_FORM = ">cIIH"
_SIZE = struct.calcsize(_FORM)
_MAC = 12
_EPOCH = date(2020, 1, 1)
_AFTER = ".,;:!?)]>\"'*"


@dataclass(frozen=True)
class Token:
    """A token that was really made by us. ``member``: the campaign's member, ``link``: the address (0: none)."""

    kind: bytes
    member: int
    link: int
    made_on: date

    def expired(self, today: date) -> bool:
        """True for clicks and opens after more than a year. Links to unsubscribe work for ever."""
        return self.kind != LEAVE and today > self.made_on + timedelta(days=CLICK_DAYS)


def make(key: str, kind: bytes, member: int, link: int, today: date) -> str:
    """The token as it stands in a link."""
    body = struct.pack(_FORM, kind, member, link, (today - _EPOCH).days)
    return _spelt(body + _mac(key, body))


def read(key: str, text: str, kind: bytes) -> Token | None:
    """The token behind a text; None when it is altered, cut, of another kind, or not ours. What ends the sentence that a link stands in, and that a mail
    program took for a part of it, does no harm."""
    text = text.rstrip(_AFTER)
    if not text.isascii() or len(text) > 60:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    body, mac = raw[:_SIZE], raw[_SIZE:]
    if len(raw) != _SIZE + _MAC or _spelt(raw) != text or not hmac.compare_digest(mac, _mac(key, body)):
        return None
    found, member, link, day = struct.unpack(_FORM, body)
    return Token(found, member, link, _EPOCH + timedelta(days=day)) if found == kind else None


def _spelt(raw: bytes) -> str:
    """The one way to write a token: the last of its letters holds bits that say nothing."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(key: str, body: bytes) -> bytes:
    return hmac.new(key.encode(), b"rapport:link:" + body, hashlib.sha256).digest()[:_MAC]
