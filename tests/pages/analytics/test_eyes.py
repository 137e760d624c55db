"""Whoever looks after somebody with wider eyes sees nothing of theirs: each page of analytics, and the overview, manager first, rep afterwards."""

from datetime import date

import streamlit as st

from crm_core.access import load as load_actor
from crm_core.db import read_session, write_session
from crm_core.models import AnalysisRun
from crm_core.services.analytics import run_keys
from crm_core.services.analytics.methods import kinds
from crm_core.services.sales import deals
from crm_core.vocabulary import RunState
from tests.pages.app import open_screen, words

PAGE = {
    "lead_score": ("scoring", {"of": "Leads"}), "deal_score": ("scoring", {"of": "Deals"}), "churn": ("value", {"of": "Under contract"}),
}  # fmt: skip
"""Page and address of the analyses that share one."""
SECRET = "Sentence about 4,711 customers of everybody"


def kept(actor, kind, found):
    """A finished run of the actor's whose only content is a sentence."""
    with write_session() as session:
        params = found.normalise({}, session, actor)
        run = AnalysisRun(
            kind=kind, name="", key=f"{kind}-of-{actor.user_id}", code_version="1", params=params, scope=run_keys.scope(session, actor, found, params),
            data_versions={}, as_of=date(2026, 3, 1), state=RunState.REFUSED, job_id="", verdict=SECRET, warnings=[], result={}, requested_by=actor.user_id,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id


def test_a_run_over_wider_eyes_is_nothing_for_a_rep_who_opens_it_right_after_its_owner(cast):
    st.cache_data.clear()
    for kind, found in kinds().items():
        url, address = PAGE.get(kind, (kind, {}))
        run_id = kept(cast["root"], kind, found)
        assert SECRET in words(open_screen(cast["root"], url, run=run_id, **address)), kind
        app = open_screen(cast["charlie"], url, run=run_id, **address)
        assert not app.exception and SECRET not in words(app) and "does not exist for you" in words(app), kind


def test_key_figures_remembered_for_a_manager_are_not_those_of_a_rep(cast):
    with write_session() as session:
        for who, amount in (("alice", 111_00), ("charlie", 999_00)):
            deals.create(session, cast[who], {"name": "d", "amount_minor": amount})
    seen = {}
    for who in ("root", "bob", "charlie", "alice", "root"):
        with read_session() as session:
            actor = load_actor(session, cast[who].user_id)
        app = open_screen(actor, "overview", area="Sales")
        seen[who] = next(metric.value for metric in app.metric if metric.label == "Open pipeline")
    assert seen["root"] != seen["charlie"] != seen["alice"] == seen["bob"]
