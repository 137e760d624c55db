"""The attribution page: every role, an empty workspace, credits, costs and lifts drawn, nothing of others."""

from datetime import UTC, datetime

import pytest
import streamlit as st

from crm_core.kit import clock
from tests.crm_core.services.analytics.buying import ask, work
from tests.crm_core.services.analytics.test_attribution import company as company  # the fixture
from tests.pages.app import open_screen, words
from ui.navigation import screens_for

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PARTS = ["Credits", "Cost per conversion", "Measured by hold-outs", "Journeys"]


@pytest.fixture(autouse=True)
def fresh():
    st.cache_data.clear()


def done(actor, kind, **params):
    """The id of a finished run that was asked for in June; the page itself is opened today, or the session would be over."""
    with clock.frozen(NOW):
        return work(ask(actor, kind=kind, params=params))


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_an_empty_workspace_names_what_is_needed(cast, who):
    app = open_screen(cast[who], "attribution")
    assert not app.exception and not app.error
    assert "It needs two things: touches of contacts" in words(app)


def test_an_agent_without_campaigns_has_no_such_page(cast):
    assert "attribution" not in {screen.url for screen in screens_for(cast["sam"])}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_drawn_from_the_run(company, part):
    cast, _ = company
    run_id = done(cast["dana"], "attribution", conversion="orders", level="campaign")
    app = open_screen(cast["dana"], "attribution", run=run_id, part=part)
    assert not app.exception and not app.error
    shown = words(app)
    assert "it does not measure what caused the conversions" in shown
    assert [metric.value for metric in app.metric][:2] == ["70", "0"]
    expected = {
        "Credits": "All models beside each other", "Cost per conversion": "Measured beside it: Spring", "Measured by hold-outs": "What the campaigns changed",
        "Journeys": "If a channel led nowhere",
    }  # fmt: skip
    assert expected[part] in shown


def test_a_refusal_names_the_missing_input_and_a_rep_sees_own_figures_only(company):
    cast, _ = company
    refused = open_screen(cast["dana"], "attribution", run=done(cast["dana"], "attribution"))
    assert "won deals with a main contact; found: none in this period" in " ".join(one.value for one in refused.warning).replace(
        "\\", ""
    )
    whole = done(cast["dana"], "attribution", conversion="orders")
    own = done(cast["alice"], "attribution", conversion="orders")
    for run_id in (whole, own):  # the other's run is none of hers; her own shows her half
        app = open_screen(cast["alice"], "attribution", run=run_id)
        assert not app.exception
        assert [metric.value for metric in app.metric][:1] == ["40"]
