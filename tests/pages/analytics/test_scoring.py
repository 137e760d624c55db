"""The scoring page: every role, an empty workspace, on and off, the card on the lead, a refusal without a ranking."""

from datetime import UTC, datetime

import pytest
import streamlit as st

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Lead
from crm_core.services.analytics import scores
from tests.crm_core.services.analytics.buying import ask, work
from tests.crm_core.services.analytics.test_scores import planted as planted  # the fixture
from tests.pages.app import open_screen, words

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh():
    st.cache_data.clear()


def done(actor, kind, **params):
    """The id of a finished run that was asked for in June; the page itself is opened today, or the session would be over."""
    with clock.frozen(NOW):
        return work(ask(actor, kind=kind, params=params))


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
@pytest.mark.parametrize("of", ["Leads", "Deals"])
def test_an_empty_workspace_says_what_is_needed(cast, who, of):
    app = open_screen(cast[who], "scoring", of=of)
    assert not app.exception and not app.error
    assert f"{of[:-1]} score" in words(app) and "at least 30 that turned out well" in words(app)


def test_a_score_is_switched_on_seen_on_a_lead_and_switched_off(planted):
    root = planted["root"]
    run_id = done(root, "lead_score")
    app = open_screen(root, "scoring", run=run_id)
    assert not app.exception and "Off." in words(app)
    with write_session() as session:
        scores.publish(session, root, run_id)
    app = open_screen(root, "scoring", run=run_id)
    assert not app.exception and not app.error
    assert {"Switch off", "Leads, best first"} <= {button.label for button in app.button}
    assert "100 open leads, ordered by chance" in words(app)
    leads = open_screen(planted["dana"], "leads", sort="-score")
    assert not leads.exception and "Best first" in [button.label for button in leads.button]
    shown = words(open_screen(planted["alice"], "lead", id=1))
    assert "Why this score" in shown and "Source: " in shown and "by what was learned" in shown


@pytest.mark.parametrize("part", ["Drivers", "Evidence", "Leaks and left out"])
def test_each_part_is_drawn(planted, part):
    run_id = done(planted["root"], "lead_score")
    app = open_screen(planted["root"], "scoring", run=run_id, part=part)
    assert not app.exception and not app.error
    found = {
        "Drivers": "What raises and what lowers it",
        "Evidence": "Do the chances come true?",
        "Leaks and left out": "Found to know the answer",
    }
    assert found[part] in words(app)


def test_a_refused_score_has_no_ranking_and_no_switch(planted):
    with write_session() as session:
        session.execute(Lead.__table__.update().values(source="Website"))
    run_id = done(planted["root"], "lead_score")
    app = open_screen(planted["root"], "scoring", run=run_id)
    assert not app.exception
    assert "No better than the base rate" in words(app) and "There is no ranking" in words(app)
    assert not {"Switch on", "Use this one instead"} & {button.label for button in app.button}
    with read_session() as session:
        assert scores.live(session, planted["root"], "lead_score") is None


def test_without_a_score_a_lead_has_no_card_and_the_list_no_column(planted):
    assert "Why this score" not in words(open_screen(planted["alice"], "lead", id=1))
    assert "Best first" not in [button.label for button in open_screen(planted["alice"], "leads").button]


def test_a_manager_of_some_leads_may_look_but_not_switch(planted):
    run_id = done(planted["bob"], "lead_score")
    app = open_screen(planted["bob"], "scoring", run=run_id)
    assert not app.exception and "Switch on" not in [button.label for button in app.button]


def test_the_truth_page_exists_in_the_demo_company_only(cast):
    app = open_screen(cast["root"], "truth")
    assert not app.exception
    assert "belongs to the demo company" in " ".join(error.value for error in app.error)
