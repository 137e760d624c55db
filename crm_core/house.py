"""The workspace's own row: its name, currency, time zone, region of telephone numbers."""

from sqlmodel import Session, select

from crm_core.db import shared
from crm_core.models import Organisation


def of(session: Session) -> Organisation | None:
    """The row, None before the workspace is founded. Sessions that only read share one; nobody may change that one."""
    return shared(session, "organisation", ("organisation",), lambda: session.exec(select(Organisation)).first())
