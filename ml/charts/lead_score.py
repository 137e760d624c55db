"""Figures for `ml.lead_score` and `ml.churn` scores; calibration and gain are in `ml.charts.evaluation`."""

from typing import Any

import plotly.graph_objects as go

from ml.charts import style
from ml.charts.evaluation import calibration_line, gain_line
from ml.lead_score import ScoreModel
from ml.writing import written

__all__ = ["coefficients_bar", "contributions_bar", "drift_bar", "score_calibration_line", "score_gain_line"]

REFUSED = "No better than the base rate: there is nothing to explain."


def score_calibration_line(model: ScoreModel) -> go.Figure:
    """Predicted against observed, on rows that the judged fit had not seen."""
    return calibration_line(model.calibration)


def score_gain_line(model: ScoreModel) -> go.Figure:
    """Outcomes reached when the best scores come first, on the same rows."""
    return gain_line(model.lift)


def coefficients_bar(model: ScoreModel, *, top: int = 12) -> go.Figure:
    """What raises and what lowers the score, strongest at the top."""
    if not model.usable or model.coefficients.empty:
        return style.empty(REFUSED)
    table = model.coefficients.head(top).iloc[::-1]
    return _signed_bar(table["term"].tolist(), table["coefficient"].tolist(), "Log-odds per standard deviation, or if true")


def contributions_bar(contributions: list[dict[str, Any]]) -> go.Figure:
    """Why one record has its score: one list from the column ``contributions`` of ``ScoreModel.score``."""
    if not contributions:
        return style.empty(REFUSED)
    names = [f"{c['field']}: {_short(c['value'])}" for c in contributions][::-1]
    return _signed_bar(names, [c["log_odds"] for c in contributions][::-1], "Log-odds against the average record")


def drift_bar(model: ScoreModel, *, top: int = 12) -> go.Figure:
    """How far fields have moved between the earlier and the later rows; beyond .25 they have drifted."""
    table = model.drift.head(top).iloc[::-1]
    if table.empty:
        return style.empty("Without a split by time there is no earlier and later to compare.")
    tones = {"stable": "muted", "moved": "warn", "drifted": "bad"}
    trace = go.Bar(
        x=table["psi"],
        y=table["field"].astype(str),
        orientation="h",
        marker={"color": [style.tone(tones[verdict]) for verdict in table["verdict"]]},  # type: ignore[arg-type]
        customdata=table[["early", "late", "verdict"]],
        hovertemplate="%{y}: %{customdata[0]:.3g} → %{customdata[1]:.3g} (%{customdata[2]})<extra></extra>",
    )
    fig = style.figure(trace, x="Population stability index", height=80 + 28 * len(table))
    for limit in (0.1, 0.25):
        fig.add_vline(x=limit, line={"color": style.tone("line"), "dash": "dot", "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def _signed_bar(names: list[str], values: list[float], x: str) -> go.Figure:
    trace = go.Bar(
        x=values,
        y=names,
        orientation="h",
        marker={"color": [style.tone("accent" if value > 0 else "bad") for value in values]},
        hovertemplate="%{y}: %{x:+.2f}<extra></extra>",
    )
    fig = style.figure(trace, x=x, height=80 + 28 * len(names))
    fig.add_vline(x=0, line={"color": style.tone("line"), "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def _short(value: Any) -> str:
    if value is None:
        return "unknown"
    return written(value, ",.4g") if isinstance(value, float) else str(value)[:40]
