"""The single codes of a promotion: files that were given out, a new one, and each code with whose it is and where it was used."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.models import Promotion
from crm_core.services.sales import promotion_codes
from crm_core.services.sales.promotion_codes import Batch, CodeRow
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.table import Cell, Column, table
from ui.components.whole_input import whole_number
from ui.downloads import asker, table_buttons
from ui.navigation import go, page_of

SIZE = 10
_USED = {"All": None, "Used": True, "Not used": False}


def codes_card(actor: Actor, promotion: Promotion, batches: Sequence[Batch], *, may_edit: bool) -> None:
    """The card."""
    may_give = may_edit and actor.can("promotion", Action.EXPORT)
    with st.container(border=True, gap="small", key="promotion_codes"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Codes**", width="content")
            if may_give and st.button("Give out a file", icon=":material/confirmation_number:", type="tertiary", key="codes_new"):
                _give_dialog(promotion.id)
        for n, batch in enumerate(batches):
            _batch(actor, promotion, batch, n)
        _list(actor, promotion)


def _batch(actor: Actor, promotion: Promotion, batch: Batch, n: int) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        used = f"{fmt.written(batch.used)} of {fmt.plural(batch.count, 'code')} used"
        st.markdown(
            f":material/description: **{fmt.md(batch.purpose)}**  \n:gray[{used}, made {fmt.md(fmt.instant(actor, batch.at))}]",
            width="stretch",
        )
        if actor.can("promotion", Action.EXPORT):
            with st.popover("File", icon=":material/download:", type="tertiary", key=f"codes_file_{n}"):
                table_buttons(partial(_make, actor, promotion.id, batch.purpose), f"codes-{promotion.id}-{n + 1}", key=f"codes_{n}")


def _make(actor: Actor, promotion_id: int, purpose: str, form: str) -> bytes:
    with read_session() as session:
        return promotion_codes.batch_file(session, asker(session, actor), promotion_id, purpose, form=form)


def _list(actor: Actor, promotion: Promotion) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        q = st.text_input("Find a code", key="code_q", placeholder="Find a code", label_visibility="collapsed", width=220)
        which = st.segmented_control(
            "Which", list(_USED), default="All", key="code_used", label_visibility="collapsed", required=True
        )
    page = int(st.session_state.get("code_page") or 1)
    rows, total = load(promotion_codes.find, promotion.id, q=q or "", used=_USED[which or "All"], page=page, size=SIZE)
    if not total:
        st.caption(
            "No code is like this." if q or which != "All"
            else "No code is out yet. Give out a file, or choose this promotion in a campaign and write {{coupon}} into its letter."
        )  # fmt: skip
        return
    happened = table(
        [Column("code", "Code", sortable=False), Column("to", "Given to", sortable=False), Column("at", "Given", sortable=False, named=True), Column("used", "Used on", sortable=False, named=True)],
        [(row.order_id or -row.id, _cells(actor, row)) for row in rows],
        key="codes_table",
        label="Codes of this promotion",
    )  # fmt: skip
    if total > SIZE:
        st.pagination(-(-total // SIZE), key="code_page")
    if happened.opened is not None and happened.opened > 0 and page_of(actor, "order") is not None:
        go("order", id=happened.opened)


def _cells(actor: Actor, row: CodeRow) -> list[Cell]:
    used = row.order or ("An order of others" if row.used else "–")
    return [Cell(row.code), Cell(row.to or "–"), Cell(fmt.day(actor, fmt.local(actor, row.given_at).date())), Cell(used)]


@st.dialog("Give out codes in a file", width="small", icon=":material/confirmation_number:")
def _give_dialog(promotion_id: int) -> None:
    st.markdown("For a flyer, a fair or a partner: each code works once.")
    purpose = st.text_input("What are they for? *", key="give_purpose", max_chars=120, placeholder="Flyer at the spring fair")
    count = whole_number("How many", 1, promotion_codes.MOST, 100, step=50, key="give_count")
    if st.button("Make the codes", type="primary", key="give_yes"):
        if (
            perform(
                promotion_codes.give_out,
                promotion_id,
                count,
                purpose or "",
                success=f"{fmt.written(count)} codes are ready: take the file.",
            )
            is not None
        ):
            st.rerun()
        show_refusal()
