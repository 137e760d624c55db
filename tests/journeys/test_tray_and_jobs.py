"""What waits for a person: mail that found no place by itself, and a job that failed. Clicked, clicked twice, by two at once, and by who has no right to it."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from crm_core import jobs
from crm_core.db import write_session
from crm_core.services.inbox import tray
from tests.cast import create
from tests.crm_core.services.inbox.post import box, letter, take
from tests.journeys.looks import one
from tests.tools.app import started, worker
from tests.verbs import look


@pytest.fixture(scope="module")
def company(tmp_path_factory, sqlite_template):
    """The app with a company in which nothing has happened yet, and its people."""
    from crm_core.services.admin import setup

    folder = tmp_path_factory.mktemp("tray") / "app"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "rapport.db")
    with started(folder, scale=None) as app:
        with write_session() as session:
            setup.create_organisation(session, "Tray Ltd")
            cast = create(session)
        yield app, cast


def said(page, words):
    """Wait until these words stand anywhere on the page, in a toast too."""
    expect(page.page.get_by_text(re.compile(words)).first).to_be_visible()
    return page.idle()


def test_mail_of_the_tray_is_settled_taken_back_and_settled_by_somebody_else_meanwhile(company, tab):
    app, cast = company
    mailbox = box(cast["root"], unknown="tray")
    first, second, third = (
        take(mailbox, letter(f"Letter {n}", sender=f"Joe {n} <joe{n}@else.example>", subject=f"Question {n}", number=n))
        for n in (1, 2, 3)
    )

    sam = tab(app, cast["sam"].user_id).open("/tray").heading("Mail tray")
    sam.page.get_by_role("link", name="Joe 1").click()
    dialog = sam.page.get_by_role("dialog")
    expect(dialog.get_by_text("Letter 1")).to_be_visible()
    dialog.get_by_role("button", name="Make a ticket").dblclick()  # an impatient hand makes one ticket
    said(sam, "A ticket was made")
    assert one("select count(*) from ticket where deleted_at is null") == 1 and one("select name from contact") == "Joe 1"
    sam.click("Undo")
    said(sam, "Back in the tray")
    assert one("select count(*) from ticket where deleted_at is null") == 0 and look(tray.count, cast["sam"]) == 3

    bob = tab(app, cast["bob"].user_id).open(f"/tray?mail={second.id}")
    sam.open(f"/tray?mail={second.id}")
    for page in (sam, bob):
        expect(page.page.get_by_role("dialog").get_by_text("Letter 2")).to_be_visible()
    bob.page.get_by_role("dialog").get_by_role("button", name="Discard it").click()
    said(bob, "The message was discarded")
    sam.page.get_by_role("dialog").get_by_role("button", name="Make a ticket").click()
    said(sam, "Somebody settled this message already")
    assert one("select count(*) from ticket where deleted_at is null") == 0

    sam.open("/tray").heading("Mail tray")
    for name in ("Joe 1", "Joe 3"):
        sam.page.get_by_role("row", name=re.compile(name)).get_by_role("checkbox").check()
    sam.click("Discard")
    said(sam, "2 messages discarded")
    said(sam, "The tray is empty")
    sam.click("Undo")
    said(sam, "Back in the tray")
    assert look(tray.count, cast["sam"]) == 2 and first.id and third.id

    rep = tab(app, cast["alice"].user_id).open(f"/tray?mail={first.id}")
    rep.page.wait_for_timeout(500)
    assert rep.page.get_by_text("Letter 1").count() == 0, "a rep has no tray, by no address"


def test_a_failed_job_is_started_again_once(company, tab):
    app, cast = company
    with write_session() as session:
        job_id = jobs.enqueue(session, "routing.route", "no-such-kind", 1, title="Goes wrong")
    with worker():
        root = tab(app, cast["root"].user_id)
        for _ in range(60):
            if look(jobs.status, job_id).state == "failed":
                break
            root.page.wait_for_timeout(500)
        assert look(jobs.status, job_id).state == "failed"
        root.open("/health").heading("Health")
        said(root, "1 failed")
        root.page.get_by_role("link", name="All jobs").click()
        root.heading("Jobs")
    two = tab(app, cast["root"].user_id)
    for page in (root, two):
        page.open(f"/jobs?state=failed&job={job_id}")
        expect(page.page.get_by_role("dialog").get_by_role("button", name="Start again")).to_be_visible()
    root.page.get_by_role("dialog").get_by_role("button", name="Start again").dblclick()
    said(root, "The job waits for its turn again")
    assert look(jobs.status, job_id).state == "waiting"
    two.page.get_by_role("dialog").get_by_role("button", name="Start again").click()
    said(two, "Only a job that failed or was stopped can be started again")
    with worker():
        for _ in range(60):
            if look(jobs.status, job_id).state == "failed":
                break
            root.page.wait_for_timeout(500)
    assert look(jobs.status, job_id).attempts >= 2, "it was tried again, and tells of it again"

    agent = tab(app, cast["sam"].user_id).open(f"/jobs?job={job_id}")
    agent.page.wait_for_timeout(500)
    assert agent.page.get_by_text("Goes wrong").count() == 0
