"""What a dry run promises and what a run did: counts, reasons, the outcome of every row as a file, and the way back."""

from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.entities import label_of
from crm_core.services.admin.imports import jobs, outcome, runs, undo
from crm_core.vocabulary import ImportState, RowOutcome
from ui import format as fmt
from ui.actions import load, perform
from ui.downloads import asker
from ui.navigation import page_of
from ui.session import current_actor

LISTS = {
    "account": "accounts",
    "contact": "contacts",
    "lead": "leads",
    "deal": "deals",
    "product": "products",
    "order": "orders",
    "article": "articles",
    "campaign": "campaigns",
    "user": "people",
}
_HELP = {
    RowOutcome.CREATED: "New records",
    RowOutcome.UPDATED: "Records that were there and got other values",
    RowOutcome.UNCHANGED: "Records that were there and hold these values already",
    RowOutcome.REJECTED: "Rows that can't be taken; the reasons stand below",
}


def figures(counts: dict[str, int]) -> None:
    """Rows by outcome; they add up to all rows."""
    actor = current_actor()
    with st.container(horizontal=True, gap="large", key="import_figures"):
        for each in RowOutcome:
            st.metric(each.label, fmt.number(actor, counts.get(each.value, 0)), help=_HELP[each], width="content")
        st.metric("Rows", fmt.number(actor, sum(counts.values())), help="The sum: no row is left out", width="content")


def reasons(title: str, found: list[list[Any]], *, icon: str) -> None:
    """Sentences with the number of rows that they are about."""
    if found:
        with st.container(border=True):
            st.markdown(f":material/{icon}: **{title}**")
            st.table(
                {"Rows": [fmt.written(count) for _, count in found], "Why": [fmt.md(text) for text, _ in found]},
                border="horizontal",
                hide_index=True,
            )


def checked(run: Any, remarks: tuple[str, ...]) -> None:
    """The report of a dry run."""
    report = run.report["check"]
    figures(report["outcomes"])
    reasons("Rows that will be rejected", report["reasons"], icon="block")
    reasons("Good to know", report["notes"], icon="info")
    if report["examples"]:
        with st.expander(f"Examples of rejected rows ({min(50, len(report['examples']))})"):
            st.dataframe([{"Row": each["row"], "Why": each["why"]} for each in report["examples"]], hide_index=True)
    made = [
        f"{fmt.written(each['count'])} {label_of(key, plural=each['count'] != 1).lower()} ({', '.join(each['names'][:5])}{' …' if each['count'] > 5 else ''})"
        for key, each in report["linked"].items()
    ]
    words = [*remarks, *(["Created on the way: " + "; ".join(made) + "."] if made else [])]
    if words:
        with st.container(border=True):
            st.markdown(":material/rule: **What the import goes by**")
            for sentence in words:
                st.caption(fmt.md(sentence))


def result(run: Any) -> None:
    """What came of a finished import."""
    figures(runs.counts(run))
    if run.state is ImportState.REVERTED:
        st.info(fmt.md("This import was undone. " + undo.summary(run)), icon=":material/undo:")
    report = run.report.get("result", {})
    reasons("Rejected rows", report.get("reasons", []), icon="block")
    reasons("Good to know", report.get("notes", []), icon="info")
    if report.get("linked"):
        made = "; ".join(
            f"{fmt.written(count)} {label_of(key, plural=count != 1).lower()}" for key, count in report["linked"].items()
        )
        st.caption(fmt.md(f"Created on the way: {made}."))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="import_after"):
        _downloads(run)
        _onwards(run)
        if run.state in (ImportState.DONE, ImportState.DONE_WITH_ERRORS, ImportState.FAILED) and st.button(
            "Undo this import", icon=":material/undo:", key="undo"
        ):
            ask_undo(run)


def _downloads(run: Any) -> None:
    actor = current_actor()
    stem = run.file_name.rsplit(".", 1)[0]
    offers: list[tuple[str, RowOutcome | None, str]] = [("Outcome of every row", None, "download_all")]
    if run.rejected:
        offers.append(("Only the rejected rows", RowOutcome.REJECTED, "download_rejected"))
    for words, only, key in offers:
        name = f"{stem}-{'rejected' if only else 'outcome'}.csv"
        st.download_button(
            words,
            data=partial(_file, actor, run.id, only),
            file_name=name,
            mime="text/csv",
            icon=":material/download:",
            key=key,
            on_click="ignore",
        )


def _file(actor: Actor, run_id: int, only: RowOutcome | None) -> bytes:
    with read_session() as session:
        return ("\ufeff" + "".join(outcome.lines(session, asker(session, actor), run_id, only=only))).encode()


def _onwards(run: Any) -> None:
    page = page_of(current_actor(), LISTS.get(run.entity, ""))
    if page is not None and run.state is not ImportState.REVERTED:
        st.page_link(page, label=f"Open {label_of(run.entity, plural=True).lower()}", icon=":material/arrow_forward:")


@st.dialog("Undo this import?")
def ask_undo(run: Any) -> None:
    """What an undo will and will not do, before it does it."""
    st.markdown(
        f"Records that this import created are deleted: {fmt.written(run.created)} from its rows, and those that it created on the way. "
        f"{fmt.written(run.updated)} records that it updated get their old values back."
    )
    st.caption("Whatever somebody has changed or used since is kept and listed. Custom fields and list values stay.")
    if run.entity == "contact":
        st.caption("Consent by e-mail that ended because the file said “Do not e-mail” stays ended.")
    if run.entity == "order":
        st.caption(
            "Orders that it cancelled take their discount codes again. Where a code was used since, the order gets its full price."
        )
    if st.button("Undo", type="primary", key="undo_now", on_click=perform, args=(jobs.undo_in_background, run.id)):
        st.rerun()


@st.fragment(run_every=1.0)
def progress(run_id: int) -> None:
    """How far the work is; when it has ended, the page is drawn anew."""
    actor = current_actor()
    run, waiting = load(_progress, run_id)
    if run.state not in (ImportState.RUNNING, ImportState.CHECKING, ImportState.REVERTING):
        st.rerun()
    place = undo.place(run) if run.state is ImportState.REVERTING else 0
    done = {ImportState.RUNNING: run.done_rows, ImportState.REVERTING: run.total_rows - place}.get(run.state, 0)
    words = {ImportState.RUNNING: "Importing", ImportState.REVERTING: "Undoing", ImportState.CHECKING: "Checking every row"}[
        run.state
    ]
    text = (
        f"{words}: {fmt.number(actor, done)} of {fmt.number(actor, run.total_rows)} rows"
        if run.state is not ImportState.CHECKING
        else f"{words} …"
    )
    st.progress(min(1.0, done / run.total_rows) if run.total_rows else 0.0, text=text)
    if run.state is ImportState.RUNNING:
        figures(runs.counts(run))
    st.caption(
        "You can close this page: the work goes on, and this address shows how far it is."
        + (f" {fmt.md(waiting)}" if waiting else "")
    )


def _progress(session: Any, actor: Actor, run_id: int) -> tuple[Any, str]:
    run = runs.get(session, actor, run_id)
    return run, jobs.waiting_words(session, run)
