"""The ways of a campaign that goes out by several: whom each reaches, when, and what it costs."""

from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.models import CampaignPlan
from crm_core.services.marketing import audience, plans, ways
from crm_core.services.marketing.audience import Funnel
from crm_core.services.marketing.ways import Way
from crm_core.vocabulary import Gate, Outlet
from ui.actions import load, perform
from ui.cache import cached
from ui.components import campaign_plan
from ui.components.campaign_tables import ENTITIES, TABLES
from ui.components.day_input import day_input

ICONS = {
    Outlet.EMAIL: "mail", Outlet.CALL_LIST: "call", Outlet.MAIL_MERGE: "mark_as_unread", Outlet.AD_AUDIENCE: "ads_click", Outlet.EVENT: "event",
}  # fmt: skip


def found_of(session: Any, actor: Actor, campaign_id: int) -> list[Way]:
    """The ways of a campaign, for ``load``."""
    return ways.find(session, actor, plans.get(session, actor, campaign_id))


def chosen(campaign_id: int, plan: CampaignPlan, found: list[Way], *, disabled: bool) -> None:
    """By which ways the campaign goes out."""
    key = f"plan_{campaign_id}_ways_{campaign_plan.widgets(campaign_id, plan)}"
    st.multiselect(
        "How people are reached", list(Outlet), default=[way.outlet for way in found], format_func=lambda one: one.label, key=key,
        on_change=_choose, args=(campaign_id, key), disabled=disabled, placeholder="Choose at least one channel",
        help="With several channels each can have people, days and costs of its own; chance holds a person out of all of them or of none",
    )  # fmt: skip


def _choose(campaign_id: int, key: str) -> None:
    if perform(ways.choose, campaign_id, st.session_state[key]) is None:
        campaign_plan.refused()


def boxes(
    actor: Actor, campaign_id: int, plan: CampaignPlan, found: list[Way], names: dict[int, str], *, fixed: bool, may_edit: bool
) -> None:
    """A box per way, when there are several."""
    for way in found if len(found) > 1 else ():
        words = "people of its own" if way.own else "the campaign's people"
        with st.expander(f"{way.outlet.label}: {words}", icon=f":material/{ICONS[way.outlet]}:", key=f"way_{way.outlet.value}"):
            _people(campaign_id, plan, way, names, disabled=fixed or not may_edit)
            _terms(actor, campaign_id, plan, way, disabled=not may_edit)


def _saved(campaign_id: int, plan: CampaignPlan, way: Way, field: str, *, disabled: bool) -> dict[str, Any]:
    key = f"way_{campaign_id}_{way.outlet.value}_{field}_{campaign_plan.widgets(campaign_id, plan)}"
    return {"key": key, "on_change": _save, "args": (campaign_id, way.outlet, field, key), "disabled": disabled}


def _save(campaign_id: int, outlet: Outlet, field: str, key: str) -> None:
    value = st.session_state[key]
    if field == "own":
        field, value = "segment_ids", [] if value else None
    elif field.endswith("_minor"):
        value = to_minor(str(value or 0), load(_currency))
    if perform(ways.change, campaign_id, outlet, {field: value}) is None:
        campaign_plan.refused()


def _currency(_session: Any, actor: Actor) -> str:
    return actor.currency


def _people(campaign_id: int, plan: CampaignPlan, way: Way, names: dict[int, str], *, disabled: bool) -> None:
    st.toggle("People of its own", value=way.own, **_saved(campaign_id, plan, way, "own", disabled=disabled))
    if not way.own:
        return
    known = {**dict.fromkeys((*way.aim.segment_ids, *way.aim.exclude_ids), "A segment that is not there any more"), **names}
    for field, label, empty in (
        ("segment_ids", "Segments for this channel", "Nobody yet: choose segments"),
        ("exclude_ids", "Except people in", "Nobody is excepted"),
    ):
        st.multiselect(
            label, list(known), default=list(getattr(way.aim, field)), format_func=lambda one: known[one], placeholder=empty,
            **_saved(campaign_id, plan, way, field, disabled=disabled),
        )  # fmt: skip


def _terms(actor: Actor, campaign_id: int, plan: CampaignPlan, way: Way, *, disabled: bool) -> None:
    """Days and costs; costs become known later, so they can be put right after the launch."""
    left, right = st.columns(2)
    first = "Letters leave from this day on" if way.outlet is Outlet.EMAIL else None
    day_input("From", value=way.starts_on, help=first, **_saved(campaign_id, plan, way, "starts_on", disabled=disabled), place=left)
    day_input("To", value=way.ends_on, **_saved(campaign_id, plan, way, "ends_on", disabled=disabled), place=right)
    if way.planned_cost_minor is None or way.actual_cost_minor is None:
        return
    places = exponent(actor.currency)
    for box, field, label, cost in (
        (left, "planned_cost_minor", "Planned cost", way.planned_cost_minor),
        (right, "actual_cost_minor", "Actual cost", way.actual_cost_minor),
    ):
        box.number_input(
            f"{label} ({actor.currency})", 0.0, most_major(actor.currency), value=float(to_major(cost, actor.currency)), format=f"%.{places}f",
            step=100.0, **_saved(campaign_id, plan, way, field, disabled=disabled),
        )  # fmt: skip


def which(found: list[Way]) -> Outlet | None:
    """Whose funnel is looked at: one way's, or (None) that of all together."""
    if len(found) < 2:
        return None
    options = ["all", *(way.outlet.value for way in found)]
    shown = st.segmented_control(
        "Funnel of", options, default="all", format_func=lambda one: "All together" if one == "all" else Outlet(one).label, required=True,
        key="funnel_way", label_visibility="collapsed",
    )  # fmt: skip
    return Outlet(shown) if shown in options[1:] else None


def funnel_of_way(campaign_id: int, outlet: Outlet) -> Funnel:
    """The funnel of one way, remembered until something behind it changes."""
    return cached(_funnel, campaign_id, outlet, entities=ENTITIES, tables=TABLES)


def _funnel(session: Any, actor: Actor, campaign_id: int, outlet: Outlet) -> Funnel:
    return audience.funnel(session, actor, ways.of(session, actor, plans.get(session, actor, campaign_id), outlet))


def kept_funnel(kept: Any) -> Funnel:
    """A funnel as it was at the launch."""
    total, lost, eligible, held = kept
    return Funnel(total, {Gate(key): count for key, count in lost.items()}, eligible, held)
