"""The pages of lists to call."""

from types import SimpleNamespace

import pytest
from sqlmodel import select

from crm_core import records
from crm_core.db import read_session
from crm_core.models import Activity, DialAttempt
from crm_core.services.customers.reach_rules import Reach
from crm_core.services.telephony import dial_lists, dialling
from crm_core.vocabulary import ActivityKind, CallOutcome, Verdict
from tests.pages.app import draw_alone, open_screen, words
from tests.verbs import do
from ui.components.dial_call import _number
from ui.navigation import screen_of, screens_for


def who(app):
    """The name of the person who is before the caller."""
    return app.subheader[0].value.replace("\\", "").replace("\u2060", "")


def test_from_an_empty_page_through_a_list_to_its_end(cast):
    alice = cast["alice"]
    app = open_screen(alice, "calls")
    assert not app.exception and "No lists to call yet" in words(app)
    app.button(key="first_dial").click().run()
    assert not app.exception
    for name in ("Ada <b>", "Bea"):
        do(records.create, alice, "contact", {"name": name, "phone": "+49 30 901820"})
    app = open_screen(alice, "calls", source="filter", entity="contact")
    assert not app.exception and "2 people** can be called" in " ".join(one.value for one in app.info)
    for broken in ({"entity": "deal"}, {"entity": "contact", "f": "{bad}"}):
        app = open_screen(alice, "calls", source="filter", **broken)
        assert not app.exception and not app.info, "an address that means nothing calls nobody"
    always = {"from_minute": 0, "until_minute": 1440, "weekdays_only": False}
    list_id, ready = do(
        dial_lists.save, alice, None, {"name": "Calls", "source": "filter", "entity": "contact", "order_by": "name", **always}
    )
    assert ready == 2
    app = open_screen(alice, "dial", id=list_id)
    assert not app.exception and "2 to call now" in words(app)
    app.button(key="dial_start").click().run()
    assert not app.exception and who(app) == "Ada <b>" and "Filtered list" in words(app)
    entry = do(dialling.current, alice, list_id).entry_id
    app.button(key=f"dial_{entry}_0_no_answer").click().run()
    assert not app.exception and who(app) == "Bea" and "Last: Ada <b>, no answer" in words(app)
    entry = do(dialling.current, alice, list_id).entry_id
    app.button(key=f"dial_{entry}_0_reached").click().run()
    app.text_area(key=f"dial_{entry}_0_note").set_value("Likes it")
    app.button(key=f"dial_{entry}_0_save").click().run()
    assert not app.exception and "Nobody is due right now" in words(app) and "1 not reached, to be tried again" in words(app)
    with read_session() as session:
        assert len(session.exec(select(DialAttempt)).all()) == 2
    app = open_screen(alice, "calls")
    assert not app.exception and app.button(key=f"open_{list_id}").label == "Open", "nobody is due, so nobody is to be called"
    for tab in ("people", "results"):
        app = open_screen(alice, "dial", id=list_id, tab=tab)
        assert not app.exception
    assert [metric.value for metric in app.metric] == ["2", "2", "50%"]
    cid = do(records.create, alice, "contact", {"name": "Cid"}).id
    app = open_screen(alice, "contact", id=cid)
    app.button_group(key=f"log_contact_{cid}_kind").set_value(ActivityKind.CALL).run()
    app.button_group(key=f"log_contact_{cid}_came_0").set_value(CallOutcome.NO_ANSWER)
    app.button(key=f"log_contact_{cid}_save").click().run()
    with read_session() as session:
        logged = session.exec(select(Activity).where(Activity.contact_id == cid)).one()
        assert (logged.kind, logged.outcome, logged.subject) == (ActivityKind.CALL, CallOutcome.NO_ANSWER, "No answer"), (
            "one press is enough"
        )
    assert "Go on" not in words(open_screen(cast["bob"], "calls")), "it is hers alone"
    for name in ("root", "bob", "dana", "sam"):
        assert screen_of("calls") in screens_for(cast[name])
    assert screen_of("calls") not in screens_for(cast["ana"])


@pytest.mark.parametrize("verdict", list(Verdict))
def test_who_asked_meanwhile_not_to_be_called_has_no_button_to_press(cast, verdict):
    call = SimpleNamespace(phone="+49 30 1234567", reach=Reach(verdict, ("Eve asked not to be called.",)))
    app = draw_alone(cast["alice"], _number, call)
    (button,) = app.get("link_button")
    assert not app.exception and button.proto.disabled == (verdict is Verdict.NO) and "Eve asked" in words(app)
