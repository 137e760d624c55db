"""Workspace settings: checked, logged, protected."""

import pytest
from sqlmodel import select

from crm_core.db import read_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.models import Event
from crm_core.services.admin import custom_fields, organisation
from crm_core.services.customers import contacts
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals
from tests.verbs import do


def test_settings_change_and_the_change_is_logged(any_cast):
    root = any_cast["root"]
    do(
        organisation.update,
        root,
        {"name": "New name", "currency": "EUR", "locale": "de_DE", "timezone": "Europe/Berlin", "fiscal_year_start_month": 4},
    )
    with read_session() as session:
        found = organisation.get(session, root)
        event = session.exec(select(Event).where(Event.type == "organisation.updated")).one()
    assert (found.name, found.currency, found.locale, found.fiscal_year_start_month) == ("New name", "EUR", "de_DE", 4)
    assert event.changes["currency"] == ["USD", "EUR"]


def test_the_currency_stays_once_there_are_amounts(cast):
    do(deals.create, cast["alice"], {"name": "d"})
    with pytest.raises(Invalid, match="amounts in it"):
        do(organisation.update, cast["root"], {"currency": "EUR"})


def test_any_amount_keeps_the_currency(any_cast):
    root = any_cast["root"]
    made = do(campaigns.create, root, {"name": "Fair"})
    do(custom_fields.create, root, "contact", label="Credit", kind="money")
    person = do(contacts.create, root, {"name": "Ann"})
    do(organisation.update, root, {"currency": "EUR"})
    do(campaigns.update, root, made.id, {"budget_minor": 100})
    with pytest.raises(Invalid, match="amounts in it"):
        do(organisation.update, root, {"currency": "USD"})
    do(campaigns.update, root, made.id, {"budget_minor": None})
    do(contacts.update, root, person.id, {"x_credit": "5"})
    with pytest.raises(Invalid, match="amounts in it"):
        do(organisation.update, root, {"currency": "USD"})


def test_the_limit_of_one_contact_keeps_its_number_in_a_currency_without_cents(cast):
    do(organisation.update, cast["root"], {"single_threaded_minor": 500_000})
    assert do(organisation.update, cast["root"], {"currency": "JPY"}).single_threaded_minor == 5_000


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"currency": "XXZ1"},
        {"timezone": "Mars/Olympus"},
        {"locale": "xx_YY"},
        {"fiscal_year_start_month": 13},
        {"phone_region": "Germany"},
        {"single_threaded_minor": -1},
        {"tax_rate_pct": 101},
        {"working_hours": {"0": [["17:00", "09:00"]]}},
        {"working_hours": {"0": [["09:00", "12:00"], ["11:00", "13:00"]]}},
        {"working_hours": {}},
        {"is_demo": True},
    ],
)
def test_nonsense_is_refused(cast, change):
    with pytest.raises(Invalid):
        do(organisation.update, cast["root"], change)


def test_a_stale_page_and_a_stranger_change_nothing(cast):
    with pytest.raises(Conflict):
        do(organisation.update, cast["root"], {"name": "x"}, base_version=99)
    for who in ("bob", "alice", "ana"):
        with pytest.raises(NotPermitted):
            do(organisation.update, cast[who], {"name": "x"})
