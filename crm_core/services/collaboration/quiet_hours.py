"""When the workspace lets people be written to, read once for many of them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session

from crm_core import db, house
from crm_core.kit.best_time import is_zone, next_instant
from crm_core.kit.week import WEEKEND
from crm_core.models import OutreachRules


@dataclass(frozen=True)
class QuietHours:
    """The rules of the workspace; ``home``: its time zone, ``days_off``: the weekdays on which it does not work."""

    rules: OutreachRules
    home: str
    days_off: frozenset[int] = WEEKEND

    def from_when(self, at: datetime, preferred: str | None, zone: str | None = None) -> datetime:
        """The first instant from ``at`` on outside quiet hours and within the hours a person prefers, in their time zone if it is known, else
        in the workspace's."""
        return next_instant(
            at, timezone=zone if zone and is_zone(zone) else self.home, quiet_from=self.rules.quiet_from, quiet_until=self.rules.quiet_until,
            days_off=self.days_off if self.rules.quiet_weekends else (), preferred=preferred,
        )  # fmt: skip


def rules(session: Session) -> OutreachRules:
    """How often and when people may be contacted: as they were set, or the defaults."""
    found = db.shared(session, "outreach", ("outreach_rules",), lambda: session.execute(select(OutreachRules)).scalars().first())
    return found or OutreachRules()


def of_workspace(session: Session) -> QuietHours:
    """The quiet hours that hold now."""
    return QuietHours(rules(session), house.zone(session), house.days_off(session))
