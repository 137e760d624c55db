"""The page of programs: keys are made once, shown once, taken back; requests are listed. Everybody has keys of their own on their account page."""

from crm_core.db import read_session, write_session
from crm_core.models import ApiKey, ShopDelivery, ShopLink
from crm_core.services.admin import api_door, api_keys
from crm_core.services.collaboration import webhooks
from crm_core.services.sales import shops
from crm_core.vocabulary import ShopState
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for


def test_a_key_is_made_shown_once_and_taken_back(cast):
    app = open_screen(cast["alice"], "profile")
    assert not app.exception and "No keys yet" in words(app)
    app.button(key="key_first").click().run()
    assert not app.exception and app.text_input(key="key_name").label and app.button(key="key_make").label == "Make the key"
    with write_session() as session:
        key_id, key = api_keys.create(session, cast["alice"], name="Rep<b>ort</b>", scopes=["sales:read"])
    app = open_screen(cast["alice"], "profile")
    assert not app.exception and key not in words(app) and key[:12] in words(app)
    app.button(key=f"key_off_yes_{key_id}").click().run()
    with read_session() as session:
        assert session.get(ApiKey, key_id).revoked_at is not None


def test_an_administrator_sees_all_keys_and_what_was_asked(cast):
    with write_session() as session:
        api_keys.create(session, cast["sam"], name="Robot", scopes=["service:write"])
        _, key = api_keys.create(session, cast["sam"], name="Other", scopes=["service:read"])
        api_door.note(session, api_door.enter(session, key), method="GET", path="/api/v1/tickets", status=200, ms=4)
    app = open_screen(cast["root"], "integrations")
    assert not app.exception and "acts as Sam Agent" in words(app) and "read and write" in words(app)
    app = open_screen(cast["root"], "integrations", area="Requests")
    assert not app.exception and "1 request" in words(app)
    for who in ("alice", "bob", "dana", "sam", "ana"):
        assert screen_of("integrations") not in screens_for(cast[who])


def test_webhooks_are_listed_opened_tested_and_changed(cast):
    app = open_screen(cast["root"], "integrations", area="Webhooks")
    assert not app.exception and "No webhooks yet" in words(app)
    app.button(key="hook_first").click().run()
    assert not app.exception and app.multiselect(key="wh_events_new").options
    with write_session() as session:
        values = {
            "name": "Chat <b>",
            "url": "https://93.184.215.14/x",
            "events": ["deal.won"],
            "filter": {"field": "name", "cmp": "eq", "value": "x"},
        }
        hook = webhooks.save(session, cast["root"], None, values)
    app = open_screen(cast["root"], "integrations", area="Webhooks")
    app.button(key=f"hook_test_{hook.id}").click().run()
    assert not app.exception and [metric.value for metric in app.metric] == ["0", "1", "0", "0"]
    for button in (f"hook_log_{hook.id}", f"hook_change_{hook.id}", f"hook_secret_{hook.id}"):
        app = open_screen(cast["root"], "integrations", area="Webhooks")
        app.button(key=button).click().run()
        assert not app.exception and not app.error, button


def test_shops_are_connected_and_what_needs_a_look_is_listed(cast):
    app = open_screen(cast["root"], "integrations", area="Shops")
    assert not app.exception and "No shops yet" in words(app)
    app.button(key="shop_first").click().run()
    assert not app.exception and app.text_input(key="sh_name_new").label == "Name *"
    values = {
        "name": "Web <b>shop</b>",
        "kind": "woocommerce",
        "owner_id": cast["root"].user_id,
        "cart_minutes": 60,
        "is_active": True,
    }
    with write_session() as session:
        shop = shops.save(session, cast["root"], None, values)
        session.add(ShopDelivery(shop_id=shop.id, delivery_key="1", topic="order.created", state=ShopState.FAILED, message="Why"))
        session.add(ShopLink(shop_id=shop.id, kind="product", external_id="1", title="Case"))
    for button in ("use", "log", "articles", "change"):
        app = open_screen(cast["root"], "integrations", area="Shops")
        assert [metric.value for metric in app.metric] == ["0", "1", "1"]
        app.button(key=f"shop_{button}_{shop.id}").click().run()
        assert not app.exception and not app.error, button
