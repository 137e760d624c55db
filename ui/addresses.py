"""Addresses: what stands in the present one, and those that work outside the app, with the scheme and name under which it is reached."""

from urllib.parse import urlsplit

import streamlit as st

from crm_core.settings import settings

NEW = "new"
"""Stands in the address of a list that is to open with the form of a new record."""


def absolute(path: str) -> str:
    """The whole address of a path: of the public address in the settings, else of the one in this browser."""
    base = settings().public_url.rstrip("/")
    if not base:
        here = urlsplit(str(st.context.url or "http://localhost:8501"))
        base = f"{here.scheme}://{here.netloc}"
    return base + path


def number(name: str) -> int | None:
    """The number of a record in this address; None when there is none, or what stands there can't be one."""
    raw = st.query_params.get(name, "")
    return int(raw) if raw.isdecimal() and len(raw) < 10 else None


def asks_for_new() -> bool:
    """Whether this address asks for the form of a new record. It asks once: a reload shows the list."""
    return st.query_params.pop(NEW, None) is not None
