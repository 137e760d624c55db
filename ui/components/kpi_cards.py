"""Key figures as cards: value, change, trend, the list behind it, and how it is computed."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.kit.money import to_major
from crm_core.services.analytics.metrics import Figure, Selection
from crm_core.services.analytics.wording import QUIET, TOO_FEW, change_text, period_text, value_text
from crm_core.vocabulary import Against, MetricUnit
from ui import format as fmt
from ui.components.list_link import list_link

ICONS = {
    "revenue_won": "payments", "open_pipeline": "filter_alt", "weighted_pipeline": "balance", "win_rate": "trophy", "average_deal": "sell",
    "sales_cycle": "timelapse", "new_leads": "person_add", "lead_conversion": "conversion_path", "campaign_cost": "request_quote",
    "campaign_return": "campaign", "acquisition_cost": "person_add", "orders": "receipt_long", "order_revenue": "point_of_sale", "average_order": "shopping_basket",
    "open_tickets": "confirmation_number", "first_response": "forum", "resolution": "task_alt", "open_handovers": "move_down",
    "first_response_p90": "forum", "first_response_work": "forum", "first_response_work_p90": "forum", "resolution_p90": "task_alt",
    "resolution_work": "task_alt", "resolution_work_p90": "task_alt", "response_kept": "handshake", "resolution_kept": "verified",
    "reopen_rate": "replay", "first_contact": "looks_one", "satisfaction": "sentiment_satisfied",
}  # fmt: skip
_FEW = 30


def kpi_cards(actor: Actor, figures: Sequence[Figure], selection: Selection) -> None:
    """A card for each figure that the overview has room for; on a phone two beside each other."""
    figures = [figure for figure in figures if _shown(figure)]
    with st.grid(3 if len(figures) in (3, 5, 6) else 4, min_column_width=160, key="kpi_cards"):
        for figure in figures:
            _card(actor, figure, selection)


def _shown(figure: Figure) -> bool:
    """Some figures stand in breakdowns and on dashboards only, some not before there is something to show."""
    return figure.metric.card == "always" or (figure.metric.card == "filled" and bool(figure.cases or figure.before_cases))


def _card(actor: Actor, figure: Figure, selection: Selection) -> None:
    metric = figure.metric
    change = change_text(actor, figure)
    with st.container(border=True, height="stretch", gap="small", key=f"kpi_{figure.key}"):
        st.metric(
            metric.label,
            value_text(actor, metric.unit, figure.value),
            change,
            delta_color="off" if change in QUIET else colour_of(figure),
            delta_arrow="off" if change in QUIET else "auto",
            delta_description=against_text(actor, figure, selection) if change and change != TOO_FEW else None,
            icon=f":material/{ICONS[figure.key]}:",
            chart_data=_spark(actor, figure),
            height="stretch",
        )
        if figure.reason:
            st.caption(fmt.md(figure.reason))
        elif figure.low is not None and figure.high is not None:
            st.caption(fmt.md(f"95% interval {fmt.percent(actor, figure.low)} to {fmt.percent(actor, figure.high)}"))
        with st.container(
            horizontal=True,
            horizontal_alignment="distribute",
            vertical_alignment="center",
            gap="small",
            key=f"kpifoot_{figure.key}",
        ):
            if not figure.hidden:
                found = entity(metric.entity)
                label = fmt.plural(figure.cases, found.label.lower(), found.plural.lower())
                list_link(actor, metric.entity, fmt.md(label), figure.filter, icon="list")
            _explanation(actor, figure, selection)


def _explanation(actor: Actor, figure: Figure, selection: Selection) -> None:
    metric, found = figure.metric, entity(figure.metric.entity)
    with st.popover(
        icon=":material/info:",
        type="tertiary",
        **fmt.icon_only("How it is computed"),
        key=f"how_{figure.key}",
    ):
        st.markdown(f"**{fmt.md(metric.label)}**")
        st.markdown(fmt.md(metric.formula))
        if figure.denominator:
            st.markdown(fmt.md(f"{fmt.written(figure.numerator)} of {fmt.written(figure.denominator)}"))
        if figure.value is not None:
            st.markdown(fmt.md("Exactly: " + value_text(actor, metric.unit, figure.value, compact=False)))
        compared = selection.comparison
        if figure.before is not None and compared is not None and compared.end is not None:
            then = f"at the end of {fmt.day(actor, compared.end)}" if metric.now else period_text(actor, compared)
            st.markdown(fmt.md(f"Before: {value_text(actor, metric.unit, figure.before, compact=False)} ({then})"))
        st.caption(fmt.md(metric.note))
        days = "As of now" if metric.now else f"{period_text(actor, selection.period)}, days of {actor.timezone}"
        st.caption(fmt.md(f"{days}. Only {entity(metric.entity).plural.lower()} that you may see."))
        if figure.too_few:
            records = fmt.plural(figure.before_cases, found.label.lower(), found.plural.lower())
            st.caption(f"Behind the figure before stand {records}: a change against so few would say little about you.")
        elif figure.distinguishable is not None:
            st.caption(
                "The change is more than chance explains." if figure.distinguishable else "Chance alone could make this change."
            )
        elif 0 < figure.cases < _FEW and not metric.now:
            st.caption(f"Only {figure.cases} records: single ones move it a lot.")


def colour_of(figure: Figure) -> Literal["normal", "inverse", "off"]:
    """Green and red only for a change that is more than chance (or can't be tested)."""
    if figure.distinguishable is False or not figure.metric.better:
        return "off"
    return "normal" if figure.metric.better == "up" else "inverse"


def against_text(actor: Actor, figure: Figure, selection: Selection) -> str:
    """What the change is against, and whether chance alone could make it."""
    compared = selection.comparison
    if compared is None or compared.end is None:
        return ""
    before = "vs last year" if selection.against is Against.LAST_YEAR else "vs before"
    return before + (" · within chance" if figure.distinguishable is False else "")


def _spark(actor: Actor, figure: Figure) -> list[float] | None:
    values = [point.value for point in figure.points if point.value is not None]
    if len(values) < 2 or not any(values):
        return None
    money = figure.metric.unit is MetricUnit.MONEY
    return [float(to_major(int(value), actor.currency)) if money else float(value) for value in values]
