"""The segment screens: every role, an empty database, a segment with a harmful name."""

import pytest

from crm_core.db import write_session
from crm_core.services import crud
from crm_core.services.marketing import segments
from crm_core.vocabulary import Action
from tests.pages.app import open_screen, rare, words
from tests.pages.sales.test_sales_pages import EVIL
from ui.navigation import screen_of, screens_for


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "segments")
    assert not app.exception and not app.error and "No segments yet" in words(app)
    assert ("New segment" in words(app)) == cast[who].can("segment", Action.CREATE)


def test_an_agent_has_no_segments(cast):
    assert screen_of("segments") not in screens_for(cast["sam"])


@pytest.mark.parametrize("who", ["dana", "alice"])
def test_a_segment_with_a_harmful_name_opens(cast, who):
    with write_session() as session:
        made = segments.create(session, cast["dana"], name=EVIL.strip()[:120], entity="contact")
    app = open_screen(cast[who], "segment", id=made)
    assert not app.exception and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]")


TREE = {
    "op": "and",
    "items": [
        {"field": "city", "cmp": "eq", "value": "Berlin"},
        {"op": "not", "items": [{"op": "or", "items": [{"agg": "count", "rel": "deals", "cmp": "ge", "value": 1}, {"event": "touch.click", "within": "-30d", "cmp": "ge", "value": 2}]}]},
        {"agg": "count", "rel": "purchases", "cmp": "lt", "value": 3, "where": {"field": "order.ordered_at", "cmp": "ge", "value": "-90d"}},
        {"field": "account.industry", "cmp": "empty"},
        {"agg": "sum", "rel": "orders", "field": "total_minor", "cmp": "le", "value": 50_000},
    ],
}  # fmt: skip


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_a_deep_rule_is_drawn_for_every_role_and_counts(cast, who):
    with write_session() as session:
        crud.create(session, cast["dana"], "contact", {"name": "Ida", "city": "Berlin"})
        made = segments.create(session, cast["dana"], name="Deep", entity="contact", rule=TREE)
    app = open_screen(cast[who], "segment", id=made)
    assert not app.exception and not app.error
    assert app.metric[0].value == "1"
    edits = rare(app) & {"edit", "delete"}
    assert edits == ({"edit", "delete"} if who in ("root", "dana") else set())


def test_a_new_segment_is_put_together_and_asks_for_its_name(cast):
    with write_session() as session:
        crud.create(session, cast["dana"], "contact", {"name": "Ida", "city": "Berlin"})
        crud.create(session, cast["dana"], "contact", {"name": "Bo", "city": "Rome"})
    app = open_screen(cast["dana"], "segment")
    assert not app.exception and app.metric[0].value == "2"
    add = next(button for button in app.button if button.key.startswith("rnew_"))
    add.click().run()
    what = next(box for box in app.selectbox if box.key.startswith("rwhat_"))
    what.select("field:city").run()
    assert not app.exception and "1 condition still unfinished" in words(app)
    value = next(box for box in app.text_input if box.key.startswith("rval_"))
    value.input("Berlin").run()
    assert app.metric[0].value == "1"
    app.button(key="save_new").click().run()
    assert not app.exception
    assert "Live: follows the rule" in str(app.radio(key="save_kind").options)


def test_a_rule_in_the_address_prefills_and_a_broken_one_is_left_out(cast):
    app = open_screen(
        cast["dana"], "segment", entity="contact", rule='{"field":"city","cmp":"eq","value":"Berlin"}', name="From a chart"
    )
    assert not app.exception and app.title[0].value == "From a chart" and app.metric[0].value == "0"
    for broken in ("{", '"x"', '{"field":"moon"}', "[" * 500, '{"segment":99}'):
        app = open_screen(cast["dana"], "segment", entity="moon", rule=broken)
        assert not app.exception and not app.error, broken
    assert "left out" in words(app)


def test_somebody_elses_private_segment_and_guessed_ids_look_missing(cast):
    with write_session() as session:
        private = segments.create(session, cast["bob"], name="Mine alone", entity="contact", visibility="private")
    for who, guess in (("dana", private), ("root", private), ("alice", 99), ("alice", "x"), ("alice", 10**20)):
        app = open_screen(cast[who], "segment", id=guess)
        assert not app.exception and len(app.error) == 1 and "Mine alone" not in words(app)


def test_a_static_segment_shows_its_members_and_takes_one_out_of_the_bin(cast):
    with write_session() as session:
        ida = crud.create(session, cast["dana"], "contact", {"name": "Ida"})
        made = segments.create(session, cast["dana"], name="Fixed", entity="contact", kind="static", record_ids=[ida.id])
    app = open_screen(cast["dana"], "segment", id=made)
    assert not app.exception and app.metric[0].value == "1" and "1 contact" in words(app)
    with write_session() as session:
        segments.archive(session, cast["dana"], made)
    app = open_screen(cast["dana"], "segment", id=made)
    assert "in the bin" in words(app)
    app.button(key="restore").click().run()
    assert not app.exception and app.metric[0].value == "1"


def test_a_campaign_begins_as_a_draft_with_the_segment_as_its_audience(cast):
    from crm_core.db import read_session
    from crm_core.services.marketing import plans
    from ui.components.segment_dialogs import _campaign

    dana = cast["dana"]
    with write_session() as session:
        made = segments.create(session, dana, name="S", entity="contact")
    for _click in range(2):
        with write_session() as session:
            campaign = _campaign(session, dana, made, "Spring", "key")
    with read_session() as session:
        assert plans.get(session, dana, campaign).segment_ids == [made]
    app = open_screen(dana, "segment", id=made)
    app.button(key="campaign").click().run()
    assert not app.exception and "nothing is sent before" in words(app)
