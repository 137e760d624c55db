"""Launch a campaign now or later, watch it go out, pause or stop it, take its list."""

from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.access import Actor
from crm_core.channels import email
from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import CampaignPlan
from crm_core.services.marketing import handouts, launching, plans, sending
from crm_core.services.marketing.outcomes import Slice
from crm_core.services.marketing.ways import Way
from crm_core.vocabulary import Action, DialSource, Outlet, PlanState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute
from ui.cache import cached
from ui.components.campaign_audience import funnel_of
from ui.components.campaign_letter import unsaved
from ui.components.campaign_members import LEFT_OUT, params_of
from ui.components.campaign_tables import ENTITIES, TABLES
from ui.components.campaign_ways import found_of, kept_funnel
from ui.components.day_input import instant_input
from ui.components.dial_dialogs import call_these
from ui.downloads import asker
from ui.navigation import go
from ui.session import current_actor

TONES = {
    PlanState.DRAFT: "gray", PlanState.SCHEDULED: "blue", PlanState.SENDING: "orange", PlanState.PAUSED: "violet", PlanState.STOPPED: "red", PlanState.DONE: "green",
}  # fmt: skip


def site() -> str:
    """The address of this site as links need it."""
    return absolute("")


def launch_bar(actor: Actor, campaign_id: int, plan: CampaignPlan, may_edit: bool, *, fresh: bool = False) -> None:
    """The one line that says where the sending stands, with what can be done about it. ``fresh``: a draft, which says what comes first."""
    if plan.message:
        st.warning(fmt.md(plan.message), icon=":material/warning:")
    if plan.state is PlanState.DRAFT:
        if (plan.id is not None or fresh) and may_edit:
            _ready(actor, campaign_id, plan)
    elif plan.state is PlanState.SCHEDULED:
        _scheduled(actor, campaign_id, plan, may_edit)
    else:
        if plan.outlet is Outlet.EMAIL:
            _going_out(campaign_id, may_edit)
        for way in load(found_of, campaign_id):
            if way.outlet is not Outlet.EMAIL:
                _list(actor, campaign_id, plan, way)


def _ready(actor: Actor, campaign_id: int, plan: CampaignPlan) -> None:
    found = cached(
        launching.readiness,
        campaign_id,
        entities=ENTITIES,
        tables=(*TABLES, "campaign_variant", "custom_field", "app_user", "organisation"),
    )
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="launch_bar"
    ):
        if found.stops:
            st.markdown(f":material/checklist: Before it can be launched: {fmt.md(found.stops[0])}", width="stretch")
            if len(found.stops) > 1:
                st.caption(
                    f"and {fmt.plural(len(found.stops) - 1, 'more point')}",
                    width="content",
                    help="  \n".join(map(fmt.md, found.stops[1:])),
                )
            return
        receive = funnel_of(campaign_id).receive
        st.markdown(f":material/rocket_launch: Ready: **{fmt.written(receive)}** people will be addressed.", width="stretch")
        if st.button("Launch …", type="primary", key="launch"):
            _launch_dialog(campaign_id, found.advice)


