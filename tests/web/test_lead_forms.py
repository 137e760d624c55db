"""Public lead forms over HTTP: without an account, corrected without losing a word, framed only where allowed, and by key for programs."""

import re

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.models import FormSubmission, Lead
from crm_core.services.marketing import capture, lead_forms
from crm_core.vocabulary import SubmissionState

FIELDS = [{"key": "name", "required": True}, {"key": "email", "required": True}, {"key": "description"}]
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def form(cast):
    with write_session() as session:
        values = {
            "name": "Contact",
            "title": "Talk <b>to</b> us",
            "fields": FIELDS,
            "ask_consent": True,
            "embed_hosts": ["www.example.com"],
        }
        return lead_forms.save(session, cast["root"], None, values)


def stamp_of(page):
    return re.search(r'name="stamp" value="([^"]+)"', page.text)[1]


def leads():
    with read_session() as session:
        return list(session.exec(select(Lead)))


def test_a_stranger_fills_it_in_and_is_thanked(guest, form, monkeypatch):
    page = guest.get(f"/f/{form.slug}")
    assert page.status_code == 200 and "Talk &lt;b&gt;to&lt;/b&gt; us" in page.text
    assert "frame-ancestors 'self' https://www.example.com" in page.headers["content-security-policy"]
    assert "noindex" in page.headers["x-robots-tag"]
    monkeypatch.setattr(capture, "QUICKEST", 0)
    values = {"stamp": stamp_of(page), "name": "Ada", "email": "nobody", "description": EVIL}
    wrong = guest.post(f"/f/{form.slug}", data=values)
    assert wrong.status_code == 422 and 'aria-invalid="true"' in wrong.text
    assert "<script>alert" not in wrong.text and "&lt;script&gt;alert" in wrong.text, "nothing typed is lost, and it stays text"
    done = guest.post(f"/f/{form.slug}", data={**values, "email": "ada@example.com", "stamp": stamp_of(wrong)})
    assert done.status_code == 200 and "Thank you" in done.text
    assert [lead.description for lead in leads()] == [EVIL]


def test_a_robot_is_thanked_all_the_same(guest, form):
    page = guest.get(f"/f/{form.slug}")
    done = guest.post(f"/f/{form.slug}", data={"stamp": stamp_of(page), "name": "Bot", "email": "b@example.com", capture.TRAP: "1"})
    assert "Thank you" in done.text and leads() == []
    with read_session() as session:
        assert session.exec(select(FormSubmission.state)).one() is SubmissionState.SPAM


def test_an_unknown_or_closed_form_says_so(guest, form, cast):
    assert guest.get("/f/nothing").status_code == 404
    with write_session() as session:
        lead_forms.save(session, cast["root"], form.id, {"is_active": False})
    assert guest.get(f"/f/{form.slug}").status_code == 404
    assert guest.post(f"/f/{form.slug}", data={"name": "x", "email": "x@example.com"}).status_code == 404
    assert guest.get("/c/nothing").status_code == 404


def test_a_program_sends_with_its_key(guest, form, cast):
    with write_session() as session:
        key = lead_forms.new_key(session, cast["root"], form.id)
    send = lambda body, **more: guest.post(f"/capture/{key}", **({"json": body} if more == {} else {"content": body, **more}))  # noqa: E731
    assert send({"name": "Ada", "email": "ada@example.com"}).status_code == 201
    assert send({"name": "Ada", "email": "ada@example.com"}).json() == {"state": "twice"}
    refused = send({"name": "", "email": "x"})
    assert refused.status_code == 422 and set(refused.json()["fields"]) == {"name", "email"}
    for body in ([1], {"name": {"a": 1}}, "text", {f"k{n}": 1 for n in range(60)}):
        assert send(body).status_code == 422
    assert send(b"{", headers={"content-type": "application/json"}).status_code == 422
    assert guest.post("/capture/wrong", json={"name": "x"}).status_code == 404
    assert guest.get(f"/capture/{key}").status_code == 405
    assert len(leads()) == 1
