"""Imports as background jobs: queued with the click, resumable, and a large dry run that does not stand in anybody's way."""

import io
import threading

import pytest
from sqlalchemy import text

from crm_core import jobs as engine
from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted, Unavailable
from crm_core.jobs.registry import load_all
from crm_core.models import ImportRun
from crm_core.services.admin.imports import batch, jobs, runs
from crm_core.vocabulary import ImportState

FIRMS = "Name,City\n" + "".join(f"Firm {n},Oslo\n" for n in range(1_100))


@pytest.fixture
def upload():
    """A function that uploads a file of 1,100 firms as somebody."""

    def uploaded(actor):
        with write_session() as session:
            return runs.upload(session, actor, "account", io.BytesIO(FIRMS.encode()), "firms.csv").id

    return uploaded


def run_of(run_id):
    with read_session() as session:
        return session.get_one(ImportRun, run_id)


def begin(step, actor, run_id):
    with write_session() as session:
        return step(session, actor, run_id).report["job"]


def firms():
    with read_session() as session:
        return session.execute(text("select count(*) from account")).scalar()


def test_the_worker_knows_the_jobs_of_imports():
    assert {"import.run", "import.check", "import.undo"} <= set(load_all())


def test_an_import_is_checked_run_and_undone_in_the_background(any_cast, upload):
    root = any_cast["root"]
    run_id = upload(root)
    job = begin(jobs.check_in_background, root, run_id)
    assert run_of(run_id).state is ImportState.CHECKING
    engine.execute(job, "import.check", (run_id,))
    assert (run_of(run_id).state, run_of(run_id).report["check"]["outcomes"]["created"], firms()) == (ImportState.CHECKED, 1_100, 0)
    engine.execute(begin(jobs.start_in_background, root, run_id), "import.run", (run_id,))
    assert (run_of(run_id).state, firms()) == (ImportState.DONE, 1_100)
    with read_session() as session:
        assert session.execute(text("select done, total from job_run where name = 'import.run'")).one() == (1_100, 1_100)
    engine.execute(begin(jobs.undo_in_background, root, run_id), "import.undo", (run_id,))
    assert (run_of(run_id).state, firms()) == (ImportState.REVERTED, 0)


def test_a_start_that_is_rolled_back_leaves_no_job(cast, upload):
    run_id = upload(cast["root"])
    with pytest.raises(RuntimeError), write_session() as session:
        jobs.start_in_background(session, cast["root"], run_id)
        raise RuntimeError
    with read_session() as session:
        assert session.execute(text("select count(*) from job_run")).scalar() == 0
    assert run_of(run_id).state is ImportState.UPLOADED


def test_a_trouble_that_passes_is_waited_out_and_nothing_is_doubled(cast, upload, monkeypatch):
    run_id, seen = upload(cast["root"]), []
    note = batch.Batch._note

    def stumbling(self, outcomes):
        seen.append(len(outcomes))
        if len(seen) == 2:
            raise Unavailable("The database is busy. Nothing was saved; please try again.")
        note(self, outcomes)

    monkeypatch.setattr(batch.Batch, "_note", stumbling)
    monkeypatch.setattr("crm_core.jobs.run._RETRY_SECONDS", (0, 0))
    engine.execute(begin(jobs.start_in_background, cast["root"], run_id), "import.run", (run_id,))
    assert (run_of(run_id).state, run_of(run_id).created, firms()) == (ImportState.DONE, 1_100, 1_100)
    assert seen == [500, 500, 500, 100]


def test_a_trouble_that_stays_stops_the_run_with_its_sentence(cast, upload):
    run_id = upload(cast["bob"])
    job = begin(jobs.start_in_background, cast["bob"], run_id)
    with write_session() as session:
        session.execute(text("delete from role_permission where action = 'import'"))
    with pytest.raises(NotPermitted):
        engine.execute(job, "import.run", (run_id,))
    stopped = run_of(run_id)
    assert (stopped.state, stopped.done_rows) == (ImportState.FAILED, 0)
    assert "does not allow" in stopped.message


def test_a_check_that_fails_gives_the_plan_back(cast, upload):
    from crm_core.services.admin.imports import store

    run_id = upload(cast["root"])
    job = begin(jobs.check_in_background, cast["root"], run_id)
    store.forget(run_of(run_id).file_path)
    with pytest.raises(Unavailable):
        engine.execute(job, "import.check", (run_id,))
    assert (run_of(run_id).state, run_of(run_id).message) == (
        ImportState.MAPPED,
        "The uploaded file is no longer there. Upload it again.",
    )


def test_a_large_dry_run_on_sqlite_lets_others_write_meanwhile(cast, upload, monkeypatch):
    monkeypatch.setattr(jobs, "_LOCKING_ROWS", 1_000)
    run_id, wrote = upload(cast["root"]), []
    job = begin(jobs.check_in_background, cast["root"], run_id)
    process = batch.Batch.process

    def watched(self, rows):
        def write():
            with write_session() as session:
                session.execute(text("update organisation set name = 'Written meanwhile'"))
            wrote.append(True)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(timeout=20)
        return process(self, rows)

    monkeypatch.setattr(batch.Batch, "process", watched)
    engine.execute(job, "import.check", (run_id,))
    assert len(wrote) == 3
    assert run_of(run_id).report["check"]["outcomes"]["created"] == 1_100
    assert firms() == 0
