"""Forecast, sales outlook, churn and value, drivers: every role in an empty workspace, a run of each, and the actions they end in."""

import random
from datetime import timedelta

import pytest
import streamlit as st
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Contact, Deal, Order, PipelineSnapshotDay, Stage, Task
from crm_core.services.analytics import quotas, snapshots
from crm_core.services.analytics.quotas import Change
from crm_core.vocabulary import StageKind
from tests.crm_core.services.analytics.buying import NOW, ask, two_kinds, work
from tests.crm_core.services.analytics.methods.test_churn import companies
from tests.pages.app import open_screen, words
from ui.navigation import page_of

PAGES = {
    "forecast": "eight days, weeks or months",
    "outlook": "three ways of looking ahead",
    "value": "orders that name their customer",
    "drivers": "twenty closed deals",
}
ROLES = ["root", "bob", "alice", "dana", "sam", "ana"]


@pytest.fixture(autouse=True)
def fresh():
    st.cache_data.clear()
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("url", PAGES)
@pytest.mark.parametrize("who", ROLES)
def test_an_empty_workspace_says_what_is_needed(cast, who, url):
    if (who, url) == ("sam", "outlook"):
        assert page_of(cast[who], url) is None  # without the right to see deals the page does not exist
        return
    app = open_screen(cast[who], url)
    assert not app.exception
    assert not app.error and PAGES[url] in words(app)


def deals(owner, n=160):
    rng = random.Random(4)
    today = NOW.date()
    with write_session() as session:
        stages = {stage.name: stage for stage in session.exec(select(Stage))}
        for _ in range(n):
            opened = today - timedelta(days=rng.randrange(2, 700))
            source = rng.choice(["Referral", "Website"])
            done = opened < today - timedelta(days=30)
            won = rng.random() < (0.8 if source == "Referral" else 0.3)
            stage = stages["Won" if won else "Lost"] if done else stages["Negotiation"]
            session.add(
                Deal(
                    name="Deal", pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=stage.kind, owner_id=owner, source=source,
                    amount_minor=rng.randrange(10_000_00), probability_pct=stage.probability_pct, created_on=opened,
                    closed_on=opened + timedelta(days=25) if done else None, expected_close_on=opened + timedelta(days=25), stage_since=NOW,
                )
            )  # fmt: skip


def test_a_forecast_is_shown_with_its_methods_and_their_record(cast):
    two_kinds(cast)
    run_id = work(ask(cast["alice"], "forecast", {"grain": "day", "horizon": 14}))
    app = open_screen(cast["alice"], "forecast", run=run_id)
    assert not app.exception and not app.error
    assert "Next 14 days" in [metric.label for metric in app.metric]
    frames = [frame.value for frame in app.dataframe]
    assert any("WAPE" in frame.columns and frame["Method"].str.contains("(used)", regex=False).sum() == 1 for frame in frames)
    app = open_screen(cast["alice"], "forecast", run=run_id, part="Evidence")
    assert not app.exception


def test_the_outlook_stands_beside_the_quota_and_tells_what_changed(cast):
    alice = cast["alice"]
    deals(alice.user_id)
    with write_session() as session:
        quotas.save(session, cast["bob"], [Change(alice.user_id, NOW.date().replace(day=1), None, 1_000_000_00)])
        snapshots.take(session, NOW.date() - timedelta(days=5))
    with write_session() as session:
        one = session.exec(select(Deal).where(Deal.outcome == StageKind.OPEN)).first()
        one.amount_minor += 5_000_00
        one.expected_close_on = NOW.date()
        session.add(one)
        snapshots.take(session, NOW.date())
    run_id = work(ask(alice, "outlook"))
    app = open_screen(alice, "outlook", run=run_id)
    assert not app.exception and not app.error
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Quota"] == "$1M" and "Commit" in shown
    assert "Quotas" in [button.label for button in app.button] and "Set quotas" not in [button.label for button in app.button]
    assert {"Weighted pipeline", "Commit of the reps", "Statistical forecast"} <= set(app.dataframe[0].value["Way"])
    app = open_screen(cast["bob"], "outlook", run=work(ask(cast["bob"], "outlook")), part="What changed")
    assert not app.exception and "Set quotas" in [button.label for button in app.button]
    assert "2 evenings seen since" in words(app)
    with read_session() as session:
        assert len(session.exec(select(PipelineSnapshotDay)).all()) == 2
    stranger = open_screen(cast["charlie"], "outlook", run=run_id)
    assert "does not exist for you" in " ".join(warning.value for warning in stranger.warning)


