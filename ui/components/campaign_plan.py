"""One choice of a campaign's plan is saved as soon as it is made; where somebody else made the same one otherwise meanwhile, it is asked whose stays."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from crm_core import lists
from crm_core.models import CampaignPlan
from crm_core.services.marketing import plans, segments
from crm_core.vocabulary import Action
from ui.actions import load, perform
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, try_parts
from ui.session import current_actor


class Left(NamedTuple):
    """The plan as this person's last choice left it, and the version with which the choices were drawn that show it."""

    plan: CampaignPlan
    drawn: int


def widgets(campaign_id: int, plan: CampaignPlan) -> str:
    """Belongs into the keys of the choices: they stay (and keep the keyboard) while only their own person changes the plan; others are drawn once
    somebody else changed it, or once a choice was refused, as the old ones would go on showing it."""
    left = _left(campaign_id)
    drawn = left.drawn if left is not None and left.plan.version == plan.version else plan.version
    return f"{drawn}_{st.session_state.get('plan_turn', 0)}"


def refused() -> None:
    """Draw other widgets."""
    st.session_state["plan_turn"] = int(st.session_state.get("plan_turn", 0)) + 1


def choose(campaign_id: int, field: str, key: str, plan: CampaignPlan) -> None:
    """Save what was chosen under ``key``. ``plan``: the one that was drawn; a quick second choice comes before its own first one is drawn."""
    left = _left(campaign_id)
    known = left.plan if left is not None and left.plan.version > plan.version else plan
    seen, waiting = st.session_state.get(_place(campaign_id), (known, {}))
    mine = {**waiting, field: st.session_state[key] or None if field == "promotion_id" else st.session_state[key]}
    question = _question(campaign_id)
    if try_parts(question, seen=seen, mine=mine, parts=_parts(), values_of=columns_of(mine), save=_saver(campaign_id)):
        _forget(campaign_id)
        return
    if clashing(question):
        st.session_state[_place(campaign_id)] = (seen, mine)
    refused()


def question(campaign_id: int) -> None:
    """Ask whose choice stays; nothing while nobody else made another one."""
    kept = st.session_state.get(_place(campaign_id))
    if kept is None:
        return
    seen, mine = kept
    how = {"parts": _parts(), "values_of": columns_of(mine), "save": _saver(campaign_id)}
    if save_parts(_question(campaign_id), False, seen=seen, mine=mine, scope="app", **how):
        _forget(campaign_id)
        refused()
        st.rerun()


def _place(campaign_id: int) -> str:
    return f"_plan_waits_{campaign_id}"


def _left(campaign_id: int) -> Left | None:
    found: Left | None = st.session_state.get(f"_plan_left_{campaign_id}")
    return found


def _question(campaign_id: int) -> str:
    return f"plan_{campaign_id}"


def _forget(campaign_id: int) -> None:
    st.session_state.pop(_place(campaign_id), None)


def _saver(campaign_id: int) -> Any:
    def save(values: Mapping[str, Any], base: CampaignPlan) -> Any:
        saved = perform(plans.save, campaign_id, dict(values), base_version=base.version)
        if saved is not None:
            left = _left(campaign_id)
            same = left is not None and left.plan.version == base.version
            st.session_state[f"_plan_left_{campaign_id}"] = Left(saved, left.drawn if left is not None and same else base.version)
        return saved

    return save


def _parts() -> dict[str, Part]:
    return {
        "segment_ids": Part("Segments to address", _segments),
        "exclude_ids": Part("Except people in", _segments),
        "promotion_id": Part("Discount codes of", _promotion),
        "purpose": Part("Purpose"),
        "holdout_pct": Part("Hold-out (%)"),
        "goal": Part("Success is", lambda key: plans.GOALS.get(key, "")),
        "window_days": Part("Within days"),
        "expected_base_pct": Part("Would do so anyway (%)"),
        "expected_lift_points": Part("Expected lift (points)"),
    }


def _segments(ids: Any) -> str:
    known = {one.id: one.name for one in load(segments.find)} if current_actor().can("segment", Action.READ) else {}
    return ", ".join(named(known)(one) for one in ids or ())


def _promotion(promotion_id: int | None) -> str:
    return named(load(lists.titles, "promotion", [promotion_id]) if promotion_id else {}, "No promotion")(promotion_id)
