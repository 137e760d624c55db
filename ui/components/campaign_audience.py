"""Whom a campaign addresses: way out, segments, hold-out, and the way from the segments to the recipients with the reason for each loss."""

from html import escape
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.models import CampaignPlan
from crm_core.services.marketing import all_ways, audience, outcomes, plans, segments
from crm_core.services.marketing.audience import Funnel
from crm_core.services.marketing.ways import Way
from crm_core.vocabulary import Action, Gate, Outlet, Purpose
from ml.lift import ENOUGH_PEOPLE
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components import campaign_plan, campaign_ways
from ui.components.campaign_letter import coupon_choice
from ui.components.campaign_tables import ENTITIES, TABLES
from ui.navigation import page_of

MOST_HELD = 50


def funnel_of(campaign_id: int) -> Funnel:
    """The funnel of a plan, remembered until something behind it changes."""
    return cached(_funnel, campaign_id, entities=ENTITIES, tables=TABLES)


def _funnel(session: Any, actor: Actor, campaign_id: int) -> Funnel:
    return all_ways.whole(session, actor, [way.aim for way in campaign_ways.found_of(session, actor, campaign_id)])


def audience_tab(actor: Actor, campaign_id: int, plan: CampaignPlan, may_edit: bool) -> None:
    """The choices on the left, what they come to on the right."""
    fixed = plan.state not in plans.OPEN
    ways = load(campaign_ways.found_of, campaign_id)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _choices(actor, campaign_id, plan, ways, fixed=fixed, may_edit=may_edit)
    with right:
        outlet = campaign_ways.which(ways)
        kept = next((way.funnel for way in ways if way.outlet is outlet), plan.funnel)
        if fixed and kept:
            _show(actor, campaign_ways.kept_funnel(kept), plan)
            st.caption(fmt.md(f"As it was at the launch, {fmt.instant(actor, plan.launched_at)}."))
        elif problem := load(_problem, campaign_id):
            st.warning(problem, icon=":material/warning:")
        elif outlet is not None:
            _show(actor, campaign_ways.funnel_of_way(campaign_id, outlet), plan)
        else:
            found = funnel_of(campaign_id)
            _show(actor, found, plan)
            _power(actor, campaign_id, plan, found)


def _problem(session: Any, actor: Actor, campaign_id: int) -> str:
    return audience.problem(session, actor, *(way.aim for way in campaign_ways.found_of(session, actor, campaign_id)))


def _choices(actor: Actor, campaign_id: int, plan: CampaignPlan, ways: list[Way], *, fixed: bool, may_edit: bool) -> None:
    disabled = fixed or not may_edit
    found = (
        {one.id: f"{one.name} ({one.entity.label.lower()})" for one in load(segments.find)}
        if actor.can("segment", Action.READ)
        else {}
    )

    def saved(field: str) -> dict[str, Any]:
        key = f"plan_{campaign_id}_{field}_{campaign_plan.widgets(campaign_id, plan)}"
        return {"key": key, "on_change": campaign_plan.choose, "args": (campaign_id, field, key, plan), "disabled": disabled}

    if not disabled:
        campaign_plan.question(campaign_id)
    campaign_ways.chosen(campaign_id, plan, ways, disabled=disabled)
    if found or plan.segment_ids:
        names = {**dict.fromkeys((*plan.segment_ids, *plan.exclude_ids), "A segment that is not there any more"), **found}
        st.multiselect(
            "Segments to address", list(names), default=plan.segment_ids, format_func=lambda one: names[one], placeholder="Choose segments",
            help="Everybody in any of them. Segments of accounts stand for the contacts there; people added by hand under Members are in as well",
            **saved("segment_ids"),
        )  # fmt: skip
        st.multiselect(
            "Except people in", list(names), default=plan.exclude_ids, format_func=lambda one: names[one], placeholder="Nobody is excepted",
            **saved("exclude_ids"),
        )  # fmt: skip
    else:
        st.info("There is no segment yet. Make one, then choose it here.", icon=":material/groups_3:")
        if (page := page_of(actor, "segments")) is not None:
            st.page_link(page, label="Make a segment", icon=":material/add:")
    campaign_ways.boxes(actor, campaign_id, plan, ways, found, fixed=fixed, may_edit=may_edit)
    if all(way.outlet not in (Outlet.EMAIL, Outlet.AD_AUDIENCE) for way in ways):  # letters choose it beside their words
        coupon_choice(actor, campaign_id, plan, disabled=disabled)
    purposes = list(Purpose)
    st.selectbox(
        "Purpose", purposes, index=purposes.index(plan.purpose), format_func=lambda one: one.label, help="People agree per purpose; only those who agreed to this one are addressed", **saved("purpose")
    )  # fmt: skip
    st.slider(
        "Hold-out (%)", 0, MOST_HELD, value=plan.holdout_pct, step=5,
        help="A random part that gets nothing. Only against them can be seen what the campaign added. 0 means you will never know", **saved("holdout_pct"),
    )  # fmt: skip
    a, b = st.columns(2)
    goals = list(plans.GOALS)
    a.selectbox("Success is", goals, index=goals.index(plan.goal), format_func=lambda one: plans.GOALS[one], **saved("goal"))
    b.number_input("Within days", 1, 365, value=plan.window_days, **saved("window_days"))
    a.number_input(
        "Would do so anyway (%)", 0.1, 99.0, value=plan.expected_base_pct, step=0.5, placeholder="from your data", help="Empty: what these people did in the days before today, as many as the window has", **saved("expected_base_pct")
    )  # fmt: skip
    b.number_input(
        "Expected lift (points)",
        0.1,
        99.0,
        value=plan.expected_lift_points,
        step=0.5,
        placeholder="optional",
        **saved("expected_lift_points"),
    )


