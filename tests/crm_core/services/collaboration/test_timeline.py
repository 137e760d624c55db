"""The feed: what was done and what changed, in order, within what one may see."""

from datetime import timedelta

import pytest

from crm_core import records
from crm_core.db import read_session
from crm_core.errors import Invalid, NotFound
from crm_core.kit import clock
from crm_core.services.collaboration import activities, tasks, timeline
from crm_core.services.customers import merging
from crm_core.services.sales import deals
from crm_core.vocabulary import ActivityKind, TaskStatus
from tests.verbs import do


@pytest.fixture
def deal(any_cast):
    account = do(records.create, any_cast["alice"], "account", {"name": "Acme"})
    return do(deals.create, any_cast["alice"], {"name": "Big one", "account_id": account.id})


def log(actor, deal, **more):
    values = {"kind": ActivityKind.CALL, "text": "Talked about terms\nin detail", **more}
    return do(activities.log, actor, "deal", deal.id, **values)


def test_a_logged_call_stands_on_the_deal_and_on_its_account_with_its_follow_up(any_cast, deal):
    alice = any_cast["alice"]
    log(alice, deal, follow_up="Send offer", follow_up_on=clock.today() + timedelta(days=2), minutes=12)
    with read_session() as session:
        items, more = timeline.find(session, alice, "deal", deal.id)
        assert [item.kind for item in items] == ["call", "event"] and not more
        assert items[0].title == "Talked about terms"
        on_account, _ = timeline.find(session, alice, "account", deal.account_id, kinds="activities")
        assert [item.title for item in on_account] == ["Talked about terms"]
        assert [task.subject for task in tasks.open_of(session, alice, "deal", deal.id)] == ["Send offer"]
        assert deals.get(session, alice, deal.id).last_activity_at is not None


def test_saving_twice_logs_once(any_cast, deal):
    for _ in range(3):
        log(any_cast["alice"], deal, submit_key="k", follow_up="Call back", follow_up_on=clock.today())
    with read_session() as session:
        assert len(timeline.find(session, any_cast["alice"], "deal", deal.id, kinds="activities")[0]) == 1
        assert len(tasks.open_of(session, any_cast["alice"], "deal", deal.id)) == 1


def test_bad_input_is_said(any_cast, deal):
    with pytest.raises(Invalid, match="Write a word"):
        log(any_cast["alice"], deal, text="  ")
    with pytest.raises(Invalid, match="Only a meeting"):
        log(any_cast["alice"], deal, at=clock.utcnow() + timedelta(days=1))
    with pytest.raises(NotFound):
        log(any_cast["charlie"], deal)


def test_an_account_shows_events_of_its_deals_only_to_who_may_see_them(any_cast, deal):
    with read_session() as session:
        mine, _ = timeline.find(session, any_cast["alice"], "account", deal.account_id)
        theirs, _ = timeline.find(session, any_cast["charlie"], "account", deal.account_id)
    assert {item.entity for item in mine} == {"account", "deal"}
    assert {item.entity for item in theirs} == {"account"}


def test_changes_are_shown_with_old_and_new_and_masked_fields_stay_masked(any_cast):
    person = do(records.create, any_cast["root"], "contact", {"name": "Maria", "email": "a@example.com"})
    do(records.update, any_cast["root"], "contact", person.id, {"email": "b@example.com", "job_title": "CEO"})
    with read_session() as session:
        full, _ = timeline.find(session, any_cast["root"], "contact", person.id)
        masked, _ = timeline.find(session, any_cast["ana"], "contact", person.id)
    assert {(c.spec.key, c.new) for c in full[0].changes} == {("email", "b@example.com"), ("job_title", "CEO")}
    assert {(c.spec.key, c.new) for c in masked[0].changes} == {("email", "•••"), ("job_title", "CEO")}


def test_a_task_is_done_once_and_can_be_taken_back(any_cast, deal):
    alice = any_cast["alice"]
    task = do(tasks.create, alice, {"subject": "Call", "deal_id": deal.id})
    assert do(tasks.complete, alice, task.id).status is TaskStatus.DONE
    assert do(tasks.complete, alice, task.id).version == 2
    assert do(tasks.reopen, alice, task.id).done_at is None


def test_of_an_account_that_was_merged_the_feed_tells_who_of_its_people_went_to_the_bin(any_cast):
    root = any_cast["root"]
    stays, goes = (do(records.create, root, "account", {"name": name}).id for name in ("Acme", "Acme Ltd"))
    person = do(records.create, root, "contact", {"name": "Maria", "account_id": goes}).id
    do(records.archive, root, "contact", person)
    do(merging.merge, root, "account", stays, goes)
    with read_session() as session:
        told = [item.sentence for item in timeline.find(session, root, "account", stays)[0]]
    assert any("to the bin" in one for one in told)
