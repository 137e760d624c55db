"""The made-up company holds what it says was planted, follows the contracts, and is silent where it says so."""

import time

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from ml import contracts, synthetic
from ml.errors import DataError

FOLLOWS = {
    "customers": contracts.CUSTOMERS,
    "orders": contracts.ORDERS,
    "order_lines": contracts.ORDER_LINES,
    "touchpoints": contracts.TOUCHPOINTS,
    "conversions": contracts.CONVERSIONS,
    "sales": contracts.SERIES,
}


@pytest.fixture(scope="module")
def company():
    return synthetic.company("medium", 1)


@pytest.fixture(scope="module")
def planted():
    return synthetic.truth()


@pytest.mark.parametrize("name", FOLLOWS)
def test_each_frame_follows_its_contract(company, name):
    assert len(FOLLOWS[name].check(company.frames[name])) == len(company.frames[name])


def test_same_seed_same_company_and_another_seed_another():
    one, same, other = (synthetic.company(50, seed) for seed in (1, 1, 2))
    for name, frame in one.frames.items():
        pd.testing.assert_frame_equal(frame, same.frames[name])
        assert not frame.equals(other.frames[name])


def test_parts_belong_together(company):
    assert np.allclose(company.order_lines.groupby("order_id")["revenue"].sum(), company.orders["revenue"])
    assert set(company.orders["customer_id"]) == set(company.customers["customer_id"])
    assert company.orders["ordered_at"].is_monotonic_increasing
    assert company.orders["ordered_at"].max() < synthetic.END
    first = company.orders.groupby("customer_id")["ordered_at"].min()
    signed = company.customers.set_index("customer_id")["signed_up_at"]
    assert ((first - signed.reindex(first.index)).abs() <= pd.Timedelta(seconds=1)).all()
    assert not company.order_lines.duplicated(["order_id", "product_id"]).any()


def test_the_kinds_have_the_planted_shares_and_medians(company, planted):
    joined = company.customers.merge(company.membership, on="customer_id")
    for name, kind in planted.segments.items():
        mine = joined[joined["segment"] == name]
        assert len(mine) / len(joined) == pytest.approx(kind.share, abs=0.025)
        assert mine["income"].median() == pytest.approx(kind.income, rel=0.05)
        assert mine["age"].median() == pytest.approx(kind.age, abs=1)
        assert mine["discount_share"].median() == pytest.approx(kind.discount_share, abs=0.03)


def test_the_rule_holds_with_the_planted_confidence(company, planted):
    lines = company.order_lines
    baskets = lines[lines["product_id"].isin([*planted.rule_if, planted.rule_then])].groupby("order_id")["product_id"].agg(set)
    both = baskets[baskets.map(planted.rule_if.issubset)]
    assert len(both) / len(company.orders) == pytest.approx(planted.rule_order_share, rel=0.1)
    assert both.map(lambda basket: planted.rule_then in basket).mean() == pytest.approx(planted.rule_confidence, abs=0.05)


def test_the_campaign_has_the_planted_lift(planted):
    campaign = pd.concat([synthetic.company("medium", seed).campaign for seed in range(8)])
    rates = campaign.groupby("group")["responded"].mean()
    assert rates["treated"] - rates["control"] == pytest.approx(planted.campaign_lift, abs=0.01)
    assert (campaign["group"] == "treated").mean() == pytest.approx(planted.campaign_treated_share, abs=0.01)


def logistic(y, **x):
    design = sm.add_constant(pd.DataFrame(x).astype(float))
    return sm.Logit(y, design).fit(disp=0)


def within_three_errors(fit, name, value):
    return abs(fit.params[name] - value) < 3 * fit.bse[name]


def test_churn_depends_on_its_planted_drivers_only(company, planted):
    frame, effects = company.contracts, planted.churn_effects
    fit = logistic(
        frame["churned"],
        monthly=frame["plan"] == "monthly",
        tickets=frame["tickets_90d"],
        logins=frame["logins_30d"],
        shoe=frame["shoe_size"],
    )
    for name, key in (("monthly", "plan=monthly"), ("tickets", "tickets_90d"), ("logins", "logins_30d"), ("shoe", "shoe_size")):
        assert within_three_errors(fit, name, effects[key])


def test_contracts_end_only_for_those_who_churned_and_within_ninety_days(company):
    frame = company.contracts
    assert (frame["ended_at"].notna() == (frame["churned"] == 1)).all()
    left = frame[frame["churned"] == 1]
    assert ((left["ended_at"] - left["at"]).dt.days <= 90).all()
    assert (frame["started_at"] < frame["at"]).all()


