"""Dialogs around one person or one team: invite, change, lock out, hand out a link."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.entities import entity
from crm_core.services.admin import roles, teams, users
from crm_core.services.admin.teams import TeamRow
from crm_core.vocabulary import PersonState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute
from ui.components.list_link import list_link
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, saver
from ui.session import current_actor
from ui.tones import TONES

_LINK = "_one_time_link"


def role_names() -> dict[int, str]:
    """Id → name of every role."""
    return {row.id: row.name for row in load(roles.find)}


def team_names() -> dict[int, str]:
    """Id → name of every team."""
    return {row.id: row.name for row in load(teams.find)}


def _managers(without: int | None, include: int | None) -> dict[int, str]:
    found = load(lists.choices, "user", limit=2_000, include=[include])
    return {user_id: name for user_id, name in found.items() if user_id != without}


def one_time_link(made: users.Invitation) -> None:
    """Show a link that is good once, to be copied now."""
    days = "7 days" if made.path.startswith("/invite/") else "24 hours"
    who = f"**{fmt.md(made.name)}** ({fmt.md(made.email)})"
    if made.mailed:
        st.markdown(f"This link is on its way to {who} by e-mail. You may also hand it over yourself.")
    else:
        st.markdown(f"Send this link to {who} yourself.")
    st.code(_base() + made.path, language=None, wrap_lines=True)
    st.caption(f"It works once, within {days}, and is shown only here and now. A newer link replaces it.")


def _base() -> str:
    return absolute("")


@st.dialog("Invite a colleague", icon=":material/person_add:", on_dismiss="rerun")
def invite_dialog() -> None:
    """Name, address, roles and place; then the link by which they join."""
    made = st.session_state.get(_LINK)
    if made is not None:
        one_time_link(made)
        if st.button("Done", type="primary", key="invite_done"):
            st.rerun()
        return
    names = role_names()
    name = st.text_input("Name", key="invite_name", max_chars=200)
    email = st.text_input("E-mail address", key="invite_email", type="email", max_chars=254)
    rep = [role_id for role_id, text in names.items() if text == "Sales rep"]
    chosen = st.multiselect("Roles", list(names), default=rep, format_func=lambda one: names[one], key="invite_roles")
    team_id, manager_id = _place({}, "invite")
    if st.button("Make the invitation", type="primary", key="invite_save"):
        made = perform(
            users.invite, name=name, email=email, role_ids=chosen, team_id=team_id, manager_id=manager_id, base_url=_base()
        )
        if made is not None:
            st.session_state[_LINK] = made
        st.rerun(scope="fragment")
    show_problems()


def open_invite() -> None:
    """Open the dialog with nothing of an earlier one in it."""
    st.session_state.pop(_LINK, None)
    invite_dialog()


def _place(person: Mapping[str, Any], key: str) -> tuple[int | None, int | None]:
    left, right = st.columns(2)
    groups, managers = team_names(), _managers(person.get("id"), person.get("manager_id"))
    team_id = left.selectbox(
        "Team",
        list(groups),
        index=_index(groups, person.get("team_id")),
        format_func=lambda one: groups[one],
        key=f"{key}_team",
        placeholder="None",
    )
    manager_id = right.selectbox(
        "Reports to",
        list(managers),
        index=_index(managers, person.get("manager_id")),
        format_func=lambda one: managers[one],
        key=f"{key}_manager",
        placeholder="Nobody",
    )
    return team_id, manager_id


def _index(options: Mapping[int, str], value: Any) -> int | None:
    return list(options).index(value) if value in options else None


@st.dialog("Person", width="medium", icon=":material/person:", on_dismiss="rerun")
def person_dialog(seen: Mapping[str, Any]) -> None:
    """Who somebody is, where they belong, what they may do, and whether they may come in. ``seen``: the person as the dialog was opened with, which
    what is saved is based on, whoever else saves meanwhile."""
    user_id = seen["id"]
    person = load(users.one, user_id)
    made = st.session_state.get(_LINK)
    if made is not None and made.user_id == user_id:
        one_time_link(made)
        if st.button("Back", key="link_back", icon=":material/arrow_back:"):
            st.session_state.pop(_LINK)
            st.rerun(scope="fragment")
        return
    _state(person)
    _person_form(seen)
    st.space("small")
    _person_actions(person)
    show_problems()


def open_person(user_id: int) -> None:
    """Open the dialog of a person as they are now."""
    st.session_state.pop(_LINK, None)
    for key in [key for key in st.session_state if str(key).startswith(f"person_{user_id}_")]:
        del st.session_state[key]
    person_dialog(load(users.one, user_id))


def _state(person: Mapping[str, Any]) -> None:
    line = st.container(horizontal=True, vertical_alignment="center", gap="small")
    line.badge(person["state"].label, color=TONES[person["state"]])  # type: ignore[arg-type]
    if person["last_seen_at"] is None:
        line.caption("Never signed in", width="content")
        return
    seen = fmt.ago(current_actor(), person["last_seen_at"])
    line.caption(f"Last seen {seen} · signed in on {fmt.plural(person['sessions'], 'browser')}", width="content")


def _person_form(person: Mapping[str, Any]) -> None:
    names, key = role_names(), f"person_{person['id']}_{person['version']}"
    left, right = st.columns(2)
    name = left.text_input("Name", value=person["name"], key=f"{key}_name", max_chars=200)
    email = right.text_input("E-mail address", value=person["email"], key=f"{key}_email", type="email", max_chars=254)
    team_id, manager_id = _place(person, key)
    chosen = st.multiselect(
        "Roles", list(names), default=person["role_ids"], format_func=lambda one: names[one], key=f"{key}_roles"
    )
    pressed = st.button("Save", type="primary", key=f"{key}_save", disabled=clashing(key))
    mine = {"name": name, "email": email, "team_id": team_id, "manager_id": manager_id, "role_ids": sorted(chosen)}
    parts = {
        "name": Part("Name"),
        "email": Part("E-mail address"),
        "team_id": Part("Team", named(team_names(), "None")),
        "manager_id": Part("Reports to", lambda one: named(_managers(person["id"], one), "Nobody")(one)),
        "role_ids": Part("Roles", lambda ids: ", ".join(named(names)(one) for one in ids)),
    }

    def save(values: Mapping[str, Any], base: Mapping[str, Any]) -> Any:
        changes = {field: value for field, value in values.items() if field != "role_ids"}
        words = fmt.md(f"{values['name']} saved.")
        return saver(users.save, words, role_ids=values["role_ids"])(changes, base)

    if save_parts(key, pressed, seen=person, mine=mine, parts=parts, values_of=_held, save=save):
        st.rerun()


def _held(person: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a person that the form holds."""
    return {**columns_of(["name", "email", "team_id", "manager_id"])(person), "role_ids": sorted(person["role_ids"])}


