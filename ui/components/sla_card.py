"""What was promised about a ticket, how far it is, and how a span of working time is written and read."""

import re
from collections.abc import Sequence

import streamlit as st

from crm_core.access import Actor
from crm_core.services.helpdesk.slas import Escalated, SlaView
from crm_core.vocabulary import SlaState
from ui import format as fmt
from ui.tones import TONES

_SPAN = re.compile(r"^\s*(\d{1,6})\s*(d|days?|h|hours?|min|minutes?|m)?\s*", re.IGNORECASE)
_MINUTES = {"d": 24 * 60, "h": 60, "m": 1}


def sla_card(actor: Actor, promises: Sequence[SlaView], escalated: Sequence[Escalated] = ()) -> None:
    """The promises of a ticket, the next one that runs out on top, and what happened because of them; nothing where no service level holds."""
    if not promises and not escalated:
        return
    with st.container(border=True, gap="small", key="sla"):
        st.markdown("**Service level**")
        for view in sorted(promises, key=lambda one: (one.due_at is None, one.due_at or 0)):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(view.target.label, width="content")
                with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                    if view.state in (SlaState.RUNNING, SlaState.BREACHED) and view.due_at is not None:
                        st.caption(f"due {fmt.md(fmt.ago(actor, view.due_at))}", width="content")
                    st.badge(view.state.label, color=TONES[view.state])  # type: ignore[arg-type]
        for one in escalated:
            words = one.what[:1].upper() + one.what[1:]
            st.caption(f":material/priority_high: {fmt.md(words)} because {fmt.md(one.why)}, {fmt.md(fmt.ago(actor, one.at))}")


def minutes_of(text: str | None) -> int | None:
    """Minutes of a span as people write it: ``30 min``, ``4h``, ``2 d``, ``1h 30m``; a bare number means hours. None when empty; raises ValueError."""
    rest, total = (text or "").strip(), 0
    if not rest:
        return None
    while rest:
        match = _SPAN.match(rest)
        if match is None:
            raise ValueError(text)
        unit = (match[2] or "h").lower()
        total += int(match[1]) * _MINUTES[unit[0]]
        rest = rest[match.end() :]
    return total


def span(minutes: int | None) -> str:
    """A span as ``minutes_of`` reads it: ``90`` is ``1h 30m``."""
    if minutes is None:
        return ""
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours}h" if hours else "", f"{rest}m" if rest else "") if part)
