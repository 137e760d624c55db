"""The discount code of an order: type one, see what it took off, take it off again."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.sales import redeeming
from crm_core.services.sales.lines import LineView
from crm_core.services.sales.redeeming import Used
from ui import format as fmt
from ui.actions import perform
from ui.navigation import page_of


def off_words(actor: Actor, lines: Sequence[LineView]) -> str:
    """Behind the sum of the products: what a code took off them."""
    off = sum(line.promotion_minor or 0 for line in lines)
    return f", after {fmt.money(actor, off)} off by a code" if off else ""


def code_card(actor: Actor, row: Mapping[str, Any], lines: Sequence[LineView], used: Sequence[Used], *, may_edit: bool) -> None:
    """The card. Not there on orders that neither have a code nor can take one."""
    counting = [one for one in used if not one.released]
    may_use = may_edit and bool(lines) and not counting and not actor.masked("order", "total_minor")
    if not used and not may_use:
        return
    with st.container(border=True, gap="small", key="order_code"):
        st.markdown("**Discount code**")
        for one in counting:
            _used(actor, row, one, may_edit=may_edit)
        if may_use:
            _entry(row)
        for one in used:
            if one.released:
                st.caption(fmt.md(f"{one.code} no longer counts: {one.released}, {fmt.instant(actor, one.at)}."))


def _used(actor: Actor, row: Mapping[str, Any], one: Used, *, may_edit: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap=None):
            amount = f": {fmt.md(fmt.money(actor, one.amount_minor))} off" if one.amount_minor is not None else ""
            st.markdown(f":material/local_activity: **{fmt.md(one.code)}**{amount}")
            page = page_of(actor, "promotion")
            if page is not None and one.promotion_id is not None:
                st.page_link(page, label=fmt.md(one.promotion), query_params={"id": str(one.promotion_id)})
        if may_edit and not one.from_shop:
            with st.popover("Take off", icon=":material/close:", type="tertiary", key=f"code_off_{one.id}"):
                st.markdown("The order costs the full price again, and the code can be used elsewhere.")
                if st.button("Take it off", type="primary", key=f"code_off_yes_{one.id}"):
                    perform(redeeming.take_off, row["id"], one.id, base_version=row["version"], success="The code is off.")
                    st.rerun()
    if one.from_shop:
        st.caption(fmt.md(one.remark) if one.remark else "The shop gave this discount; the prices are after it.")


def _entry(row: Mapping[str, Any]) -> None:
    """What is typed stays in the box until it was taken."""
    key = f"code_{row['id']}"
    wrong = st.session_state.pop(f"{key}_wrong", "")
    with (
        st.form(f"{key}_form", border=False, clear_on_submit=False, enter_to_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        typed = st.text_input("Code", key=key, max_chars=40, placeholder="SPRING26", label_visibility="collapsed", width=260)
        pressed = st.form_submit_button("Use it", icon=":material/local_activity:")
    if wrong:
        st.markdown(f":red[:material/error: {fmt.md(wrong)}]")
    if not pressed:
        return
    if (
        perform(redeeming.redeem, row["id"], typed or "", base_version=row["version"], success="The discount is on the order.")
        is None
    ):
        refused = st.session_state.pop("_invalid", None) or {}
        if refused.get("code"):  # the sentence stands at the box
            st.session_state["_toasts"] = []
            st.session_state[f"{key}_wrong"] = refused["code"]
    st.rerun()
