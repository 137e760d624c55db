"""Contracts whose day comes soon: who is in the list, by which day, and what a task says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.errors import NotPermitted
from crm_core.kit import clock
from crm_core.models import Order
from crm_core.services.analytics import renewals
from crm_core.services.customers import accounts
from tests.verbs import do, look


def test_the_next_day_of_a_contract_counts_whoever_may_see_the_company(any_cast):
    root, alice, today = any_cast["root"], any_cast["alice"], clock.today()
    said = {
        "renews": {"renews_on": today + timedelta(days=40)},
        "ends": {"renews_on": today + timedelta(days=400), "customer_until": today + timedelta(days=10)},
        "today": {"renews_on": today},
        "later": {"renews_on": today + timedelta(days=91)},
        "forgotten": {"renews_on": today - timedelta(days=3)},
        "left": {"renews_on": today + timedelta(days=5), "customer_until": today},
        "none": {},
    }
    owner = {"owner_id": alice.user_id}
    made = {name: do(accounts.create, root, {"name": name, **owner, **values}).id for name, values in said.items()}
    found = look(renewals.page, root)
    assert [(row.title, row.ends) for row in found.rows] == [("today", False), ("ends", True), ("renews", False)]
    assert (found.total, found.rows[0].owner, found.rows[0].revenue_minor) == (3, alice.name, 0)
    assert [row.title for row in look(renewals.page, root, window="past").rows] == ["forgotten"]
    assert [row.title for row in look(renewals.page, root, window="365", start=20, size=2).rows] == ["renews", "later"]
    assert look(renewals.ids, root, window="30") == [made["today"], made["ends"]]
    assert look(renewals.ids, root, mine=True) == [] and len(look(renewals.ids, alice, mine=True)) == 3
    with pytest.raises(NotPermitted):
        look(renewals.page, replace(root, grants={}))


def test_a_task_says_the_day_and_what_the_company_brought_in(cast):
    root, today = cast["root"], clock.today()
    made = do(accounts.create, root, {"name": "A", "renews_on": today + timedelta(days=9)}).id
    do(
        lambda s, a: s.add(Order(number="O1", ordered_at=clock.utcnow(), total_minor=123_400, account_id=made, status="placed")),
        root,
    )
    note = look(renewals.notes, root, 0, [made])[made]
    assert f"renews on {today + timedelta(days=9)}" in note and "1,234 USD" in note
    do(accounts.update, root, made, {"renews_on": today - timedelta(days=9)})
    assert f"was to renew on {today - timedelta(days=9)}" in look(renewals.notes, root, 0, [made])[made], (
        "a day gone by is no day to come"
    )
    masked = replace(root, masks=frozenset({("account", "renews_on")}))
    assert renewals.hidden(masked)
    with pytest.raises(NotPermitted, match="hidden from your role"):
        look(renewals.notes, masked, 0, [made])
