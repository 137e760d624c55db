"""Figures for `ml.regression`: the coefficients, and whether the fit may be believed."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import stats

from ml.charts import style
from ml.regression import Regression
from ml.writing import written

SHOWN_ROWS = 5_000


RATIOS = (0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100)
"""Odds at which the axis is marked: a logarithmic one would write lone digits between the powers of ten."""


def coefficients_forest(fit: Regression) -> go.Figure:
    """Each coefficient with its interval; for logistic fits as odds ratios. Pale: no clear link.

    Numeric columns are shown per standard deviation of the rows fitted, so that incomes and ages share an axis.
    """
    table = fit.coefficients[fit.coefficients["term"] != "intercept"].iloc[::-1]
    scale = fit.spread.reindex(table["term"]).to_numpy()
    values = {name: table[name].to_numpy() * scale for name in ("coef", "low", "high")}
    if fit.kind == "logistic":
        values = {name: np.exp(np.clip(value, -50, 50)) for name, value in values.items()}
    clear = ((table["low"] > 0) | (table["high"] < 0)).to_numpy()
    labels = [_label(term, unit) for term, unit in zip(table["term"], scale.tolist(), strict=True)]
    trace = go.Scatter(
        x=values["coef"],
        y=labels,
        mode="markers",
        marker={"size": 9, "opacity": np.where(clear, 1.0, 0.4)},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": values["high"] - values["coef"],
            "arrayminus": values["coef"] - values["low"],
            "thickness": 1.4,
        },
        customdata=np.column_stack([values["low"], values["high"], table["p"]]),
        hovertemplate="%{y}: %{x:.4g} (%{customdata[0]:.4g} to %{customdata[1]:.4g}, p = %{customdata[2]:.2g})<extra></extra>",
    )
    linear = fit.kind == "linear"
    title = f"Change in {fit.y}" if linear else f"Odds of {fit.y} = {fit.positive}, multiplied by"
    fig = style.figure(trace, x=title, height=100 + 30 * len(table))
    fig.add_vline(x=0 if linear else 1, line={"color": style.tone("line"), "dash": "dot"})
    fig.update_xaxes(showgrid=True, type="linear" if linear else "log")
    if not linear:
        fig.update_xaxes(tickvals=RATIOS, ticktext=[f"{ratio:g}×" for ratio in RATIOS])
    return fig


def residuals_scatter(fit: Regression) -> go.Figure:
    """Residual against fitted value: a fan means uneven spread, a bow a missing bend."""
    rows = _sampled(fit)
    trace = go.Scatter(
        x=rows["fitted"],
        y=rows["residual"],
        mode="markers",
        marker={"size": 6, "opacity": 0.5},
        text=rows.index.map(str),
        hovertemplate="Row %{text}: fitted %{x:.4g}, residual %{y:.4g}<extra></extra>",
    )
    logistic = fit.kind == "logistic"
    fig = style.figure(
        trace,
        x=f"Chance of {fit.y} = {fit.positive}" if logistic else f"Expected {fit.y}",
        y="Pearson residual" if logistic else f"Residual (unit of {fit.y})",
    )
    fig.add_hline(y=0, line={"color": style.tone("line"), "dash": "dot"})
    return fig


def residuals_quantiles(fit: Regression) -> go.Figure:
    """Residuals against what a normal distribution would give: ends that bend away are heavy tails."""
    if fit.kind == "logistic":
        return style.empty("Outcomes of yes and no have no normal residuals. Look at the calibration instead.")
    residual = np.sort(_sampled(fit)["residual"].to_numpy())
    normal = stats.norm.ppf((np.arange(len(residual)) + 0.5) / len(residual))
    spread = residual.std() or 1.0
    ends = np.array([normal[0], normal[-1]])
    return style.figure(
        go.Scatter(
            x=normal,
            y=residual / spread,
            mode="markers",
            name="Rows",
            marker={"size": 6, "opacity": 0.5},
            hovertemplate="expected %{x:.2f}, found %{y:.2f}<extra></extra>",
        ),
        go.Scatter(x=ends, y=ends, mode="lines", name="Normal", line={"color": style.tone("line"), "dash": "dot"}),
        x="Expected (standard deviations)",
        y="Found (standard deviations)",
    )


def leverage_scatter(fit: Regression) -> go.Figure:
    """Which rows pull: far from the others (leverage) and badly fitted; the size is Cook's distance."""
    rows = _sampled(fit)
    cooks = rows["cooks_distance"].to_numpy()
    trace = go.Scatter(
        x=rows["leverage"],
        y=rows["residual"],
        mode="markers",
        marker={"size": 5 + 25 * np.sqrt(np.minimum(cooks, 1.0)), "opacity": 0.5},
        text=rows.index.map(str),
        customdata=cooks,
        hovertemplate="Row %{text}: leverage %{x:.3f}, residual %{y:.4g}, Cook's distance %{customdata:.2g}<extra></extra>",
    )
    fig = style.figure(trace, x="Leverage (0: like all others, 1: alone)", y="Residual")
    fig.add_hline(y=0, line={"color": style.tone("line"), "dash": "dot"})
    return fig


def _sampled(fit: Regression) -> pd.DataFrame:
    """At most `SHOWN_ROWS` rows, the most influential ones always among them."""
    if len(fit.rows) <= SHOWN_ROWS:
        return fit.rows
    order = np.argsort(-fit.rows["cooks_distance"].to_numpy(), kind="stable")
    keep = np.concatenate([order[:100], order[100 :: max(1, len(order) // SHOWN_ROWS)]])
    return fit.rows.iloc[np.sort(np.unique(keep))]


def _label(term: str, scale: float) -> str:
    return term if scale == 1.0 else f"{term} (per {written(float(f'{scale:.2g}'), ',.10g')})"
