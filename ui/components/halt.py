"""Stopping all automations or all outgoing mail: the button, the banner on every page while it holds, and how it goes on."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.collaboration import halts
from crm_core.services.collaboration.halts import HaltView
from crm_core.vocabulary import HaltKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.navigation import page_of
from ui.session import current_actor

if TYPE_CHECKING:
    from crm_core.services.automation.stopping import Waiting

STAND = {HaltKind.AUTOMATIONS: "All automations are stopped", HaltKind.MAIL: "All outgoing mail is stopped"}
MEANS = {
    HaltKind.AUTOMATIONS: "No automation starts and none takes another step, within seconds; what they told webhooks and has not left yet waits. What happens meanwhile is kept: when you switch them on "
    "again you choose whether it is worked off or skipped. Pausing a single automation is done on its card.",
    HaltKind.MAIL: "Nothing leaves any more, within a message: campaigns, answers to customers, reports, and invitations and links for a new password "
    "too. All of it waits, and you choose what leaves when you switch mail on again.",
}
KEPT = "Work it off", "Skip it"
GO_ON = "Go on where they stand", "End here"


def standing() -> dict[HaltKind, HaltView]:
    """What stands still and concerns whoever looks."""
    return {one.kind: one for one in load(halts.standing)}


def banner() -> None:
    """On top of every page, for those whom it concerns."""
    for kind, one in standing().items():
        st.space("xsmall")
        box = st.container(border=True, key=f"halt_{kind.value}")
        with box.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f":orange[:material/front_hand: **{STAND[kind]}**] {_since(one)}", width="stretch")
            if one.may_end and st.button("Switch on again …", key=f"resume_{kind.value}"):
                RESUME[kind]()


def _since(one: HaltView) -> str:
    who = f" by {fmt.md(one.by)}" if one.by else " from the command line"
    waits = "" if one.kind is HaltKind.AUTOMATIONS else " What you send waits."
    return f"{who}, {fmt.ago(current_actor(), one.at)}: {fmt.md(one.reason)}.{waits}".replace("..", ".")


def stop_button(place: Any, kind: HaltKind) -> None:
    """The button, for those who may, while it does not stand still."""
    actor = current_actor()
    label = "Stop all …" if kind is HaltKind.AUTOMATIONS else "Stop all mail …"
    if not halts.may(actor, kind) or kind in standing():
        return
    if place.button(label, icon=":material/front_hand:", key=f"stop_{kind.value}", help=f"{kind.label}, at once"):
        stop_dialog(kind)


@st.dialog("Stop everything?", icon=":material/front_hand:")
def stop_dialog(kind: HaltKind) -> None:
    """Asks once more, and for the reason."""
    st.markdown(f"**{kind.label}**")
    st.markdown(MEANS[kind])
    reason = st.text_input("Why", key="halt_reason", max_chars=300, placeholder="Everybody whom it concerns reads this")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Leave it on", key="halt_no"):
            st.rerun()
        if st.button("Stop", type="primary", key="halt_yes") and perform(halts.stop, kind, reason or "") is not None:
            st.rerun()
    show_refusal()


@st.dialog("Switch automations on again")
def automations_dialog() -> None:
    """What waits, and what becomes of it."""
    from crm_core.services.automation import stopping  # brings all of the automations, which a page without them need not wait for

    found = load(stopping.waiting)
    st.caption("Pause or mend the automation that made you stop first: only those that are on count here.")
    events = runs = True
    if found.starts:
        st.markdown(f"**{fmt.plural(found.starts, 'start')} to look at:** {_starts(found)}.")
        chosen = st.radio(
            "What came meanwhile", KEPT, key="halt_events", horizontal=True, help="Skipped: it starts nothing, now or later"
        )
        events = chosen == KEPT[0]
    if found.runs:
        st.markdown(f"**{fmt.plural(found.runs, 'run')} under way** whose next step is due.")
        runs = st.radio("Runs under way", GO_ON, key="halt_runs", horizontal=True, label_visibility="collapsed") == GO_ON[0]
    if found.messages:
        words = "message", "messages"
        st.markdown(
            f"**{fmt.plural(found.messages, *words)} to webhooks** {'waits and leaves' if found.messages == 1 else 'wait and leave'} now. Switch a webhook off first if its messages shall not leave."
        )
    if not found.starts and not found.runs and not found.messages:
        st.markdown("Nothing waits.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        pressed = st.button("Switch on", type="primary", key="halt_resume")
        if pressed and perform(stopping.resume, events=events, runs=runs, success="Automations go on.") is not None:
            st.rerun()
    show_refusal()


def _starts(found: "Waiting") -> str:
    parts = (
        (found.events, "thing that happened", "things that happened"), (found.dates, "date that came", "dates that came"),
        (found.slots, "hour of an automation by the clock", "hours of automations by the clock"),
    )  # fmt: skip
    return ", ".join(f"{fmt.written(many)} {one if many == 1 else several}" for many, one, several in parts if many)


@st.dialog("Switch mail on again")
def mail_dialog() -> None:
    """What waits by kind, and which of it is taken out."""
    found = load(halts.waiting_mail)
    if found:
        st.markdown("**These wait and leave now:**")
        st.table({_kind(kind): fmt.written(many) for kind, many in found.items()}, border="horizontal")
        drop = st.multiselect(
            "Take out instead", list(found), format_func=_kind, key="halt_drop", placeholder="Nothing: all of it leaves",
            help="These stay in the outbox as cancelled, and can be sent from there one by one",
        )  # fmt: skip
    else:
        st.markdown("Nothing waits.")
        drop = []
    with st.container(horizontal=True, horizontal_alignment="right"):
        pressed = st.button("Switch on", type="primary", key="halt_resume")
        if pressed and perform(halts.resume_mail, drop=drop, success="Mail leaves again.") is not None:
            st.rerun()
    show_refusal()


def _kind(key: str) -> str:
    return key.replace("_", " ").capitalize()


RESUME = {HaltKind.AUTOMATIONS: automations_dialog, HaltKind.MAIL: mail_dialog}


def health_line(actor: Actor) -> None:
    """Where the switches are, for the page that says whether everything is in order."""
    for key, label in (("automations", "Stop or look at automations"), ("outbox", "Stop or look at mail")):
        if (page := page_of(actor, key)) is not None:
            st.page_link(page, label=label, icon=":material/front_hand:", width="content")
