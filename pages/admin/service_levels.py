"""Service levels: for whoever runs the service team, to say what customers are promised and in which hours."""

import streamlit as st

from crm_core.services.helpdesk import calendars, service_levels, slas
from crm_core.services.helpdesk.calendars import CalendarView
from crm_core.services.helpdesk.service_levels import PolicyView
from crm_core.vocabulary import Action, SlaState, SlaTarget
from ui import format as fmt
from ui.actions import load, perform
from ui.components.escalation_editor import in_words
from ui.components.header import empty_state, header
from ui.components.service_level_dialogs import ORDER, calendar_dialog, policy_dialog, week_words
from ui.components.sla_card import span
from ui.session import current_actor

NOW = {SlaState.RUNNING: "In time", SlaState.PAUSED: "Paused", SlaState.BREACHED: "Broken"}


def policy_card(policy: PolicyView, place: int, count: int) -> None:
    """One level: what it promises per priority, and the buttons that change it."""
    with st.container(border=True, key=f"policy_{policy.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(policy.name)}**" + ("" if policy.is_active else " :gray-badge[Switched off]"))
                st.caption(fmt.md(about(policy)))
                if policy.broken:
                    st.markdown(f":orange[:material/error: Holds for no ticket: {fmt.md(policy.broken)}]")
            if may_edit:
                policy_buttons(policy, place, count)
        promised = [priority for priority in ORDER if policy.targets.get(priority.value)]
        st.table(
            {
                "Priority": [priority.label for priority in promised],
                **{target.label: [span(policy.targets[priority.value].get(target.value)) or "–" for priority in promised] for target in SlaTarget},
            },
            border="horizontal",
        )  # fmt: skip
        if policy.escalation:
            st.caption("  \n".join(f":material/priority_high: {fmt.md(line)}" for line in in_words(policy.escalation)))


def about(policy: PolicyView) -> str:
    """Which tickets, in which hours."""
    ast = policy.filter or {}
    plain = ast.get("field") == "category" and ast.get("cmp") == "in"
    tickets = ", ".join(str(one) for one in ast["value"]) if plain else "tickets of a filter" if ast else "all tickets"
    return f"For {tickets} · {hours.get(policy.calendar_id, 'round the clock')}"


def policy_buttons(policy: PolicyView, place: int, count: int) -> None:
    """Order, switch, change, remove."""
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if count > 1:
            st.button(icon=":material/arrow_upward:", key=f"up_{policy.id}", type="tertiary", disabled=place == 0, on_click=shift, args=(policy.id, True), **fmt.icon_only("Try it earlier"))  # fmt: skip
            st.button(icon=":material/arrow_downward:", key=f"down_{policy.id}", type="tertiary", disabled=place == count - 1, on_click=shift, args=(policy.id, False), **fmt.icon_only("Try it later"))  # fmt: skip
        st.button(
            "Switch off" if policy.is_active else "Switch on",
            key=f"switch_{policy.id}",
            type="tertiary",
            on_click=switch,
            args=(policy,),
        )
        if st.button("Change", icon=":material/edit:", key=f"edit_{policy.id}", type="tertiary"):
            policy_dialog(policy)
        with st.popover(
            icon=":material/delete:",
            key=f"delete_{policy.id}",
            type="tertiary",
            **fmt.icon_only("Remove this level"),
        ):
            st.markdown("Open tickets follow the next level that fits, or none.")
            st.button("Remove", type="primary", key=f"remove_{policy.id}", on_click=drop, args=(policy.id,))


def standing_now() -> None:
    """How the promises stand that are still to be kept."""
    found = load(slas.standing)
    if not found:
        return
    st.caption("Promises still to be kept, as they stand now")
    with st.grid(3, min_column_width=80):
        for state, words in NOW.items():
            st.metric(words, fmt.written(found[state]), border=True)


def shift(policy_id: int, up: bool) -> None:
    perform(service_levels.move, policy_id, up=up)


def drop(policy_id: int) -> None:
    perform(service_levels.remove, policy_id, success="Service level removed.")


def switch(policy: PolicyView) -> None:
    perform(
        service_levels.save, policy.id, name=policy.name, targets=policy.targets, filter=policy.filter, calendar_id=policy.calendar_id,
        escalate_to_id=policy.escalate_to_id, escalation=policy.escalation, is_active=not policy.is_active, base_version=policy.version,
        success="Switched off." if policy.is_active else "Switched on.",
    )  # fmt: skip


def calendar_row(calendar: CalendarView) -> None:
    """One set of working hours in a line."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"calendar_{calendar.id}"
    ):
        with st.container(width="content", gap=None):
            st.markdown(f"**{fmt.md(calendar.name)}** · {fmt.md(calendar.hours.timezone)}")
            special = f" · {fmt.plural(len(calendar.hours.exceptions), 'special period')}" if calendar.hours.exceptions else ""
            st.caption(fmt.md(week_words(calendar.hours) + special))
        if may_edit:
            with st.container(horizontal=True, width="content", gap="small"):
                if st.button("Change", icon=":material/edit:", key=f"cal_edit_{calendar.id}", type="tertiary"):
                    calendar_dialog(calendar)
                st.button(icon=":material/delete:", key=f"cal_remove_{calendar.id}", type="tertiary", on_click=drop_calendar, args=(calendar.id,), **fmt.icon_only("Remove these hours"), disabled=calendar.policies > 0)  # fmt: skip


def drop_calendar(calendar_id: int) -> None:
    perform(calendars.remove, calendar_id, success="Working hours removed.")


actor = current_actor()
may_edit = actor.can("service_level", Action.MANAGE)
actions = header(
    "Service levels", "What customers are promised. The first level that fits a ticket holds; waiting for others stops its clock."
)
if may_edit:
    if actions.button("New working hours", icon=":material/schedule:", key="new_calendar"):
        calendar_dialog(None)
    if actions.button("New service level", type="primary", icon=":material/add:", key="new_policy", shortcut="n"):
        policy_dialog(None)

known = load(calendars.find)
hours = {one.id: one.name for one in known}
policies = load(service_levels.find)
if not policies:
    box = empty_state(
        "No service levels yet",
        "Promise a first response and a solution per priority; every ticket then shows what is due next.",
        icon="timer",
    )
    if may_edit and box.button("Make the first one", icon=":material/add:", key="first_policy"):
        policy_dialog(None)
elif actor.can("ticket", Action.READ):
    standing_now()
for place, policy in enumerate(policies):
    policy_card(policy, place, len(policies))
if known:
    with st.container(border=True):
        st.markdown("**Working hours**")
        for calendar in known:
            calendar_row(calendar)
