"""Parts of the sales outlook: where the period stands now, the ways with their record, the pipeline between two evenings."""

from datetime import date, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit import numerals
from crm_core.kit.money import to_major
from crm_core.services.analytics import pipeline_history
from crm_core.services.analytics.methods.outlook import TITLES
from crm_core.services.analytics.outlook_now import Now
from crm_core.services.analytics.pipeline_history import Step
from crm_core.vocabulary import Action
from ml.charts import forecast_ways as charts
from ui import format as fmt
from ui.actions import load, perform
from ui.components.analysis import Analysis
from ui.components.chart_words import axis_words
from ui.components.day_input import day_input
from ui.components.figure import box, chart
from ui.components.list_link import list_link
from ui.components.segmentation_views import money
from ui.navigation import page_of

WEEK = 7


def standing(actor: Actor, now: Now, only: dict[str, Any]) -> None:
    """Won, quota, pipeline and what is missing, live."""
    stands = now.standing
    with st.container(horizontal=True, gap="small", key="outlook_figures"):
        st.metric(
            "Won so far",
            fmt.money(actor, now.won_minor, compact=True),
            border=True,
            height="stretch",
            help=fmt.md(f"Exactly {fmt.money(actor, now.won_minor)}"),
        )
        if now.quota_minor is not None:
            reached = now.won_minor / now.quota_minor if now.quota_minor else None
            st.metric(
                "Quota", fmt.money(actor, now.quota_minor, compact=True), border=True, height="stretch", delta=f"{fmt.percent(actor, reached, 0)} reached" if reached is not None else None,
                delta_color="off", delta_arrow="off",
            )  # fmt: skip
        coverage = (
            f"{fmt.written(now.coverage, '.1f')} × what is missing"
            if now.coverage is not None
            else fmt.plural(stands.deals, "deal")
        )
        st.metric(
            "Open in the period", fmt.money(actor, stands.open_minor, compact=True), border=True, height="stretch", delta=coverage, delta_color="off", delta_arrow="off",
            help="Open deals expected to close in it, in full",
        )  # fmt: skip
        st.metric(
            "Weighted",
            fmt.money(actor, stands.weighted_minor, compact=True),
            border=True,
            height="stretch",
            help="Each times its win probability",
        )
        st.metric(
            "Commit", fmt.money(actor, stands.commit_minor, compact=True), border=True, height="stretch", delta=f"{fmt.money(actor, stands.best_minor, compact=True)} with best case",
            delta_color="off", delta_arrow="off", help="Deals of the forecast category Commit, in full",
        )  # fmt: skip
    _links(actor, now, only)


def _links(actor: Actor, now: Now, only: dict[str, Any]) -> None:
    """The lists behind the numbers."""
    leaves: list[dict[str, Any]] = [{"field": "outcome", "cmp": "eq", "value": "open"}]
    leaves += [{"field": key, "cmp": "eq", "value": only[key]} for key in ("owner_id", "pipeline_id") if only[key]]
    leaves += [only["rule"]] if only["rule"] else []
    inside = {"field": "expected_close_on", "cmp": "between", "value": [str(now.period.start), str(now.period.end)]}
    with st.container(horizontal=True, gap="medium"):
        list_link(actor, "deal", "Open deals of the period", {"op": "and", "items": [*leaves, inside]}, icon="list")
        late = {"field": "expected_close_on", "cmp": "lt", "value": "today"}
        list_link(actor, "deal", "Open deals whose day has passed", {"op": "and", "items": [*leaves, late]}, icon="event_busy")


def ways(shown: Analysis, now: Now) -> None:
    """What each way expects, beside the quota, with its own past error."""
    actor, table = shown.actor, shown.table("ways")
    quota = float(to_major(now.quota_minor, actor.currency)) if now.quota_minor is not None else None
    left, right = st.columns([7, 6], gap="small")
    with left:
        fig = charts.ways_points(
            table,
            names=TITLES,
            x=f"Won in the period ({actor.currency})",
            quota=quota,
            reached=shown.summary["reached"],
            written=axis_words(actor, money=True),
        )
        chart(
            actor,
            fig,
            "What to expect of the period",
            "Lines: the range that held four of five past errors",
            key="ways",
            png="outlook",
        )
    with right:
        outer, _ = box(
            "Each by its record",
            f"Judged on {shown.summary['rehearsed']} past periods, as many days before their end",
            key="box_ways_table",
        )
        outer.dataframe(_record(actor, table), hide_index=True, width="stretch")
        outer.caption(
            "Off by: all errors over what was won. Leans: above zero it says too much. "
            "The blend leans on the ways by the inverse square of their errors."
        )
    past = shown.table("past")
    fig = charts.record_lines(past, names=TITLES, y=f"Won ({actor.currency})", months=numerals.months(actor.locale))
    chart(actor, fig, "What they said of earlier periods", "Bars: what happened", key="record", png="outlook-record")


