"""Lead forms: for marketers, to let visitors of a site become leads, and to see what came through."""

import streamlit as st

from crm_core.services.marketing import lead_forms, lead_sources
from crm_core.services.marketing.lead_forms import FormRow
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.lead_form_dialogs import base_url, form_dialog, key_dialog, log_dialog, use_dialog
from ui.components.lead_source_dialogs import source_card, source_dialog
from ui.components.site_visits import visits_dialog
from ui.session import current_actor


def card(row: FormRow) -> None:
    """One form: its address, what came of it, what can be done with it."""
    form = row.form
    with st.container(border=True, key=f"form_{form.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(form.name)}**" + ("" if form.is_active else " :gray-badge[Switched off]"))
                st.caption(fmt.md(", ".join(labels.get(one["key"], one["key"]) for one in form.fields)))
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                if st.button("Use it", icon=":material/share:", key=f"use_{form.id}"):
                    use_dialog(form)
                if st.button("Log", icon=":material/list:", key=f"log_{form.id}", type="tertiary"):
                    log_dialog(form.id, form.name)
                if may_edit:
                    buttons(row)
        with st.grid(3, min_column_width=110):
            st.metric("Sent", fmt.written(row.sent), help="Without spam and what was sent twice")
            st.metric("New leads", fmt.written(row.leads))
            st.metric("Need a look", fmt.written(row.waiting), help="Could not become a lead for a reason on our side; see the log")


def buttons(row: FormRow) -> None:
    """Change, key, remove."""
    form = row.form
    if st.button("Change", icon=":material/edit:", key=f"change_{form.id}", type="tertiary"):
        form_dialog(form)
    if st.button(icon=":material/key:", key=f"key_{form.id}", type="tertiary", **fmt.icon_only("A key for programs")):
        key_dialog(form)
    with st.popover(icon=":material/delete:", key=f"remove_{form.id}", type="tertiary", **fmt.icon_only("Remove this form")):
        st.markdown("Its address stops working and its log goes. The leads stay.")
        st.button("Remove", type="primary", key=f"remove_yes_{form.id}", on_click=drop, args=(form.id,))


def drop(form_id: int) -> None:
    perform(lead_forms.remove, form_id, success="Form removed.")


actor = current_actor()
may_edit = actor.can("lead_form", Action.MANAGE)
labels = {key: spec.label for key, spec in load(lead_forms.offered).items()}
actions = header(
    "Lead forms", "Forms that visitors fill in, on a page of their own or inside your site. Each sending becomes a lead once."
)
if may_edit and actions.button("Visits of your site", icon=":material/travel_explore:", key="site_visits"):
    visits_dialog()

rows = load(lead_forms.find)
if may_edit and actions.button(
    "Fetch leads", icon=":material/cloud_download:", key="new_source", help="From an ad platform, a portal or a partner"
):
    source_dialog(None)
if may_edit and actions.button("New form", type="primary", icon=":material/add:", key="new_form", shortcut="n"):
    form_dialog(None)
if not rows:
    box = empty_state(
        "No forms yet",
        "Make one, put its link on your site, and whoever fills it in is a lead here a second later.",
        icon="dynamic_form",
    )
    if may_edit and box.button("Make a contact form", type="primary", icon=":material/add:", key="first_form"):
        form_dialog(None)
for row in rows:
    card(row)
if rows:
    st.caption(f"Addresses begin with {fmt.md(base_url())}. Robots, doubles and floods are kept in the log and become no leads.")
sources = load(lead_sources.find)
if sources:
    st.subheader("Fetched from elsewhere", anchor=False)
for source in sources:
    source_card(source, may_edit)
