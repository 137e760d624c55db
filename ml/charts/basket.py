"""Figures for `ml.basket`: which rules hold up, which way of suggesting is right, what to offer instead."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style


def itemsets_bar(itemsets: pd.DataFrame, *, top: int = 15, min_len: int = 2) -> go.Figure:
    """The sets that stand in most baskets.

    Parameters
    ----------
    itemsets
        From `ml.basket.frequent_itemsets`.
    min_len
        Leave out shorter sets; single products are a plain sales list.
    """
    shown = itemsets[itemsets["itemsets"].map(len) >= min_len] if len(itemsets) else itemsets
    shown = shown.sort_values("count", ascending=False, kind="stable").head(top).iloc[::-1]
    if shown.empty:
        return style.empty("No set of products stands in enough baskets. Lower the minimum, or take a longer period.")
    trace = go.Bar(
        x=shown["count"],
        y=[words(itemset) for itemset in shown["itemsets"]],
        orientation="h",
        customdata=shown["support"],
        hovertemplate="%{y}: %{x:,} baskets (%{customdata:.2%})<extra></extra>",
    )
    fig = style.figure(trace, x="Baskets", height=_height(len(shown)))
    return _level_names(fig)


def rules_scatter(rules: pd.DataFrame) -> go.Figure:
    """How often a rule can be used against how often it is right; rules that a shorter one beats are pale.

    Parameters
    ----------
    rules
        From `ml.basket.association_rules`.
    """
    if rules.empty:
        return style.empty("No rule reaches these limits. Lower the minimum support or confidence.")
    traces = [
        go.Scatter(
            x=part["support"],
            y=part["confidence"],
            mode="markers",
            name=name,
            marker={"size": 8, **look},
            text=_rule_names(part),
            customdata=part[["count", "lift"]],
            hovertemplate="%{text}<br>%{customdata[0]:,} baskets, right in %{y:.0%}, lift %{customdata[1]:.2f}<extra></extra>",
        )
        for name, part, look in (
            ("A shorter rule says as much", rules[~rules["productive"]], {"color": style.tone("line")}),
            ("Says more than every shorter rule", rules[rules["productive"]], {"opacity": 0.75}),
        )
        if len(part)
    ]
    fig = style.figure(*traces, x="Support (share of baskets with the whole rule)", y="Confidence (share it is right)")
    fig.update_xaxes(tickformat=".1%")
    fig.update_yaxes(tickformat=".0%")
    return fig


def rules_holdout_dots(rules: pd.DataFrame, *, top: int = 15) -> go.Figure:
    """The first rules, with the lift they had when mined and the one measured on later baskets.

    Parameters
    ----------
    rules
        From `ml.basket.association_rules` with a hold-out; the first `top` are shown in their order.
    """
    seen = rules[rules["holdout_lift"].notna()].head(top).iloc[::-1] if len(rules) else rules
    if seen.empty:
        return style.empty("No rule was confirmed on later baskets. Mine with a hold-out to see which ones hold.")
    names = _rule_names(seen)
    later = go.Scatter(
        x=seen["holdout_lift"],
        y=names,
        mode="markers",
        name="On later baskets",
        marker={"size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": _finite(seen["holdout_lift_high"] - seen["holdout_lift"]),
            "arrayminus": seen["holdout_lift"] - seen["holdout_lift_low"],
            "thickness": 1.2,
        },
        hovertemplate="%{y}: lift %{x:.2f} on later baskets<extra></extra>",
    )
    mined = go.Scatter(
        x=seen["lift"],
        y=names,
        mode="markers",
        name="When mined",
        marker={"size": 9, "symbol": "line-ns-open", "color": style.tone("muted")},
        hovertemplate="%{y}: lift %{x:.2f} when mined<extra></extra>",
    )
    fig = style.figure(later, mined, x="Lift (1: no connection)")
    fig.add_vline(x=1, line={"color": style.tone("line"), "dash": "dot"})
    return _names_above(_level_names(fig))


def recommenders_bar(evaluation: pd.DataFrame) -> go.Figure:
    """How often each method names the product that was taken out of the basket.

    Parameters
    ----------
    evaluation
        From `ml.basket.evaluate`.
    """
    if evaluation.empty:
        return style.empty("There is no method to compare.")
    hit = next(column for column in evaluation.columns if str(column).startswith("hit@"))
    shown = evaluation.iloc[::-1]
    trace = go.Bar(
        x=shown[hit],
        y=shown["method"],
        orientation="h",
        error_x={
            "type": "data",
            "symmetric": False,
            "array": shown["high"] - shown[hit],
            "arrayminus": shown[hit] - shown["low"],
            "thickness": 1.2,
            "color": style.tone("muted"),
        },
        customdata=shown[["mrr", "questions"]],
        hovertemplate="%{y}: %{x:.1%} of %{customdata[1]:,} (mean reciprocal rank %{customdata[0]:.3f})<extra></extra>",
    )
    fig = style.figure(trace, x=f"Right product among the first {hit.removeprefix('hit@')}", height=_height(len(shown)))
    fig.update_xaxes(tickformat=".0%", rangemode="tozero")
    return _level_names(fig)


def upsell_bar(offers: pd.DataFrame, *, top: int = 15) -> go.Figure:
    """What an offer is worth at least: the lower bound of its share times the difference in price.

    Parameters
    ----------
    offers
        From `ml.basket.upsell`.
    """
    shown = offers.sort_values("expected_extra", ascending=False, kind="stable").head(top).iloc[::-1]
    if shown.empty:
        return style.empty("No product has a dearer alternative that enough buyers chose.")
    trace = go.Bar(
        x=shown["expected_extra"],
        y=[f"{a} → {b}" for a, b in zip(shown["product_id"], shown["offer_id"], strict=True)],
        orientation="h",
        customdata=shown[["share", "low", "high", "extra"]],
        hovertemplate="%{y}: %{customdata[0]:.0%} chose it (%{customdata[1]:.0%} to %{customdata[2]:.0%}), "
        "%{customdata[3]:,.2f} dearer<extra></extra>",
    )
    fig = style.figure(trace, x="Expected extra revenue per buyer (currency)", bargap=0.65)
    return _names_above(_level_names(fig))


def words(itemset: Iterable[object]) -> str:
    """Products of a set in one line, in a fixed order."""
    return " + ".join(sorted(str(item).strip() for item in itemset))


def _rule_names(rules: pd.DataFrame) -> list[str]:
    return [f"{words(a)} → {words(c)}" for a, c in zip(rules["antecedents"], rules["consequents"], strict=True)]


def _finite(values: pd.Series) -> np.ndarray:
    """An endless whisker cannot be drawn; it ends where the finite ones do."""
    array = values.to_numpy(dtype=float)
    ends = array[np.isfinite(array)]
    return np.where(np.isfinite(array), array, ends.max() if len(ends) else 0.0)


def _height(bars: int) -> int:
    return 90 + 26 * bars


def _level_names(fig: go.Figure) -> go.Figure:
    fig.update_xaxes(showgrid=True)
    fig.update_yaxes(showgrid=False)
    return fig


def _names_above(fig: go.Figure) -> go.Figure:
    """Two or three products are a long name: it stands above its row in two lines, so that a phone has room for what is drawn."""
    names = list(fig.data[0].y)
    for name in names:
        text = name.replace(" → ", "<br>→ ", 1)
        fig.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            align="left",
            y=name,
            yanchor="bottom",
            yshift=5,
            text=text,
            showarrow=False,
            font={"size": 11},
        )
    fig.update_yaxes(showticklabels=False, range=[-0.5, len(names) - 0.2])
    return fig.update_layout(height=90 + 54 * len(names))
