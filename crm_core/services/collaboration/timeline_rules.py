"""What a timeline can be narrowed to, and how the mail on it is called. Pure."""

import re
from collections.abc import Collection

from crm_core.vocabulary import ActivityKind, MailState

MAILS, CALLS, MEETINGS, NOTES, TASKS = "mails", "calls", "meetings", "notes", "tasks"
CHANGES, STAGES, TICKETS, ORDERS, TOUCHES = "changes", "stages", "tickets", "orders", "touches"
NAMES = {
    MAILS: "E-mails", CALLS: "Calls", MEETINGS: "Meetings", NOTES: "Notes", TASKS: "Tasks done", CHANGES: "Changes", STAGES: "Stage moves",
    TICKETS: "Tickets", ORDERS: "Orders", TOUCHES: "Campaigns and web",
}  # fmt: skip
"""Kinds of entries, in the order in which they are offered."""

DONE = frozenset({MAILS, CALLS, MEETINGS, NOTES, TASKS})
_ALIASES = {"all": frozenset(NAMES), "activities": DONE, "changes": frozenset({CHANGES, STAGES, TICKETS, ORDERS})}
_OFFERED = {
    "account": tuple(NAMES),
    "contact": tuple(key for key in NAMES if key != STAGES),
    "lead": (*(key for key in NAMES if key in DONE), CHANGES, STAGES, TOUCHES),
    "deal": (*(key for key in NAMES if key in DONE), CHANGES, STAGES),
    "ticket": (*(key for key in NAMES if key in DONE), CHANGES),
}
OF_ACTIVITY = {ActivityKind.EMAIL: MAILS, ActivityKind.CALL: CALLS, ActivityKind.MEETING: MEETINGS, ActivityKind.NOTE: NOTES}
STAGE_TYPES = (
    "deal.stage_moved", "deal.won", "deal.lost", "deal.reopened", "deal.gate_overridden", "deal.gate_warned", "lead.qualified", "lead.disqualified",
    "lead.reopened", "lead.converted", "lead.conversion_undone",
)  # fmt: skip
FLEETING = ("visit", "click", "reply", "message")
"""Touches that a timeline tells only to whoever asks for them: each page that was looked at, and what the letter's own entry says."""
TOUCH_WORDS = {
    "visit": "looked at the site", "click": "followed a link of a letter", "form": "sent a form", "reply": "answered a letter", "booking": "booked a meeting",
    "order": "ordered", "cart_abandoned": "left a cart behind", "message": "got a message",
}  # fmt: skip

PERSONAL = "personal"
"""Mail that a person wrote to a person. Its batch names the entry of the timeline that it belongs to."""
UNLISTED = ("ticket", "ticket_ack", "notification", "report", "test", "campaign_test", "invite", "reset", "share")
"""Mail that is told elsewhere (a ticket's conversation), or is none of the customer's."""
CONFIDENTIAL = ("confirmation", "survey")
"""Mail whose words hold a link that is its reader's alone."""
_LINK = re.compile(r"https?://\S+")
LETTERS = {
    "campaign": "Letter of a campaign", "automation": "Letter of an automation", "survey": "Survey", "invitation": "Invitation to a meeting",
    "booking_reminder": "Reminder of a meeting", "booking_again": "Invitation to book again", "confirmation": "Request to confirm", "quote": "Quote", PERSONAL: "E-mail",
}  # fmt: skip
_STATES = {
    MailState.PENDING: "waiting to be sent", MailState.SENDING: "being sent", MailState.HANDED: "handed over", MailState.SENT: "sent",
    MailState.HELD: "held back", MailState.FAILED: "not sent", MailState.BOUNCED: "came back", MailState.CANCELLED: "not sent",
}  # fmt: skip
WRONG = (MailState.FAILED, MailState.BOUNCED, MailState.CANCELLED)
_ORDER = (*WRONG, MailState.HELD, MailState.PENDING, MailState.SENDING, MailState.HANDED, MailState.SENT)


def offered(entity_key: str) -> tuple[str, ...]:
    """The kinds of entries that a timeline of this kind of record can have; none where there are only changes."""
    return _OFFERED.get(entity_key, ())


def wanted(kinds: str | Collection[str]) -> frozenset[str]:
    """The kinds somebody asked for; all of them when nothing is named."""
    if isinstance(kinds, str):
        return _ALIASES.get(kinds) or frozenset({kinds}) & frozenset(NAMES)
    return frozenset(kinds) & frozenset(NAMES) or frozenset(NAMES)


def without_links(text: str) -> str:
    """The words of a letter that was made for one reader: its links leave, move a meeting or count a click in that reader's name."""
    return _LINK.sub("(link)", text)


def batch_of(activity_id: int) -> str:
    """The name under which the copies of a personal mail lie in the outbox."""
    return f"letter:{activity_id}"


def activity_of(batch: str | None) -> int | None:
    """The entry of the timeline that a message in the outbox belongs to."""
    number = (batch or "").removeprefix("letter:")
    return int(number) if batch and batch.startswith("letter:") and number.isdecimal() else None


def meeting_of(kind: str, dedupe_key: str) -> int | None:
    """The meeting that an invitation in the outbox is about."""
    parts = dedupe_key.split(":")
    return int(parts[1]) if kind == "invitation" and len(parts) > 1 and parts[1].isdecimal() else None


def worst(states: Collection[MailState]) -> MailState:
    """The state that its writer must know, of several copies."""
    return min((MailState(state) for state in states), key=_ORDER.index)


def state_words(state: MailState) -> str:
    """How far a message has come, in the words of a timeline."""
    return _STATES[MailState(state)]
