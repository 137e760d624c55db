"""What one run of the script reads once and asks for often: who is here, the versions of the tables. A rerun or a fragment starts anew."""

import threading
from collections.abc import Mapping
from typing import Any

from streamlit.runtime.scriptrunner import get_script_run_ctx

_here = threading.local()


def drawer() -> dict[str, Any]:
    """A place for what holds as long as this run; emptied by ``forget``. Outside a run nothing is kept."""
    mark = _coordinator()
    if mark is None:
        return {}
    if getattr(_here, "mark", None) is not mark:
        _here.mark, _here.kept = mark, {}
    return _here.kept


def known() -> tuple[Any, Any]:
    """What ``read_session`` need not read again in this run: the versions of the tables, and the records that were seen."""
    kept = drawer()
    return kept.get("versions"), kept.setdefault("seen", {})


def asked() -> tuple[str, str]:
    """Which page the browser wants, by its hash or by its address, before it is known whether this person has it."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return "", ""
    return context.pages_manager.intended_page_script_hash or "", context.pages_manager.intended_page_name or ""


def forget() -> None:
    """Read everything anew from here on: something was just changed."""
    _here.mark = None


def head() -> None:
    """Note that the page's heading is drawn."""
    _here.headed = _coordinator()


def wants_head() -> bool:
    """True while a whole page is being drawn and has no heading yet; never for a fragment by itself."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and not context.fragment_ids_this_run and getattr(_here, "headed", None) is not _coordinator()


def _coordinator() -> Any:
    """What is new with each run of a session."""
    return getattr(get_script_run_ctx(suppress_warning=True), "parallel_coordinator", None)


def user_info() -> Mapping[str, Any]:
    """What ``st.user`` holds. Its own look-up searches the disk for a secrets file each time."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.user_info if context is not None else {}
