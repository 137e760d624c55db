"""Contracts at risk: a planted reason is found on later days, noise is refused, nobody sees customers of others, and it ends in tasks."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from crm_core.db import bump, read_session, write_session
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.models import Account, CustomField, Ticket
from crm_core.services.analytics import churn_rows, contract_snapshots, follow_ups, runs
from crm_core.vocabulary import TicketKind
from ml.errors import DataError
from tests.crm_core.services.analytics.buying import NOW, work
from tests.crm_core.services.analytics.buying import ask as request
from tests.crm_core.services.analytics.methods.asking import ask

TODAY = NOW.date()


@pytest.fixture(autouse=True)
def today():
    with clock.frozen(NOW):
        yield


def companies(owner, count=420, *, monthly_factor=4.0, complains=True, seed=3):
    """Companies of three years: those by the month leave faster, and whoever is about to leave complains before."""
    rng = np.random.default_rng(seed)
    began = rng.integers(60, 1_100, count)
    monthly = rng.random(count) < 0.5
    stay = rng.exponential(365 * 2.4 / np.where(monthly, monthly_factor, 1.0), count)
    with write_session() as session:
        if not session.get(CustomField, 1):
            session.add(CustomField(entity="account", key="x_term", label="Term", kind="choice", options=["Monthly", "Yearly"]))
        rows = [
            Account(
                name=f"Company {n}", owner_id=owner, customer_since=TODAY - timedelta(days=int(began[n])),
                customer_until=TODAY - timedelta(days=int(began[n] - stay[n])) if stay[n] < began[n] else None,
                renews_on=None if stay[n] < began[n] else TODAY + timedelta(days=int(rng.integers(1, 90))),
                extra={"x_term": "Monthly" if monthly[n] else "Yearly"}, employees=int(rng.integers(1, 500)),
            )
            for n in range(count)
        ]  # fmt: skip
        session.add_all(rows)
        session.flush()
        for n, row in enumerate(rows):
            for _ in range(2 if complains and row.customer_until is not None and rng.random() < 0.5 else 0):
                days = int(began[n] - stay[n]) + int(rng.integers(1, 120))
                at = datetime.combine(TODAY, datetime.min.time(), UTC) - timedelta(days=days)
                number = f"T{owner}-{n}-{rng.integers(10**9)}"
                session.add(Ticket(number=number, subject="Trouble", account_id=row.id, opened_at=at, status=TicketKind.CLOSED))
        bump(session, "account", "ticket")
        return [row.id for row in rows]


def test_planted_reasons_are_found_on_days_that_it_had_not_seen(cast):
    companies(cast["alice"].user_id)
    found = ask("churn", cast["root"], TODAY, horizon="6", group="x_term")
    assert found.summary["usable"] and found.summary["auc_low"] > 0.5 and "had not seen" in found.verdict
    terms = found.tables["coefficients"].set_index("term")["coefficient"]
    assert terms["Term: Monthly"] > 0 and terms["Tickets in 90 days"] > 0
    rates = found.tables["groups"].set_index("group")
    assert 3 < rates.loc["Monthly", "rate"] / rates.loc["Yearly", "rate"] < 5.4
    assert rates["low"].lt(rates["rate"]).all() and rates["high"].gt(rates["rate"]).all() and found.summary["p_groups"] < 0.001
    methods = found.tables["compared"].set_index("method")["auc"]
    assert methods["This score"] > methods["Newest customers first"]
    customers = found.tables["customers"]
    assert len(customers) == found.summary["customers"] and customers["risk"].between(0, 1).all()
    share, (_base, low, high) = found.summary["expected"] / len(customers), found.summary["base"]
    assert low - 1e-6 <= share <= high + 1e-6, "the risks of today add up to what usually leaves"
    assert (customers["low"] <= customers["risk"]).all() and (customers["risk"] <= customers["high"]).all()
    assert found.summary["cases"] > 2 * found.summary["customers"] and len(found.marks) == len(customers)


def test_who_leaves_by_chance_is_refused_and_too_few_endings_are_named(cast):
    with pytest.raises(DataError) as nothing:
        ask("churn", cast["root"], TODAY)
    assert "Customer until" in nothing.value.needed and "0 with a beginning" in nothing.value.found
    companies(cast["alice"].user_id, monthly_factor=1.0, complains=False)
    found = ask("churn", cast["root"], TODAY, horizon="6")
    assert not found.summary["usable"] and "base rate" in found.verdict and len(found.marks) == 0
    assert found.tables["survival"]["survival"].iloc[0] == 1 and "group" not in found.tables["survival"]


def test_a_snapshot_knows_nothing_of_what_came_after_it(cast):
    """The leaver's ticket and today's field are later than the day: neither may show."""
    with write_session() as session:
        leaver = Account(
            name="Leaver", customer_since=TODAY - timedelta(days=400), customer_until=TODAY - timedelta(days=30), employees=7
        )
        notice = Account(name="Notice", customer_since=TODAY - timedelta(days=400), customer_until=TODAY + timedelta(days=30))
        session.add_all([leaver, notice])
        session.flush()
        at = datetime.combine(TODAY, datetime.min.time(), UTC) - timedelta(days=40)
        session.add(Ticket(number="T-1", subject="Trouble", account_id=leaver.id, opened_at=at))
        ids = (leaver.id, notice.id)
    moment = datetime.combine(TODAY, datetime.max.time(), UTC)
    with read_session() as session:
        known = contract_snapshots.frames.contracts(session, cast["root"], now=moment)
        found = contract_snapshots.snapshots(session, cast["root"], known, moment, 3)
    past = found.past.set_index(["account_id", "at"]).sort_index()
    last = past.loc[ids[0]].iloc[-1]
    assert last["left"] == 1 and last["tickets_90"] == 0 and (past.loc[ids[0]]["left"].iloc[:-1] == 0).all()
    assert (past.loc[ids[1]]["left"] == 0).all(), "an end that lies ahead has not happened"
    assert found.now.empty and found.notice == 1, "who has given notice is not scored"


def test_customers_of_others_and_hidden_days_stay_out(cast):
    companies(cast["alice"].user_id, 300)
    companies(cast["charlie"].user_id, 60, seed=9)
    run_id = work(request(cast["root"], "churn", {"horizon": "6"}))
    with read_session() as session:
        page = churn_rows.page(session, cast["root"], run_id, level="High")
        everything = churn_rows.page(session, cast["root"], run_id)
        said = churn_rows.notes(session, cast["root"], run_id, [page.rows[0].id])
        assert 0 < page.total < everything.total and all(row.level == "High" for row in page.rows)
        assert "Chance of leaving within 6 months" in said[page.rows[0].id] and "Raised by" in said[page.rows[0].id]
        assert churn_rows.ids(session, cast["root"], run_id, level="High")[:20] == [row.id for row in page.rows]
        renews = churn_rows.page(session, cast["root"], run_id, sort="renews_on")
        assert [row.renews_on for row in renews.rows] == sorted(row.renews_on for row in renews.rows)
        assert churn_rows.page(session, cast["root"], run_id, mine=True).total == 0
        with pytest.raises(NotFound):
            runs.get(session, cast["charlie"], run_id)
        with pytest.raises(NotFound):
            churn_rows.page(session, cast["charlie"], run_id)
    with write_session() as session:
        made = follow_ups.create(
            session, cast["root"], "account", [page.rows[0].id], subject="Call before it renews", due_on=TODAY + timedelta(days=7), notes=said
        )  # fmt: skip
    assert made.done == 1


@pytest.mark.parametrize(("years", "expected"), [(0.2, 3), (1.6, 6), (2.9, 6), (3.2, 12), (30, 12)])
def test_how_far_it_looks_ahead_follows_from_the_length_of_the_record_alone(years, expected):
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    most = [moment - timedelta(days=365 * years)] * 20
    dates = pd.to_datetime(pd.Series([moment - timedelta(days=365 * 40), *most]))
    known = pd.DataFrame({"customer_since": dates, "customer_until": dates + pd.Timedelta(days=40)})
    assert contract_snapshots.horizon_of(known, moment, "auto") == expected, "one very old contract changes nothing"
    assert contract_snapshots.horizon_of(known, moment, "3") == 3
    assert contract_snapshots.horizon_of(known.head(0), moment, "auto") == 3
