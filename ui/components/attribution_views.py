"""The parts of the attribution page: credits by every model, what a conversion cost, what hold-outs measured, the journeys themselves."""

from typing import Any

import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure

from crm_core.services.analytics.methods.attribution import FEW, MODELS
from crm_core.vocabulary import Action
from ml.charts import attribution as charts
from ml.charts.holdouts import holdouts_dots
from ui import format as fmt
from ui.components.analysis import Analysis
from ui.components.figure import box, chart
from ui.components.header import empty_state
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of

SHOWN = {"share": "Share in %", "conversions": "Conversions", "value": "Value"}
OUTCOMES = {"converted": "Converted", "value": "Value per person", "responded": "Responded"}
SHORT = {"first": "First", "last": "Last", "position": "40/20/40", "time_decay": "Decay", "w": "W"}
ORDER = ("first", "last", "linear", "markov", "shapley", "position", "time_decay", "w", "full_path")
BUSY = 14
"""Rows up to which a figure stays readable; the table has all of them."""


def whole(shown: Analysis, amount: float) -> str:
    """An amount in major units without its cents."""
    from crm_core.kit.money import to_minor

    return fmt.money(shown.actor, to_minor(round(amount, 2), shown.actor.currency), decimals=False)


def totals(shown: Analysis) -> None:
    """How much there was to share out, and how little the journeys know."""
    found, actor = shown.summary, shown.actor
    with st.grid(5, min_column_width=150):
        _metric(
            "Conversions shared out", fmt.number(actor, found["conversions"], digits=0), f"worth {whole(shown, found['value'])}"
        )
        _metric(
            "Without any touch", fmt.number(actor, found["without_touch"]), f"worth {whole(shown, found['value_without_touch'])}",
            "Conversions that nothing preceded within the look-back: no channel gets them",
        )  # fmt: skip
        _metric(
            "Journeys", fmt.number(actor, found["journeys"]), f"{fmt.percent(actor, found['conversion_probability'])} converted"
        )
        _metric(
            "Still open", fmt.number(actor, found["open"]), f"of {fmt.written(found['nulls'])} not converted",
            "Journeys whose last touch is younger than the look-back: they may still convert",
        )  # fmt: skip
        auc = found["auc"]
        _metric(
            "Tells who converts", fmt.written(auc[0], ".2f") if auc else fmt.NOTHING, f"{fmt.written(auc[1], '.2f')} to {fmt.written(auc[2], '.2f')}" if auc else "",
            f"The chain's AUC on journeys that it did not see; a coin has .50. {fmt.as_read(found['auc_verdict'])}" if auc else "Too few journeys of either kind to tell",
        )  # fmt: skip


def _metric(label: str, value: str, note: str, help_text: str = "") -> None:
    st.metric(
        label, value, delta=fmt.md(note) or None, delta_color="off", delta_arrow="off", border=True, height="stretch", help=help_text or None
    )  # fmt: skip


# --- credits -----------------------------------------------------------------------------------------------------------------


def credits(shown: Analysis) -> None:
    """The figure, then all models in one table."""
    found = shown.table("credits")
    many = found["channel"].nunique() > BUSY
    fig = shown.figure(_dots, "credits")
    word = _word(shown)
    chart(
        shown.actor, fig, f"Share of the conversions by {word}",
        f"Nine models with their intervals{f', the {BUSY} largest' if many else ''}; * pale: fewer than {FEW} conversions",
        key="credits", png="attribution",
    )  # fmt: skip
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**All models beside each other**", width="content")
        what = st.segmented_control(
            "Show", list(SHOWN), default="share", format_func=lambda key: SHOWN[key], key="credit", bind="query-params", label_visibility="collapsed",
            required=True, width="content",
        )  # fmt: skip
    credit_table(shown, found, what or "share")
    st.caption(
        f"Every column adds up to all conversions. * fewer than {FEW} conversions were touched: chance may have its hand in these."
    )


def _dots(found: pd.DataFrame) -> Figure:
    largest = found.groupby("channel")["share"].mean().nlargest(BUSY).index
    return charts.attribution_dots(found[found["channel"].isin(largest)])


