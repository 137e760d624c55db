"""Import: for whoever brings in records from a file, to see what would happen before it happens, and to take it back afterwards."""

import streamlit as st

from crm_core.services.admin.imports import desk, jobs, runs
from crm_core.vocabulary import ImportState
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import number
from ui.components import import_match, import_report
from ui.components.header import header
from ui.components.import_start import history, start, step_of, stepper
from ui.navigation import page_of
from ui.session import current_actor

ENDED = (ImportState.DONE, ImportState.DONE_WITH_ERRORS, ImportState.REVERTED)


def check(run) -> None:
    """The dry run: at once for a small file, as a job for a large one."""
    perform(runs.check if run.total_rows <= jobs.INLINE_ROWS else jobs.check_in_background, run.id)
    st.query_params.pop("step", None)


def matching(run) -> None:
    """Step 2: columns, values, rules."""
    found = load(desk.view, run.id)
    if run.message:
        st.warning(fmt.md(run.message), icon=":material/warning:")
    import_match.other_kinds(found)
    import_match.columns(found)
    import_match.values(found)
    import_match.rules(found)
    for problem in found.problems:
        st.warning(fmt.md(problem), icon=":material/error:")
    for remark in found.remarks:
        st.caption(fmt.md(remark))
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Check",
            type="primary",
            icon=":material/fact_check:",
            key="check",
            disabled=bool(found.problems),
            on_click=check,
            args=(run,),
            help="A dry run over all rows; nothing is kept",
        )
        if st.button("Throw away", key="discard", type="tertiary", help="Forget this file; nothing has been imported"):
            perform(runs.discard, run.id, success="The file was thrown away.")
            st.query_params.clear()
            st.rerun()


def checked(run) -> None:
    """Step 3: what would happen."""
    found = load(desk.view, run.id)
    import_report.checked(run, found.remarks)
    outcomes = run.report["check"]["outcomes"]
    taken = outcomes["created"] + outcomes["updated"]
    with st.container(horizontal=True, gap="small"):
        st.button(
            f"Import {fmt.plural(taken, 'row')}",
            type="primary",
            icon=":material/upload:",
            key="start",
            disabled=not taken,
            on_click=perform,
            args=(jobs.start_in_background, run.id),
        )
        if st.button("Back to the columns", icon=":material/arrow_back:", key="back"):
            st.query_params["step"] = "match"
            st.rerun()
    if outcomes["rejected"]:
        st.caption("Rejected rows are left out; afterwards you get them in a file, to correct and to import again.")


def running(run) -> None:
    """Step 4: progress, or why it stopped."""
    if run.state is not ImportState.FAILED:
        import_report.progress(run.id)
        if run.state is ImportState.RUNNING:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="stop",
                on_click=perform,
                args=(runs.stop, run.id),
                help="After the present batch; what was imported stays and can be undone",
            )
        return
    st.error(
        fmt.md(f"The import stopped after {fmt.written(run.done_rows)} of {fmt.written(run.total_rows)} rows. {run.message}"),
        icon=":material/error:",
    )
    st.button(
        "Go on",
        type="primary",
        icon=":material/play_arrow:",
        key="resume",
        on_click=perform,
        args=(jobs.resume_in_background, run.id),
    )
    import_report.result(run)


def one(run) -> None:
    """An import at the step where it stands."""
    header(
        run.file_name, f"{fmt.written(run.total_rows)} rows as {runs.entity_words(run)}", back=("Imports", page_of(actor, "import"))
    )
    at = step_of(run.state, matching=st.query_params.get("step") == "match")
    stepper(at)
    if at == 1:
        matching(run)
    elif run.state is ImportState.CHECKED:
        checked(run)
    elif run.state in ENDED:
        import_report.result(run)
    else:
        running(run)


actor = current_actor()
run_id = number("run")
if run_id is not None:
    one(load(runs.get, run_id))
else:
    header("Import", "Bring in records from CSV files and Excel workbooks")
    start()
    history()
