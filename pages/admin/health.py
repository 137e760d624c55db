"""Is everything in order? For the administrator: database, jobs, last backup; back up now and fetch the file."""

import streamlit as st

from crm_core import jobs
from crm_core.services.admin import backups, health
from crm_core.settings import settings
from ui import format as fmt
from ui.actions import load, perform
from ui.components.halt import health_line
from ui.components.header import header
from ui.navigation import page_of
from ui.session import current_actor

ICONS = {
    "ok": (":material/check_circle:", "green"),
    "warning": (":material/warning:", "orange"),
    "wrong": (":material/error:", "red"),
}


def size(count: int) -> str:
    return f"{fmt.written(count / 2**20, ',.1f')} MB" if count < 2**30 else f"{fmt.written(count / 2**30, ',.2f')} GB"


@st.fragment(run_every=2)
def under_way(job_id: str) -> None:
    """How far the backup is that was asked for here."""
    job = load(jobs.find, job_id)
    if job is None or not job.active:
        st.session_state.pop("backup_job", None)
        st.rerun()
    waits = job.state == "waiting"
    st.info("The backup waits for the worker…" if waits else "The backup is being written…", icon=":material/hourglass_top:")


def made() -> None:
    """The backups, the youngest with its file."""
    found = load(backups.find, limit=10)
    if not found:
        st.caption("There is no backup yet. One is made every night while a worker runs.")
        return
    rows = [
        {
            "Made": fmt.instant(actor, each.at), "Size": size(each.size_bytes), "Took": f"{fmt.written(each.seconds, '.1f')} s",
            "Verified": "Yes" if each.verified else "No", "File": each.path.name if each.exists else each.message or "not there any more",
        }
        for each in found
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True)
    st.caption(fmt.md(f"They lie in {found[0].path.parent}."))
    fetchable = next((each for each in found if each.verified and each.exists), None)
    if fetchable is None:
        return
    if fetchable.size_bytes > settings().max_upload_mb << 20:
        st.caption(
            fmt.md(f"The youngest is too large for the browser ({size(fetchable.size_bytes)}); take it from {fetchable.path}.")
        )
        return
    path = load(backups.file_of, fetchable.id)
    st.download_button("Download the youngest", path.read_bytes, file_name=path.name, icon=":material/download:", key="backup_file")


actor = current_actor()
now = load(health.overview)
actions = header("Health", f"Rapport {now.version} on {now.database} {now.database_version}, {size(now.size_bytes)}")
if actions.button("Back up now", type="primary", icon=":material/backup:", key="backup_now"):
    job_id = perform(backups.start, success="The backup will be ready in a moment.")
    if job_id is not None:
        st.session_state["backup_job"] = job_id
    st.rerun()
for check in now.checks:
    icon, colour = ICONS[check.state]
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.badge(check.name, icon=icon, color=colour)  # type: ignore[arg-type]
        st.markdown(fmt.md(check.detail), width="content")
with st.container(horizontal=True, gap="medium"):
    if (jobs_page := page_of(actor, "jobs")) is not None:
        st.page_link(jobs_page, label="All jobs", icon=":material/work_history:", width="content")
    health_line(actor)
st.subheader("Backups", anchor=False)
if job_id := st.session_state.get("backup_job"):
    under_way(job_id)
made()
