"""The segmentation page: every role, an empty workspace, a run from question to action, links that others can't open."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st

from crm_core.kit import clock
from tests.crm_core.services.analytics.buying import NOW, ask, look, two_kinds, work
from tests.pages.app import open_screen, words
from ui.components import analysis_extras

ROLES = ["root", "bob", "alice", "dana", "sam", "ana"]


@pytest.fixture(autouse=True)
def fresh():
    st.cache_data.clear()
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("who", ROLES)
def test_an_empty_workspace_says_what_is_needed(cast, who):
    app = open_screen(cast[who], "segmentation")
    assert not app.exception and not app.error
    assert "needs orders of at least ten customers" in words(app)


def test_from_the_question_to_the_clusters_and_their_actions(cast):
    two_kinds(cast)
    app = open_screen(cast["dana"], "segmentation", p_clusters="2")
    next(button for button in app.button if button.label == "Run").click().run()
    assert not app.exception
    run_id = int(app.query_params["run"][0])
    assert "You can leave this page" in words(app)
    work(run_id)
    app = open_screen(cast["dana"], "segmentation", run=run_id)
    assert not app.exception and not app.error
    shown = words(app)
    assert "2 groups" in shown and "belong here; it finds 100% of the group" in shown
    labels = [button.label for button in app.button]
    assert labels.count("Edit as a segment") == labels.count("Freeze as a segment") == 2
    assert [metric.value for metric in app.metric][:2] == ["80", "2"]


@pytest.mark.parametrize("who", ROLES)
def test_each_role_opens_its_own_run(cast, who):
    two_kinds(cast)
    run_id = work(ask(cast[who]))
    app = open_screen(cast[who], "segmentation")
    assert not app.exception
    if who in ("alice", "dana", "root", "bob", "ana", "sam"):
        assert ("2 groups" in words(app)) == (who != "charlie"), run_id


@pytest.mark.parametrize("raw", ["999", "-1", "abc", "9" * 40, "1; drop table"])
def test_a_run_that_somebody_guesses_shows_nothing_of_it(cast, raw):
    app = open_screen(cast["alice"], "segmentation", run=raw)
    assert not app.exception and not app.error
    assert "does not exist for you" in " ".join(warning.value for warning in app.warning)


def test_a_reps_run_is_no_run_for_another_rep(cast):
    two_kinds(cast)
    run_id = work(ask(cast["alice"]))
    app = open_screen(cast["charlie"], "segmentation", run=run_id)
    assert not app.exception
    assert "2 groups" not in words(app) and not app.metric


def test_a_refusal_is_a_sentence_and_leaves_the_settings(cast):
    run_id = work(ask(cast["bob"]))
    app = open_screen(cast["bob"], "segmentation", run=run_id)
    assert not app.exception
    assert "No result" in " ".join(warning.value for warning in app.warning)
    assert "Run" in [button.label for button in app.button]


def test_two_runs_of_one_minute_are_two_choices(cast):
    two_kinds(cast)
    first, second = work(ask(cast["bob"])), work(ask(cast["bob"], params={"clusters": "3"}))
    app = open_screen(cast["bob"], "segmentation", run=second)
    picker = next(box for box in app.selectbox if box.label == "Run")
    assert len(set(picker.options)) == 2 and picker.value == second
    picker.select(first).run()
    assert not app.exception
    assert str(first) in app.query_params["run"] and "2 groups" in words(app)
    assert next(box for box in app.selectbox if box.label == "Number of groups").value == "2", "the settings are those of the run"
    assert look(cast["bob"], second).id == second


def test_a_table_is_saved_outside_any_run_of_the_page_by_whom_it_was_shown(cast):
    two_kinds(cast)
    run_id = work(ask(cast["dana"]))
    with ThreadPoolExecutor(1) as server:  # the browser fetches the file later: nothing of the page is around
        made = server.submit(analysis_extras._make, cast["dana"], run_id, "clusters", "csv").result()
    assert made.decode("utf-8-sig").startswith("segment,")
