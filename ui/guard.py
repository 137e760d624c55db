"""The check inside the app: whoever draws a page still has a living session. The door (web/) decides who may connect at all.

A websocket keeps the identity it connected with, so a session that was revoked meanwhile shows only here, on the tab's next run.
"""

import logging

import streamlit as st

from crm_core.access import Actor
from crm_core.db import all_versions, read_session, write_session
from crm_core.errors import CrmError
from crm_core.services.admin import sessions
from ui import run

log = logging.getLogger("rapport.ui")


def signed_in_actor() -> Actor:
    """The person of this tab, read anew. When the session is gone: off to the sign-in page, and nothing more is drawn."""
    actor = _actor_of_tab()
    if actor is None:
        st.logout()
        st.stop()
    return actor


def identity_of_tab() -> tuple[int, int] | None:
    """Session and person that the door injected when the websocket connected; None for anything else."""
    found = run.user_info()
    try:
        return int(found.get("sid") or ""), int(found.get("id") or "")
    except (TypeError, ValueError):
        return None


def _actor_of_tab() -> Actor | None:
    identity = identity_of_tab()
    if identity is None:
        return None
    with read_session() as session:
        found = sessions.recheck(session, *identity)
        if found is None:
            return None
        run.drawer()["versions"] = all_versions(session)
        actor = sessions.actor_of(session, found)
    _note_life(found)
    return actor


def _note_life(found: sessions.SignedIn) -> None:
    if not sessions.is_stale(found):
        return
    try:
        with write_session() as session:
            sessions.touch(session, found)
    except CrmError:  # a busy or read-only database must not keep anybody from reading
        log.warning("the sign of life of session %s was not written", found.session_id)
