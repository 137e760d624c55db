"""The clock starts what is due, once, by however many workers, and makes up for one missed time, not for all."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.jobs.registry import JobSpec, load_all
from crm_core.kit import clock
from worker import schedule

NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


def nightly(when=None):
    return [JobSpec("night.work", print, "Work of the night", cron="30 2 * * *", when=when)]


def tick(now, started_at, specs=None):
    with clock.frozen(now):
        return schedule.tick(specs or nightly(), started_at)


def test_a_new_workspace_does_not_begin_with_last_nights_work(any_cast):
    assert tick(NOON, NOON) == []
    assert tick(NOON + timedelta(hours=15), NOON) == ["night.work@2026-06-11T02:30Z"]


def test_what_is_due_starts_once_whoever_looks(any_cast):
    night = NOON + timedelta(hours=15)
    assert tick(night, NOON) == ["night.work@2026-06-11T02:30Z"]
    assert tick(night, NOON) == []
    with read_session() as session:
        assert jobs.find_jobs(session, any_cast["root"]).total == 1


def test_after_days_switched_off_one_missed_time_is_made_up_for(any_cast):
    tick(NOON + timedelta(hours=15), NOON)
    monday = NOON + timedelta(days=5)
    assert tick(monday, started_at=monday) == ["night.work@2026-06-15T02:30Z"]
    assert tick(monday + timedelta(minutes=1), started_at=monday) == []


def test_a_job_that_was_asked_for_by_hand_does_not_count_as_the_clocks(any_cast):
    with write_session() as session:
        jobs.enqueue(session, "night.work")
    assert tick(NOON, NOON) == []


def test_nothing_starts_when_there_is_nothing_to_do(any_cast):
    assert tick(NOON + timedelta(hours=15), NOON, nightly(when=lambda _session: False)) == []


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("UTC", "2026-06-10T02:30"),
        ("Asia/Tokyo", "2026-06-09T17:30"),
        ("America/New_York", "2026-06-10T06:30"),
    ],
)
def test_the_clock_is_the_workspaces(any_cast, zone, due):
    with write_session() as session:
        session.execute(text("update organisation set timezone = :zone"), {"zone": zone})
    (job_id,) = tick(NOON, NOON - timedelta(days=1))
    assert job_id == f"night.work@{due}Z"


@pytest.mark.parametrize(
    ("now", "due"),
    [("2026-03-29T00:59", "2026-03-28T01:30"), ("2026-03-29T01:30", "2026-03-29T01:30"), ("2026-10-25T02:00", "2026-10-25T01:30")],
)
def test_the_change_of_the_clocks_leaves_one_start_per_night(now, due):
    found = schedule.due_at("30 2 * * *", datetime.fromisoformat(now).replace(tzinfo=UTC) + timedelta(minutes=1), "Europe/Berlin")
    assert abs(found - datetime.fromisoformat(due).replace(tzinfo=UTC)) <= timedelta(hours=1)


def test_every_declared_cron_line_can_be_read():
    for spec in load_all().values():
        if spec.cron:
            assert schedule.due_at(spec.cron, NOON, "Europe/Berlin") <= NOON
