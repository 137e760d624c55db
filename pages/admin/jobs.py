"""Background work: for the administrator, to see whether imports, backups and refreshes get through, and to start a failed one again."""

from urllib.parse import quote

import streamlit as st

from crm_core import jobs
from crm_core.jobs.board import STATES
from crm_core.services.admin import schedules
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.session import current_actor

TONES = {"waiting": "orange", "delayed": "gray", "running": "blue", "done": "green", "failed": "red", "cancelled": "gray"}
COLUMNS = [
    Column("title", "Job", sortable=False),
    Column("state", "State", sortable=False),
    Column("progress", "Progress", sortable=False),
    Column("created", "Asked for", sortable=False, muted=True),
    Column("took", "Took", sortable=False, muted=True, right=True),
    Column("message", "Message", sortable=False, muted=True),
]


def figures() -> None:
    """Queue, lag and workers in one line."""
    found, lag = load(jobs.counts), load(jobs.lag)
    alive = [each for each in load(jobs.workers) if each.alive]
    with st.grid(4, min_column_width=150, key="job_figures"):
        st.metric("Waiting", fmt.number(actor, found["waiting"]), help="Jobs whose turn has not come", border=True)
        st.metric("Oldest has waited", fmt.duration(lag), help="More than a minute or two: no worker, or too few", border=True)
        st.metric("Failed", fmt.number(actor, found["failed"]), help="Kept for 60 days", border=True)
        st.metric("Workers", fmt.number(actor, len(alive)), help="Processes that gave a sign of life lately", border=True)
    if not alive:
        st.warning(
            "No worker is running, so nothing in this list gets done. Start one: `python -m crm_core worker`.",
            icon=":material/warning:",
        )


def took(job: jobs.JobRow) -> str:
    if job.started_at is None or job.finished_at is None:
        return fmt.NOTHING
    seconds = (job.finished_at - job.started_at).total_seconds()
    return f"{fmt.written(seconds, '.1f')} s" if seconds < 60 else fmt.duration(seconds)


def cells(job: jobs.JobRow) -> list[Cell]:
    part = (
        Cell("", share=100 * job.share)
        if job.share is not None and job.active
        else Cell(fmt.plural(job.done, "step") if job.done else fmt.NOTHING)
    )
    return [
        Cell(job.title), Cell(job.state.capitalize(), tone=TONES.get(job.state)), part, Cell(fmt.ago(actor, job.created_at)),
        Cell(took(job)), Cell(job.message, hot=job.state == "failed"),
    ]  # fmt: skip


@st.dialog("Job", width="medium", on_dismiss=lambda: st.query_params.pop("job", None))
def details(job: jobs.JobRow) -> None:
    """Everything about one job, and what can be done with it."""
    st.markdown(f"**{fmt.md(job.title)}**")
    st.badge(job.state.capitalize(), color=TONES.get(job.state, "gray"))
    if job.message:
        (st.error if job.state == "failed" else st.info)(fmt.md(job.message))
    facts = {
        "Asked for": fmt.instant(actor, job.created_at), "Due": fmt.instant(actor, job.due_at), "Started": fmt.instant(actor, job.started_at),
        "Ended": fmt.instant(actor, job.finished_at), "Starts so far": str(job.attempts), "Queue": job.queue, "Worker": job.worker or fmt.NOTHING,
        "Id": job.id,
    }  # fmt: skip
    st.table({"": list(facts), " ": [fmt.md(value) for value in facts.values()]}, border="horizontal")
    if not actor.can("job", Action.MANAGE):
        return
    if job.state in ("failed", "cancelled") and st.button(
        "Start again", type="primary", key="job_retry", help="It goes on where it stopped"
    ):
        finish(jobs.retry, job, "The job waits for its turn again.")
    if job.active and st.button("Stop", key="job_stop", help="What it has done so far stays"):
        finish(jobs.cancel, job, "The job is being stopped.")


def finish(command, job: jobs.JobRow, words: str) -> None:
    perform(command, job.id, success=words)
    st.query_params.pop("job", None)
    st.rerun()


def clock() -> None:
    """What starts by itself."""
    with st.expander("Started by the clock", icon=":material/schedule:"):
        rows = [
            {"Job": each.title, "Last": fmt.ago(actor, each.last_at), "Next": fmt.instant(actor, each.next_at), "": "if there is something to do" if each.only_if_needed else ""}
            for each in load(schedules.find)
        ]  # fmt: skip
        st.dataframe(rows, hide_index=True)


def first_page() -> None:
    st.session_state["page"] = 1


actor = current_actor()
actions = header("Jobs", "Work that goes on behind the screens")
actions.button("Refresh", icon=":material/refresh:", key="refresh")
figures()
state = st.pills(
    "State",
    list(STATES),
    format_func=str.capitalize,
    key="state",
    bind="query-params",
    label_visibility="collapsed",
    on_change=first_page,
)
page = load(jobs.find_jobs, state=state or "", page=int(st.session_state.get("page") or 1), size=25)
rows = [row["job"] for row in page.rows]
if not rows:
    words = "Choose another state, or none to see all." if state else "Imports, backups and refreshes will stand here."
    empty_state(f"No {state} jobs" if state else "No jobs", words, icon="work_history")
else:
    hrefs = {n: f"/jobs?job={quote(job.id)}" for n, job in enumerate(rows, 1)}
    happened = table(COLUMNS, [(n, cells(job)) for n, job in enumerate(rows, 1)], key="table_jobs", label="Jobs", hrefs=hrefs)
    if page.pages > 1:
        st.pagination(page.pages, key="page", bind="query-params")
    if happened.opened:
        st.query_params["job"] = rows[happened.opened - 1].id
clock()
if chosen := load(jobs.find, st.query_params.get("job", "")):
    details(chosen)
