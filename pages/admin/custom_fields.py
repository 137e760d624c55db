"""Fields and lists: for the administrator, to make records hold what this business needs, without a programmer."""

import streamlit as st

from crm_core.services.admin import custom_fields, pick_lists
from crm_core.vocabulary import Action, FieldKind
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import number
from ui.components.field_dialogs import edit_field, edit_value, new_field
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.session import current_actor

FIELD_COLUMNS = [
    Column("label", "Name", sortable=False),
    Column("kind", "Kind", sortable=False),
    Column("values", "Values", sortable=False, muted=True),
    Column("marks", "Marked as", sortable=False, muted=True),
    Column("state", "State", sortable=False),
]
VALUE_COLUMNS = [
    Column("value", "Value", sortable=False),
    Column("used", "Records", right=True, sortable=False),
    Column("state", "State", sortable=False),
]


def marks(row) -> str:
    found = [
        words for words, holds in (("needed", row.required), ("personal", row.pii), ("quick to filter", row.filterable)) if holds
    ]
    return ", ".join(found) or fmt.NOTHING


def fields() -> None:
    """The custom fields of one kind of record, in their order."""
    kinds = {found.key: found.plural for found in custom_fields.customisable()}
    asked = st.query_params.get("of", "")
    chosen = st.pills(
        "Fields of",
        list(kinds),
        format_func=lambda key: kinds[key],
        key="of",
        default=asked if asked in kinds else "account",
        required=True,
        label_visibility="collapsed",
    )
    entity_key = chosen or "account"
    if asked != entity_key and (asked or entity_key != "account"):
        st.query_params["of"] = entity_key
    rows = load(custom_fields.find, entity_key, inactive=True)
    words = f"A field that is added here appears wherever {kinds[entity_key].lower()} do: forms, lists, filters, imports, exports."
    place = st if rows else empty_state("No custom fields yet", words, icon="post_add")
    if may_edit and place.button("New field", type="primary", icon=":material/add:", key="new_field"):
        st.query_params["field"] = "new"
    if not rows:
        opened(entity_key, [])
        return
    cells = [
        (
            row.id,
            [
                Cell(row.label),
                Cell(row.kind.label),
                Cell(fmt.plural(len(row.options), "value") if row.kind is FieldKind.CHOICE else fmt.NOTHING),
                Cell(marks(row)),
                Cell("In use", tone="green") if row.active else Cell("Out of use", tone="gray"),
            ],
        )
        for row in rows
    ]
    happened = table(
        FIELD_COLUMNS, cells, key=f"fields_{entity_key}", label="Custom fields", href="/fields?field={id}" if may_edit else ""
    )
    if happened.opened is not None:
        st.query_params["field"] = str(happened.opened)
    opened(entity_key, [row.id for row in rows if row.active])


def opened(entity_key: str, ids: list[int]) -> None:
    """The dialog that the address names."""
    asked = number("field")
    if may_edit and st.query_params.get("field") == "new":
        new_field(entity_key)
    elif may_edit and asked is not None:
        edit_field(load(custom_fields.get, asked), ids)


def lists() -> None:
    """The values of one editable list."""
    found = load(pick_lists.find)
    names = {f"{spec.entity}.{spec.key}": f"{spec.label} ({kind_words[spec.entity]})" for spec in found}
    chosen = st.selectbox(
        "List", list(names), format_func=lambda key: names[key], key="list", label_visibility="collapsed", width=380
    )
    if chosen is None:
        return
    entity_key, key = chosen.split(".", 1)
    known = load(pick_lists.values, entity_key, key)
    if may_edit:
        with (
            st.form("add_value", border=False, clear_on_submit=True),
            st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
        ):
            fresh = st.text_input("New value", key="new_value", max_chars=pick_lists.MAX_LENGTH, width=320)
            if st.form_submit_button("Add", icon=":material/add:"):
                perform(pick_lists.add, entity_key, key, fresh, success=fmt.md(f"{fresh} is offered now."))
                st.rerun()
    cells = [
        (
            n,
            [
                Cell(value.value),
                Cell(fmt.number(actor, value.used)),
                Cell("Offered", tone="green") if value.active else Cell("Not offered", tone="gray"),
            ],
        )
        for n, value in enumerate(known, 1)
    ]
    happened = table(VALUE_COLUMNS, cells, key=f"values_{chosen}", label="Values", href="/fields?value={id}" if may_edit else "")
    if happened.opened is not None:
        st.query_params["value"] = known[happened.opened - 1].value
    asked = next((value for value in known if value.value == st.query_params.get("value")), None)
    if asked is not None and may_edit:
        edit_value(entity_key, key, asked)


actor = current_actor()
may_edit = actor.can("custom_field", Action.MANAGE)
kind_words = {found.key: found.plural.lower() for found in custom_fields.customisable()}
header("Fields and lists", "What records hold beyond the usual, and the values that lists offer")
areas = {"Custom fields": fields, "Lists": lists}
for draw, tab in zip(areas.values(), st.tabs(list(areas), key="area", on_change="rerun", bind="query-params"), strict=True):
    if tab.open:
        with tab:
            draw()
