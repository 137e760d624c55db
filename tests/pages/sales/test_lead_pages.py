"""The lead screens: every role, an empty database, qualify, take up again, take a conversion back, the duplicate hints."""

import pytest

from crm_core.db import read_session
from crm_core.services.collaboration import files
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, LeadKind
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do
from ui.addresses import NEW
from ui.components import duplicate_hints
from ui.components.first_steps import STEPS
from ui.navigation import screen_of, screens_for


def new(actor, **values):
    return do(leads.create, actor, {"name": "Maria Anders", "company": "Alfreds", "email": "maria@alfreds.example", **values})


def kind_of(actor, lead_id):
    with read_session() as session:
        lead = leads.get(session, actor, lead_id)
        return {status.id: status.kind for status in leads.statuses(session, actor)}[lead.status_id]


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "leads")
    assert not app.exception and not app.error
    assert "No leads yet" in words(app)
    assert ("New lead" in words(app)) == cast[who].can("lead", Action.CREATE)


def test_an_agent_has_no_leads(cast):
    assert screen_of("leads") not in screens_for(cast["sam"])


def test_the_primary_action_follows_the_state(cast):
    alice = cast["alice"]
    lead = new(alice)
    app = open_screen(alice, "lead", id=lead.id)
    app.button(key="qualify").click().run()
    assert not app.exception and kind_of(alice, lead.id) is LeadKind.QUALIFIED
    assert "qualify" not in {button.key for button in app.button} and app.button(key="convert").label == "Convert"
    do(leads.disqualify, alice, lead.id, reason="No budget", later=True)
    app = open_screen(alice, "lead", id=lead.id)
    app.button(key="reopen").click().run()
    assert kind_of(alice, lead.id) is LeadKind.WORKING


def test_a_conversion_is_shown_and_taken_back(cast):
    alice = cast["alice"]
    lead = new(alice)
    do(leads.convert, alice, lead.id, deal_name="First order")
    app = open_screen(alice, "lead", id=lead.id)
    assert {"to_account", "to_contact", "to_deal"} <= {button.key for button in app.button}
    assert not {"edit", "qualify", "convert", "disqualify"} & {button.key for button in app.button}
    app.button(key="undo_conversion").click().run()
    assert not app.exception and kind_of(alice, lead.id) is LeadKind.OPEN


