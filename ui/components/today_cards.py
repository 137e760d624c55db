"""The cards of the Today page: tasks to tick off, records that wait, what others changed."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.kit.text import clip
from crm_core.services.collaboration import tasks, today
from crm_core.services.collaboration.timeline import Item
from crm_core.services.collaboration.today import Block, TaskView
from crm_core.vocabulary import Action, FieldKind
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.components.activity_feed import entry
from ui.components.record_list import cell
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

_MORE = 50


@st.fragment
def my_tasks() -> None:
    """Open tasks, overdue ones first: tick off, open the record, add one."""
    actor = current_actor()
    limit = _MORE if st.session_state.get("_all_tasks") else today.SIZE
    found, total = load(today.my_tasks, limit=limit)
    with st.container(border=True, gap="small", key="my_tasks"):
        st.markdown(f"**My tasks**  :gray[{fmt.written(total)}]")
        if not found:
            planned = " What you plan on a record, or add here, will stand here." if actor.can("task", Action.CREATE) else ""
            st.caption(f"Nothing to do.{planned}")
        for task in found:
            _task(actor, task)
        everything = page_of(actor, "tasks")
        if total > len(found):
            if limit < _MORE and st.button(f"Show more of {fmt.written(total)}", type="tertiary", key="more_tasks"):
                st.session_state["_all_tasks"] = True
                st.rerun()
            if limit == _MORE and everything is not None:
                st.page_link(everything, label=f"All {fmt.written(total)}", icon=":material/arrow_forward:")
        if actor.can("task", Action.CREATE):
            _add()
        show_problems()


def _task(actor: Actor, task: TaskView) -> None:
    due = ""
    if task.due_at is not None:
        tone = "red" if task.overdue else "gray"
        due = f"  :{tone}-badge[{fmt.md(fmt.ago(actor, fmt.local(actor, task.due_at).date()))}]"
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key=f"today_task_{task.id}"
    ):
        st.checkbox(
            f"{fmt.md(task.subject)}{due}", key=f"today_{task.id}_{task.version}", on_change=_tick, args=(task.id,), width="content"
        )
        if task.title and page_of(actor, ENTITIES[task.entity].page) is not None:
            label = clip(task.title, 40)
            if st.button(
                fmt.md(label), icon=f":material/{ENTITIES[task.entity].icon}:", type="tertiary", key=f"today_to_{task.id}"
            ):
                go(ENTITIES[task.entity].page, id=task.record_id)


def _tick(task_id: int) -> None:
    perform(tasks.complete, task_id, success="Done.")


def _add() -> None:
    turn = st.session_state.get("_today_turn", 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subject = st.text_input(
            "New task", key=f"today_new_{turn}", placeholder="Add a task for today", label_visibility="collapsed", max_chars=300
        )
        pressed = st.button("Add", key="today_add")
    values = {"subject": subject, "due_at": clock.today(current_actor().timezone)}
    if pressed and subject.strip() and perform(tasks.create, values, submit_key=submit_key("today_task")) is not None:
        renew("today_task")
        st.session_state["_today_turn"] = turn + 1
        st.rerun()


def waiting(
    actor: Actor,
    block: Block | None,
    title: str,
    nothing: str,
    *,
    list_url: str,
    tones: Mapping[str, Mapping[Any, str]] | None = None,
) -> None:
    """A card with the first records of a block, why they wait, and the way to the whole list."""
    if block is None:
        return
    found = ENTITIES[block.entity]
    with st.container(border=True, gap="small", key=f"today_{block.entity}"):
        st.markdown(f"**{title}**  :gray[{fmt.written(block.page.total)}]")
        if not block.page.rows:
            st.caption(nothing)
            return
        specs = load(lambda session, _actor: registry(session, block.entity))
        shown = [specs[key] for key in block.columns]
        columns = [Column(spec.key, spec.label, right=spec.kind is FieldKind.MONEY, sortable=False) for spec in shown]
        if block.why:
            columns.insert(1, Column("why", "Why", sortable=False))
        rows = []
        for row in block.page.rows:
            cells = [cell(actor, spec, row, tones or {}) for spec in shown]
            if block.why:
                cells.insert(1, Cell(", ".join(block.why.get(row["id"], ())), hot=True))
            rows.append((row["id"], cells))
        happened = table(columns, rows, key=f"today_table_{block.entity}", label=title, href=f"/{found.page}?id={{id}}")
        whole = page_of(actor, list_url)
        if block.page.total > len(rows) and whole is not None:
            st.page_link(
                whole,
                label=f"All {fmt.written(block.page.total)}",
                icon=":material/arrow_forward:",
                query_params={"f": json.dumps(block.filter)},
            )
    if happened.opened is not None:
        go(found.page, id=happened.opened)


def changed(actor: Actor, items: list[Item]) -> None:
    """What others did to my records since yesterday."""
    with st.container(border=True, gap="small", key="today_changes"):
        st.markdown("**Changed by others since yesterday**")
        if not items:
            st.caption("Nobody else touched your records since yesterday.")
        for n, item in enumerate(items):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
                with st.container(width="stretch"):
                    entry(actor, item)
                page = ENTITIES[item.entity].page
                if page_of(actor, page) is not None and st.button("Open", key=f"change_{n}", type="tertiary"):
                    go(page, id=item.record_id)
