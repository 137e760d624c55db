"""What waits in queues: how long, where, and a button to take it."""

from datetime import timedelta

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import ENTITIES, label_of
from crm_core.kit.clock import utcnow
from crm_core.services.routing import assign, queues
from crm_core.services.routing.queues import Waiting
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state
from ui.navigation import page_of


def waiting_list(actor: Actor) -> None:
    """Everything that waits among what the viewer may see, the oldest first."""
    found = load(queues.waiting)
    if not found:
        empty_state(
            "Nothing waits",
            "Whatever came in has found somebody. When nobody is free, it stands here until somebody is.",
            icon="done_all",
        )
        return
    st.caption(
        f"{fmt.plural(len(found), 'record waits', 'records wait')}, the oldest first. Free people are offered them every minute."
    )
    for one in found:
        waiting_row(actor, one)


def waiting_row(actor: Actor, one: Waiting) -> None:
    """One record with its wait."""
    late = one.max_wait_minutes is not None and utcnow() - one.since > timedelta(minutes=one.max_wait_minutes)
    with (
        st.container(border=True, key=f"waits_{one.entity}_{one.record_id}"),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
    ):
        with st.container(width="content", gap=None):
            page = page_of(actor, ENTITIES[one.entity].page)
            if page is not None:
                st.page_link(page, label=fmt.md(one.title or label_of(one.entity)), query_params={"id": str(one.record_id)})
            parts = [
                label_of(one.entity),
                one.queue or "no queue of its own",
                f"waits since {fmt.ago(actor, one.since)}",
                one.rule,
            ]
            st.caption(fmt.md(" · ".join(part for part in parts if part)) + (" :red-badge[Too long]" if late else ""))
        if actor.can(one.entity, Action.EDIT):
            st.button(
                "Take it", icon=":material/front_hand:", key=f"take_{one.entity}_{one.record_id}", on_click=take, args=(one.entity, one.record_id)
            )  # fmt: skip


def take(entity_key: str, record_id: int) -> None:
    perform(assign.take, entity_key, record_id, success="It is yours now.")


def waiting_link(actor: Actor, entity_key: str, where: object) -> None:
    """In a list's header: how many wait, when some do."""
    number = load(queues.count, entity_key)
    page = page_of(actor, "waiting")
    if number and page is not None:
        with where:  # type: ignore[attr-defined]
            st.page_link(page, label=f"{number} waiting", icon=":material/hourglass_top:")
