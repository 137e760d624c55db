"""Begin a letter with one that is kept, or keep the one that is being written: two buttons for every place where letters are written."""

from collections.abc import Callable

import streamlit as st

from crm_core.models import LetterTemplate
from crm_core.services.marketing import templates
from crm_core.vocabulary import Action, LetterUse
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.navigation import page_of
from ui.session import current_actor

Take = Callable[[LetterTemplate, int], None]


def start_button(key: str, use: LetterUse, wordings: int, take: Take) -> None:
    """Offer the kept letters of a use; ``take(letter, place)`` puts one into the wording at that place."""
    if not current_actor().can("letter_template", Action.READ):
        return
    turn = st.session_state.get(f"{key}_turn", 0)  # another popover: the old one would stay open over the words
    with st.popover("Start from a template", icon=":material/library_books:", type="tertiary", key=f"{key}_box{turn}"):
        place = 0
        if wordings > 1:
            place = "ABCD".index(
                st.segmented_control("Into wording", list("ABCD"[:wordings]), default="A", required=True, key=f"{key}_place") or "A"
            )
        listed(key, use, lambda one: _begin(key, one, place, take))


def listed(key: str, use: LetterUse, take: Callable[[LetterTemplate], None], most: int = 8) -> None:
    """Kept letters to choose from, narrowed while one types."""
    query = st.text_input("Find", key=f"{key}_q", placeholder="Find a letter", label_visibility="collapsed", live=True)
    found = [one.template for one in load(templates.find, use=use, q=query or "")]
    found.sort(key=lambda one: -one.used_count)
    for one in found[:most]:
        help_text = fmt.md(one.about or one.subject or one.body[:200])
        st.button(fmt.md(one.name), key=f"{key}_{one.id}", width="stretch", help=help_text, on_click=take, args=(one,))
    if len(found) > most:
        st.caption(f"and {fmt.plural(len(found) - most, 'more')}: type to find them")
    if not found:
        st.caption("No letter like that." if query else f"No letter is kept for {use.label.lower()} yet.")
    if (page := page_of(current_actor(), "letter-templates")) is not None:
        st.page_link(page, label="All letter templates", icon=":material/library_books:")


def _begin(key: str, one: LetterTemplate, place: int, take: Take) -> None:
    take(one, place)
    st.session_state[f"{key}_turn"] = st.session_state.get(f"{key}_turn", 0) + 1
    perform(templates.note_used, one.id)


def keep_button(key: str, use: LetterUse, subject: str, body: str) -> None:
    """Offer to keep what is written."""
    if current_actor().can("letter_template", Action.MANAGE) and st.button(
        "Keep as a template …", icon=":material/bookmark_add:", type="tertiary", key=key
    ):
        _keep_dialog(key, use, subject, body)


@st.dialog("Keep this letter as a template")
def _keep_dialog(key: str, use: LetterUse, subject: str, body: str) -> None:
    name = st.text_input("Name *", value=subject[:80], max_chars=80, key=f"{key}_name")
    about = st.text_input("What it is for", max_chars=300, key=f"{key}_about", placeholder="Optional: when to take it")
    shared = st.toggle("Everyone may use it", value=True, key=f"{key}_shared")
    st.caption("It is a copy: what you go on writing here stays here.")
    if st.button("Keep", type="primary", key=f"{key}_yes"):
        values = {"name": name, "about": about, "use": use, "subject": subject, "body": body, "shared": shared}
        if perform(templates.save, None, values, success="Kept under Letter templates.") is not None:
            st.rerun()
        show_refusal()
