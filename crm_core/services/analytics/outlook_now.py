"""Where a month or quarter stands at this moment: won, quota, open pipeline, commit; and which evenings the record covers."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import pipeline_history, quotas
from crm_core.services.analytics.methods.outlook import fiscal_start, period_of
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.pipeline_history import Covered, Rule, Standing
from crm_core.vocabulary import Action


@dataclass(frozen=True)
class Now:
    """Money in minor units. ``quota_minor`` is None where none is set, or the reader may not see quotas."""

    period: Period
    today: date
    won_minor: int
    quota_minor: int | None
    standing: Standing
    covered: Covered

    @property
    def missing_minor(self) -> int | None:
        """What is still missing to the quota; 0 when it is reached."""
        return None if self.quota_minor is None else max(0, self.quota_minor - self.won_minor)

    @property
    def coverage(self) -> float | None:
        """Open pipeline of the period over what is still missing."""
        return self.standing.open_minor / self.missing_minor if self.missing_minor else None


def now(
    session: Session,
    actor: Actor,
    unit: str,
    *,
    ahead: int = 0,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
    rule: Rule = None,
) -> Now:
    """The period that holds today, or the next one, as it stands. A quota is one of people: with a pipeline or filter chosen there is none."""
    pipeline_history.require_amounts(actor)
    today = clock.today(actor.timezone)
    period = period_of(today, unit, ahead=ahead, fiscal_start_month=fiscal_start(session, actor))
    only: dict[str, Any] = {"owner_id": owner_id, "pipeline_id": pipeline_id, "rule": rule}
    quota = None
    if actor.can("quota", Action.READ) and pipeline_id is None and not rule:
        quota = quotas.total(session, actor, period, owner_id=owner_id)
    return Now(
        period,
        today,
        pipeline_history.won(session, actor, period, today, **only),
        quota,
        pipeline_history.standing(session, actor, period, **only),
        pipeline_history.covered(session, actor),
    )
