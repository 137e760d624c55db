"""A process that is killed in the middle of an import loses nothing and doubles nothing, on both databases."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import text

from crm_core.db import read_session, write_session
from crm_core.models import ImportRun
from crm_core.services.admin.imports import runs
from crm_core.services.admin.imports.driver import run_batches
from crm_core.vocabulary import ImportState

ROWS = 1_700

CHILD = """
    import os, signal, sys
    from crm_core.services.admin.imports import batch, driver, writing

    where, after, run_id = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seen = 0

    def die(name, function):
        def dying(*args, **kwargs):
            global seen
            seen += 1
            if seen > after:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return dying

    if where == "between":
        driver.run_batches(run_id, die("progress", lambda done, total: None))
    elif where == "records":
        writing.write_events = die("events", writing.write_events)      # records are written, their history is not
    else:
        batch.Batch._note = die("note", batch.Batch._note)              # all is written but the outcomes
    driver.run_batches(run_id)
"""


def started(actor, tmp_path):
    path = tmp_path / "people.csv"
    lines = [f"C-{n:05d},Ann {n},ann{n}@example.com,+1415555{n:04d},Firm {n % 40}" for n in range(ROWS)]
    path.write_text("Customer ID,Name,E-mail,Phone,Company\n" + "\n".join(lines) + "\n")
    with write_session() as session, path.open("rb") as file:
        run = runs.upload(session, actor, "contact", file, path.name)
        plan = runs.plan_of(run).with_column("Company", unknown="add")
        runs.set_plan(session, actor, run.id, plan)
        runs.start(session, actor, run.id)
        return run.id


def killed(where, after, run_id):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), where, str(after), str(run_id)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def figures():
    count = "select (select count(*) from {t}), (select count(distinct {k}) from {t})"
    with read_session() as session:
        found = {
            "contacts": session.execute(text(count.format(t="contact", k="name"))).one(),
            "points": session.execute(text(count.format(t="contact_point", k="value"))).one(),
            "outcomes": session.execute(text(count.format(t="import_row", k="n"))).one(),
            "firms": session.execute(text("select count(*), count(distinct name) from account")).one(),
            "linked": session.execute(text("select count(*), count(distinct record_id) from import_link")).one(),
            "history": session.execute(
                text("select count(*), count(distinct record_id) from event_log where type = 'contact.created'")
            ).one(),
            "search": session.execute(
                text("select count(*), count(distinct record_id) from search_document where entity = 'contact'")
            ).one(),
        }
    return {key: tuple(value) for key, value in found.items()}


@pytest.mark.slow
def test_an_import_that_was_killed_three_times_ends_as_if_nothing_had_happened(any_cast, tmp_path):
    run_id = started(any_cast["root"], tmp_path)
    for where, after in (("between", 1), ("records", 1), ("note", 0)):
        killed(where, after, run_id)
        with read_session() as session:
            run = session.get_one(ImportRun, run_id)
            rows = session.execute(text("select count(*) from import_row")).scalar()
            assert (run.state, run.done_rows, run.created) == (ImportState.RUNNING, rows, rows)
            assert 0 < rows < ROWS
            assert session.execute(text("select count(*) from contact")).scalar() == rows
    run = run_batches(run_id)
    assert (run.state, run.created, run.done_rows) == (ImportState.DONE, ROWS, ROWS)
    assert figures() == {
        "contacts": (ROWS, ROWS), "points": (2 * ROWS, 2 * ROWS), "outcomes": (ROWS, ROWS), "firms": (40, 40), "linked": (40, 40),
        "history": (ROWS, ROWS), "search": (ROWS, ROWS),
    }  # fmt: skip


def test_running_a_finished_import_again_does_nothing(cast, tmp_path):
    run_id = started(cast["root"], tmp_path)
    first = run_batches(run_id)
    before = figures()
    again = run_batches(run_id)
    assert (again.version, figures()) == (first.version, before)
