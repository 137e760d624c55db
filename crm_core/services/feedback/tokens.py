"""The links of invitations: signed, and good for one invitation only."""

import hashlib
import hmac

from sqlmodel import Session

from crm_core.errors import NotFound
from crm_core.models import SurveyInvitation
from crm_core.services.marketing import signing

PURPOSE = "surveys"


def make(session: Session, invitation_id: int) -> str:
    """The token of an invitation."""
    return f"{invitation_id:x}-{_mac(signing.ensure(session, PURPOSE), invitation_id)}"


def read(session: Session, token: str) -> SurveyInvitation:
    """The invitation that a token means; NotFound for one that is altered, cut or of nobody."""
    number, _, mac = token.partition("-")
    key = signing.key(session, PURPOSE)
    if key and 0 < len(number) <= 8 and number.isascii() and all(c in "0123456789abcdef" for c in number):
        invitation_id = int(number, 16)
        if hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(key, invitation_id).encode()):
            found = session.get(SurveyInvitation, invitation_id) if invitation_id < 2**31 else None
            if found is not None and not found.skipped:
                return found
    raise NotFound("This link is not complete. Open it once more from the message.")


def _mac(key: str, invitation_id: int) -> str:
    return hmac.new(key.encode(), f"invitation.{invitation_id}".encode(), hashlib.sha256).hexdigest()[:32]