def _person_actions(person: Mapping[str, Any]) -> None:
    user_id, invited = person["id"], person["state"] is PersonState.INVITED
    row = st.container(horizontal=True, gap="small", wrap=True, key="person_actions")
    if person["state"] is PersonState.DEACTIVATED:
        if row.button("Activate again", icon=":material/lock_open:", key="person_activate"):
            _do(users.activate, user_id, fmt.md(f"{person['name']} may sign in again."))
        _left_behind(user_id)
        return
    words = "New invitation link" if invited else "Link for a new password"
    if row.button(words, icon=":material/link:", key="person_link"):
        made = perform(users.link_again, user_id, base_url=_base())
        if made is not None:
            st.session_state[_LINK] = made
        st.rerun(scope="fragment")
    if person["sessions"] and row.button("Sign out everywhere", icon=":material/logout:", key="person_signout"):
        _do(users.sign_out_everywhere, user_id, fmt.md(f"{person['name']} was signed out."))
    if user_id != current_actor().user_id and row.button("Deactivate", icon=":material/block:", key="person_deactivate"):
        _do(users.deactivate, user_id, fmt.md(f"{person['name']} was locked out; their records stay."))


def _left_behind(user_id: int) -> None:
    """What nobody works on until it has another owner, each with the way to its list, where many are given to somebody at once."""
    kinds = load(users.left_behind, user_id)
    if not kinds:
        return
    st.caption("Still theirs. Open a list and select its rows to give them another owner.")
    with st.container(horizontal=True, gap="small", wrap=True, key="person_left"):
        for entity_key, ast, count in kinds:
            noun = entity(entity_key)
            words = f"{'' if entity_key == 'account' else 'open '}{(noun.label if count == 1 else noun.plural).lower()}"
            list_link(current_actor(), entity_key, f"{fmt.number(current_actor(), count)} {words}", ast)


def _do(verb: Any, user_id: int, success: str) -> None:
    if perform(verb, user_id, success=success) is not None:
        st.rerun()
    st.rerun(scope="fragment")


@st.dialog("Team", icon=":material/groups:", on_dismiss="rerun")
def team_dialog(team: TeamRow | None) -> None:
    """Make a team, rename it, or remove an empty one."""
    key = f"team_{team.id}_{team.version}" if team else "team_new"
    name = st.text_input("Name", value=team.name if team else "", key=f"{key}_name", max_chars=200)
    office = st.text_input("Office", value=(team.office or "") if team else "", key=f"{key}_office", max_chars=300)
    row = st.container(horizontal=True, gap="small")
    pressed = row.button("Save", type="primary", key=f"{key}_save", disabled=clashing(key))
    mine = {"name": name, "office": office}
    save = saver(teams.update if team else _new_team, fmt.md(f"Team {name} saved."), spread=True)
    parts = {"name": Part("Name"), "office": Part("Office")}
    if save_parts(key, pressed, seen=team, mine=mine, parts=parts, values_of=columns_of(mine), save=save):
        st.rerun()
    if team is not None and row.button("Remove", icon=":material/delete:", key=f"{key}_remove"):
        if perform(teams.remove, team.id, success=fmt.md(f"Team {team.name} removed.")) is not None:
            st.rerun()
        st.rerun(scope="fragment")
    show_problems()


def _new_team(session: Any, actor: Any, _none: None, **given: str) -> Any:
    return teams.create(session, actor, **given)
