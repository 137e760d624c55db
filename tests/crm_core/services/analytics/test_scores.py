"""Scores: learned from records as they were, refused where nothing is known, published for all or not at all, explained within masks."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert, select

from crm_core import access, jobs, lists
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import AnalysisMark, CustomField, Lead, LeadStatus, RoleFieldMask, UserRole
from crm_core.services.analytics import runs, scores
from crm_core.services.analytics.methods import method
from crm_core.services.sales import leads
from crm_core.vocabulary import FieldKind, LeadKind, RunState
from ml.errors import DataError
from tests.crm_core.services.analytics.buying import ask, look, work
from tests.crm_core.services.analytics.test_metrics_maven import day, load

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CHANCE = {"Referral": 0.75, "Website": 0.35, "Event": 0.15}


@pytest.fixture(autouse=True)
def today():
    with clock.frozen(NOW):
        yield


def compute(actor, kind, **params):
    found = method(kind)
    with read_session() as session:
        return found.compute(session, actor, found.normalise(params, session, actor), NOW, lambda *_: None)


def test_mavens_pipeline_is_refused_with_the_sentence_why(cast, reference):
    """Nothing in it tells won from lost before the close; the close value, which does, is found out."""
    actor = load(cast, reference, day)
    outcome = compute(actor, "deal_score")
    assert outcome.verdict.startswith("No better than the base rate of 6") and outcome.reliable == "no"
    assert outcome.summary["auc_low"] <= 0.5 and outcome.summary["closed"] > 6_000
    leak = outcome.tables["leaks"].iloc[0]
    assert (leak["field"], leak["kind"]) == ("Amount", "knows the answer")
    assert outcome.marks == [] and outcome.tables["scores"].empty and outcome.missing


def test_too_few_closed_ones_are_named(cast):
    with pytest.raises(DataError, match="30 leads that converted and 30 that were given up, found 0 converted and 0 not"):
        compute(cast["root"], "lead_score")


# --- leads with a planted effect --------------------------------------------------------------------------------------------


@pytest.fixture
def planted(cast):
    return _plant(cast)


@pytest.fixture
def planted_anywhere(any_cast):
    return _plant(any_cast)


def _plant(cast):
    """900 leads of half a year, two a day open: referrals convert most. ``x_badge`` is filled for converted ones only."""
    rng, owners = np.random.default_rng(3), [cast[name].user_id for name in ("alice", "charlie")]
    with write_session() as session:
        session.add(CustomField(entity="lead", key="x_badge", label="Badge", kind=FieldKind.INTEGER))
        status = {row.kind: row.id for row in session.exec(select(LeadStatus)).scalars()}
        rows = [_lead(rng, n, owners, status) for n in range(900)]
        session.execute(insert(Lead.__table__), rows)
    return cast


def _lead(rng, n, owners, status):
    source = list(CHANCE)[rng.integers(3)]
    created = NOW - timedelta(hours=5 * (900 - n))
    good, alive = rng.random() < CHANCE[source], n % 9 == 0
    kind = LeadKind.WORKING if alive else LeadKind.CONVERTED if good else LeadKind.UNQUALIFIED
    converted = created + timedelta(hours=6) if kind is LeadKind.CONVERTED else None
    return {
        "name": f"L{n}", "source": source, "status_id": status[kind], "owner_id": owners[n % 2], "created_at": created, "updated_at": created,
        "converted_at": converted, "extra": {"x_badge": 7 if good and not alive else None}, "version": 1,
    }  # fmt: skip


def published(actor):
    run_id = work(ask(actor, kind="lead_score"))
    with write_session() as session:
        assert scores.publish(session, actor, run_id)
    return run_id


def columns(name="score", **where):
    with read_session() as session:
        query = select(Lead.__table__.c[name]).filter_by(**where).order_by(Lead.__table__.c.id)
        return session.execute(query).scalars().all()


def test_the_planted_effect_is_found_and_the_leak_is_left_out(planted):
    outcome = compute(planted["root"], "lead_score")
    effect = outcome.tables["coefficients"].set_index("term")["coefficient"]
    assert effect["Source: Referral"] > 0.5 > 0 > effect["Source: Event"]
    assert "Badge" in set(outcome.tables["leaks"]["field"])
    assert outcome.summary["usable"] and outcome.summary["auc_low"] > 0.6
    assert len(outcome.marks) == len(outcome.tables["scores"]) == 100
    assert "L17" not in json.dumps(outcome.tables["model"]["json"].iloc[0])


def test_switched_on_it_ranks_open_leads_and_leaves_closed_ones_and_versions_alone(planted):
    root = planted["root"]
    versions = columns("version")
    published(root)
    assert columns("version") == versions
    open_scores = columns(converted_at=None)
    assert sum(score is not None for score in open_scores) == 100
    assert all(score is None for score in columns("score", status_id=_status(LeadKind.UNQUALIFIED)))
    with read_session() as session:
        best = lists.find(session, root, "lead", ListQuery(sort=("score", True), columns=("source", "score"), size=10)).rows
    assert {row["source"] for row in best} == {"Referral"} and best[0]["score"] >= best[-1]["score"] >= 60


def _status(kind):
    with read_session() as session:
        return leads.status_of(session, kind).id


def test_newcomers_are_scored_by_the_frozen_model_and_who_is_closed_stays_as_it_was(planted_anywhere):
    root = planted_anywhere["root"]
    published(root)
    with write_session() as session:
        new = leads.create(session, root, {"name": "New", "source": "Referral"})
        first = session.get(Lead, 1)
        before = first.score
        leads.disqualify(session, root, 1, reason="No budget")
        leads.update(session, root, 10, {"source": "Event"})
    tenth = columns(id=10)
    with read_session() as session:
        assert scores._due(session)
    run_job("scores.refresh")
    with read_session() as session:
        assert not scores._due(session)
        assert session.get(Lead, new.id).score >= 60
        assert session.get(Lead, 1).score == before
        reasons = scores.why(session, root, "lead", new.id).reasons
    assert (reasons[0].label, reasons[0].value) == ("Source", "Referral") and reasons[0].log_odds > 0
    assert columns(id=10) == tenth, "a score is of the moment at which the lead came in"


def run_job(name):
    with write_session() as session:
        job_id = jobs.enqueue(session, name)
    jobs.execute(job_id, name, ())


def test_switched_off_nothing_of_it_is_left_on_open_leads(planted):
    root = planted["root"]
    run_id = published(root)
    with write_session() as session:
        scores.switch_off(session, root, "lead_score")
    run_job("scores.refresh")
    assert set(columns()) == {None}
    with read_session() as session:
        assert session.execute(select(AnalysisMark.__table__)).first() is None
        assert scores.live(session, root, "lead_score") is None
        assert scores.why(session, root, "lead", 1) is None
        assert runs.get(session, root, run_id).state is RunState.DONE


def test_only_who_sees_all_leads_may_publish_and_a_refused_score_is_never_published(planted):
    run_id = work(ask(planted["bob"], kind="lead_score"))
    for actor in (planted["bob"], planted["alice"]):
        with pytest.raises(NotPermitted), write_session() as session:
            scores.publish(session, actor, run_id) if actor is planted["bob"] else scores.switch_off(session, actor, "lead_score")
    with write_session() as session:
        session.execute(Lead.__table__.update().values(source="Website"))
    refused = work(ask(planted["root"], kind="lead_score"))
    assert look(planted["root"], refused).summary["usable"] is False
    with pytest.raises(Conflict, match="refused"), write_session() as session:
        scores.publish(session, planted["root"], refused)


def test_a_rep_learns_from_own_leads_only_and_sees_no_reason_of_a_hidden_one(planted):
    alice = planted["alice"]
    ids = set(compute(alice, "lead_score").tables["scores"]["id"])
    with read_session() as session:
        own = set(session.execute(select(Lead.__table__.c.id).where(Lead.__table__.c.owner_id == alice.user_id)).scalars())
    assert ids and ids <= own
    published(planted["root"])
    hidden = next(n for n in range(1, 900, 9) if n not in own)
    with read_session() as session:
        assert scores.why(session, alice, "lead", hidden) is None
        assert scores.why(session, alice, "lead", min(ids)) is not None


def test_the_value_of_a_masked_field_stays_hidden_in_the_reasons(planted):
    alice = planted["alice"]
    published(planted["root"])
    with write_session() as session:
        role_id = session.execute(select(UserRole.role_id).where(UserRole.user_id == alice.user_id)).scalar_one()
        session.add(RoleFieldMask(role_id=role_id, entity="lead", field_key="source"))
    with read_session() as session:
        masked = access.load(session, alice.user_id)
        own = session.execute(
            select(Lead.__table__.c.id).where(Lead.__table__.c.owner_id == alice.user_id, Lead.__table__.c.score.is_not(None))
        ).scalars()
        reasons = scores.why(session, masked, "lead", own.first()).reasons
    assert [reason.value for reason in reasons if reason.label == "Source"] == ["•••"]
