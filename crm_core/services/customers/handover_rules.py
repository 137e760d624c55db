"""What a hand-over has to bring along, per edge between parts of the house; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crm_core.errors import Conflict, Invalid
from crm_core.kit.text import clean
from crm_core.vocabulary import HandoverCheck, HandoverEdge, HandoverState

MAX_ITEMS, MAX_LABEL = 30, 200


@dataclass(frozen=True)
class Item:
    """An item of a checklist. ``required``: without it nobody can accept; ``looks_at``: what the records must hold before it can be ticked."""

    label: str
    required: bool = False
    looks_at: HandoverCheck = HandoverCheck.MANUAL


_GOALS = Item("What the customer wants to reach is written down on a contact", True, HandoverCheck.GOALS)
_PREFERENCES = Item("How the main contact wants to be treated is written down", True, HandoverCheck.PREFERENCES)
_PROMISES = Item("What was promised (scope, price, dates) is in the notes", True)
_INTRODUCED = Item("The customer knows who is taking over", True)
_OPEN = Item("Open questions and tickets were gone through")
_FILES = Item("Offer and contract are attached")

CHECKLISTS: dict[HandoverEdge, tuple[Item, ...]] = {
    HandoverEdge.SALES_SERVICE: (_GOALS, _PREFERENCES, _PROMISES, _INTRODUCED, _FILES, _OPEN),
    HandoverEdge.SALES_ONBOARDING: (_GOALS, _PREFERENCES, _PROMISES, _INTRODUCED, _FILES, Item("Date of the kick-off is agreed")),
    HandoverEdge.ONBOARDING_SERVICE: (
        _GOALS,
        _PREFERENCES,
        Item("What was set up, and what is still missing, is in the notes", True),
        _INTRODUCED,
        _OPEN,
    ),
    HandoverEdge.COLLEAGUES: (_PROMISES, _INTRODUCED, _PREFERENCES, _OPEN),
}
"""The items that an edge starts with until an administrator writes others; whoever hands over may add some and leave out those that are not required."""

MISSING = {
    HandoverCheck.GOALS: "No contact of this account has goals yet. Write them down on the contact first.",
    HandoverCheck.PREFERENCES: "No contact of this account has a preferred channel, hours, language or wish yet. Write one down first.",
}


def label_of(text: object) -> str:
    """The words of an item on one line. Raises Invalid when they are too many."""
    label = clean(" ".join(str(text or "").split()))
    if len(label) > MAX_LABEL:
        raise Invalid(fields={"more": f"An item has at most {MAX_LABEL} characters."})
    return label


def checklist(usual: Iterable[Item], *, leave_out: Iterable[str] = (), more: Sequence[str] = ()) -> list[Item]:
    """The items of a new hand-over, from those of its edge. Required ones can't be left out; added ones are not required."""
    gone = set(leave_out)
    items = [item for item in usual if item.required or item.label not in gone]
    known = {item.label for item in items}
    for text in more:
        label = label_of(text)
        if label and label not in known:
            items.append(Item(label))
            known.add(label)
    if len(items) > MAX_ITEMS:
        raise Invalid(fields={"more": f"A checklist has at most {MAX_ITEMS} items."})
    return items


def check_pending(state: HandoverState) -> None:
    """A hand-over that was decided stays as it is."""
    if state is not HandoverState.PENDING:
        raise Conflict(f"This hand-over is no longer waiting: it was {state.label.lower()}.")


def check_can_accept(open_items: Sequence[str]) -> None:
    """All required items must be ticked."""
    if open_items:
        raise Invalid("Not ticked yet: " + "; ".join(open_items) + ". Tick them, or decline and say what is missing.")
