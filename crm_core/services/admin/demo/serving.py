"""Tickets with their conversations. Customers who had trouble complain in the months before they leave: the planted driver of churn."""

from typing import Any

import numpy as np

from crm_core.services.admin.demo.draft import US_PER_SECOND, Array, Draft, only, pick
from crm_core.services.admin.demo.words import words

CATEGORIES = ("Question", "Problem", "Complaint", "Return", "Billing", "Feature request")
USUAL = (0.34, 0.30, 0.08, 0.09, 0.14, 0.05)
TROUBLED = (0.08, 0.34, 0.42, 0.06, 0.08, 0.02)
CHANNELS = ("email", "phone", "form", "chat", "social", "person")
CHANNEL_SHARE = (0.52, 0.22, 0.12, 0.08, 0.04, 0.02)
SERIALS_KNOWN = 0.6
LEVELS = ("low", "medium", "high")
PRIORITY = (("low", "low", "normal"), ("low", "normal", "high"), ("normal", "high", "urgent"))


def add(draft: Draft) -> None:
    """Tickets in the order of their opening, and what was written."""
    rng, n, known = draft.stream(10), draft.sizes.tickets, draft.known
    account, troubled, offset = _who_and_when(draft, rng, n)
    day = draft.day(offset)
    opened = np.minimum(draft.at(day, rng), draft.instant - np.timedelta64(20, "m"))
    order = np.argsort(opened, kind="stable")
    account, troubled, opened = account[order], troubled[order], opened[order]
    category = np.where(troubled, rng.choice(6, n, p=TROUBLED), rng.choice(6, n, p=USUAL))
    template = rng.integers(0, 12, n)
    owner = rng.choice(known["agents"], n)
    first, solved, status = _course(draft, rng, opened, troubled)
    impact = np.minimum(rng.choice(3, n, p=[0.35, 0.45, 0.2]) + (troubled & (rng.random(n) < 0.4)), 2)
    urgency = rng.choice(3, n, p=[0.3, 0.5, 0.2])
    owner = np.where(status == "new", 0, owner)
    texts: list[Any] = [words("texts")["tickets"][name] for name in CATEGORIES]
    chosen = [texts[c][t % len(texts[c])] for c, t in zip(category.tolist(), template.tolist(), strict=True)]
    never = np.datetime64("NaT", "us")
    closed = np.where(status == "closed", solved + np.timedelta64(7, "D"), never)
    machines = np.flatnonzero(known["category"] == known["themes"][0])
    contact = known["contact_start"][account] + (rng.random(n) * known["contact_count"][account]).astype(int)
    product = np.where(category == CATEGORIES.index("Problem"), rng.choice(machines, n) + 1, 0)
    again = ~np.isnat(solved) & (rng.random(n) < 0.05)
    more = _more_answers(draft, solved, again, troubled)
    draft.put(
        "ticket",
        number=[f"T-{i:06d}" for i in range(1, n + 1)],
        subject=[text[0] for text in chosen],
        status=status,
        impact=np.array(LEVELS, dtype=object)[impact],
        urgency=np.array(LEVELS, dtype=object)[urgency],
        priority=np.array(PRIORITY, dtype=object)[impact, urgency],
        category=np.array(CATEGORIES, dtype=object)[category],
        channel=pick(draft.stream(37), CHANNELS, n, CHANNEL_SHARE),
        account_id=account + 1,
        contact_id=contact + 1,
        product_id=product,
        serial_number=_serials(draft, account, product),
        owner_id=owner,
        team_id=known["support_team"],
        opened_at=opened,
        first_response_at=first,
        solved_at=solved,
        closed_at=closed,
        reopened_count=again.astype(int),
        first_solved_at=np.where(again, first + (solved - first) // 4, solved),
        answer_count=(~np.isnat(first)).astype(int) + more,
        created_at=opened,
        updated_at=np.fmax(np.fmax(opened, first), solved),
    )
    _messages(draft, rng, chosen, contact)
    _log(draft)


def _serials(draft: Draft, account: Array, product: Array) -> Array:
    """The number on the machine, where the customer read it off: one machine of a kind at each customer, so that its troubles are found together."""
    numbers = [f"NK{p:02d}-{a * 37 % 9_973 + 10_000}" for a, p in zip(account.tolist(), product.tolist(), strict=True)]
    return only((product > 0) & (draft.stream(39).random(len(product)) < SERIALS_KNOWN), np.array(numbers, dtype=object))


def _who_and_when(draft: Draft, rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """Account, whether the ticket tells of the planted trouble, and day offset."""
    known = draft.known
    gone = np.flatnonzero(known["trouble"] & np.isfinite(known["left"]) & (known["left"] > -900))
    planted = np.repeat(gone, 2)[: n // 3]
    weight = np.where(known["buys"], 1.0, 0.05)
    usual = rng.choice(draft.sizes.accounts, n - len(planted), p=weight / weight.sum())
    before = known["left"][planted] - rng.uniform(5, 85, len(planted))
    low = np.maximum(known["first"][usual], -1_000)
    high = np.minimum(known["left"][usual], 0)
    recent = rng.random(len(usual)) < 0.22
    start = np.where(recent, np.maximum(low, -21), low)
    spread = np.where(high > start, start + rng.random(len(usual)) * (high - start), low)
    offset = np.concatenate([before, spread])
    return (
        np.concatenate([planted, usual]),
        np.repeat([True, False], [len(planted), len(usual)]),
        np.minimum(np.floor(offset), -1).astype(int),
    )


def _course(draft: Draft, rng: np.random.Generator, opened: Array, troubled: Array) -> tuple[Array, Array, Array]:
    """First response, solution and status; what would lie in the future has not happened."""
    n, never = len(opened), np.datetime64("NaT", "us")
    slow = np.where(troubled, 1.0, 0.0)
    first_hours, more_hours = np.exp(rng.normal(0.9 + 0.7 * slow, 0.9, n)), np.exp(rng.normal(3.0 + 0.8 * slow, 1.0, n))
    first = opened + _hours(first_hours)
    solved = first + _hours(more_hours)
    stuck = rng.random(n) < np.where(opened > draft.instant - np.timedelta64(40, "D"), 0.25, 0.004)
    first = np.where(first < draft.instant, first, never)
    solved = np.where((solved < draft.instant) & ~stuck & ~np.isnat(first), solved, never)
    waiting = pick(rng, ("open", "waiting_customer", "waiting_third"), n, (0.5, 0.35, 0.15))
    status = np.where(np.isnat(first), "new", np.where(np.isnat(solved), waiting, "solved")).astype(object)
    status[~np.isnat(solved) & (solved < draft.instant - np.timedelta64(7, "D"))] = "closed"
    return first, solved, status


def _more_answers(draft: Draft, solved: Array, again: Array, troubled: Array) -> Array:
    """1 where it took a second answer: always after a re-opening, more often where there was trouble."""
    drawn = draft.stream(31).random(len(solved))
    return (~np.isnat(solved) & (again | (drawn < np.where(troubled, 0.45, 0.24)))).astype(int)


def _hours(hours: Array) -> Array:
    return (np.round(hours * 3_600) * US_PER_SECOND).astype("timedelta64[us]")


def _messages(draft: Draft, rng: np.random.Generator, chosen: list[Any], contact: Array) -> None:
    """The customer's question, the answer, sometimes a note and a last word; by time within each ticket."""
    ticket, n = draft.tables["ticket"], len(chosen)
    number, people = ticket["id"], draft.tables["contact"]["name"]
    answered, ended = ~np.isnat(ticket["first_response_at"]), ~np.isnat(ticket["solved_at"])
    noted, thanked = answered & (rng.random(n) < 0.2), ended & (rng.random(n) < 0.45)
    minute = np.timedelta64(60, "s")
    parts = [
        (np.ones(n, dtype=bool), ticket["opened_at"], "inbound", [text[1] for text in chosen]),
        (noted, ticket["first_response_at"] - minute, "internal", pick(rng, words("texts")["internal_notes"], n)),
        (answered, ticket["first_response_at"], "outbound", [text[2] for text in chosen]),
        (
            ticket["answer_count"] > 1,
            ticket["solved_at"] - 2 * minute,
            "outbound",
            pick(draft.stream(32), words("texts")["second_answers"], n),
        ),
        (thanked, ticket["solved_at"] - minute, "inbound", pick(rng, words("texts")["follow_ups"], n)),
    ]
    who = np.concatenate([number[rows] for rows, *_ in parts])
    at = np.concatenate([when[rows] for rows, when, *_ in parts])
    direction = np.concatenate([np.full(int(rows.sum()), word, dtype=object) for rows, _, word, _ in parts])
    body = np.concatenate([np.array(text, dtype=object)[rows] for rows, _, _, text in parts])
    order = np.argsort(at, kind="stable")
    who, at, direction, body = who[order], at[order], direction[order], body[order]
    inbound = direction == "inbound"
    names = np.array(people, dtype=object)[contact[who - 1]]
    draft.put(
        "ticket_message",
        ticket_id=who,
        direction=direction,
        body=body,
        at=at,
        author_id=np.where(inbound, 0, ticket["owner_id"][who - 1]),
        author_name=only(inbound, names),
        created_at=at,
        updated_at=at,
    )


def _log(draft: Draft) -> None:
    ticket = draft.tables["ticket"]
    again = ticket["reopened_count"] > 0
    midway = ticket["first_response_at"] + (ticket["solved_at"] - ticket["first_response_at"]) // 2
    draft.happened("ticket.reopened", "ticket", ticket["id"][again], midway[again], account_id=ticket["account_id"][again])
    for event, column in (("ticket.created", "opened_at"), ("ticket.replied", "first_response_at"), ("ticket.solved", "solved_at")):
        rows = ~np.isnat(ticket[column])
        actor = np.where(event == "ticket.created", 0, ticket["owner_id"])[rows]
        draft.happened(
            event, "ticket", ticket["id"][rows], ticket[column][rows], account_id=ticket["account_id"][rows], actor_id=actor
        )
