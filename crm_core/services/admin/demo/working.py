"""What the people of the demo company did and have to do: activities and tasks, some of them due today or late."""

import numpy as np

from crm_core.services.admin.demo.draft import OPENS_AT, US_PER_SECOND, Array, Draft, maybe, only, pick
from crm_core.services.admin.demo.words import words

KINDS = ("call", "email", "meeting", "note")
OUTCOMES = ("reached", "no_answer", "voicemail", "call_back", "wrong_number")


def add_activities(draft: Draft) -> None:
    """Calls, e-mails, meetings and notes on deals, companies and leads; a deal's last one is written on the deal."""
    rng, n, known = draft.stream(15), draft.sizes.activities, draft.known
    where = rng.choice(3, n, p=[0.68, 0.22, 0.10])
    deal, account = rng.integers(0, draft.sizes.deals, n), rng.integers(0, draft.sizes.accounts, n)
    lead = rng.integers(0, draft.sizes.leads, n)
    on_deal, on_account, on_lead = where == 0, where == 1, where == 2
    begin = np.where(
        on_deal,
        known["deal_created"][deal],
        np.where(on_account, known["joined"][account].astype("datetime64[us]"), known["lead_created"][lead]),
    )
    last = np.where(on_deal & known["done"][deal], known["deal_since"][deal], draft.instant - np.timedelta64(1, "h"))
    span = np.maximum((last - begin).astype("timedelta64[s]").astype(np.int64), 1)
    raw = begin + (rng.random(n) * span * US_PER_SECOND).astype("timedelta64[us]")
    at = np.clip(draft.at(np.busday_offset(raw.astype("datetime64[D]"), 0, roll="backward"), rng), begin, last)
    kind = rng.choice(4, n, p=[0.42, 0.26, 0.18, 0.14])
    owner = np.where(on_deal, known["deal_owner"][deal], np.where(on_account, known["owner"][account], known["lead_owner"][lead]))
    account_id = np.where(on_deal, known["deal_account"][deal] + 1, np.where(on_account, account + 1, 0))
    contact_id = np.where(on_deal, known["deal_contact"][deal] + 1, np.where(on_account, known["contact_start"][account] + 1, 0))
    order = np.argsort(at, kind="stable")
    subject, body = _subjects(rng, kind), maybe(rng, pick(rng, words("texts")["bodies"], n), 0.45)
    minutes = np.where(kind == 0, rng.integers(2, 25, n), rng.integers(3, 9, n) * 15)
    outcome = only(kind == 0, pick(rng, OUTCOMES, n, (0.6, 0.2, 0.1, 0.08, 0.02)))
    in_vain = np.isin(outcome.astype(str), ("no_answer", "voicemail", "wrong_number"))  # nothing was talked about, nor for how long
    columns = {
        "kind": np.array(KINDS, dtype=object)[kind],
        "subject": subject,
        "body": only(~in_vain, body),
        "at": at,
        "minutes": only(((kind == 0) & ~in_vain) | (kind == 2), minutes),
        "outcome": outcome,
        "account_id": account_id,
        "contact_id": contact_id,
        "deal_id": np.where(on_deal, deal + 1, 0),
        "lead_id": np.where(on_lead, lead + 1, 0),
        "owner_id": np.where(owner == 0, known["reps"][0], owner),
        "created_at": at,
        "updated_at": at,
    }
    draft.put("activity", **{key: values[order] for key, values in columns.items()})
    _last(draft, "last_activity_at", deal[on_deal], at[on_deal])
    both = on_deal & (kind != KINDS.index("note")) & ~in_vain
    _last(draft, "last_contact_at", deal[both], at[both])


def _subjects(rng: np.random.Generator, kind: Array) -> Array:
    texts = words("texts")
    lists = [texts[key] for key in ("calls", "emails", "meetings", "notes")]
    draw = rng.integers(0, 1_000, len(kind)).tolist()
    subjects = np.empty(len(kind), dtype=object)
    subjects[:] = [lists[k][d % len(lists[k])] for k, d in zip(kind.tolist(), draw, strict=True)]
    return subjects


def _last(draft: Draft, column: str, deal: Array, at: Array) -> None:
    never = np.iinfo(np.int64).min
    last = np.full(draft.sizes.deals, never)
    np.maximum.at(last, deal, at.astype(np.int64))
    draft.tables["deal"][column] = np.where(last == never, np.datetime64("NaT", "us"), last.astype("datetime64[us]"))


def add_tasks(draft: Draft) -> None:
    """Tasks in turn for every sales rep and support agent: a third done, the rest late, due today or soon."""
    rng, n, known = draft.stream(16), draft.sizes.tasks, draft.known
    helpers = np.concatenate([known["reps"], known["reps"], known["agents"]])
    owner = np.resize(helpers, n)
    turn = np.arange(n) // len(helpers)
    due_in = np.where(turn % 4 == 0, 0, np.where(turn % 4 == 1, -rng.integers(1, 9, n), rng.integers(1, 15, n)))
    done = turn % 3 == 2
    due_in = np.where(done, -rng.integers(1, 60, n), due_in)
    hour = (OPENS_AT + rng.integers(0, 18, n) * 1_800) * US_PER_SECOND
    due = draft.day(due_in).astype("datetime64[us]") + hour.astype("timedelta64[us]")
    made = np.minimum(draft.at(draft.day(np.minimum(due_in, 0) - rng.integers(1, 9, n)), rng), draft.instant)
    deal, ticket = _subject_of(draft, rng, owner)
    of_ticket = np.where(ticket > 0, draft.tables["ticket"]["account_id"][np.maximum(ticket - 1, 0)], 0)
    account_id = np.where(deal > 0, known["deal_account"][np.maximum(deal - 1, 0)] + 1, of_ticket)
    draft.put(
        "task",
        subject=pick(rng, words("texts")["tasks"], n),
        status=np.where(done, "done", "open").astype(object),
        priority=pick(rng, ("low", "normal", "high", "urgent"), n, (0.15, 0.55, 0.24, 0.06)),
        due_at=due,
        done_at=np.where(done, np.maximum(due, made), np.datetime64("NaT", "us")),
        account_id=account_id,
        deal_id=deal,
        ticket_id=ticket,
        owner_id=owner,
        created_at=made,
        updated_at=made,
    )
    ids = draft.tables["task"]["id"]
    draft.happened("task.created", "task", ids, made, actor_id=owner, account_id=account_id)


def _subject_of(draft: Draft, rng: np.random.Generator, owner: Array) -> tuple[Array, Array]:
    """An open deal of the owner, or for support agents one of their tickets."""
    open_deals = np.flatnonzero(~draft.known["done"])
    deal, ticket = np.zeros(len(owner), dtype=int), np.zeros(len(owner), dtype=int)
    tickets = draft.tables["ticket"]
    waiting = np.flatnonzero(np.isnat(tickets["solved_at"]) & (tickets["owner_id"] > 0))
    for person in np.unique(owner).tolist():
        rows = np.flatnonzero(owner == person)
        own = open_deals[draft.known["deal_owner"][open_deals] == person]
        asked = waiting[tickets["owner_id"][waiting] == person]
        if len(own):
            deal[rows] = rng.choice(own, len(rows)) + 1
        elif len(asked):
            ticket[rows] = rng.choice(asked, len(rows)) + 1
    return deal, ticket
