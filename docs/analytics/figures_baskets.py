"""Makes the figures on baskets, attribution and regression: ``python docs/analytics/figures_baskets.py``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

import pandas as pd  # noqa: E402
import plotly.graph_objects as go  # noqa: E402
from svg import draw  # noqa: E402

from ml import synthetic  # noqa: E402
from ml.attribution import attribute, paths_from_touches  # noqa: E402
from ml.basket import association_rules, evaluate  # noqa: E402
from ml.charts import attribution as attribution_charts  # noqa: E402
from ml.charts import basket as basket_charts  # noqa: E402
from ml.charts import regression as regression_charts  # noqa: E402
from ml.regression import Regression, fit_linear  # noqa: E402

SHOWN_MODELS = ("first", "last", "linear", "markov", "shapley")


def figures() -> dict[str, go.Figure]:
    """File name without ending → figure."""
    company = synthetic.company("medium", 1)
    rules = association_rules(company.order_lines, min_support=0.01, min_confidence=0.15, holdout=0.3)
    paths = paths_from_touches(company.touchpoints, company.conversions, lookback_days=30)
    credits = attribute(paths, models=SHOWN_MODELS)
    return {
        "basket": basket_charts.rules_holdout_dots(_telling(rules), top=12),
        "basket_methods": basket_charts.recommenders_bar(evaluate(company.order_lines, split_at=0.8)),
        "attribution": attribution_charts.attribution_dots(credits),
        "attribution_models": attribution_charts.attribution_heatmap(credits),
        "regression": regression_charts.coefficients_forest(_spending(company)),
    }


def _telling(rules: pd.DataFrame) -> pd.DataFrame:
    """A handful that would be acted upon, and as many that look alike and are chance."""
    sure = rules[rules["productive"] & (rules["q_value"] < 0.05)].head(6)
    chance = rules[rules["q_value"] > 0.5].nlargest(6, "lift")
    return pd.concat([sure, chance])


def _spending(company: synthetic.Company) -> Regression:
    """What goes with the spending of leads that converted; shoe size is planted noise."""
    won = company.leads[company.leads["converted"] == 1]
    return fit_linear(won, y="spend", x=["employees", "pages_viewed", "source", "region", "shoe_size"])


if __name__ == "__main__":
    for name, figure in figures().items():
        (HERE / f"{name}.svg").write_text(draw(figure), encoding="utf-8")
        print(f"{name}.svg")
