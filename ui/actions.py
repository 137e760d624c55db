"""The two ways a page reaches a service: ``load`` to read, ``perform`` to change something. Here errors become words, once."""

import logging
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.kit import numerals
from ui import run
from ui.failure import dead_end
from ui.format import md
from ui.session import current_actor

log = logging.getLogger("rapport.ui")
T = TypeVar("T")


def load(query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run ``query(session, actor, *args)`` in a read session. What the user may not see or what is missing ends the page with a sentence."""
    try:
        actor = current_actor()
        with read_session(*run.known()) as session:
            return query(session, actor, *args, **kwargs)
    except CrmError as error:
        dead_end(error.message, deleted=error.details.get("bin"), merged=error.details.get("merged"))


def perform(command: Callable[..., T], *args: Any, success: str = "", **kwargs: Any) -> T | None:
    """Run ``command(session, actor, *args)`` as one unit of work. Returns its result, or None after telling the user why not.

    ``success`` is shown as a toast (Markdown: escape names with ``md``). An Invalid's sentences per field are left in
    ``st.session_state["_invalid"]`` (the gate of a stage that refused in ``"_gate"``), a Conflict in ``st.session_state["_conflict"]``, for the
    form that called.
    """
    st.session_state.pop("_invalid", None)
    st.session_state.pop("_gate", None)
    st.session_state.pop("_conflict", None)
    if refused := _not_whole():
        tell(refused)
        return None
    try:
        actor = current_actor()
        with write_session() as session:
            result = command(session, actor, *args, **kwargs)
    except Invalid as error:
        st.session_state["_invalid"] = error.fields
        st.session_state["_gate"] = error.details.get("gate")
        tell(error.message)
        return None
    except Conflict as error:
        st.session_state["_conflict"] = error
        tell(error.message)
        return None
    except CrmError as error:
        tell(error.message)
        return None
    finally:
        run.forget()
    if success:
        st.session_state.setdefault("_toasts", []).append(("ok", success))
    return result if result is not None else True  # type: ignore[return-value]


WHOLE_FIELDS = "_whole_fields"
"""Where fields of whole numbers note that they are shown: key → label, least and most (ui.components.whole_input)."""


def no_whole(typed: float, low: int | None = None, high: int | None = None) -> str:
    """Why a number that was typed is none that a field of whole numbers takes; empty where it is one."""
    shown = numerals.written(typed, ",.15g")
    if typed != int(typed):
        return f"{shown} is no whole number. Type one without decimals."
    if low is not None and typed < low:
        return f"{shown} is too low. Type {numerals.written(low)} or more."
    return f"{shown} is too high. Type {numerals.written(high)} or less." if high is not None and typed > high else ""


def _not_whole() -> str:
    """Why nothing is saved: a field of whole numbers that is shown holds something else."""
    for key, (label, low, high) in st.session_state.get(WHOLE_FIELDS, {}).items():
        typed = st.session_state.get(key)
        if isinstance(typed, int | float) and (problem := no_whole(typed, low, high)):
            return f"{label.strip(' *')}: {problem}"
    return ""


def tell(message: str, kind: str = "error") -> None:
    """Leave a message for the next drawing of the page (a callback or a rerun would lose a direct one)."""
    st.session_state.setdefault("_toasts", []).append((kind, md(message)))


def show_messages() -> None:
    """Show what ``perform`` and ``tell`` left; called once per run by the entry script."""
    for kind, text in st.session_state.pop("_toasts", []):
        _toast(kind, text)


def _toast(kind: str, text: str) -> None:
    icon = ":material/check_circle:" if kind == "ok" else ":material/error:"
    st.toast(text, icon=icon, duration="short" if kind == "ok" else "long")


def show_problems() -> None:
    """At the end of a dialog or fragment: say at once what ``perform`` left, which would wait for the next full run. Why it did not do
    something stands in the dialog; what it did is a toast."""
    for kind, text in st.session_state.pop("_toasts", []):
        _toast(kind, text) if kind == "ok" else st.error(text, icon=":material/error:")
    st.session_state.pop("_invalid", None)


def show_refusal() -> None:
    """Like ``show_problems``, with the sentences of the refused fields one below the other rather than in one line."""
    wrong = dict.fromkeys((st.session_state.pop("_invalid", None) or {}).values())
    if wrong:
        hush()
        st.error("  \n".join(md(sentence) for sentence in wrong), icon=":material/error:")
    show_problems()


def hush() -> None:
    """Drop what ``perform`` would say of a refusal: the form tells it in its own words."""
    st.session_state["_toasts"] = [(kind, text) for kind, text in st.session_state.get("_toasts", []) if kind == "ok"]


def submit_key(name: str) -> str:
    """A key for one filling of a form: the same for every click on Save until ``renew`` is called."""
    return st.session_state.setdefault(f"_submit_{name}", uuid.uuid4().hex)


def renew(name: str) -> None:
    """Start a new filling of the form after it was saved."""
    st.session_state.pop(f"_submit_{name}", None)
