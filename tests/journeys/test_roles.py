"""A day of each role in a real browser, counted in what hands do; each once with bad input, once clicked twice, once with somebody else at work."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import text
from sqlmodel import select

from crm_core.access import load
from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import Stage
from crm_core.services import crud
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import deals
from crm_core.vocabulary import GateStrictness, TicketKind
from tests.journeys.hands import Hands, becomes, says, settled
from tests.journeys.looks import one, row
from tests.tools.browser import called


@pytest.fixture
def meanwhile(demo_app):
    """Callable: ``meanwhile(verb, *args)`` does something as the administrator, while somebody else has a page open."""

    def act(verb, *args, **kwargs):
        with write_session() as session:
            return verb(session, load(session, demo_app.people()["administrator"]), *args, **kwargs)

    return act


def open_deal(app, *, place=0):
    query = (
        "select id, name, version, stage_id from deal where owner_id = :rep and outcome = 'open' order by id limit 1 offset :place"
    )
    return row(query, rep=app.people()["sales_rep"], place=place)


def count(table, clause, **values):
    return one(f"select count(*) from {table} where {clause}", **values)


def test_a_rep_logs_a_call_with_its_follow_up_in_six_actions(demo_app, tab, meanwhile):
    deal = open_deal(demo_app)
    page = tab(demo_app, "sales_rep").open(f"/deal?id={deal.id}")
    box, hands = page.page.locator(".st-key-logbox_deal"), Hands(page)
    calls = lambda: count("activity", "deal_id = :id and kind = 'call'", id=deal.id)  # noqa: E731
    before = calls()

    box.get_by_role("button", name="Save").click()  # bad input: nothing was said
    says(page, "Write a word about what happened.")
    assert calls() == before

    meanwhile(crud.update, "deal", deal.id, {"next_step": "Visit on Thursday"})  # somebody else is at the same deal
    hands.click(box.get_by_role("radio", name="Call"))
    hands.write(box.get_by_role("textbox", name="What happened?"), "Maria wants the offer by Friday")
    hands.click(box.get_by_text("Follow-up and details"))
    hands.write(box.get_by_role("textbox", name="Follow-up task"), "Send the offer")
    hands.click(box.get_by_role("button", name="Save"), click_count=3, delay=20)  # impatient, and still one call
    becomes(page, lambda: count("task", "deal_id = :id and subject = 'Send the offer'", id=deal.id), 1)
    assert calls() == before + 1 and hands.actions <= 6 and hands.seconds <= 15
    assert one("select next_step from deal where id = :id", id=deal.id) == "Visit on Thursday"
    says(page, "Maria wants the offer by Friday")
    expect(page.page.get_by_text("Write a word about what happened.")).to_have_count(
        0
    )  # the further clicks were about the same call
    page.idle()
    assert calls() == before + 1 and count("task", "deal_id = :id and subject = 'Send the offer'", id=deal.id) == 1


def test_a_rep_enters_a_lead_and_is_told_that_a_colleague_was_faster(demo_app, tab, meanwhile):
    page = tab(demo_app, "sales_rep").open("/leads").heading("Leads")
    hands = Hands(page).press("n")
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Create lead").click()  # bad input: nobody's name
    expect(dialog.get_by_text("Name is needed.")).to_be_visible()
    hands.write(dialog.get_by_label("Name *"), "Ulla Nyström")
    hands.write(dialog.get_by_label("Company"), "Kaffehuset Ek")
    hands.write(dialog.get_by_label("E-mail"), "ulla@kaffehuset-ek.example")
    settled(page)
    hands.click(dialog.get_by_role("button", name="Create lead"), click_count=2, delay=20)
    becomes(page, lambda: count("lead", "email = 'ulla@kaffehuset-ek.example'"), 1)
    expect(page.page.get_by_role("heading", name="Ulla Nyström")).to_be_visible()
    page.idle()
    assert count("lead", "email = 'ulla@kaffehuset-ek.example'") == 1  # the second click entered no second one
    assert hands.actions <= 6 and hands.seconds <= 20

    page.go("Leads").heading("Leads")
    page.page.keyboard.press("n")
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name *").fill("Bo Ek")
    settled(page)
    meanwhile(crud.create, "account", {"name": "Second Street Roasters", "website": "second-street.example"})
    dialog.get_by_label("E-mail").fill("bo@second-street.example")
    settled(page)
    expect(dialog.get_by_text("This may already be here")).to_be_visible()
    expect(dialog.get_by_text("Second Street Roasters")).to_be_visible()


def test_a_rep_moves_a_deal_in_one_gesture_and_presses_faster_than_the_board_draws(demo_app, tab, meanwhile):
    rep = demo_app.people()["sales_rep"]
    query = """select deal.id, deal.name, deal.version from deal join stage on stage.id = stage_id
        where owner_id = :rep and outcome = 'open' and stage.name = 'Qualified' and next_step_on is not null order by deal.id limit 1"""
    deal = row(query, rep=rep)
    stage = lambda: one("select stage.name from deal join stage on stage.id = stage_id where deal.id = :id", id=deal.id)  # noqa: E731
    page = tab(demo_app, rep).open("/pipeline").heading("Pipeline")
    column = lambda name: page.page.locator(f'section[aria-label="{name}"]')  # noqa: E731
    card = page.page.locator(f'article.card[data-id="{deal.id}"]')

    hands = Hands(page).drag(card, column("Prospecting"))
    becomes(page, stage, "Prospecting")
    assert hands.actions == 1
    expect(column("Prospecting").locator(f'[data-id="{deal.id}"]')).to_be_visible()
    page.idle()

    card.focus()
    hands.press("Shift+ArrowRight").press("Shift+ArrowRight")  # twice before the first is drawn
    becomes(page, stage, "Proposal")
    expect(column("Proposal").locator(f'[data-id="{deal.id}"]')).to_be_visible()
    page.idle()

    negotiation = one("select id from stage where name = 'Negotiation'")
    meanwhile(deals.move, deal.id, negotiation)  # a colleague was faster
    card.drag_to(column("Qualified"))
    says(page, "Somebody else")
    assert stage() == "Negotiation"
    expect(column("Negotiation").locator(f'[data-id="{deal.id}"]')).to_be_visible()


def test_a_manager_lets_a_deal_into_a_stage_that_asks_for_more(demo_app, tab):
    """Of the demo's own gate, by keyboard on the board; and wins in spite of a warning, from the deal."""
    deal = row(
        "select deal.id, name from deal where stage_id = (select id from stage where name = 'Proposal') order by expected_close_on, id limit 1"
    )
    with write_session() as session:
        session.execute(text("update deal set amount_minor = 2000000, next_step = null where id = :id"), {"id": deal.id})
        won = session.exec(select(Stage).where(Stage.name == "Won")).one()
        won.gate, won.gate_message = {"field": "name", "cmp": "ne", "value": deal.name}, "Say what comes after the signature."
        won.gate_strictness = GateStrictness.WARN
        session.add(won)
    stage = lambda: one("select stage.name from deal join stage on stage.id = stage_id where deal.id = :id", id=deal.id)  # noqa: E731
    page = tab(demo_app, "manager").open("/pipeline").heading("Pipeline")
    card = page.page.locator(f'article.card[data-id="{deal.id}"]')
    card.focus()
    page.page.keyboard.press("Shift+ArrowRight")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_text("need a next step with a day")).to_be_visible()
    dialog.get_by_label("Why does it go on all the same?").fill("Signed on paper")
    dialog.get_by_role("button", name="Move anyway").click()
    becomes(page, stage, "Negotiation")
    page.idle().visit(f"/deal?id={deal.id}")
    expect(page.page.get_by_text("let the deal into Negotiation all the same: Signed on paper")).to_be_visible()
    page.page.locator(".st-key-win button").click()
    dialog.get_by_role("button", name="Mark as won").click()
    expect(dialog.get_by_text("Say what comes after the signature.")).to_be_visible()
    dialog.get_by_role("button", name="Win anyway").click()
    becomes(page, stage, "Won")


