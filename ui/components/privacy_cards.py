"""A person's own data: the entry of the record's menu, the cards of the privacy page, and the dialog before an erasure."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.entities import ENTITIES, label_of
from crm_core.personal_data import ERASED_PERSON
from crm_core.services.admin.privacy import requests
from crm_core.services.admin.privacy.requests import Line, Preview, Request, Subject
from crm_core.vocabulary import Action, PrivacyKind, PrivacyState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.day_input import day_input
from ui.components.header import Rare, empty_state
from ui.components.table import Cell, Column, table
from ui.downloads import asker
from ui.navigation import go, page_of
from ui.session import current_actor

TONES = {PrivacyState.OPEN: "orange", PrivacyState.RUNNING: "blue", PrivacyState.DONE: "green", PrivacyState.DECLINED: "gray"}
COLUMNS = [
    Column("who", "Person", sortable=False),
    Column("kind", "Asked for", sortable=False),
    Column("state", "State", sortable=False),
    Column("due", "Due", sortable=False),
    Column("asked", "Asked on", sortable=False, muted=True),
    Column("by", "By", sortable=False, muted=True),
    Column("done", "Done", sortable=False, muted=True),
]


def privacy_entry(actor: Actor, entity_key: str, record_id: int) -> list[Rare]:
    """The entry of the menu of a contact or a lead, for whoever works on requests; empty otherwise."""
    if not actor.can("privacy", Action.READ):
        return []
    return [Rare("privacy", "Their data: copy or erase", "privacy_tip", partial(go, "privacy", entity=entity_key, id=record_id))]


def erased_note(entity_key: str, record_id: int, name: str) -> None:
    """On the record of somebody who was erased: since when, and that it stays so."""
    if not name.startswith(ERASED_PERSON):
        return
    at = load(requests.erased_at, entity_key, record_id)
    if at is not None:
        st.info(
            f"This person was erased on {fmt.md(fmt.instant(current_actor(), at))}. The record stays as a number so that figures stay true.",
            icon=":material/person_off:",
        )


# --- requests ----------------------------------------------------------------------------------------------------------------------


def request_table(actor: Actor, found: Sequence[Request], *, key: str, of_one: bool = False) -> None:
    """Requests, each a way to its person. ``of_one``: they are all of the person who is shown."""
    rows = [(row.id, _cells(actor, row)[of_one:]) for row in found]
    happened = table(COLUMNS[of_one:], rows, key=key, label="Requests")
    chosen = next((row for row in found if row.id == happened.opened), None)
    if chosen is not None:
        go("privacy", entity=chosen.entity, id=chosen.record_id)


def _cells(actor: Actor, row: Request) -> list[Cell]:
    due = fmt.day(actor, row.due_on) if row.state in requests.ACTIVE else fmt.NOTHING
    return [
        Cell(row.name or f"{label_of(row.entity)} {row.record_id}"), Cell(row.kind.label),
        Cell("Stands still" if row.stuck else row.state.label, tone="red" if row.stuck else TONES[row.state]),
        Cell(due, hot=row.overdue), Cell(fmt.day(actor, row.asked_on)), Cell(row.by), Cell(fmt.instant(actor, row.done_at) if row.done_at else fmt.NOTHING),
    ]  # fmt: skip


# --- a person ------------------------------------------------------------------------------------------------------------------------


def cards(actor: Actor, subject: Subject) -> None:
    """The two things that a person may ask for, side by side."""
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, key="privacy_copy"):
        _copy(actor, subject)
    with right.container(border=True, key="privacy_erase"):
        _erase(actor, subject)


def _active(subject: Subject, kind: PrivacyKind) -> Request | None:
    return next((row for row in subject.requests if row.kind is kind and row.state in requests.ACTIVE), None)


def _copy(actor: Actor, subject: Subject) -> None:
    st.markdown(":material/folder_zip: **A copy of their data**")
    st.caption(
        "Everything that is kept about them: a page to read, the same as JSON and CSV, and their files, in one ZIP. It is put together in "
        f"the background and lies here for {requests.DAYS} days, for whoever made it."
    )
    active = _active(subject, PrivacyKind.REPORT)
    ready = next((row for row in subject.requests if row.mine), None)
    if ready is not None:
        st.download_button(
            "Download the ZIP", partial(_file, actor, ready.id), file_name=f"data-of-{ready.entity}-{ready.record_id}.zip", mime="application/zip",
            icon=":material/download:", key="privacy_file", on_click="ignore",
        )  # fmt: skip
        st.caption(fmt.md(f"Made {fmt.instant(actor, ready.done_at)}, until {fmt.instant(actor, ready.expires_at)}."))
        by_hand(actor, ready.outcome.get("by_hand", []))
    if active is not None and active.state is PrivacyState.RUNNING:
        progress(active.id, subject.entity, subject.id)
    elif actor.can("privacy", Action.MANAGE):
        day = None if active is not None else day_input("Asked on", value="today", max_value="today", key="copy_asked", width=180)
        _due(actor, active)
        with st.container(horizontal=True, gap="small"):
            words = "Make a new copy" if ready is not None else "Make the copy"
            if st.button(words, type="secondary" if ready is not None else "primary", key="copy_make"):
                _done(perform(requests.make_copy, subject.entity, subject.id, asked_on=day, success="Being put together."))
            _note_or_decline(subject, active, PrivacyKind.REPORT, day, "copy")


def _file(actor: Actor, request_id: int) -> bytes:
    with read_session() as session:
        return requests.file(session, asker(session, actor), request_id)[1]


def _erase(actor: Actor, subject: Subject) -> None:
    st.markdown(":material/person_off: **Erasure**")
    st.caption(
        "Takes out of the whole workspace what tells who they are. Amounts, days and numbers stay, so that no figure changes. "
        "It can’t be undone; backups hold them until they are deleted in their turn."
    )
    active = _active(subject, PrivacyKind.ERASURE)
    if active is not None and active.state is PrivacyState.RUNNING:
        progress(active.id, subject.entity, subject.id)
        return
    last = next((row for row in subject.requests if row.kind is PrivacyKind.ERASURE and row.state is PrivacyState.DONE), None)
    if last is not None:
        outcome(actor, last)
    if actor.can("privacy", Action.MANAGE):
        day = None if active is not None else day_input("Asked on", value="today", max_value="today", key="erase_asked", width=180)
        _due(actor, active)
        with st.container(horizontal=True, gap="small"):
            if st.button("See what would go", type="primary" if last is None else "secondary", key="erase_preview"):
                erase_dialog(load(requests.preview, subject.entity, subject.id), day)
            _note_or_decline(subject, active, PrivacyKind.ERASURE, day, "erase")


def _due(actor: Actor, active: Request | None) -> None:
    if active is not None:
        words = f"Asked on {fmt.day(actor, active.asked_on)}, due by {fmt.day(actor, active.due_on)}, noted by {active.by}."
        st.caption(f":red[{fmt.md(words)}]" if active.overdue else fmt.md(words))


def _note_or_decline(subject: Subject, active: Request | None, kind: PrivacyKind, day: Any, key: str) -> None:
    if active is None:
        if st.button("Only note it", type="tertiary", key=f"{key}_note", help="It stands among the requests until it is done"):
            _done(perform(requests.note, subject.entity, subject.id, kind, asked_on=day, success="Noted."))
    elif st.button("Decline", type="tertiary", key=f"{key}_decline"):
        decline_dialog(active.id)


def _done(result: Any) -> None:
    if result is not None:
        st.rerun()


@st.dialog("Decline this request?", width="small")
def decline_dialog(request_id: int) -> None:
    """The reason is kept as proof."""
    reason = st.text_area("Why", key="decline_reason", max_chars=1000, placeholder="As the person was told")
    if st.button("Decline", type="primary", key="decline_now"):
        _done(perform(requests.decline, request_id, reason=reason, success="Declined."))
    show_problems()


@st.fragment(run_every=2.0)
def progress(request_id: int, entity_key: str, record_id: int) -> None:
    """How far the work is; when it has ended, the page is drawn anew."""
    subject = load(requests.get, entity_key, record_id)
    row = next((one for one in subject.requests if one.id == request_id), None)
    if row is None or row.state is not PrivacyState.RUNNING:
        st.rerun()
    elif row.stuck:
        st.error(fmt.md(row.says), icon=":material/error:")
        if current_actor().can("privacy", Action.MANAGE) and st.button("Go on where it stopped", key=f"go_on_{request_id}"):
            _done(perform(requests.go_on, request_id))
        show_problems()
    else:
        st.progress(row.share or 0.0, text=fmt.md(row.says or "Under way; you will be told when it is done."))


# --- erasing -------------------------------------------------------------------------------------------------------------------------


@st.dialog("Erase this person?", width="large")
def erase_dialog(found: Preview, day: Any) -> None:
    """What goes and what stays, counted once and confirmed as it was read; a reason and the name, typed once more, before it begins. The fields stand
    first, since a dialog begins in its first field and the list would be scrolled past; the button stands below the list."""
    records = ", ".join(f"{label_of(kind).lower()} {one}" for kind, one, _, _ in found.subject.records)
    st.markdown(f"**{fmt.md(found.subject.name)}**  :gray[{fmt.md(records)}]")
    st.error("This can’t be undone.", icon=":material/warning:")
    reason = st.text_input("Reason", key="erase_reason", max_chars=1000, placeholder="Such as: asked for it by mail")
    typed = st.text_input("Type the name to confirm", key="erase_typed", placeholder=found.subject.name)
    _lines(found)
    _further(current_actor(), found)
    wrong = st.container()
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep them", key="erase_no"):
            st.rerun()
        if st.button("Erase for good", type="primary", key="erase_yes", disabled=bool(found.busy)):
            begun = perform(
                requests.erase, found.subject.entity, found.subject.id, reason=reason, typed=typed, seal=found.subject.seal, asked_on=day,
                success="The erasure has begun. You will be told when it is done.",
            )  # fmt: skip
            _done(begun)
    with wrong:
        show_problems()


def _lines(found: Preview) -> None:
    st.container(key="erasure_lines").table(
        {
            "Kind": [fmt.md(line.label) for line in found.lines],
            "Rows": [fmt.written(line.count) for line in found.lines],
            "What happens": [fmt.md(_fate(line)) for line in found.lines],
        },
        border="horizontal",
        hide_index=True,
    )
    st.caption(
        f"Their name, addresses and numbers are also taken out of all other texts ({_mentions(found)}), of the change history and of files that came in. "
        "A hash of each address stays, so that an import does not bring them back to your letters."
    )


def _mentions(found: Preview) -> str:
    if not found.mentions:
        return "none of the latest" if found.more else "there is none"
    return f"{'at least ' if found.more else ''}{fmt.written(found.mentions)} found"


def _fate(line: Line) -> str:
    words = {"deleted": "Deleted", "anonymised": "Made anonymous", "kept": "Kept without their name"}[line.fate]
    return f"{words}. What stays: {line.stays}" if line.stays else words


def _further(actor: Actor, found: Preview) -> None:
    if found.busy:
        st.warning(
            fmt.md(f"The import of {', '.join(found.busy)} holds this person and is not done. Finish it or give it up first."),
            icon=":material/upload_file:",
        )
    if found.shared:
        st.warning(
            fmt.md(
                f"Others are called or reached the same way, or it is too short to tell people apart: {', '.join(found.shared)}. In texts about "
                "other people it stays."
            ),
            icon=":material/group:",
        )
    refit(actor, found.refit)
    st.caption(
        "Files on accounts, deals and orders stay: those that may tell of the person are named afterwards, to be looked at by hand. Backups are not "
        "changed: restoring an old one brings the person back."
    )


def refit(actor: Actor, runs: Sequence[Any]) -> None:
    """Analyses that were reckoned with the person."""
    if not runs:
        return
    with st.expander(f"{fmt.plural(len(runs), 'analysis', 'analyses')} to run again"):
        for run in runs:
            st.markdown(fmt.md(f"{run['title']}, as of {run['as_of']} (run {run['id']})"))


def outcome(actor: Actor, row: Request) -> None:
    """What an erasure did, and what is left to do by hand."""
    st.success(fmt.md(f"Done {fmt.instant(actor, row.done_at)} for {row.by}: {row.reason}"), icon=":material/check_circle:")
    counts = row.outcome.get("counts", {})
    with st.expander(f"{fmt.plural(sum(counts.values()), 'row', 'rows')} of {fmt.plural(len(counts), 'kind', 'kinds')}"):
        st.table(
            {"Kind": [fmt.md(key) for key in counts], "Rows": [fmt.written(many) for many in counts.values()]},
            border="horizontal",
            hide_index=True,
        )
    refit(actor, row.outcome.get("refit", []))
    by_hand(actor, row.outcome.get("by_hand", []))
    if row.outcome.get("busy"):
        st.warning(
            fmt.md(
                f"Imports that were going on still hold them: {', '.join(row.outcome['busy'])}. Finish these, then erase once more."
            )
        )
    for kind, one in row.outcome.get("back", []):
        page = page_of(actor, kind)
        st.warning(
            f"While it ran, the same address came in again: {label_of(kind).lower()} {one}. Erase that one too, if it is the same person."
        )
        if page is not None:
            st.page_link(
                page, label=f"Open {label_of(kind).lower()} {one}", icon=":material/open_in_new:", query_params={"id": str(one)}
            )


def by_hand(actor: Actor, found: Sequence[Any]) -> None:
    """Files of other records in which the person may stand, with the way there."""
    if not found:
        return
    with st.expander(f"{fmt.plural(len(found), 'file', 'files')} to be looked at by hand", icon=":material/folder_open:"):
        st.caption("They name the person or hang on their company, deals or orders, and may hold data of others too.")
        for (key, record_id), names in _by_record(found).items():
            page, record = page_of(actor, ENTITIES[key].page) if key in ENTITIES else None, f"{label_of(key)} {record_id}"
            with st.container(gap=None):
                if page is None:
                    st.markdown(record)
                else:
                    st.page_link(page, label=record, icon=":material/open_in_new:", query_params={"id": str(record_id)})
                st.caption("  \n".join(map(fmt.md, names)))


def _by_record(found: Sequence[Any]) -> dict[tuple[str, int], list[str]]:
    made: dict[tuple[str, int], list[str]] = {}
    for one in found:
        made.setdefault((one["entity"], one["id"]), []).append(one["file"])
    return made


def nobody(title: str, text: str) -> None:
    empty_state(title, text, icon="privacy_tip")
