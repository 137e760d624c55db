"""The tables behind jobs: our own, and the few columns that we read of the job engine's status table."""

from typing import Any

from sqlalchemy import BigInteger, String, TableClause, column, table
from sqlmodel import Session

from crm_core.db import is_sqlite
from crm_core.models import JobRun

RUNS: Any = JobRun.__table__  # type: ignore[attr-defined]

_COLUMNS = {
    "workflow_uuid": String,
    "status": String,
    "name": String,
    "executor_id": String,
    "queue_name": String,
    "created_at": BigInteger,
    "updated_at": BigInteger,
    "started_at_epoch_ms": BigInteger,
    "completed_at": BigInteger,
    "delay_until_epoch_ms": BigInteger,
}

WAITING, DELAYED, RUNNING, DONE, FAILED, CANCELLED = "ENQUEUED", "DELAYED", "PENDING", "SUCCESS", "ERROR", "CANCELLED"
GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


def statuses(session: Session) -> TableClause:
    """The engine's status table; on PostgreSQL it lives in a schema of its own."""
    return table(
        "workflow_status", *(column(name, kind) for name, kind in _COLUMNS.items()), schema=None if is_sqlite(session) else "dbos"
    )