@st.dialog("Launch this campaign", width="medium")
def _launch_dialog(campaign_id: int, advice: list[str]) -> None:
    actor = current_actor()
    plan, found = load(plans.get, campaign_id), funnel_of(campaign_id)
    named = ", ".join(way.outlet.label.lower() for way in load(found_of, campaign_id))
    held = f" {fmt.written(found.held_out)} more are held out by chance and get nothing." if found.held_out else ""
    st.markdown(f"**{fmt.written(found.receive)}** people will be addressed by {fmt.md(named)}.{held}")
    if unsaved(campaign_id):
        st.warning(
            "What you typed into the letter is not saved: the letter goes out as it was saved last.", icon=":material/edit_note:"
        )
    for words in advice:
        st.markdown(f":orange[:material/info:] {fmt.md(words)}")
    if plan.outlet is Outlet.EMAIL and not email.configured():
        st.info("No mail server is set: the messages become files in the outbox and reach nobody.", icon=":material/drafts:")
    when = st.radio("When", ("Now", "At a set time"), horizontal=True, key="launch_when", label_visibility="collapsed")
    at = None
    if when == "At a set time":
        zone = ZoneInfo(actor.timezone)
        tomorrow = (clock.utcnow().astimezone(zone) + timedelta(days=1)).replace(
            hour=9, minute=0, second=0, microsecond=0, tzinfo=None
        )
        naive = instant_input(f"At ({actor.timezone})", value=tomorrow, key="launch_at")
        at = naive.replace(tzinfo=zone) if naive is not None else None
        st.caption("The audience is chosen anew at that moment." if at else "Choose a day and an hour.")
    st.caption("From then on its people and words stay as they are.")
    later = when != "Now"
    if st.button("Schedule" if later else "Launch now", type="primary", key="launch_yes", disabled=later and at is None):
        verb, args = (launching.schedule, (at,)) if at else (launching.launch, ())
        words = "Scheduled." if at else "Launched."
        if perform(verb, campaign_id, *args, base_url=site(), success=words) is not None:
            st.rerun()
        show_problems()


def _scheduled(actor: Actor, campaign_id: int, plan: CampaignPlan, may_edit: bool) -> None:
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="launch_bar"
    ):
        st.markdown(f":material/schedule: Will be launched {fmt.md(fmt.instant(actor, plan.send_at))}.", width="stretch")
        if may_edit and st.button("Take back", key="unschedule"):
            perform(launching.unschedule, campaign_id, success="Back to planning.")
            st.rerun()


def _going_out(campaign_id: int, may_edit: bool) -> None:
    state = load(plans.get, campaign_id).state
    every = timedelta(seconds=2) if state is PlanState.SENDING else None
    st.fragment(_progress, run_every=every)(campaign_id, may_edit, state)


def _progress(campaign_id: int, may_edit: bool, drawn: PlanState) -> None:
    actor = current_actor()
    plan, found = load(plans.get, campaign_id), load(sending.progress, campaign_id)
    if plan.state is not drawn or _came_to_rest(campaign_id, found.out + found.bounced):
        st.rerun()
    with st.container(border=True, gap="small", key="launch_bar"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
                st.badge(plan.state.label, color=TONES[plan.state])  # type: ignore[arg-type]
                words = f"**{fmt.written(found.out)}** of {fmt.plural(found.total, 'message')} out"
                if not found.out:
                    st.markdown(words, width="content")
                elif st.button(words, icon=":material/list:", key="sent_out", type="tertiary"):
                    _show(campaign_id, Slice("sent"))
                st.caption(fmt.md(f"Launched {fmt.instant(actor, plan.launched_at)}"), width="content")
            if may_edit:
                _controls(campaign_id, plan.state)
        if plan.state in (PlanState.SENDING, PlanState.PAUSED):
            left = found.waiting + found.in_outbox
            st.progress((found.total - left) / found.total if found.total else 1.0)
        if found.held:
            name = f" “{found.promotion}”" if found.promotion else ""
            wait = "waits" if found.held == 1 else "wait"
            st.info(
                fmt.md(
                    f"{fmt.plural(found.held, 'message')} with a discount code {wait}: the promotion{name} is paused. Sending goes on a few minutes after it is started again."
                ),
                icon=":material/pause:",
            )
        _numbers(campaign_id, found)
        if words := _next(actor, found):
            st.caption(fmt.md(words))


def _numbers(campaign_id: int, found: sending.Progress) -> None:
    """Where the other messages are; each number leads to its people."""
    numbers = [
        (found.waiting, "waiting", Slice("waiting")), (found.in_outbox, "in the outbox", Slice("outbox")),
        (found.bounced, "bounced", Slice("bounced")), (found.failed, "failed", Slice("failed")),
        *((many, f"left out: {LEFT_OUT.get(why, 'other reasons').lower()}", Slice("skipped", reason=why)) for why, many in found.skipped.items()),
    ]  # fmt: skip
    if not any(count for count, *_ in numbers):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="sending_behind"):
        for count, words, wanted in numbers:
            key = f"sending_{wanted.what}_{wanted.reason}"
            if count and st.button(fmt.md(f"{fmt.written(count)} {words}"), icon=":material/list:", key=key, type="tertiary"):
                _show(campaign_id, wanted)


