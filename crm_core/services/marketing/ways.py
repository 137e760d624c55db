"""The ways of a campaign: e-mail, a call list, letters, an ad audience, an event; each to the campaign's people or to people of its own.

One draw decides over all of them who is held out: by person, never by way, so that nobody is addressed one way and counted as held out another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.errors import Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.models import Campaign, CampaignChannel, CampaignPlan, Organisation
from crm_core.services.marketing import plans
from crm_core.services.marketing.audience import Aim
from crm_core.vocabulary import Action, Channel, Outlet

CHANNELS: dict[Outlet, tuple[Channel, ...]] = {
    Outlet.EMAIL: (Channel.EMAIL,), Outlet.CALL_LIST: (Channel.PHONE,), Outlet.MAIL_MERGE: (Channel.DIRECT_MAIL,),
    Outlet.AD_AUDIENCE: (Channel.DISPLAY, Channel.SOCIAL, Channel.PAID_SEARCH), Outlet.EVENT: (Channel.EVENT,),
}  # fmt: skip
"""What a way is called among the channels that have a cost, the usual one first."""
_AUDIENCE = ("segment_ids", "exclude_ids")
_COSTS = ("planned_cost_minor", "actual_cost_minor")
_DAYS = ("starts_on", "ends_on")


@dataclass(frozen=True)
class Way:
    """One way of a campaign. ``own``: it has people of its own; costs in minor units, None where the budget is hidden from the viewer or where a campaign
    with a single way keeps them among its channels; ``funnel``: as it was at the launch."""

    aim: Aim
    own: bool
    planned_cost_minor: int | None = None
    actual_cost_minor: int | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    funnel: Sequence[Any] = ()

    @property
    def outlet(self) -> Outlet:
        return self.aim.outlet


def find(session: Session, actor: Actor, plan: CampaignPlan) -> list[Way]:
    """The ways of a campaign, the leading one first. A campaign with a single one has no more to say than its plan."""
    records.get(session, actor, "campaign", plan.campaign_id)
    rows = {row.outlet: row for row in _rows(session, plan.campaign_id) if row.outlet is not None}
    if len(rows) < 2:
        return [Way(_aim(plan, plan.outlet, None), own=False)]
    hidden = actor.masked("campaign", "budget_minor")
    return [
        _way(plan, outlet, rows[outlet], hidden)
        for outlet in (plan.outlet, *(one for one in Outlet if one is not plan.outlet))
        if outlet in rows
    ]


def _way(plan: CampaignPlan, outlet: Outlet, row: CampaignChannel, hidden: bool) -> Way:
    planned, actual = (None, None) if hidden else (row.planned_cost_minor, row.actual_cost_minor)
    own = row.segment_ids is not None
    return Way(_aim(plan, outlet, row if own else None), own, planned, actual, row.starts_on, row.ends_on, row.funnel or ())


def _aim(plan: CampaignPlan, outlet: Outlet, row: CampaignChannel | None) -> Aim:
    people = plan if row is None else row
    return Aim(
        plan.campaign_id, outlet, plan.purpose, tuple(people.segment_ids or ()), tuple(people.exclude_ids or ()), plan.seed, plan.holdout_pct,
        by_hand=row is None,
    )  # fmt: skip


def of(session: Session, actor: Actor, plan: CampaignPlan, outlet: Outlet) -> Aim:
    """Whom one way addresses; NotFound for a way that the campaign does not go."""
    found = next((way.aim for way in find(session, actor, plan) if way.outlet is outlet), None)
    if found is None:
        raise NotFound(f"This campaign does not go out by {outlet.label.lower()}.")
    return found


def first(session: Session, actor: Actor, plan: CampaignPlan) -> Aim:
    """Whom the leading way addresses: e-mail, when the campaign writes any."""
    return find(session, actor, plan)[0].aim


def _rows(session: Session, campaign_id: int) -> list[CampaignChannel]:
    found = select(CampaignChannel).where(CampaignChannel.campaign_id == campaign_id).order_by(col(CampaignChannel.id))
    return list(session.exec(found))


# --- choosing ---------------------------------------------------------------------------------------------------------------


def choose(session: Session, actor: Actor, campaign_id: int, outlets: Sequence[Outlet]) -> CampaignPlan:
    """Say by which ways a campaign goes out. Each becomes one of its channels, with a cost; one that is left out keeps its cost, and loses its people.
    Events: campaign.plan_changed."""
    plan = plans.open_one(session, actor, campaign_id)
    wanted = [one for one in Outlet if one in set(outlets)]
    if not wanted:
        raise Invalid(fields={"outlet": "Choose at least one channel."})
    before = [way.outlet.label for way in find(session, actor, plan)]
    rows, several = _rows(session, campaign_id), len(wanted) > 1
    for row in rows:
        if row.outlet is not None and (row.outlet not in wanted or not several):
            row.outlet = row.segment_ids = row.exclude_ids = None
            session.add(row)
    for outlet in wanted if several else ():
        if not any(row.outlet is outlet for row in rows):
            session.add(_taken(rows, campaign_id, outlet))
    plan.outlet, plan.updated_at = wanted[0], utcnow()
    session.add(plan)
    session.flush()
    after = [one.label for one in wanted]
    if before != after:
        changes = {"outlet": (", ".join(before), ", ".join(after))}
        events.record(session, actor, "campaign.plan_changed", session.get(Campaign, campaign_id), changes=changes)
    return plan


def _taken(rows: Sequence[CampaignChannel], campaign_id: int, outlet: Outlet) -> CampaignChannel:
    """The channel that is this way already, as far as its cost is concerned, or a new one."""
    free = [row for row in rows if row.outlet is None and row.channel in CHANNELS[outlet]]
    row = free[0] if free else CampaignChannel(campaign_id=campaign_id, channel=CHANNELS[outlet][0])
    row.outlet = outlet
    return row


def change(session: Session, actor: Actor, campaign_id: int, outlet: Outlet, changes: Mapping[str, Any]) -> CampaignChannel:
    """Change one of several ways: its people (``segment_ids`` None: those of the campaign, ``exclude_ids``) until the launch, its days and its costs at
    any time. Events: campaign.plan_changed, campaign.channels_changed."""
    people = any(key in changes for key in _AUDIENCE)
    plan = (plans.open_one if people else plans.stored)(session, actor, campaign_id)
    row = next((one for one in _rows(session, campaign_id) if one.outlet is outlet), None)
    if row is None:
        raise NotFound(f"This campaign does not go out by {outlet.label.lower()}.")
    if any(key in changes for key in _COSTS) and actor.masked("campaign", "budget_minor"):
        raise Invalid("The budget is hidden from your role, so you can't change the costs of the channels.")
    made = _checked(session, actor, row, changes)
    before = {key: getattr(row, key) for key in made}
    changed = {f"{outlet.value}_{key}": (before[key], value) for key, value in made.items() if before[key] != value}
    if changed:
        for key, value in made.items():
            setattr(row, key, value)
        plan.updated_at = utcnow()
        session.add_all((row, plan))
        session.flush()
        kind, campaign = "plan_changed" if people else "channels_changed", session.get(Campaign, campaign_id)
        events.record(session, actor, f"campaign.{kind}", campaign, changes=changed if people else None, data={"channels": 1})
    return row


def _checked(session: Session, actor: Actor, row: CampaignChannel, changes: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in changes.items():
        if key in _AUDIENCE:
            made[key] = None if value is None else plans.checked_segments(session, actor, value)
        elif _fits(key, value):
            made[key] = value
        else:
            raise Invalid(fields={key: "This value is not possible here."})
    after = {key: made.get(key, getattr(row, key)) for key in (*_AUDIENCE, *_DAYS)}
    if set(after["segment_ids"] or ()) & set(after["exclude_ids"] or ()):
        raise Invalid(fields={"exclude_ids": "A segment can't be both included and excluded."})
    if after["starts_on"] and after["ends_on"] and after["ends_on"] < after["starts_on"]:
        raise Invalid(fields={"ends_on": "A channel can't end before it starts."})
    return made


def _fits(key: str, value: Any) -> bool:
    if key in _COSTS:
        return isinstance(value, int) and 0 <= value < 10**15
    return key in _DAYS and (value is None or isinstance(value, date))


def kept(session: Session, actor: Actor, campaign_id: int) -> set[Channel]:
    """The channels of a campaign that are ways it goes out by, and that can't just be dropped from its list of costs."""
    records.get(session, actor, "campaign", campaign_id)
    return {row.channel for row in _rows(session, campaign_id) if row.outlet is not None}


def begins_at(session: Session, actor: Actor, way: Way, now: datetime) -> datetime:
    """From when on a way may reach people: its first day as the workspace counts days, or now."""
    records.get(session, actor, "campaign", way.aim.campaign_id)
    if way.starts_on is None:
        return now
    zone = session.exec(select(Organisation.timezone)).first() or "UTC"
    return max(now, datetime.combine(way.starts_on, time(0), ZoneInfo(zone)))


def note_funnel(session: Session, actor: Actor, campaign_id: int, outlet: Outlet, found: Sequence[Any]) -> None:
    """Keep a way's funnel as it was at the launch."""
    records.get(session, actor, "campaign", campaign_id, action=Action.EDIT)
    for row in _rows(session, campaign_id):
        if row.outlet is outlet:
            row.funnel = list(found)
            session.add(row)
    session.flush()
