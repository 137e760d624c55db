"""Stages of a pipeline over a period: what became of the deals that entered each, how long they stayed, and what the pipeline brings in per month."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.services.analytics import stage_flow, velocity
from crm_core.services.analytics.metrics import Selection
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.stage_flow import FEW, Flow
from crm_core.services.analytics.velocity import Velocity
from crm_core.services.analytics.wording import period_text
from crm_core.services.sales import deals
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.figure import box
from ui.components.list_link import list_link
from ui.components.table import Cell, Column, table
from ui.downloads import asker
from ui.tones import stage_tones

TABLES = ("deal", "stage", "pipeline", "stage_event", "organisation")
COLUMNS = (
    Column("stage", "Stage", sortable=False),
    Column("entered", "Entered", right=True, sortable=False, named=True),
    Column("on", "Went on", right=True, sortable=False, named=True),
    Column("lost", "Lost here", right=True, sortable=False, named=True),
    Column("elsewhere", "Elsewhere", right=True, sortable=False, named=True, muted=True),
    Column("standing", "Still there", right=True, sortable=False, named=True),
    Column("median", "Half leave within", right=True, sortable=False, named=True),
    Column("most", "9 of 10 within", right=True, sortable=False, named=True),
)
HOW = (
    "Counted are stays that **began in the period**; a deal that came back counts again. *Went on*: to a later stage, or won. "
    "*Elsewhere*: back to an earlier stage, or to another pipeline. Deals that still stand there are not left out of the days: they count for "
    "as long as they have stood so far (Kaplan–Meier), so a young period does not look quicker than it is. "
    f"Where fewer than {FEW} stays have ended, no days are given. Calendar days, weekends included."
)
PACE = (
    "Open deals × win rate × average won value ÷ mean days from opening to winning, times the 30.4 days of a month. Open deals as of now (for "
    "the comparison: at its end); the other parts over the period. What the pipeline yields if it goes on as it did; not a forecast."
)


def stages_section(actor: Actor, selection: Selection) -> None:
    """Folded until somebody asks: nothing is read before."""
    with st.expander(
        "Stages: where deals stand, where they are lost, how fast the pipeline turns",
        icon=":material/moving:",
        key="stages_open",
        on_change="rerun",
        bind="query-params",
    ) as fold:
        if fold.open:
            _velocity(actor, selection, cached(velocity.velocity, selection, entities=("deal",), tables=TABLES))
            _flow(actor, selection)


def _velocity(actor: Actor, selection: Selection, found: Velocity) -> None:
    outer, head = box(
        "Sales velocity", "What the open pipeline brings in per month, at the pace of this period", key="box_velocity"
    )
    with head.popover(icon=":material/info:", type="tertiary", **fmt.icon_only("How it is computed"), key="how_velocity"):
        st.markdown(PACE)
    with outer:
        if found.reason:
            st.caption(f":material/info: {fmt.md(found.reason)}")
            return
        pace = found.pace
        compared = selection.comparison is not None and found.before is not None
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            st.metric(
                "Per month",
                fmt.money(actor, pace.monthly_minor, compact=True),
                _signed(actor, found.relative),
                delta_description=_against(actor, found) if compared and found.relative is not None else None,
                delta_color="off",  # no range stands beside it that would tell it from chance
                width="content",
            )
            _part(actor, "Open deals", fmt.number(actor, pace.open_deals), found.open_filter, "list")
            _part(
                actor,
                "Win rate",
                f"{fmt.percent(actor, pace.win_rate)} of {fmt.written(pace.decided)}",
                found.decided_filter,
                "trophy",
            )
            _part(actor, "Average won", fmt.money(actor, pace.average_minor, compact=True), found.won_filter, "sell")
            _part(actor, "Mean days to win", fmt.number(actor, pace.cycle_days, digits=0), found.won_filter, "timelapse")
        if compared and found.relative is None:
            st.caption("The period before had too few deals to compare with.")


def _signed(actor: Actor, relative: float | None) -> str | None:
    if relative is None:
        return None
    return f"{'+' if relative > 0 else ''}{fmt.percent(actor, relative, 0)}"


def _against(actor: Actor, found: Velocity) -> str:
    before = found.before.monthly_minor if found.before else None
    return f"vs {fmt.money(actor, before, compact=True)} before" if before is not None else ""


def _part(actor: Actor, label: str, value: str, ast: dict[str, object], icon: str) -> None:
    with st.container(width="content", gap=None):
        st.caption(label, width="content")
        list_link(actor, "deal", f"**{fmt.md(value)}**", ast, icon=icon)


def _flow(actor: Actor, selection: Selection) -> None:
    pipelines = load(deals.pipelines)
    if not pipelines:
        return
    outer, head = box("Through the stages", period_text(actor, selection.period), key="box_stage_flow")
    pipeline_id = selection.pipeline_id or next(iter(pipelines))
    with head, st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        if selection.pipeline_id is None and len(pipelines) > 1:
            pipeline_id = st.selectbox(
                "Pipeline",
                list(pipelines),
                format_func=pipelines.__getitem__,
                key="flow_pipeline",
                label_visibility="collapsed",
                width=200,
            )
        rows = cached(
            stage_flow.flow, pipeline_id, selection.period, owner_id=selection.owner_id, entities=("deal",), tables=TABLES
        )
        empty = not any(row.entered for row in rows)
        _extras(actor, pipeline_id, selection.period, selection.owner_id, rows, empty)
    with outer:
        if empty:
            st.caption(
                ":material/info: No deal entered a stage of this pipeline in the period. Deals that were imported have no way through the "
                "stages before their import; from then on each move counts."
            )
        else:
            _table(actor, rows)


def _extras(actor: Actor, pipeline_id: int, period: Period, owner_id: int | None, rows: Sequence[Flow], empty: bool) -> None:
    """What stands at the right of the title: the lists, the file, the explanation."""
    if not empty:
        with st.popover(
            icon=":material/list:",
            type="tertiary",
            **fmt.icon_only("The deals that still stand there"),
            key="behind_flow",
            on_change="rerun",
        ) as fold:
            if fold.open:
                for row in rows:
                    list_link(actor, "deal", f"{fmt.md(row.stage)}: **{fmt.written(row.standing)}** still there", row.filter)
        if actor.can("deal", Action.EXPORT):
            st.download_button(
                data=partial(_file, actor, pipeline_id, period, owner_id),
                file_name="stages.csv",
                mime="text/csv",
                icon=":material/download:",
                **fmt.icon_only("Download as CSV"),
                type="tertiary",
                key="flow_file",
                on_click="ignore",
            )
    with st.popover(icon=":material/info:", type="tertiary", **fmt.icon_only("How it is computed"), key="how_flow"):
        st.markdown(HOW)


def _table(actor: Actor, rows: Sequence[Flow]) -> None:
    tones = stage_tones(load(deals.stages))
    cells = [
        (
            row.stage_id,
            [
                Cell(row.stage, tone=tones.get(row.stage_id)),
                Cell(fmt.written(row.entered)),
                Cell(_of(actor, row.went_on, row)),
                Cell(_of(actor, row.lost, row)),
                Cell(fmt.written(row.elsewhere)),
                Cell(fmt.written(row.standing)),
                Cell(_days(actor, row, row.median_days)),
                Cell(_days(actor, row, row.p90_days)),
            ],
        )
        for row in rows
    ]
    table(list(COLUMNS), cells, key="stage_flow", label="Through the stages")
    young = sum(row.standing for row in rows)
    if young:
        st.caption(f"{fmt.plural(young, 'deal')} of the period still stand in their stage; what becomes of them is open.")


def _of(actor: Actor, count: int, row: Flow) -> str:
    """A count with its share of all that entered."""
    return f"{fmt.written(count)} · {fmt.percent(actor, count / row.entered, 0)}" if row.entered else fmt.written(count)


def _days(actor: Actor, row: Flow, days: float | None) -> str:
    if days is not None:
        return f"{fmt.number(actor, days, digits=1)} days"
    return f"only {fmt.written(row.ended)} left" if row.few else "not known yet"


def _file(actor: Actor, pipeline_id: int, period: Period, owner_id: int | None) -> bytes:
    """The file, made when it is asked for: outside the page, with the rights of that moment."""
    with read_session() as session:
        return stage_flow.file(session, asker(session, actor), pipeline_id, period, owner_id=owner_id)
