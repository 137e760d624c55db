"""Facts of accounts: which of them were offered to somebody who has not taken them yet."""

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.models import Account
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, reach
from crm_core.vocabulary import Action, HandoverState

_ACCOUNT = Account.__table__  # type: ignore[attr-defined]


def open_handovers(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Accounts whose hand-over waits at this moment; nothing for somebody who may not see accounts."""
    if not actor.can("account", Action.READ):
        return {}
    clause = reach(actor, "account", _ACCOUNT, slot)
    waiting = select(func.count()).select_from(_ACCOUNT).where(_ACCOUNT.c.handover_state == HandoverState.PENDING, clause)
    return {None: Facts(open_handovers=session.execute(waiting).scalar_one())}
