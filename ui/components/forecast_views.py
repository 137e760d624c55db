"""Parts of the forecast page: the figures of a stored forecast, the methods that competed, the periods ahead."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from crm_core.kit import numerals
from crm_core.services.analytics.methods.forecast import GRAINS, SERIES
from ml.charts import forecast as charts
from ml.forecast_result import NAMES, Forecast
from ui import format as fmt
from ui.components.analysis import Analysis
from ui.components.figure import box, chart
from ui.components.segmentation_views import money

TABLES = ("forecast", "history", "backtest", "accuracy", "rehearsals")
_FACTS = ("chosen", "forced", "level", "has_pattern", "skill", "freq", "season")


def stored(tables: tuple[pd.DataFrame, ...], facts: Mapping[str, Any]) -> Forecast:
    """The forecast as it was computed, from the tables of its run."""
    return Forecast(*tables, **{name: facts[name] for name in _FACTS})  # type: ignore[arg-type]


def figure(shown: Analysis, draw: Any, **options: Any) -> go.Figure:
    """A chart of ``ml.charts.forecast`` over the run."""
    facts = tuple((name, shown.summary[name]) for name in _FACTS)
    return shown.figure(_drawn, *TABLES, draw=draw.__name__, facts=facts, options=tuple(sorted(options.items())))


def _drawn(*tables: pd.DataFrame, draw: str, facts: Any, options: Any) -> go.Figure:
    return getattr(charts, draw)(stored(tables, dict(facts)), **dict(options))


def axis(shown: Analysis) -> str:
    """The title of the value axis with its unit."""
    params = shown.run.params
    unit = f" ({shown.actor.currency})" if shown.summary["money"] else ""
    return f"{SERIES[params['series']]}{unit} per {GRAINS[params['grain']].lower()}"


def amount(shown: Analysis, value: float) -> str:
    """A value of the series as people read it."""
    return money(shown.actor, value) if shown.summary["money"] else fmt.number(shown.actor, value, digits=0 if value >= 10 else 1)


def step_words(grain: str, stamp: pd.Timestamp, actor: Any) -> str:
    """The name of a period: a day, the week from a day on, a month."""
    if grain == "month":
        return numerals.month(stamp.date(), actor.locale, short=True)
    return fmt.day(actor, stamp.date()) if grain == "day" else f"Week of {fmt.day(actor, stamp.date())}"


def ahead(shown: Analysis) -> None:
    """What is expected, period by period, each with its range."""
    actor, grain = shown.actor, shown.run.params["grain"]
    table = shown.table("forecast")
    rows = [
        {
            GRAINS[grain]: step_words(grain, stamp, actor),
            "Expected": amount(shown, expected),
            "At least": amount(shown, low),
            "At most": amount(shown, high),
        }
        for stamp, expected, low, high in table[["ds", "yhat", "low", "high"]].itertuples(index=False)
    ]
    outer, _ = box("Ahead", f"Range for {shown.summary['level']:.0%} of what happens, one period at a time", key="box_ahead")
    outer.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", height=380)


def methods(shown: Analysis) -> None:
    """The methods that competed, best first, with what their ranges promised and held."""
    table, chosen, level = shown.table("accuracy"), shown.summary["chosen"], shown.summary["level"]
    rows = [
        {
            "Method": NAMES[row["method"]] + (" (used)" if row["method"] == chosen else ""),
            "MASE": fmt.written(row["mase"], ".2f"),
            "WAPE": fmt.percent(shown.actor, row["wape"], 0),
            "Own range": fmt.percent(shown.actor, row["coverage"], 0),
            "Calibrated": fmt.percent(shown.actor, row["coverage_calibrated"], 0),
        }
        for row in table.to_dict("records")
    ]
    outer, _ = box("Methods in the rehearsals", f"Off by how much, and how much the {level:.0%} range held", key="box_methods")
    outer.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    outer.caption(
        "MASE: error over that of repeating the last season, below 1 is better. WAPE: all errors over all values. "
        "The range shown is the calibrated one: stretched to the errors of the rehearsals."
    )


def evidence(shown: Analysis) -> None:
    """Rehearsals against what happened, errors by method, and whether ranges keep their word."""
    actor = shown.actor
    chart(
        actor, figure(shown, charts.rehearsal_line, y=axis(shown)), "What it would have said", "From each of the earlier days",
        key="rehearsed", png="forecast-rehearsals",
    )  # fmt: skip
    left, right = st.columns(2, gap="small")
    with left:
        chart(
            actor,
            figure(shown, charts.accuracy_bar),
            "Errors by method",
            "1 is repeating the last season",
            key="errors",
            png="forecast-errors",
        )
    with right:
        chart(
            actor, figure(shown, charts.coverage_points), "Do the ranges keep their word?", "The dotted line is the promise",
            key="coverage", png="forecast-coverage",
        )  # fmt: skip
