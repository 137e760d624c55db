"""The secret address of a calendar."""

from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.services.collaboration import agenda, feeds
from tests.web.conftest import visitor


def test_the_file_comes_without_a_session_once_per_change(cast):
    with write_session() as session:
        agenda.meet(session, cast["alice"], {"subject": "Demo", "at": clock.utcnow()})
        token = feeds.renew(session, cast["alice"])
    one = visitor()
    answer = one.get(f"/ical/{token}.ics")
    assert (
        answer.status_code == 200 and answer.headers["content-type"].startswith("text/calendar") and "SUMMARY:Demo" in answer.text
    )
    again = one.get(f"/ical/{token}.ics", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    for wrong in (f"{token}x.ics", ".ics", "a" * 5000):
        assert one.get(f"/ical/{wrong}").status_code == 404
    assert one.post(f"/ical/{token}.ics").status_code == 405