def test_an_agent_answers_a_ticket_in_four_actions(demo_app, tab, meanwhile):
    agent = demo_app.people()["support_agent"]
    waiting = row("select id, subject from ticket where owner_id = :me and status in ('new', 'open') order by id limit 1", me=agent)
    answers = lambda: count("ticket_message", "ticket_id = :id and direction = 'outbound'", id=waiting.id)  # noqa: E731
    before = answers()
    page = tab(demo_app, agent).open("/today").heading("Today")
    hands = Hands(page).click(page.page.locator(".st-key-today_ticket").get_by_role("link", name=waiting.subject))
    expect(page.page.get_by_role("heading", name=waiting.subject)).to_be_visible()
    box = page.page.locator(".st-key-replybox")
    box.get_by_role("button", name="Send Shortcut").click()  # bad input: no word
    says(page, "Write an answer first.")
    hands.write(box.get_by_role("textbox", name="Message"), "The new valve comes tomorrow.")
    hands.click(box.get_by_role("button", name="Send Shortcut"), click_count=3, delay=20)
    becomes(page, answers, before + 1)
    assert hands.actions <= 4
    becomes(page, lambda: one("select status from ticket where id = :id", id=waiting.id), "waiting_customer")
    page.idle()

    box.get_by_role("textbox", name="Message").fill("One more thing.")
    settled(page)
    meanwhile(tickets.solve, waiting.id)  # a colleague closes it while this answer is being written
    box.get_by_role("button", name="Send Shortcut").click()
    says(page, "solved")
    assert answers() == before + 1
    assert one("select status from ticket where id = :id", id=waiting.id) == TicketKind.SOLVED

    with write_session() as session:
        session.execute(text("update ticket set status = 'open', solved_at = null where id = :id"), {"id": waiting.id})
    page.visit(f"/ticket?id={waiting.id}")
    box.get_by_role("textbox", name="Message").fill("It is in the post.")
    settled(page)
    meanwhile(tickets.reply, waiting.id, "I have posted it.")  # a colleague is faster
    box.get_by_role("button", name="Send Shortcut").click()
    says(page, "answered while you were writing")
    says(page, "I have posted it.")
    assert answers() == before + 2
    expect(box.get_by_role("textbox", name="Message")).to_have_value("It is in the post.")
    box.get_by_role("button", name="Send Shortcut").click()
    becomes(page, answers, before + 3)


