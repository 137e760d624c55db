"""The way of a deal through its stages with the time it spent in each, behind a small button: nothing is read before somebody asks."""

import streamlit as st

from crm_core.access import Actor
from crm_core.services.sales import stage_times
from crm_core.services.sales.stage_times import Stay
from crm_core.vocabulary import StageKind
from ui import format as fmt
from ui.actions import load
from ui.tones import TONES

DAY = 86_400


def stage_times_button(actor: Actor, deal_id: int) -> None:
    """A popover with the stays, the present one last."""
    with st.popover("Time in stages", icon=":material/timeline:", type="tertiary", key="stage_times", on_change="rerun") as fold:
        if not fold.open:
            return
        stays = load(stage_times.path, deal_id)
        for stay in stays:
            _line(actor, stay)
        whole = sum(stay.seconds or 0 for stay in stays)
        if len(stays) > 1:
            st.caption(fmt.md(f"{_span(whole)} in open stages altogether, weekends included."))
        if len(stays) == 1 and stays[0].kind is not StageKind.OPEN:
            st.caption("It was closed when it was entered here, so its way is not known.")


def _line(actor: Actor, stay: Stay) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium"):
        with st.container(gap=None, width="content"):
            tone = TONES[stay.kind]
            st.badge(fmt.for_badge(stay.stage), color=tone)  # type: ignore[arg-type]
            by = f" · {stay.by}" if stay.by else ""
            st.caption(fmt.md(f"{fmt.day(actor, fmt.local(actor, stay.entered_at).date())}{by}"))
        if stay.seconds is not None:
            words = _span(stay.seconds) + (" so far" if stay.left_at is None else "")
            st.markdown(f"**{fmt.md(words)}**", width="content")


def _span(seconds: int) -> str:
    """Whole days as people count them; below a day as a duration."""
    return fmt.plural(seconds // DAY, "day") if seconds >= DAY else fmt.duration(seconds)
