"""A sales rep works the pipeline: by drag, by keyboard, to the win, in the URL, with impatient clicks; and lets people outside book a time."""

import re

import pytest
from playwright.sync_api import expect

from crm_core.db import write_session
from crm_core.models import User
from crm_core.services.booking import tokens
from tests.journeys.looks import one, row


@pytest.fixture
def rep(demo_app):
    """The user id of the sales rep, whose deals the board shows."""
    return demo_app.people()["sales_rep"]


def open_deal(rep, stage):
    """An open deal of the rep in a stage: id, name, version."""
    query = """
        select deal.id, deal.name, deal.version from deal join stage on stage.id = stage_id
        where owner_id = :rep and stage.name = :stage and outcome = 'open' order by expected_close_on, deal.id limit 1
    """
    return row(query, rep=rep, stage=stage)


def stage_of(deal_id):
    return one("select stage.name from deal join stage on stage.id = stage_id where deal.id = :id", id=deal_id)


def column(page, name):
    return page.page.locator(f'section[aria-label="{name}"]')


def card(page, deal):
    return page.page.locator(f'article.card[data-id="{deal.id}"]')


def eventually(page, question, answer):
    """Wait until the database says so: the move is a run of the server away."""
    for _ in range(100):
        if question() == answer:
            return
        page.page.wait_for_timeout(100)
    assert question() == answer


def test_a_deal_is_moved_by_drag_and_its_history_says_so(demo_app, tab, rep, picture):
    page = tab(demo_app, rep).open("/pipeline").heading("Pipeline")
    deal = open_deal(rep, "Prospecting")
    moves = one("select count(*) from stage_event where deal_id = :id", id=deal.id)
    picture(page, "pipeline")

    card(page, deal).drag_to(column(page, "Qualified"))
    eventually(page, lambda: stage_of(deal.id), "Qualified")
    expect(column(page, "Qualified").locator(f'[data-id="{deal.id}"]')).to_be_visible()
    assert one("select count(*) from stage_event where deal_id = :id", id=deal.id) == moves + 1

    page.open(f"/deal?id={deal.id}").sees("from Prospecting to Qualified")
    picture(page, "deal")


def test_the_keyboard_moves_a_deal_as_the_mouse_does(demo_app, tab, rep):
    page = tab(demo_app, rep).open("/pipeline").heading("Pipeline")
    deal = open_deal(rep, "Prospecting")
    card(page, deal).focus()
    page.page.keyboard.press("Shift+ArrowRight")
    eventually(page, lambda: stage_of(deal.id), "Qualified")
    moved = column(page, "Qualified").locator(f'[data-id="{deal.id}"]')
    expect(moved).to_be_focused()  # the next press goes on where the hands are
    page.idle()
    page.page.keyboard.press("Shift+ArrowRight")
    eventually(page, lambda: stage_of(deal.id), "Proposal")
    page.idle()
    page.page.keyboard.press("Enter")
    page.heading(deal.name)
    page.page.go_back()
    page.heading("Pipeline")
    assert page.page.url.endswith("/pipeline")  # not a step that nobody made, such as /pipeline?id=1


def test_a_won_deal_becomes_one_order_however_often_one_clicks(demo_app, tab, rep):
    deal = open_deal(rep, "Prospecting")
    page = tab(demo_app, rep).open(f"/deal?id={deal.id}")
    page.page.locator(".st-key-win button").click()
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.idle()
    dialog.get_by_role("button", name="Mark as won").click(click_count=3, delay=20)
    eventually(page, lambda: one("select outcome from deal where id = :id", id=deal.id), "won")
    page.sees("Re-open").idle()
    assert one("select count(*) from sales_order where deal_id = :id", id=deal.id) == 1
    assert (
        one(
            "select count(*) from stage_event e join stage s on s.id = e.to_stage_id where deal_id = :id and s.kind = 'won'",
            id=deal.id,
        )
        == 1
    )
    assert one("select probability_pct from deal where id = :id", id=deal.id) == 100
    total = row(
        "select deal.amount_minor, o.total_minor from deal join sales_order o on o.deal_id = deal.id where deal.id = :id",
        id=deal.id,
    )
    assert total.total_minor == one("select sum(total_minor) from deal_line where deal_id = :id", id=deal.id)


