"""Who is looking at this page."""

import time

import streamlit as st

from crm_core.access import Actor
from ui.guard import identity_of_tab, signed_in_actor

_KEY = "_actor"
_FRESH_SECONDS = 1.0
"""A page asks for its actor a dozen times while it draws; one check per second answers them. A fragment that runs later checks again."""


def current_actor() -> Actor:
    """The signed-in person of this tab. A tab whose session is gone is sent to the sign-in page and draws nothing more."""
    kept = st.session_state.get(_KEY)
    identity, now = identity_of_tab(), time.monotonic()
    if kept is not None and kept[0] == identity and now - kept[1] < _FRESH_SECONDS:
        return kept[2]
    return begin_run()


def begin_run() -> Actor:
    """Check the session whatever was checked before; the entry script calls it first on every run."""
    actor = signed_in_actor()
    st.session_state[_KEY] = (identity_of_tab(), time.monotonic(), actor)
    return actor