def test_leads_depend_on_their_planted_drivers_only(company, planted):
    frame, effects = company.leads, planted.lead_effects
    fit = logistic(
        frame["converted"],
        referral=frame["source"] == "referral",
        pages=np.log1p(frame["pages_viewed"]),
        shoe=frame["shoe_size"],
    )
    for name, key in (("referral", "source=referral"), ("pages", "log1p(pages_viewed)"), ("shoe", "shoe_size")):
        assert within_three_errors(fit, name, effects[key])


def test_conversions_depend_on_the_channels_as_planted(company, planted):
    touches = company.touchpoints
    seen = pd.crosstab(touches["journey"], touches["channel"]).clip(upper=1)
    converted = pd.Series(False, index=seen.index)
    last = touches.groupby("journey").agg(customer_id=("customer_id", "first"), at=("at", "max"))
    matched = last.reset_index().merge(company.conversions, on="customer_id", suffixes=("", "_won"))
    gap = (matched["at_won"] - matched["at"]).dt.total_seconds() / 86_400
    converted[matched.loc[(gap > 0) & (gap < 0.6), "journey"]] = True
    assert converted.sum() == len(company.conversions)
    fit = logistic(converted.astype(int), **{name: seen[name] for name in seen})
    assert all(within_three_errors(fit, name, effect) for name, effect in planted.channel_effects.items())


def test_sales_grow_and_swing_as_planted(company, planted):
    sales = company.sales.assign(weekday=company.sales["ds"].dt.dayofweek, year=company.sales["ds"].dt.year)
    by_year = sales.groupby("year")["y"].mean()
    mid_years = 1 + planted.sales_growth_per_year * np.array([0.5, 1.5, 2.5])
    assert (by_year / by_year.iloc[0]).to_numpy() == pytest.approx(mid_years / mid_years[0], rel=0.02)
    week = sales.groupby("weekday")["y"].mean()
    expected = np.array(planted.sales_weekday)
    assert (week / week.mean()).to_numpy() == pytest.approx(expected / expected.mean(), abs=0.02)


def test_the_shoe_size_tells_nothing_about_the_kind(company):
    joined = company.customers.merge(company.membership, on="customer_id")
    means = joined.groupby("segment")["shoe_size"].mean()
    assert means.max() - means.min() < 0.35


class TestSilence:
    def test_independent_baskets_have_no_lift(self):
        lines = synthetic.independent_baskets(8_000, 20, seed=1)
        table = pd.crosstab(lines["order_id"], lines["product_id"]).clip(upper=1).to_numpy().astype(float)
        # Baskets of different sizes lift every pair alike; a planted pair would stand out from the others.
        support = table.mean(axis=0)
        lift = (table.T @ table / len(table)) / np.outer(support, support)
        off = lift[np.triu_indices(20, 1)]
        assert off.max() < 1.6 * np.median(off)

    def test_white_noise_has_no_memory(self):
        y = synthetic.white_noise(1_000, 2)["y"]
        assert all(abs(y.autocorr(lag)) < 0.1 for lag in (1, 7, 30))

    def test_a_blob_has_no_correlation(self):
        blob = synthetic.one_blob(2_000, 3, 1)
        assert abs(np.corrcoef(blob.T.to_numpy())[np.triu_indices(3, 1)]).max() < 0.08
        assert blob.index.name == "customer_id"

    def test_shuffling_keeps_the_values_and_breaks_the_link(self, company):
        mixed = synthetic.shuffled(company.leads, "converted", 1)
        assert mixed["converted"].sum() == company.leads["converted"].sum()
        assert abs(mixed["converted"].corr(np.log1p(mixed["pages_viewed"]))) < 0.05
        pd.testing.assert_frame_equal(mixed.drop(columns="converted"), company.leads.drop(columns="converted"))


@pytest.mark.parametrize("scale", ["huge", 3, -1])
def test_an_unknown_scale_is_refused(scale):
    with pytest.raises(DataError, match="at least 10 customers"):
        synthetic.company(scale)


@pytest.mark.slow
def test_the_large_company_is_made_within_a_minute():
    start = time.process_time()
    made = synthetic.company("large", 3)
    assert time.process_time() - start < 60
    assert 0.8e6 < len(made.orders) < 1.2e6
    assert 4e6 < len(made.order_lines) < 6e6
