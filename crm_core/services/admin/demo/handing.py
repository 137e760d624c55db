"""Hand-overs of the demo company: some wait, one came back, some accounts changed hands a while ago."""

from typing import Any

import numpy as np

from crm_core.services.admin.demo.draft import Array, Draft
from crm_core.services.customers.handover_rules import CHECKLISTS, Item
from crm_core.vocabulary import HandoverCheck, HandoverEdge

NOTES = (
    "They order every second week and call before they do. Two machines are on trial until the end of the month.",
    "Price list B was promised for a year. Invoices go to the head office, not to the site.",
    "The new site opens soon; training for the staff was offered and not yet dated.",
)
REASON = "The contract is not attached, and nobody there knows our name yet."
SHARE, LEAST = 0.02, 8
STATES = ("pending", "pending", "pending", "declined", "accepted", "accepted", "accepted", "accepted")


def add(draft: Draft) -> None:
    """Hand-overs of customers from sales to service, and earlier ones between colleagues; their state stands on the accounts."""
    rng, accounts = draft.stream(17), draft.tables["account"]
    customers = np.flatnonzero(np.array(accounts["kind"], dtype=object) == "customer")
    n = min(len(customers), max(LEAST, int(draft.sizes.accounts * SHARE)))
    chosen = np.sort(rng.choice(customers, n, replace=False))
    state = np.resize(np.array(STATES, dtype=object), n)
    old = state == "accepted"
    owner = draft.known["owner"][chosen]
    giver = np.where(old, _colleagues(draft, rng, owner), owner)
    taker = np.where(old, owner, rng.choice(draft.known["agents"], n))
    days = np.where(old, rng.integers(40, 200, n), rng.integers(1, 9, n))
    offered = draft.at(draft.business_day(-days), rng)
    decided = np.where(state == "pending", np.datetime64("NaT", "us"), np.minimum(offered + np.timedelta64(1, "D"), draft.instant))
    edges = np.where(old, HandoverEdge.COLLEAGUES.value, HandoverEdge.SALES_SERVICE.value).astype(object)
    draft.put(
        "handover", account_id=chosen + 1, from_user_id=giver, to_user_id=taker, edge=edges, state=state,
        note=np.resize(np.array(NOTES, dtype=object), n), reason=np.where(state == "declined", REASON, "").astype(object),
        decided_at=decided, created_at=offered, updated_at=np.where(np.isnat(decided), offered, decided),
    )  # fmt: skip
    _items(draft, chosen, edges, state, giver, offered)
    _on_accounts(draft, chosen, state, np.where(np.isnat(decided), offered, decided))


def _colleagues(draft: Draft, rng: np.random.Generator, owner: Array) -> Array:
    """Another rep than the owner, where there is one."""
    reps = draft.known["reps"]
    place = np.searchsorted(reps, owner)
    return reps[(place + rng.integers(1, max(2, len(reps)), len(owner))) % len(reps)]


def _items(draft: Draft, chosen: Array, edges: Array, state: Array, giver: Array, offered: Array) -> None:
    told = _told(draft)
    rows: list[tuple[Any, ...]] = []
    for number, (account, edge, now, who, at) in enumerate(
        zip(chosen.tolist(), edges, state, giver.tolist(), offered, strict=True), 1
    ):
        for position, item in enumerate(CHECKLISTS[HandoverEdge(edge)]):
            done = _done(item, account, now, position, told)
            rows.append(
                (number, position, item.label, item.looks_at.value, item.required, done, who if done else 0, at if done else None)
            )
    keys = ("handover_id", "position", "label", "looks_at", "required", "done", "done_by_id", "done_at")
    columns: dict[str, Any] = {key: list(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)}
    columns["done_by_id"] = np.array(columns["done_by_id"])
    columns["done_at"] = np.array([np.datetime64("NaT", "us") if at is None else at for at in columns["done_at"]])
    draft.put("handover_item", **columns)


def _told(draft: Draft) -> dict[HandoverCheck, set[int]]:
    """Which accounts (from 0) have a contact with goals, and which one with a preference."""
    contact = draft.tables["contact"]
    account = np.asarray(contact["account_id"]) - 1
    goals = np.array([bool(text) for text in contact["goals"]])
    wishes = np.array([bool(text) for text in contact["language"]]) | (np.asarray(contact["preferred_channel"]) != "any")
    return {HandoverCheck.GOALS: set(account[goals].tolist()), HandoverCheck.PREFERENCES: set(account[wishes].tolist())}


def _done(item: Item, account: int, state: str, position: int, told: dict[HandoverCheck, set[int]]) -> bool:
    if item.looks_at is not HandoverCheck.MANUAL:
        return account in told[item.looks_at]
    return state == "accepted" or position % 2 == 0


def _on_accounts(draft: Draft, chosen: Array, state: Array, at: Array) -> None:
    accounts = draft.tables["account"]
    states = np.full(draft.sizes.accounts, None, dtype=object)
    since = np.full(draft.sizes.accounts, np.datetime64("NaT", "us"))
    states[chosen], since[chosen] = state, at
    accounts["handover_state"], accounts["handover_at"] = states, since
