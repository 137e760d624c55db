"""Figures for `ml.churn`: who stays how long, and how cohorts fade."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style

LABELLED = 400  # cells; beyond that the numbers would overlap


def survival_line(curve: pd.DataFrame, *, unit: str = "months") -> go.Figure:
    """Share still there by age, a step line per group with its interval.

    Parameters
    ----------
    curve
        From `ml.churn.kaplan_meier` (or ``ChurnModel.survival``).
    unit
        Of the ages.
    """
    if curve.empty:
        return style.empty("There is no tenure to draw a survival curve from.")
    groups = curve["group"].unique().tolist() if "group" in curve else [None]
    traces: list[go.Scatter] = []
    for name in groups:
        part = curve if name is None else curve[curve["group"] == name]
        traces.append(
            go.Scatter(
                x=[*_steps(part["age"])[1:], *_steps(part["age"])[:0:-1]],
                y=[*_steps(part["high"])[:-1], *_steps(part["low"])[-2::-1]],
                mode="lines",
                fill="toself",
                fillcolor=style.tone("band"),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    for place, name in enumerate(groups):
        part = curve if name is None else curve[curve["group"] == name]
        traces.append(
            go.Scatter(
                x=part["age"],
                y=part["survival"],
                mode="lines",
                name="All" if name is None else str(name),
                line={"shape": "hv", "dash": style.DASHES[place % len(style.DASHES)]},
                customdata=part["at_risk"],
                hovertemplate=f"after %{{x:,.4g}} {unit}: %{{y:.1%}} (%{{customdata:,}} observed)<extra></extra>",
            )
        )
    fig = style.figure(*traces, x=f"Age ({unit})", y="Share still there", legend=len(groups) > 1)
    fig.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return fig


def _steps(values: pd.Series) -> list[float]:
    """Every value twice: a band around a step line has to be drawn corner by corner."""
    return np.repeat(values.to_numpy(dtype=float), 2).tolist()


def retention_heatmap(
    table: pd.DataFrame, *, period: str = "month", clickable: bool = False, months: Sequence[str] = style.MONTHS
) -> go.Figure:
    """Share of each cohort that is active again, by age; age 0 is always 100% and left out.

    Parameters
    ----------
    table
        From `ml.churn.cohort_retention`.
    clickable
        Lay an unseen point over each cell, whose custom data are the cohort's first day and the age: a heat map itself can't be selected.
    months
        The names of the twelve months.
    """
    later = table[table["age"] > 0] if len(table) else table
    if later.empty:
        return style.empty(f"No cohort is older than one {period} yet.")
    wide = later.pivot(index="cohort", columns="age", values="retention").sort_index(ascending=False)
    sizes = table.groupby("cohort")["customers"].first()
    names = [_cohort(pd.Timestamp(str(cohort)), sizes[cohort], months) for cohort in wide.index]
    z = wide.to_numpy(dtype=float)
    trace = go.Heatmap(
        x=wide.columns.tolist(),
        y=names,
        z=z,
        zmin=0,
        colorscale=style.sequential(),
        colorbar={"tickformat": ".0%", "thickness": 10},
        hovertemplate=f"cohort %{{y}}, {period} %{{x}}: %{{z:.1%}}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )
    fig = style.figure(trace, x=f"Age ({period}s since the first purchase)", height=90 + 24 * len(names))
    fig.update_yaxes(showgrid=False)
    fig.update_xaxes(dtick=1)
    if clickable:
        fig.add_trace(_points(later, sizes, months))
        fig.update_xaxes(range=[0.5, int(later["age"].max()) + 0.5])  # the points would widen it
    if z.size > LABELLED:
        return fig
    words = [[("" if np.isnan(value) else f"{value:.0%}") for value in row] for row in z]
    return style.label_cells(fig, wide.columns.tolist(), names, words)


def _cohort(first: pd.Timestamp, customers: int, months: Sequence[str]) -> str:
    return f"{style.month(first, months)} ({customers})"


def _points(later: pd.DataFrame, sizes: pd.Series, months: Sequence[str]) -> go.Scatter:
    stamps = [pd.Timestamp(str(cohort)) for cohort in later["cohort"]]
    return go.Scatter(
        x=later["age"],
        y=[_cohort(stamp, sizes[stamp], months) for stamp in stamps],
        mode="markers",
        marker={"size": 18, "opacity": 0, "symbol": "square"},
        customdata=[[f"{stamp:%Y-%m-%d}", int(age)] for stamp, age in zip(stamps, later["age"], strict=True)],
        hoverinfo="skip",
        showlegend=False,
    )
