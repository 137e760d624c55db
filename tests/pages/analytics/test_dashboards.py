"""Dashboard pages: every role, an empty workspace, tiles added and undone, somebody else's dashboard, past days."""

import pytest
import streamlit as st

from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.services.analytics import dashboard_starts, dashboards, home_pages
from crm_core.services.sales import deals
from crm_core.vocabulary import ShownTo
from tests.crm_core.services.analytics.company import fill
from tests.pages.app import open_screen, words

PEOPLE = ["root", "bob", "alice", "charlie", "dana", "sam", "ana"]


@pytest.fixture(autouse=True)
def nothing_remembered():
    st.cache_data.clear()


def board(actor, start="sales", **more):
    with write_session() as session:
        return dashboards.create(session, actor, name="Mine", tiles=dashboard_starts.tiles_for(actor, start), **more)


@pytest.mark.parametrize("who", PEOPLE)
def test_every_role_opens_the_pages_of_an_empty_workspace(cast, who):
    for url in ("dashboards", "report"):
        app = open_screen(cast[who], url)
        assert not app.exception and not app.error
    assert "No dashboards yet" in words(open_screen(cast[who], "dashboards"))


@pytest.mark.parametrize("who", PEOPLE)
def test_every_role_sees_every_proposal_with_records_and_without(cast, who):
    actor = cast[who]
    for key in dashboard_starts.offered(actor):
        app = open_screen(actor, "dashboard", id=board(actor, key))
        assert not app.exception and not app.error, (key, app.exception)
    fill(cast, 4, size=60)
    for key in dashboard_starts.offered(actor):
        app = open_screen(actor, "dashboard", id=board(actor, key), period="All")
        assert not app.exception and not app.error, (key, app.exception)


def test_tiles_are_copied_removed_and_brought_back_in_place(cast):
    actor = cast["alice"]
    made = board(actor)
    with read_session() as session:
        first = dashboards.tiles(session, actor, made)[0]
    app = open_screen(actor, "dashboard", id=made, edit=1)
    app.button(f"double_{first.id}").click().run()
    assert not app.exception
    with read_session() as session:
        assert [tile.spec["metric"] for tile in dashboards.tiles(session, actor, made)][:2] == ["revenue_won", "revenue_won"]
    app.button(f"remove_{first.id}").click().run()
    app.button("undo").click().run()
    app.button("undo").click().run()
    with read_session() as session:
        assert dashboards.tiles(session, actor, made)[0].id == first.id
        assert len(dashboards.tiles(session, actor, made)) == 8
    assert not app.exception


def test_a_private_dashboard_looks_missing_to_everybody_else(cast):
    made = board(cast["alice"])
    app = open_screen(cast["root"], "dashboard", id=made)
    assert "does not exist" in words(app)
    assert "does not exist" in words(open_screen(cast["root"], "dashboard", id="7); drop"))


def test_a_past_day_says_what_it_can_and_what_it_can_not_rebuild(cast):
    fill(cast, 6, size=60)
    actor = cast["root"]
    app = open_screen(actor, "dashboard", id=board(actor, "team"), as_of="2026-01-10")
    assert not app.exception and not app.error
    assert "can't be rebuilt for a past day" in words(app).replace("’", "'")


def test_a_role_starts_with_the_dashboard_it_was_given_and_a_person_with_their_own_choice(cast):
    made = board(cast["root"], shown_to=ShownTo.SHARED)
    with write_session() as session:
        roles = {name: key for key, name in home_pages.roles(session, cast["root"]).items()}
        home_pages.set_for_role(session, cast["root"], roles["Sales rep"], made)
        with pytest.raises(NotPermitted):
            home_pages.set_for_role(session, cast["bob"], roles["Manager"], made)
    with write_session() as session:
        assert home_pages.target(session, cast["alice"]) == ("dashboard", made)
        assert home_pages.target(session, cast["dana"]) == ("", None)
        home_pages.choose(session, cast["alice"], page="overview")
        assert home_pages.target(session, cast["alice"]) == ("overview", None)
        dashboards.archive(session, cast["root"], made)
        assert home_pages.target(session, cast["charlie"]) == ("", None)


def test_a_rep_can_neither_show_to_others_nor_open_the_page_of_links(cast):
    with write_session() as session, pytest.raises(NotPermitted):
        dashboards.create(session, cast["alice"], name="x", shown_to=ShownTo.SHARED)
    app = open_screen(cast["alice"], "dashboard", id=board(cast["alice"]))
    assert "share" not in [button.key for button in app.button]


def test_a_filter_in_a_tile_that_a_role_may_not_use_is_refused_in_words(cast):
    spec = {
        "metric": "new_leads",
        "by": "",
        "chart": "number",
        "filter": {"op": "and", "items": [{"field": "name", "cmp": "contains", "value": "a"}]},
    }
    with write_session() as session:
        made = dashboards.create(
            session, cast["dana"], name="Leads", shown_to=ShownTo.SHARED, tiles=[{"kind": "figure", "spec": spec}]
        )
    app = open_screen(cast["ana"], "dashboard", id=made)
    assert "hidden from your role" in words(app) and not app.exception


def test_one_remembered_tile_never_shows_another_persons_rows(cast):
    with write_session() as session:
        for who, amount in (("alice", 111_00), ("charlie", 999_00)):
            deals.create(session, cast[who], {"name": "d", "amount_minor": amount})
        tile = {"kind": "figure", "spec": {"metric": "open_pipeline", "by": "", "chart": "number"}}
        made = dashboards.create(session, cast["root"], name="All", shown_to=ShownTo.SHARED, tiles=[tile])
    seen = {
        who: open_screen(cast[who], "dashboard", id=made).metric[0].value for who in ("root", "alice", "charlie", "bob", "alice")
    }
    assert seen == {"root": "$1,110", "alice": "$111", "charlie": "$999", "bob": "$111"}
