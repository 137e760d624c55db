"""Background jobs: enqueue in the transaction that causes the work, run it in a worker, watch it on a page. See docs/decisions/0003-jobs.md.

A service puts work into the queue with ``enqueue(session, "import.run", run_id)``; the job appears when the session commits and not
otherwise. The function behind the name is declared once with ``@job("import.run")`` and takes a ``Job`` first::

    @job("import.run", title="Import a file")
    def run(job: Job, run_id: int) -> None:
        while True:
            with job.transaction() as session:          # rows and cursor commit together, or neither does
                last = job.cursor.get("last", 0)
                ...
                job.cursor = {"last": last + 500}
                job.report(done, total)

A job runs **at least once, from its top**: after a kill it starts again, reads its cursor and goes on. Arguments are ids and other small
JSON values. Nothing here imports the job engine until a job is enqueued or listed with its arguments.
"""

from sqlmodel import Session

from crm_core import automation_inbox
from crm_core.jobs.board import JobRow, WorkerRow, cancel, counts, find, find_jobs, lag, retry, status, worker_is_alive, workers
from crm_core.jobs.queue import close, enqueue, prepare
from crm_core.jobs.registry import JobSpec, job, spec
from crm_core.jobs.run import Cancelled, Job, Superseded, execute

__all__ = [
    "Cancelled",
    "Job",
    "JobRow",
    "JobSpec",
    "Superseded",
    "WorkerRow",
    "cancel",
    "close",
    "counts",
    "enqueue",
    "execute",
    "find",
    "find_jobs",
    "job",
    "lag",
    "prepare",
    "retry",
    "spec",
    "status",
    "worker_is_alive",
    "workers",
]


def _call_for_automations(session: Session) -> None:
    enqueue(session, "automation.work", title="Automations", unless_waiting=True)


automation_inbox.callers[:] = [_call_for_automations]