def test_a_marketer_adds_a_member_once_whoever_else_does_it_too(demo_app, tab, meanwhile):
    from crm_core.services.marketing import campaigns

    campaign = row("select id, name from campaign where status = 'running' order by id limit 1")
    outside = """select id, name from contact where deleted_at is null and id not in
        (select contact_id from campaign_member where campaign_id = :id and contact_id is not null) order by id limit 1 offset :n"""
    first, second = (row(outside, id=campaign.id, n=n) for n in (0, 1))
    members = lambda one_of: count("campaign_member", "campaign_id = :id and contact_id = :who", id=campaign.id, who=one_of.id)  # noqa: E731
    page = tab(demo_app, "marketer").open(f"/campaign?id={campaign.id}")
    hands = Hands(page).click(page.page.get_by_role("tab", name="Members")).click("Add people")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Add", exact=True)).to_be_disabled()  # bad input: nobody
    _choose(page, dialog, hands, first.name)
    hands.click(dialog.get_by_role("button", name="Add", exact=True), click_count=2, delay=20)
    expect(
        dialog.get_by_text(f"{first.name} added.").or_(dialog.get_by_text(f"{first.name} was in already.")).first
    ).to_be_visible()
    assert members(first) == 1 and hands.actions <= 6

    _choose(page, dialog, hands, second.name)
    meanwhile(campaigns.add_members, campaign.id, "contact", [second.id])
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text(f"{second.name} was in already.")).to_be_visible()
    assert members(second) == 1


def _choose(page, dialog, hands, name):
    field = dialog.get_by_role("combobox").first
    hands.write(field, name)
    option = dialog.get_by_role("option", name=name).first
    expect(option).to_be_visible()
    hands.click(option)
    page.page.wait_for_timeout(300)
    page.idle()


def test_a_manager_reads_the_overview_and_gets_to_the_records_behind_a_figure(demo_app, tab, meanwhile):
    page = tab(demo_app, "manager").open("/overview?period=all").heading("Overview")
    card = page.page.locator(".st-key-kpi_win_rate")
    behind = card.get_by_text(re.compile(r"^[\d,]+ deals?$")).first
    expect(behind).to_be_visible()
    number = behind.inner_text()
    hands = Hands(page).click(behind, click_count=2, delay=20)
    page.heading("Deals")
    says(page, number)
    assert hands.actions == 1
    meanwhile(
        deals.win, open_deal(demo_app, place=2).id, closed_on=clock.today(), reason="Price"
    )  # somebody works while this is read
    page.open("/overview?period=all&start=31.02.&area=Nowhere&against=nonsense").heading(
        "Overview"
    )  # bad input: an address nobody wrote
    more = f"{int(number.split()[0].replace(',', '')) + 1:,} deals"
    expect(page.page.locator(".st-key-kpi_win_rate").get_by_text(more)).to_be_visible()