def credit_table(shown: Analysis, found: pd.DataFrame, what: str) -> None:
    """One row per channel or campaign, the strongest first; campaigns lead to their pages."""
    order = found.groupby("channel")["share"].mean().sort_values(ascending=False).index
    cells = {(row["channel"], row["model"]): row for row in found.to_dict("records")}
    models = sorted(dict.fromkeys(found["model"]), key=list(ORDER).index)
    rows, hrefs = [], {}
    for n, name in enumerate(order):
        first = cells[name, models[0]]
        star = "" if first["reliable"] else " *"
        texts = [_credit(shown, cells[name, model], what) for model in models]
        rows.append(
            (n, [Cell(f"{name}{star}"), Cell(fmt.number(shown.actor, first["touched"], digits=0)), *[Cell(text) for text in texts]])
        )
        hrefs[n] = campaign_address(shown, first["campaign_id"])
    columns = [
        Column("channel", _word(shown).capitalize(), sortable=False),
        Column("touched", "Touched", right=True, sortable=False, muted=True, named=True),
    ]
    columns += [Column(model, SHORT.get(model, MODELS[model]), right=True, sortable=False, named=True) for model in models]
    happened = table(columns, rows, key=f"credits_{what}", label="Credits by model", hrefs=hrefs if any(hrefs.values()) else None)
    _open(happened.opened, hrefs)


def _credit(shown: Analysis, row: dict[Any, Any], what: str) -> str:
    if what == "value":
        return whole(shown, row["value"])
    if what == "conversions":
        return fmt.number(shown.actor, row["conversions"], digits=1)
    digits = 0 if row["share"] >= 0.1 else 1
    share, *ends = (fmt.written(100 * row[name], f".{digits}f") for name in ("share", "low", "high"))
    return share if pd.isna(row["low"]) else f"{share} ({'–'.join(ends)})"


def _word(shown: Analysis) -> str:
    return "campaign" if shown.run.params["level"] == "campaign" else "channel"


def campaign_address(shown: Analysis, campaign_id: Any) -> str:
    """Where a campaign's page is, empty for anything else."""
    may = page_of(shown.actor, "campaign") is not None
    return f"/campaign?id={int(campaign_id)}" if may and pd.notna(campaign_id) else ""


def _open(opened: int | None, hrefs: dict[int, str]) -> None:
    if opened is not None and hrefs.get(opened):
        go("campaign", id=hrefs[opened].rpartition("=")[2])


# --- costs -------------------------------------------------------------------------------------------------------------------


def costs(shown: Analysis) -> None:
    """What a conversion cost, by each model, and what the choice of the model decides."""
    found = shown.table("costs")
    if found.empty:
        booked = shown.run.params["costs"] == "booked"
        words = (
            "Enter what was spent on a campaign's page, under Channels. Costs noted on touches can be chosen in the settings above."
            if booked
            else "The touches of this period carry no cost. Costs booked on campaigns can be chosen in the settings above."
        )
        actions = empty_state("No costs in this period", words, icon="payments")
        if page_of(shown.actor, "campaigns") is not None and actions.button("Open campaigns", key="costs_campaigns"):
            go("campaigns")
        return
    fig = shown.figure(_cost_dots, "costs", currency=shown.actor.currency)
    chart(
        shown.actor, fig, "Cost of a conversion", "From the kindest to the harshest model; the longer the line, the more the model decides",
        key="costs", png="attribution-costs",
    )  # fmt: skip
    cost_table(shown, found)
    st.caption(_budget_words(shown, found))


def _cost_dots(found: pd.DataFrame, currency: str) -> Figure:
    fig = charts.cost_per_conversion_dots(found.drop(columns="campaign_id").head(BUSY))
    return fig.update_xaxes(title_text=f"Cost per attributed conversion ({currency})") if len(fig.data) else fig


