"""A worker process of its own with jobs made for the tests, started and killed at will.

Run as ``python -m tests.worker.sandbox``; the database comes from the environment.
"""

import time

from sqlalchemy import text

from crm_core import summaries
from crm_core.jobs import Job, job
from crm_core.settings import settings


def gate(label: str) -> None:
    """Stop here while the file ``hold`` names this place; say so in the file ``held``."""
    folder = settings().data_dir
    while (folder / "hold").exists() and (folder / "hold").read_text() == label:
        (folder / "held").write_text(label)
        time.sleep(0.02)


@job("test.batches", title="Insert rows in batches")
def batches(job: Job, total: int, size: int) -> None:
    """Import-like: each batch inserts its rows and moves the cursor in one transaction."""
    while (last := job.cursor.get("last", 0)) < total:
        gate(f"before {last}")
        with job.transaction() as session:
            for n in range(last, min(total, last + size)):
                session.execute(text("insert into table_version (name, version) values (:name, 0)"), {"name": f"row-{n:05d}"})
                gate(f"row {n}")
            job.cursor = {"last": last + size}
            job.report(min(total, last + size), total)


@job("test.refresh", title="Refresh a day at a time")
def refresh(job: Job) -> None:
    count = 1
    while count:
        with job.transaction() as session:
            count = summaries.refresh_batch(session, size=1)
            gate(f"left {summaries.pending(session)}")


@job("test.fails", title="Fail until the row is there")
def fails(job: Job) -> None:
    from crm_core.errors import Invalid

    with job.transaction() as session:
        if session.execute(text("select 1 from table_version where name = 'allowed'")).first() is None:
            raise Invalid("The row is missing.")
        session.execute(text("insert into table_version (name, version) values ('did it', 0)"))


@job("test.crashes", title="Crash")
def crashes(job: Job) -> None:
    raise RuntimeError("secret detail")


def hold_analyses() -> None:
    """Let an analysis stop when it has computed and before it keeps anything."""
    from crm_core.services.analytics import run_work

    pack = run_work.pack

    def held(frame: object) -> bytes:
        gate("analysis computed")
        return pack(frame)  # type: ignore[arg-type]

    run_work.pack = held  # type: ignore[assignment]


def hold_privacy() -> None:
    """Let a copy stop while its file is half written, and an erasure in the middle of what it has written of a step."""
    from crm_core.services.admin.privacy import copying, scrubbing

    page, wipe = copying.page, scrubbing.wipe

    def held_page(*args: object) -> str:
        gate("packing")
        return page(*args)  # type: ignore[arg-type]

    def held_wipe(session: object, name: str, *args: object) -> object:
        done = wipe(session, name, *args)  # type: ignore[arg-type]
        gate(f"wiped {name}")
        return done

    copying.page, scrubbing.wipe = held_page, held_wipe  # type: ignore[assignment]


def main() -> None:
    hold_analyses()
    hold_privacy()
    from worker.main import run

    run()


if __name__ == "__main__":
    main()
