"""The demo that teaches: what was planted, what was found, hits and misses told apart; for the demo company alone."""

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from sqlmodel import select

from crm_core import access, jobs
from crm_core.db import read_session, write_session
from crm_core.errors import NotFound
from crm_core.models import AnalysisRun
from crm_core.services.admin import demo
from crm_core.services.admin.demo import first_looks, recovery
from crm_core.services.admin.demo import recovery_rules as rules
from crm_core.services.admin.demo.scales import truth
from crm_core.services.analytics import run_exports, runs
from crm_core.services.analytics.methods import kinds
from crm_core.vocabulary import Recovery, RunState

FOUND, SILENT, MISSED, ALARM, UNSURE, OPEN = Recovery

HONEST = {
    "lift": {FOUND, UNSURE},
    "letter": {FOUND, UNSURE},
    "credit": {MISSED, UNSURE},
    "deal_score": {FOUND, UNSURE},
    "lead_score": {FOUND, UNSURE},
    "drivers": {FOUND, UNSURE},
    "discount": {SILENT, UNSURE},
}
"""What each tool may say on a company of this size: the truth, or that it can't tell. Never something else."""


def actor_of(role):
    with read_session() as session:
        return access.load(session, demo.people(session)[role])


def findings(actor):
    with read_session() as session:
        return {one.key: one for one in recovery.findings(session, actor)}


def test_on_the_small_company_no_tool_claims_what_is_not_there(database):
    """The acceptance test: everything runs, and every answer is the truth or "too little data"."""
    demo.build(scale="small")
    root = actor_of("administrator")
    before = findings(root)
    assert {one.state for one in before.values()} == {OPEN} and set(HONEST) <= set(before)
    with write_session() as session:
        assert recovery.run_all(session, root) >= 4
    work({check.kind for check in recovery.checks(truth()) if check.key in HONEST})
    after = findings(root)
    assert {key: after[key].state in states for key, states in HONEST.items()} == dict.fromkeys(HONEST, True), after
    assert all(after[key].found and after[key].run_id for key in HONEST)
    every_table_goes_out(root)
    assert findings(actor_of("sales_rep"))["drivers"].state is OPEN, "a run over other rows does not exist for a rep"


def every_table_goes_out(actor):
    """Every table of every finished run, as CSV and as a workbook."""
    with write_session() as session:
        done = [
            runs.get(session, actor, run.id) for run in session.exec(select(AnalysisRun).where(AnalysisRun.state == RunState.DONE))
        ]
        tables = [(run.id, name, form) for run in done for name in run.tables for form in ("csv", "xlsx")]
        assert len(tables) > 20 and all(
            len(run_exports.export(session, actor, run_id, name, form=form)) > 20 for run_id, name, form in tables
        )


def test_a_new_demo_company_asks_for_every_analysis_once_per_view_of_its_records(database):
    demo.build(scale="small")
    with write_session() as session:
        job_id = first_looks.later(session)
        assert first_looks.later(session) == job_id, "one asking is enough"
    jobs.execute(job_id, "demo.first_looks", ())
    with read_session() as session:
        asked = session.exec(select(AnalysisRun)).all()
    root, rep = actor_of("administrator").user_id, actor_of("sales_rep").user_id
    mine = [run.kind for run in asked if run.requested_by == root]
    assert set(mine) == set(kinds()), "no page of the administrator begins empty"
    assert {run.kind for run in asked if run.requested_by == rep} >= {"outlook", "value"}, "a rep sees other deals and orders"
    jobs.execute(job_id, "demo.first_looks", ())
    with read_session() as session:
        assert len(session.exec(select(AnalysisRun)).all()) == len(asked), "killed and begun again, it asks for nothing twice"


def work(kinds):
    """The worker's part, for these kinds."""
    from crm_core.services.analytics import run_work  # noqa: F401  (declares the job)

    with read_session() as session:
        waiting = session.exec(select(AnalysisRun).where(AnalysisRun.state == RunState.QUEUED)).all()
    for run in waiting:
        if run.kind in kinds:
            jobs.execute(run.job_id, "analysis.run", (run.id,))


def test_outside_the_demo_company_the_page_does_not_exist(cast):
    with read_session() as session, pytest.raises(NotFound):
        recovery.findings(session, cast["root"])


# --- the judges, with tables typed by hand ----------------------------------------------------------------------------------


