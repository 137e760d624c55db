"""The small card on a lead or deal: its score, why, and how far the score may be trusted. Nothing while scores are off."""

import math
from typing import Any

import streamlit as st

from crm_core.services.analytics import scores
from crm_core.services.analytics.scores import Reason, Why
from ui import format as fmt
from ui.actions import load
from ui.navigation import page_of
from ui.session import current_actor


def score_card(entity_key: str, record_id: int) -> None:
    """Draw it where the record has a published score."""
    found = load(scores.why, entity_key, record_id)
    if found is None:
        return
    actor = current_actor()
    with st.container(border=True, gap="small", key="score_card"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Why this score**", width="content")
            st.badge(f"{found.score:.0f} of 100", color="blue")
        st.progress(min(max(found.score / 100, 0.0), 1.0))
        st.caption(_span(found))
        for reason in found.reasons:
            st.markdown(_line(reason))
        if not found.reasons:
            st.caption("Nothing about it differs from the average.")
        st.caption(_origin(found))
        page = page_of(actor, "scoring")
        if page is not None:
            st.page_link(
                page,
                label="How good is this score?",
                icon=":material/query_stats:",
                query_params={"of": "Leads" if entity_key == "lead" else "Deals"},
            )


def _span(found: Why) -> str:
    actor = current_actor()
    words = f"Chance of being {found.happened}: {found.low:.0f} to {found.high:.0f} in 100"
    if found.expected_value is not None:
        from crm_core.kit.money import to_minor

        words += f" · expected value {fmt.money(actor, to_minor(round(found.expected_value, 2), actor.currency), decimals=False)}"
    return fmt.md(words)


def _line(reason: Reason) -> str:
    """``▲ Source: Referral (odds × 1.6)``."""
    colour, icon = ("green", "arrow_upward") if reason.log_odds > 0 else ("red", "arrow_downward")
    shown = reason.label if reason.value is None else f"{reason.label}: {value_words(reason.value)}"
    return f":{colour}[:material/{icon}:] {fmt.md(shown)} :gray[odds × {fmt.written(math.exp(reason.log_odds), '.2f')}]"


def _origin(found: Why) -> str:
    actor = current_actor()
    when = f"Scored {fmt.ago(actor, found.scored_at)}"
    fitted = f", by what was learned {fmt.ago(actor, found.fitted_at)}" if found.fitted_at is not None else ""
    return fmt.md(f"{when}{fitted}. {fmt.as_read(found.verdict)}")


def value_words(value: Any) -> str:
    """A feature's value as people read it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "unknown"
    return fmt.written(value, ",.4g") if isinstance(value, int | float) else str(value)
