"""Roles: for the administrator, to say what each kind of colleague sees and does."""

from collections.abc import Sequence

import streamlit as st

from crm_core.services.admin import roles
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.header import header
from ui.components.role_fields import role_fields
from ui.components.role_matrix import Grants, matrix_keys, one_kind, rights_in_words, role_matrix
from ui.components.rows_clash import Grid, mine_stay, on_page, save_rows, typed_into
from ui.session import current_actor


@st.dialog("New role", icon=":material/shield_person:", on_dismiss="rerun")
def new_role() -> None:
    """A role begins as a copy of another one, or empty."""
    names = {row.id: row.name for row in known.values()}
    name = st.text_input("Name", key="role_new_name", max_chars=100)
    description = st.text_input("What it is for", key="role_new_description", max_chars=300)
    like = st.selectbox(
        "Begin with the rights of",
        list(names),
        index=None,
        format_func=lambda one: names[one],
        key="role_new_like",
        placeholder="None",
    )
    if st.button("Create", type="primary", key="role_new_save"):
        made = perform(roles.create, name=name, description=description, like=like, success=fmt.md(f"Role {name} created."))
        if made is not None:
            st.session_state["role"] = made.id
            st.rerun()
        st.rerun(scope="fragment")
    show_problems()


@st.dialog("Role", icon=":material/edit:", on_dismiss="rerun")
def words_dialog(row: roles.RoleRow) -> None:
    """Rename a role, or remove one that nobody has."""
    name = st.text_input("Name", value=row.name, key=f"role_{row.id}_{row.version}_name", max_chars=100)
    about = st.text_input("What it is for", value=row.description, key=f"role_{row.id}_{row.version}_about", max_chars=300)
    line = st.container(horizontal=True, gap="small")
    if line.button("Save", type="primary", key="role_words_save"):
        if perform(roles.rename, row.id, name=name, description=about, success="Role saved.") is not None:
            st.rerun()
        st.rerun(scope="fragment")
    if row.key is None and line.button("Remove", icon=":material/delete:", key="role_remove"):
        if perform(roles.remove, row.id, success=fmt.md(f"Role {row.name} removed.")) is not None:
            st.session_state.pop("role", None)
            st.rerun()
        st.rerun(scope="fragment")
    show_problems()


def typed(kept: Grid) -> bool:
    """Whether something was changed in the tables or of the fields."""
    seen: roles.Rights = kept.seen[0]
    draft = st.session_state.get(f"_fields_{seen.role.id}_{seen.role.version}", seen.fields)
    return any(typed_into(key) for key in matrix_keys(f"{role_id}_{kept.turn}")) or draft != dict(seen.fields)


def said(rows: Sequence[roles.Rights]) -> str:
    """Theirs by what they changed, and before by what that was."""
    other = grid.seen if rows is grid.theirs else grid.theirs or grid.seen
    return rights_in_words(rows[0], other[0])


def save(wanted: Grants) -> None:
    """Save what the role may do; when somebody else changed it meanwhile, it is asked whose rights stay."""
    given = {"grants": wanted, "fields": fields, "success": fmt.md(f"{row.name}: rights saved.")}
    save_rows(name, lambda base: perform(roles.set_rights, row.id, **given, base_version=base[0].role.version))


actions = header("Roles", "What each kind of colleague sees and does. Changes hold from the next click on.")
known = {row.id: row for row in load(roles.find)}
if actions.button("New role", type="primary", icon=":material/add:", shortcut="n", key="new_role"):
    new_role()
if st.session_state.get("role") not in known:
    st.session_state["role"] = next((row.id for row in known.values() if not row.is_fixed), next(iter(known)))
role_id = st.pills(
    "Role", list(known), format_func=lambda one: fmt.md(known[one].name), key="role", required=True, label_visibility="collapsed"
)
stored = load(roles.rights, role_id)
name = f"rights_{role_id}"
grid = on_page(name, [stored], typed)
rights: roles.Rights = grid.seen[0]
row, tag = stored.role, f"{role_id}_{grid.turn}"
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.caption(f"{fmt.md(row.description)} · {fmt.plural(row.people, 'person has', 'people have')} it.", width="content")
    with st.container(horizontal=True, gap="small", width="content"):
        if st.button("Rename", icon=":material/edit:", key="rename_role"):
            words_dialog(row)
if row.is_fixed:
    st.info("Administrators may do everything, so that nobody can lock the workspace up.", icon=":material/shield:")
elif (row.key or row.name) in current_actor().roles:
    st.warning("You have this role yourself: what you take from it you lose too.", icon=":material/warning:")
grants = role_matrix(rights, tag=tag, disabled=row.is_fixed)
fields = role_fields(rights, disabled=row.is_fixed)
if not row.is_fixed:
    mine = mine_stay(name, "the rights of this role", said)
    if st.button("Save rights", type="primary", key="save_rights", disabled=grid.theirs is not None) or mine:
        save(grid.pending or grants)
    one = one_kind(grants, rights, tag)
    if one is not None:
        grid.pending = one
        save(one)
        grid.pending = None
show_problems()
