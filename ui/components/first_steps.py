"""What to do first in a workspace that holds nothing yet: ways to begin, for those who may."""

from dataclasses import dataclass

import streamlit as st

from crm_core.access import Actor
from crm_core.services.collaboration import today
from crm_core.vocabulary import Action
from ui.addresses import NEW
from ui.cache import cached
from ui.navigation import page_of


@dataclass(frozen=True)
class Step:
    """A way to begin: the page, its words, and the permission without which the page shows nothing to do. ``form``: the page opens with the form of a
    new record."""

    url: str
    words: str
    icon: str
    told: str
    needs: tuple[str, Action] | None = None
    form: bool = False


STEPS = (
    Step("import", "Bring your records in", "upload_file", "Companies, people or deals from CSV or Excel. You see what would happen first, and can undo it."),
    Step("leads", "Add your first lead", "person_search", "Somebody who asked, or a company you are talking to: a name is enough.", ("lead", Action.CREATE), form=True),
    Step("people", "Invite colleagues", "group", "Each gets a link to choose a password, and a role that says what they see and do."),
    Step("mailboxes", "Connect your mailbox", "mark_email_unread", "What customers write becomes tickets, answered from here."),
)  # fmt: skip


def first_steps(actor: Actor) -> None:
    """The ways to begin; nothing once there is something."""
    may = [step for step in STEPS if step.needs is None or actor.can(*step.needs)]
    shown = [(page, step) for step in may if (page := page_of(actor, step.url)) is not None]
    if not shown or not cached(today.is_bare, entities=today.BEGUN_WITH, tables=today.BEGUN_WITH):
        return
    with st.container(border=True, gap="small", key="first_steps"):
        st.markdown("**First steps**")
        st.caption("There are no records yet. Begin where you like; this card goes away by itself.")
        with st.grid(len(shown), min_column_width=200):
            for page, step in shown:
                with st.container(gap=None, key=f"first_step_{step.url}"):
                    asked = {NEW: "1"} if step.form else None
                    st.page_link(page, label=step.words, icon=f":material/{step.icon}:", query_params=asked)
                    st.caption(step.told)
