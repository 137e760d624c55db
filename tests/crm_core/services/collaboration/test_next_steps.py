"""A follow-up that is planned for a deal is its next step, as long as nobody has written another one."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm_core.kit import clock
from crm_core.services import crud
from crm_core.services.admin import custom_fields
from crm_core.services.collaboration import activities, tasks
from crm_core.services.sales import deals
from crm_core.vocabulary import ActivityKind, FieldKind, Via
from tests.verbs import do, look


@pytest.fixture
def deal(any_cast):
    """An open deal of Alice, without a next step."""
    return do(crud.create, any_cast["alice"], "deal", {"name": "Big one"}).id


def step(actor, deal_id):
    found = look(deals.get, actor, deal_id)
    return found.next_step, found.next_step_on


def log(actor, deal_id, follow_up, day=None):
    do(activities.log, actor, "deal", deal_id, kind=ActivityKind.CALL, text="Talked", follow_up=follow_up, follow_up_on=day)
    return look(tasks.open_of, actor, "deal", deal_id)[-1]


def test_a_follow_up_is_the_next_step_goes_along_with_its_day_and_ends_with_it(any_cast, deal):
    alice, day = any_cast["alice"], clock.today("UTC") + timedelta(days=3)
    task = log(alice, deal, "Send the offer", day)
    assert step(alice, deal) == ("Send the offer", day)
    do(tasks.postpone, alice, task.id, day + timedelta(days=4))
    do(tasks.update, alice, task.id, {"subject": "Send the contract"})
    assert step(alice, deal) == ("Send the contract", day + timedelta(days=4))
    do(tasks.complete, alice, task.id)
    do(tasks.complete, alice, task.id)
    assert step(alice, deal) == (None, None)
    do(tasks.reopen, alice, task.id)
    assert step(alice, deal) == ("Send the contract", day + timedelta(days=4))


def test_what_somebody_wrote_as_the_next_step_stays(any_cast, deal):
    alice = any_cast["alice"]
    do(deals.update, alice, deal, {"next_step_on": date(2030, 1, 2)})
    task = log(alice, deal, "Send the offer")
    do(tasks.complete, alice, task.id)
    assert step(alice, deal) == (None, date(2030, 1, 2))


def test_closed_deals_automations_and_who_only_sees_the_deal_leave_it_alone(any_cast, deal):
    alice, root = any_cast["alice"], any_cast["root"]
    do(tasks.create, alice.through(Via.WORKER), {"subject": "By itself", "deal_id": deal})
    assert step(alice, deal) == (None, None)
    do(tasks.create, any_cast["dana"], {"subject": "Of marketing", "deal_id": deal})  # she sees deals and changes none
    assert step(root, deal) == (None, None)
    do(deals.win, alice, deal)
    do(tasks.create, alice, {"subject": "Deliver", "deal_id": deal})
    assert step(alice, deal) == (None, None)


def test_a_deal_that_lacks_what_is_needed_now_hinders_nobody_at_their_tasks(any_cast, deal):
    alice = any_cast["alice"]
    task = do(tasks.create, alice, {"subject": "Call them", "deal_id": deal})
    do(custom_fields.create, any_cast["root"], "deal", label="Region", kind=FieldKind.TEXT, required=True)
    do(tasks.complete, alice, task.id)
    log(alice, deal, "Send the offer")
    assert step(alice, deal) == ("Call them", None)


@pytest.mark.parametrize("zones", [("America/Los_Angeles", "Asia/Tokyo"), ("Asia/Tokyo", "America/Los_Angeles")])
def test_a_colleague_in_another_time_zone_takes_the_step_along_and_off(any_cast, deal, zones):
    alice, root = (replace(any_cast[name], timezone=zone) for name, zone in zip(("alice", "root"), zones, strict=True))
    due = datetime(2030, 5, 6, 8, tzinfo=ZoneInfo("Asia/Tokyo"))
    task = do(tasks.create, alice, {"subject": "Call them", "deal_id": deal, "due_at": due})
    day = step(alice, deal)[1]
    do(tasks.update, root, task.id, {"subject": "Ring them"})
    assert step(alice, deal) == ("Ring them", day)
    do(tasks.complete, root, task.id)
    assert step(alice, deal) == (None, None)


def test_a_task_that_goes_to_the_bin_or_to_another_deal_takes_the_step_along(any_cast, deal):
    alice = any_cast["alice"]
    other = do(crud.create, alice, "deal", {"name": "Other one"}).id
    task = do(tasks.create, alice, {"subject": "Call them", "deal_id": deal})
    do(crud.update, alice, "task", task.id, {"deal_id": other})
    assert (step(alice, deal), step(alice, other)) == ((None, None), ("Call them", None))
    do(crud.archive, any_cast["root"], "task", task.id)
    assert step(alice, other) == (None, None)
    do(crud.restore, any_cast["root"], "task", task.id)
    assert step(alice, other) == ("Call them", None)
    do(tasks.update, alice, task.id, {"status": "done"})
    assert step(alice, other) == (None, None)
    do(tasks.update, alice, task.id, {"status": "open"})
    assert step(alice, other) == ("Call them", None)


def test_a_task_that_is_over_is_nobodys_next_step_whatever_its_words(any_cast, deal):
    alice, root = any_cast["alice"], any_cast["root"]
    past = do(tasks.create, alice, {"subject": "Call them", "deal_id": deal})
    do(tasks.complete, alice, past.id)
    do(tasks.create, alice, {"subject": "Call them", "deal_id": deal})
    do(tasks.update, alice, past.id, {"subject": "Call them again"})
    do(crud.archive, root, "task", past.id)
    assert step(alice, deal) == ("Call them", None)
