"""What the figures say: traces, order, axis titles, and a sentence where there is nothing to draw."""

import numpy as np
import pandas as pd
import pytest

from ml.attribution import attribute, cost_per_conversion, removal_effects
from ml.basket import association_rules, evaluate, frequent_itemsets, upsell
from ml.charts import attribution as attribution_charts
from ml.charts import basket as basket_charts
from ml.charts import regression as regression_charts
from ml.regression import fit_linear, fit_logistic
from ml.synthetic import company

PATHS = pd.DataFrame(
    {
        "path": ["ads > mail", "mail", "ads", "radio"],
        "conversions": [40, 30, 10, 2],
        "value": [400.0, 300.0, 90.0, 8.0],
        "nulls": [100, 50, 200, 9],
    }
)


@pytest.fixture(scope="module")
def made():
    return company("small", seed=1)


def sentence(fig):
    assert not fig.data
    return fig.layout.annotations[0].text


def test_itemsets_are_bars_with_the_most_frequent_on_top(made):
    fig = basket_charts.itemsets_bar(frequent_itemsets(made.order_lines, min_count=20), top=5)
    assert fig.layout.xaxis.title.text == "Baskets"
    assert len(fig.data[0].x) == 5
    assert list(fig.data[0].x) == sorted(fig.data[0].x)
    assert all(" + " in name for name in fig.data[0].y)


def test_rules_that_a_shorter_one_beats_are_a_trace_of_their_own(made):
    rules = association_rules(made.order_lines, min_support=0.005, holdout=0.3)
    fig = basket_charts.rules_scatter(rules)
    shown = {trace.name: len(trace.x) for trace in fig.data}
    assert shown["Says more than every shorter rule"] == rules.productive.sum()
    assert sum(shown.values()) == len(rules)
    dots = basket_charts.rules_holdout_dots(rules, top=8)
    assert [trace.name for trace in dots.data] == ["On later baskets", "When mined"]
    assert np.isfinite(dots.data[0].error_x.array).all()


def test_methods_are_compared_in_their_order(made):
    table = evaluate(made.order_lines, split_at=0.7, methods=["ease", "popularity"])
    fig = basket_charts.recommenders_bar(table)
    assert list(fig.data[0].y) == table.method.tolist()[::-1]
    assert fig.layout.xaxis.title.text == "Right product among the first 5"


def test_upsell_names_product_and_offer(made):
    offers = upsell(made.order_lines, made.products, min_count=5)
    fig = basket_charts.upsell_bar(offers, top=4)
    assert len(fig.data[0].x) == 4
    assert all(" → " in name for name in fig.data[0].y)
    assert max(fig.data[0].x) == offers.expected_extra.max()


def test_every_model_is_a_trace_and_shaky_channels_are_marked():
    credits = attribute(PATHS, bootstrap=50)
    fig = attribution_charts.attribution_dots(credits)
    assert len(fig.data) == 9
    assert "radio *" in fig.data[0].y
    assert "mail" in fig.data[0].y
    assert fig.layout.xaxis.title.text == "Share of conversions"
    heat = attribution_charts.attribution_heatmap(credits)
    np.testing.assert_allclose(np.sum(heat.data[0].z, axis=0), 1)


def test_removal_effects_journeys_and_costs_show_their_numbers():
    effects = removal_effects(PATHS)
    fig = attribution_charts.removal_effects_bar(effects)
    assert dict(zip(fig.data[0].y, fig.data[0].x, strict=True)) == pytest.approx(
        effects.set_index("channel").removal_effect.to_dict()
    )
    journeys = attribution_charts.journeys_bar(PATHS, top=2)
    assert list(journeys.data[0].y) == ["ads > mail", "ads"]
    touches = pd.DataFrame({"customer_id": 1, "at": "2024-01-01", "channel": ["ads"], "cost": [100.0]})
    costs = cost_per_conversion(attribute(PATHS, models=["first", "last"], bootstrap=0), touches)
    dots = attribution_charts.cost_per_conversion_dots(costs)
    assert [trace.name for trace in dots.data if trace.name] == ["First touch", "Last touch"]
    assert [float(trace.x[0]) for trace in dots.data[1:]] == [2.0, 10.0]


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"price": rng.normal(50, 10, 300), "city": rng.choice(["a", "b"], 300)})
    frame["sales"] = 100 - frame.price + rng.normal(size=300)
    frame["won"] = rng.random(300) < 1 / (1 + np.exp(frame.price / 10 - 5))
    return fit_linear(frame, y="sales", x=["price", "city"]), fit_logistic(frame, y="won", x=["price", "city"])


def test_coefficients_are_shown_per_standard_deviation_and_odds_on_a_log_axis(fits):
    linear, logistic = (regression_charts.coefficients_forest(fit) for fit in fits)
    price = fits[0].coefficients.set_index("term").coef["price"]
    assert linear.data[0].x[-1] == pytest.approx(price * fits[0].spread["price"])
    assert linear.data[0].y[0] == "city = b"
    assert linear.layout.xaxis.title.text == "Change in sales"
    assert logistic.layout.xaxis.type == "log"
    assert logistic.layout.xaxis.title.text == "Odds of won = True, multiplied by"


def test_residuals_and_leverage_show_every_row(fits):
    for chart in (regression_charts.residuals_scatter, regression_charts.leverage_scatter):
        for fit in fits:
            assert len(chart(fit).data[0].x) == 300
    assert len(regression_charts.residuals_quantiles(fits[0]).data[0].x) == 300
    assert "calibration" in sentence(regression_charts.residuals_quantiles(fits[1]))


def test_of_many_rows_the_influential_ones_stay(fits, monkeypatch):
    monkeypatch.setattr(regression_charts, "SHOWN_ROWS", 150)
    shown = regression_charts.residuals_scatter(fits[0]).data[0]
    assert 100 < len(shown.x) < 300
    assert str(fits[0].rows.cooks_distance.idxmax()) in shown.text


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: basket_charts.itemsets_bar(pd.DataFrame(columns=["itemsets", "count", "support"])), "Lower the minimum"),
        (lambda: basket_charts.rules_scatter(pd.DataFrame()), "Lower the minimum support"),
        (lambda: basket_charts.rules_holdout_dots(pd.DataFrame()), "hold-out"),
        (lambda: basket_charts.recommenders_bar(pd.DataFrame()), "no method"),
        (lambda: basket_charts.upsell_bar(pd.DataFrame(columns=["expected_extra"])), "dearer"),
        (lambda: attribution_charts.attribution_dots(pd.DataFrame()), "nothing to attribute"),
        (lambda: attribution_charts.attribution_heatmap(pd.DataFrame()), "nothing to attribute"),
        (lambda: attribution_charts.removal_effects_bar(pd.DataFrame()), "no channel"),
        (lambda: attribution_charts.journeys_bar(pd.DataFrame()), "touchpoints"),
        (lambda: attribution_charts.cost_per_conversion_dots(pd.DataFrame()), "costs"),
    ],
)
def test_an_empty_frame_gives_a_sentence(draw, words):
    assert words in sentence(draw())


def test_the_names_of_offers_stand_above_their_rows(made):
    offers = upsell(made.order_lines, made.products, min_count=5)
    fig = basket_charts.upsell_bar(offers, top=4)
    above = {note.y: note.text for note in fig.layout.annotations}
    assert above == {name: name.replace(" → ", "<br>→ ", 1) for name in fig.data[0].y}
    assert fig.layout.yaxis.showticklabels is False
