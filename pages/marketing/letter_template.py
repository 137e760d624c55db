"""One letter template: for whoever writes it, to see at once how real people would get it."""

import streamlit as st

from crm_core import lists
from crm_core.services.marketing import templates
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import header
from ui.components.letter_desk import desk, facts_line
from ui.components.letter_dialogs import remove_dialog
from ui.components.letter_preview import uses_list
from ui.components.letter_versions import letter_versions
from ui.components.record_page import id_from_url
from ui.navigation import go, page_of
from ui.session import current_actor

actor = current_actor()
row = load(templates.get, id_from_url())
mine = templates.may_change(actor, row)
owner = load(lists.titles, "user", [row.owner_id]).get(row.owner_id or 0, "")
badges = [(row.use.label, "blue"), *([("Archived", "gray")] if row.archived_at else [])]
actions = header(row.name, facts_line(row, owner), badges=badges, back=("Letter templates", page_of(actor, "letter-templates")))
if actor.can("letter_template", Action.MANAGE) and actions.button("Duplicate", icon=":material/content_copy:", key="copy"):
    made = perform(templates.duplicate, row.id, success="Duplicated. This one is yours.")
    if made is not None:
        go("letter-template", id=made.id)
if mine:
    if row.archived_at is None:
        if actions.button(
            "Archive", icon=":material/archive:", key="archive", help="It is offered no more; what was begun with it goes on"
        ):
            perform(templates.archive, row.id, success="Archived.")
            st.rerun()
    elif actions.button("Take out of the archive", icon=":material/unarchive:", key="restore"):
        perform(templates.restore, row.id, success="Offered again.")
        st.rerun()
    if actions.button(icon=":material/delete:", key="remove", **fmt.icon_only("Delete this template")):
        remove_dialog(row.id, row.name)
else:
    st.caption(
        ":material/lock: Only its owner, or whoever looks after the letters of all, changes it. Duplicate it to have your own."
    )

desk(row, disabled=not mine)
letter_versions(row, mine=mine)
found = load(templates.uses, row.id)
if found:
    with st.expander(f"Where it is used ({len(found)})", icon=":material/link:"):
        st.caption("Each keeps its own copy: what you change here reaches none of them.")
        uses_list(found)
