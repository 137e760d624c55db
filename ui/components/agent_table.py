"""The agents side by side: a table of their figures that ranks nobody by a few tickets, with the lists and a file behind it."""

import json
from functools import partial
from urllib.parse import quote

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.kit import clock
from crm_core.services.analytics import agent_quality
from crm_core.services.analytics.agent_quality import Agent, Measure, Quality
from crm_core.services.analytics.metric_rules import LEAST, METRICS
from crm_core.services.analytics.metrics import Selection
from crm_core.services.analytics.wording import period_text, value_text
from crm_core.vocabulary import Action, Scope
from ui import format as fmt
from ui.cache import cached
from ui.components.filter_bar import PARAM
from ui.components.overview_figures import ENTITIES, TABLES
from ui.components.table import Cell, Column, table
from ui.downloads import asker, table_buttons
from ui.navigation import go, page_of

PAGE = 25
_SHORT = {
    "first_response": "First response", "response_kept": "Responses in time", "resolution_kept": "Resolutions in time",
    "reopen_rate": "Re-opened", "satisfaction": "Satisfied",
}  # fmt: skip
_TONES = {"better": "green", "worse": "orange"}


def agent_table(actor: Actor, selection: Selection) -> None:
    """The table, counted when somebody unfolds it; not for somebody who sees just their own tickets."""
    if actor.scopes("ticket", Action.READ) == {Scope.OWN}:
        return
    with st.expander("Agents side by side", icon=":material/groups:", key="agents_fold", on_change="rerun") as fold:
        if not fold.open:
            return
        found = cached(agent_quality.table, selection, entities=ENTITIES["service"], tables=TABLES["service"])
        if not found.agents:
            st.caption("No ticket of this period was answered or solved by anybody.")
            return
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.caption(
                fmt.md(
                    f"{period_text(actor, selection.period)}. Shares with their 95% range in per cent and the number of tickets."
                ),
                width="content",
            )
            _files(actor, selection)
        _rows(actor, found)
        st.caption(
            f"Below {LEAST} tickets nothing is said about a person, and nobody is sorted by them. Coloured only where a share differs from everybody "
            "else's by more than chance explains (all cells together, 5%); different work makes different figures too."
        )


def _rows(actor: Actor, found: Quality) -> None:
    by, down = st.session_state.get("agents_sort") or ("name", False)
    agents = agent_quality.ordered(found, by, down=down)
    pages = -(-len(agents) // PAGE)
    page = min(int(st.session_state.get("agents_page") or 1), pages)
    shown = [*agents[(page - 1) * PAGE : page * PAGE], *([found.everybody] if len(agents) > 1 else [])]
    columns = [Column("name", "Agent"), Column("solved", "Solved", right=True, named=True)]
    columns += [Column(name, _SHORT[name], right=True, named=True) for name in found.columns]
    lists = page_of(actor, "tickets") is not None
    hrefs = {n: f"/tickets?{PARAM}={quote(_json(one))}" for n, one in enumerate(shown)} if lists else {}
    happened = table(
        columns,
        [(n, _cells(actor, one, found)) for n, one in enumerate(shown)],
        key="agents",
        label="Agents",
        sort=(by, down),
        hrefs=hrefs,
    )
    if pages > 1:
        st.pagination(pages, key="agents_page")
    if happened.sorted is not None and happened.sorted != (by, down):
        st.session_state["agents_sort"] = happened.sorted
        st.rerun()
    if happened.opened is not None and lists:
        go("tickets", **{PARAM: _json(shown[happened.opened])})


def _cells(actor: Actor, one: Agent, found: Quality) -> list[Cell]:
    cells = [Cell(one.name), Cell(fmt.number(actor, one.solved))]
    return [*cells, *(_cell(actor, name, one.measures[name]) for name in found.columns)]


def _cell(actor: Actor, name: str, measure: Measure) -> Cell:
    if measure.few:
        return Cell(f"too few ({measure.cases})" if measure.cases else "–")
    text = value_text(actor, METRICS[name].unit, measure.value)
    if measure.low is not None and measure.high is not None:
        text += f" ({measure.low * 100:.0f}–{measure.high * 100:.0f}, n {fmt.written(measure.cases)})"
    return Cell(text, tone=_TONES.get(measure.apart))


def _json(one: Agent) -> str:
    return json.dumps(one.filter, separators=(",", ":"), default=str)


def _files(actor: Actor, selection: Selection) -> None:
    with st.popover(icon=":material/download:", type="tertiary", **fmt.icon_only("Download the table"), key="agents_files"):
        name = f"agents-{clock.today(actor.timezone).isoformat()}"
        table_buttons(partial(_file, actor, selection), name, key="agents")


def _file(actor: Actor, selection: Selection, form: str) -> bytes:
    """The file, made when it is asked for: outside the page, with the rights of that moment."""
    with read_session() as session:
        return agent_quality.file(session, asker(session, actor), selection, form)
