"""The dialogs of product categories."""

import streamlit as st

from crm_core.services.sales import categories
from crm_core.services.sales.categories import CategoryView
from ui import format as fmt
from ui.actions import load, perform, show_refusal


@st.dialog("New category", icon=":material/category:")
def new_category() -> None:
    """A name is all it needs."""
    name = st.text_input("Name *", key="category_name", max_chars=categories.MAX_LENGTH)
    if st.button("Create category", type="primary", key="category_yes"):
        if perform(categories.create, name, success=fmt.md(f"Category {name.strip()} created.")) is not None:
            st.rerun()
        show_refusal()


def rename_category(category: CategoryView) -> None:
    """Another name."""

    @st.dialog("Rename this category", icon=":material/edit:")
    def show() -> None:
        name = st.text_input("Name *", value=category.name, key=f"category_name_{category.id}", max_chars=categories.MAX_LENGTH)
        st.caption(f"{fmt.plural(category.products, 'product')} will be shown under the new name.")
        if st.button("Rename", type="primary", key="category_rename_yes"):
            if perform(categories.rename, category.id, name, base_version=category.version, success="Renamed.") is not None:
                st.rerun()
            show_refusal()

    show()


def merge_category(category: CategoryView) -> None:
    """Its products go to another category, and it goes away. This can't be undone, so it is asked with numbers."""

    @st.dialog("Merge this category into another", icon=":material/merge:")
    def show() -> None:
        others = {one.id: one for one in load(categories.find) if one.id != category.id}
        into = st.selectbox(
            "Into *",
            list(others),
            index=None,
            format_func=lambda one: others[one].name,
            placeholder="Which one stays?",
            key="category_into",
        )
        st.caption(
            f"{fmt.plural(category.products, 'product')} will move; “{fmt.md(category.name)}” is removed. This can't be undone."
        )
        if st.button("Merge", type="primary", key="category_merge_yes", disabled=into is None) and into is not None:
            done = perform(
                categories.merge,
                category.id,
                into,
                base_version=category.version,
                success=fmt.md(f"Merged into {others[into].name}."),
            )
            if done is not None:
                st.rerun()
            show_refusal()

    show()


def archive_category(category: CategoryView) -> None:
    """Nothing is lost, so nothing is asked."""
    perform(
        categories.archive, category.id, base_version=category.version, success=fmt.md(f"{category.name} is no longer offered.")
    )
    st.rerun()


def restore_category(category: CategoryView) -> None:
    """Offered again."""
    perform(categories.restore, category.id, base_version=category.version, success=fmt.md(f"{category.name} is offered again."))
    st.rerun()
