"""The workspace's own row: its name, currency, time zone, region of telephone numbers."""

from sqlmodel import Session, select

from crm_core.db import shared
from crm_core.models import Organisation


def of(session: Session) -> Organisation | None:
    """The row, None before the workspace is founded. Sessions that only read share one; nobody may change that one."""
    return shared(session, "organisation", ("organisation",), lambda: session.exec(select(Organisation)).first())


def region(session: Session) -> str:
    """The country of telephone numbers that name none, by its two letters."""
    home = of(session)
    return home.phone_region if home is not None and home.phone_region else "US"


def zone(session: Session) -> str:
    """The name of the workspace's time zone."""
    home = of(session)
    return home.timezone if home is not None and home.timezone else "UTC"
