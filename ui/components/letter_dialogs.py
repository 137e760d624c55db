"""Dialogs of letter templates: begin one, delete one."""

import streamlit as st

from crm_core.services.marketing import templates
from crm_core.vocabulary import LetterUse
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.letter_preview import uses_list
from ui.navigation import go

STARTS: dict[LetterUse, tuple[str, str]] = {
    LetterUse.MARKETING: (
        "Something new for {{company|you}}",
        "Hello {{first_name|there}},\n\nwe have something new for {{company|you}}: [have a look](https://www.example.com).\n\n- First point\n- Second point\n\nKind regards\n{{owner|Your team}}",
    ),
    LetterUse.SALES: (
        "Our talk",
        "Hello {{first_name|there}},\n\nthank you for the talk. What we agreed on:\n\n- First point\n- Second point\n\nDoes next week suit you?\n\nKind regards\n{{agent|}}",
    ),
    LetterUse.SERVICE: ("", "Hello {{first_name|there}},\n\nthank you for your message about “{{subject|your question}}”.\n\nKind regards\n{{agent|}}"),
}  # fmt: skip
WORDS = {
    LetterUse.MARKETING: "Offered in the letter of a campaign and in automations.",
    LetterUse.SALES: "Offered where you write to one person, and in automations.",
    LetterUse.SERVICE: "Offered in the answer box of a ticket, and in automations.",
}


@st.dialog("New letter template")
def new_dialog() -> None:
    """A name and a use; the words are written on its own page, where one sees how people get them."""
    name = st.text_input("Name *", max_chars=80, key="tpl_new_name", placeholder="After the first talk")
    use = st.segmented_control(
        "What is it for?", list(LetterUse), default=LetterUse.SALES, format_func=lambda one: one.label, required=True, key="tpl_new_use"
    ) or LetterUse.SALES  # fmt: skip
    st.caption(WORDS[use])
    shared = st.toggle("Everyone may use it", value=True, key="tpl_new_shared")
    if st.button("Write it", type="primary", key="tpl_new_yes"):
        subject, body = STARTS[use]
        values = {"name": name, "use": use, "subject": subject, "body": body, "shared": shared}
        made = perform(templates.save, None, values)
        if made is not None:
            go("letter-template", id=made.id)
    show_refusal()


@st.dialog("Delete this letter template?")
def remove_dialog(template_id: int, name: str) -> None:
    """Says where it is used; for one that an automation writes, archiving is what is left."""
    found = load(templates.uses, template_id)
    st.markdown(f"**{fmt.md(name)}** is deleted for good. What was begun with it keeps its words.")
    uses_list(found)
    with st.container(horizontal=True):
        gone = st.button("Delete", type="primary", key="tpl_remove_yes", disabled=any(one.runs for one in found))
        kept = st.button(
            "Archive instead", key="tpl_remove_archive", help="It is offered no more, and can be taken out of the archive"
        )
    verb, words = (templates.remove, "Deleted.") if gone else (templates.archive, "Archived.")
    if (gone or kept) and perform(verb, template_id, success=words) is not None:
        go("letter-templates")
        st.rerun()
    show_refusal()