def regulars(owner, n=60):
    """People who buy at their own pace over two years; a third of them stopped at some time."""
    rng = random.Random(6)
    with write_session() as session:
        for k in range(n):
            person = Contact(name=f"Person {k}", owner_id=owner)
            session.add(person)
            session.flush()
            gap, days, last = rng.uniform(8, 60), rng.uniform(300, 700), rng.uniform(50, 600) if k % 3 == 0 else 0
            while days > last:
                at = NOW - timedelta(days=days)
                session.add(
                    Order(
                        number=f"{k}-{days:.4f}",
                        contact_id=person.id,
                        owner_id=owner,
                        ordered_at=at,
                        total_minor=rng.randrange(50_00, 900_00),
                    )
                )
                days -= rng.expovariate(1 / gap) + 0.5


def test_customers_at_risk_become_tasks_once_and_can_be_taken_back(cast):
    regulars(cast["alice"].user_id)
    run_id = work(ask(cast["alice"], "value", {"silence": "13"}))
    app = open_screen(cast["alice"], "value", run=run_id)
    assert not app.exception and not app.error
    assert app.metric[0].label == "Expected value", words(app)
    assert "with $" in words(app) and "Create tasks" in [button.label for button in app.button]
    for part in ("Cohorts", "Evidence"):
        shown = open_screen(cast["alice"], "value", run=run_id, part=part)
        assert not shown.exception and not shown.error, part
    assert next(button for button in app.button if button.key == "follow_ups").disabled
    app = open_screen(cast["alice"], "value", run=run_id, value_level="High")
    high = next(metric.value for metric in app.metric if metric.label == "At high risk")
    next(button for button in app.button if button.key == "follow_ups").click().run()
    assert not app.exception and f"Create {high} tasks" in [button.label for button in app.button]
    with read_session() as session:
        assert session.exec(select(Task)).all() == []
    assert "Create tasks" not in [
        button.label for button in open_screen(cast["ana"], "value", run=work(ask(cast["ana"], "value"))).button
    ]


def test_drivers_are_told_in_sentences_and_lead_to_open_deals(cast):
    deals(cast["alice"].user_id)
    run_id = work(ask(cast["alice"], "drivers", {"factors": ["deal:source", "deal:amount_minor"], "months": "0"}))
    app = open_screen(cast["alice"], "drivers", run=run_id)
    assert not app.exception and not app.error
    assert "multiplies the odds of Won = Yes" in words(app)
    assert "Open deals like this" in [link.proto.label for link in app.get("page_link")]
    for part in ("Coefficients", "Evidence"):
        shown = open_screen(cast["alice"], "drivers", run=run_id, part=part)
        assert not shown.exception and not shown.error, part


def test_contracts_at_risk_come_with_reasons_evidence_and_tasks(cast):
    app = open_screen(cast["root"], "value", of="Under contract")
    assert not app.exception and "Customer until" in words(app), "empty, it names the missing fields"
    companies(cast["alice"].user_id)
    run_id = work(ask(cast["root"], "churn", {"group": "x_term", "horizon": "6"}))
    app = open_screen(cast["root"], "value", of="Under contract", run=run_id, churn_level="Medium")
    assert not app.exception and not app.error and "had not seen" in words(app)
    app.button(key="follow_ups").click().run()
    assert "Chance of leaving within 6 months" in words(app), "the plan shows what each task will say"
    for part, said in (("Reasons", "Not used"), ("How long they stay", "log-rank"), ("Evidence", "judged on")):
        app = open_screen(cast["root"], "value", of="Under contract", run=run_id, contract_part=part)
        assert not app.exception and said in words(app)
