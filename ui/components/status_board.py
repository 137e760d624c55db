"""The board of leads or tickets by status: columns with their counts, cards that are moved by drag or by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from crm_core import grouping, lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.lists import ListQuery
from crm_core.services.collaboration.views import BOARDS
from crm_core.services.helpdesk import tickets
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.services.sales import leads
from crm_core.veil import MASK, Veil
from crm_core.vocabulary import Action, LeadKind, Priority, TicketKind
from ui import format as fmt
from ui.actions import hush, load, perform, show_refusal, tell
from ui.components.board import BoardColumn, Card, board
from ui.components.lead_dialogs import convert_dialog, disqualify_dialog
from ui.components.moved_twice import moved_twice
from ui.components.record_page import facts_if, facts_of, name_of
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

TURN = "_status_turn"
"""Counts the moves that ask something first or were refused: the board is drawn anew after each, with cards where they really are."""
FIELDS = {
    "lead": ("name", "company", "status_id", "estimated_minor", "owner_id", "created_at", "score", "converted_at"),
    "ticket": ("subject", "number", "status", "priority", "account_id", "owner_id", "opened_at", "sla_due_at"),
}


@dataclass(frozen=True)
class Status:
    """A column: the stored value, its name, what it means."""

    value: Any
    label: str
    kind: Any


def status_board(entity_key: str, query: ListQuery) -> None:
    """Draw the board of what the list would show, and do what was done with its cards."""
    actor = current_actor()
    statuses = _statuses(entity_key)
    limits: dict[Any, int] = st.session_state.setdefault(f"_board_limits_{entity_key}", {})
    asked = ListQuery(filter=query.filter, q=query.q, sort=query.sort, columns=FIELDS[entity_key])
    piles = load(grouping.piles, entity_key, asked, BOARDS[entity_key], [one.value for one in statuses], limits)
    may_edit = actor.can(entity_key, Action.EDIT) and not actor.locked(entity_key, BOARDS[entity_key])
    drawn = [_column(actor, entity_key, one, pile, may_edit) for one, pile in zip(statuses, piles, strict=True)]
    happened = board(
        drawn, key=f"board_{entity_key}", turn=st.session_state.get(TURN, 0), none=f"No {entity(entity_key).plural.lower()} here"
    )
    if may_edit:
        st.caption("Drag a card to its status, or press Shift and an arrow key.")
    if happened.opened:
        go(entity(entity_key).page, id=happened.opened["id"])
    if happened.more:
        value = happened.more["stage"]
        limits[value] = limits.get(value, grouping.PER_COLUMN) + grouping.PER_COLUMN
        st.rerun()
    if happened.moved:
        _moved(entity_key, happened.moved, statuses)


def _statuses(entity_key: str) -> list[Status]:
    if entity_key == "lead":
        return [Status(one.id, one.label, one.kind) for one in load(leads.statuses)]
    return [Status(kind.value, kind.label, kind) for kind in TicketKind]


def _column(actor: Actor, entity_key: str, status: Status, pile: grouping.Pile, may_edit: bool) -> BoardColumn:
    left = min(pile.count, lists.MAX_SIZE) - len(pile.rows)
    total = sum(pile.sums.values())
    more = f"Show {min(left, grouping.PER_COLUMN)} more of {fmt.written(pile.count - len(pile.rows))}" if left > 0 else ""
    card = _lead if entity_key == "lead" else _ticket
    cards = tuple(card(actor, row, may_edit) for row in pile.rows)
    words = fmt.money(actor, total, compact=True) if total else ""
    return BoardColumn(status.value, status.label, TONES[status.kind], fmt.written(pile.count), words, cards, more)


def _lead(actor: Actor, row: Mapping[str, Any], may_edit: bool) -> Card:
    worth = row["estimated_minor"]
    amount = fmt.money(actor, worth, compact=True) if worth is not None else ""
    flag = f"Score {row['score']}" if row["score"] is not None and not isinstance(row["score"], Veil) else ""
    age = fmt.ago(actor, row["created_at"])
    movable = may_edit and row["converted_at"] is None
    return Card(
        row["id"],
        row["version"],
        name_of("lead", row),
        row["company"] or "",
        amount,
        age,
        row.get("owner_id.title") or "",
        flag,
        movable,
    )


def _ticket(actor: Actor, row: Mapping[str, Any], may_edit: bool) -> Card:
    late = row["sla_due_at"] is not None and row["status"] not in DONE and row["sla_due_at"] < fmt.clock.utcnow()
    flag = "Overdue" if late else row["priority"].label if row["priority"] in (Priority.URGENT, Priority.HIGH) else ""
    account, owner = row.get("account_id.title") or "", row.get("owner_id.title") or ""
    age = fmt.ago(actor, row["opened_at"])
    title = row["number"] if row["subject"] == MASK else row["subject"]
    return Card(row["id"], row["version"], title, account, row["number"], age, owner, flag, may_edit)


def _moved(entity_key: str, move: Mapping[str, Any], statuses: Sequence[Status]) -> None:
    """A card was dropped on another status: move it, or ask what that needs."""
    target = next((one for one in statuses if one.value == move["to"]), None)
    if target is None:
        return
    name = load(lists.titles, entity_key, [move["id"]]).get(move["id"])
    if name is None:
        tell(f"This {entity(entity_key).label.lower()} is gone, or no longer shared with you.")
        st.rerun()
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
    if entity_key == "lead" and target.kind is LeadKind.CONVERTED:
        convert_dialog(move["id"], move["version"], load(facts_of, "lead", move["id"])[1])
    elif entity_key == "lead" and target.kind in leads.PASSED_OVER:
        disqualify_dialog(move["id"], move["version"], name, target.kind is LeadKind.RECYCLED, target.value)
    else:
        _put(entity_key, move, name, target, statuses)


def _put(entity_key: str, move: Mapping[str, Any], name: str, target: Status, statuses: Sequence[Status]) -> None:
    """Move the card. When somebody else worked on the record meanwhile, it is moved all the same where its status is as it was; else it is asked whose move
    counts."""
    record_id = move["id"]

    def tried(version: int) -> bool:
        verb, value = (leads.move, target.value) if entity_key == "lead" else (tickets.move, target.kind)
        said = f"{name[:80]} is {target.label.lower()} now." if entity_key == "ticket" else f"{name[:80]} moved to {target.label}."
        return perform(verb, record_id, value, base_version=version, success=fmt.md(said)) is not None

    if tried(move["version"]) or st.session_state.get("_conflict") is None:
        st.rerun()
    now = load(facts_if, entity_key, record_id)
    row = now[1] if now else {}
    if not row or row.get("converted_at") is not None:
        st.rerun()
    hush()
    theirs = row[BOARDS[entity_key]]
    if theirs == move["from"]:
        tried(row["version"])
        st.rerun()
    names = {one.value: one.label for one in statuses}
    places = (target.label, names.get(theirs, "another status"), names.get(move["from"], "another status"))

    def mine(_answer: Any) -> None:
        if tried(row["version"]) or st.session_state.get("_conflict") is not None:
            st.rerun()
        show_refusal()

    moved_twice(name, places, mine)