def test_a_stranger_and_a_harmful_name(cast):
    lead = new(cast["alice"], name=EVIL.strip()[:300], company=EVIL.strip()[:300])
    app = open_screen(cast["alice"], "lead", id=lead.id)
    assert not app.exception and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]\\(http\\:")
    assert open_screen(cast["charlie"], "lead", id=lead.id).error


def test_an_analyst_reads_a_masked_lead(cast):
    lead = new(cast["alice"])
    app = open_screen(cast["ana"], "lead", id=lead.id)
    assert not app.exception and "Maria" not in words(app) and "maria@" not in words(app)
    assert not {"edit", "qualify", "convert", "disqualify", "assign"} & {button.key for button in app.button}


def test_candidates_for_a_conversion_name_the_account_and_the_contact_that_are_here(cast):
    alice = cast["alice"]
    first = new(alice)
    made = do(leads.convert, alice, first.id)
    second = new(alice, company="Alfreds GmbH")
    with read_session() as session:
        found = leads.candidates(session, alice, second.id)
    assert [hit.id for hit in found.accounts] == [made.account_id]
    assert [hit.id for hit in found.contacts] == [made.contact_id]
    assert found.hidden == 0


def test_the_dialog_of_a_conversion_asks_why_something_that_looks_known_is_a_new_one(cast):
    alice = cast["alice"]
    do(leads.convert, alice, new(alice).id)
    lead = new(alice)
    app = open_screen(alice, "lead", id=lead.id)
    app.button(key="convert").click().run()
    assert app.button(key="convert_yes").label == "Convert", "what is here is chosen at first"
    app.radio(key="convert_contact").set_value("new")
    app.button(key="convert").click().run()
    assert app.button(key="convert_yes").label == "Convert anyway"
    app.button(key="convert").click()
    app.button(key="convert_yes").click().run()
    assert "Say why this is a new one" in words(app) and kind_of(alice, lead.id) is LeadKind.OPEN
    app.selectbox(key="convert_why").set_value("shared")
    app.button(key="convert").click()
    app.button(key="convert_yes").click().run()
    assert not app.exception and kind_of(alice, lead.id) is LeadKind.CONVERTED


def test_the_new_lead_dialog_shows_who_is_already_here(cast):
    lead = new(cast["alice"])
    app = open_screen(cast["alice"], "leads")
    app.button(key="new_lead").click().run()
    app.text_input(key="new_lead_email").set_value("Maria@Alfreds.example")
    app.button(key="new_lead").click().run()
    shown = words(app)
    assert not app.exception
    assert "This may already be here" in shown and "same e-mail address" in shown
    assert app.button(key="new_lead_save").label == "Create anyway"
    assert f"new_lead_open_lead_{lead.id}" in {button.key for button in app.button}
    assert app.selectbox(key="new_lead_why").label.startswith("If it is a new one: why?")


def test_hidden_matches_are_only_counted(cast):
    new(cast["alice"])
    app = open_screen(cast["charlie"], "leads")
    app.button(key="new_lead").click().run()
    app.text_input(key="new_lead_email").set_value("maria@alfreds.example")
    app.button(key="new_lead").click().run()
    assert "1 that is not shared with you" in words(app) and "Maria" not in words(app)


def test_matches_nobody_saw_yet_hold_the_first_click_back(cast, monkeypatch):
    """Who types and clicks Create at once must see the matches before a double is made."""
    state: dict = {}
    monkeypatch.setattr(duplicate_hints.st, "session_state", state)
    monkeypatch.setattr(duplicate_hints, "_card", lambda *_: None)
    found = duplicate_hints.Found((duplicate_hints.Duplicate("lead", 1, "M", 0.97, ("same e-mail address",)),), 0)
    monkeypatch.setattr(duplicate_hints, "load", lambda *_: found)
    first = duplicate_hints.duplicate_hints("lead", {"email": "m@x.example"}, name="n")
    second = duplicate_hints.duplicate_hints("lead", {"email": "m@x.example"}, name="n")
    assert (first, second) == ((True, False), (True, True))


def test_a_file_is_put_on_a_record_and_taken_off(cast):
    alice = cast["alice"]
    lead = new(alice)
    app = open_screen(alice, "lead", id=lead.id)
    app.get("file_uploader")[0].upload("offer.html", b"<b>hello</b>", "text/html").run()
    assert not app.exception
    with read_session() as session:
        (kept,) = files.find(session, alice, "lead", lead.id)
    assert kept.name == "offer.html"
    app = open_screen(alice, "lead", id=lead.id)
    app.button(key=f"file_x_{kept.id}").click().run()
    with read_session() as session:
        assert files.find(session, alice, "lead", lead.id) == []
    app = open_screen(cast["ana"], "lead", id=lead.id)
    assert not app.get("file_uploader")


def form_of(app):
    """The text fields of the form of a new lead."""
    return [field for field in app.text_input if "new_lead" in str(field.key)]


def test_the_first_step_on_today_leads_to_the_form_once(cast):
    alice, ana = cast["alice"], cast["ana"]
    asked = next(step for step in STEPS if step.url == "leads")
    assert asked.form
    app = open_screen(alice, "leads", **{NEW: 1})
    assert not app.exception
    assert form_of(app)
    assert NEW not in app.query_params
    assert not form_of(open_screen(alice, "leads"))
    assert not form_of(open_screen(ana, "leads", **{NEW: 1})), "analysts enter none"
