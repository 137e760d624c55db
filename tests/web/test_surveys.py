"""Surveys over HTTP: what looks answers nothing, what is altered opens nothing, one answer per link."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Consent, SurveyAnswer, SurveyInvitation
from crm_core.services.feedback import surveys
from tests.crm_core.services.feedback.asking import person, solved, survey, sweep, token_of


@pytest.fixture
def invitations(cast):
    now = clock.utcnow()
    made = survey(cast["root"], at=now - timedelta(days=2), question="Was it <b>good</b>?")
    for name in ("Ida", "Otto"):
        solved(cast["sam"], person(cast["sam"], name), at=now - timedelta(hours=2))
    sweep(made.id, now)
    with read_session() as session:
        return list(session.exec(select(SurveyInvitation).order_by(SurveyInvitation.id)))


def scores():
    with read_session() as session:
        return [(row.invitation_id, row.score, row.comment) for row in session.exec(select(SurveyAnswer).order_by(SurveyAnswer.id))]


def test_links_of_surveys_in_every_case(guest, invitations):
    ida, otto = (token_of(one.id) for one in invitations)
    for method in ("head", "get", "get"):  # a scanner follows every link of the message, scores included
        page = getattr(guest, method)(f"/q/{ida}?s=1")
        assert page.status_code == 200 and "noindex" in page.headers["x-robots-tag"]
    assert scores() == [] and "Was it &lt;b&gt;good" in page.text and 'value="1" checked' in page.text
    altered = {
        "cut": ida[:-1],
        "longer": ida + "0",
        "other number": f"{otto.split('-')[0]}-{ida.split('-')[1]}",
        "none": "x",
        "odd": "zz-é",
        "huge": f"{'f' * 90}-1",
    }
    for what, token in altered.items():
        assert guest.get(f"/q/{token}").status_code == 404, what
        assert guest.post(f"/q/{token}", data={"score": "5"}).status_code == 404, what
    for wrong in ("", "9", "-1", "five", "5.0", "²", "5" * 9000):
        refused = guest.post(f"/q/{ida}", data={"score": wrong, "comment": "<i>kept</i>"})
        assert refused.status_code == 422 and "&lt;i&gt;kept" in refused.text and "Choose one" in refused.text
    assert "Thank you" in guest.post(f"/q/{ida}", data={"score": "4", "comment": "fine"}).text
    assert "Thank you" in guest.post(f"/q/{ida}", data={"score": "5", "comment": "better"}).text
    assert scores() == [(invitations[0].id, 5, "better")], "an answer can be changed, and stays one"
    with write_session() as session:
        session.exec(select(SurveyAnswer)).one().at -= timedelta(hours=25)
        session.get(SurveyInvitation, invitations[1].id).expires_at = clock.utcnow() - timedelta(minutes=1)
    late = guest.post(f"/q/{ida}", data={"score": "1"})
    assert late.status_code == 409 and "answered already" in late.text and "answered already" in guest.get(f"/q/{ida}").text
    assert "closed" in guest.get(f"/q/{otto}").text and guest.post(f"/q/{otto}", data={"score": "1"}).status_code == 409
    assert scores() == [(invitations[0].id, 5, "better")]
    guest.get(f"/q/{otto}?stop=1")
    with read_session() as session:
        assert session.exec(select(Consent)).all() == [], "looking stops nothing"
    assert "no more surveys" in guest.post(f"/q/{otto}?stop=1", data={"List-Unsubscribe": "One-Click"}).text
    with read_session() as session:
        assert len(session.exec(select(Consent)).all()) == 1


def test_the_clicked_score_counts_at_once_and_nothing_that_was_said_is_lost(guest, cast):
    now = clock.utcnow()
    questions = [
        {"kind": "yes_no", "label": "So<b>lved?", "required": True},
        {"kind": "many", "label": "How?", "options": ["Phone", "<i>Mail"]},
        {"kind": "text", "label": "What else?"},
    ]
    made = survey(cast["root"], at=now - timedelta(days=2), questions=questions)
    solved(cast["sam"], person(cast["sam"]), at=now - timedelta(hours=2))
    sweep(made.id, now)
    token = token_of(1)
    page = guest.get(f"/q/{token}?s=4")
    assert (
        "novalidate data-at-once" in page.text and "So&lt;b&gt;lved?" in page.text and 'name="q3.1"' in page.text and scores() == []
    )
    assert guest.post(f"/q/{token}", data={"score": "4", "partial": "1"}).status_code == 204 and scores() == [(1, 4, "")]
    assert "novalidate data-at-once" not in guest.get(f"/q/{token}?s=4").text, "once is enough"
    refused = guest.post(f"/q/{token}", data={"score": "", "q4": "typed &", "q3.1": "1"})
    assert refused.status_code == 422 and "typed &amp;" in refused.text and 'value="1" checked' in refused.text
    half = guest.post(f"/q/{token}", data={"score": "5", "comment": "well", "q4": "more", "q2": "perhaps"})
    assert (
        half.status_code == 422
        and "One question is" in half.text
        and ">more</textarea>" in half.text
        and scores() == [(1, 5, "well")]
    )
    assert "Thank you" in guest.post(f"/q/{token}", data={"score": "5", "comment": "well", "q4": "more", "q2": "no"}).text
    with read_session() as session:
        preview = surveys.preview_token(session, cast["root"], made.id)
    shown = guest.get(f"/q/preview-{preview}")
    assert "A preview" in shown.text and "disabled" in shown.text and guest.get(f"/q/preview-{preview}0").status_code == 404
    assert guest.post(f"/q/preview-{preview}", data={"score": "1"}).status_code == 404 and len(scores()) == 1
