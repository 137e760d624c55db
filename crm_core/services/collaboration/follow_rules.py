"""What followers of a record are told of, and in which words. Pure.

The words hold no values of the record: whoever reads them later may see less of it by then.
"""

from collections.abc import Mapping
from typing import Any

ENTRY = "activity.created"
ANSWER = "ticket.message_received"
_ENTRIES = {"call": "logged a call", "email": "logged an e-mail", "meeting": "entered a meeting", "note": "wrote a note"}

_DECISIVE = {
    "deal.won": "won the deal",
    "deal.lost": "lost the deal",
    "deal.reopened": "re-opened the deal",
    "lead.converted": "converted the lead",
    "lead.qualified": "qualified the lead",
    "lead.disqualified": "disqualified the lead",
    "lead.reopened": "took the lead up again",
    ANSWER: "received a message from the customer",
    "ticket.solved": "solved the ticket",
    "ticket.reopened": "re-opened the ticket",
    "ticket.merged_away": "merged the ticket into another one",
    "campaign.launched": "launched the campaign",
    "campaign.stopped": "stopped the campaign",
    "campaign.sent": "has sent everything",
    "promotion.started": "started the promotion",
    "promotion.ended": "ended the promotion",
    "article.published": "published the article",
    "article.withdrawn": "made the article a draft again",
    "article.retired": "archived the article",
}
_SMALL = {
    ENTRY: "wrote an entry",
    "deal.stage_moved": "moved the deal to another stage",
    "ticket.replied": "answered the customer",
    "ticket.noted": "added an internal note",
    "product.updated": "changed the product",
    "article.updated": "changed the article",
}
_STATES = {"task.updated": "changed the state of the task", "order.updated": "changed the state of the order"}
_OWNERS = ("lead", "deal", "account", "contact", "ticket", "campaign", "promotion", "order", "product", "article", "task")

TYPES = (*_DECISIVE, *_SMALL, *_STATES, *(f"{key}.owner_changed" for key in _OWNERS))


def weight(event_type: str) -> int:
    """2 for what decides something, 1 for what merely happened."""
    return 2 if event_type in _DECISIVE or event_type.endswith(".owner_changed") else 1


def words(event_type: str, changes: Mapping[str, Any], entry_kind: str = "") -> str:
    """What somebody did, after their name; "" for what followers are not told."""
    if event_type == ENTRY:
        return _ENTRIES.get(entry_kind, _SMALL[ENTRY])
    if event_type in _STATES:
        status = changes.get("status")
        return "" if status is None else "ticked it off" if status[1] == "done" else _STATES[event_type]
    if event_type.endswith(".owner_changed"):
        return "gave it to another owner"
    return _DECISIVE.get(event_type) or _SMALL.get(event_type, "")
