"""Figures for `ml.attribution`: how far the models differ, what each channel's removal would cost, what it costs."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.writing import written

LABELS = {
    "first": "First touch",
    "last": "Last touch",
    "linear": "Linear",
    "position": "Position 40/20/40",
    "time_decay": "Time decay",
    "w": "W-shaped",
    "full_path": "Full path",
    "markov": "Markov",
    "shapley": "Shapley",
}


def attribution_dots(credits: pd.DataFrame) -> go.Figure:
    """Each channel's share by every model, with intervals: the spread of the dots is the doubt.

    Parameters
    ----------
    credits
        From `ml.attribution.attribute`. Channels with few conversions are marked by an asterisk.
    """
    if credits.empty:
        return style.empty("There is nothing to attribute.")
    order = _channels(credits)
    traces = []
    for place, model in enumerate(credits["model"].unique()):
        part = credits[credits["model"] == model].set_index("channel").loc[list(order)]
        whiskers = part["low"].notna().any()
        traces.append(
            go.Scatter(
                x=part["share"],
                y=list(order.values()),
                mode="markers",
                orientation="h",
                offsetgroup=model,
                name=LABELS.get(model, model),
                marker={
                    "size": 8,
                    "symbol": style.SYMBOLS[place % len(style.SYMBOLS)],
                    "opacity": [1.0 if sure else 0.4 for sure in part["reliable"]],
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": part["high"] - part["share"],
                    "arrayminus": part["share"] - part["low"],
                    "thickness": 1,
                    "width": 2,
                    "visible": bool(whiskers),
                },
                customdata=part[["conversions", "value", "touched"]],
                hovertemplate="%{y}: %{x:.1%}, %{customdata[0]:,.1f} conversions worth %{customdata[1]:,.0f} "
                "(touched %{customdata[2]:,.0f})<extra>%{fullData.name}</extra>",
            )
        )
    height = 130 + (14 + 6 * len(traces)) * len(order)
    fig = style.figure(*traces, x="Share of conversions", height=height, scattermode="group", scattergap=0.25)
    fig.update_xaxes(tickformat=".0%", rangemode="tozero", showgrid=True)
    return fig


def attribution_heatmap(credits: pd.DataFrame) -> go.Figure:
    """Channels × models with the share in each cell: a row of equal colours is a channel all models agree on."""
    if credits.empty:
        return style.empty("There is nothing to attribute.")
    order = _channels(credits)
    models = credits["model"].unique().tolist()
    table = credits.pivot(index="channel", columns="model", values="share").loc[list(order), models]
    names = [LABELS.get(model, model) for model in models]
    trace = go.Heatmap(
        x=names,
        y=list(order.values()),
        z=table.to_numpy(),
        colorscale=style.sequential(),
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y}, %{x}: %{z:.1%}<extra></extra>",
    )
    fig = style.figure(trace, height=110 + 30 * len(order))
    fig.update_yaxes(showgrid=False)
    labels = [[written(share, ".1%") for share in row] for row in table.to_numpy()]
    return style.label_cells(fig, names, list(order.values()), labels)


def removal_effects_bar(effects: pd.DataFrame) -> go.Figure:
    """Share of the conversions that would be lost, by the chain, without the channel.

    Parameters
    ----------
    effects
        From `ml.attribution.removal_effects`.
    """
    if effects.empty:
        return style.empty("There is no channel whose removal could be tried.")
    shown = effects.sort_values("removal_effect", kind="stable")
    trace = go.Bar(
        x=shown["removal_effect"],
        y=shown["channel"],
        orientation="h",
        customdata=shown["share"],
        hovertemplate="Without %{y}: %{x:.1%} fewer conversions (credit %{customdata:.1%})<extra></extra>",
    )
    fig = style.figure(trace, x="Conversions lost without the channel, by the chain", height=90 + 26 * len(shown))
    fig.update_xaxes(tickformat=".0%", showgrid=True)
    fig.update_yaxes(showgrid=False)
    return fig


def journeys_bar(paths: pd.DataFrame, *, top: int = 12) -> go.Figure:
    """The most frequent journeys, converting and not.

    Parameters
    ----------
    paths
        PATHS, as from `ml.attribution.paths_from_touches`.
    """
    if paths.empty:
        return style.empty("There are no journeys. Journeys need touchpoints of the customers that converted.")
    total = paths["conversions"] + paths["nulls"]
    shown = paths.loc[total.sort_values(ascending=False, kind="stable").index[:top][::-1]]
    names = [path if isinstance(path, str) else " > ".join(map(str, path)) for path in shown["path"]]
    traces = [
        go.Bar(x=shown["conversions"], y=names, orientation="h", name="Converted"),
        go.Bar(x=shown["nulls"], y=names, orientation="h", name="Did not", marker={"color": style.tone("line")}),
    ]
    fig = style.figure(*traces, x="Journeys", height=110 + 26 * len(shown), barmode="stack")
    fig.update_traces(hovertemplate="%{y}: %{x:,.0f}<extra>%{fullData.name}</extra>")
    fig.update_xaxes(showgrid=True)
    fig.update_yaxes(showgrid=False)
    return fig


def cost_per_conversion_dots(costs: pd.DataFrame) -> go.Figure:
    """Cost of a conversion by channel: the line runs from the kindest to the harshest model.

    Parameters
    ----------
    costs
        From `ml.attribution.cost_per_conversion`.
    """
    shown = costs[costs["lowest"].notna()].sort_values("lowest", ascending=False) if len(costs) else costs
    if shown.empty:
        return style.empty("No channel has both costs and conversions.")
    span = go.Scatter(
        x=[v for low, high in zip(shown["lowest"], shown["highest"], strict=True) for v in (low, high, None)],
        y=[v for channel in shown["channel"] for v in (channel, channel, None)],
        mode="lines",
        line={"color": style.tone("line"), "width": 3},
        hoverinfo="skip",
        showlegend=False,
    )
    models = [column for column in shown.columns if column not in ("channel", "cost", "lowest", "highest", "spread")]
    dots = [
        go.Scatter(
            x=shown[model],
            y=shown["channel"],
            mode="markers",
            name=LABELS.get(model, model),
            marker={"size": 9, "symbol": style.SYMBOLS[place % len(style.SYMBOLS)]},
            hovertemplate="%{y}: %{x:,.2f}<extra>%{fullData.name}</extra>",
        )
        for place, model in enumerate(models)
    ]
    fig = style.figure(span, *dots, x="Cost per attributed conversion (currency)", height=130 + 34 * len(shown))
    fig.update_xaxes(rangemode="tozero", showgrid=True)
    return fig


def _channels(credits: pd.DataFrame) -> dict[str, str]:
    """Channel → label, the strongest at the top of the figure, those with few conversions marked."""
    mean = credits.groupby("channel", sort=True)["share"].mean().sort_values(kind="stable")
    reliable = credits.groupby("channel")["reliable"].first()
    return {str(name): f"{name}" if reliable[name] else f"{name} *" for name in mean.index}
