"""Assignment: for whoever runs a team, to say who gets which new work, who can do what, and to see what was decided and why."""

import streamlit as st

from crm_core import lists
from crm_core.entities import label_of
from crm_core.services.routing import decisions, queues, rules
from crm_core.services.routing.rules import RuleView
from crm_core.services.routing.standing import KINDS
from crm_core.vocabulary import Action, RouteMethod, RouteOutcome, Scope
from ui import format as fmt
from ui.actions import load, perform
from ui.components.assignment_people import people_list
from ui.components.assignment_rules import rule_dialog
from ui.components.decision_card import TONES, about, considered_table, sentence
from ui.components.follow_tab import follow_tab
from ui.components.header import empty_state, header
from ui.components.points_card import points_dialog, points_tab
from ui.components.queue_dialog import queue_dialog
from ui.components.sla_card import span
from ui.components.waiting_list import waiting_list
from ui.session import current_actor

SIZE = 20


def rule_card(rule: RuleView, place: int, count: int) -> None:
    """One rule: what, how, who; and the buttons that change it."""
    with (
        st.container(border=True, key=f"rule_{rule.id}"),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
    ):
        with st.container(width="stretch", gap=None, key=f"rule_words_{rule.id}"):
            off = "" if rule.is_active else " :gray-badge[Switched off]"
            st.markdown(f"**{place + 1}. {fmt.md(rule.name)}** :blue-badge[{rule.method.label}]{off}")
            st.caption(fmt.md(f"{which(rule)} → {who(rule)}"))
            if rule.broken:
                st.markdown(f":orange[:material/error: Fits nothing: {fmt.md(rule.broken)}]")
            st.caption(fmt.md(f"{fmt.plural(rule.turns, 'record')} given so far · {waits_in(rule)}"))
        if may_edit:
            rule_buttons(rule, place, count)


def which(rule: RuleView) -> str:
    """Which records, in words."""
    kind = label_of(rule.entity, plural=True)
    return f"{kind} where {load(rules.words, rule.entity, rule.filter)}" if rule.filter else f"All {kind.lower()}"


def who(rule: RuleView) -> str:
    """Who gets them, in words."""
    if rule.method is RouteMethod.TERRITORY:
        rows = rule.territory.get("rows", ())
        return "; ".join(
            f"{', '.join(row['values'][:4])}: {names.get(row['user_id'], 'somebody who has left')}" for row in rows[:6]
        )
    weighted = rule.method is RouteMethod.WEIGHTED
    parts = [names.get(one, "somebody who has left") + (f" × {weight}" if weighted else "") for one, weight in rule.people]
    parts += [f"team {teams.get(rule.team_id, '')}"] if rule.team_id else []
    asked = rule.skill.get("name") or (f"the record’s {rule.skill['field']}" if rule.skill.get("field") else "")
    return (", ".join(parts) or "nobody: straight into the queue") + (
        f" with the skill {asked}, level {rule.skill.get('min', 1)} or more" if asked else ""
    )


def waits_in(rule: RuleView) -> str:
    return f"if nobody is free: {queue_names[rule.queue_id]}" if rule.queue_id in queue_names else "if nobody is free: it waits"


def rule_buttons(rule: RuleView, place: int, count: int) -> None:
    """Order, switch, change, remove."""
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if count > 1:
            st.button(icon=":material/arrow_upward:", key=f"up_{rule.id}", type="tertiary", disabled=place == 0, on_click=shift, args=(rule.id, True), **fmt.icon_only("Try it earlier"))  # fmt: skip
            st.button(icon=":material/arrow_downward:", key=f"down_{rule.id}", type="tertiary", disabled=place == count - 1, on_click=shift, args=(rule.id, False), **fmt.icon_only("Try it later"))  # fmt: skip
        st.button(
            "Switch off" if rule.is_active else "Switch on", key=f"switch_{rule.id}", type="tertiary", on_click=switch, args=(rule,)
        )
        if st.button("Change", icon=":material/edit:", key=f"edit_{rule.id}", type="tertiary"):
            rule_dialog(rule)
        with st.popover(
            icon=":material/delete:",
            key=f"delete_{rule.id}",
            type="tertiary",
            **fmt.icon_only("Remove this rule"),
        ):
            st.markdown("What it decided stays in the log. What waits is offered by the next rule that fits.")
            st.button("Remove", type="primary", key=f"remove_{rule.id}", on_click=drop, args=(rule.id,))


def shift(rule_id: int, up: bool) -> None:
    perform(rules.move, rule_id, up=up)


def switch(rule: RuleView) -> None:
    perform(rules.switch, rule.id, on=not rule.is_active, success="Switched off." if rule.is_active else "Switched on.")


def drop(rule_id: int) -> None:
    perform(rules.remove, rule_id, success="Rule removed.")


