"""The job engine in this process: one workflow per declared job, two queues, a name under which its work can be found again."""

import logging
import socket
import uuid
from typing import Any

from crm_core.jobs import execute
from crm_core.jobs.queue import APPLICATION, VERSION
from crm_core.jobs.registry import JobSpec, load_all
from crm_core.settings import settings

EMBEDDED = "embedded"
"""On SQLite there is one worker with a fixed name: a new one finds the work of its predecessor at launch."""


def executor_id() -> str:
    """This process' name in the queue; two processes must never share one where several are allowed."""
    return EMBEDDED if settings().is_sqlite else f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:8]}"


def launch(name: str) -> dict[str, JobSpec]:
    """Declare all jobs to the engine and start taking them from the queue. What a dead worker of the same name left is taken up again."""
    from dbos import DBOS, DBOSPortableJSONSerializer

    logging.getLogger("dbos").setLevel(logging.WARNING)
    specs = load_all()
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": settings().url,
            "application_version": VERSION,
            "executor_id": name,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }
    )
    for spec in specs.values():
        DBOS.workflow(name=spec.name)(_body(spec.name))
    DBOS.launch()
    DBOS.register_queue("jobs", worker_concurrency=settings().worker_concurrency, polling_interval_sec=0.5)
    DBOS.register_queue("heavy", worker_concurrency=1, global_concurrency=1, polling_interval_sec=1.0)
    return specs


def _body(name: str) -> Any:
    from dbos import DBOS

    def run(*args: Any) -> None:
        execute(DBOS.workflow_id or "", name, args)

    run.__qualname__ = run.__name__ = name
    return run


def stop(seconds: int) -> bool:
    """Take no more jobs, wait so long for those that run; False when some were still running (they go on after the next start)."""
    from dbos import DBOS
    from dbos._dbos import _get_dbos_instance  # no public way to ask whether something still runs

    running = _get_dbos_instance()._active_workflows_set
    DBOS.destroy(workflow_completion_timeout_sec=seconds if running.activeList() else 0)
    return not running.activeList()
