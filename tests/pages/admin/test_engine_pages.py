"""The screens for jobs, health and audit: who has them, what they show, what their buttons do."""

import pytest
from sqlalchemy import text

from crm_core import jobs, records
from crm_core.db import read_session, write_session
from crm_core.jobs.registry import load_all
from crm_core.services.admin import audit, backups, schedules
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for

EVIL = "<script>alert(1)</script> ![x](http://evil.example/i.png) **bold**"


@pytest.mark.parametrize("url", ["jobs", "health", "audit"])
def test_each_screen_draws_in_an_empty_workspace(cast, url):
    app = open_screen(cast["root"], url)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("who", ["bob", "alice", "charlie", "dana", "sam", "ana"])
def test_only_administrators_have_jobs_and_health(cast, who):
    assert not {screen_of("jobs"), screen_of("health")} & set(screens_for(cast[who]))
    assert (screen_of("audit") in screens_for(cast[who])) == (who == "bob")


def put(**values):
    with write_session() as session:
        return jobs.enqueue(session, "backup", title=f"Backup {EVIL}", **values)


def state(job_id):
    with read_session() as session:
        return jobs.status(session, job_id).state


def test_waiting_jobs_without_a_worker_are_a_warning(cast):
    put()
    app = open_screen(cast["root"], "jobs")
    assert "No worker is running" in words(app)
    assert app.metric[0].value == "1"


def test_a_waiting_job_is_stopped_and_started_again(cast):
    job_id = put()
    app = open_screen(cast["root"], "jobs", job=job_id)
    assert "![x](" not in "".join(element.value for element in app.markdown)
    app.button(key="job_stop").click().run()
    assert state(job_id) == "cancelled"
    app = open_screen(cast["root"], "jobs", job=job_id)
    app.button(key="job_retry").click().run()
    assert state(job_id) == "waiting"
    assert not app.exception


def test_the_list_is_narrowed_by_state(cast):
    put()
    app = open_screen(cast["root"], "jobs")
    assert "No jobs" not in words(app)
    app.session_state["state"] = "failed"
    assert "No failed jobs" in words(app.run())


def test_an_unknown_job_in_the_address_opens_nothing(cast):
    app = open_screen(cast["root"], "jobs", job="no-such-job")
    assert not app.exception
    assert not app.error


def test_back_up_now_puts_one_job_into_the_queue(cast):
    app = open_screen(cast["root"], "health")
    app.button(key="backup_now").click().run()
    assert not app.exception
    with read_session() as session:
        assert jobs.counts(session, cast["root"])["waiting"] == 1
    assert "waits for the worker" in "".join(element.value for element in app.info)


def test_a_backup_can_be_fetched(cast):
    made = backups.make()
    app = open_screen(cast["root"], "health")
    assert not app.exception
    assert app.dataframe[0].value["File"].tolist() == [made.path.name]
    assert app.get("download_button")


def test_the_trail_shows_before_and_after_in_the_readers_words(cast):
    with write_session() as session:
        account = records.create(session, cast["alice"], "account", {"name": EVIL})
        records.update(session, cast["alice"], "account", account.id, {"revenue_minor": 12.5, "owner_id": cast["bob"].user_id})
    with read_session() as session:
        latest = [row["entry"] for row in audit.find(session, cast["root"], entity="account").rows[:2]]
    entry = next(each for each in latest if any(change.label == "Annual revenue" for change in each.changes))
    assert {change.label: (change.new, change.new_title) for each in latest for change in each.changes}.items() >= {
        "Annual revenue": (1250, None),
        "Owner": (cast["bob"].user_id, "Bob Manager"),
    }.items()
    app = open_screen(cast["root"], "audit", kind="account", record=account.id)
    assert not app.exception
    assert "3 entries" in words(app)  # what comes to another owner is told apart from the other changes
    app = open_screen(cast["root"], "audit", entry=entry.id)
    assert app.table[0].value["After"].tolist() == [r"\$12.50"]
    assert "![x](" not in "".join(element.value for element in app.markdown)
    hidden = open_screen(cast["bob"], "audit", entry=999)
    assert not hidden.exception


def test_every_job_that_the_clock_starts_is_on_the_page(cast):
    with read_session() as session:
        shown = {each.name for each in schedules.find(session, cast["root"])}
    assert shown == {spec.name for spec in load_all().values() if spec.cron}


def test_who_asked_for_a_job_may_look_at_it_and_others_may_not(cast):
    from crm_core.errors import NotPermitted

    job_id = put(user_id=cast["alice"].user_id)
    with read_session() as session:
        assert jobs.find(session, cast["alice"], job_id).state == "waiting"
        with pytest.raises(NotPermitted):
            jobs.find(session, cast["charlie"], job_id)
        assert session.execute(text("select count(*) from job_run")).scalar_one() == 1
