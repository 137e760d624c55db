"""The whole loop: a cluster's rule becomes a segment, the segment a campaign with a hold-out, a worker sends it to a real mail server, clicks come back,
the lift has an interval, and attribution stands beside it."""

import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from email import message_from_string, policy
from random import Random

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from crm_core.db import bump, read_session, write_session
from crm_core.kit.clock import utcnow
from crm_core.services.admin import setup
from crm_core.settings import settings
from tests.cast import create
from tests.conftest import ROOT
from tests.crm_core.services.marketing.outreach import no_quiet_hours, people
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


def until(statement, answer, seconds=150):
    """Wait for the worker."""
    deadline = time.monotonic() + seconds
    while (now := column(statement)) != answer:
        assert time.monotonic() < deadline, f"the worker did not get through: {now}"
        time.sleep(0.2)


def until_computed(number):
    until("select state from analysis_run order by id", ["done"] * number)


def column(statement):
    with read_session() as session:
        return list(session.execute(text(statement)).scalars())


def buyers(ids):
    """The first two thirds buy often and lately, the others bought once, long ago."""
    now, rng = utcnow(), Random(3)
    for turn in range(10):
        order(rng.sample(ids[:200], 160), now - timedelta(days=4 + 4 * turn, minutes=rng.randrange(600)))
    for place, one in enumerate(ids[200:]):
        order([one], now - timedelta(days=300 + place % 60))
    with write_session() as session:
        bump(session, "sales_order")


@pytest.mark.slow
def test_from_a_cluster_to_a_lift_with_its_interval_and_on_to_attribution(empty_app, mail, tab):
    with write_session() as session:
        setup.create_organisation(session, "Loop Ltd")
        cast = create(session)
    dana = cast["dana"]
    no_quiet_hours(cast["root"])
    buyers(people(PEOPLE))
    page = tab(empty_app, dana.user_id)

    # Who they are: the worker computes it, the page waits for it.
    page.open("/segmentation?p_clusters=2").click("Run").sees("You can leave this page")
    until_computed(1)
    page.sees("Where each group lies")

    # The rule of the cluster, changed by hand, becomes a segment.
    page.page.get_by_role("button", name="Edit as a segment").first.click()
    expect(page.page.get_by_role("combobox", name="When").first).to_have_value("24 months ago")
    page.idle()
    least = page.page.locator('input[value="100.00"]').first
    least.fill("150")
    least.press("Enter")
    page.idle().page.get_by_role("button", name="Save segment").first.click()
    page.sees("Kept as")
    page.page.get_by_label("Name", exact=True).fill("Best buyers")
    page.click("Save").heading("Best buyers")
    assert '"-24m"' in (rule := column("select rule from segment")[0]) and "15000" in rule
    assert column("select count(*) from segment_member where left_at is null") == [200]

    page.page.get_by_role("button", name="Start a campaign").first.click()
    page.sees("Name of the campaign")
    page.page.get_by_label("Name of the campaign").fill("Loop")
    page.click("Make the draft").heading("Loop").sees("Will receive")
    made = column("select id from campaign")[0]
    page.page.get_by_role("tab", name="Letter").click()
    page.page.get_by_label("Subject").fill("News for {{first_name}}")
    page.click("Save letter").sees("As real people get it")
    page.sees("180 people will be addressed")
    page.click("Launch …").sees("20 more are held out by chance")
    page.click("Launch now").sees("of 180 messages out")
    until("select state from campaign_plan", ["done"])
    page.open(f"/campaign?id={made}").sees("180 of 180 messages out")

    arrived = kept(mail)
    held = set(column("select address from campaign_member where is_control"))
    reached = {one["to"][0] for one in arrived}
    assert len(arrived) == len(reached) == 180 and len(held) == 20 and not reached & held

    time.sleep(3)  # what comes sooner is a scanner's
    links = [link_in(one, empty_app.url) for one in arrived[:60]]
    answer = httpx.get(links[0], headers=READER)
    assert answer.status_code == 302 and answer.headers["location"].startswith("https://www.example.com?utm_source=rapport")
    assert httpx.get(links[0][:-2] + "xx", headers=READER).status_code == 404
    with httpx.Client(headers=READER) as client:
        for link in links[1:]:
            client.cookies.clear()
            client.get(link)
    assert column("select kind from touchpoint") == ["click"] * 60

    treated = column("select contact_id from campaign_member where not is_control order by id")
    control = column("select contact_id from campaign_member where is_control order by id")
    clicked = column("select contact_id from touchpoint order by id")
    order([*clicked, *[one for one in treated if one not in clicked][:30], *control[:2]], utcnow())
    with write_session() as session:
        bump(session, "sales_order", "touchpoint")
    page.open(f"/campaign?id={made}").sees("It worked: 40 points more people")
    page.sees("95% interval").sees("Extra revenue").sees("Preliminary")

    # Second the credit of the models: it shares out what lay on the way, and names the measured lift beside it.
    page.open("/attribution?p_conversion=Orders").click("Run").sees("You can leave this page")
    until_computed(2)
    page.sees("Conversions shared out").sees("E-mail").sees("measured")


def link_in(message, url):
    """The tracked link of a message as it arrived."""
    text_part = message_from_string(message["text"], policy=policy.default).get_body(["plain"]).get_content()
    return re.search(rf"{re.escape(url)}/t/[\w-]+", text_part)[0]
