"""The nightly purge takes what is out of date, and nothing else; the health page says what is the matter."""

import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import text

from crm_core import jobs, records
from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.jobs.queue import client
from crm_core.kit import clock
from crm_core.models import AuthSession, SigninAttempt, SubmitKey
from crm_core.records import LASTING
from crm_core.services.admin import audit, backups, health
from crm_core.services.admin import upkeep as upkeep  # declares the job
from crm_core.settings import settings
from crm_core.vocabulary import SigninMethod


def count(table):
    with read_session() as session:
        return session.execute(text(f"select count(*) from {table}")).scalar_one()


def run_purge():
    jobs.execute("purge-now", "upkeep.purge", ())


def test_old_tries_keys_and_sessions_go_and_young_ones_stay(any_cast):
    now = clock.utcnow()
    with write_session() as session:
        for age in (timedelta(minutes=1), timedelta(days=30)):
            session.add(SigninAttempt(key="x", at=now - age))
            session.add(SubmitKey(key=f"k{age.days}", at=now - age))
            session.add(
                AuthSession(
                    token_sha256=f"t{age.days}", user_id=1, method=SigninMethod.LOCAL, last_seen_at=now - age,
                    expires_at=now - age + timedelta(days=14),
                )
            )  # fmt: skip
    run_purge()
    assert [count(name) for name in ("signin_attempt", "submit_key", "auth_session")] == [1, 1, 1]
    with write_session() as session:
        session.add_all(SubmitKey(key=f"{LASTING}{days}", at=now - timedelta(days=days)) for days in (300, 500))
    run_purge()
    assert count("submit_key") == 2, "what stands for a cause is remembered for more than a year"


def test_finished_jobs_go_when_their_time_is_over_and_waiting_ones_never(any_cast):
    with write_session() as session:
        for name, job_id in (("summaries.refresh", "old"), ("summaries.refresh", "young"), ("backup", "kept"), ("backup", "waits")):
            jobs.enqueue(session, name, job_id=job_id)
    days_ago = int((clock.utcnow() - timedelta(days=3)).timestamp() * 1000)
    with write_session() as session:
        prefix = "" if session.get_bind().dialect.name == "sqlite" else "dbos."
        session.execute(text(f"update {prefix}workflow_status set status = 'SUCCESS' where workflow_uuid <> 'waits'"))
        session.execute(text(f"update {prefix}workflow_status set updated_at = {days_ago} where workflow_uuid <> 'young'"))
    run_purge()
    with read_session() as session:
        left = {job_id for job_id in ("old", "young", "kept", "waits") if jobs.status(session, job_id)}
    assert left == {"young", "kept", "waits"}  # a refresh is kept for a day, a backup for longer
    assert len(client().list_workflows()) == 3


def test_the_quick_look_names_what_is_missing(any_cast):
    with read_session() as session:
        found = {check.name: check for check in health.overview(session, any_cast["root"]).checks}
    assert found["Shape of the database"].state == "ok"
    assert "No worker is running" in found["Workers"].detail
    assert "none yet" in found["Last backup"].detail
    with pytest.raises(NotPermitted), read_session() as session:
        health.overview(session, any_cast["bob"])


def test_a_job_that_nobody_takes_is_a_warning(any_cast):
    with clock.frozen(clock.utcnow()), write_session() as session:
        jobs.enqueue(session, "backup")
    with clock.frozen(clock.utcnow() + timedelta(minutes=10)), read_session() as session:
        found = {check.name: check for check in health.overview(session, any_cast["root"]).checks}
    assert found["Jobs"].state == "warning"
    assert "is a worker running?" in found["Jobs"].detail


def test_after_a_backup_the_quick_look_is_content_with_it(cast):
    backups.make()
    with read_session() as session:
        assert {c.name: c.state for c in health.overview(session, cast["root"]).checks}["Last backup"] == "ok"


def thorough():
    with read_session() as session:
        return {check.name: check.state for check in health.thorough(session)}


def test_a_sound_database_passes_the_thorough_check(any_cast):
    with write_session() as session:
        records.create(session, any_cast["root"], "account", {"name": "One"})
    with write_session() as session:
        audit.seal(session, 10)
    assert set(thorough().values()) == {"ok"}


def test_each_kind_of_damage_is_found_and_what_can_be_computed_is_repaired(any_cast):
    with write_session() as session:
        records.create(session, any_cast["root"], "account", {"name": "One"})
    with write_session() as session:
        session.execute(text("delete from search_document"))
        session.execute(
            text(
                "insert into deal_daily (day, outcome, deals, amount_minor, cycle_days, with_cycle) values ('2024-01-01', 'won', 1, 5, 0, 0)"
            )
        )
    found = thorough()
    assert (found["Search"], found["Daily figures"]) == ("wrong", "wrong")
    assert health.repair(["Search", "Daily figures"]) == ["Daily figures", "Search"]
    assert set(thorough().values()) == {"ok"}


def test_a_row_that_points_at_nothing_is_found(cast):
    with sqlite3.connect(settings().url.removeprefix("sqlite:///")) as connection:
        connection.execute("insert into user_role (user_id, role_id) values (9999, 1)")
    assert thorough()["References"] == "wrong"
