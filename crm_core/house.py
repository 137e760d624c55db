"""The workspace's own row: its name, currency, time zone, region of telephone numbers."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, select

from crm_core.db import shared
from crm_core.kit import week
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


def written(session: Session, at: datetime) -> str:
    """An instant as letters tell it to people outside: ``2026-11-28 01:16 (Pacific/Auckland)``, by the workspace's clock."""
    name = zone(session)
    return f"{at.astimezone(ZoneInfo(name)):%Y-%m-%d %H:%M} ({name.replace('_', ' ')})"


def days_off(session: Session) -> frozenset[int]:
    """The weekdays without working hours in the settings, Monday 0; Saturday and Sunday before there are any."""
    home = of(session)
    return week.days_off(home.working_hours) if home is not None else week.WEEKEND