def rules_tab() -> None:
    """The rules per kind of record, in the order in which they are tried."""
    known = load(rules.find)
    if not known:
        box = empty_state(
            "No assignment rules yet",
            "Say who gets new leads, deals or tickets. Whatever has no owner finds somebody within seconds, and every decision says why.",
            icon="alt_route",
        )
        if may_edit and box.button("Make the first one", icon=":material/add:", key="first_rule"):
            rule_dialog(None)
    for kind in KINDS:
        mine = [rule for rule in known if rule.entity == kind]
        if mine:
            st.markdown(f"**{label_of(kind, plural=True)}** :gray[the first rule that fits decides]")
        for place, rule in enumerate(mine):
            rule_card(rule, place, len(mine))
    if known:
        try_box()


def try_box() -> None:
    """Who would get a record now, and why."""
    with st.expander("Who would get it?", icon=":material/science:"):
        left, right = st.columns([1, 2])
        kind = left.selectbox("Kind", KINDS, format_func=label_of, key="try_kind")
        options = load(lists.choices, kind, limit=200)
        chosen = right.selectbox("Record", list(options), index=None, format_func=lambda one: options[one], key=f"try_record_{kind}", placeholder="Choose a record")  # fmt: skip
        if chosen is not None:
            found = load(decisions.preview, kind, chosen)
            st.markdown("If it came in now: " + sentence(found))
            considered_table(found)


def queues_tab() -> None:
    """Queues, and what waits in them."""
    for queue in load(queues.find):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"queue_{queue.id}"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(queue.name)}** · {queue.waiting} waiting")
                limit = f" · too long after {span(queue.max_wait_minutes)}" if queue.max_wait_minutes else ""
                st.caption(fmt.md(f"Team {teams[queue.team_id]}" if queue.team_id in teams else "No team") + limit)
            if may_edit:
                with st.container(horizontal=True, width="content", gap="small"):
                    if st.button("Change", icon=":material/edit:", key=f"q_edit_{queue.id}", type="tertiary"):
                        queue_dialog(queue)
                    st.button(icon=":material/delete:", key=f"q_remove_{queue.id}", type="tertiary", on_click=drop_queue, args=(queue.id,), **fmt.icon_only("Remove this queue"))  # fmt: skip
    waiting_list(actor)


def drop_queue(queue_id: int) -> None:
    perform(queues.remove, queue_id, success="Queue removed.")


def log_tab() -> None:
    """What was decided, the latest first."""
    columns = st.columns(3)
    kind = columns[0].selectbox("Kind", KINDS, index=None, format_func=label_of, key="log_kind", placeholder="All kinds")
    person = columns[1].selectbox(
        "Person", list(names), index=None, format_func=lambda one: names[one], key="log_person", placeholder="Everybody"
    )
    outcome = columns[2].selectbox(
        "Result", list(RouteOutcome), index=None, format_func=lambda one: one.label, key="log_outcome", placeholder="All results"
    )
    page = st.session_state.get("log_page") or 1
    found, total = load(decisions.find, entity_key=kind, user_id=person, outcome=outcome, page=page, size=SIZE)
    if not found:
        empty_state(
            "Nothing was decided yet", "As soon as a record without an owner comes in, its decision stands here.", icon="history"
        )
    for one in found:
        with st.expander(
            f"{fmt.md(one.title or label_of(one.entity))} :{TONES[one.outcome]}-badge[{one.outcome.label}] {fmt.md(one.who)}"
        ):
            st.markdown(sentence(one))
            st.caption(fmt.md(about(actor, one) + (f" · {one.why}" if one.why else "")))
            considered_table(one)
    if total > SIZE:
        st.pagination(-(-total // SIZE), key="log_page")


actor = current_actor()
may_edit = Scope.ALL in actor.scopes("assignment", Action.MANAGE)
names = load(lists.choices, "user", limit=500)
teams = load(lists.choices, "team", limit=500)
queue_names = {queue.id: queue.name for queue in load(queues.find)}
actions = header("Assignment", "Who gets new work. Only what has no owner is given away; whoever was chosen by hand stays.")
TABS = {
    "rules": "Rules",
    "people": "People",
    "waiting": "Waiting",
    "log": "Decisions",
    "points": "Lead points",
    "follow": "Follow-up",
}
tab = st.segmented_control("Show", list(TABS), default="rules", format_func=TABS.__getitem__, key="tab", bind="query-params", label_visibility="collapsed", required=True)  # fmt: skip
if may_edit and tab == "rules" and actions.button("New rule", type="primary", icon=":material/add:", key="new_rule", shortcut="n"):
    rule_dialog(None)
if (
    may_edit
    and tab == "waiting"
    and actions.button("New queue", type="primary", icon=":material/add:", key="new_queue", shortcut="n")
):
    queue_dialog(None)
if (
    may_edit
    and tab == "points"
    and actions.button("New points", type="primary", icon=":material/add:", key="new_points", shortcut="n")
):
    points_dialog(None)
if tab == "points":
    points_tab(may_edit)
elif tab == "follow":
    follow_tab(may_edit)
else:
    {"rules": rules_tab, "people": people_list, "waiting": queues_tab, "log": log_tab}[tab or "rules"]()
