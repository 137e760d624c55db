"""The links of invitations: signed, and good for one invitation only."""

from sqlmodel import Session

from crm_core.errors import NotFound
from crm_core.models import SurveyInvitation
from crm_core.services.marketing import signing

PURPOSE, NOUN = "surveys", "invitation"


def make(session: Session, invitation_id: int) -> str:
    """The token of an invitation."""
    return signing.numbered(session, PURPOSE, NOUN, invitation_id)


def read(session: Session, token: str) -> SurveyInvitation:
    """The invitation that a token means; NotFound for one that is altered, cut or of nobody."""
    number = signing.number_of(session, PURPOSE, NOUN, token)
    found = session.get(SurveyInvitation, number) if number is not None else None
    if found is None or found.skipped:
        raise NotFound("It is not complete. Open it once more from the message.")
    return found
