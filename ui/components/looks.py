"""Who looked at somebody's personal data: the lines of the audit page, and the dialog on a record."""

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import label_of
from crm_core.services.admin import personal_reads
from crm_core.services.admin.personal_reads import Look
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.table import Cell, Column, table
from ui.navigation import page_of

LOOKS = "Looks at personal data"
"""The part of the audit page, as its address names it."""

LOOK_COLUMNS = [
    Column("who", "Who", sortable=False),
    Column("what", "Whose data", sortable=False),
    Column("way", "How", sortable=False),
    Column("at", "When", sortable=False, muted=True),
]


def look_cells(actor: Actor, look: Look) -> list[Cell]:
    """A line of the audit page."""
    return [Cell(look.who), Cell(look.what), Cell(_how(look)), Cell(fmt.instant(actor, look.at))]


def _how(look: Look) -> str:
    words = f" ({look.words})" if look.words else ""
    listed = "" if look.record_id is not None or look.count < 2 else f", a list of {fmt.written(look.count)}"
    return f"{look.way.label}{words}{listed}"


def looks_button(actor: Actor, entity_key: str, record_id: int) -> None:
    """On a record, for whoever may see the audit trail."""
    if actor.can("audit", Action.READ) and st.button(
        "Who looked at this", icon=":material/visibility:", type="tertiary", key="looks"
    ):
        _dialog(actor, entity_key, record_id)


@st.dialog("Who looked at this", width="large")
def _dialog(actor: Actor, entity_key: str, record_id: int) -> None:
    found = load(personal_reads.of_record, entity_key, record_id)
    st.caption(
        "Opening the record, exports and the API; once per person and quarter of an hour. Lists and search results are not noted, "
        "and your own look shows after a few seconds."
    )
    if not found:
        st.markdown(f"Nobody whom you may see looked at this {label_of(entity_key).lower()} yet.")
        return
    rows = [(look.id, [Cell(look.who), Cell(_how(look)), Cell(fmt.instant(actor, look.at))]) for look in found]
    columns = [column for column in LOOK_COLUMNS if column.key != "what"]
    table(columns, rows, key="looks_of", label="Who looked at this")
    page = page_of(actor, "audit")
    if page is not None:
        st.page_link(
            page, label="All of it in the audit trail", icon=":material/history:",
            query_params={"part": LOOKS, "kind": entity_key, "record": str(record_id)},
        )  # fmt: skip
