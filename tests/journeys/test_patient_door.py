"""Two stories in which people and machines take turns: a stranger's form becomes a customer, and a customer's mail becomes a ticket that is late,
escalated, solved, asked about and answered badly. People act in a browser; mail comes over IMAP and leaves over SMTP."""

import re
import shutil
import time
from datetime import timedelta
from email import message_from_string, policy

import pytest
from playwright.sync_api import expect

from crm_core.db import read_session, write_session
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Mailbox, MailDelivery
from crm_core.services.collaboration import mail_run
from crm_core.services.feedback import inviting, surveys
from crm_core.services.helpdesk import articles, help_centre, service_levels, sla_watch
from crm_core.services.inbox import pulling
from crm_core.services.marketing import capture, lead_forms
from crm_core.services.routing import flow, nudges, points, rules
from crm_core.services.routing.nudges import SpeedView
from crm_core.vocabulary import LeadPointKind, RouteMethod
from tests.cast import create
from tests.crm_core.services.inbox.post import box, letter
from tests.crm_core.services.marketing.outreach import no_quiet_hours
from tests.imap_server import imap
from tests.journeys.looks import one, row
from tests.smtp_server import kept, smtp_in_settings
from tests.tools.app import started
from tests.verbs import do


@pytest.fixture(scope="module")
def company(tmp_path_factory, sqlite_template):
    """The app with a company in which nothing has happened yet, and its people."""
    from crm_core.services.admin import setup

    folder = tmp_path_factory.mktemp("patient") / "app"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "rapport.db")
    with started(folder, scale=None) as app:
        with write_session() as session:
            setup.create_organisation(session, "Patient Ltd")
            cast = create(session)
        yield app, cast


def work(job, name, *args):
    """What the worker does when it is called."""
    job(begin(f"{name}:{time.monotonic_ns()}", name), *args)


def test_a_form_becomes_a_lead_that_is_scored_routed_worked_in_time_and_converted(company, tab):
    app, cast = company
    root, alice = cast["root"], cast["alice"]
    fields = [{"key": "name", "required": True}, {"key": "email", "required": True}, {"key": "company"}, {"key": "description"}]
    form = do(
        lead_forms.save, root, None, {"name": "Talk", "title": "Talk to us", "fields": fields, "defaults": {"source": "Website"}}
    )
    website = {"field": "source", "cmp": "eq", "value": "Website"}
    do(points.save, root, None, name="Found us on the web", kind=LeadPointKind.FIT, points=60, filter=website)
    do(points.save, root, None, name="Sent a form", kind=LeadPointKind.BEHAVIOUR, points=25, signal="touch.form", half_life_days=10)
    do(rules.save, root, None, entity="lead", name="Website", method=RouteMethod.TURNS, people=[(alice.user_id, 1)], filter=website)
    do(nudges.set_targets, root, [SpeedView("Website", 60, None, cast["bob"].user_id)])

    stranger = tab(app)
    stranger.page.goto(f"{app.url}/f/{form.slug}")
    rep = tab(app, alice.user_id).open("/leads").heading("Leads")
    stranger.page.wait_for_timeout(capture.QUICKEST * 1_000)  # nobody fills a form in sooner
    for label, text in (("Name", "Ada Lovelace"), ("E-mail", "ada@engines.example"), ("Company", "Engines Ltd")):
        stranger.page.get_by_label(label).fill(text)
    stranger.page.get_by_role("button", name="Send").click()
    expect(stranger.page.get_by_role("status")).to_contain_text("Thank you")

    lead = row("select id, owner_id from lead")
    assert lead.owner_id is None, "nobody has it before a rule has spoken"
    work(flow.route_one, flow.JOB, "lead", lead.id)
    work(points.fresh, "routing.points_fresh")
    assert one("select kind from notification where user_id = :id", id=alice.user_id), "whoever gets it hears of it"

    rep.open("/leads")
    rep.page.get_by_text("Ada Lovelace").first.click()
    rep.heading("Ada Lovelace").sees("85 points · A3").sees("Sent a form")
    expect(rep.page.get_by_text("Owned by Alice Rep")).to_be_visible()
    rep.page.get_by_placeholder("What happened?").fill("She needs an engine.")
    rep.page.get_by_test_id("stMain").get_by_text("Call", exact=True).first.click()
    rep.idle()
    rep.page.locator(".st-key-logbox_lead").get_by_role("button", name="Save").click()
    rep.sees("Call logged")
    with read_session() as session:
        told = nudges.figures(session, root)
    assert (told.leads, told.within) == (1, 1), "the first contact came within its target"

    rep.page.locator(".st-key-convert button").first.click()
    dialog = rep.page.get_by_role("dialog")
    expect(dialog.get_by_label("Name of the account")).to_have_value("Engines Ltd")
    rep.idle()
    dialog.get_by_role("button", name="Convert").click()
    rep.sees("converted.")
    made = row(
        "select account.name as account, contact.name as contact, deal.owner_id from lead "
        "join account on account.id = converted_account_id join contact on contact.id = converted_contact_id "
        "join deal on deal.id = converted_deal_id"
    )
    assert tuple(made) == ("Engines Ltd", "Ada Lovelace", alice.user_id)