def _show(actor: Actor, found: Funnel, plan: CampaignPlan) -> None:
    with st.container(border=True, gap="small", key="funnel"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.markdown("**From the segments to the recipients**", width="content")
        if not found.total:
            st.caption("Nobody is in the audience yet. Choose a segment.")
            return
        rows = [("In the segments", found.total, "", False)]
        rows += [(gate.label, -count, "red", False) for gate, count in found.lost.items()]
        rows += [("Hold-out, drawn at random", -found.held_out, "violet", False)] if found.held_out else []
        rows.append(("Will receive" if plan.launched_at is None else "Were addressed", found.receive, "green", True))
        st.html("".join(_bar(words, number, abs(number) / found.total, tone, strong=last) for words, number, tone, last in rows))
        _hint(actor, found)


_COLOURS = {"": "#6366F1", "red": "#F87171", "violet": "#A78BFA", "green": "#34D399"}


def _bar(words: str, number: int, share: float, tone: str, *, strong: bool) -> str:
    """One line of the funnel: words, number, and a bar that says how much of the whole it is."""
    weight = 600 if strong else 400
    count = fmt.written(number).replace("-", "−")
    return (
        f'<div style="display:grid;grid-template-columns:1fr auto;gap:2px 16px;font-weight:{weight};font-size:14px;padding:6px 0">'
        f'<span>{escape(words)}</span><span style="font-variant-numeric:tabular-nums">{count}</span>'
        f'<div style="grid-column:1/3;height:6px;border-radius:3px;background:rgba(128,128,128,.18)">'
        f'<div style="width:{fmt.written(max(share, 0.004) * 100, ".1f")}%;height:6px;border-radius:3px;background:{_COLOURS[tone]}"></div></div></div>'
    )


def _hint(actor: Actor, found: Funnel) -> None:
    silent = found.lost.get(Gate.NO_CONSENT, 0)
    if silent and silent >= found.total / 2:
        st.caption(
            "Most people never said that they want this. If they did and it was only not written down here, an administrator or marketer can "
            "record it on their page or for a whole segment under Consent and limits."
        )
        if (page := page_of(actor, "consent")) is not None:
            st.page_link(page, label="Consent and limits", icon=":material/shield_person:")


def _power(actor: Actor, campaign_id: int, plan: CampaignPlan, found: Funnel) -> None:
    if not found.eligible:
        return
    if not plan.holdout_pct:
        st.warning("Without a hold-out nobody will ever know what this campaign added.", icon=":material/help:")
        return
    if found.held_out < ENOUGH_PEOPLE:
        wanted = -(-100 * ENOUGH_PEOPLE // found.eligible)
        how = f"Raise the hold-out to {wanted}%, or address more people." if wanted <= MOST_HELD else "Address more people."
        words = f"Only {fmt.written(found.held_out)} would be held out, and of fewer than {ENOUGH_PEOPLE} nothing will be told of the result. {how}"
        st.warning(words, icon=":material/group_off:")
    power = cached(
        _power_of,
        campaign_id,
        found.eligible,
        entities=(*ENTITIES, "order", "deal"),
        tables=(*TABLES, "sales_order", "deal"),
    )
    base = fmt.percent(actor, power.base)
    if not power.base:
        before = (
            "Opening and answering is not known before"
            if plan.goal == "response"
            else f"None of these people did so in the last {plan.window_days} days"
        )
        st.caption(f"{before}, so no sample size can be named. Type in how many would do so anyway.")
        return
    can = "With this many people and this hold-out no lift can be told from chance." if power.detectable >= 1 else (
        f"With this many people a lift of {fmt.number(actor, power.detectable * 100, digits=1)} points or more shows (80% of the time)."
    )  # fmt: skip
    words = f"Without a campaign {base} do so ({power.base_from}). {can}"
    if power.needed:
        enough = found.eligible >= power.needed
        words += f" The lift that you expect needs {fmt.written(power.needed)} people; there are {fmt.written(found.eligible)}."
        (st.success if enough else st.warning)(fmt.md(words), icon=":material/science:")
    else:
        st.info(fmt.md(words), icon=":material/science:")


def _power_of(session: Any, actor: Actor, campaign_id: int, eligible: int) -> outcomes.Power:
    return outcomes.power(session, actor, plans.get(session, actor, campaign_id), eligible)
