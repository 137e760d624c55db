"""What a role may not read is nowhere on a page: every field that can be hidden is hidden at once, and every screen still stands."""

import pytest
from sqlmodel import Session, select

from crm_core.access import load as load_actor
from crm_core.access.permissions import RECORDS
from crm_core.db import read_session, write_session
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.models import RoleFieldMask, UserRole
from crm_core.services import crud
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals, orders
from tests.pages.app import open_screen, words

SECRET = 7_654_321
"""An amount that no other figure of the test makes by chance."""
SHOWN = "76,543"
PAGES = {
    "deal": "deal",
    "account": "account",
    "contact": "contact",
    "lead": "lead",
    "order": "order",
    "product": "product",
    "campaign": "campaign",
}


def hide_everything(session: Session, user_id: int) -> None:
    roles = session.exec(select(UserRole.role_id).where(UserRole.user_id == user_id)).all()
    hidden = [(entity, spec.key) for entity in RECORDS for spec in registry(session, entity).values() if spec.maskable]
    for role_id in roles:
        known = {(row.entity, row.field_key) for row in session.exec(select(RoleFieldMask).where(RoleFieldMask.role_id == role_id))}
        new = [mask for mask in hidden if mask not in known]
        session.add_all(RoleFieldMask(role_id=role_id, entity=entity, field_key=key) for entity, key in new)


@pytest.fixture
def company(cast):
    """One record of each kind with money on it, and Ana, who may read none of its fields that can be hidden."""
    root, made = cast["root"], {}
    with write_session() as session:
        product = crud.create(session, root, "product", {"name": "Thing", "price_minor": SECRET, "cost_minor": SECRET})
        account = crud.create(session, root, "account", {"name": "Firm", "revenue_minor": SECRET})
        contact = crud.create(
            session, root, "contact", {"name": "Somebody", "email": "some@body.example", "account_id": account.id}
        )
        lead = crud.create(session, root, "lead", {"name": "Interested", "email": "lead@body.example", "estimated_minor": SECRET})
        campaign = crud.create(session, root, "campaign", {"name": "Spring", "budget_minor": SECRET})
        campaigns.set_channels(
            session, root, campaign.id, [{"channel": "email", "planned_cost_minor": SECRET, "actual_cost_minor": SECRET}]
        )
        links = {"account_id": account.id, "contact_id": contact.id, "campaign_id": campaign.id, "owner_id": root.user_id}
        deal = crud.create(
            session, root, "deal", {"name": "Chance", "amount_minor": SECRET, "expected_close_on": clock.today(), **links}
        )
        deals.set_lines(session, root, deal.id, [{"product_id": product.id}])
        order = crud.create(session, root, "order", {"status": "placed", **links})
        orders.set_lines(session, root, order.id, [{"product_id": product.id}])
        won = crud.create(session, root, "deal", {"name": "Done", "amount_minor": SECRET, **links})
        deals.win(session, root, won.id, create_order=False)
        hide_everything(session, cast["ana"].user_id)
        made = {
            "product": product.id,
            "account": account.id,
            "contact": contact.id,
            "lead": lead.id,
            "campaign": campaign.id,
            "deal": deal.id,
            "order": order.id,
        }
    with read_session() as session:
        return made, load_actor(session, cast["ana"].user_id)


@pytest.mark.parametrize("entity", PAGES)
def test_a_record_page_without_its_hidden_fields_stands_and_tells_no_amount(company, entity):
    made, ana = company
    app = open_screen(ana, PAGES[entity], id=made[entity])
    assert not app.exception and not app.error
    shown = words(app) + "".join(str(element.proto) for element in app.get("bidi_component"))
    assert SHOWN not in shown and "body.example" not in shown
    assert "$153" not in shown and "153K" not in shown, "a sum of hidden amounts"


@pytest.mark.parametrize("url", ["pipeline", "deals", "orders", "campaigns", "leads", "today", "products"])
def test_a_list_without_its_hidden_fields_stands_and_tells_no_amount(company, url):
    _, ana = company
    app = open_screen(ana, url)
    assert not app.exception and not app.error
    shown = words(app) + "".join(str(element.proto) for element in app.get("bidi_component"))
    assert SHOWN not in shown and "77K" not in shown and "body.example" not in shown
    assert url != "pipeline" or "weighted" not in shown, "no words about a sum that is not there"


def test_the_same_pages_tell_the_amounts_to_somebody_who_may_read_them(company, cast):
    made, _ = company
    app = open_screen(cast["root"], "deal", id=made["deal"])
    shown = words(app) + "".join(str(element.proto) for element in app.get("bidi_component"))
    assert SHOWN in shown
