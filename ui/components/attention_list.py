"""What needs somebody, as lines that lead to their lists."""

from collections.abc import Sequence

import streamlit as st

from crm_core.access import Actor
from crm_core.services.analytics.attention import Waiting
from ui import format as fmt
from ui.components.figure import box
from ui.components.list_link import list_link

_SHOWN = 6


def attention_list(actor: Actor, waiting: Sequence[Waiting], title: str = "Needs attention") -> None:
    """Draw the reminders, or that all is well."""
    outer, _head = box(title, "Each line opens its list", key="box_attention")
    with outer:
        if not waiting:
            st.markdown(":green[:material/check_circle:] Nothing waits for you.")
        for item in waiting[:_SHOWN]:
            with st.container(gap=None, key=f"waits_{item.key}"):
                number, words = item.sentence.split(" ", 1)
                list_link(actor, item.entity, f":{item.tone}[**{number}**] {fmt.md(words)}", item.filter, icon=item.icon)
                st.caption(fmt.md(_detail(actor, item)))


def _detail(actor: Actor, item: Waiting) -> str:
    parts = [item.why]
    if item.amount_minor:
        parts.append(f"{fmt.money(actor, item.amount_minor, compact=True)} at stake")
    if item.oldest is not None:
        parts.append(f"oldest {fmt.ago(actor, item.oldest)}".replace(" ", "\u00a0"))
    return " · ".join(parts)
