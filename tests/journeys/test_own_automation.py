"""A manager writes an automation from nothing, tries it on a record, switches it on, and sees what it did."""

from playwright.sync_api import expect

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.jobs.run import begin
from crm_core.services.automation import upkeep
from crm_core.services.sales import leads
from tests.journeys.looks import one
from tests.journeys.test_sales_rep import eventually, press


def test_from_nothing_to_a_run(demo_app, tab):
    manager = tab(demo_app, "manager")
    page = manager.open("/automations").page
    press(page, "new_automation")
    manager.heading("New automation")
    name = page.get_by_label("Name *")
    name.fill("Greet <b>leads</b>")
    name.press("Tab")
    events = page.get_by_role("combobox", name="What happens")
    events.click()
    page.get_by_role("option", name="A lead is created").click()
    page.keyboard.press("Escape")
    expect(page.get_by_text("When: A lead is created")).to_be_visible()
    press(page, "au0_add_end")
    press(page, "auto_kind_task")
    subject = page.get_by_label("Task *")
    subject.fill("Say hello")
    press(page, "au0_add_end")  # the text and the click go out together
    press(page, "auto_kind_wait")
    expect(page.get_by_text("Create the task “Say hello” for the owner").first).to_be_visible()
    record = page.locator(".st-key-auto_trial input").first
    record.fill("a")
    page.locator(".st-key-auto_trial [role=option]").first.click()
    press(page, "auto_trial_run")
    manager.sees("Task “Say hello” for")
    press(page, "auto_on")
    manager.sees("It acts with your rights")
    press(page, "auto_on_yes")
    manager.heading("Greet <b>leads</b>")
    eventually(manager, lambda: one("select state from automation where name like 'Greet%'"), "active")
    assert one("select count(*) from task where subject = 'Say hello'") == 0, "the trial left nothing"

    with read_session() as session:
        actor = load(session, demo_app.people()["manager"])
    with write_session() as session:
        leads.create(session, actor, {"name": "Ada Lovelace"})
    upkeep.work(begin("automation.work:test", "automation.work"))
    page.get_by_role("tab", name="Runs").click()
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Runs").get_by_text("Task “Say hello” for")).to_be_visible()
