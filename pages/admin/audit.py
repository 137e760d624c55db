"""Who changed what: for administrators and managers who must be able to answer for a record, before and after, by person, record and day."""

from datetime import date

import streamlit as st

from crm_core import lists
from crm_core.entities import RECORDS, entity
from crm_core.kit.paging import Page
from crm_core.services import setting_back
from crm_core.services.admin import audit, personal_reads
from crm_core.services.admin.audit import Change, Entry
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.components.audit_policy import how_long
from ui.components.created_anyway import created_anyway_button
from ui.components.day_input import day_input
from ui.components.earlier_values import earlier_values
from ui.components.header import empty_state, header
from ui.components.looks import LOOK_COLUMNS, LOOKS, look_cells
from ui.components.table import Cell, Column, table
from ui.navigation import page_of
from ui.session import current_actor

KINDS = (*RECORDS, "user", "role", "organisation", "pipeline", "lead_status", "job")
CHANGES, SIGNINS, KEPT = "Changes", "Sign-ins", "How long it is kept"
SIGNIN_COLUMNS = [
    Column("who", "Who", sortable=False),
    Column("did", "What happened", sortable=False),
    Column("how", "How and from where", sortable=False),
    Column("at", "When", sortable=False, muted=True),
]
COLUMNS = [
    Column("record", "Record", sortable=False),
    Column("did", "What happened", sortable=False),
    Column("who", "Who", sortable=False),
    Column("at", "When", sortable=False, muted=True),
    Column("changes", "Before → after", sortable=False, muted=True),
]


def first_page() -> None:
    st.session_state["page"] = 1


def value(change: Change, raw: object, title: str | None) -> str:
    if change.spec is not None:
        return fmt.value(actor, change.spec, raw, title)
    return fmt.NOTHING if raw in (None, "") else str(raw)


def line(change: Change) -> str:
    return f"{change.label}: {value(change, change.old, change.old_title)} → {value(change, change.new, change.new_title)}"


def cells(entry: Entry) -> list[Cell]:
    via = "" if entry.via.value == "screen" else f" ({entry.via.label})"
    return [
        Cell(record_of(entry)), Cell(entry.sentence + via), Cell(entry.who), Cell(fmt.instant(actor, entry.at)),
        Cell(" · ".join(line(change) for change in entry.changes) or fmt.NOTHING),
    ]  # fmt: skip


def record_of(entry: Entry) -> str:
    return f"{entry.entity_label}{f' “{entry.title}”' if entry.title else ''}"


@st.dialog("What happened", width="large", on_dismiss=lambda: st.query_params.pop("entry", None))
def details(entry: Entry) -> None:
    """One entry in full: every changed field before and after, and the way to the record."""
    st.markdown(f"**{fmt.md(entry.who)}** {fmt.md(entry.sentence)}: {fmt.md(record_of(entry))}")
    st.caption(fmt.md(f"{fmt.instant(actor, entry.at)}, through {entry.via.label}"))
    if entry.changes:
        pairs = [
            (value(change, change.old, change.old_title), value(change, change.new, change.new_title)) for change in entry.changes
        ]
        columns = {
            "Field": [fmt.md(change.label) for change in entry.changes], "Before": [fmt.md(old) for old, _ in pairs],
            "After": [fmt.md(new) for _, new in pairs],
        }  # fmt: skip
        st.table(columns, border="horizontal")
        earlier_values(actor, load(setting_back.of_change, entry.id), key="back")
    page = page_of(actor, entity(entry.entity).page) if entry.entity in RECORDS and entry.title else None
    if page is not None:
        st.page_link(page, label="Open the record", icon=":material/open_in_new:", query_params={"id": str(entry.record_id)})


def filters() -> dict[str, object]:
    """Who, what kind of record, which days: the same for every part of the trail."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_tools"):
        people = load(lists.choices, "user", limit=500)
        person = st.selectbox(
            "Person",
            list(people),
            index=None,
            format_func=lambda one: people[one],
            placeholder="Everybody",
            key="person",
            on_change=first_page,
        )
        given = st.query_params.get("kind")
        kind = None if part == SIGNINS else st.selectbox(
            "Kind of record", KINDS, index=KINDS.index(given) if given in KINDS else None, format_func=audit.label_of, placeholder="All",
            key="kind_of", on_change=first_page,
        )  # fmt: skip
        days: tuple[date, ...] = day_input("Days", value=(), key="days", on_change=first_page, max_value="today")  # type: ignore[assignment]
        if record_id is not None and st.button("All records", icon=":material/close:", key="all_records"):
            st.query_params.pop("record", None)
            st.rerun()
    return {
        "user_id": person, "entity": kind or "", "record_id": record_id, "since": days[0] if days else None, "until": days[-1] if len(days) == 2 else None,
        "page": int(st.session_state.get("page") or 1), "size": 50,
    }  # fmt: skip


def footer(page: Page, word: str, many: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.plural(page.total, word, many))
        if page.pages > 1:
            st.pagination(page.pages, key="page", bind="query-params")


def changes() -> None:
    """Who changed what, before and after."""
    page = load(audit.find, **filters())
    entries = [row["entry"] for row in page.rows]
    if not entries:
        empty_state("Nothing of this kind happened", "Choose another person, kind or period.", icon="history")
        return
    rows = [(entry.id, cells(entry)) for entry in entries]
    happened = table(COLUMNS, rows, key="table_audit", label="Audit trail", href="/audit?entry={id}")
    if happened.opened:
        st.query_params["entry"] = str(happened.opened)
    footer(page, "entry", "entries")


def signins() -> None:
    """Who signed in and out, and who failed to, from where."""
    page = load(audit.find, **filters(), signins=True)
    if not page.rows:
        empty_state("Nobody signed in", "Choose another person or period.", icon="login")
        return
    rows = [
        (entry.id, [Cell(entry.title), Cell(entry.sentence, tone="red" if entry.sentence.startswith("failed") else None),
                    Cell(entry.note or fmt.NOTHING), Cell(fmt.instant(actor, entry.at))])
        for entry in (row["entry"] for row in page.rows)
    ]  # fmt: skip
    table(SIGNIN_COLUMNS, rows, key="table_signins", label="Sign-ins")
    footer(page, "entry", "entries")


def looks() -> None:
    """Who looked at personal data."""
    page = load(personal_reads.find, **filters())
    if not page.rows:
        empty_state(
            "Nobody looked at personal data", "Opening a person's record, exports and the API are noted here.", icon="visibility"
        )
        return
    rows = [(look.id, look_cells(actor, look)) for look in (row["look"] for row in page.rows)]
    table(LOOK_COLUMNS, rows, key="table_looks", label="Looks at personal data")
    footer(page, "look", "looks")


PARTS = {CHANGES: changes, LOOKS: looks, SIGNINS: signins, KEPT: how_long}
actor = current_actor()
actions = header(
    "Audit",
    "Every change, by whom and through which door; who looked at people's data, and who signed in. Sealed against later edits.",
)
created_anyway_button(actions)
record_id = number("record")
part = st.segmented_control(
    "Part of the trail", list(PARTS), default=CHANGES, required=True, key="part", bind="query-params", label_visibility="collapsed", on_change=first_page,
)  # fmt: skip
PARTS[part]()
if (entry_id := number("entry")) and (chosen := load(audit.get, entry_id)):
    details(chosen)
