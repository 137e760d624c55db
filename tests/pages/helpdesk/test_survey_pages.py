"""The pages of surveys."""

from datetime import timedelta

from sqlmodel import select

from crm_core import records
from crm_core.db import read_session
from crm_core.kit import clock
from crm_core.models import SurveyInvitation
from crm_core.services.feedback import answering
from tests.crm_core.services.feedback.asking import do, person, solved, survey, sweep, token_of
from tests.pages.app import open_screen, press, rare, words
from ui.navigation import screen_of, screens_for


def test_from_an_empty_page_to_answers_with_their_interval(cast):
    app = open_screen(cast["root"], "surveys")
    assert not app.exception and "No surveys yet" in words(app)
    app.button(key="first_survey").click().run()
    assert not app.exception and any(field.label == "Name *" for field in app.text_input)
    now = clock.utcnow()
    made = survey(cast["root"], at=now - timedelta(days=2), cooldown_days=0, name="Af<b>ter")
    app = open_screen(cast["sam"], "survey", id=made.id)
    assert not app.exception and "Not enough answers yet: 0 of the 5" in words(app)
    for n in range(6):
        solved(cast["sam"], person(cast["sam"], f"P{n}"), at=now - timedelta(hours=2))
    sweep(made.id, now)
    for number in range(1, 7):
        do(answering.answer, token_of(number), {"score": str(5 if number < 6 else 1), "comment": "*well*"}, at=now)
    app = open_screen(cast["sam"], "survey", id=made.id)
    assert not app.exception and [metric.value for metric in app.metric] == ["83%", "6", "100%"]
    assert "With 95% certainty" in words(app)
    app = open_screen(cast["root"], "surveys")
    assert "6 asked · 6 answered (100%)" in words(app)
    app.button(key=f"change_{made.id}").click().run()
    assert not app.exception


def test_each_role_finds_the_pages_that_it_may_see(cast):
    for who in ("root", "bob", "dana", "sam", "ana"):
        assert screen_of("surveys") in screens_for(cast[who])
        app = open_screen(cast[who], "surveys")
        assert not app.exception
    assert screen_of("surveys") not in screens_for(cast["alice"])


def test_a_survey_can_be_sent_from_the_ticket_and_from_the_person(cast):
    now = clock.utcnow()
    ida = person(cast["sam"])
    ticket = solved(cast["sam"], ida, at=now - timedelta(hours=2))
    app = open_screen(cast["sam"], "ticket", id=ticket.id)
    press(app, "ask_survey").run()
    assert not app.exception and "No survey is switched on yet" in words(app)
    made = survey(cast["root"], at=now - timedelta(days=2), name="By hand", trigger="manual")
    app = open_screen(cast["sam"], "ticket", id=ticket.id)
    press(app, "ask_survey").run()
    assert not app.exception and app.selectbox(key=f"ask_survey_ticket_{ticket.id}").options == ["By hand"]
    press(app, "ask_survey")  # pressed together: Streamlit's runner closes a dialog with the next run
    app.button(key="ask_survey_yes").click().run()
    assert not app.exception and "“By hand” is on its way." in [toast.value.replace("\\", "") for toast in app.toast]
    with read_session() as session:
        invited = session.exec(select(SurveyInvitation)).one()
        assert (invited.entity, invited.record_id, invited.contact_id) == ("ticket", ticket.id, ida.id)
    app = open_screen(cast["root"], "contact", id=ida.id)
    assert "ask_survey" in rare(app)
    for url, number, key in (("contact", ida.id, "ask_survey"), ("survey", made.id, "ask")):
        app = open_screen(cast["ana"], url, id=number)
        assert not app.exception and key not in rare(app), "the analyst only reads"
    own = do(records.create, cast["alice"], "contact", {"name": "Own"})
    app = open_screen(cast["alice"], "contact", id=own.id)
    assert "ask_survey" not in rare(app), "reps have no surveys"
