"""Dialogs for custom fields and the values of editable lists."""

from typing import Any

import streamlit as st

from crm_core.entities import label_of
from crm_core.models import CustomField
from crm_core.services.admin import custom_fields, pick_lists
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.parts_clash import Part, clashing, columns_of, save_parts, saver

KIND_HELP = {
    FieldKind.CHOICE: "Write the values below, one per line",
    FieldKind.MONEY: "An amount in the workspace's currency",
    FieldKind.LONG_TEXT: "Searched, not sorted",
}


def _values(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def close() -> None:
    """The address no longer names a field or value, so that the dialog stays shut."""
    for name in ("field", "value"):
        st.query_params.pop(name, None)


def _done() -> None:
    close()
    st.rerun()


@st.dialog("New field", width="medium", on_dismiss=close)
def new_field(entity_key: str) -> None:
    """Add a field; its kind can't be changed later."""
    st.caption(f"{label_of(entity_key, plural=True)} get the field in forms, lists, filters, imports and exports.")
    label = st.text_input("Name", key="field_label", max_chars=120, placeholder="Contract until")
    kind = st.selectbox(
        "Kind", list(custom_fields.KINDS), format_func=lambda one: one.label, key="field_kind", help="It can't be changed later"
    )
    options = ""
    if kind is FieldKind.CHOICE:
        options = st.text_area("Values, one per line", key="field_options", height=140)
    help_text = st.text_input("Help", key="field_help", max_chars=300, placeholder="What people should enter")
    required, pii, filterable = _switches(False, False, True)
    if st.button("Add", type="primary", key="field_add"):
        made = perform(
            custom_fields.create, entity_key, label=label, kind=kind, options=_values(options), required=required, pii=pii,
            filterable=filterable, help=help_text, success=fmt.md(f"{label} added."),
        )  # fmt: skip
        if made is not None:
            _done()
    show_problems()


def _switches(required: bool, pii: bool, filterable: bool) -> tuple[bool, bool, bool]:
    with st.container(horizontal=True, gap="large"):
        needed = st.toggle("Needed", value=required, key="field_required", help="A record can't be saved without it")
        personal = st.toggle("Personal data", value=pii, key="field_pii", help="Can be hidden from roles, see Roles")
        fast = st.toggle("Filtered often", value=filterable, key="field_filterable", help="Gets an index in the database")
    return needed, personal, fast


@st.dialog("Field", width="medium", on_dismiss=close)
def edit_field(row: CustomField, ids: list[int]) -> None:
    """Change a field, its place, or take it out of use. ``row``: the field as it was opened; ``ids``: the fields of the entity in their order."""
    field_id = row.id
    used = load(custom_fields.filled, field_id)
    st.caption(fmt.md(f"{row.kind.label} · key {row.key} · filled in {fmt.plural(used, 'record')}"))
    label = st.text_input("Name", value=row.label, key="field_label", max_chars=120)
    changes: dict[str, Any] = {}
    if row.kind is FieldKind.CHOICE:
        listed = st.text_area("Values, one per line", value="\n".join(map(str, row.options)), key="field_options", height=140)
        st.caption(
            "A value that you take away stays in the records that hold it. Rename values under Lists, so that records follow."
        )
        changes["options"] = _values(listed)
    changes["help"] = st.text_input("Help", value=row.help, key="field_help", max_chars=300)
    changes["required"], changes["pii"], changes["filterable"] = _switches(row.required, row.pii, row.filterable)
    question = f"field_{field_id}_{row.version}"
    asked = st.container()
    with st.container(horizontal=True, gap="small"):
        pressed = st.button("Save", type="primary", key="field_save", disabled=clashing(question))
        _place(field_id, ids)
        taken = row.active and st.button("Take out of use", key="field_active", help="Hidden everywhere; what was entered stays")
        if taken and perform(custom_fields.deactivate, field_id) is not None:
            _done()
        if not row.active and st.button("Use again", key="field_active"):
            perform(custom_fields.activate, field_id)
            _done()
    mine, save = {"label": label, **changes}, saver(custom_fields.update, "Saved.")
    with asked:
        if save_parts(question, pressed, seen=row, mine=mine, parts=_PARTS, values_of=columns_of(mine), save=save):
            _done()
    show_problems()


_PARTS = {
    "label": Part("Name"), "options": Part("Values"), "help": Part("Help"), "required": Part("Needed"), "pii": Part("Personal data"),
    "filterable": Part("Filtered often"),
}  # fmt: skip


def _place(field_id: int, ids: list[int]) -> None:
    at = ids.index(field_id) if field_id in ids else -1
    for words, icon, step in (("Move up", "arrow_upward", -1), ("Move down", "arrow_downward", 1)):
        possible = at >= 0 and 0 <= at + step < len(ids)
        if st.button(words, icon=f":material/{icon}:", key=f"field_move_{step}", disabled=not possible):
            order = [each for each in ids if each != field_id]
            order.insert(at + step, field_id)
            field = load(custom_fields.get, field_id)
            perform(custom_fields.reorder, field.entity, order)
            _done()


@st.dialog("Value", on_dismiss=close)
def edit_value(entity_key: str, key: str, value: pick_lists.Value) -> None:
    """Rename a value, in the records too, or offer it no longer."""
    if value.used is not None:
        st.caption(f"Held by {fmt.plural(value.used, 'record')}.")
    name = st.text_input("Value", value=value.value, key="value_name", max_chars=pick_lists.MAX_LENGTH)
    with st.container(horizontal=True, gap="small"):
        renamed = st.button(
            "Rename",
            type="primary",
            key="value_rename",
            help="In every record that holds it, too",
            disabled=name.strip() == value.value,
        )
        if renamed and perform(pick_lists.rename, entity_key, key, value.value, name) is not None:
            _done()
        if value.active and st.button("Offer no longer", key="value_remove", help="Records that hold it keep it"):
            perform(pick_lists.deactivate, entity_key, key, value.value)
            _done()
        if not value.active and st.button("Offer again", key="value_restore"):
            perform(pick_lists.add, entity_key, key, value.value)
            _done()
    show_problems()
