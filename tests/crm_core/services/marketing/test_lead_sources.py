"""Leads fetched from another program: each entry once, failures wait with a retry, nothing lifts a no, and no address inside is asked."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Consent, FormSubmission, Lead, LeadSource
from crm_core.services.customers import consent
from crm_core.services.marketing import capture, lead_forms, lead_pulling, lead_sources, pull_rules
from crm_core.settings import settings
from crm_core.vocabulary import ConsentStatus, ContactWay, Purpose
from crm_core.vocabulary import SubmissionState as State
from tests.receiver import receiver
from tests.verbs import do, look

FIELDS = [{"key": "name", "required": True}, {"key": "email", "required": True}, {"key": "company"}]
MAPPING = {"name": "field_data[name=full_name].values[0]", "email": "field_data[name=email].values[0]", "company": "ad.company"}


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setenv("RAPPORT_WEBHOOK_ALLOW_LOOPBACK", "true")
    settings.cache_clear()
    with receiver() as found:
        yield found


def entry(number, name="Ada", email=None, **more):
    data = [{"name": "full_name", "values": [name]}, {"name": "email", "values": [email or f"{number}@example.com"]}]
    return {"id": number, "field_data": data, "ad": {"company": "Analytical"}, **more}


def pages(there, *found):
    """The list answers with these pages: entries and where the next one begins."""
    for entries, after in found:
        body = json.dumps({"data": entries, "paging": {"after": after}}).encode()
        there.answers.append((200, body, {"content-type": "application/json"}))


def source(cast, there, *, form=None, **more):
    made = do(lead_forms.save, cast["dana"], None, {"name": "Ads", "fields": FIELDS, **(form or {})})
    given = {
        "name": "Spring", "form_id": made.id, "url": f"{there.url}?form=7", "header": "Authorization", "secret": "Bearer s3cret", "items_path": "data",
        "id_path": "id", "mapping": MAPPING, "cursor_param": "after", "cursor_path": "paging.after", **more,
    }  # fmt: skip
    return do(lead_sources.save, cast["dana"], None, given)


def pull(later=timedelta(0)):
    with clock.frozen(clock.utcnow() + later):
        lead_pulling.pull_due(begin(f"pull:{later}", lead_sources.JOB))
    with read_session() as session:
        return session.exec(select(LeadSource)).one()


def leads():
    with read_session() as session:
        return [(lead.name, lead.email, lead.company) for lead in session.exec(select(Lead).order_by(Lead.id))]


def test_pages_are_fetched_with_the_secret_and_a_second_look_brings_nothing_twice(any_cast, there):
    made = source(any_cast, there)
    assert "s3cret" not in made.secret_sealed and look(lead_sources.find, any_cast["dana"])[0].source.secret_sealed == ""
    pages(there, ([entry(1), entry(2, "Grace")], "p2"), ([entry(3)], "p2"))
    after = pull()
    assert (after.new_count, after.known_count, after.failed_count, after.cursor, after.message) == (3, 0, 0, "p2", "")
    assert leads() == [
        ("Ada", "1@example.com", "Analytical"),
        ("Grace", "2@example.com", "Analytical"),
        ("Ada", "3@example.com", "Analytical"),
    ]
    assert [parse_qs(urlsplit(path).query).get("after") for path, _, _ in there.got] == [None, ["p2"]]
    assert {headers["authorization"] for _, headers, _ in there.got} == {"Bearer s3cret"}
    pages(there, ([entry(2, "Grace, renamed"), entry(4)], "p2"))
    again = pull(timedelta(minutes=20))
    assert (again.new_count, again.known_count, again.new_total, len(leads())) == (1, 1, 4, 4)


def test_from_the_front_a_look_ends_where_all_is_known(cast, there):
    source(cast, there, keeps_cursor=False)
    pages(there, ([entry(2)], "b"), ([entry(1)], ""))
    pull()
    pages(there, ([entry(2)], "b"))
    assert (pull(timedelta(minutes=20)).known_count, len(there.got), len(leads())) == (1, 3, 2)


def test_what_can_not_become_a_lead_waits_with_its_reason_and_is_read_anew(cast, there):
    made = source(cast, there)
    pages(there, ([entry(1, ""), {"nothing": True}, entry(2)], ""))
    assert (pull().failed_count, len(leads())) == (2, 1)
    rows, _ = look(lead_forms.sendings, cast["dana"], made.form_id, state=State.FAILED)
    assert {row.message for row in rows} == {
        "Name is needed.",
        "It has no number at “id”, so that nobody could tell whether it comes again.",
    }
    pages(there, ([entry(1, ""), {"nothing": True}], ""))
    assert (pull(timedelta(minutes=20)).known_count, len(leads())) == (2, 1)  # waits already, once
    do(lead_sources.save, cast["dana"], made.id, {"mapping": {**MAPPING, "name": "ad.company"}})
    waiting = next(row for row in rows if "needed" in row.message)
    assert do(capture.retry, cast["dana"], waiting.id) is State.LEAD
    assert leads()[-1][0] == "Analytical"
    with read_session() as session:
        assert capture.RAW not in session.get_one(FormSubmission, waiting.id).payload


def test_a_yes_that_is_fetched_never_lifts_a_no(cast, there):
    with write_session() as session:
        known = Lead(name="Ada", email="ada@example.com", status_id=1)
        session.add(known)
        session.flush()
        said = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "told us"}
        consent.record(session, cast["root"], "lead", known.id, status=ConsentStatus.WITHDRAWN, **said)
    source(cast, there, form={"ask_consent": True, "confirm_by_mail": False}, consent_path="ok")
    pages(there, ([entry(1, email="Ada@example.com", ok=True), entry(2, ok=True), entry(3, ok="perhaps")], ""))
    pull()
    with read_session() as session:
        latest = select(Consent.status).where(Consent.is_latest).order_by(Consent.id)
        assert list(session.exec(latest)) == [ConsentStatus.WITHDRAWN, ConsentStatus.GRANTED]


def test_what_goes_wrong_is_said_and_tried_again_later(cast, there):
    source(cast, there)
    there.answers += [(401, b"", {}), (200, b"<html>", {}), (302, b"", {"location": "http://169.254.169.254/"})]
    told = [pull(timedelta(hours=hours)).message for hours in (0, 1, 3)]
    assert told == ["It refuses the secret (status 401).", "The answer is not JSON.", "It answers with status 302."]
    with clock.frozen(clock.utcnow() + timedelta(hours=3, minutes=10)), read_session() as session:
        assert not lead_pulling.anything_due(session)


def test_a_source_is_checked_tried_and_leads_to_no_address_inside(cast, there, monkeypatch):
    made = source(cast, there)
    pages(there, ([entry(1)], "p2"))
    found = look(lead_sources.try_out, cast["dana"], made.id, {})
    assert (found.entries, found.external_id, found.cursor, dict(found.first)["Company"], leads()) == (
        1,
        "1",
        "p2",
        "Analytical",
        [],
    )
    for wrong in (
        {"url": "https://elsewhere.example/"}, {"id_path": ""}, {"mapping": {"name": "x"}}, {"items_path": "a..[b"}, {"header": "Host"}, {"secret": "a\nb"},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            do(lead_sources.save, cast["dana"], made.id, wrong)
    with pytest.raises(NotPermitted):
        do(lead_sources.save, cast["alice"], made.id, {})
    monkeypatch.setenv("RAPPORT_WEBHOOK_ALLOW_LOOPBACK", "false")
    settings.cache_clear()
    assert "https" in look(lead_sources.try_out, cast["dana"], made.id, {}).trouble
    inside = look(lead_sources.try_out, cast["dana"], made.id, {"url": "https://127.0.0.1/", "secret": "x"})
    assert "inside a network of its own" in inside.trouble


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.b", 1), ("a.c[1]", "y"), ("rows[name=n].v", 5), ("a.nothing", None), ("rows[7]", None), ("a.b.c", None), ("", "whole")],
)
def test_paths(path, found):
    whole = {"a": {"b": 1, "c": ["x", "y"]}, "rows": [{"name": "m"}, {"name": "n", "v": 5}]}
    assert pull_rules.look(whole, path) == (whole if found == "whole" else found)


def test_a_look_from_the_front_that_breaks_off_goes_on_where_it_was(cast, there):
    source(cast, there, keeps_cursor=False)
    pages(there, ([entry(3)], "b"))
    there.answers.append((503, b"", {}))
    assert pull().failures == 1
    pages(there, ([entry(2)], "c"), ([entry(1)], ""))
    pull(timedelta(minutes=10))
    assert [email for _, email, _ in leads()] == ["3@example.com", "2@example.com", "1@example.com"]
    assert [parse_qs(urlsplit(path).query).get("after") for path, _, _ in there.got] == [None, ["b"], ["b"], ["c"]]
    pages(there, ([entry(4), entry(3)], "b"), ([entry(2)], "c"))
    pull(timedelta(minutes=30))
    assert leads()[-1][1] == "4@example.com" and "after" not in there.got[4][0]


def test_half_a_character_in_an_entry_keeps_no_other_from_coming_in(any_cast, there):
    source(any_cast, there)
    pages(there, ([entry(1, "Ada \ud83d", note="\ud83d"), entry(2, "Bo\x00b"), entry(3), {"broken": "\udc00\x00"}], ""))
    after = pull()
    assert (after.new_count, after.failed_count, after.message, after.lease_until) == (3, 1, "", None)
    assert [name for name, _, _ in leads()] == ["Ada", "Bob", "Ada"]


def test_what_waited_without_a_number_and_came_with_it_since_is_no_second_lead(cast, there):
    made = source(cast, there, id_path="nr")
    pages(there, ([entry(1)], ""))
    assert pull().failed_count == 1
    do(lead_sources.save, cast["dana"], made.id, {"id_path": "id"})
    pages(there, ([entry(1)], ""))
    assert pull(timedelta(minutes=20)).new_count == 1
    (waiting,), _ = look(lead_forms.sendings, cast["dana"], made.form_id, state=State.FAILED)
    assert do(capture.retry, cast["dana"], waiting.id) is State.TWICE
    assert len(leads()) == 1
