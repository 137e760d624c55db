"""What is measured: pages as a person opens them, what they do there, and the bare SQL that fetches the same facts."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.bench.client import Tab

PAGES_GOAL_MS, LISTS_GOAL_MS = 300.0, 150.0

LIST = "select {columns} from {table} where deleted_at is null order by {sort} limit 50"
COUNT = "select count(*){sums} from {table} where deleted_at is null"
RECORD = "select * from {table} where id = {id}"
LOG = "select type, at, actor_id, data from event_log where entity = '{entity}' and record_id = {id} order by id desc limit 50"


@dataclass(frozen=True)
class Case:
    """One measured thing. ``prepare`` brings a tab to where it begins; ``act`` is timed; ``bare`` are the statements beside it."""

    name: str
    goal_ms: float
    act: Callable[[Tab, Random], Coroutine[Any, Any, float]]
    prepare: Callable[[Tab, Random], Coroutine[Any, Any, Any]] | None = None
    bare: tuple[str, ...] = ()
    needs: str = ""


def _open(page: str, **query: Any) -> Callable[[Tab, Random], Coroutine[Any, Any, float]]:
    async def act(tab: Tab, _random: Random) -> float:
        return await tab.open(page, **query)

    return act


def _record(page: str, ids: Sequence[int]) -> Callable[[Tab, Random], Coroutine[Any, Any, float]]:
    async def act(tab: Tab, random: Random) -> float:
        return await tab.open(page, id=random.choice(ids))

    return act


def _search(*words: str) -> Callable[[Tab, Random], Coroutine[Any, Any, float]]:
    async def act(tab: Tab, random: Random) -> float:
        return await tab.set("Search", f"{random.choice(words)}")

    return act


async def _again(tab: Tab, _random: Random) -> float:
    return await tab.again()


async def _turn(tab: Tab, random: Random) -> float:
    """Another page of the list; somebody with a single page draws it again."""
    if "pagination" not in tab.widgets:
        return await tab.again()
    return await tab.set("pagination", random.randint(2, 12))


WORDS = ("luna", "aurora", "machine upgrade", "göteborg", "bellevue", "training", "seeblick", "miramar", "nordlys")
LISTS = {
    "deals": ("deal", "name, account_id, owner_id, stage_id, amount_minor, probability_pct, expected_close_on", "expected_close_on, id", ", sum(amount_minor)"),
    "accounts": ("account", "name, kind, industry, city, owner_id, employees, revenue_minor", "name_sort, id", ""),
    "contacts": ("contact", "name, job_title, account_id, email, phone, owner_id", "name_sort, id", ""),
    "leads": ("lead", "name, company, status_id, source, email, owner_id, created_at", "created_at desc, id", ", sum(estimated_minor)"),
    "tickets": ("ticket", "number, subject, status, priority, account_id, owner_id, opened_at", "opened_at desc, id", ""),
    "orders": ("sales_order", "number, account_id, contact_id, status, ordered_at, total_minor, owner_id", "ordered_at desc, id", ", sum(total_minor)"),
    "products": ("product", "name, sku, category_id, price_minor, is_active", "name_sort, id", ""),
    "campaigns": ("campaign", "name, status, owner_id", "id desc", ""),
}  # fmt: skip
RECORDS = {
    "deal": ("deal", "deal"),
    "account": ("account", "account"),
    "contact": ("contact", "contact"),
    "lead": ("lead", "lead"),
    "ticket": ("ticket", "ticket"),
    "order": ("sales_order", "order"),
    "product": ("product", "product"),
    "campaign": ("campaign", "campaign"),
}


ANALYSES = (
    "segmentation", "personas", "basket", "forecast", "outlook", "attribution", "scoring", "value", "drivers", "truth", "dashboards",
)  # fmt: skip
"""Pages over runs that exist; the two last ones read many runs, or none."""
THREE = {
    "op": "and",
    "items": [
        {"field": "country", "cmp": "ne", "value": "Germany"},
        {"field": "do_not_email", "cmp": "eq", "value": False},
        {"field": "account.kind", "cmp": "eq", "value": "customer"},
    ],
}
THREE_BARE = (
    "select count(*) from contact where deleted_at is null and (country is null or lower(country) <> 'germany') and not do_not_email "
    "and account_id in (select id from account where kind = 'customer')"
)


def cases(ids: Mapping[str, Sequence[int]]) -> list[Case]:
    """All cases for somebody; ``ids``: records of each entity that this person may see. Cases of screens that a person lacks are left out by
    the caller, those of records without any are left out here."""
    found = [
        Case("overview: open", PAGES_GOAL_MS, _open("overview"), needs="overview"),
        Case("overview: again", PAGES_GOAL_MS, _again, _open("overview"), needs="overview"),
        Case("pipeline: open", PAGES_GOAL_MS, _open("pipeline"), needs="pipeline"),
        Case("today: open", PAGES_GOAL_MS, _open("today"), needs="today"),
        Case("audit: open", PAGES_GOAL_MS, _open("audit"), needs="audit"),
    ]
    found.append(
        Case(
            "segment: three conditions",
            PAGES_GOAL_MS,
            _open("segment", entity="contact", rule=json.dumps(THREE)),
            bare=(THREE_BARE,),
            needs="segment",
        )
    )
    found += [Case(f"{page}: open", PAGES_GOAL_MS, _open(page), needs=page) for page in ANALYSES]
    found += [
        Case(f"dashboard {n}: open", PAGES_GOAL_MS, _record("dashboard", [record_id]), needs="dashboard")
        for n, record_id in enumerate(ids.get("dashboard", ()), 1)
    ]
    for page, (table, columns, sort, sums) in LISTS.items():
        bare = (LIST.format(columns=columns, table=table, sort=sort), COUNT.format(table=table, sums=sums))
        found += [
            Case(f"{page}: open", LISTS_GOAL_MS, _open(page), bare=bare, needs=page),
            Case(f"{page}: search", LISTS_GOAL_MS, _search(*WORDS), _open(page), needs=page),
            Case(f"{page}: another page", LISTS_GOAL_MS, _turn, _open(page), bare=bare[:1], needs=page),
        ]
    for page, (table, entity) in RECORDS.items():
        mine = ids.get(entity) or []
        if not mine:
            continue
        bare = (RECORD.format(table=table, id=mine[0]), LOG.format(entity=entity, id=mine[0]))
        found += [
            Case(f"{page}: open", LISTS_GOAL_MS, _record(page, mine), bare=bare, needs=page),
            Case(f"{page}: again", LISTS_GOAL_MS, _again, _record(page, mine), bare=bare, needs=page),
        ]
    return found


DAY = (
    ("today: open", 6), ("deals: open", 16), ("deals: search", 10), ("deals: another page", 8), ("deal: open", 20), ("accounts: open", 6), ("accounts: search", 8),
    ("account: open", 10), ("contacts: search", 6), ("contact: open", 6), ("pipeline: open", 6), ("overview: open", 4), ("tickets: open", 6), ("ticket: open", 8),
)  # fmt: skip
"""What people do in a day, by weight."""
