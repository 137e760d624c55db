"""The screens for people and roles: who has them, what they show, what saving does."""

import pytest
from sqlmodel import select
from streamlit.util import calc_hash

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.models import Role, User
from crm_core.services.admin import passwords, roles, users
from crm_core.vocabulary import FieldLevel
from tests.pages.app import open_screen, words
from tests.quick_hashes import quick_hashes as quick_hashes
from ui.navigation import screen_of, screens_for

EVIL = "<script>alert(1)</script> ![x](http://evil.example/i.png) **bold**"


@pytest.fixture
def root(cast):
    with write_session() as session:
        session.get(User, cast["root"].user_id).password_hash = passwords.hash_password("quiet river stone")
    return cast["root"]


@pytest.mark.parametrize("who", ["bob", "alice", "charlie", "dana", "sam", "ana"])
@pytest.mark.parametrize("url", ["people", "roles"])
def test_only_administrators_have_the_screens(cast, who, url):
    assert screen_of(url) not in screens_for(cast[who])


@pytest.mark.parametrize("area", ["People", "Teams", "Hierarchy"])
def test_every_part_of_the_people_screen_draws(root, area):
    app = open_screen(root, "people", area=area)
    assert not app.exception and not app.error and "People" in [title.value for title in app.title]


def test_the_hierarchy_shows_who_works_below_whom(root):
    app = open_screen(root, "people", area="Hierarchy")
    text = words(app)
    assert text.index("Bob Manager") < text.index("    - **Alice Rep**")


def test_a_name_with_markup_is_shown_letter_by_letter(root, cast):
    with write_session() as session:
        users.update(session, root, cast["alice"].user_id, {"name": EVIL})
    app = open_screen(root, "people", area="Hierarchy")
    shown = "".join(element.value for element in app.markdown)
    assert r"\*\*bold\*\*" in shown and "![x](" not in shown and "<script>" not in shown.replace(r"\<", "")


def test_a_person_and_a_team_open_by_their_address_once(root, cast):
    app = open_screen(root, "people", id=cast["alice"].user_id)
    assert not app.exception and "Alice Rep" in [box.value for box in app.text_input] and "id" not in app.query_params
    team_id = load_team(cast)
    app = open_screen(root, "people", area="Teams", team=team_id)
    assert not app.exception and any(str(box.key).startswith(f"team_{team_id}_") for box in app.text_input)
    assert not open_screen(root, "people", id="nonsense").exception


def load_team(cast):
    with read_session() as session:
        return session.get(User, cast["alice"].user_id).team_id


def test_a_search_that_finds_nobody_says_so(root):
    app = open_screen(root, "people", q="nobody at all")
    assert "Nobody fits" in words(app)


def test_the_administrators_role_is_shown_but_can_not_be_saved(root):
    app = open_screen(root, "roles")
    with read_session() as session:
        fixed = session.exec(select(Role.id).where(Role.key == "administrator")).one()
    app.session_state["role"] = fixed
    app.run()
    assert not app.exception and "Administrators may do everything" in words(app)
    assert "save_rights" not in {button.key for button in app.button}


def test_hiding_a_field_holds_from_the_next_click_on(root, cast):
    with read_session() as session:
        role = session.exec(select(Role).where(Role.key == "sales_rep")).one()
    app = open_screen(root, "roles")
    app.session_state["role"] = role.id
    app.run()
    app.selectbox(key=f"level_{role.id}_{role.version}_contact_birthday").set_value(FieldLevel.HIDDEN).run()
    app.button(key="save_rights").click().run()
    assert not app.exception and not app.error
    with read_session() as session:
        assert load(session, cast["alice"].user_id).masked("contact", "birthday")
        assert load(session, cast["alice"].user_id).grants == cast["alice"].grants, "the tables came back as they were drawn"


def test_whoever_loses_the_right_to_an_open_screen_is_told_so_on_the_next_click(root, cast):
    app = open_screen(cast["dana"], "segments")
    with read_session() as session:
        role = session.exec(select(Role).where(Role.key == "marketer")).one()
        had = roles.rights(session, root, role.id)
    with write_session() as session:
        grants = {cell: scope for cell, scope in had.grants.items() if cell[0] != "segment"}
        roles.set_rights(session, root, role.id, grants=grants, fields=had.fields)
    app.run()
    assert not app.exception and [title.value for title in app.title] == ["Segments"]
    assert "an administrator has changed what your role may see" in words(app) and not app.text_input
    with write_session() as session:
        roles.set_rights(session, root, role.id, grants=had.grants, fields=had.fields)
    app.run()
    assert not app.error and app.text_input(key="q")


def test_every_role_is_drawn_and_saving_it_unchanged_changes_nothing(root):
    with read_session() as session:
        known = session.exec(select(Role).where(Role.key != "administrator")).all()
    app = open_screen(root, "roles")
    for role in known:
        app.session_state["role"] = role.id
        app.run()
        app.button(key="save_rights").click().run()
        assert not app.exception and not app.error, role.name
    with read_session() as session:
        assert [session.get(Role, role.id).version for role in known] == [role.version for role in known]


def test_the_rights_of_a_role_stand_there_in_words_too_where_a_screen_has_no_room_for_the_tables(root):
    app = open_screen(root, "roles")
    with read_session() as session:
        role = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
    app.session_state["role"] = role
    app.run()
    said = {caption.value for caption in app.caption}
    assert any(line.startswith("**Deals**: see ") for line in said)
    assert not any(line.startswith("**People**") for line in said), "what it may not do at all is left out"


def test_what_was_searched_among_people_is_not_searched_in_the_list_behind_a_link(cast):
    app = open_screen(cast["root"], "people")
    app.text_input(key="q").set_value("Alice").run()
    app._page_hash = calc_hash("deals")
    app.query_params.clear()
    app.run()
    assert app.text_input(key="q").value == ""
