"""Consent of a whole segment that was given elsewhere and is written down here once."""

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.services.customers import consent
from crm_core.services.marketing import segments
from crm_core.vocabulary import Action, ContactWay, LegalBasis, Purpose


def record_for_segment(
    session: Session, actor: Actor, segment_id: int, *, purpose: Purpose, way: ContactWay, source: str,
    basis: LegalBasis = LegalBasis.CONSENT,
) -> int:  # fmt: skip
    """Everybody in a segment of contacts or leads who said nothing yet agreed, by this source; gives how many."""
    require(actor, "campaign", Action.EDIT)
    segment = segments.get(session, actor, segment_id)
    if segment.entity not in consent.PEOPLE:
        raise Invalid("Consent belongs to people: choose a segment of contacts or leads.")
    clause = segments.clause(session, actor, segment_id, entity(segment.entity).table)
    return consent.record_for_all(
        session, actor, segment.entity.value, clause, purpose=purpose, way=way, source=source, basis=basis
    )
