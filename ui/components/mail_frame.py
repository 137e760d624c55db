"""A message as its reader sees it, in a frame that fetches nothing and leads nowhere: looking at it counts as no opening and no click."""

from pathlib import Path

import streamlit as st

_FRAME = st.components.v2.component(
    "rapport_mail_frame",
    html='<iframe sandbox="" referrerpolicy="no-referrer" title="The message as it came"></iframe>\n',
    css="iframe { width: 100%; height: 60vh; border: 1px solid var(--st-border-color); border-radius: 8px; background: #fff; }\n",
    js=(Path(__file__).parent / "mail_frame.js").read_text(),
)


def mail_frame(html: str, *, key: str) -> None:
    """Draw the HTML of a message."""
    _FRAME(key=key, data={"html": html})
