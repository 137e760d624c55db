"""A whole number that is typed with decimals or out of bounds stays as typed, with a sentence, and is refused rather than cut or left out."""

import pytest
from streamlit.testing.v1 import AppTest

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid
from crm_core.models import Account
from crm_core.services import crud


def drawn():
    import streamlit as st

    from ui.components.whole_input import whole_input

    st.text(repr(whole_input("Minutes", 5, low=0, high=1440, key="minutes")))


def test_decimals_are_named_and_kept():
    app = AppTest.from_function(drawn).run()
    assert app.text[0].value == "5" and not app.caption
    app.number_input(key="minutes").set_value(2.5).run()
    assert app.text[0].value == "2.5" and "no whole number" in app.caption[0].value
    assert app.number_input(key="minutes").value == 2.5
    for typed, said in ((99999.0, "99,999 is too high. Type 1,440 or less."), (-1.0, "-1 is too low. Type 0 or more.")):
        app.number_input(key="minutes").set_value(typed).run()
        assert said in app.caption[0].value and app.text[0].value == repr(typed)
    bounds = app.number_input(key="minutes")
    assert bounds.min is None and bounds.max is None  # what is beyond them a browser keeps to itself
    app.number_input(key="minutes").set_value(3.0).run()
    assert app.text[0].value == "3" and not app.caption


def test_what_a_form_gives_on_is_refused_with_a_sentence(cast):
    with write_session() as session:
        account = crud.create(session, cast["alice"], "account", {"name": "Acme", "employees": 7})
    with pytest.raises(Invalid) as refused, write_session() as session:
        crud.update(session, cast["alice"], "account", account.id, {"employees": 12.5})
    assert "must be a whole number" in refused.value.message
    with read_session() as session:
        assert session.get(Account, account.id).employees == 7


def saving():
    import streamlit as st

    from ui.actions import perform, show_problems
    from ui.components.whole_input import whole_number

    st.text(whole_number("Points *", 0, 100, 5, key="points"))
    if st.button("Save", key="save"):
        perform(lambda session, actor: 1 / 0)
        show_problems()


@pytest.mark.parametrize(
    ("typed", "said"),
    [(2.5, "2.5 is no whole number. Type one without decimals."), (500.0, "500 is too high. Type 100 or less.")],
)
def test_nothing_is_saved_while_a_field_of_whole_numbers_shows_something_else(typed, said):
    app = AppTest.from_function(saving).run()
    app.number_input(key="points").set_value(typed)
    app.button(key="save").click().run()
    assert app.error[0].value == f"Points: {said}" and app.number_input(key="points").value == typed