def _show(campaign_id: int, wanted: Slice) -> None:
    go("campaign", id=campaign_id, **params_of(wanted))


def _came_to_rest(campaign_id: int, out: int) -> bool:
    """True once after some messages have gone out and no more follow for a moment: the figures below are of before."""
    key = f"_out_of_{campaign_id}"
    drawn, last = st.session_state.get(key, (out, out))
    rest = last == out != drawn
    st.session_state[key] = (out if rest else drawn, out)
    return rest


def _next(actor: Actor, found: sending.Progress) -> str:
    """Until when they wait who are left alone at this hour."""
    if found.waiting == found.held or not found.next_at:
        return ""
    return (
        f"Who waits gets theirs in their hours (quiet hours, or those that they prefer), next {fmt.instant(actor, found.next_at)}."
    )


def _controls(campaign_id: int, state: PlanState) -> None:
    with st.container(horizontal=True, width="content"):
        if state is PlanState.SENDING and st.button("Pause sending", icon=":material/pause:", key="pause"):
            perform(launching.pause, campaign_id, success="Paused.")
            st.rerun()
        if state is PlanState.PAUSED and st.button("Resume sending", icon=":material/play_arrow:", type="primary", key="resume"):
            perform(launching.resume, campaign_id, success="Going on.")
            st.rerun()
        if state in (PlanState.SENDING, PlanState.PAUSED) and st.button("Stop …", icon=":material/stop:", key="stop"):
            _stop_dialog(campaign_id)


@st.dialog("Stop for good?", width="small")
def _stop_dialog(campaign_id: int) -> None:
    st.caption("Whoever got nothing yet gets nothing. This can't be taken back; to wait a while, pause instead.")
    if st.button("Stop sending", type="primary", key="stop_yes"):
        perform(launching.stop, campaign_id, success="Stopped.")
        st.rerun()


def _list(actor: Actor, campaign_id: int, plan: CampaignPlan, way: Way) -> None:
    with st.container(
        border=True,
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="launch_bar" if way.outlet is plan.outlet else f"launch_bar_{way.outlet.value}",
    ):
        if plan.state is PlanState.STOPPED:
            st.markdown(
                f":material/list_alt: {fmt.md(way.outlet.label)}: the campaign was stopped, so there is no list.", width="stretch"
            )
            return
        when = " – ".join(fmt.day(actor, day) for day in (way.starts_on, way.ends_on) if day is not None)
        period = f" For {when}." if when else ""
        on_it = kept_funnel(way.funnel or plan.funnel).receive if way.funnel or plan.funnel else None
        many = "nobody is on the list." if on_it == 0 else "the list is ready. Hold-outs are not on it."
        if on_it:
            many = f"{fmt.plural(on_it, 'person is', 'people are')} on the list. Hold-outs are not."
        st.markdown(f":material/list_alt: {fmt.md(way.outlet.label)}: {fmt.md(many + period)}", width="stretch")
        if on_it != 0 and way.outlet is Outlet.CALL_LIST:
            call_these(actor, DialSource.CAMPAIGN, campaign_id)
        if on_it != 0 and actor.can("contact", Action.EXPORT):
            for form in handouts.FORMATS:
                outlet = way.outlet.value
                st.download_button(
                    form.upper(), data=partial(_make, actor, campaign_id, form, way.outlet), file_name=f"campaign-{campaign_id}-{outlet}.{form}",
                    key=f"list_{form}" if way.outlet is plan.outlet else f"list_{outlet}_{form}", icon=":material/download:", on_click="ignore",
                )  # fmt: skip


def _make(actor: Actor, campaign_id: int, form: str, outlet: Outlet) -> Any:
    with write_session() as session:
        return handouts.export(session, asker(session, actor), campaign_id, form=form, outlet=outlet)
