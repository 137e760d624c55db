"""A telephone menu as files: what the provider will be told, step by step; the steps as JSON; and back again, with a look before anything changes."""

from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.kit.text import slug
from crm_core.models import VoiceMenu
from crm_core.services.telephony import menu_files, menus
from crm_core.services.telephony.menu_files import Read
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.addresses import absolute
from ui.downloads import asker
from ui.session import current_actor


@st.dialog("Export and import", width="large", icon=":material/swap_vert:")
def files_dialog(menu_id: int) -> None:
    """Everything that goes out of a menu, and what comes in."""
    actor = current_actor()
    menu = load(menus.get, menu_id)
    tabs = ["TwiML", "JSON", "Import"] if actor.can("telephony", Action.MANAGE) else ["TwiML", "JSON"]
    tab = st.segmented_control("What", tabs, default="TwiML", required=True, key=f"vf_tab_{menu_id}", label_visibility="collapsed")
    if tab == "Import":
        _import(menu)
    elif tab == "JSON":
        _json(actor, menu)
    else:
        _twiml(actor, menu)
    show_refusal()


def _twiml(actor: Actor, menu: VoiceMenu) -> None:
    address = absolute(f"/voice/{menu.key}")
    st.caption(
        "What the telephone provider is told when a call comes to each step of the draft. It asks here at every turn, so nothing has to be uploaded there."
    )
    found = load(menu_files.twiml, menu.id, address=address)
    if not found:
        st.caption("The menu has no steps yet.")
        return
    make = partial(_made, actor, partial(menu_files.twiml_file, menu_id=menu.id, address=address))
    st.download_button(
        "All steps (ZIP)",
        data=make,
        file_name=f"{_name(menu)}-twiml.zip",
        mime="application/zip",
        icon=":material/download:",
        key=f"vf_zip_{menu.id}",
        on_click="ignore",
    )
    for n, one in enumerate(found):
        with st.expander(fmt.md(one.title + (f" · {one.when}" if one.when else "")), expanded=n == 0, key=f"vf_step_{menu.id}_{n}"):
            st.code(one.xml, language="xml", wrap_lines=True)


def _json(actor: Actor, menu: VoiceMenu) -> None:
    st.caption("The steps of the draft, without any secret. Keep it, change it, or import it into another menu or workspace.")
    make = partial(_made, actor, partial(menu_files.to_json, menu_id=menu.id))
    st.download_button(
        "Download",
        data=make,
        file_name=f"{_name(menu)}.json",
        mime="application/json",
        icon=":material/download:",
        key=f"vf_json_{menu.id}",
        on_click="ignore",
    )
    st.code(load(menu_files.to_json, menu.id).decode(), language="json", wrap_lines=True, height=380)


def _made(actor: Actor, make: Any) -> bytes:
    """A file, made when it is asked for: outside the page, with the rights of that moment."""
    with read_session() as session:
        return bytes(make(session, asker(session, actor)))


def _name(menu: VoiceMenu) -> str:
    return slug(menu.name, 40) or "menu"


def _import(menu: VoiceMenu) -> None:
    st.caption(
        "The steps of the file take the place of the draft. What callers hear stays until it is put to use; earlier versions stay too."
    )
    given = st.file_uploader("A menu as JSON", type=["json"], key=f"vf_file_{menu.id}", max_upload_size=1)
    if given is None:
        return
    data = given.getvalue()
    found = perform(menu_files.read, menu.id, data)
    if found is None:
        return
    _look(found)
    use = st.toggle(
        "Put it to use at once", key=f"vf_use_{menu.id}", disabled=bool(found.problems), help="Callers hear it from now on"
    )
    if st.button("Import", type="primary", icon=":material/upload:", key=f"vf_yes_{menu.id}", disabled=found.same):
        words = "Imported. Callers hear it from now on." if use else "Imported as the draft."
        if perform(menu_files.take_in, menu.id, data, use=use, base_version=menu.version, success=words) is not None:
            st.rerun()


def _look(found: Read) -> None:
    if found.same:
        st.info("The file says what the draft says already.", icon=":material/info:")
    for label, titles in (("New", found.added), ("Changed", found.changed), ("Taken away", found.gone)):
        if titles:
            st.markdown(f"**{label}:** {fmt.md(', '.join(titles))}")
    for sentence in (*found.problems, *found.notes):
        st.warning(fmt.md(sentence), icon=":material/warning:")
    if not found.problems and not found.same:
        st.success("Checked: these steps can be put to use.", icon=":material/check_circle:")
