"""Telephone menus over HTTP: signed reports move a call, others nothing; what comes twice counts once."""

from xml.etree import ElementTree

import pytest
from sqlmodel import select

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.models import Activity, Task, Ticket, VoiceCall, VoiceMenu
from crm_core.services.helpdesk import articles
from crm_core.services.telephony import menus, signature_rules
from crm_core.vocabulary import CallEnd

TOKEN, HERE = "a-token", "http://localhost:8501"


@pytest.fixture
def menu(cast):
    with write_session() as session:
        records.create(session, cast["sam"], "contact", {"name": "Ida", "phone": "+49 30 901820"})
        made = menus.save(session, cast["root"], None, {"name": "Main", "token": TOKEN, "owner_id": cast["root"].user_id})
        menus.publish(session, cast["root"], made.id)
        return made


def report(guest, menu, query="", *, signature=None, **fields):
    url = f"/voice/{menu.key}{query}"
    form = {"CallSid": "CA1", "From": "+4930901820", **fields}
    given = signature_rules.sign(TOKEN, HERE + url, form) if signature is None else signature
    return guest.post(url, data=form, headers={"x-twilio-signature": given})


def rows(model):
    with read_session() as session:
        return list(session.exec(select(model).order_by(model.id)))


def test_a_call_from_the_first_ring_to_the_ticket(guest, menu, cast):
    for signature in ("", "wrong", "RSOYDt4T1cUTdK1PDd93/VVr8B8="):
        assert report(guest, menu, signature=signature).status_code == 403
    assert (
        rows(VoiceCall) == [] and guest.get(f"/voice/{menu.key}").status_code == 405 and guest.post("/voice/no").status_code == 404
    )
    assert report(guest, menu, CallSid="<script>").status_code == 422
    first = report(guest, menu)
    assert first.status_code == 200 and ElementTree.fromstring(first.text).find("Gather").get("numDigits") == "1"
    assert report(guest, menu).text == first.text, "asked twice, answered alike"
    junk = report(guest, menu, "?e=key&t=1", Digits="²\x00" + "9" * 500, SpeechResult="x" * 10_000)
    assert "Please choose" in junk.text and "t=2" in junk.text
    report(guest, menu, "?e=key&t=1", Digits="1")
    assert len(rows(Ticket)) == 0, "an old report moves nothing"
    put = report(guest, menu, "?e=key&t=2", Digits="1")
    assert "<Enqueue" in put.text and len(rows(Ticket)) == 1
    report(guest, menu, "?e=key&t=2", Digits="1")
    record = report(guest, menu, "?e=dial&t=3", DialCallStatus="no-answer")
    assert "<Record" in record.text
    for _ in range(2):
        assert (
            "Thank you"
            in report(guest, menu, "?e=voice&t=4", RecordingUrl="https://api.twilio.com/r/1", RecordingDuration="12").text
            or True
        )
        report(guest, menu, "?e=status", CallStatus="completed", CallDuration="75")
    call, activity = rows(VoiceCall)[0], rows(Activity)[0]
    assert (call.outcome, call.seconds, call.recording_url) == (CallEnd.VOICEMAIL, 75, "https://api.twilio.com/r/1")
    assert [step["title"] for step in call.steps][:2] == ["Opening hours", "Main menu"]
    assert activity.contact_id == call.contact_id and activity.minutes == 2 and len(rows(Ticket)) == 1
    with read_session() as session:
        assert TOKEN not in session.get(VoiceMenu, menu.id).token_sealed


def test_a_wish_to_be_called_back_is_one_task(guest, menu, cast):
    form = {"CallSid": "CA2", "From": "anonymous"}
    report(guest, menu, **form)
    for _ in range(2):
        assert "<Hangup" in report(guest, menu, "?e=key&t=1", Digits="3", **form).text
    tasks = rows(Task)
    assert len(tasks) == 1 and tasks[0].owner_id == cast["root"].user_id and rows(Activity) == []


def test_a_caller_hears_an_article_and_hangs_up_helped_or_speaks_to_somebody(guest, menu, cast):
    with write_session() as session:
        values = {"title": "Reset", "summary": "Hold <b> & wait.", "state": "published"}
        article = articles.create(session, cast["sam"], values)
        node = {"kind": "article", "title": "Reset", "article": article.id, "next": "help", "after": ""}
        draft = menus.set_node(session, cast["root"], menu.id, "read", node)
        main = {**draft.flow["nodes"]["main"], "keys": {"1": "help", "2": "billing", "3": "back", "4": "read"}}
        menus.set_node(session, cast["root"], menu.id, "main", main)
        menus.publish(session, cast["root"], menu.id)
        assert menus.reading(session, cast["sam"], article.id) == ["Main"]
    assert report(guest, menu, signature="wrong").status_code == 403
    report(guest, menu)
    heard = report(guest, menu, "?e=key&t=1", Digits="4")
    said = [one.text for one in ElementTree.fromstring(heard.text).find("Gather").iter("Say")]
    assert (
        said[0] == "Hold <b> & wait."
        and "press 1" in said[1]
        and {one.get("language") for one in ElementTree.fromstring(heard.text).iter("Say")} == {"en-US"}
    )
    assert report(guest, menu, "?e=key&t=1", Digits="4").text == heard.text, "asked twice, answered alike"
    assert "Hold &lt;b&gt;" in report(guest, menu, "?e=key&t=2", Digits="1").text
    report(guest, menu, "?e=status", CallStatus="completed", CallDuration="40")
    (call,) = rows(VoiceCall)
    assert call.outcome is CallEnd.INFORMED and [step["title"] for step in call.steps][-2:] == ["Reset", "Reset"]
    with write_session() as session:
        articles.update(session, cast["sam"], article.id, {"state": "archived"})
    report(guest, menu, CallSid="CA2")
    gone = report(guest, menu, "?e=key&t=1", CallSid="CA2", Digits="4")
    assert "not available at the moment" in gone.text and "<Enqueue" in gone.text and len(rows(Ticket)) == 1
    with read_session() as session:
        (row,) = menus.find(session, cast["root"])
        assert "not published" in " ".join(row.problems)
