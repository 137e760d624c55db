"""The blocks of the overview below its key figures: a breakdown, deals closing soon, a word when the period is empty."""

import streamlit as st

from crm_core.access import Actor
from crm_core.fields import builtin
from crm_core.services.analytics import attention, metrics
from crm_core.services.analytics.backlog import AGE
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.metrics import Figure, Selection
from crm_core.services.analytics.wording import period_text
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, PeriodPreset, Scope
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.figure import box, chart
from ui.components.list_link import list_link
from ui.components.overview_figures import groups
from ui.components.record_list import cell
from ui.components.table import Column, table
from ui.navigation import go
from ui.tones import stage_tones

SPLITS: dict[str, dict[str, tuple[str, str]]] = {
    "sales": {
        "Win rate by owner": ("win_rate", "owner_id"),
        "Revenue by owner": ("revenue_won", "owner_id"),
        "Revenue by product": ("revenue_won", "product_id"),
        "Revenue by source": ("revenue_won", "source"),
        "Win rate by source": ("win_rate", "source"),
    },
    "marketing": {
        "Conversion by source": ("lead_conversion", "source"),
        "Leads by source": ("new_leads", "source"),
        "Leads by owner": ("new_leads", "owner_id"),
    },
    "orders": {"Revenue by source": ("order_revenue", "source"), "Revenue by owner": ("order_revenue", "owner_id")},
    "service": {
        "Open by age": ("open_tickets", AGE),
        "Open by priority": ("open_tickets", "priority"),
        "Open by category": ("open_tickets", "category"),
        "First response by person": ("first_response", "owner_id"),
        "Resolution by category": ("resolution", "category"),
        "In time by priority": ("response_kept", "priority"),
        "Re-opened by category": ("reopen_rate", "category"),
        "One answer by category": ("first_contact", "category"),
    },
}
OPTIONAL = ("response_kept",)
"""Splits that wait for the first service level."""
_CLOSING = ("name", "owner_id", "stage_id", "amount_minor", "expected_close_on")
_INTERVALS = "Dots with 95% intervals: where they overlap, chance may have ranked them. Dotted: all together"


def split_chart(actor: Actor, area: str, selection: Selection, found: dict[str, Figure]) -> None:
    """One breakdown at a time, chosen by its name (kept in the URL)."""
    choices = {
        label: (key, by)
        for label, (key, by) in SPLITS[area].items()
        if key in found
        and not found[key].hidden
        and (key not in OPTIONAL or found[key].cases)
        and not (by == "owner_id" and _only_own(actor, METRICS[key].entity))
    }
    if not choices:
        return
    picked = st.pills(
        "Breakdown",
        list(choices),
        default=next(iter(choices)),
        required=True,
        key=f"split_{area}",
        bind="query-params",
        label_visibility="collapsed",
    )
    label = picked or next(iter(choices))
    key, by = choices[label]
    metric = METRICS[key]
    fig, behind = groups(actor, key, by, selection, found[key].value if metric.counts else None)
    subtitle = _INTERVALS if metric.counts else "As of now" if metric.now else period_text(actor, selection.period)
    chart(actor, fig, label, subtitle, key=f"split_{key}_{by}", behind=behind)


def _only_own(actor: Actor, entity_key: str) -> bool:
    """True for somebody who sees just their own records: a comparison of owners would be one line."""
    return actor.scopes(entity_key, Action.READ) == {Scope.OWN}


def closing_table(actor: Actor, selection: Selection) -> None:
    """Open deals that are expected to close this month, the next ones first."""
    page, ast = cached(
        attention.closing,
        owner_id=selection.owner_id,
        pipeline_id=selection.pipeline_id,
        entities=("deal", "account"),
        tables=("deal", "account", "stage"),
    )
    outer, head = box("Closing this month", fmt.plural(page.total, "open deal"), key="box_closing")
    with head:
        list_link(actor, "deal", "All of them", ast, icon="arrow_forward", sort="expected_close_on")
    with outer:
        if not page.rows:
            st.caption("No open deal is expected to close this month.")
            return
        specs = builtin("deal")
        shown = [specs[key] for key in _CLOSING if key != "owner_id" or not _only_own(actor, "deal")]
        tones = {"stage_id": stage_tones(load(deals.stages))}
        columns = [Column(spec.key, spec.label, right=spec.key == "amount_minor", sortable=False) for spec in shown]
        exact = fmt.with_cents(actor, (row["amount_minor"] for row in page.rows))
        rows = [(row["id"], [cell(actor, spec, row, tones, exact) for spec in shown]) for row in page.rows]
        happened = table(columns, rows, key="closing", label="Closing this month", href="/deal?id={id}")
    if happened.opened is not None:
        go("deal", id=happened.opened)


def hint_of_another_time(actor: Actor, area: str, found: dict[str, Figure], selection: Selection) -> None:
    """A period without records while others have some: say which, and offer them."""
    if not selection.period.bounded or any(figure.cases for figure in found.values() if not figure.metric.now):
        return
    where = load(metrics.extent, area, selection)
    if where is None:
        return
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="other_time"
    ):
        st.markdown(fmt.md(f"Nothing in this period. The records are from {period_text(actor, where)}."), width="content")
        st.button("Show all time", key="show_all_time", on_click=_show_all_time)


def _show_all_time() -> None:
    st.session_state["period"] = PeriodPreset.ALL.value
