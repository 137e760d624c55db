"""A list to call of the demo company: the customers of one of its sales reps, for the whole team."""

from collections.abc import Mapping

from sqlmodel import Session

from crm_core.access import load
from crm_core.services.telephony import dial_lists
from crm_core.vocabulary import DialReach, DialSource


def add(session: Session, people: Mapping[str, int]) -> None:
    """One list, nobody called yet. ``people``: role key → a person of it."""
    if "sales_rep" not in people:
        return
    actor = load(session, people["sales_rep"])
    mine = {"op": "and", "items": [{"field": "owner_id", "cmp": "eq", "value": actor.user_id}]}
    values = {
        "name": "My customers, the best first",
        "source": DialSource.FILTER,
        "entity": "contact",
        "filter": mine,
        "order_by": "bought",
    }
    dial_lists.save(session, actor, None, {**values, "reach": DialReach.TEAM if actor.team_id else DialReach.PRIVATE})
