"""Work enters the queue with the transaction that causes it, and only then."""

import subprocess
import sys

import pytest

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, NotFound, NotPermitted


def state(job_id):
    with read_session() as session:
        row = jobs.status(session, job_id)
        return row.state if row else None


def test_a_job_of_a_committed_session_waits_and_shows_who_asked(any_cast):
    with write_session() as session:
        job_id = jobs.enqueue(session, "some.work", 7, title="Work on seven", user_id=any_cast["alice"].user_id)
    with read_session() as session:
        row = jobs.status(session, job_id)
        assert (row.state, row.title, row.user_id) == ("waiting", "Work on seven", any_cast["alice"].user_id)
        assert jobs.counts(session, any_cast["root"])["waiting"] == 1
        assert 0 <= jobs.lag(session, any_cast["root"]) < 60
        assert [each["job"].id for each in jobs.find_jobs(session, any_cast["root"], state="waiting").rows] == [job_id]


def test_a_job_of_a_rolled_back_session_does_not_exist(any_database):
    job_id = None
    with pytest.raises(ZeroDivisionError), write_session() as session:
        job_id = jobs.enqueue(session, "some.work", 7)
        raise ZeroDivisionError
    assert job_id is not None
    assert state(job_id) is None


def test_the_same_id_is_the_same_job(any_cast):
    for _ in range(2):
        with write_session() as session:
            assert jobs.enqueue(session, "some.work", 7, job_id="only-once") == "only-once"
    with read_session() as session:
        assert jobs.find_jobs(session, any_cast["root"]).total == 1


def test_a_second_one_is_not_added_while_the_first_still_waits(any_database):
    with write_session() as session:
        first = jobs.enqueue(session, "some.work", unless_waiting=True)
        assert jobs.enqueue(session, "some.work", unless_waiting=True) == first
        assert jobs.enqueue(session, "other.work", unless_waiting=True) != first


def test_a_delayed_job_says_when_it_is_due(any_database):
    with write_session() as session:
        job_id = jobs.enqueue(session, "some.work", delay_seconds=3600)
    with read_session() as session:
        row = jobs.status(session, job_id)
    assert row.state == "delayed"
    assert 3500 < (row.due_at - row.created_at).total_seconds() < 3700


def test_only_an_administrator_sees_or_stops_jobs(any_cast):
    with write_session() as session:
        job_id = jobs.enqueue(session, "some.work")
    with pytest.raises(NotPermitted), read_session() as session:
        jobs.find_jobs(session, any_cast["alice"])
    with pytest.raises(NotPermitted), write_session() as session:
        jobs.cancel(session, any_cast["alice"], job_id)
    with pytest.raises(NotFound), write_session() as session:
        jobs.cancel(session, any_cast["root"], "no-such-job")
    with pytest.raises(Conflict, match="failed or was stopped"), write_session() as session:
        jobs.retry(session, any_cast["root"], job_id)


def test_a_stopped_job_can_be_started_again(any_cast):
    with write_session() as session:
        job_id = jobs.enqueue(session, "some.work")
    with write_session() as session:
        jobs.cancel(session, any_cast["root"], job_id)
    assert state(job_id) == "cancelled"
    with write_session() as session:
        jobs.retry(session, any_cast["root"], job_id)
    assert state(job_id) == "waiting"


def test_the_way_to_the_first_page_does_not_import_the_job_engine():
    code = "import sys, crm_core.jobs, crm_core.db, crm_core.records, crm_core.lists; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
