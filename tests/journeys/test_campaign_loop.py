"""A marketer's story: a segment becomes a campaign with a hold-out, a worker sends it to a real mail server, a click comes back, the lift has an interval."""

import os
import re
import subprocess
import sys
import time
from email import message_from_string, policy

import httpx
import pytest
from sqlalchemy import text

from crm_core.db import read_session, write_session
from crm_core.kit.clock import utcnow
from crm_core.services.admin import setup
from crm_core.services.marketing import campaigns, segments
from crm_core.settings import settings
from tests.cast import create
from tests.conftest import ROOT
from tests.crm_core.services.marketing.outreach import do, no_quiet_hours, people
from tests.crm_core.services.marketing.test_outcomes import order
from tests.smtp_server import kept, smtp_process

PEOPLE = 300
READER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"}


@pytest.fixture
def mail(empty_app, tmp_path, monkeypatch):
    """A mail server, and a worker beside the app that knows it; gives the file with what arrived."""
    with smtp_process(tmp_path / "arrived") as address:
        monkeypatch.setenv("RAPPORT_SMTP_URL", address)
        monkeypatch.setenv("RAPPORT_MAIL_FROM", "Loop Ltd <news@example.com>")
        settings.cache_clear()
        log = (empty_app.folder / "worker.log").open("w")
        command = [sys.executable, "-m", "crm_core", "worker"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=log, stderr=subprocess.STDOUT
        )
        yield tmp_path / "arrived"
        process.terminate()
        process.wait(30)
        log.close()


def until_all_out(seconds=120):
    deadline = time.monotonic() + seconds
    while column("select state from campaign_plan") != ["done"]:
        assert time.monotonic() < deadline, "the worker did not get through"
        time.sleep(0.2)


def column(statement):
    with read_session() as session:
        return list(session.execute(text(statement)).scalars())


@pytest.mark.slow
def test_from_a_segment_to_a_lift_with_its_interval(empty_app, mail, tab):
    with write_session() as session:
        setup.create_organisation(session, "Loop Ltd")
        cast = create(session)
    dana = cast["dana"]
    no_quiet_hours(cast["root"])
    people(PEOPLE)
    do(segments.create, dana, name="Everybody", entity="contact", rule={"field": "email", "cmp": "not_empty"})
    made = do(campaigns.create, dana, {"name": "Loop"}).id

    page = tab(empty_app, dana.user_id)
    page.open(f"/campaign?id={made}").heading("Loop")
    page.page.get_by_role("combobox", name="Segments to address").click()
    page.page.get_by_role("option", name=re.compile("Everybody")).click()
    page.sees("Will receive")
    page.page.keyboard.press("Escape")
    page.page.get_by_role("tab", name="Letter").click()
    page.page.get_by_label("Subject").fill("News for {{first_name}}")
    page.click("Save letter").sees("As real people get it")
    page.sees("270 people will be addressed")
    page.click("Launch …").sees("30 more are held out by chance")
    page.click("Launch now").sees("of 270 messages out")
    until_all_out()
    page.open(f"/campaign?id={made}").sees("270 of 270 messages out")

    arrived = kept(mail)
    held = set(column("select address from campaign_member where is_control"))
    reached = {one["to"][0] for one in arrived}
    assert len(arrived) == len(reached) == PEOPLE - len(held) == 270 and not reached & held

    message = message_from_string(arrived[0]["text"], policy=policy.default)
    link = re.search(rf"{re.escape(empty_app.url)}/t/[\w-]+", message.get_body(["plain"]).get_content())[0]
    time.sleep(3)  # what comes sooner is a scanner's
    answer = httpx.get(link, headers=READER)
    assert answer.status_code == 302 and answer.headers["location"].startswith("https://www.example.com?utm_source=rapport")
    assert httpx.get(link[:-2] + "xx", headers=READER).status_code == 404
    assert column("select kind from touchpoint") == ["click"]

    treated = column("select contact_id from campaign_member where not is_control order by id")
    control = column("select contact_id from campaign_member where is_control order by id")
    order(treated[:90] + control[:2], utcnow())
    page.open(f"/campaign?id={made}").sees("It worked: 26.7 points more people")
    page.sees("95 % interval").sees("Extra revenue").sees("Preliminary")