def test_losing_a_deal_needs_a_reason_and_who_won_it(demo_app, tab, rep):
    deal = open_deal(rep, "Prospecting")
    page = tab(demo_app, rep).open(f"/deal?id={deal.id}")
    page.page.locator(".st-key-lose button").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Mark as lost").click()
    expect(dialog.get_by_text("Please say why the deal was lost.").first).to_be_visible()
    expect(dialog.get_by_text("Please say who won it").first).to_be_visible()
    assert one("select outcome from deal where id = :id", id=deal.id) == "open"


def test_an_amount_is_typed_as_its_reader_writes_it(demo_app, tab, rep):
    deal = open_deal(rep, "Prospecting")
    with write_session() as session:
        session.get(User, rep).locale = "de_DE"
    page = tab(demo_app, rep).open(f"/deal?id={deal.id}")
    page.page.locator(".st-key-edit button").click()
    amount = page.page.get_by_role("dialog").get_by_label("Amount")
    amount.select_text()
    page.page.keyboard.type("1.234,5")
    amount.press("Tab")
    page.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    eventually(page, lambda: one("select amount_minor from deal where id = :id", id=deal.id), 123_450)
    with write_session() as session:
        session.get(User, rep).locale = None


def test_a_search_stays_in_the_address_survives_a_reload_and_is_there_on_the_way_back(demo_app, tab, rep):
    deal = open_deal(rep, "Prospecting")
    page = tab(demo_app, rep).open("/deals").heading("Deals")
    word = deal.name.split(", ")[-1]
    page.page.get_by_role("searchbox").first.fill(word)
    expect(page.page.get_by_text(deal.name).first).to_be_visible()
    page.page.wait_for_function("() => location.search.length > 1")
    page.page.reload()
    page.idle()
    assert page.page.get_by_role("searchbox").first.input_value() == word
    expect(page.page.get_by_text(deal.name).first).to_be_visible()
    page.page.get_by_text(deal.name).first.click()
    page.heading(deal.name)
    page.page.go_back()
    page.heading("Deals")
    expect(page.page.get_by_role("searchbox").first).to_have_value(word)
    expect(page.page.get_by_text(deal.name).first).to_be_visible()
    page.page.go_forward()
    page.heading(deal.name)


def test_a_colleagues_deal_looks_like_one_that_does_not_exist(demo_app, tab, rep):
    theirs = row("select id, name from deal where owner_id <> :rep and outcome = 'open' limit 1", rep=rep)
    page = tab(demo_app, rep).open(f"/deal?id={theirs.id}")
    page.sees("does not exist, or is not shared with you")
    expect(page.page.get_by_text(theirs.name)).to_have_count(0)


def press(page, key):
    page.locator(f"[class*=st-key-{key}] button:visible").first.click()


def test_somebody_from_outside_books_a_time_moves_it_and_calls_it_off(demo_app, tab):
    rep = tab(demo_app, "sales_rep")
    page = rep.open("/booking").page
    press(page, "new_page")
    name = page.get_by_label("What is booked *")
    name.fill("A first talk")
    name.press("Tab")
    press(page, "bp_save_new")
    rep.sees("Page saved.")
    address = page.get_by_text(re.compile("/book/a-first-talk")).first.inner_text()

    visitor = tab(demo_app).page
    visitor.goto(address)
    expect(visitor.get_by_role("heading", name="A first talk")).to_be_visible()
    visitor.locator(".times a").first.click()
    visitor.wait_for_timeout(1000 * tokens.QUICKEST + 100)  # nobody fills a form in faster
    visitor.get_by_label("Your name").fill("Ada <b>Lovelace</b>")
    visitor.get_by_label("E-mail").fill("ada@example.com")
    visitor.get_by_label("Telephone").fill("+49 30 1234567")  # who meets on the phone is called there
    visitor.get_by_role("button", name="Book this time").click()
    expect(visitor.get_by_role("heading", name="Booked")).to_be_visible()
    visitor.get_by_role("link", name="Move it").click()
    visitor.locator(".days td a").last.click()
    visitor.locator(".times a").last.click()
    visitor.get_by_role("button", name="Move it").click()
    expect(visitor.get_by_role("heading", name=re.compile("A first talk"))).to_be_visible()
    visitor.get_by_role("link", name="Call it off").click()
    visitor.get_by_role("button", name="Call it off").click()
    expect(visitor.get_by_role("heading", name="Called off")).to_be_visible()
    assert one("select count(*) from booking where name like 'Ada <b>%' and cancelled_at is not null and moved = 1") == 1
    press(page, "list_")
    expect(page.get_by_role("dialog").get_by_text("Ada <b>Lovelace</b>")).to_be_visible()
