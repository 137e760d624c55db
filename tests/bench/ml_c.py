"""Speed of forecasts, lifetime models, scores and survival.

``cases()`` yields ``(name, callable, peer, goal)``; a peer gives the same answer in the usual way (None: there is none), and
that answer has been compared before the pair is handed out. Goals are CPU seconds.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln

from ml import synthetic
from ml.forecast import forecast
from ml.lead_score import fit_score
from ml.lifetime import fit_bgnbd, fit_pareto_nbd, summary
from ml.survival import cohort_retention, kaplan_meier

Case = tuple[str, Callable[[], object], Callable[[], object] | None, str]


def cases() -> Iterator[Case]:
    """All cases; the data is made on the way, outside the callables."""
    yield from _forecasts()
    yield from _lifetimes()
    yield from _scores()
    yield from _survival()


def _forecasts() -> Iterator[Case]:
    sales = synthetic.company("small", 1).sales
    forecast(sales.tail(100), horizon=7, origins=1)  # pays for importing Prophet
    yield "Three years of days, 90 ahead, backtest of all methods", lambda: forecast(sales, horizon=90), None, "under 3 s"
    quick = ("ets", "theta", "seasonal_naive")
    yield (
        "The same without Prophet, against smoothing by statsmodels on the same origins",
        lambda: forecast(sales, horizon=90, methods=quick),
        _smoothing_peer(sales, quick),
        "no slower, at least as accurate",
    )


def _smoothing_peer(sales: pd.DataFrame, quick: tuple[str, ...]) -> Callable[[], float]:
    """statsmodels' damped additive smoothing at each origin and once more at the end; compared by its mean error."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    y = sales["y"].to_numpy()
    ours = forecast(sales, horizon=90, methods=quick)
    ends = [int((sales["ds"] <= origin).sum()) for origin in sorted(ours.backtest["origin"].unique())]

    def run() -> float:
        errors = []
        for end in [*ends, len(y)]:
            model = ExponentialSmoothing(
                y[:end], trend="add", damped_trend=True, seasonal="add", seasonal_periods=7, initialization_method="heuristic"
            )
            ahead = model.fit().forecast(90)
            if end < len(y):
                errors.append(np.abs(y[end : end + 90] - ahead).mean() / np.abs(y[7:end] - y[: end - 7]).mean())
        return float(np.mean(errors))

    assert ours.accuracy["mase"].min() <= run() * 1.02
    return run


def _lifetimes() -> Iterator[Case]:
    million = simulated_histories(1_000_000)
    sample = million.head(20_000)
    ours, theirs = fit_bgnbd(sample), textbook_bgnbd(sample)
    assert np.allclose(list(ours.params.values()), theirs, rtol=0.02)
    yield "BG/NBD on 1,000,000 customers", lambda: fit_bgnbd(million), None, "under 5 s"
    few = million.head(100_000)
    yield "BG/NBD on 100,000 customers", lambda: fit_bgnbd(few), lambda: textbook_bgnbd(few), "at least 5 times the peer"
    yield "Pareto/NBD on 100,000 customers", lambda: fit_pareto_nbd(few), None, "under 5 s"
    orders = synthetic.company("large", 1).orders
    yield "Histories of 200,000 customers from their orders", lambda: summary(orders, as_of=synthetic.END), None, "under 2 s"


def simulated_histories(n: int, seed: int = 1, weeks: int = 78) -> pd.DataFrame:
    """SUMMARY of Pareto/NBD customers, in weeks, with the precision of days."""
    rng = np.random.default_rng(seed)
    T = np.ceil(rng.uniform(1, weeks * 7, n)) / 7
    rate, leaving = rng.gamma(0.55, 1 / 10.6, n), rng.gamma(0.6, 1 / 11.7, n)
    life = np.minimum(rng.exponential(1 / leaving), T)
    x = rng.poisson(rate * life)
    last = np.ceil(life * 7 * rng.random(n) ** (1 / np.maximum(x, 1))) / 7
    return pd.DataFrame({"x": x.astype(float), "t_x": np.where(x > 0, np.minimum(last, T), 0.0), "T": T})


def textbook_bgnbd(table: pd.DataFrame) -> np.ndarray:
    """The same likelihood row by row, without gradient or aggregation: what a notebook would do."""
    x, t_x, T = (table[name].to_numpy() for name in ("x", "t_x", "T"))

    def negative(theta: np.ndarray) -> float:
        r, alpha, a, b = np.exp(theta)
        a1 = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        a2 = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        a3 = -(r + x) * np.log(alpha + T)
        with np.errstate(divide="ignore"):
            a4 = np.where(x > 0, np.log(a) - np.log(np.maximum(b + x - 1, 1e-300)) - (r + x) * np.log(alpha + t_x), -np.inf)
        return -float(np.mean(a1 + a2 + np.logaddexp(a3, a4)))

    found = minimize(negative, np.zeros(4), method="L-BFGS-B", bounds=[(-12, 12)] * 4, options={"ftol": 1e-12})
    return np.exp(found.x)


def _scores() -> Iterator[Case]:
    leads = synthetic.company(100_000, 1).leads
    basics = {"outcome": "converted", "at": "at", "id": "lead_id", "spend": "spend"}
    model = fit_score(leads, **basics)  # type: ignore[arg-type]
    yield "A score from 100,000 snapshots, checked and judged", lambda: fit_score(leads, **basics), None, "under 5 s"  # type: ignore[arg-type]
    yield "100,000 records scored, with reasons", lambda: model.score(leads), None, "under 3 s"


def _survival() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    age, ended = rng.exponential(400, 1_000_000).round(), rng.integers(0, 2, 1_000_000)
    yield "Kaplan–Meier of 1,000,000 contracts", lambda: kaplan_meier(age, ended), None, "under 1 s"
    orders = synthetic.company("large", 1).orders
    yield (
        "Monthly retention of 200,000 customers",
        lambda: cohort_retention(orders, as_of=synthetic.END, at="ordered_at"),
        None,
        "under 3 s",
    )
