"""Of which fields a role has less than its verbs give: one kind of record at a time, each field with the levels that make sense for it."""

from typing import Any

import streamlit as st

from crm_core import veil
from crm_core.access.permissions import RECORDS
from crm_core.entities import label_of
from crm_core.fields import FieldSpec
from crm_core.services.admin import role_rules, roles
from crm_core.services.admin.roles import FieldKey, FieldRight, Rights
from crm_core.vocabulary import FieldKind, FieldLevel
from ui import format as fmt
from ui.actions import load

_EXAMPLE = {FieldKind.EMAIL: "mia@example.org", FieldKind.PHONE: "+49 30 5550112", FieldKind.TEXT: "Jane Doe"}
_MEANING = (
    "**Edit**: as far as the tables above allow. **Read only**: shown, but not changed, neither in forms nor in bulk, by import, automation or API. "
    "**Masked**: a trace such as m…@example.org, which nothing can be found or sorted by. **Hidden**: ••• everywhere."
)


def role_fields(rights: Rights, *, disabled: bool) -> dict[FieldKey, FieldRight]:
    """Draw the editor; gives the restrictions as they stand in it. What was chosen for another kind stays until it is saved."""
    role = rights.role
    draft: dict[FieldKey, FieldRight] = st.session_state.setdefault(f"_fields_{role.id}_{role.version}", dict(rights.fields))
    known = load(roles.restrictable)
    st.subheader("Fields", anchor=False)
    st.caption(_MEANING)
    kind = st.pills(
        "Kind of record", RECORDS, format_func=lambda key: _named(key, draft), default="contact", required=True,
        key=f"fields_kind_{role.id}", label_visibility="collapsed",
    )  # fmt: skip
    with st.container(border=True, gap="small", key="role_fields"):
        for spec in known[kind]:
            _field(role, spec, draft, disabled)
    return draft


def _named(key: str, draft: dict[FieldKey, FieldRight]) -> str:
    restricted = sum(entity == key for entity, _ in draft)
    return label_of(key, plural=True) + (f" ({restricted})" if restricted else "")


def _field(role: roles.RoleRow, spec: FieldSpec, draft: dict[FieldKey, FieldRight], disabled: bool) -> None:
    """One line: the field, its level, and what goes with it."""
    at, tag = (spec.entity, spec.key), f"{role.id}_{role.version}_{spec.entity}_{spec.key}"
    right = draft.get(at, FieldRight(FieldLevel.EDIT))
    levels = [FieldLevel.EDIT if spec.editable else FieldLevel.READ, *(one for one in role_rules.levels_of(spec))]
    levels = list(dict.fromkeys(levels))
    whole = levels[0]
    shown = right.level if right.level in levels else whole
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"field_{tag}"):
        with st.container(gap=None):
            st.markdown(fmt.md(spec.label) + ("  :gray-badge[Personal]" if spec.pii else ""))
        level = st.selectbox(
            f"{spec.label}: level", levels, index=levels.index(shown), format_func=lambda one: _word(spec, one), key=f"level_{tag}",
            label_visibility="collapsed", disabled=disabled, width=230,
        )  # fmt: skip
    if level is whole:
        draft.pop(at, None)
        return
    always = spec.pii and level is not FieldLevel.READ
    draft[at] = FieldRight(level, always or _strict(tag, right, disabled))
    sentences = load(roles.depends, spec.entity, spec.key, level)
    if always:
        sentences = ["Personal data stays so, whatever other roles somebody has.", *sentences]
    if sentences:
        st.caption(fmt.md(" ".join(sentences)))


def _strict(tag: str, right: FieldRight, disabled: bool) -> bool:
    return st.checkbox(
        "Also for somebody whose other role allows more", value=right.strict, key=f"strict_{tag}", disabled=disabled,
        help="Otherwise the most permissive of a person's roles counts.",
    )  # fmt: skip


def _word(spec: FieldSpec, level: FieldLevel) -> str:
    example: Any = _EXAMPLE.get(spec.kind)
    if level is FieldLevel.MASKED and example:
        return f"{level.label} ({veil.trace(spec.kind, example)})"
    return "Read (written by the system)" if level is FieldLevel.READ and not spec.editable else level.label