def test_an_analyst_reads_figures_and_sees_no_personal_data(demo_app, tab, meanwhile):
    person = row("select id, name, email from contact where email is not null and account_id is not null order by id limit 1")
    page = tab(demo_app, "analyst").open(f"/contact?id={person.id}")
    page.sees("Contact details are hidden from your role.")
    meanwhile(crud.update, "contact", person.id, {"job_title": "Head of breaks"})
    page.open(f"/contact?id={person.id}").sees("Head of breaks")
    body = page.page.get_by_test_id("stMain").inner_text()
    assert person.name not in body and person.email not in body
    assert page.page.locator(".st-key-edit, .st-key-delete, .st-key-logbox_contact").count() == 0
    page.open(f"/contacts?q={person.name.split()[-1]}").heading("Contacts")
    expect(page.page.get_by_text(person.name)).to_have_count(0)
    page.open("/contact?id=none").sees("This address names no record.")  # bad input: an address nobody wrote
    page.page.get_by_role("link", name="Contacts", exact=True).last.click()
    page.heading("Contacts")
    page.page.locator("[class*=st-key-view_menu] button").first.click()
    page.click("Save as a view")
    dialog = page.page.get_by_role("dialog")
    save = dialog.get_by_role("button", name=called("Save"))
    save.click()
    expect(dialog.get_by_text("Give the view a name.")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("Heads of breaks")
    settled(page)
    save.click(click_count=2, delay=20)
    expect(dialog).to_have_count(0)
    assert count("saved_view", "name = 'Heads of breaks'") == 1
    page.open("/people").sees("Your role doesn't open this screen.")
    page.open("/overview").heading("Overview")


def test_an_account_is_handed_over_and_taken(demo_app, tab):
    offer = row(
        "select h.id, h.account_id, h.to_user_id, a.name from handover h join account a on a.id = h.account_id where h.state = 'pending' order by h.id limit 1"
    )
    with write_session() as session:
        session.connection().exec_driver_sql(
            "update contact set goals = 'Shorter queues' where account_id = ?", (offer.account_id,)
        )
    page = tab(demo_app, offer.to_user_id).open("/today").heading("Today")
    page.page.locator(f".st-key-today_handover_{offer.id}").get_by_role("button").click()
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Accept")).to_be_disabled()
    dialog.get_by_role("button", name="Send back").click()  # bad input: no reason
    expect(dialog.get_by_text("Say what is missing").first).to_be_visible()
    left = dialog.locator("label:has(input[type=checkbox]:not(:checked))")
    while left.count():
        number = left.count()
        left.first.click()
        expect(left).to_have_count(number - 1)
        page.idle()
    dialog.get_by_role("button", name="Accept").click(click_count=2, delay=20)
    becomes(page, lambda: one("select owner_id from account where id = :id", id=offer.account_id), offer.to_user_id)
    assert one("select state from handover where id = :id", id=offer.id) == "accepted"
    page.open(f"/account?id={offer.account_id}").sees("accepted the hand-over")


def test_a_visitor_of_the_demo_looks_at_it_as_another_role_and_comes_back(demo_app, tab):
    page = tab(demo_app, "administrator").open("/today").heading("Today")
    hands = Hands(page).click(page.page.get_by_text("Look at it as …")).click(re_button(page, "Sales rep"))
    expect(page.page.get_by_text("You look at it as: Sales rep")).to_be_visible()
    assert page.page.get_by_test_id("stSidebarNav").get_by_role("link", name="People", exact=True).count() == 0
    hands.click(re_button(page, "Back to administrator"))
    expect(page.page.get_by_text("You look at it as: Administrator")).to_be_visible()
    assert hands.actions == 3


def re_button(page, words):
    """A button of the switcher: its words, then the person who shows the role."""
    return page.page.get_by_role("button", name=re.compile(f"^{words}"))
