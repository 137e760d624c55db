"""The last net under a page: a known error shows its sentence, anything else is a bug with a reference that the log knows too."""

import logging
import secrets

import streamlit as st

from crm_core.errors import CrmError
from ui.format import md

log = logging.getLogger("rapport.ui")


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
