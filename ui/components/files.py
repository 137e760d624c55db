"""The files of a record: a card with downloads, and a place to put another one."""

from functools import partial

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.services.collaboration import files as service
from crm_core.services.collaboration.files import FileView
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.downloads import asker
from ui.session import current_actor

_ICONS = {
    "image": "image",
    "application/pdf": "picture_as_pdf",
    "text": "description",
    "audio": "audio_file",
    "video": "video_file",
}


@st.fragment
def files(entity_key: str, record_id: int) -> None:
    """The card."""
    actor = current_actor()
    found = load(service.find, entity_key, record_id)
    may_edit = actor.can(entity_key, Action.EDIT)
    with st.container(border=True, gap="small", key="files"):
        st.markdown(f"**Files**  :gray[{fmt.written(len(found))}]" if found else "**Files**")
        if not found:
            st.caption("No files yet.")
        for one in found:
            _row(actor, one, may_edit)
        if may_edit:
            _add(entity_key, record_id)
        show_problems()


def _row(actor: Actor, one: FileView, may_edit: bool) -> None:
    icon = _ICONS.get(one.media_type) or _ICONS.get(one.media_type.split("/")[0]) or "attach_file"
    mime = one.media_type if one.media_type in service.HARMLESS else service.OPAQUE
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        with st.container(gap=None, width="stretch"):
            st.download_button(
                fmt.md(_short(one.name)), data=partial(_content, actor, one.id), file_name=one.name, mime=mime, icon=f":material/{icon}:", type="tertiary",
                key=f"file_{one.id}", on_click="ignore", help=fmt.md(one.name),
            )  # fmt: skip
            st.caption(fmt.md(" · ".join(part for part in (_size(one.size_bytes), one.by, fmt.ago(actor, one.at)) if part)))
        if may_edit:
            st.button(
                icon=":material/close:",
                type="tertiary",
                key=f"file_x_{one.id}",
                **fmt.icon_only("Remove this file"),
                on_click=_remove,
                args=(one.id, one.name),
            )


def _content(actor: Actor, file_id: int) -> bytes:
    """Made when it is asked for, by the thread that serves the download: the check is the service's."""
    with read_session() as session:
        return service.read(session, asker(session, actor), file_id)[2]


def _remove(file_id: int, name: str) -> None:
    perform(service.remove, file_id, success=fmt.md(f"{name} removed."))


def _add(entity_key: str, record_id: int) -> None:
    turn = st.session_state.get("_file_turn", 0)
    given = st.file_uploader(
        "Add a file",
        key=f"file_new_{turn}",
        max_upload_size=service.MAX_MB,
        label_visibility="collapsed",
        help=f"At most {service.MAX_MB} MB",
    )
    if given is None:
        return
    # Chosen is put: the next run shows an empty box again, whether it was kept or refused.
    st.session_state["_file_turn"] = turn + 1
    perform(
        service.attach, entity_key, record_id, name=given.name, content=given.getvalue(), success=fmt.md(f"{given.name} attached.")
    )
    st.rerun()


def _short(name: str) -> str:
    return name if len(name) <= 42 else f"{name[:28]}…{name[-12:]}"


def _size(size: int) -> str:
    for unit, bound in (("MB", 1 << 20), ("kB", 1 << 10)):
        if size >= bound:
            return f"{fmt.written(size / bound, '.1f')} {unit}"
    return f"{size} B"
