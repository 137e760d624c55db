"""Product categories: for whoever keeps the catalogue in order, so that figures by category mean something."""

import json

import streamlit as st

from crm_core.services.sales import categories
from crm_core.services.sales.categories import CategoryView
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.category_dialogs import archive_category, merge_category, new_category, rename_category, restore_category
from ui.components.header import empty_state, header
from ui.navigation import page_of
from ui.session import current_actor


def line(category: CategoryView, others: bool) -> None:
    """A category: its name, how many products (the way to them), and what can be done with it."""
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
            st.markdown(f"**{fmt.md(category.name)}**", width="content")
            if not category.is_active:
                st.badge("Not in use", color="gray")
        with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
            behind = {"field": "category_id", "cmp": "eq", "value": category.id}
            label = fmt.plural(category.products, "product")
            more = f"{label}, {fmt.written(category.offered)} offered" if category.offered < category.products else label
            st.page_link(page_of(actor, "products"), label=more, icon=":material/list:", query_params={"f": json.dumps(behind)})  # type: ignore[arg-type]
            if may_edit:
                with st.popover(
                    icon=":material/more_horiz:",
                    type="tertiary",
                    key=f"category_{category.id}_{category.version}",
                    **fmt.icon_only("Change"),
                ):
                    choices(category, others)


def choices(category: CategoryView, others: bool) -> None:
    """What can be done with a category."""
    if st.button("Rename", icon=":material/edit:", key=f"rename_{category.id}", width="stretch"):
        rename_category(category)
    if others and st.button("Merge into another", icon=":material/merge:", key=f"merge_{category.id}", width="stretch"):
        merge_category(category)
    if category.is_active and st.button(
        "Take out of use", icon=":material/archive:", key=f"archive_{category.id}", width="stretch"
    ):
        archive_category(category)
    if not category.is_active and st.button(
        "Use again", icon=":material/unarchive:", key=f"restore_{category.id}", width="stretch"
    ):
        restore_category(category)


actor = current_actor()
may_edit = actor.can("product", Action.EDIT)
found = load(categories.find)
actions = header("Product categories", "What you sell, in groups", back=("Products", page_of(actor, "products")))
if actor.can("product", Action.CREATE) and actions.button(
    "New category", type="primary", icon=":material/add:", shortcut="n", key="new_category"
):
    new_category()
if not found:
    may_create = actor.can("product", Action.CREATE)
    begin = "start with the two or three you talk about." if may_create else "whoever keeps the products makes them."
    box = empty_state("No categories yet", f"Groups make figures by product readable: {begin}", icon="category")
    if may_create and box.button("New category", icon=":material/add:", key="first_category"):
        new_category()
    st.stop()
for one in found:
    line(one, len(found) > 1)
loose = load(categories.without)
if loose:
    st.page_link(
        page_of(actor, "products"),  # type: ignore[arg-type]
        label=f"{fmt.plural(loose, 'product')} in no category",
        icon=":material/label_off:",
        query_params={"f": json.dumps({"field": "category_id", "cmp": "empty"})},
    )
