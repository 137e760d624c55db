"""Killed in the middle of its work, a worker loses nothing and does nothing twice."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlmodel import select as load

from crm_core import jobs, summaries
from crm_core.db import read_session, write_session
from crm_core.models import Deal, Stage, WorkerHeartbeat
from crm_core.settings import settings
from crm_core.vocabulary import StageKind
from tests.crm_core.test_summaries import AT, assert_exact
from tests.worker.nursery import Forked

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
QUICK = {"RAPPORT_WORKER_SILENT_SECONDS": "3"}


@contextmanager
def worker(**environment):
    """A worker process; killed at the end if it still lives."""
    process = Forked({**os.environ, "PYTHONPATH": str(ROOT), "RAPPORT_LOG_LEVEL": "INFO", **environment})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(condition, seconds=60):
    """Wait for a condition; its last value is returned, or the test fails."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def row_of(job_id):
    with read_session() as session:
        return jobs.status(session, job_id)


def rows():
    with read_session() as session:
        found = session.execute(text("select name from table_version where name like 'row-%' order by name")).scalars()
        return list(found)


def put(name, *args):
    with write_session() as session:
        return jobs.enqueue(session, name, *args)


def hold(place):
    """Let the next worker stop at a place of its job."""
    (settings().data_dir / "hold").write_text(place)


def held():
    path = settings().data_dir / "held"
    return path.read_text() if path.exists() else ""


def release():
    (settings().data_dir / "hold").unlink(missing_ok=True)


def kill_when_held(process, place):
    until(lambda: held() == place or process.poll() is not None)
    assert process.poll() is None, "the worker died by itself"
    process.send_signal(signal.SIGKILL)
    process.wait()


def all_rows(count):
    return [f"row-{n:05d}" for n in range(count)]


def pending():
    with read_session() as session:
        return summaries.pending(session)


def executors():
    with read_session() as session:
        return list(session.execute(select(WorkerHeartbeat.__table__.c.executor_id)).scalars())


def forget_dead_workers():
    """On PostgreSQL a new worker takes over what belongs to no live one; make the dead one look dead at once."""
    if not settings().is_sqlite:
        with write_session() as session:
            session.execute(text("delete from worker_heartbeat"))


def is_done(job_id):
    return lambda: row_of(job_id).state == "done"


def test_a_batch_job_killed_twice_loses_and_doubles_nothing(any_database):
    job_id = put("test.batches", 60, 10)
    for place, kept in (("row 25", 20), ("row 37", 30)):
        hold(place)
        with worker() as process:
            kill_when_held(process, place)
        assert len(rows()) == kept
        forget_dead_workers()
    release()
    with worker():
        until(is_done(job_id))
    assert rows() == all_rows(60)
    assert (row_of(job_id).done, row_of(job_id).total, row_of(job_id).attempts) == (60, 60, 3)


def test_a_refresh_killed_in_the_middle_leaves_exact_figures(any_cast):
    with write_session() as session:
        won = session.exec(load(Stage).where(Stage.kind == StageKind.WON)).first()
        for n in range(12):
            day = date(2024, 1, 1) + timedelta(days=n)
            values = {
                "name": f"D{n}",
                "pipeline_id": won.pipeline_id,
                "stage_id": won.id,
                "outcome": won.kind,
                "amount_minor": 100 * n,
            }
            session.add(Deal(**values, stage_since=AT, created_on=date(2024, 1, 1), closed_on=day))
    job_id = put("test.refresh")
    hold("left 7")
    with worker() as process:
        kill_when_held(process, "left 7")
    assert pending() == 8
    assert_exact()
    forget_dead_workers()
    release()
    with worker():
        until(is_done(job_id))
    assert pending() == 0
    assert_exact()


def test_the_work_of_a_killed_worker_is_taken_over_by_another(any_database):
    if settings().is_sqlite:
        return  # one worker only: see the next but one
    job_id = put("test.batches", 60, 10)
    hold("row 25")
    with worker(**QUICK) as first:
        until(lambda: held() == "row 25")
        name = row_of(job_id).worker
        with worker(**QUICK):
            until(lambda: len(executors()) == 2)
            first.send_signal(signal.SIGKILL)
            first.wait()
            release()
            until(is_done(job_id))
            assert row_of(job_id).worker != name
            until(lambda: name not in executors())
    assert rows() == all_rows(60)


def test_a_worker_that_was_only_frozen_can_not_write_on_after_its_job_was_taken_over(any_database):
    if settings().is_sqlite:
        return  # a frozen writer holds SQLite's one lock: there is nobody who could take over
    job_id = put("test.batches", 60, 10)
    hold("row 25")
    with worker(**QUICK) as first:
        until(lambda: held() == "row 25")
        first.send_signal(signal.SIGSTOP)
        with worker(**QUICK):
            until(lambda: row_of(job_id).attempts == 2)
            release()
            first.send_signal(signal.SIGCONT)
            until(is_done(job_id))
    assert rows() == all_rows(60)


def test_a_second_worker_is_refused_on_sqlite(database):
    with worker() as first:
        until(executors)
        command = [sys.executable, "-m", "tests.worker.sandbox"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode != 0
        assert "A worker is already running" in second.stderr
        assert first.poll() is None


def test_a_worker_stops_cleanly_when_it_is_asked_to(any_database):
    job_id = put("test.batches", 20, 10)
    with worker() as process:
        until(is_done(job_id))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert executors() == []


def test_a_job_still_running_at_the_stop_goes_on_after_the_next_start(any_database):
    job_id = put("test.batches", 100, 10)
    hold("before 30")
    with worker() as process:
        until(lambda: held() == "before 30")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert len(rows()) == 30
    assert row_of(job_id).state == "running"
    release()
    with worker():
        until(is_done(job_id))
    assert rows() == all_rows(100)


def test_a_failure_leaves_its_sentence_and_a_retry_does_the_rest(any_cast):
    job_id, crash = put("test.fails"), put("test.crashes")
    with worker():
        until(lambda: row_of(job_id).state == row_of(crash).state == "failed")
        assert row_of(job_id).message == "The row is missing."
        assert "fault in the program" in row_of(crash).message
        assert "secret" not in row_of(crash).message
        with write_session() as session:
            session.execute(text("insert into table_version (name, version) values ('allowed', 0)"))
            jobs.retry(session, any_cast["root"], job_id)
        until(is_done(job_id))


def test_a_running_job_that_is_stopped_keeps_what_it_committed_and_ends(any_cast):
    job_id = put("test.batches", 1000, 10)
    hold("before 30")
    with worker() as process:
        until(lambda: held() == "before 30")
        with write_session() as session:
            jobs.cancel(session, any_cast["root"], job_id)
        release()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert row_of(job_id).state == "cancelled"
    assert rows() == all_rows(30)


def test_a_job_that_kills_every_worker_is_given_up(database):
    job_id = put("test.crashes")
    with write_session() as session:
        session.execute(text("update job_run set attempt = 10"))
    with worker():
        until(lambda: row_of(job_id).state == "failed")
    assert "Given up after 10 starts" in row_of(job_id).message
