"""Around a finished run: choose another, name, publish or put it away, how it was computed, its files, and another run beside it."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from crm_core.access import Actor
from crm_core.db import write_session
from crm_core.entities import ENTITIES
from crm_core.services.analytics import marks, run_exports, run_snippet, runs
from crm_core.services.analytics.methods import Method
from crm_core.services.analytics.runs import Run, RunRow
from crm_core.vocabulary import RunState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.cache import cached
from ui.components.analysis_compare import beside
from ui.components.analysis_form import show_run, value_words
from ui.components.share_dialogs import share_run_dialog
from ui.downloads import MIME, asker


def run_picker(actor: Actor, found: Method, shown: Run | None) -> None:
    """The runs that this person may see, latest first."""
    known = {row.id: row for row in load(runs.find, found.kind)}
    if not known or (shown is not None and list(known) == [shown.id]):
        return
    st.selectbox(
        "Run",
        list(known),
        index=list(known).index(shown.id) if shown is not None and shown.id in known else 0,
        format_func=lambda run_id: _title(actor, known[run_id]),
        key=f"pick_run_{shown.id if shown else 0}_{len(known)}",
        label_visibility="collapsed",
        width=270,
        on_change=_picked,
        args=(found, f"pick_run_{shown.id if shown else 0}_{len(known)}"),
    )


def _picked(found: Method, key: str) -> None:
    show_run(found, st.session_state.get(key))


def _title(actor: Actor, row: RunRow) -> str:
    """Words for a run in a choice. The number is part of them: two runs of one minute must not become one choice."""
    state = "" if row.state is RunState.DONE else f" · {row.state.label.lower()}"
    published = " · published" if row.published else ""
    person = "" if row.asked_by == actor.name else f" · {row.asked_by}"
    return f"{row.title or fmt.ago(actor, row.asked_at).capitalize()} · no. {row.id}{published}{state}{person}"


def run_menu(actor: Actor, found: Method, shown: Run) -> None:
    """What one may do with the run itself."""
    may_change, done = shown.mine or shown.may_manage, shown.state is RunState.DONE
    turn = st.session_state.get("_run_menu_turn", 0)
    with st.popover(
        icon=":material/more_vert:",
        type="tertiary",
        **fmt.icon_only("This run"),
        key=f"run_menu_{turn}",
        on_change="rerun",
    ) as menu:
        if menu.open:
            st.caption("A link to this run, for colleagues who see the same records")
            st.code(f"{(st.context.url or '').split('?')[0]}?{urlencode(found.address(shown.id))}", language=None, wrap_lines=True)
            for what, words, icon, offered in (
                ("share", "Share outside", "share", done and shown.may_manage),
                ("rename", "Name it", "edit", may_change),
                ("publish", "Publish to records", "publish", bool(shown.marks) and shown.may_manage),
                ("archive", "Put away", "archive", may_change),
            ):
                if offered:
                    st.button(words, icon=f":material/{icon}:", key=f"run_{what}", type="tertiary", on_click=_wanted, args=(what,))
    what = st.session_state.pop("_run_wanted", None)
    if what == "share":
        share_run_dialog(shown.id, shown.title)
    elif what == "rename":
        _rename(shown)
    elif what == "publish":
        _publish(shown)
    elif what == "archive":
        _archive(found, shown)


def _wanted(what: str) -> None:
    """Remember which dialog is wanted, and close the menu: closing later, it would run the page again and take the dialog away."""
    st.session_state["_run_wanted"] = what
    st.session_state["_run_menu_turn"] = st.session_state.get("_run_menu_turn", 0) + 1


@st.dialog("Name this run")
def _rename(shown: Run) -> None:
    name = st.text_input("Name", shown.title if shown.named else "", max_chars=120, placeholder="Autumn campaign")
    st.caption("Runs with a name are kept; others are removed after half a year.")
    if st.button("Save", type="primary", key="run_rename_save"):
        if perform(runs.rename, shown.id, name, success="Named") is None:
            show_problems()
            return
        st.rerun()


@st.dialog("Publish to records")
def _publish(shown: Run) -> None:
    st.markdown(
        f"Everybody who sees a record will see what this run says about it ({fmt.written(shown.marks)} marks), and can filter by it. "
        "It takes the place of what was published before."
    )
    if st.button("Publish", type="primary", key="run_publish_yes"):
        done = perform(marks.publish, shown.id)
        if done is None:
            show_problems()
            return
        st.session_state.setdefault("_toasts", []).append(
            ("ok", "Published" if done is True else "Published in a moment: the worker writes the marks")
        )
        st.rerun()


@st.dialog("Put this run away")
def _archive(found: Method, shown: Run) -> None:
    st.markdown("It disappears for everybody, and its link stops working. Segments that were made from it stay.")
    if st.button("Put away", type="primary", key="run_archive_yes"):
        if perform(runs.archive, shown.id, success="Put away") is None:
            show_problems()
            return
        show_run(found, None)
        st.rerun()


# --- below the figures --------------------------------------------------------------------------------------------------------


def extras(actor: Actor, found: Method, shown: Run, other: Run | None, table: Any) -> None:
    """How it was computed, the files, the comparison. ``table(run, name)`` reads a table of a run."""
    st.space("small")
    with st.expander("How this is computed", icon=":material/function:", key="analysis_how", on_change="rerun") as how:
        if how.open:
            _how(actor, found, shown)
    with st.expander("Files", icon=":material/download:", key="analysis_files", on_change="rerun") as files:
        if files.open:
            _files(actor, shown)
    with st.expander(
        "Beside another run", icon=":material/compare_arrows:", expanded=other is not None, key="analysis_with", on_change="rerun"
    ) as fold:
        if fold.open or other is not None:
            _beside(actor, found, shown, other, table)


def _how(actor: Actor, found: Method, shown: Run) -> None:
    st.markdown(fmt.md(found.how))
    st.table(
        {
            "Data up to": fmt.md(fmt.day(actor, shown.as_of)),
            **{
                param.label: fmt.md(value_words(actor, param, shown.params.get(param.key)) or fmt.NOTHING) for param in found.params
            },
            "Version": fmt.md(shown.code_version),
            "Rows": "those that you may see",
        },
        border="horizontal",
    )
    for note in (*shown.warnings, *shown.missing):
        st.markdown(f"- {fmt.md(fmt.as_read(note))}")
    if shown.sql:
        st.markdown("**The data, as SQL**")
        st.code(shown.sql, language="sql", wrap_lines=True)
    if shown.python:
        st.markdown("**How it goes in Python**, with tables of your own")
        st.code(shown.python, language="python")
    st.markdown("**The same once more**: a script for the folder of Rapport, with these settings and your rows")
    st.code(run_snippet.of(actor, shown), language="python", wrap_lines=True)


def _files(actor: Actor, shown: Run) -> None:
    st.caption("Tables of this run. A figure is saved as PNG with the camera at its corner.")
    refusals = cached(run_exports.refusals, shown.id, entities=tuple(ENTITIES), tables=("analysis_run", "analysis_table"), own=True)
    for name, rows in shown.tables.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(fmt.md(f"{name.replace('_', ' ').capitalize()} ({fmt.written(rows)} rows)"), width="stretch")
            for form in ("csv", "xlsx"):
                large = f"A workbook holds at most {fmt.written(run_exports.MAX_XLSX)} rows. Take CSV."
                refused = refusals[name] or (large if form == "xlsx" and rows > run_exports.MAX_XLSX else "")
                st.download_button(
                    form.upper(),
                    data=partial(_make, actor, shown.id, name, form),
                    file_name=f"{shown.kind}-{shown.id}-{name}.{form}",
                    mime=MIME[form],
                    key=f"file_{name}_{form}",
                    disabled=bool(refused),
                    help=refused or None,
                    on_click="ignore",
                    type="tertiary",
                )


def _make(actor: Actor, run_id: int, name: str, form: str) -> bytes:
    """Called when the browser asks for the file, outside any run of the page, which may be hours old by then."""
    with write_session() as session:
        now = asker(session, actor)
        return run_exports.export(session, now, run_id, name, form=form)


def _beside(actor: Actor, found: Method, shown: Run, other: Run | None, table: Any) -> None:
    known = {row.id: row for row in load(runs.find, found.kind) if row.id != shown.id and row.state is RunState.DONE}
    beside(actor, found, shown, other, known, partial(_title, actor), table)
