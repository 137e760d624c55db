"""Whoever looks after somebody with wider eyes sees nothing of theirs: each page of analytics, and the overview, manager first, rep afterwards."""

from datetime import date

import streamlit as st
from sqlmodel import select

from crm_core.access import load as load_actor
from crm_core.db import read_session, write_session
from crm_core.models import AnalysisRun, Role, RolePermission
from crm_core.services.analytics import dashboards, run_keys
from crm_core.services.analytics.methods import kinds
from crm_core.services.marketing import campaigns, segments
from crm_core.services.sales import deals
from crm_core.vocabulary import RunState, Scope
from tests.crm_core.services.marketing.outreach import people
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


def test_a_page_with_a_guessed_number_says_what_one_with_a_missing_number_says(cast):
    """Their owner opens each first, so that whatever is remembered between people is remembered."""
    ids = people(2)
    with write_session() as session:
        reps = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
        for grant in session.exec(
            select(RolePermission).where(RolePermission.role_id == reps, RolePermission.entity == "campaign")
        ):
            grant.scope = Scope.OWN
            session.add(grant)
        hidden = {
            ("dana", "segment"): segments.create(
                session, cast["dana"], name=SECRET, entity="contact", kind="static", record_ids=ids, visibility="private"
            ),
            ("dana", "campaign"): campaigns.create(session, cast["dana"], {"name": SECRET}).id,
            ("bob", "dashboard"): dashboards.create(session, cast["bob"], name=SECRET, tiles=[]),
        }
    with read_session() as session:
        charlie = load_actor(session, cast["charlie"].user_id)
    for (owner, url), number in hidden.items():
        assert SECRET in words(open_screen(cast[owner], url, id=number)), url
        guessed, missing = (open_screen(charlie, url, id=one) for one in (number, 987_654))
        assert not guessed.exception and SECRET not in words(guessed), url
        assert words(guessed) == words(missing) and ("not exist" in words(guessed) or "not shown" in words(guessed)), url
    assert not open_screen(charlie, "dashboard", id="²").exception