def judged(judge, summary=None, **tables):
    return judge(summary or {}, lambda name: tables[name], truth())[0]


def lifts(treated, control):
    return pd.DataFrame([{"outcome": "responded", "treated": treated, "control": control, "n_treated": 4_000, "n_control": 1_000}])


@pytest.mark.parametrize(("treated", "expected"), [(0.13, FOUND), (0.085, UNSURE), (0.20, MISSED)])
def test_a_lift_is_found_missed_or_beyond_the_data(treated, expected):
    assert judged(rules.lift, holdouts=lifts(treated, 0.08)) is expected


def coefficients(referral, committee, discount):
    rows = [("Source = Referral", *referral), ("People in the buying committee", *committee), ("Average discount (%)", *discount)]
    return pd.DataFrame(rows, columns=["term", "coef", "low", "high"])


@pytest.mark.parametrize(
    ("referral", "discount", "expected"),
    [
        ((1.0, 0.7, 1.3), (0.01, -0.01, 0.03), (FOUND, SILENT)),
        ((0.3, 0.1, 0.5), (0.05, 0.01, 0.09), (MISSED, ALARM)),
        ((0.4, -0.2, 1.0), (0.01, -0.01, 0.03), (UNSURE, SILENT)),
    ],
)
def test_drivers_are_judged_by_their_intervals(referral, discount, expected):
    table = coefficients(referral, (0.4, 0.3, 0.5), discount)
    assert (judged(rules.drivers, coefficients=table), judged(rules.discount, coefficients=table)) == expected


def test_the_planted_rule_is_recognised_among_others_and_missed_without():
    judge = rules.basket({"Cleaner": 1, "Filter": 2, "Descaler": 3}, {"if": ["Cleaner", "Filter"], "then": "Descaler"})
    row = {"confidence": 0.7, "count": 70, "verdict": "holds"}
    other, planted = {"antecedents": [1], "consequents": [2], **row}, {"antecedents": [1, 2], "consequents": [3], **row}
    assert judged(judge, rules=pd.DataFrame([other, planted])) is FOUND
    kept = {**planted, "antecedents": "[1, 2]", "consequents": "[3]"}
    assert judged(judge, rules=pd.DataFrame([other, kept])) is FOUND
    assert judged(judge, rules=pd.DataFrame([other])) is MISSED
    assert judged(judge, rules=pd.DataFrame([{**planted, "verdict": "fails"}])) is MISSED


def test_clusters_and_risks_are_compared_with_what_the_companies_tell():
    facts = pd.DataFrame(
        {"customer_id": range(40), "industry": ["Retail", "Services"] * 20, "contract": ["Monthly", "Yearly"] * 20}
    )
    same = pd.DataFrame({"customer_id": range(40), "cluster": [0, 1] * 20, "risk": [0.5, 0.2] * 20})
    mixed = same.assign(cluster=[0, 0, 1, 1] * 10, risk=[0.2, 0.5] * 20)
    assert judged(rules.kinds(facts), {"clusters": 2}, customers=same) is FOUND
    assert judged(rules.kinds(facts), {"clusters": 2}, customers=mixed) is MISSED
    assert judged(rules.kinds(facts), {"clusters": 1}, customers=same) is UNSURE
    assert judged(rules.leaving(facts), customers=same) is FOUND
    assert judged(rules.leaving(facts), customers=mixed) is MISSED


@pytest.mark.parametrize(("monthly", "expected"), [(90, FOUND), (58, UNSURE), (300, MISSED)])
def test_the_rates_at_which_contracts_end_are_compared_with_the_planted_ones(monthly, expected):
    table = pd.DataFrame(
        [("Monthly", 400, monthly, 10.0), ("Yearly", 400, 50, 10.0)], columns=["group", "customers", "left", "years"]
    )
    table["rate"] = 100 * table["left"] / table["years"]
    assert judged(rules.contracts, {"usable": False}, groups=table) is expected
    assert judged(rules.contracts, {"usable": False}, groups=table.assign(left=5)) is UNSURE


def test_agreement_is_the_adjusted_rand_index():
    first, second = pd.Series([0, 0, 1, 1, 2, 2, 0]), pd.Series(["a", "a", "b", "c", "c", "c", "b"])
    assert rules.agreement(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert rules.agreement(first, first) == 1.0 and rules.agreement(first, first * 0) == pytest.approx(0.0)
