"""The last net under a page: a known error shows its sentence, anything else is a bug with a reference that the log knows too."""

import logging
import secrets
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.util import calc_hash

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.vocabulary import Action
from ui import run
from ui.components.header import header
from ui.format import md
from ui.navigation import PAGES, go, page_of, screen_of
from ui.session import current_actor

log = logging.getLogger("rapport.ui")


def dead_end(
    message: str, icon: str = "error", *, deleted: tuple[str, int] | None = None, merged: tuple[str, int] | None = None
) -> NoReturn:
    """End the page with a sentence: under its heading, or with a heading and the way back when nothing is drawn yet. ``deleted``: kind and number
    of a record in the bin, for the way there; ``merged``: those of the record that another one went into, which is opened instead where nothing is drawn
    yet, so that old links still lead somewhere."""
    if merged is not None and run.wants_head():
        st.session_state.setdefault("_toasts", []).append(("ok", md(f"{message.split('. ')[0]}.")))
        go(entity(merged[0]).page, id=merged[1])
    if run.wants_head():
        _heading()
    st.error(md(message), icon=f":material/{icon}:")
    if deleted is not None and current_actor().can(deleted[0], Action.DELETE):
        page = page_of(current_actor(), "bin")
        params = {"kind": deleted[0], "record": str(deleted[1])}
        st.page_link(page, label="Look at it in the bin", icon=":material/delete:", query_params=params)  # type: ignore[arg-type]
    if merged is not None:
        page = page_of(current_actor(), entity(merged[0]).page)
        if page is not None:
            st.page_link(page, label="Open it", icon=":material/merge:", query_params={"id": str(merged[1])})
    st.stop()


def _heading() -> None:
    """The name of the screen, and the list it belongs to: the screen itself where only the address asked for something odd."""
    screen = screen_of(st.session_state.get("_at") or "")
    if screen is not None:
        parent = screen_of(screen.parent) or screen
        header(screen.title, back=(parent.title, page_of(current_actor(), parent.url)))


def with_closed(sections: dict[str, list[StreamlitPage]], actor: Actor) -> dict[str, list[StreamlitPage]]:
    """The menu, and beside it a page that says why, at the address of a screen that a tab asks for and this person has not, or has no longer."""
    wanted, name = run.asked()
    for screen in PAGES:
        if not screen.allowed(actor) and (screen.url == name or calc_hash(screen.url) == wanted):
            page = st.Page(_closed, title=screen.title, url_path=screen.url, visibility="hidden")
            return {**sections, "": [*sections.get("", []), page]}
    return sections


def _closed() -> None:
    dead_end(
        "Your role doesn't open this screen. If it did until now, an administrator has changed what your role may see.", "lock"
    )


def on_script_error(error: Exception) -> bool:
    """Show what can be shown, log the rest. Returns True: Streamlit need not show it again."""
    if isinstance(error, CrmError):
        st.error(md(error.message), icon=":material/error:")
        return True
    reference = secrets.token_hex(4).upper()
    log.error("reference %s", reference, exc_info=error)
    st.error(
        f"Something went wrong here, and nothing was saved. If it happens again, tell your administrator this reference: **{reference}**",
        icon=":material/error:",
    )
    return True
