"""Pieces that record pages share: facts, related lists, tasks, the actions in the header."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import lists, reads, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import NotFound
from crm_core.fields import FieldSpec, registry
from crm_core.lists import ListQuery
from crm_core.services import crud
from crm_core.services.collaboration import tasks
from crm_core.vocabulary import Action, FieldKind
from ui import format as fmt
from ui.actions import hush, load, perform, renew, show_problems, submit_key
from ui.addresses import number
from ui.components.bin_views import just_deleted
from ui.components.entity_form import create_form, edit_form, form_name, open_form, tell_changes, who_did
from ui.components.gate_question import carry_gate
from ui.components.header import Rare
from ui.components.record_list import cell
from ui.components.table import Column, table
from ui.failure import dead_end
from ui.navigation import go, page_of
from ui.session import current_actor


def id_from_url(name: str = "id") -> int:
    """The record id in the address; ends the page with a sentence when it is none."""
    record_id = number(name)
    if record_id is None:
        dead_end("This address names no record. Open it from a list.", "link_off")
    return record_id


def facts_of(session: Session, actor: Actor, entity_key: str, record_id: int) -> tuple[dict[str, FieldSpec], dict[str, Any]]:
    """Specs and the row of a record as lists give it, masks applied."""
    records.get(session, actor, entity_key, record_id)
    specs = dict(registry(session, entity_key))
    row = lists.rows_of(session, actor, entity_key, [record_id], specs.values())[0]
    reads.looked(session, actor, entity_key, record_id)
    return specs, row


def name_of(entity_key: str, row: Mapping[str, Any]) -> str:
    """The record's name for its header; the kind and number where the role hides names, as lists call it too."""
    return f"{entity(entity_key).label} {row['id']}" if row["name"] == lists.MASK else str(row["name"])


def facts_if(
    session: Session, actor: Actor, entity_key: str, record_id: int | None
) -> tuple[dict[str, FieldSpec], dict[str, Any]] | None:
    """Like ``facts_of``, but None for a record that is missing, hidden or of a kind the person may not see."""
    if record_id is None or not actor.can(entity_key, Action.READ):
        return None
    try:
        return facts_of(session, actor, entity_key, record_id)
    except NotFound:
        return None


def related(
    actor: Actor,
    entity_key: str,
    *,
    where: Mapping[str, Any],
    columns: Sequence[str],
    title: str,
    list_url: str = "",
    tones: Mapping[str, Mapping[Any, str]] | None = None,
    size: int = 5,
    preset: Mapping[str, Any] | None = None,
    fields: Sequence[str] = (),
) -> None:
    """A card with the first related records, a link to all of them, and a button for a new one where the person may."""
    if not actor.can(entity_key, Action.READ):
        return
    found = entity(entity_key)
    page = load(lists.find, entity_key, ListQuery(filter=where, columns=tuple(columns), size=size), sums=False)
    with st.container(border=True, gap="small", key=f"related_{entity_key}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{fmt.md(title)}**  :gray[{fmt.written(page.total)}]", width="content")
            if (
                preset is not None
                and actor.can(entity_key, Action.CREATE)
                and st.button("New", icon=":material/add:", type="tertiary", key=f"add_{entity_key}")
            ):
                new_dialog(entity_key, fields, preset)
        if not page.rows:
            st.caption(f"No {found.plural.lower()} yet.")
            return
        specs = {key: spec for key, spec in load(_specs, entity_key).items() if key in columns}
        shown = [specs[key] for key in columns if key in specs]
        happened = table(
            [Column(spec.key, spec.label, right=spec.kind is FieldKind.MONEY, sortable=False) for spec in shown],
            [(row["id"], [cell(actor, spec, row, tones or {}) for spec in shown]) for row in page.rows],
            key=f"rel_{entity_key}",
            label=title,
            href=f"/{found.page}?id={{id}}" if found.page else "",
        )
        all_of_them = page_of(actor, list_url)
        if page.total > size and all_of_them is not None:
            st.page_link(
                all_of_them,
                label=f"All {fmt.written(page.total)}",
                icon=":material/arrow_forward:",
                query_params={"f": json.dumps(where)},
            )
    if happened.opened is not None:
        go(found.page, id=happened.opened)


def _specs(session: Session, actor: Actor, entity_key: str) -> Mapping[str, FieldSpec]:
    return registry(session, entity_key)


def new_dialog(
    entity_key: str,
    fields: Sequence[str],
    preset: Mapping[str, Any] | None = None,
    more: Sequence[str] = (),
    *,
    stay: bool = False,
) -> None:
    """Open the dialog that creates a record and then shows it (with ``stay`` the page that one was on)."""
    label = entity(entity_key).label.lower()

    @st.dialog(f"New {label}", width="medium")
    def show() -> None:
        record = create_form(entity_key, fields=fields, preset=preset, more=more)
        if record is not None:
            found = entity(entity_key)
            st.session_state.setdefault("_toasts", []).append(("ok", fmt.md(f"{found.label} created.")))
            if found.page and not stay:
                go(found.page, id=record.id)
            st.rerun()

    show()


