"""The links of invitations: signed, and good for one invitation only."""

from sqlmodel import Session

from crm_core.errors import NotFound
from crm_core.models import Survey, SurveyInvitation
from crm_core.services.marketing import signing

PURPOSE, NOUN, PREVIEW = "surveys", "invitation", "preview"


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


def preview(session: Session, survey_id: int) -> str:
    """The token of a look at the page of a survey; empty while there is no key to sign with. Writes nothing."""
    return signing.numbered(session, PURPOSE, PREVIEW, survey_id) if signing.key(session, PURPOSE) else ""


def ready(session: Session) -> None:
    """Make the key that signs, if need be."""
    signing.ensure(session, PURPOSE)


def read_preview(session: Session, token: str) -> Survey:
    """The survey that such a token means; NotFound for one that is altered, or when the survey is gone."""
    number = signing.number_of(session, PURPOSE, PREVIEW, token)
    found = session.get(Survey, number) if number is not None else None
    if found is None:
        raise NotFound("There is nothing to look at here. Open the preview once more from the survey.")
    return found