def cost_table(shown: Analysis, found: pd.DataFrame) -> None:
    """Cost, the range over the models and the spread; what touched nobody stands below."""
    rows, hrefs = [], {}
    for n, row in enumerate(found.to_dict("records")):
        known = pd.notna(row["lowest"])
        each = [
            whole(shown, row[model]) if pd.notna(row[model]) else fmt.NOTHING for model in ("first", "last", "markov", "shapley")
        ]
        spread = f"{fmt.written(row['spread'], '.1f')} times" if known else "no conversion"
        span = f"{whole(shown, row['lowest'])} – {whole(shown, row['highest'])}" if known else fmt.NOTHING
        texts = [row["channel"], whole(shown, row["cost"]), span, spread, *each]
        rows.append((n, [Cell(text, hot=k == 3 and known and row["spread"] >= 2) for k, text in enumerate(texts)]))
        hrefs[n] = campaign_address(shown, row["campaign_id"])
    labels = (
        _word(shown).capitalize(),
        "Spent",
        "Per conversion",
        "Spread over models",
        "First touch",
        "Last touch",
        "Markov",
        "Shapley",
    )
    columns = [Column(f"c{n}", label, right=n > 0, sortable=False, named=True) for n, label in enumerate(labels)]
    happened = table(
        columns, rows, key="costs_table", label="Cost per attributed conversion", hrefs=hrefs if any(hrefs.values()) else None
    )
    _open(happened.opened, hrefs)


def _budget_words(shown: Analysis, found: pd.DataFrame) -> str:
    """Whether one may move money on this: only with a measured lift beside it."""
    torn = int((found["spread"] >= 2).sum())
    words = (
        f"For {torn} of {len(found)} the choice of the model alone changes the cost by a factor of two or more. " if torn else ""
    )
    lifts = shown.table("holdouts")
    sure = lifts[(lifts["outcome"] == "converted") & lifts["conclusive"]]
    if sure.empty:
        return words + "No campaign's effect is measured well enough here, so these figures alone are no reason to move a budget."
    return (
        words
        + f"Measured beside it: {', '.join(fmt.md(name) for name in sure['campaign'])}. Set budgets by the measured lift, on the campaign's page."
    )


# --- hold-outs ---------------------------------------------------------------------------------------------------------------