def edit_dialog(
    entity_key: str,
    record_id: int,
    fields: Sequence[str] | None = None,
    *,
    title: str = "",
    typed: Mapping[str, Any] | None = None,
    gate: str = "",
) -> None:
    """Open the dialog that edits a record, or what ``title`` says of it. ``typed`` stands in it already; ``gate``: where a stage that refused goes on."""
    open_form(entity_key, record_id, fields=fields, typed=typed)
    carry_gate(gate, form_name(entity_key, record_id))

    @st.dialog(title or f"Edit {entity(entity_key).label.lower()}", width="large", dismissible=True)
    def show() -> None:
        if edit_form(entity_key, record_id, fields=fields, typed=typed):
            st.rerun()

    show()


def edit_entry(entity_key: str, record_id: int, fields: Sequence[str] | None = None) -> Rare:
    """The entry of the menu of phones that edits a record."""
    return Rare("edit", "Edit", "edit", partial(edit_dialog, entity_key, record_id, fields))


def delete_entry(actor: Actor, entity_key: str, row: Mapping[str, Any], title: str, list_url: str) -> list[Rare]:
    """The entry of the record's menu that asks before it goes to the bin, for whoever may delete; empty otherwise."""
    if not actor.can(entity_key, Action.DELETE):
        return []
    ask = partial(delete_dialog, entity_key, row["id"], row["version"], title, list_url)
    return [Rare("delete", f"Delete this {entity(entity_key).label.lower()}", "delete", ask)]


def delete_dialog(entity_key: str, record_id: int, version: int, title: str, list_url: str) -> None:
    """Ask before a record goes to the bin."""
    st.session_state.pop(f"_stale_{entity_key}_{record_id}", None)
    _deleting(entity_key, record_id, version, title, list_url)


def _deleting(entity_key: str, record_id: int, version: int, title: str, list_url: str) -> None:
    found, place = entity(entity_key), f"_stale_{entity_key}_{record_id}"

    @st.dialog(f"Delete this {found.label.lower()}?", width="small")
    def show() -> None:
        stale = st.session_state.get(place)
        st.text(title)
        if stale is not None:
            changed_meanwhile(entity_key, stale)
        st.caption("It goes to the bin and can be restored from there. What is linked to it stays.")
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button("Keep it", key="delete_no"):
                st.rerun()
            if st.button("Delete" if stale is None else "Delete all the same", type="primary", key="delete_yes"):
                seen = version if stale is None else stale["version"]
                if perform(crud.archive, entity_key, record_id, base_version=seen) is not None:
                    just_deleted(entity_key, record_id, title)
                    go(list_url)
                conflict = st.session_state.get("_conflict")
                if conflict is not None and "changed" in conflict.details:
                    st.session_state[place] = conflict.details
                    hush()
                    st.rerun(scope="fragment")
                st.rerun()

    show()


def changed_meanwhile(entity_key: str, told: Mapping[str, Any]) -> None:
    """What was changed in a record since it was looked at: ``told`` are the details of the Conflict that ``crud.archive`` raised."""
    with st.container(gap="small", key=f"{entity_key}_changed_clash"):
        st.warning(fmt.md(who_did(current_actor(), told["by"], "changed it", "meanwhile")), icon=":material/call_split:")
        tell_changes(entity_key, told["changed"])


@st.fragment
def next_steps(entity_key: str, record_id: int, *, agreed: str = "", cold: bool = False) -> None:
    """The open tasks of a record: tick off, or add one. ``agreed``: its next step, where that stands in a field of its own, as
    plain text; ``cold``: it suffers from having none."""
    actor = current_actor()
    found = load(tasks.open_of, entity_key, record_id)
    with st.container(border=True, gap="small", key="next_steps"):
        st.markdown("**Next steps**")
        if not found:
            warning = f" A {entity(entity_key).label.lower()} without a next step grows cold." if cold else ""
            st.caption(f"{fmt.md(agreed)}. No task for it yet." if agreed else f"Nothing planned.{warning}")
        for task in found:
            due = (
                f"  :{'red' if task.due_at and task.due_at < fmt.clock.utcnow() else 'gray'}-badge[{fmt.md(fmt.ago(actor, task.due_at.astimezone(fmt.local(actor, task.due_at).tzinfo).date()))}]"
                if task.due_at
                else ""
            )
            st.checkbox(f"{fmt.md(task.subject)}{due}", key=f"task_{task.id}_{task.version}", on_change=_tick, args=(task.id,))
        if actor.can("task", Action.CREATE):
            turn = st.session_state.get("_task_turn", 0)
            with st.container(horizontal=True, vertical_alignment="bottom"):
                subject = st.text_input(
                    "New task", key=f"task_new_{turn}", placeholder="Add a task", label_visibility="collapsed", max_chars=300
                )
                if st.button("Add", key="task_add") and subject.strip():
                    _add_task(entity_key, record_id, subject)
        show_problems()


def _tick(task_id: int) -> None:
    perform(tasks.complete, task_id, success="Done.")


def _add_task(entity_key: str, record_id: int, subject: str) -> None:
    from crm_core.services.collaboration.activities import links_of

    name = f"task_of_{entity_key}_{record_id}"
    key = submit_key(name)

    def command(session: Session, actor: Actor) -> Any:
        record = records.get(session, actor, entity_key, record_id)
        values = {"subject": subject, "due_at": fmt.clock.today(actor.timezone), **links_of(entity_key, record)}
        return tasks.create(session, actor, values, submit_key=key)

    if perform(command, success="Task added.") is not None:
        renew(name)
        st.session_state["_task_turn"] = st.session_state.get("_task_turn", 0) + 1
        st.rerun(scope="fragment")
