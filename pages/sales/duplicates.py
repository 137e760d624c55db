"""Records that are probably the same: for whoever keeps customers tidy, to merge them or to say that they are two."""

import streamlit as st

from crm_core.entities import entity
from crm_core.services.customers import duplicate_review
from crm_core.vocabulary import PairState
from ui import format as fmt
from ui.actions import load
from ui.components.duplicate_pairs import decided_note, nothing, pair_card, scan_bar
from ui.components.header import empty_state, header
from ui.components.list_tools import first_page, page_asked
from ui.components.merge_records import merged_note
from ui.session import current_actor


def choose(found: dict[str, int | None]) -> str:
    """The kind that is looked at: that of the address, else the first of which something waits."""
    given = st.query_params.get("kind", "")
    kind = given if given in found else next((key for key, count in found.items() if count), next(iter(found)))
    chosen = st.pills(
        "Kind of record", list(found), default=kind, format_func=lambda key: f"{entity(key).plural}{f'  {fmt.written(found[key])}' if found[key] else ''}", required=True,
        key=f"kind_{kind}", label_visibility="collapsed",
    )  # fmt: skip
    if chosen and chosen != kind:
        st.query_params["kind"] = chosen
        first_page()
        st.rerun()
    return kind


actor = current_actor()
actions = header("Duplicates", "Probably the same, the likeliest and most valuable first")
scanned = scan_bar(actions)
counts = load(duplicate_review.kinds)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_tools"):
    kind = choose(counts)
    decided = st.toggle("Said to be two", key="decided", on_change=first_page, bind="query-params")
merged_note(kind)
decided_note()
if counts[kind] is None:
    empty_state("Nothing to show", "Your role hides the fields by which duplicates are recognised.", icon="visibility_off")
    st.stop()
state = PairState.DIFFERENT if decided else PairState.OPEN
page = load(duplicate_review.find, kind, state=state, page=page_asked())
if page.total == 0:
    nothing(kind, scanned, decided=decided)
    st.stop()
specs = load(duplicate_review.fields, kind)
for number, pair in enumerate(page.rows):
    pair_card(actor, pair, specs, first=number == 0, decided=decided)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
    st.caption(fmt.plural(page.total, "pair"))
    if page.pages > 1:
        st.pagination(page.pages, key="page", bind="query-params")