def measured(shown: Analysis) -> None:
    """What campaigns changed, from the people whom they left out; the credits stand beside it."""
    found = shown.table("holdouts")
    if found.empty:
        actions = empty_state(
            "Nothing measured in this period",
            "A campaign that leaves a random part of its audience out can say what it caused. New campaigns do so by default.",
            icon="science",
        )
        may = shown.actor.can("campaign", Action.CREATE)
        if page_of(shown.actor, "campaigns") is not None and actions.button(
            "Plan a campaign" if may else "Open campaigns", key="plan"
        ):
            go("campaigns")
        return
    outcomes = [key for key in OUTCOMES if key in set(found["outcome"])]
    outcome = st.segmented_control(
        "Outcome", outcomes, default=outcomes[0], format_func=lambda key: OUTCOMES[key], key="lift", bind="query-params", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    outcome = outcome if outcome in outcomes else outcomes[0]
    fig = shown.figure(_lift_dots, "holdouts", outcome=outcome, currency=shown.actor.currency)
    subtitle = f"People addressed against people held out, within {shown.run.params['lookback_days']} days; pale: may be chance"
    chart(shown.actor, fig, "What the campaigns changed", subtitle, key=f"lift_{outcome}", png="measured-lift")
    lift_table(shown, found[found["outcome"] == outcome], outcome)
    st.caption(
        "May be chance: a difference must stand out beside all the other campaigns too, since of twenty without any effect one looks clear by "
        "luck. Extra is the difference times the people addressed. Attributed is what the models give the campaign: a campaign that takes part in "
        "many journeys can be given much and change little."
    )


def _lift_dots(found: pd.DataFrame, outcome: str, currency: str) -> Figure:
    share = outcome != "value"
    x = "Difference" if share else f"Difference ({currency} per person)"
    return holdouts_dots(found[found["outcome"] == outcome], share=share, x=x)


def lift_table(shown: Analysis, found: pd.DataFrame, outcome: str) -> None:
    """Both groups, the difference with its interval, and the credits of all models beside the extra that was measured."""
    given = _given(shown) if outcome == "converted" and _word(shown) == "campaign" else {}
    rows, hrefs = [], {}
    for n, row in enumerate(found.sort_values("difference", ascending=False).to_dict("records")):
        each = [_amount(shown, outcome, row[key]) for key in ("treated", "control", "difference", "low", "high")]
        extra = _extra(shown, outcome, row)
        texts = [
            row["campaign"],
            f"{each[0]} of {fmt.written(row['n_treated'])}",
            f"{each[1]} of {fmt.written(row['n_control'])}",
            f"{each[2]} ({each[3]} to {each[4]})",
            extra,
        ]
        texts += [given.get(row["campaign_id"], fmt.NOTHING)] if given else []
        verdict = Cell("measured", tone="green") if row["conclusive"] else Cell("may be chance", tone="gray")
        rows.append((n, [*[Cell(text) for text in texts], verdict]))
        hrefs[n] = campaign_address(shown, row["campaign_id"])
    labels = [
        "Campaign",
        "Addressed",
        "Held out",
        "Difference (interval)",
        "Extra (interval)",
        *(["Attributed"] if given else []),
        "Verdict",
    ]
    columns = [
        Column(f"l{n}", label, right=0 < n < len(labels) - 1, sortable=False, named=n < len(labels) - 1)
        for n, label in enumerate(labels)
    ]
    happened = table(columns, rows, key=f"lifts_{outcome}", label="Measured lifts", hrefs=hrefs if any(hrefs.values()) else None)
    _open(happened.opened, hrefs)


def _amount(shown: Analysis, outcome: str, value: float) -> str:
    return whole(shown, value) if outcome == "value" else fmt.percent(shown.actor, value)


def _extra(shown: Analysis, outcome: str, row: dict[Any, Any]) -> str:
    low, middle, high = (row[key] for key in ("extra_low", "extra", "extra_high"))
    if outcome == "value":
        return f"{whole(shown, middle)} ({whole(shown, low)} to {whole(shown, high)})"
    return f"{fmt.written(middle, ',.1f')} ({fmt.written(low, ',.1f')} to {fmt.written(high, ',.1f')})"


def _given(shown: Analysis) -> dict[int, str]:
    """Campaign → conversions that the models give it, lowest to highest."""
    credits = shown.table("credits").dropna(subset="campaign_id")
    spans = credits.groupby("campaign_id")["conversions"].agg(["min", "max"])
    rows = spans.reset_index().to_dict("records")
    return {int(row["campaign_id"]): f"{fmt.written(row['min'], ',.1f')} – {fmt.written(row['max'], ',.1f')}" for row in rows}


def _removal(found: pd.DataFrame) -> Figure:
    return charts.removal_effects_bar(found.nlargest(BUSY, "removal_effect")).update_xaxes(title_text="Conversions lost")


# --- journeys ----------------------------------------------------------------------------------------------------------------


def journeys(shown: Analysis) -> None:
    """The most frequent journeys, and what the chain would lose without each channel."""
    left, right = st.columns([6, 5], gap="small")
    with left:
        fig = shown.figure(charts.journeys_bar, "journeys")
        chart(shown.actor, fig, "The most frequent journeys", "Converted, and not", key="journeys", png="journeys")
    with right:
        fig = shown.figure(_removal, "removal")
        chart(
            shown.actor, fig, "If a channel led nowhere", "By the Markov chain of all journeys: a thought, no experiment", key="removal",
            png="removal-effects",
        )  # fmt: skip
    outer, _head = box("Journeys", "The hundred most frequent ones", key="journey_table")
    outer.dataframe(
        shown.table("journeys"),
        hide_index=True,
        width="stretch",
        height=280,
        column_config={
            "path": st.column_config.TextColumn("Journey", width="large"),
            "conversions": st.column_config.NumberColumn("Converted", format="%d"),
            "value": st.column_config.NumberColumn(f"Value ({shown.actor.currency})", format="%.0f"),
            "nulls": st.column_config.NumberColumn("Did not", format="%d"),
        },
    )
