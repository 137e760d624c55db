"""On a segment that an analysis found: how sure the group was, how far it has moved since, and the way to a new run."""

from datetime import date
from typing import Any

import streamlit as st

from crm_core.services.analytics import runs
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.navigation import go, page_of
from ui.session import current_actor

PAGES = {"cluster": "segmentation", "persona": "personas"}
WORDS = {"recency_days": "Days since the last order", "frequency": "Orders", "monetary": "Money spent"}
VERDICTS = {"stable": "as it was", "moved": "moved a little", "drifted": "drifted"}


def drift_note(segment: Any) -> None:
    """Nothing for a segment that no analysis found, and before the first night."""
    found, kind = segment.drift, (segment.source or {}).get("kind")
    if not found or kind not in PAGES:
        return
    with st.container(border=True, gap="small", key="segment_drift"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(_verdict(found), width="stretch")
            _run_again(found, PAGES[kind])
        st.caption(fmt.md(_evidence(found)))
        if found["features"]:
            with st.expander("How its members buy, then and now"):
                _features(found["features"])


def _verdict(found: dict[str, Any]) -> str:
    if found["few"]:
        return ":gray[:material/help: **Too few members to say whether it has drifted**]"
    if found["drifted"]:
        return ":orange[:material/warning: **It is no longer what the analysis found.** Run it again and make the segment anew.]"
    return ":green[:material/check_circle: **Still what the analysis found**]"


def _evidence(found: dict[str, Any]) -> str:
    actor = current_actor()
    then, now = (n / max(total, 1) for n, total in (found["then"], found["now"]))
    parts = [
        f"{fmt.percent(actor, then)} of all customers on {fmt.day(actor, date.fromisoformat(found['as_of']))}, {fmt.percent(actor, now)} now"
    ]
    if found["stayed"] is not None:
        parts.append(f"{fmt.percent(actor, found['stayed'], 0)} of those of that day are still in it")
    if found["stability"] is not None:
        parts.append(
            f"the weakest group of the run kept {fmt.percent(actor, found['stability'], 0)} of its customers when the data was redrawn"
        )
    return f"{'; '.join(parts)}. Looked at each night."


def _features(rows: list[dict[str, Any]]) -> None:
    actor = current_actor()
    st.table(
        {
            "": [WORDS.get(row["name"], row["name"]) for row in rows],
            "Then, on average": [fmt.number(actor, row["then"], digits=1) for row in rows],
            "Now": [fmt.number(actor, row["now"], digits=1) for row in rows],
            "Distance (PSI)": [fmt.written(row["psi"], ".2f") for row in rows],
            "Verdict": [VERDICTS.get(row["verdict"], row["verdict"]) for row in rows],
        },
        border="horizontal",
    )
    st.caption("The population stability index, less what chance alone gives: below 0.1 as it was, from 0.25 on drifted.")


def _run_again(found: dict[str, Any], page: str) -> None:
    actor = current_actor()
    if page_of(actor, page) is None or not actor.can("analytics", Action.READ):
        return
    with st.container(horizontal=True, width="content", gap="small"):
        if st.button("The run", key="drift_run", type="tertiary", icon=":material/insights:"):
            go(page, run=found["run_id"])
        if st.button(
            "Run again", key="drift_again", icon=":material/refresh:", type="primary" if found["drifted"] else "secondary"
        ):
            before = load(runs.get, found["run_id"])
            made = perform(runs.request, before.kind, dict(before.params))
            if made is not None:
                go(page, run=made)