@pytest.fixture
def mail_server(company, tmp_path, monkeypatch):
    with smtp_in_settings(tmp_path / "arrived", monkeypatch) as arrived:
        yield arrived


def send():
    do(lambda session: session.execute(MailDelivery.__table__.update().values(next_at=clock.utcnow() - timedelta(seconds=1))))
    work(mail_run.send_due, "mail.send")


def test_a_customers_mail_is_late_escalated_solved_asked_about_and_an_unhappy_answer_is_a_task(company, mail_server, tab):
    app, cast = company
    root, sam, bob = cast["root"], cast["sam"], cast["bob"]
    no_quiet_hours(root)
    do(service_levels.save, bob, None, name="All", targets={"normal": {"first": 60, "resolve": 600}}, escalate_to_id=bob.user_id)
    asks = {
        "name": "After support",
        "kind": "nps",
        "trigger": "ticket_solved",
        "is_active": True,
        "base_url": app.url,
        "wait_hours": 0,
    }
    with clock.frozen(clock.utcnow() - timedelta(days=1)):
        do(surveys.save, root, None, asks)
    with imap() as server:
        box(root, **server.values)
        server.put(letter("The pump is broken."))
        do(lambda session: session.execute(Mailbox.__table__.update().values(next_pull_at=None)))
        with clock.frozen(clock.utcnow() - timedelta(hours=2)):
            work(pulling.pull_due, "mailbox.pull")
    ticket = row("select id, number from ticket")
    known = do(articles.create, sam, {"title": "When the pump stops", "summary": "Turn it off and on.", "state": "published"})
    do(help_centre.save, bob, {"is_on": True})
    work(sla_watch.watch, "helpdesk.sla_watch")

    manager = tab(app, bob.user_id).open("/tasks").sees(f"{ticket.number} is overdue: first response")
    manager.page.context.close()
    agent = tab(app, sam.user_id).open(f"/ticket?id={ticket.id}").heading("Broken pump").sees("The pump is broken.")
    agent.click("Assign to me").sees("Assigned to Sam Agent")
    agent.page.get_by_placeholder("Write to the customer").fill("Try turning it off.")
    agent.page.get_by_role("button", name="Help articles · 1").click()
    agent.page.locator(f".st-key-link_reply_{ticket.id}_text_0_{known.id} button:visible").click()
    expect(agent.page.get_by_placeholder("Write to the customer")).to_have_value(
        re.compile("turning it off.*/help/when-the-pump-stops", re.S)
    )
    agent.page.keyboard.press("Escape")
    agent.page.locator(f".st-key-reply_{ticket.id}_send button").click()
    agent.sees("The answer leaves in")
    send()
    assert any("Try turning it off" in arrived["text"] for arrived in kept(mail_server))
    agent.page.locator(".st-key-solve button").click()
    agent.sees("Solved.")
    reader = tab(app)
    reader.page.goto(f"{app.url}/help/{known.slug}")
    reader.page.get_by_role("button", name="Yes").click()
    expect(reader.page.get_by_role("status")).to_contain_text("Thank you")
    reader.page.context.close()
    agent.open(f"/article?id={known.id}").sees("of 1 answered with it").sees("of 1 who answered")

    with clock.frozen(clock.utcnow() + timedelta(hours=1)):
        work(inviting.invite_due, "feedback.invite")
    send()
    asked = [arrived for arrived in kept(mail_server) if "/q/" in arrived["text"]]
    assert [arrived["to"] for arrived in asked] == [["ida@customer.example"]]
    body = message_from_string(asked[0]["text"], policy=policy.default).get_body(["plain"]).get_content()
    customer = tab(app)
    customer.page.goto(re.search(rf"{re.escape(app.url)}/q/\S+", body)[0])
    customer.page.get_by_text("2", exact=True).first.click()
    customer.page.get_by_role("textbox").fill("It took far too long.")
    customer.page.get_by_role("button", name="Send the answer").click()
    expect(customer.page.get_by_role("status")).to_be_visible()
    agent.open("/tasks").sees("2 of 10 in “After support”")
    assert one("select count(*) from task where ticket_id = :id and owner_id = :who", id=ticket.id, who=sam.user_id) == 1
    assert one("select status from ticket where id = :id", id=ticket.id) == "solved"