def _record(actor: Actor, table: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            "Way": TITLES[row["way"]],
            "Expects": money(actor, row["estimate"]),
            "Range": f"{money(actor, row['low'])} to {money(actor, row['high'])}" if pd.notna(row["low"]) else "no record yet",
            "Off by": fmt.percent(actor, row["wape"], 0) if pd.notna(row["wape"]) else fmt.NOTHING,
            "Leans": f"{row['bias']:+.0%}" if pd.notna(row["bias"]) else fmt.NOTHING,
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


# --- between two evenings -----------------------------------------------------------------------------------------------------


def changes(actor: Actor, now: Now, only: dict[str, Any]) -> None:
    """How the open pipeline of the period came from one evening to another, and through which deals."""
    known, last = now.covered.known_from, now.covered.taken_until
    if known is None or last is None or known >= last:
        st.caption(
            ":material/info: The pipeline is remembered every evening by the worker. As soon as two evenings are known, the change between them is shown here."
        )
        may = actor.can("analytics", Action.MANAGE)
        if may and st.button("Remember it now", icon=":material/photo_camera:", key="look_now"):
            perform(pipeline_history.look_now, success="The worker looks at the pipeline now; open this page again in a minute")
            st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        start = day_input(
            "From the evening of",
            max(known, last - timedelta(days=WEEK)),
            min_value=known,
            max_value=last - timedelta(days=1),
            key="fall_from",
            width=190,
        )
        end = day_input("to that of", last, min_value=known + timedelta(days=1), max_value=last, key="fall_to", width=190)
    if not isinstance(start, date) or not isinstance(end, date) or end <= start:
        st.caption(":material/info: The second evening must lie after the first one.")
        return
    steps = load(pipeline_history.waterfall, now.period, start, end, **only)
    frame = pd.DataFrame(
        [
            {
                "key": step.key,
                "label": step.label,
                "amount": float(to_major(step.amount_minor, actor.currency)),
                "deals": step.deals,
            }
            for step in steps
        ]
    )
    fig = charts.pipeline_waterfall(frame, y=f"Open pipeline ({actor.currency})", written=axis_words(actor, money=True))
    chart(
        actor, fig, "How the pipeline of the period changed", f"{fmt.day(actor, start)} to {fmt.day(actor, end)}", key="waterfall",
        png="pipeline-change",
    )  # fmt: skip
    _largest(actor, [step for step in steps if step.key not in ("start", "end")])
    _honest(actor, now)


def _largest(actor: Actor, steps: list[Step]) -> None:
    """The deals behind each step, the largest first, each a link."""
    if not steps:
        st.caption("Nothing changed between these evenings.")
        return
    titles = load(_titles, sorted({deal_id for step in steps for deal_id, _ in step.largest}))
    columns = st.columns(3, gap="small")
    page = page_of(actor, "deal")
    for place, step in enumerate(steps):
        with (
            columns[place % 3],
            st.expander(
                f"{fmt.md(step.label)}: {fmt.md(fmt.money(actor, step.amount_minor, compact=True))} · {fmt.plural(step.deals, 'deal')}"
            ),
        ):
            for deal_id, amount in step.largest:
                words = f"{fmt.md(titles.get(deal_id, 'Hidden deal')[:60])} {fmt.md(fmt.money(actor, amount, compact=True))}"
                if page is not None:
                    st.page_link(page, label=words, query_params={"id": str(deal_id)})
                else:
                    st.markdown(words)
            if step.deals > len(step.largest):
                st.caption(f"and {fmt.written(step.deals - len(step.largest))} smaller ones")


def _titles(session: Any, actor: Actor, ids: list[int]) -> dict[int, str]:
    return lists.titles(session, actor, "deal", ids)


def _honest(actor: Actor, now: Now) -> None:
    """What of the record was seen, and what was read off the log later."""
    covered = now.covered
    words = f"{fmt.plural(covered.taken, 'evening')} seen since {fmt.day(actor, covered.taken_from)}"
    if covered.known_from and covered.taken_from and covered.known_from < covered.taken_from:
        words += (
            f"; the days from {fmt.day(actor, covered.known_from)} on were read off the log of changes afterwards. "
            "A deal that was imported is known from its import on. Deals in the bin are left out."
        )
    st.caption(f":material/info: {fmt.md(words)}")
