"""What a customer without a contract will still buy, and what that is worth.

``summary`` boils orders down to ``(x, t_x, T)`` per customer; ``fit_bgnbd`` or ``fit_pareto_nbd`` model *when*
customers buy and leave, ``fit_gamma_gamma`` how much they spend; ``expected_purchases`` and ``customer_value`` read the
models out; ``holdout_report`` says how wrong they were on a period that they did not see. ``fit_purchases`` and ``fit_spend``
pick what works.

The models are good at totals and at ageing, not at a magic ranking: bare recency orders customers about as well. And
P(alive) is no churn score: it is 1 for everybody who bought once. Use ``probability_purchase`` instead.
"""

from ml.lifetime_estimation import fit_bgnbd, fit_gamma_gamma, fit_pareto_nbd, fit_purchases, fit_spend
from ml.lifetime_fit import LifetimeFit
from ml.lifetime_holdout import HoldoutReport, holdout_report
from ml.lifetime_prediction import (
    customer_value,
    expected_purchases,
    expected_spend,
    probability_alive,
    probability_purchase,
)
from ml.lifetime_regression import RfmRegression, fit_rfm_regression
from ml.lifetime_summary import SUMMARY, summary

__all__ = [
    "SUMMARY",
    "HoldoutReport",
    "LifetimeFit",
    "RfmRegression",
    "customer_value",
    "expected_purchases",
    "expected_spend",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "fit_pareto_nbd",
    "fit_purchases",
    "fit_rfm_regression",
    "fit_spend",
    "holdout_report",
    "probability_alive",
    "probability_purchase",
    "summary",
]
