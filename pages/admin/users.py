"""People: for the administrator, to see who may come in, where they belong and what they may do."""

from typing import Any

import streamlit as st

from crm_core.services.admin import teams, users
from crm_core.vocabulary import PersonState
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.components.header import empty_state, header
from ui.components.people_dialogs import open_invite, open_person, role_names, team_dialog, team_names
from ui.components.table import Cell, Column, table
from ui.session import current_actor
from ui.tones import TONES

SIZE = 50
NAMED = ("manager", "seen")
STATES = PersonState.options()


def asked(name: str) -> int | None:
    """Whom, or which team, the address asks for, as a row that is opened in a tab of its own does. It asks once: a reload shows the list."""
    wanted = number(name)
    st.query_params.pop(name, None)
    return wanted


def cells(person: dict[str, Any]) -> list[Cell]:
    """One row of the list."""
    return [
        Cell(person["name"]),
        Cell(person["email"]),
        Cell(", ".join(person["roles"]) or fmt.NOTHING),
        Cell(person["team"] or fmt.NOTHING),
        Cell(person["manager"] or fmt.NOTHING),
        Cell(person["state"].label, tone=TONES[person["state"]]),
        Cell(fmt.ago(actor, person["last_seen_at"])),
    ]


def people() -> None:
    """The list, with search and filters in the URL."""
    groups, names = team_names(), role_names()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="list_tools"):
        q = st.text_input(
            "Search",
            type="search",
            live=True,
            placeholder="Search people",
            label_visibility="collapsed",
            key="q",
            bind="query-params",
            width=260,
        )
        state = st.pills(
            "State",
            list(STATES),
            format_func=lambda one: STATES[one],
            key="state",
            bind="query-params",
            label_visibility="collapsed",
        )
        role_id = st.selectbox(
            "Role",
            list(names),
            index=None,
            format_func=lambda one: names[one],
            key="role",
            placeholder="Any role",
            label_visibility="collapsed",
            width=174,
        )
        team_id = st.selectbox(
            "Team",
            list(groups),
            index=None,
            format_func=lambda one: groups[one],
            key="team",
            placeholder="Any team",
            label_visibility="collapsed",
            width=174,
        )
    page_no = st.session_state.get("page") or 1
    chosen = PersonState(state) if state else None
    page = load(users.find, q=q or "", team_id=team_id, role_id=role_id, state=chosen, page=page_no, size=SIZE)
    if page.total == 0:
        empty_state("Nobody fits", "Take a filter away, or invite somebody.", icon="person_search")
        return
    happened = table(
        [Column(key, label, sortable=False, named=key in NAMED) for key, label in COLUMNS],
        [(person["id"], cells(person)) for person in page.rows],
        key="people",
        label="People",
        href="/people?id={id}",
    )
    st.caption(fmt.plural(page.total, "person", "people"))
    if page.pages > 1:
        st.pagination(page.pages, key="page")
    if (chosen_id := happened.opened or asked("id")) is not None:
        open_person(chosen_id)


def team_list() -> None:
    """Teams with their offices."""
    found = {team.id: team for team in load(teams.find)}
    if not found:
        empty_state("No teams yet", "A team says who works together: records can be shared within it.", icon="groups")
        return
    happened = table(
        [
            Column("name", "Team", sortable=False),
            Column("office", "Office", sortable=False),
            Column("people", "People", right=True, sortable=False),
        ],
        [(team.id, [Cell(team.name), Cell(team.office or fmt.NOTHING), Cell(str(team.people))]) for team in found.values()],
        key="teams",
        label="Teams",
        href="/people?area=Teams&team={id}",
    )
    if (chosen := happened.opened or asked("team")) in found:
        team_dialog(found[chosen])


def hierarchy() -> None:
    """Who reports to whom: what "everyone below me" means."""
    st.caption("Somebody who may see records of “everyone below” sees those of all people indented under them.")
    lines = [
        f"{'    ' * depth}- **{fmt.md(person['name'])}** :gray[{fmt.md(person['team'] or ', '.join(person['roles']))}]"
        for depth, person in load(users.chart)
    ]
    with st.container(border=True):
        st.markdown("\n".join(lines))


COLUMNS = (
    ("name", "Name"),
    ("email", "E-mail"),
    ("roles", "Roles"),
    ("team", "Team"),
    ("manager", "Reports to"),
    ("state", "State"),
    ("seen", "Last seen"),
)
actor = current_actor()
actions = header("People", "Who may come in, where they belong, and what they may do")
if actions.button("New team", icon=":material/group_add:", key="new_team"):
    team_dialog(None)
if actions.button("Invite", type="primary", icon=":material/person_add:", shortcut="n", key="invite"):
    open_invite()
areas = {"People": people, "Teams": team_list, "Hierarchy": hierarchy}
for draw, tab in zip(areas.values(), st.tabs(list(areas), key="area", on_change="rerun", bind="query-params"), strict=True):
    if tab.open:
        with tab:
            draw()
